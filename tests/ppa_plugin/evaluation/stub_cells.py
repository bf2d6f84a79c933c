"""A task that takes no time in place of fine-tuning: its figures depend on model, data, pair and seed alone.

What it does beside depends on the seed, so that a suite can be given cells that fail in every way there is.
"""

import hashlib
import os
import signal
import sys
import time
from pathlib import Path

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.results import Result

SEEDS = (42, 43)
BAD_INPUT, CRASH, NO_MEMORY, KILLED, EXIT, OTHER_DATA = 90, 91, 92, 93, 94, 95


class StubCells:
    """A `Kind` in place of `FinetunedCells`."""

    seeds = SEEDS

    def sources_by_cell(self, sources):
        return [(source,) for source in sources]

    def names(self, task):
        return ["epochs", "seconds", "trace"]

    def check(self, task, settings, where):
        pass

    def resolved(self, cell, directory):
        return {"epochs": 5} | {key: value for key, value in cell.settings.items() if key == "epochs"}

    def variants(self, settings):
        return {(None, None)}

    def inputs(self, cell):
        targets = cell.targets or sorted(path.stem for path in Path(cell.data).glob("*.txt"))
        found = {}
        for target in targets:
            path = Path(cell.data, f"{target}.txt")
            if not path.exists():
                raise UserError(f"{path} is missing")
            found[cell.sources[0], target] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found

    def measure(self, cell, directory, model, pairs, device):
        if "trace" in cell.settings:
            with open(cell.settings["trace"], "a") as trace:
                trace.write(f"{cell} on {device} in {os.getpid()}: {' '.join(target for _, target in pairs)}\n")
            sys.stderr.write("looking\n")
        time.sleep(cell.settings.get("seconds", 0))
        _misbehave(cell.seed)
        results = []
        for source, target in pairs:
            sha256 = self.inputs(cell)[source, target] if cell.seed != OTHER_DATA else "0" * 64
            for metric in ("macro_f1", "accuracy"):
                text = f"{model.sha256} {sha256} {cell.task} {source} {target} {cell.seed} {metric}"
                value = int(hashlib.sha256(text.encode()).hexdigest()[:6], 16) / 16**6
                figures = (metric, value, 9, None, None, sha256, {"device": device}, "0.1.0")
                place = (cell.task, source, target, cell.seed)
                results.append(Result(model.name, model.path, model.sha256, *place, *figures))
        return results


def _misbehave(seed):
    if seed == BAD_INPUT:
        raise UserError("dev.tsv is missing")
    if seed == CRASH:
        raise ZeroDivisionError("the\nprogram is wrong")
    if seed == NO_MEMORY:
        raise MemoryError
    if seed == KILLED:
        os.kill(os.getpid(), signal.SIGKILL)
    if seed == EXIT:
        os._exit(3)


def measure_planned(planned, device):
    """What a worker calls in place of `commands.suite.measure`: the weights are not hashed again."""
    return planned.cell.kind.measure(planned.cell, planned.directory, planned.model, planned.missing, device)
