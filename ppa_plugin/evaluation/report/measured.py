"""Results ordered for tables: one measurement a cell, its seeds together, layers and checkpoints sorted out."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from statistics import fmean, stdev
from typing import NamedTuple

from ppa_plugin.evaluation.results import Result
from ppa_plugin.evaluation.tables import check_data
from ppa_plugin.evaluation.tasks import metric_order, task_order
from ppa_plugin.evaluation.variants import Variant, Way, distinct, natural, row_names, step_of, variant_of
from ppa_plugin.model.sizes import default_layer

# As many layers of a model on one task are a sweep: a plot, not that many rows of every table.
SWEEP = 4


class Column(NamedTuple):
    """What one column of values was measured on."""

    task: str
    metric: str
    source: str


@dataclass
class Measurement:
    """The values (0 to 1) of one model in one cell by seed (None: nothing is drawn), on `n` items each."""

    n: int
    data_sha256: str
    values: dict[int | None, float] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        return fmean(self.values.values())

    @property
    def std(self) -> float | None:
        """Sample standard deviation over seeds, None with fewer than two."""
        return stdev(self.values.values()) if len(self.values) > 1 else None


class Measured:
    """Every cell of every row: `cell(row, column, target)`; `models`, the rows, and `columns` in the order of tables.

    A row is a model, or, where a task has a model measured in several ways (`variants.way_of`) or with several sets of
    weights, one of these. Takes results that stand for their model (`for_tables`), in any order. `baseline`, a model or
    one of its rows, comes first. Raises `UserError` where two results of one cell were measured on different versions
    of its data.
    """

    def __init__(self, results: Iterable[Result], baseline: str | None = None):
        results = distinct(results)
        check_data(results)
        names = row_names((result.task, variant_of(result)) for result in results)
        self._cells: dict[tuple[str, Column, str], Measurement] = {}
        self._variants: dict[tuple[str, str], Variant] = {}
        self.targets: dict[Column, dict[str, None]] = defaultdict(dict)
        for result in results:
            variant = variant_of(result)
            name = names[result.task, variant]
            column = Column(result.task, result.metric, result.source)
            self._variants[name, result.task] = variant
            self.targets[column][result.target] = None
            cell = self._cells.setdefault((name, column, result.target), Measurement(result.n, result.data_sha256))
            cell.n = min(cell.n, result.n)
            cell.values[result.seed] = result.value
        models = {name for name, _ in self._variants}
        self.models = sorted(models, key=lambda name: (not self.is_of(name, baseline), natural(name)))

    def is_of(self, row: str, name: str | None) -> bool:
        """Whether a row is called so, or is one of the model of that name."""
        return row == name or any(v.model == name for (of, _), v in self._variants.items() if of == row)

    def counterpart(self, row: str, baseline: str | None, task: str) -> str | None:
        """The row of the baseline that was measured on the task as `row` was; None where no single one was."""
        variant = self._variants.get((row, task))
        return None if variant is None else self.baseline_row(baseline, task, variant.way, apart_from=row)

    def baseline_row(self, baseline: str | None, task: str, way: Way, apart_from: str | None = None) -> str | None:
        """The row of the baseline that was measured on the task in this way; None where no single one was."""
        found = [
            row
            for (row, of), variant in self._variants.items()
            if of == task and variant.way == way and baseline is not None and self.is_of(row, baseline)
        ]
        return found[0] if len(found) == 1 and found != [apart_from] else None

    def without_counterpart(self, baseline: str) -> dict[str, list[str]]:
        """Rows that no gain over the baseline can be given for, by task; tasks without the baseline are left out."""
        lacking: dict[str, list[str]] = defaultdict(list)
        tasks = {task for row, task in self._variants if self.is_of(row, baseline)}
        for row, task in self._variants:
            if task in tasks and not self.is_of(row, baseline) and self.counterpart(row, baseline, task) is None:
                lacking[task].append(row)
        return lacking

    def several_of(self, baseline: str) -> dict[str, list[str]]:
        """By task, rows of the baseline that were measured alike: of several, none is what gains are over."""
        alike: dict[tuple[str, Way], list[str]] = defaultdict(list)
        for (row, task), variant in self._variants.items():
            if self.is_of(row, baseline):
                alike[task, variant.way].append(row)
        several: dict[str, list[str]] = defaultdict(list)
        for (task, _), rows in alike.items():
            if len(rows) > 1:
                several[task] += sorted(rows, key=natural)
        return several

    def cell(self, model: str, column: Column, target: str) -> Measurement | None:
        return self._cells.get((model, column, target))

    def items(self) -> Iterable[tuple[tuple[str, Column, str], Measurement]]:
        return self._cells.items()

    @property
    def tasks(self) -> list[str]:
        return sorted({column.task for column in self.targets}, key=task_order)

    def metrics(self, task: str) -> list[str]:
        """The metrics of a task, the main one first."""
        return sorted({column.metric for column in self.targets if column.task == task}, key=metric_order)

    def models_of(self, columns: Iterable[Column], targets: Iterable[str]) -> list[str]:
        """Models with a value in any of these columns and targets."""
        targets, columns = list(targets), list(columns)
        return [m for m in self.models if any(self.cell(m, c, t) for c in columns for t in targets)]

    def common_targets(self, columns: Iterable[Column], targets: Iterable[str]) -> list[str]:
        """Targets that no model in these columns lacks in any of them: a mean over others would not compare."""
        columns, targets = list(columns), list(targets)
        needed = [(m, c) for c in columns for m in self.models_of([c], targets)]
        return [t for t in targets if needed and all(self.cell(m, c, t) for m, c in needed)]

    def by_target_and_seed(self, model: str, column: Column, targets: list[str]) -> dict[int | None, list[float]]:
        """Values over `targets` for every seed that each of them was measured with."""
        cells = [self.cell(model, column, target).values for target in targets]
        seeds = [seed for seed in cells[0] if all(seed in cell for cell in cells)] if cells else []
        return {seed: [cell[seed] for cell in cells] for seed in seeds}

    def mean(self, model: str, column: Column, targets: list[str]) -> tuple[float, float | None]:
        """Mean over targets of the means over seeds, and the standard deviation over seeds of the mean over targets."""
        means = [fmean(values) for values in self.by_target_and_seed(model, column, targets).values()]
        spread = stdev(means) if len(means) > 1 else None
        return fmean(self.cell(model, column, target).mean for target in targets), spread


def main_metric(task_metrics: list[str]) -> str:
    """The metric of the paper's table: the first known one."""
    return min(task_metrics, key=metric_order)


