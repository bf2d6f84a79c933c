"""Heat maps of languages: what a report opens with, and the gains over a baseline by target and source."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy

from ppa_plugin.codes import script_of
from ppa_plugin.evaluation.report.grid import Picture, Section, packed, slug
from ppa_plugin.evaluation.report.groups import Group, source_order
from ppa_plugin.evaluation.report.measured import Column, Measured, main_metric
from ppa_plugin.evaluation.report.paper_tables import Block, script_labels
from ppa_plugin.evaluation.report.plots import drawing
from ppa_plugin.evaluation.report.plots.drawing import plt
from ppa_plugin.evaluation.report.plots.model_names import shortened, trainings

# What one map holds, so that it can be read on paper: more targets and tasks go on in another one.
GAIN_ROWS, GAIN_COLUMNS = 40, 16
# Languages that the overview has a row each for; of more, each script has one.
OVERVIEW_ROWS = 80
MEAN = "mean"


@dataclass(frozen=True)
class Heat:
    """Values (rows, columns) in points or percent, NaN where there is none; `heads` stand over equal neighbours.

    The first row is a mean where it is called so; the others are languages or scripts.
    """

    values: numpy.ndarray
    rows: tuple[str, ...]
    heads: tuple[str, ...]
    columns: tuple[str, ...]

    def cut(self, rows: Iterable[int], columns: Iterable[int]) -> "Heat":
        """These rows and columns, in this order, without rows that are empty."""
        rows, columns = list(rows), list(columns)
        rows = [row for row in rows if numpy.isfinite(self.values[row, columns]).any()]
        return Heat(
            self.values[numpy.ix_(rows, columns)],
            tuple(self.rows[row] for row in rows),
            tuple(self.heads[column] for column in columns),
            tuple(self.columns[column] for column in columns),
        )

    def filled(self) -> "Heat":
        """Without rows and columns that are empty."""
        return self.cut(range(len(self.rows)), numpy.flatnonzero(numpy.isfinite(self.values).any(axis=0)))


@dataclass(frozen=True)
class Scale:
    """The colours of values from `low` to `high`, what is counted, and how a value is written in its cell."""

    colours: str
    low: float
    high: float
    label: str
    written: Callable[[float], str]

    @classmethod
    def of_gains(cls, maps: Iterable[numpy.ndarray]) -> "Scale":
        """One scale for several maps, white at zero; the few largest gains may not wash out the rest."""
        values = numpy.abs(numpy.concatenate([values.ravel() for values in maps]))
        limit = max(1.0, float(numpy.nanpercentile(values, 98)))
        return cls("PuOr_r", -limit, limit, "points", _signed)

    def ink(self, value: float) -> str:
        """The colour of what is written on the colour of a value."""
        strength = abs(value) / self.high if self.low else value / self.high
        return "#ffffff" if strength > 0.62 else "#1a1a1a"


def overview(measured: Measured, groups: list[Group], baseline: str | None) -> Section:
    """What a report opens with: maps of languages, ordered by script, and their mean, by model and task.

    A map a task, or a map a model where these are fewer. Gains over the baseline; where there is none, or nothing was
    measured as it was, the main metric itself.
    """
    found = {target for targets in measured.targets.values() for target in targets}
    targets = sorted({target for group in groups for target in group.targets(found)}, key=source_order)
    heats = _overview_heats(measured, targets, baseline) if baseline is not None else {}
    if heats:
        title, what = f"Gain over {baseline}", f"gain over {baseline}, points"
        scale = Scale.of_gains(heat.values for heat in heats.values())
        note = f"Points gained over {baseline}; orange: better, white: no change, purple: worse."
    else:
        title, what, note = "Every model", "percent", "Percent; the darker, the better."
        note += f" Nothing was measured as {baseline} was, so there are no gains." if baseline is not None else ""
        heats = _overview_heats(measured, targets, None)
        highest = max((float(numpy.nanmax(heat.values)) for heat in heats.values()), default=0)
        scale = Scale("Blues", 0, max(1, highest), "%", "{:.1f}".format)
    note += " Mean over seeds, and over sources and languages that no model lacks; one scale for all."
    if len(targets) > OVERVIEW_ROWS:
        note += f" More than {OVERVIEW_ROWS} languages are shown as the means of their scripts."
    pictures = [_overview_picture(name, what, heat, scale) for name, heat in heats.items()]
    return Section(f"{title}, by language and task", (*pictures, note) if pictures else ())


def _overview_picture(name: str, what: str, heat: Heat, scale: Scale) -> Picture:
    title = f"{name}: {what}"
    first = ", ".join(
        f"{column} {scale.written(value)}"
        for column, value in zip(heat.columns, heat.values[0], strict=True)
        if numpy.isfinite(value)
    )
    alt = f"{title}, by language. {heat.rows[0]}: {first}."
    return Picture(slug("overview", name.split(",")[0]), title, "", _drawn(heat, scale, title), alt)


def _overview_heats(measured: Measured, targets: list[str], baseline: str | None) -> dict[str, Heat]:
    """Maps that have a value by their name; without a baseline of values, not of gains."""
    mains = [(task, main_metric(measured.metrics(task))) for task in measured.tasks]
    columns = [[column for column in measured.targets if column[:2] == main] for main in mains]
    values = numpy.array([100 * _shared_mean(_values(measured, each, targets, baseline)) for each in columns])
    rows = tuple(targets)
    if len(targets) > 1:
        means = numpy.array([[_shared_mean(of_task)] for of_task in values])
        if len(targets) > OVERVIEW_ROWS:
            rows, values = _by_script(targets, values)
        rows, values = (MEAN, *rows), numpy.concatenate([means, values], axis=1)
    tasks, (models, values) = tuple(map(", ".join, mains)), _by_training(measured.models, values)
    known = numpy.isfinite(values).any(axis=1)
    if known.any(axis=0).sum() < known.any(axis=1).sum():
        tasks, models, values = models, tasks, values.transpose(2, 1, 0)
    heats = {
        name: Heat(of_name, rows, ("",) * len(models), models).filled()
        for name, of_name in zip(tasks, values, strict=True)
    }
    return {name: heat for name, heat in heats.items() if heat.rows}


def _values(measured: Measured, columns: list[Column], targets: list[str], baseline: str | None) -> numpy.ndarray:
    """Gains or values (columns, targets, models), as shares."""
    values = [[[_value(measured, m, baseline, c, t) for m in measured.models] for t in targets] for c in columns]
    return numpy.array(values, dtype=float).reshape(len(columns), len(targets), len(measured.models))


def _by_training(models: list[str], values: numpy.ndarray) -> tuple[tuple[str, ...], numpy.ndarray]:
    """What is shown of models, along the last axis, and its values: those that differ in their seed alone are one."""
    known = numpy.isfinite(values)
    shown_as_one = trainings(models, lambda model: known[..., models.index(model)].tobytes())
    means = [values[..., [models.index(model) for model in seeds]].mean(axis=-1) for seeds in shown_as_one.values()]
    return tuple(shown_as_one), numpy.stack(means, axis=-1)


def _value(measured: Measured, model: str, baseline: str | None, column: Column, target: str) -> float | None:
    """The gain over the baseline, or the value where no baseline is asked for."""
    ours = measured.cell(model, column, target)
    if baseline is None:
        return ours.mean if ours else None
    counterpart = measured.counterpart(model, baseline, column.task)
    theirs = measured.cell(counterpart, column, target) if counterpart is not None else None
    return ours.mean - theirs.mean if ours and theirs else None


def _shared_mean(values: numpy.ndarray) -> numpy.ndarray:
    """Means over the first axis, sources or targets, of those that no model, along the last axis, lacks."""
    there = numpy.isfinite(values)
    shared = (there | ~there.any(axis=0)).all(axis=-1, keepdims=True)
    number = shared.sum(axis=0)
    return numpy.where(shared, values, 0).sum(axis=0) / numpy.where(number, number, numpy.nan)


def _by_script(targets: list[str], values: numpy.ndarray) -> tuple[tuple[str, ...], numpy.ndarray]:
    """Scripts, and means over their languages (tasks, scripts, models)."""
    scripts = numpy.array([script_of(target) for target in targets])
    names = tuple(dict.fromkeys(scripts.tolist()))
    return names, numpy.array([[_shared_mean(of_task[scripts == name]) for name in names] for of_task in values])


def gain_maps(measured: Measured, blocks: list[Block], group: Group, baseline: str) -> list[Picture]:
    """A heat map a model: points gained over the baseline, by target and source, of every task's main metric."""
    columns = [column for block in blocks for column in block.columns]
    targets = group.targets(target for block in blocks for target in block.targets)
    labels = script_labels(columns)
    heads, sources = tuple(c.task for c in columns), tuple(labels[c] for c in columns)
    models, values = _by_training(measured.models, 100 * _values(measured, columns, targets, baseline))
    heats = [Heat(of_model, tuple(targets), heads, sources).filled() for of_model in values.transpose(2, 1, 0)]
    gains = {model: heat for model, heat in zip(models, heats, strict=True) if heat.rows}
    if not gains:
        return []
    scale = Scale.of_gains(heat.values for heat in gains.values())
    return [picture for model, heat in gains.items() for picture in _gain_pictures(group, model, baseline, heat, scale)]


