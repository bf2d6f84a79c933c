"""The paper's tables: a target a row, (task, source script) a column, every model; averages over targets below."""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from itertools import groupby

import numpy

from ppa_plugin.codes import script_of
from ppa_plugin.evaluation.report import significance
from ppa_plugin.evaluation.report.grid import MISSING, Cell, Grid, Row, slug
from ppa_plugin.evaluation.report.groups import Group, sources_of
from ppa_plugin.evaluation.report.measured import Column, Measured, main_metric
from ppa_plugin.evaluation.tables import percent
from ppa_plugin.evaluation.tasks import TASKS

ALL, SHARED = "mean", "mean, shared targets"
Label = Callable[[Column], str]
# mean, deviation over seeds and mark of significance, by model and column
Figures = dict[tuple[str, Column], tuple[float, float | None, str]]


@dataclass(frozen=True)
class Block:
    """Columns of one table with the targets of its group; `label` says what the columns are of."""

    name: str
    title: str
    columns: tuple[Column, ...]
    targets: tuple[str, ...]
    label: Label

    def part(self, column: Column) -> list[Column]:
        """The columns that differ from `column` in the source only."""
        return [other for other in self.columns if other[:2] == column[:2]]


def main_blocks(measured: Measured, group: Group, groups: list[Group]) -> list[Block]:
    """A table a kind of task, by the main metric of each; tasks that are not known here have one of their own."""
    kinds: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for task in measured.tasks:
        kinds[TASKS[task].kind if task in TASKS else task].append((task, main_metric(measured.metrics(task))))
    return _blocks(measured, group, groups, kinds, lambda c: f"{c.task}, {c.metric}")


def other_blocks(measured: Measured, group: Group, groups: list[Group]) -> list[Block]:
    """A table a task, of the metrics that are not its main one."""
    rest = {task: [(task, metric) for metric in measured.metrics(task)[1:]] for task in measured.tasks}
    titled = {f"{task}, other metrics": parts for task, parts in rest.items()}
    return _blocks(measured, group, groups, titled, lambda c: c.metric)


def _blocks(
    measured: Measured, group: Group, groups: list[Group], tables: dict[str, list[tuple[str, str]]], label: Label
) -> list[Block]:
    """A block for each table that has a column, from the tasks and metrics of each by its title."""
    blocks = []
    for title, parts in tables.items():
        columns, targets = [], {}
        for task, metric in parts:
            sources = sources_of(group, groups, (c.source for c in measured.targets if c[:2] == (task, metric)))
            for column in (Column(task, metric, source) for source in sources):
                if found := group.targets(measured.targets[column]):
                    columns.append(column)
                    targets |= dict.fromkeys(found)
        if columns:
            name = slug(group.name, title.replace(", ", "_").replace(" ", "_"))
            ordered = tuple(group.targets(targets))
            blocks.append(Block(name, f"{group.name}: {title}", tuple(columns), ordered, label))
    return blocks


def main_table(measured: Measured, block: Block) -> Grid:
    """Every target and model, then the means; the best model of a cell bold, the best source of a model underlined."""
    models = measured.models_of(block.columns, block.targets)
    rows: list[Row] = []
    for target in block.targets:
        cells = {(model, column): measured.cell(model, column, target) for model in models for column in block.columns}
        rows += _rows(block, models, target, {key: (cell.mean, cell.std, "") for key, cell in cells.items() if cell})
    means = average_rows(measured, block, baseline=None)
    return _grid(block, "", ("target", "model"), (*rows, *means), _shared_notes(measured, block))


def average_table(measured: Measured, block: Block, baseline: str | None) -> Grid:
    """The means alone, a model a row, as the paper's tables of ablations; marked where they differ from `baseline`."""
    notes = _shared_notes(measured, block)
    if baseline is not None:
        notes.append(
            f"† p < 0.05, ‡ p < 0.01: differs from {baseline}, by a paired bootstrap over targets and seeds "
            f"({significance.RESAMPLES:,} resamples, two-sided, not corrected for the number of comparisons; "
            f"no mark with fewer than {significance.FEWEST_PAIRS} pairs of target and seed, "
            f"no ‡ with fewer than {significance.FEWEST_PAIRS_AT_1_PERCENT})."
        )
    grid = _grid(block, "averages", ("over", "model"), average_rows(measured, block, baseline), notes)
    return replace(grid, title=f"{block.title}, averages over targets")


def target_sets(measured: Measured, block: Block) -> dict[str, dict[Column, list[str]]]:
    """The targets of each mean, by its label and column.

    `ALL`: targets that no model lacks from that source. `SHARED`: those that no model lacks from any source of the
    task; left out where it is the same or there are none.
    """
    own = {column: measured.common_targets([column], block.targets) for column in block.columns}
    shared = {column: measured.common_targets(block.part(column), block.targets) for column in block.columns}
    sets = {ALL: own}
    if shared != own and any(shared.values()):
        sets[SHARED] = shared
    return sets


def average_rows(measured: Measured, block: Block, baseline: str | None) -> list[Row]:
    """Means of every model over each set of targets, with the number of targets below."""
    models = measured.models_of(block.columns, block.targets)
    rows = []
    for label, targets in target_sets(measured, block).items():
        figures: Figures = {}
        for model in models:
            for column in block.columns:
                # a model without a single value in the column is no part of it: its targets say nothing of the model
                if targets[column] and measured.models_of([column], block.targets).count(model):
                    differences = paired_differences(measured, model, baseline, column, targets[column])
                    mean, spread = measured.mean(model, column, targets[column])
                    figures[model, column] = (mean, spread, significance.mark(differences))
        comparable = {c for c in block.columns if len({tuple(targets[other]) for other in block.part(c)}) == 1}
        rows += _rows(block, models, label, figures, comparable)
        counts = tuple(Cell(str(len(targets[column]))) for column in block.columns)
        rows.append(Row((label, "targets"), counts, summary=True))
    return [replace(row, summary=True) for row in rows]