def for_tables(results: list[Result], layer: int | None = None) -> tuple[list[Result], list[str]]:
    """The results that stand for their model in tables, and a sentence for each choice made.

    Of a series of checkpoints under one name the last one stands (a result without a step before any); of a sweep over
    layers the one given, else the paper's (8 of 12, two thirds of another depth), or the nearest there is.
    """
    steps, layers = _places(results, step_of), _layers(results)
    shown = {key: _layer_for(found, layer) for key, found in layers.items() if layer is not None or len(found) >= SWEEP}
    notes = [_step_note(*key, _last(found)) for key, found in sorted(steps.items()) if len(found) > 1]
    notes += [
        _layer_note(*key, layers[key], at)
        for key, at in sorted(shown.items())
        if layers[key] != {at} or layer not in (None, at)
    ]
    chosen = [
        result
        for result in last_steps(results)
        if result.layer is None or result.layer == shown.get((result.model, result.task), result.layer)
    ]
    return chosen, notes


def last_steps(results: list[Result]) -> list[Result]:
    """Of a series of checkpoints under one name the results of the last one, or those without a step."""
    last = {key: _last(found) for key, found in _places(results, step_of).items()}
    return [result for result in results if step_of(result) == last[result.model, result.task]]


def _last(steps: set[int | None]) -> int | None:
    return None if None in steps else max(steps)


def one_layer(results: list[Result], layer: int | None = None) -> list[Result]:
    """Results at one layer a model and task: the one given or the paper's, or the nearest there is."""
    shown = {key: _layer_for(found, layer) for key, found in _layers(results).items()}
    return [r for r in results if r.layer is None or r.layer == shown[r.model, r.task]]


def _layer_for(found: set[int], layer: int | None) -> int:
    wanted = default_layer(max(found)) if layer is None else layer
    return min(found, key=lambda k: (abs(k - wanted), k))


def _layers(results: list[Result]) -> dict[tuple[str, str], set[int]]:
    return _places([result for result in results if result.layer is not None], attrgetter("layer"))


def _places(results: list[Result], place: Callable[[Result], int | None]) -> dict[tuple[str, str], set[int | None]]:
    """The steps or layers of the results of each model and task."""
    places: dict[tuple[str, str], set[int | None]] = defaultdict(set)
    for result in results:
        places[result.model, result.task].add(place(result))
    return places


def _step_note(model: str, task: str, last: int | None) -> str:
    which = "the result without a step" if last is None else f"step {last:,}"
    return f"{model} was measured at several steps on {task}; the tables show {which}."


def _layer_note(model: str, task: str, found: set[int], shown: int) -> str:
    where = f"layer {shown}" if len(found) == 1 else f"{len(found)} layers ({min(found)} to {max(found)})"
    return f"{model} was measured at {where} on {task}; the tables show layer {shown}."
