"""What of a run stands beside which published figures: tables, models, targets."""

from collections import defaultdict
from collections.abc import Iterable
from statistics import fmean

from ppa_plugin.evaluation.report.groups import EVERYTHING, Group, source_order
from ppa_plugin.evaluation.report.measured import Column, Measured
from ppa_plugin.evaluation.report.published.averages import (
    any_model,
    cells_by_place,
    differing_averages,
    known_targets,
    place,
)
from ppa_plugin.evaluation.report.published.comparison import Comparison, Figures
from ppa_plugin.evaluation.report.published.facts import MEAN, Published


def comparisons(measured: Measured, published: list[Published], groups: list[Group]) -> list[Comparison]:
    """A comparison for each published table and task, in the order of the file.

    Models are the same where their names are, but for capitals and what is neither letter nor digit: `mlm_seq` is
    `MLM+SEQ`. Models of the run that the paper has in none of its tables stand in the fullest one of a task and group.
    """
    paper = _Paper(published)
    return [_comparison(measured, paper, figures, groups) for figures in paper.tables.values()]


class _Paper:
    """Published figures by table and task, and what all of them together say."""

    def __init__(self, published: list[Published]):
        self.tables: dict[tuple[str, str, str, str], list[Published]] = defaultdict(list)
        for figure in published:
            self.tables[figure[:4]].append(figure)
        self.models = list(dict.fromkeys(figure.model for figure in published))
        self.targets = known_targets(published)
        self.cells = cells_by_place(published)
        self.doubtful = {found.printed for found in differing_averages(published)}

    def is_fullest(self, figures: list[Published]) -> bool:
        """Whether no table of the same group and task has more cells of a model, and none as many before it."""
        group, _, *task = figures[0][:4]
        rivals = [other for (g, _, *t), other in self.tables.items() if (g, t) == (group, task)]
        return figures is max(rivals, key=lambda other: len({(figure.source, figure.target) for figure in other}))


def _comparison(measured: Measured, paper: _Paper, figures: list[Published], groups: list[Group]) -> Comparison:
    by_column = {_column(figure): figure for figure in figures}
    columns = sorted(by_column, key=lambda column: source_order(column.source))
    known = {column: paper.targets[key] for column in columns if (key := any_model(by_column[column])) in paper.targets}
    group = _group(figures[0].group, groups)
    names = _names(measured, paper, figures)
    found = {column: _targets(measured, column, group, known.get(column)) for column in columns}
    both = [row for row, name in names.items() if name in {figure.model for figure in figures}]
    common = {c: _common(measured, both if c in known and both else names, c, found[c]) for c in columns}
    return Comparison(
        first=figures[0],
        group=group,
        columns=columns,
        published={(figure.model, _column(figure), figure.target): figure.value for figure in figures},
        run=_of_run(measured, names, found, common),
        recomputed=_recomputed(paper, figures, {c: common[c] or targets for c, targets in known.items()}),
        targets=common,
        paper=known,
        renamed={row: name for row, name in names.items() if row != name},
        doubtful=frozenset((f.model, _column(f)) for f in figures if f in paper.doubtful),
    )


def _column(figure: Published) -> Column:
    return Column(figure.task, figure.metric, figure.source)


def _names(measured: Measured, paper: _Paper, figures: list[Published]) -> dict[str, str]:
    """The run's rows that stand in a table of these figures, with the name that they stand under."""
    alike = {name: [row for row in measured.models if _same(row, name)] for name in paper.models}
    called = {rows[0]: name for name, rows in alike.items() if len(rows) == 1}
    called |= {name: name for name in paper.models if name in measured.models}
    here, fullest = {figure.model for figure in figures}, paper.is_fullest(figures)
    shown = {}
    for row in measured.models:
        # a row of a model that was measured in several ways has another name
        of = {name for name in paper.models if row in alike[name] or measured.is_of(row, name)}
        if of & here or (fullest and not of):
            shown[row] = called.get(row, row)
    return shown


def _same(row: str, name: str) -> bool:
    return row == name or plain(row) == plain(name) != ""


def _targets(measured: Measured, column: Column, group: Group | None, paper: list[str] | None) -> list[str]:
    """The targets of the run that count: those of the published averages where they are known, else of the group."""
    if group is None:
        return []
    found = group.targets(measured.targets.get(column, ()))
    return found if paper is None else [target for target in found if target in paper]


def _common(measured: Measured, rows: Iterable[str], column: Column, targets: list[str]) -> list[str]:
    """Targets that none of these rows lacks, of those that have any."""
    having = [row for row in measured.models_of([column], targets) if row in rows]
    return [target for target in targets if having and all(measured.cell(row, column, target) for row in having)]


def _of_run(
    measured: Measured, names: dict[str, str], found: dict[Column, list[str]], common: dict[Column, list[str]]
) -> Figures:
    """The run's values on the targets found, and means over the common ones, of rows that have them all."""
    values: Figures = {}
    for column, targets in found.items():
        for row, name in names.items():
            cells = {target: cell for target in targets if (cell := measured.cell(row, column, target))}
            values |= {(name, column, target): cell.mean for target, cell in cells.items()}
            if common[column] and all(target in cells for target in common[column]):
                values[name, column, MEAN] = measured.mean(row, column, common[column])[0]
    return values


def _recomputed(paper: _Paper, figures: list[Published], targets: dict[Column, list[str]]) -> Figures:
    """The means of the published cells over some targets, for the published means whose cells the file has."""
    means: Figures = {}
    for figure in figures:
        cells, over = paper.cells.get(place(figure), {}), targets.get(_column(figure), [])
        if figure.target == MEAN and over and all(target in cells for target in over):
            means[figure.model, _column(figure), MEAN] = fmean(cells[target] for target in over)
    return means


def _group(name: str, groups: list[Group]) -> Group | None:
    """The group of the run with the published group's name; all languages where the run has no groups."""
    if groups == [EVERYTHING]:
        return EVERYTHING
    return next((group for group in groups if plain(group.name) == plain(name)), None)


def plain(name: str) -> str:
    """Letters and digits of a name: `Mediterranean-Amharic-Farsi` is `mediterranean_amharic_farsi`."""
    return "".join(c for c in name.lower() if c.isalnum())
