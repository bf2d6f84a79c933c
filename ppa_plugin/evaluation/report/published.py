"""Published numbers beside a run: a CSV of facts, compared cell by cell."""

import csv
from typing import NamedTuple

from ppa_plugin.codes import canonical
from ppa_plugin.commandline import UserError, quoted
from ppa_plugin.evaluation.report.grid import Cell, Grid, Row, slug
from ppa_plugin.evaluation.report.groups import EVERYTHING, Group, source_order
from ppa_plugin.evaluation.report.measured import Column, Measured
from ppa_plugin.evaluation.tables import percent
from ppa_plugin.files import read_lines


class Published(NamedTuple):
    """One published figure; `value` 0 to 1 (percent in the file), `target` a language or `mean`."""

    group: str
    table: str
    task: str
    metric: str
    model: str
    source: str
    target: str
    value: float


FIELDS = Published._fields
MEAN = "mean"
Figures = dict[tuple[str, str, str], float]  # by model, source and target


def read_published(path: str) -> list[Published]:
    """Figures of a CSV file with the columns of `FIELDS`; lines that start with # are comments.

    Raises `UserError`, naming file and line, for missing or unknown columns, a wrong number of fields, a code that is
    none, a value that is no percentage, and a figure given twice.
    """
    header, found = None, {}
    for number, line in enumerate(read_lines(path), 1):
        line = line.removesuffix("\r")
        if not line.strip() or line.startswith("#"):
            continue
        try:
            (cells,) = csv.reader([line], strict=True)
        except (csv.Error, ValueError):
            raise UserError(f"{path}, line {number}: not a line of CSV") from None
        if header is None:
            header = [cell.strip() for cell in cells]
            if sorted(header) != sorted(FIELDS):
                raise UserError(f"{path}, line {number}: the columns have to be {','.join(FIELDS)}")
            continue
        row = _row(path, number, header, cells)
        first, _ = found.setdefault(row[:-1], (number, row))
        if first != number:
            raise UserError(f"{path}, line {number}: the figure of line {first} again")
    if not found:
        raise UserError(f"{path} holds no published figures; its columns have to be {','.join(FIELDS)}")
    return [row for _, row in found.values()]


def _row(path: str, number: int, header: list[str], cells: list[str]) -> Published:
    if len(cells) != len(header):
        raise UserError(f"{path}, line {number}: {len(cells)} fields, {len(header)} columns")
    given = dict(zip(header, map(str.strip, cells), strict=True))
    empty = [name for name in FIELDS if not given[name]]
    if empty:
        raise UserError(f"{path}, line {number}: {empty[0]} is empty; leave out figures that are not known")
    for name in ("source", "target"):
        code = canonical(given[name])
        if code is None and not (name == "target" and given[name] == MEAN):
            raise UserError(
                f"{path}, line {number}: {name} {quoted(given[name])} is not a language code such as fas_Arab"
            )
        given[name] = code or MEAN
    try:
        value = float(given["value"])
    except ValueError:
        value = -1.0
    if not 0 <= value <= 100:
        raise UserError(f"{path}, line {number}: value {quoted(given['value'])} is not a percentage from 0 to 100")
    return Published(**{**given, "value": value / 100})


def comparisons(measured: Measured, published: list[Published], groups: list[Group]) -> list[Grid]:
    """A table for each published one and task: its figures, the run's, and the difference for models of one name."""
    parts: dict[tuple[str, str, str, str], list[Published]] = {}
    for row in published:
        parts.setdefault(row[:4], []).append(row)
    return [_comparison(measured, rows, _group(name, groups)) for (name, *_), rows in parts.items()]


def _group(name: str, groups: list[Group]) -> Group | None:
    """The group of the run with the published group's name; all languages where the run has no groups."""
    if groups == [EVERYTHING]:
        return EVERYTHING
    return next((group for group in groups if _plain(group.name) == _plain(name)), None)


def _plain(name: str) -> str:
    """Letters and digits of a name: `Mediterranean-Amharic-Farsi` is `mediterranean_amharic_farsi`."""
    return "".join(c for c in name.lower() if c.isalnum())


def _comparison(measured: Measured, rows: list[Published], group: Group | None) -> Grid:
    first = rows[0]
    columns = [Column(first.task, first.metric, s) for s in sorted({row.source for row in rows}, key=source_order)]
    targets = sorted({row.target for row in rows}, key=lambda target: (target == MEAN, target))
    figures = {(row.model, row.source, row.target): row.value for row in rows}
    found = {column: group.targets(measured.targets.get(column, ())) if group else [] for column in columns}
    common = {column: measured.common_targets([column], found[column]) for column in columns}
    run = _of_run(measured, found, common)
    return Grid(
        slug("published", first.group, first.table.replace(" ", "-"), first.task, first.metric),
        f"{first.group}, {first.table}: {first.task}, {first.metric}",
        ("target", "model", ""),
        tuple(column.source for column in columns),
        tuple(row for target in targets for row in _target_rows(target, columns, figures, run)),
        notes=_notes(common if MEAN in targets else {}, first, group),
    )


def _of_run(measured: Measured, found: dict[Column, list[str]], common: dict[Column, list[str]]) -> Figures:
    """The run's values on the targets found; a mean is over those that no model lacks."""
    values = {}
    for column, targets in found.items():
        for model in measured.models_of([column], targets):
            if common[column]:
                values[model, column.source, MEAN] = measured.mean(model, column, common[column])[0]
            cells = {target: measured.cell(model, column, target) for target in targets}
            values |= {(model, column.source, target): cell.mean for target, cell in cells.items() if cell}
    return values


def _target_rows(target: str, columns: list[Column], figures: Figures, run: Figures) -> list[Row]:
    models = dict.fromkeys(model for model, _, t in [*figures, *run] if t == target)
    rows = []
    for model in models:
        theirs = [figures.get((model, column.source, target)) for column in columns]
        ours = [run.get((model, column.source, target)) for column in columns]
        gains = [b - a if a is not None and b is not None else None for a, b in zip(theirs, ours, strict=True)]
        kinds = (("published", theirs, percent), ("this run", ours, percent), ("difference", gains, signed))
        for label, values, shown in kinds:
            if any(value is not None for value in values):
                cells = tuple(Cell(shown(value)) for value in values)
                rows.append(Row((target, model, label), cells, rule=not rows, summary=target == MEAN))
    return rows


def signed(value: float | None) -> str:
    """A difference in points with its sign."""
    if value is None:
        return percent(None)
    text = f"{100 * value:+.1f}"
    return "0.0" if float(text) == 0 else text.replace("-", "−")


def _notes(common: dict[Column, list[str]], first: Published, group: Group | None) -> tuple[str, ...]:
    """`common` are the targets of the run's means by column; none where no mean was published."""
    notes = ["Values and differences in percent; a difference is this run minus the published figure."]
    if group is None:
        notes.append(f"--groups has no group {first.group}: nothing of this run stands here.")
    elif common:
        shown = ", ".join(f"{column.source} {len(found)}" for column, found in common.items() if found)
        if shown:
            notes.append(f"Targets in this run's means (that none of its models lacks): {shown}.")
        if group is EVERYTHING:
            notes.append("They are all languages of the run; --groups keeps to those of the published group.")
        own = ", ".join(column.source for column, found in common.items() if column.source in found)
        if own:
            notes.append(f"One of them is the source itself, which is no transfer, from: {own}.")
    return tuple(notes)
