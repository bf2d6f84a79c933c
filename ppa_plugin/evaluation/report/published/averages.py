"""Published averages and the cells that they are of: which follow from them, and over which targets they are."""

from collections import defaultdict
from collections.abc import Iterable
from statistics import fmean
from typing import NamedTuple

from ppa_plugin.evaluation.report.grid import MISSING, Cell, Grid, Row
from ppa_plugin.evaluation.report.published.facts import MEAN, Published
from ppa_plugin.evaluation.tables import percent

# How far (0 to 1) a printed average may be from the mean of its cells. Its own rounding to a tenth of a point makes
# half a tenth; that of five to ten cells moves their mean by a hundredth more (its standard deviation).
ROUNDING = 0.0006
_FLOAT = 1e-9  # percentages with one decimal are no exact numbers

Place = tuple[str, str, str, str, str]  # group, task, metric, model, source


class Differing(NamedTuple):
    """A printed average that does not follow from the cells of its own table, whose mean is `computed`."""

    printed: Published
    computed: float
    elsewhere: tuple[Published, ...]  # what other tables print for it


def place(figure: Published) -> Place:
    """What an average and its cells share."""
    return (figure.group, figure.task, figure.metric, figure.model, figure.source)


def cells_by_place(figures: Iterable[Published]) -> dict[Place, dict[str, float]]:
    """The cells of each average, by target, from whichever table has them."""
    cells: dict[Place, dict[str, float]] = defaultdict(dict)
    for figure in figures:
        if figure.target != MEAN:
            cells[place(figure)].setdefault(figure.target, figure.value)
    return cells


def follows(printed: float, cells: Iterable[float]) -> bool:
    """Whether an average is, but for rounding, the mean of these cells."""
    return abs(fmean(cells) - printed) <= ROUNDING + _FLOAT


def differing_averages(figures: Iterable[Published]) -> list[Differing]:
    """The averages that do not follow from the cells of their own table, in the order of the file."""
    figures = list(figures)
    averages, cells = defaultdict(list), defaultdict(list)
    for figure in figures:
        (averages[place(figure)] if figure.target == MEAN else cells[figure.table, *place(figure)]).append(figure)
    found = []
    for printed in (figure for of_place in averages.values() for figure in of_place):
        own = [cell.value for cell in cells.get((printed.table, *place(printed)), ())]
        if own and not follows(printed.value, own):
            elsewhere = tuple(other for other in averages[place(printed)] if other.table != printed.table)
            found.append(Differing(printed, fmean(own), elsewhere))
    return found


def known_targets(figures: Iterable[Published]) -> dict[Place, list[str]]:
    """The targets that the averages from a source are over, with an empty model; only where one follows from its cells.

    Where none does, the file may hold some of the cells only, and these say nothing of the others.
    """
    figures = list(figures)
    cells, known = cells_by_place(figures), {}
    for figure in figures:
        own = cells.get(place(figure))
        if figure.target == MEAN and own and follows(figure.value, own.values()):
            known.setdefault(any_model(figure), list(own))
    return known


def any_model(figure: Published) -> Place:
    """The place of a figure whatever its model."""
    return place(figure._replace(model=""))


def differing_table(found: list[Differing]) -> Grid:
    """The averages that do not follow from their cells, a line each."""
    rows = []
    for printed, computed, elsewhere in found:
        others = ", ".join(f"{other.table} {percent(other.value)}" for other in elsewhere) or MISSING
        cells = (Cell(f"{100 * (computed + _FLOAT):.2f}"), Cell(percent(printed.value)), Cell(others))
        opens = not rows or rows[-1].labels[0] != printed.table
        rows.append(Row((printed.table, printed.task, printed.source, printed.model), cells, rule=opens))
    notes = (
        f"Averages of the files given as --paper that are more than {100 * ROUNDING:.2f} points from the mean of the "
        "cells in their own table, in percent: more than rounding does.",
    )
    title = "Printed averages that do not follow from their own cells"
    columns = ("mean of the cells", "printed", "in other tables")
    return Grid("published_averages", title, ("table", "task", "source", "model"), columns, tuple(rows), (), notes)