def paired_differences(
    measured: Measured, model: str, baseline: str | None, column: Column, targets: list[str]
) -> numpy.ndarray | None:
    """(targets, seeds) of model minus baseline over the seeds that both have; (targets, 1) of means without such.

    None where there is nothing to pair: no baseline, or none that was measured in the same way.
    """
    baseline = measured.counterpart(model, baseline, column.task)
    if baseline is None or baseline not in measured.models_of([column], targets):
        return None
    ours, theirs = (measured.by_target_and_seed(m, column, targets) for m in (model, baseline))
    seeds = [seed for seed in ours if seed in theirs]
    if seeds:
        return numpy.array([numpy.subtract(ours[seed], theirs[seed]) for seed in seeds]).T
    pairs = [(measured.cell(model, column, t).mean, measured.cell(baseline, column, t).mean) for t in targets]
    return numpy.array([[a - b] for a, b in pairs])


def _rows(
    block: Block, models: list[str], label: str, figures: Figures, comparable: Iterable[Column] | None = None
) -> list[Row]:
    """A row a model that has any value, the first one ruled off from what stands above."""
    values = {key: mean for key, (mean, _, _) in figures.items()}
    bold = best(values, lambda key: key[1])
    sources = {key: value for key, value in values.items() if comparable is None or key[1] in comparable}
    underlined = best(sources, lambda key: (key[0], key[1][:2]))
    rows = []
    for model in models:
        cells = []
        for key in ((model, column) for column in block.columns):
            mean, spread, mark = figures.get(key, (None, None, ""))
            shown = "" if spread is None else percent(spread)
            cells.append(Cell(percent(mean), shown, mark, key in bold, key in underlined))
        if any(cell.text != MISSING for cell in cells):
            rows.append(Row((label, model), tuple(cells), rule=not rows))
    return rows


def best(values: dict[Hashable, float], among: Callable[[Hashable], Hashable]) -> set[Hashable]:
    """The keys of the highest values of each set that `among` names, as they are printed: equal figures win together.

    A set of one has no best.
    """
    rivals: dict[Hashable, dict[Hashable, float]] = defaultdict(dict)
    for key, value in values.items():
        rivals[among(key)][key] = float(percent(value))
    several = [shown for shown in rivals.values() if len(shown) > 1]
    return {key for shown in several for key, value in shown.items() if value == max(shown.values())}


def script_labels(columns: Iterable[Column]) -> dict[Column, str]:
    """The script of each source, or its whole code where two sources of a task share a script."""
    scripts = {column: script_of(column.source) for column in columns}
    counts = Counter((column.task, column.metric, script) for column, script in scripts.items())
    return {c: c.source if counts[c.task, c.metric, script] > 1 else script for c, script in scripts.items()}


def _grid(block: Block, suffix: str, stub: tuple[str, ...], rows: Iterable[Row], notes: list[str]) -> Grid:
    spans = [(label, len(list(run))) for label, run in groupby(map(block.label, block.columns))]
    labels = script_labels(block.columns)
    return Grid(
        slug(block.name, suffix),
        block.title,
        stub,
        tuple(labels[column] for column in block.columns),
        tuple(rows),
        tuple(spans),
        tuple(note for note in notes if note),
    )


def _shared_notes(measured: Measured, block: Block) -> list[str]:
    labels, languages = script_labels(block.columns), defaultdict(dict)
    for column in block.columns:
        if labels[column] != column.source:
            languages[labels[column]].setdefault(column.source, {})[column.task] = None
    meanings = []
    for script, found in languages.items():
        sources = [f"{source} ({', '.join(tasks)})" for source, tasks in found.items()] if len(found) > 1 else found
        meanings.append(f"{script} = {', '.join(sources)}")
    sets = target_sets(measured, block)
    notes = [f"Sources: {'; '.join(meanings)}."] if meanings else []
    notes.append(_seeds(measured, block))
    notes.append(
        f"A {ALL} is over the targets that no model lacks from that source"
        + (f"; {SHARED}: that no model lacks from any source of the task." if SHARED in sets else ".")
    )
    return [*notes, _own_sources(sets[ALL]), _emphasis(measured.models_of(block.columns, block.targets), block)]


def _own_sources(targets: dict[Column, list[str]]) -> str:
    """Which means have their source among their targets; empty where none has."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for column in targets:
        if column.source in targets[column]:
            found[column.source][column.task] = None
    shown = "; ".join(f"{source} ({', '.join(tasks)})" for source, tasks in found.items())
    return f"A mean includes the source itself, which is no transfer, from: {shown}." if shown else ""


def _seeds(measured: Measured, block: Block) -> str:
    """How many seeds stand behind the cells of each task, empty where nothing is drawn."""
    counts: dict[str, set[int]] = defaultdict(set)
    for (_, column, target), cell in measured.items():
        if column in block.columns and target in block.targets and None not in cell.values:
            counts[column.task].add(len(cell.values))
    parts = [f"{task} {min(found)}" + (f" to {max(found)}" if len(found) > 1 else "") for task, found in counts.items()]
    return f"Seeds a cell: {', '.join(parts)}." if parts else ""


def _emphasis(models: list[str], block: Block) -> str:
    parts = ["Values in percent"]
    if len(models) > 1:
        parts.append("bold: the best model of a column")
    if any(len(block.part(column)) > 1 for column in block.columns):
        parts.append("underlined: the best source of a model")
    return "; ".join([*parts, "±: standard deviation over seeds, where there are several."])
