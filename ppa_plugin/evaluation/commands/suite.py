"""Measure models x tasks x sources x seeds as one matrix that can be stopped and goes on where it was.

Cells whose results are in the output are left out. A cell that fails is said and the others go on; the exit code is 0
where all are done, 1 where some failed, 2 where the file of the suite is wrong. Two runs of the same cells at once both
measure them: give each task of an array its part with --array. A precision that is left to the device (fine-tuning with
precision: auto) is no reason to measure again on another one.
"""

import argparse
import contextlib
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from ppa_plugin.commandline import Range, UserError, positive, say, shown
from ppa_plugin.evaluation.commands import flags
from ppa_plugin.evaluation.tasks import CLASSIFICATION, RETRIEVAL, TAGGING, of_kind

if TYPE_CHECKING:
    from ppa_plugin.evaluation.results import Result
    from ppa_plugin.evaluation.suite.suite_plan import Finished, Planned
    from ppa_plugin.evaluation.suite.workers import Outcome

NAME = "suite"
HELP = "models x tasks x sources x seeds, resumable, on several GPUs"
_RETRIEVAL, _FINE_TUNED = " ".join(of_kind(RETRIEVAL)), " ".join([*of_kind(CLASSIFICATION), *of_kind(TAGGING)])
EXAMPLE = f"""\
example of a file; paths are relative to it:
  output: results.jsonl
  models:
    - glot500
    - {{path: aligned/hf, name: MLM+SEQ+TLM}}
  tasks:
    bible: {{data: eval/bible, sources: [eng_Latn, fas_Arab], layer: 8}}
    sib200: {{data: eval/sib200, sources: [eng_Latn], seeds: [42, 43], epochs: 20}}

tasks and what they take beside data and sources, all with the defaults of their own commands:
  {_RETRIEVAL:<25}  targets input romanizer layer pool precision batch_size max_tokens; layer also as [0, 4, 8] or all
  {_FINE_TUNED:<25}  targets seeds, and the flags of classify and tag with _ for -

examples:
  ppa-evaluate suite --config suite.yaml --dry-run
  ppa-evaluate suite --config suite.yaml --jobs 4
  sbatch --array=1-8 --gres=gpu:1 --wrap 'ppa-evaluate suite --config suite.yaml --array $SLURM_ARRAY_TASK_ID/8'
"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `ppa-evaluate suite`."""
    parser.add_argument("--config", required=True, metavar="FILE", help="the YAML file of the suite")
    parser.add_argument("--output", metavar="results.jsonl", help="file to append results to (default: the suite's)")
    parser.add_argument("--device", help="cpu, cuda, cuda:1, ... (default: the suite's, else cuda where there is one)")
    parser.add_argument(
        "--jobs",
        type=Range(0, 1024, whole=True),
        metavar="N",
        help="processes, each on one of the visible GPUs or with a share of the cores; 0: in this process, which a "
        "crash then ends (default: one a visible GPU, else 1)",
    )
    parser.add_argument(
        "--array",
        type=_share,
        metavar="I/N",
        help="only part I, from 1 to N, of the cells, with its share of every task; parts may append to one file",
    )
    parser.add_argument("--dry-run", action="store_true", help="list the cells: done, missing or failed")


def run(args: argparse.Namespace) -> int:
    """Plan, measure what is missing, report; the exit code."""
    # imported here, so that --help and mistyped flags do not wait for Transformers
    from ppa_plugin.evaluation.json_lines import drop_torn_line
    from ppa_plugin.evaluation.suite import workers
    from ppa_plugin.evaluation.suite.suite_file import load_suite
    from ppa_plugin.evaluation.suite.suite_plan import Finished, Planner, array_share

    suite = load_suite(args.config)
    output = args.output or suite.output
    if output is None:
        raise UserError(f"{args.config} names no output; add the key 'output' or pass --output results.jsonl")
    if not args.dry_run:
        drop_torn_line(flags.output_file(output))
    finished = Finished(output)
    planner = Planner(finished)
    planned = [planner.plan(cell) for cell in (array_share(suite.cells, *args.array) if args.array else suite.cells)]
    if args.dry_run:
        return _list(planned)
    missing = [each for each in planned if each.state == "missing"]
    failed = {id(each): each.reason for each in planned if each.reason}
    _say_counts(planned)
    for each in planned:
        if each.reason:
            say(f"{each}: failed: {each.reason}")
    devices, threads = _devices(args.device or suite.device, args.jobs)
    clock = _Clock(missing, len(devices))
    if args.jobs == 0:
        outcomes = ((each, workers.attempt(measure, each, devices[0])) for each in missing)
    else:
        outcomes = workers.in_processes(measure, missing, devices, threads)
    with contextlib.closing(outcomes):  # at once where a full disk ends the run: the processes would go on
        for each, outcome in outcomes:
            reason = outcome.reason or _append(output, each, outcome.value, finished)
            if reason:
                failed[id(each)] = reason
            clock.finished(each, outcome, reason)
    return _summary(planned, failed)


