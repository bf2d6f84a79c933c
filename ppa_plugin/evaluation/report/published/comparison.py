"""A published table of one task beside a run's figures, as a table of the report."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby

from ppa_plugin.evaluation.report.grid import Cell, Grid, Row, slug
from ppa_plugin.evaluation.report.groups import EVERYTHING, Group
from ppa_plugin.evaluation.report.measured import Column
from ppa_plugin.evaluation.report.published.facts import MEAN, Published
from ppa_plugin.evaluation.tables import percent

# Differences of more than so many points are bold.
MARKED = 1.0
PUBLISHED, RECOMPUTED, RUN, DIFFERENCE = "published", "recomputed", "this run", "difference"
Figures = dict[tuple[str, Column, str], float]  # by model, column and target


@dataclass(frozen=True)
class Comparison:
    """One published table of one task, beside the run: figures of both by published name of model, column and target.

    `targets` are those of the run's means by column. `paper` are those of the published averages, where they are known.
    """

    first: Published
    group: Group | None
    columns: list[Column]
    published: Figures
    run: Figures
    recomputed: Figures  # published means over `targets`, or over all of `paper` where the run has none
    targets: dict[Column, list[str]]
    paper: dict[Column, list[str]]
    renamed: dict[str, str] = field(default_factory=dict)  # the run's names of models that the paper writes otherwise
    doubtful: frozenset[tuple[str, Column]] = frozenset()  # averages that do not follow from their cells

    @property
    def models(self) -> list[str]:
        """The published models, then those of the run alone."""
        return list(dict.fromkeys(model for model, *_ in [*self.published, *self.run]))

    @property
    def matched(self) -> list[str]:
        """The models that both have."""
        theirs, ours = ({model for model, *_ in figures} for figures in (self.published, self.run))
        return [model for model in self.models if model in theirs & ours]

    def difference(self, model: str, column: Column, target: str) -> float | None:
        """This run minus the published figure; of means, minus the one over the same targets where that is known."""
        key = (model, column, target)
        theirs, ours = self.recomputed.get(key, self.published.get(key)), self.run.get(key)
        return None if theirs is None or ours is None or key not in self.published else ours - theirs

    def grid(self) -> Grid:
        """The table: targets as they are published, the means last; a line a model and figure."""
        targets = sorted(dict.fromkeys(target for *_, target in self.published), key=MEAN.__eq__)
        first = self.first
        return Grid(
            slug("published", first.group, first.table.replace(" ", "-"), first.task, first.metric),
            f"{first.group}, {first.table}: {first.task}, {first.metric}",
            ("target", "model", ""),
            tuple(column.source for column in self.columns),
            tuple(row for target in targets for row in self._rows(target)),
            notes=tuple(self._notes(MEAN in targets)),
        )

    def _rows(self, target: str) -> list[Row]:
        rows = []
        for model in self.models:
            for label, cells in self._lines(model, target).items():
                # a target that a model of both was not measured on is a line of dashes
                asked = label == RUN and rows and rows[-1].labels[1] == model and model in self.matched
                if asked or any(cell != Cell() for cell in cells):
                    rows.append(Row((target, model, label), cells, rule=not rows, summary=target == MEAN))
        return rows

    def _lines(self, model: str, target: str) -> dict[str, tuple[Cell, ...]]:
        keys = [(model, column, target) for column in self.columns]
        gains = [self.difference(*key) for key in keys]
        marks = ["†" if target == MEAN and key[:2] in self.doubtful else "" for key in keys]
        return {
            PUBLISHED: tuple(
                Cell(percent(self.published.get(key)), mark=mark) for key, mark in zip(keys, marks, strict=True)
            ),
            RECOMPUTED: tuple(Cell(percent(self.recomputed.get(key))) for key in keys),
            RUN: tuple(Cell(percent(self.run.get(key))) for key in keys),
            DIFFERENCE: tuple(map(difference_cell, gains)),
        }

    def _notes(self, has_means: bool) -> Iterable[str]:
        """What has to be known to read the table."""
        yield "Values and differences in percent; a difference is this run minus the published figure."
        if self.group is None:
            yield f"--groups has no group {self.first.group}: nothing of this run stands here."
        if self.matched:
            yield bold_note()
        elif self.group is not None:
            theirs = ", ".join(dict.fromkeys(model for model, *_ in self.published))
            yield f"This run has no model of these names with figures here: {theirs}."
        if self.renamed:
            yield f"This run's {', '.join(f'{ours} stands as {name}' for ours, name in self.renamed.items())}."
        if has_means:
            yield from self._notes_on_means()
        if self.doubtful:
            yield "† An average that does not follow from the cells of its table; all such are listed apart."

    def _notes_on_means(self) -> Iterable[str]:
        if self.recomputed:
            yield (
                "Recomputed: the mean of the published cells over the targets of this run's mean, or over all of them "
                "where it has none; the difference is from it."
            )
        if self.group is None:
            return
        counts = [
            f"{column.source} {len(found)}" + (f" of {len(self.paper[column])}" if column in self.paper else "")
            for column, found in self.targets.items()
            if found
        ]
        if counts:
            models = "the models of both" if self.matched and self.paper else "its models here"
            yield f"Targets in this run's means (that none of {models} lacks): {', '.join(counts)}."
        own = {column: found for column, found in self.targets.items() if column not in self.paper}
        if self.group is EVERYTHING and any(own.values()):
            sources = "" if len(own) == len(self.columns) else f" from {', '.join(column.source for column in own)}"
            yield f"They are all languages of the run{sources}; --groups keeps to those of the published group."
        if sources := ", ".join(column.source for column in own if column.source in own[column]):
            yield f"One of them is the source itself, which is no transfer, from: {sources}."


def summary(found: Iterable[Comparison]) -> list[Grid]:
    """A table a published group: differences of means, of models that both have, from the first table that has them."""
    groups: dict[str, dict[tuple[str, Column], float]] = defaultdict(dict)
    for comparison in found:
        for model, column in ((model, column) for model in comparison.matched for column in comparison.columns):
            difference = comparison.difference(model, column, MEAN)
            if difference is not None:
                groups[comparison.first.group].setdefault((model, column), difference)
    return [_summary_of(group, differences) for group, differences in groups.items()]


def _summary_of(group: str, differences: dict[tuple[str, Column], float]) -> Grid:
    found = dict.fromkeys(column for _, column in differences)
    tasks = list(dict.fromkeys(column[:2] for column in found))
    columns = sorted(found, key=lambda column: tasks.index(column[:2]))
    models = dict.fromkeys(model for model, _ in differences)
    rows = [Row((m,), tuple(difference_cell(differences.get((m, column))) for column in columns)) for m in models]
    return Grid(
        slug("published", group, "averages"),
        f"{group}: averages over targets, this run minus the published",
        ("model",),
        tuple(column.source for column in columns),
        tuple(rows),
        tuple((f"{task}, {metric}", len(list(run))) for (task, metric), run in groupby(columns, lambda c: c[:2])),
        (f"In points; over which targets, the tables below say. {bold_note()}",),
    )


def difference_cell(value: float | None) -> Cell:
    """A difference (0 to 1) in points with its sign, bold beyond `MARKED` as it is printed."""
    return Cell(signed(value), bold=value is not None and abs(float(f"{100 * value:.1f}")) > MARKED)


def bold_note() -> str:
    """What bold differences are."""
    return f"Bold: a difference of more than {MARKED:g} point{'s' if MARKED != 1 else ''}."


def signed(value: float | None) -> str:
    """A difference in points with its sign."""
    if value is None:
        return percent(None)
    text = f"{100 * value:+.1f}"
    return "0.0" if float(text) == 0 else text.replace("-", "−")
