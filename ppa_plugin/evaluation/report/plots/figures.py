"""Plots of results: gains over a baseline, accuracy by training step and by layer."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import fmean

import numpy

from ppa_plugin.evaluation.report.grid import Picture, slug
from ppa_plugin.evaluation.report.groups import Group, source_order
from ppa_plugin.evaluation.report.measured import Column, Measured, main_metric
from ppa_plugin.evaluation.report.paper_tables import Block, script_labels
from ppa_plugin.evaluation.report.plots import drawing
from ppa_plugin.evaluation.report.plots.drawing import plt
from ppa_plugin.evaluation.results import Result
from ppa_plugin.evaluation.variants import Variant, Way, distinct, natural, row_names, step_of, variant_of, way_of

# What one picture of gains holds, so that it can be read on paper: more targets and tasks go on in another one.
GAIN_ROWS, GAIN_COLUMNS = 40, 16

# A curve: value (0 to 1) by layer or step.
Curve = dict[int, float]


def gain_maps(measured: Measured, blocks: list[Block], group: Group, baseline: str) -> list[Picture]:
    """A heat map a model: points gained over the baseline, by target and source, of every task's main metric."""
    columns = [column for block in blocks for column in block.columns]
    targets = group.targets(target for block in blocks for target in block.targets)
    gains = {}
    for model in measured.models:
        values = [[_gain(measured, model, baseline, c, t) for c in columns] for t in targets]
        values = 100 * numpy.array(values, dtype=float)
        if numpy.isfinite(values).any():
            gains[model] = values
    if not gains:
        return []
    # one scale for all models; the few largest gains may not wash out the rest
    limit = max(1.0, float(numpy.nanpercentile(numpy.abs([*gains.values()]), 98)))
    return [
        picture
        for model, values in gains.items()
        for picture in _gain_pictures(group, model, baseline, _parts(values, columns, targets), limit)
    ]


def _gain_pictures(group: Group, model: str, baseline: str, parts: list[tuple], limit: float) -> list[Picture]:
    """One picture a part, numbered where there are several."""
    several = len(parts) > 1
    return [
        Picture(
            slug(group.name, "gain", model, "over", baseline, f"{number}" if several else ""),
            f"{group.name}: gain of {model} over {baseline}" + (f" ({number} of {len(parts)})" if several else ""),
            "Points of the main metric of each task, mean over seeds; all models of the group share one scale.",
            _heat_map(*part, limit, f"{model} − {baseline}"),
        )
        for number, part in enumerate(parts, 1)
    ]


