"""Results as tables: a target language a row, means over targets below, models or metrics side by side."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean

from ppa_plugin.codes import is_latin
from ppa_plugin.commandline import UserError, align
from ppa_plugin.evaluation.results import Result
from ppa_plugin.evaluation.tasks import metric_order, task_order
from ppa_plugin.evaluation.variants import distinct, natural, row_names, variant_of


@dataclass(frozen=True)
class Table:
    """Values (0 to 1) by target and column. A cell that was not measured is absent."""

    task: str
    source: str
    metric: str | None
    columns: list[str]
    values: dict[str, dict[str, float]]

    @property
    def title(self) -> str:
        """Task, source and, where the columns are models, metric."""
        return ", ".join(part for part in (self.task, f"from {self.source}", self.metric) if part)

    @property
    def targets(self) -> list[str]:
        return sorted(self.values)

    def means(self) -> dict[str, dict[str, float]]:
        """Means over targets, and over those not in the Latin script, by column; only of targets that no column lacks.

        Columns would not compare otherwise: a model measured on easy targets alone would come out best.
        """
        whole = self._whole
        chosen = {"mean": whole, "mean, non-Latin script": [t for t in whole if not is_latin(t)]}
        return {
            f"{label} ({len(targets)})": {c: fmean(self.values[t][c] for t in targets) for c in self.columns}
            for label, targets in chosen.items()
            if targets
        }

    @property
    def note(self) -> str:
        """What is to be said below the means: that the source is one of their targets. Empty where it is not."""
        return f"The mean includes {self.source} itself: no transfer." if self.source in self._whole else ""

    @property
    def _whole(self) -> list[str]:
        return [t for t in self.targets if all(column in self.values[t] for column in self.columns)]

    def rows(self) -> list[tuple[str, list[float | None]]]:
        """Every line of the table: targets, then means."""
        lines = [*((target, self.values[target]) for target in self.targets), *self.means().items()]
        return [(label, [cells.get(column) for column in self.columns]) for label, cells in lines]


def pivot(results: Iterable[Result], column: str, baseline: str | None = None) -> list[Table]:
    """Tables of results: with `column` "model" one per task, source and metric; with "metric" one per task and source.

    Seeds are averaged; of a measurement made twice, the mean counts. A model measured in several ways becomes several
    columns that say so; `baseline`, a model or one of these columns, comes first. The order of results decides nothing.
    Raises `UserError` where the values of one row were measured on different versions of its data.
    """
    counting = distinct(results)
    check_data(counting)
    names = row_names((result.task, variant_of(result)) for result in counting)
    by_model = column == "model"
    cells: dict[tuple, dict[str, dict[str, list[float]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    columns: dict[tuple, dict[str, tuple]] = defaultdict(dict)
    for result in counting:
        group = (result.task, result.source, result.metric if by_model else None)
        name = names[result.task, variant_of(result)] if by_model else result.metric
        order = (baseline not in (result.model, name), natural(name)) if by_model else metric_order(result.metric)
        columns[group][name] = order
        cells[group][result.target][name].append(result.value)
    return [
        Table(
            *group,
            sorted(columns[group], key=columns[group].get),
            {t: {c: fmean(v) for c, v in row.items()} for t, row in cells[group].items()},
        )
        for group in sorted(cells, key=lambda group: (metric_order(group[2] or ""), task_order(group[0]), group[1]))
    ]


def to_text(table: Table) -> str:
    """A table for the terminal, values in percent."""
    rows = [[label, *map(percent, values)] for label, values in table.rows()]
    return "\n".join([table.title, *align([["target", *table.columns], *rows]), *filter(None, [table.note])])


def check_data(results: Iterable[Result]) -> None:
    """Raise `UserError` where two results of one task, source and target are of different versions of its data."""
    seen: dict[tuple, Result] = {}
    for result in results:
        first = seen.setdefault((result.task, result.source, result.target), result)
        if first.data_sha256 != result.data_sha256:
            raise UserError(
                f"{first.model} and {result.model} were measured on different versions of {result.task} "
                f"{result.source} to {result.target} (data_sha256 differs); measure one of them again"
            )


def percent(value: float | None) -> str:
    """A share in percent with one decimal."""
    return "–" if value is None else f"{100 * value:.1f}"