def measure(planned: "Planned", device: str) -> "list[Result]":
    """What a worker does with a cell. Raises `UserError` where its model is no longer the one that was planned."""
    from ppa_plugin.evaluation.model import hash_weights

    cell = planned.cell
    # a suite runs for hours, in which a model's directory may be written anew
    if hash_weights(planned.directory) != planned.model.sha256:
        raise UserError(f"the weights in {planned.directory} changed since this run of the suite began; run it again")
    return cell.kind.measure(cell, planned.directory, planned.model, planned.missing, device)


def _append(output: str, planned: "Planned", results: "list[Result]", finished: "Finished") -> str:
    """Append the results of a cell to the file; the reason where they cannot be accepted. All of them in one write."""
    from ppa_plugin.evaluation.results import append_results

    try:
        accepted = planned.accepted(results)
    except UserError as error:
        return str(error)
    append_results(output, finished.without_those_there(accepted))
    return ""


def _devices(device: str | None, jobs: int | None) -> tuple[list[str], int]:
    """The device of every process, and how many threads each has on the CPU. Raises `UserError` for no device."""
    import torch

    gpus = torch.cuda.device_count()
    if device is None:
        device = "cuda" if gpus else "cpu"
    try:
        kind = torch.device(device).type
    except RuntimeError:
        raise UserError(f"{device} is not a device such as cpu or cuda:1") from None
    if kind == "cuda" and not gpus:
        raise UserError(f"the device is {device}, but no GPU is visible here")
    # a device that is named is the only one; `cuda` is all that this process sees
    available = [f"cuda:{i}" for i in range(gpus)] if device == "cuda" and gpus else [device]
    count = max(1, len(available) if jobs is None else jobs)
    return [available[i % len(available)] for i in range(count)], max(1, torch.get_num_threads() // count)


class _Clock:
    """Says each cell as it finishes, and how long the rest will take: by the mean seconds of each task's cells."""

    def __init__(self, missing: "list[Planned]", processes: int):
        self._left = Counter(each.cell.task for each in missing)
        self._total, self._processes = len(missing), processes
        self._seconds: dict[str, list[float]] = defaultdict(list)

    def finished(self, planned: "Planned", outcome: "Outcome", reason: str) -> None:
        task = planned.cell.task
        self._left[task] -= 1
        if not reason:
            self._seconds[task].append(outcome.seconds)
        number = self._total - self._left.total()
        what = f"failed: {reason}" if reason else f"{_duration(outcome.seconds)}"
        say(f"[{number}/{self._total}] {planned}: {what}{self._time_left()}")

    def _time_left(self) -> str:
        known = [second for seconds in self._seconds.values() for second in seconds]
        if not known or not self._left.total():
            return ""
        left = 0.0
        for task, count in self._left.items():
            seconds = self._seconds.get(task) or known
            left += count * sum(seconds) / len(seconds)
        # fewer cells than processes are not spread any further
        return f"; about {_duration(left / min(self._processes, self._left.total()))} left"


def _list(planned: "list[Planned]") -> int:
    for each in planned:
        part = ""
        if each.state == "missing" and len(each.missing) < len(each.keys):
            part = f" ({len(each.missing)} of {len(each.keys)} pairs)"
        say(f"{each.state:8}{each}{part}{': ' if each.reason else ''}{each.reason}")
    _say_counts(planned)
    return int(any(each.reason for each in planned))


def _say_counts(planned: "list[Planned]") -> None:
    counts = Counter(each.state for each in planned)
    say(f"{len(planned)} cells: " + ", ".join(f"{counts[state]} {state}" for state in ("done", "missing", "failed")))


def _summary(planned: "list[Planned]", failed: dict[int, str]) -> int:
    say(f"{len(planned) - len(failed)} of {len(planned)} cells done" + (f", {len(failed)} failed:" if failed else ""))
    for each in planned:
        if id(each) in failed:
            say(f"  {each}: {failed[id(each)]}")
    return int(bool(failed))


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _share(text: str) -> tuple[int, int]:
    try:
        index, count = map(positive, text.split("/", 1))
    except (ValueError, argparse.ArgumentTypeError):
        index, count = 1, 0
    if index > count:
        raise argparse.ArgumentTypeError(
            f"{shown(text)} is not I/N with I from 1 to N; with N tasks, sbatch --array=1-N"
        )
    return index, count
