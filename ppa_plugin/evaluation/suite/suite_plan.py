"""What of a suite is done: its cells held against the results file, so that a run goes on where another ended."""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.model import Model
from ppa_plugin.evaluation.results import Result, numbered_results
from ppa_plugin.evaluation.suite.cell import Cell, Pair
from ppa_plugin.evaluation.suite.workers import attempt


class Finished:
    """The results file of a suite as it is when a run starts; a file that does not exist has no results."""

    def __init__(self, path: str | Path):
        """Read it. Raises `UserError`, naming the line, for what is not a result."""
        self.path = Path(path)
        self._places: dict[tuple, list[tuple[int, Result]]] = defaultdict(list)
        self._lines: dict[str, dict[tuple, int]] = defaultdict(dict)
        for number, result in numbered_results(path, being_written=True) if self.path.exists() else []:
            self._places[result.task, result.source, result.target].append((number, result))
            key = result.config.get("cell")
            if key is not None:
                self._lines[key][result.metric, result.layer] = result.config.get("cell_lines")

    def is_whole(self, key: str) -> bool:
        """Whether all results with this key are there."""
        lines = self._lines.get(key)
        return lines is not None and len(lines) == next(iter(lines.values()))

    def without_those_there(self, results: list[Result]) -> list[Result]:
        """The results that are not in the file yet: of a pair that was cut off, some are."""
        return [r for r in results if (r.metric, r.layer) not in self._lines.get(r.config["cell"], {})]

    def check(self, planned: "Planned", pair: Pair, variants: set[tuple]) -> None:
        """Raise `UserError`, naming the line, where the file has results that do not go with those of this pair.

        They are results of another model under this name, of another version of the data, or of the same with other
        settings: tables of the file would mix them.
        """
        cell = planned.cell
        for number, result in self._places.get((cell.task, *pair), []):
            where, advice = f"{self.path}, line {number}", "give this suite another output"
            if result.data_sha256 != planned.data_sha256[pair]:
                raise UserError(f"{where} was measured on another version of {cell.task} {' to '.join(pair)}; {advice}")
            if result.model != cell.name:
                continue
            if result.model_sha256 != planned.model.sha256:
                raise UserError(f"{where} is of another model that was called {cell.name}; {advice} or it another name")
            same_place = result.seed == cell.seed and (result.layer, result.pool) in variants
            if same_place and result.config.get("cell") != planned.keys[pair]:
                raise UserError(f"{where} is this measurement with other settings or by another command; {advice}")


@dataclass(frozen=True)
class Planned:
    """A cell and what is left of it: `missing` pairs, or the `reason` why it cannot be measured."""

    cell: Cell
    directory: Path | None = None
    model: Model | None = None
    keys: dict[Pair, str] = field(default_factory=dict)
    data_sha256: dict[Pair, str] = field(default_factory=dict)
    missing: list[Pair] = field(default_factory=list)
    reason: str = ""

    def __str__(self) -> str:
        return str(self.cell)

    @property
    def state(self) -> str:
        """`done`, `missing` or `failed`."""
        return "failed" if self.reason else "missing" if self.missing else "done"

    def accepted(self, results: list[Result]) -> list[Result]:
        """The results, each with what tells a finished pair: its key and how many results it has (`config`).

        Raises `UserError` where they are not those of the planned data.
        """
        for result in results:
            if result.data_sha256 != self.data_sha256[result.source, result.target]:
                pair = f"{result.source} to {result.target}"
                raise UserError(f"the files of {self.cell.task} {pair} changed while they were measured; run it again")
        pairs = [(result.source, result.target) for result in results]
        lines = Counter(pairs)
        return [
            replace(result, config=result.config | {"cell": self.keys[pair], "cell_lines": lines[pair]})
            for result, pair in zip(results, pairs, strict=True)
        ]


class Planner:
    """Holds cells against a results file; every model and every data set is read and hashed once."""

    def __init__(self, finished: Finished):
        self.finished = finished
        self._known: dict[Hashable, Any] = {}

    def plan(self, cell: Cell) -> Planned:
        """What is left of a cell. One that cannot be measured has a sentence as its reason."""
        outcome = attempt(self._plan, cell)
        return outcome.value or Planned(cell, reason=outcome.reason)

    def _plan(self, cell: Cell) -> Planned:
        directory, model = self._once((cell.model, cell.name), lambda: Model.located(cell.model, cell.name))
        inputs = self._once((cell.task, cell.data, cell.sources, cell.targets), lambda: cell.kind.inputs(cell))
        settings = cell.kind.resolved(cell, directory)
        variants = cell.kind.variants(settings)
        keys = {pair: cell.key(pair, model.sha256, sha256, settings) for pair, sha256 in inputs.items()}
        missing = [pair for pair, key in keys.items() if not self.finished.is_whole(key)]
        planned = Planned(cell, directory, model, keys, inputs, missing)
        for pair in keys:
            self.finished.check(planned, pair, variants)
        return planned

    def _once(self, key: Hashable, function: Callable[[], Any]) -> Any:
        """`function()`, or what it gave or raised for this key before."""
        if key not in self._known:
            try:
                self._known[key] = function()
            except UserError as error:
                self._known[key] = error
        if isinstance(self._known[key], UserError):
            raise self._known[key]
        return self._known[key]


def array_share(planned: list[Cell], index: int, count: int) -> list[Cell]:
    """The cells of task `index` (1 to `count`) of an array, in their order; each task has its share of every kind.

    The share depends on the plan alone and not on what is done, so that tasks that start at different times agree.
    """
    by_kind = sorted(range(len(planned)), key=lambda i: (planned[i].task, i))
    mine = set(by_kind[index - 1 :: count])
    return [cell for i, cell in enumerate(planned) if i in mine]