def _parts(values: numpy.ndarray, columns: list[Column], targets: list[str]) -> list[tuple]:
    """Values with their columns and targets, without lines that are empty, in parts that a page holds."""
    there = numpy.isfinite(values)
    across, down = numpy.flatnonzero(there.any(axis=0)), numpy.flatnonzero(there.any(axis=1))
    rows = numpy.array_split(down, -(-len(down) // GAIN_ROWS))
    return [
        (values[numpy.ix_(row, part)], [columns[i] for i in part], [targets[i] for i in row])
        for part in _of_whole_tasks(across, columns)
        for row in rows
    ]


def _of_whole_tasks(places: Iterable[int], columns: list[Column]) -> list[list[int]]:
    """Columns in as few parts as hold them, a task in one part where it fits."""
    tasks: dict[str, list[int]] = defaultdict(list)
    for place in places:
        tasks[columns[place].task].append(place)
    parts: list[list[int]] = [[]]
    for found in tasks.values():
        if parts[-1] and len(parts[-1]) + len(found) > GAIN_COLUMNS:
            parts.append([])
        parts[-1] += found
        while len(parts[-1]) > GAIN_COLUMNS:
            parts[-1:] = [parts[-1][:GAIN_COLUMNS], parts[-1][GAIN_COLUMNS:]]
    return parts


def _gain(measured: Measured, model: str, baseline: str, column: Column, target: str) -> float | None:
    counterpart = measured.counterpart(model, baseline, column.task)
    if counterpart is None:
        return None
    ours, theirs = measured.cell(model, column, target), measured.cell(counterpart, column, target)
    return ours.mean - theirs.mean if ours and theirs else None


def _heat_map(
    values: numpy.ndarray, columns: list[Column], targets: list[str], limit: float, title: str
) -> dict[str, bytes]:
    heads = {column.task: drawing.wrapped(column.task, 1.0, 8, lines=1) for column in columns}
    # the name of a task is over its columns, and not over those beside it
    per_column = [(0.1 + 0.075 * len(heads[task])) / n for task, n in Counter(c.task for c in columns).items()]
    with plt.rc_context(drawing.STYLE):
        size = (max(4.0, 1.7 + max(0.36, *per_column) * len(columns)), 1.6 + 0.25 * len(targets))
        figure, axes = plt.subplots(figsize=size, layout="constrained")
        mesh = axes.pcolormesh(
            numpy.ma.masked_invalid(values), cmap="PuOr_r", vmin=-limit, vmax=limit, edgecolors="none"
        )
        for (row, place), value in numpy.ndenumerate(values):
            known = numpy.isfinite(value)
            ink = drawing.GREY if not known else "#ffffff" if abs(value) > 0.62 * limit else "#1a1a1a"
            shown = _short_number(value) if known else "–"
            axes.text(place + 0.5, row + 0.5, shown, ha="center", va="center", fontsize=7, color=ink)
        labels = script_labels(columns)
        sources = [drawing.wrapped(labels[c], 1.0, 7.5, lines=1) for c in columns]
        axes.set_xticks([i + 0.5 for i in range(len(columns))], sources, rotation=90, fontsize=7.5)
        names = [drawing.wrapped(target, 1.2, drawing.NAME, lines=1) for target in targets]
        axes.set_yticks([i + 0.5 for i in range(len(targets))], names, fontsize=drawing.NAME)
        axes.invert_yaxis()
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        _head_tasks(axes, columns, heads)
        bar = figure.colorbar(mesh, ax=axes, pad=0.015, aspect=18, label="points")
        bar.outline.set_visible(False)
        drawing.head(figure, title)
        return drawing.rendered(figure)


def _short_number(value: float) -> str:
    """A gain in the width of a cell: 0.4, −3.1, 27."""
    text = f"{value:.1f}" if abs(value) < 9.95 else f"{value:.0f}"
    return "0.0" if float(text) == 0 else text.replace("-", "−")


def _head_tasks(axes, columns: list[Column], heads: dict[str, str]) -> None:
    """The name of each task over its columns, and a line between tasks."""
    start = 0
    for end in range(1, len(columns) + 1):
        if end == len(columns) or columns[end].task != columns[start].task:
            axes.annotate(
                heads[columns[start].task],
                ((start + end) / 2, 1),
                xycoords=axes.get_xaxis_transform(),
                xytext=(0, 4),  # points, however high the plot is
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize=8,
            )
            if end < len(columns):
                axes.axvline(end, color=drawing.INK, linewidth=0.9)
            start = end


def step_curves(results: Iterable[Result], measured: Measured, group: Group, baseline: str | None) -> list[Picture]:
    """Accuracy against training step for models measured at several steps, a plot a task; the baseline as a line."""
    pictures = []
    for (task, metric), lines in _curves(results, group, step_of).items():
        levels = {}
        for source, targets in lines.targets.items():
            column = Column(task, metric, source)
            ways = {lines.ways[name] for name, of in lines.curves if of == source}
            row = measured.baseline_row(baseline, task, ways.pop()) if len(ways) == 1 else None
            if row is not None and all(measured.cell(row, column, target) for target in targets):
                levels[source] = measured.mean(row, column, targets)[0]
        files = _line_panels(lines.curves, "training step", f"{metric} (%)", levels, baseline)
        title = f"{group.name}: {task} by training step"
        note = f"Mean over the targets that no step of any line lacks: {lines.counts()}."
        pictures.append(Picture(slug(group.name, task, metric, "steps"), title, note, files))
    return pictures


def layer_curves(results: Iterable[Result], group: Group) -> list[Picture]:
    """Accuracy at each layer for models measured at several, a plot a task."""
    pictures = []
    for (task, metric), lines in _curves(results, group, lambda result: result.layer).items():
        files = _line_panels(lines.curves, "layer", f"{metric} (%)")
        title = f"{group.name}: {task} by layer"
        note = f"Mean over the targets that no layer of any line lacks: {lines.counts()}. Layer 0: the embeddings."
        pictures.append(Picture(slug(group.name, task, metric, "layers"), title, note, files))
    return pictures


@dataclass(frozen=True)
class Lines:
    """The curves of one task by (name, source), all those of a source over the same targets; how each was measured."""

    curves: dict[tuple[str, str], Curve]
    targets: dict[str, list[str]]
    ways: dict[str, Way]

    def counts(self) -> str:
        """How many targets stand behind the lines."""
        return ", ".join(
            f"{len(self.targets[source])} from {source}" for source in sorted(self.targets, key=source_order)
        )


def _series(
    results: Iterable[Result], place: Callable[[Result], int | None]
) -> dict[tuple[str, str], dict[str, list[Result]]]:
    """Results that have a place, by (task, metric) and name; what was measured differently are different lines."""
    placed = [result for result in distinct(results) if place(result) is not None]
    names = row_names((result.task, _line(result)) for result in placed)
    series: dict[tuple[str, str], dict[str, list[Result]]] = defaultdict(lambda: defaultdict(list))
    for result in placed:
        series[result.task, result.metric][names[result.task, _line(result)]].append(result)
    return series


def _line(result: Result) -> Variant:
    """What the line of a result is of: the layer may be what it runs along, and each step has weights of its own."""
    variant = variant_of(result)
    weights = variant.model_sha256 if step_of(result) is None else ""
    return Variant(variant.model, weights, variant.way._replace(layer=None))


def _mains(series: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    metrics: dict[str, list[str]] = defaultdict(list)
    for task, metric in series:
        metrics[task].append(metric)
    return [(task, main_metric(found)) for task, found in metrics.items()]


def _curves(
    results: Iterable[Result], group: Group, place: Callable[[Result], int | None]
) -> dict[tuple[str, str], Lines]:
    """Lines of two places or more by task and main metric, over those targets of the group that all of them have."""
    found = {}
    series = _series(results, place)
    for task, metric in _mains(series):
        curves, targets = {}, {}
        ways = {name: way_of(of_name[0]) for name, of_name in series[task, metric].items()}
        for source, models in _by_source(series[task, metric], group, place).items():
            common = set.intersection(*(set(cells) for places in models.values() for cells in places.values()))
            if common:
                targets[source] = sorted(common)
                for model, places in models.items():
                    means = {
                        at: fmean(fmean(cells[t]) for t in targets[source]) for at, cells in sorted(places.items())
                    }
                    curves[model, source] = means
        if curves:
            found[task, metric] = Lines(curves, targets, ways)
    return found


def _by_source(
    series: dict[str, list[Result]], group: Group, place: Callable[[Result], int | None]
) -> dict[str, dict[str, dict[int, dict[str, list[float]]]]]:
    """Values by source, model, place and target; models with a single place are left out."""
    values: dict = defaultdict(lambda: defaultdict(lambda: defaultdict(lambda: defaultdict(list))))
    for model, results in series.items():
        wanted = set(group.targets(result.target for result in results))
        for result in results:
            if result.target in wanted:
                values[result.source][model][place(result)][result.target].append(result.value)
    several = {
        source: {model: places for model, places in models.items() if len(places) > 1}
        for source, models in values.items()
    }
    return {source: models for source, models in several.items() if models}


def _line_panels(
    curves: dict[tuple[str, str], Curve],
    across: str,
    up: str,
    levels: dict[str, float] | None = None,
    baseline: str | None = None,
) -> dict[str, bytes]:
    """A panel a source with a line a model, all on one scale."""
    sources = sorted({source for _, source in curves}, key=source_order)
    models = sorted({model for model, _ in curves}, key=natural)
    with plt.rc_context(drawing.STYLE):
        wide = min(len(sources), 4)
        high = -(-len(sources) // wide)
        figure, axes = plt.subplots(
            high,
            wide,
            figsize=(max(4.6, 1.4 + 2.2 * wide), 0.6 + 2.5 * high),
            sharey=True,
            squeeze=False,
            layout="constrained",
        )
        for panel, source in zip(axes.flat, sources, strict=False):
            for place, model in enumerate(models):
                curve = curves.get((model, source), {})
                panel.plot(
                    list(curve),
                    [100 * v for v in curve.values()],
                    marker="o",
                    markersize=2.6,
                    linewidth=1.3,
                    color=drawing.colour(place),
                    label=drawing.shown(model),
                )
            if source in (levels or {}):
                panel.axhline(
                    100 * levels[source], color=drawing.GREY, linewidth=1, linestyle="--", label=drawing.shown(baseline)
                )
            panel.set_title(drawing.wrapped(f"from {source}", 2.0, drawing.TITLE))
            panel.set_xlabel(across)
            panel.grid(axis="y", color=drawing.GREY, alpha=0.25, linewidth=0.6)
        for panel in list(axes.flat)[len(sources) :]:
            panel.set_visible(False)
        for row in axes:
            row[0].set_ylabel(drawing.wrapped(up, 2.2, 9))
        handles = {}
        for panel in axes.flat:
            for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
                handles.setdefault(label, handle)
        drawing.legend_below(figure, [*handles.values()], [*handles])
        return drawing.rendered(figure)