def _gain_pictures(group: Group, model: str, baseline: str, heat: Heat, scale: Scale) -> list[Picture]:
    """One picture a part that a page holds, of whole tasks where they fit, numbered where there are several."""
    rows = numpy.array_split(range(len(heat.rows)), -(-len(heat.rows) // GAIN_ROWS))
    tasks = [list(run) for _, run in groupby(range(len(heat.heads)), heat.heads.__getitem__)]
    parts = [heat.cut(row, columns) for columns in packed(tasks, GAIN_COLUMNS) for row in rows]
    several = len(parts) > 1
    return [
        Picture(
            slug(group.name, "gain", model, "over", baseline, f"{number}" if several else ""),
            f"{group.name}: gain of {model} over {baseline}" + (f" ({number} of {len(parts)})" if several else ""),
            "Points of the main metric of each task, mean over seeds; all models of the group share one scale.",
            _drawn(part, scale, f"{model} − {baseline}"),
        )
        for number, part in enumerate(parts, 1)
    ]


def _drawn(heat: Heat, scale: Scale, title: str) -> dict[str, bytes]:
    """The map in its formats."""
    down, across = heat.values.shape
    # the name of a task is over its columns, and not over those beside it
    heads = Counter(heat.heads)
    needed = max((0.1 + 0.075 * len(_head(head))) / number for head, number in heads.items())
    cell = max(min(2.3 / across, 1.1), 0.36) if len(heads) == 1 else max(0.36, needed)
    high = min(0.25, max(0.15, 7.5 / down))  # one that a screen shows the most of
    with plt.rc_context(drawing.STYLE):
        names, turned, said = _column_names(heat.columns, cell)
        above = max(drawing.width(line, 7.5) for name in names for line in name.split("\n")) if turned else 0
        size = (max(3.4 if len(heads) == 1 else 4.0, 1.4 + cell * across), max(1.6, 1.0 + above) + max(1, high * down))
        figure, axes = plt.subplots(figsize=size)
        mesh = _paint(axes, heat.values, scale, 8 if min(cell, 2 * high) > 0.45 else 7)
        rows = [drawing.wrapped(row, 1.2, drawing.NAME, lines=1) for row in heat.rows]
        axes.set_yticks([i + 0.5 for i in range(down)], rows, fontsize=drawing.NAME)
        axes.set_xticks([i + 0.5 for i in range(across)], names, rotation=90 if turned else 0, fontsize=7.5)
        axes.invert_yaxis()
        _set_heads(axes, heat.heads, cell)
        _rule_rows(axes, heat)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        share = min(1.0, 2.2 / (high * down))  # of a high map, at its top
        bar = figure.colorbar(mesh, ax=axes, pad=0.015, aspect=18, label=scale.label, shrink=share, anchor=(0, 1))
        bar.outline.set_visible(False)
        drawing.head(figure, title, said)
        return drawing.rendered(figure)


def _paint(axes, values: numpy.ndarray, scale: Scale, size: int):
    """The cells in their colours with their values, a dash where there is none; what a colour bar is made of."""
    known = numpy.ma.masked_invalid(values)
    mesh = axes.pcolormesh(known, cmap=scale.colours, vmin=scale.low, vmax=scale.high, edgecolors="none")
    for (row, place), value in numpy.ndenumerate(values):
        missing = not numpy.isfinite(value)
        shown, ink = ("–", drawing.GREY) if missing else (scale.written(value), scale.ink(value))
        axes.text(place + 0.5, row + 0.5, shown, ha="center", va="center", fontsize=size, color=ink)
    return mesh


def _column_names(columns: tuple[str, ...], cell: float) -> tuple[list[str], bool, str]:
    """Names without the path that they share, in lines; whether they are turned, as they are wider than a cell.

    And what is to be said of them. `cell` is in inches.
    """
    labels, said = shortened(columns)
    names = [labels[column] for column in columns]
    turned = not all(name.isascii() and 0.089 * len(name) < cell for name in names)
    lines = int(cell / 0.14) if turned else 1
    return [drawing.wrapped(name, 1.3, 7.5, lines) for name in names], turned, said


def _set_heads(axes, heads: tuple[str, ...], cell: float) -> None:
    """Each head over its columns, and a line between heads.

    Where there is one, the names of columns are above too: there a screen begins.
    """
    if len(set(heads)) == 1:
        axes.xaxis.tick_top()
        axes.xaxis.set_label_position("top")
        axes.set_xlabel(_head(heads[0], max(1.0, cell * len(heads))), fontsize=8)
        return
    end = 0
    for head, run in groupby(heads):
        start, end = end, end + len(list(run))
        place = {"xy": ((start + end) / 2, 1), "xycoords": axes.get_xaxis_transform()}
        above = {"xytext": (0, 4), "textcoords": "offset points"}  # however high the plot is
        axes.annotate(_head(head), **place, **above, ha="center", va="bottom", fontsize=8)
        if end < len(heads):
            axes.axvline(end, color=drawing.INK, linewidth=0.9)


def _head(text: str, inches: float = 1.0) -> str:
    return drawing.wrapped(text, inches, 8, lines=1)


def _rule_rows(axes, heat: Heat) -> None:
    """A line under the mean, where there is one; a gap between scripts."""
    for place, (above, row) in enumerate(pairwise(heat.rows), 1):
        if above == MEAN:
            axes.axhline(place, color=drawing.INK, linewidth=0.9)
        elif script_of(above) != script_of(row):
            axes.axhline(place, color="#ffffff", linewidth=1.6)


def _signed(value: float) -> str:
    """A gain in the width of a cell: +0.4, −3.1, +27."""
    text = f"{value:+.1f}" if abs(value) < 9.95 else f"{value:+.0f}"
    return "0.0" if float(text) == 0 else text.replace("-", "−")
