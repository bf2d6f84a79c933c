"""Curves of results: accuracy by training step and by layer."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import fmean

from ppa_plugin.evaluation.report.grid import Picture, slug
from ppa_plugin.evaluation.report.groups import Group, source_order
from ppa_plugin.evaluation.report.measured import Column, Measured, main_metric
from ppa_plugin.evaluation.report.plots import drawing
from ppa_plugin.evaluation.report.plots.drawing import plt
from ppa_plugin.evaluation.report.plots.model_names import of_seeds, shortened, trainings
from ppa_plugin.evaluation.results import Result
from ppa_plugin.evaluation.variants import Variant, Way, distinct, natural, row_names, step_of, variant_of, way_of

# A curve: value (0 to 1) by layer or step; and what gives a result's layer or step.
Curve = dict[int, float]
Place = Callable[[Result], int | None]


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
        files = _line_panels(lines.curves, "layer", f"{metric} (%)", {}, None)
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
        sources = sorted(self.targets, key=source_order)
        return ", ".join(f"{len(self.targets[source])} from {source}" for source in sources)


def _line(result: Result) -> Variant:
    """What the line of a result is of: the layer may be what it runs along, and each step has weights of its own."""
    variant = variant_of(result)
    weights = variant.model_sha256 if step_of(result) is None else ""
    return Variant(variant.model, weights, variant.way._replace(layer=None))


def _curves(results: Iterable[Result], group: Group, place: Place) -> dict[tuple[str, str], Lines]:
    """Lines of two places or more by task and main metric, over those targets of the group that all of them have.

    What was measured differently are different lines; results without a place are passed over.
    """
    placed = [result for result in distinct(results) if place(result) is not None]
    names = row_names((result.task, _line(result)) for result in placed)
    tasks = dict.fromkeys(result.task for result in placed)
    mains = [(task, main_metric([result.metric for result in placed if result.task == task])) for task in tasks]
    found = {}
    for main in mains:
        curves, targets, ways = {}, {}, {}
        values: dict = defaultdict(lambda: defaultdict(lambda: defaultdict(lambda: defaultdict(list))))
        measured = [result for result in placed if (result.task, result.metric) == main]
        wanted = set(group.targets(result.target for result in measured))
        for result in measured:
            name = names[result.task, _line(result)]
            ways.setdefault(name, way_of(result))
            if result.target in wanted:
                values[result.source][name][place(result)][result.target].append(result.value)
        for source, lines in values.items():
            several = {name: sorted(places.items()) for name, places in lines.items() if len(places) > 1}
            of_each = [set(cells) for places in several.values() for _, cells in places]
            if of_each and (common := sorted(set.intersection(*of_each))):
                targets[source] = common
                for name, places in several.items():
                    curves[name, source] = {at: fmean(fmean(cells[t]) for t in common) for at, cells in places}
        if curves:
            found[main] = Lines(curves, targets, ways)
    return found


def _line_panels(
    curves: dict[tuple[str, str], Curve], across: str, up: str, levels: dict[str, float], baseline: str | None
) -> dict[str, bytes]:
    """A panel a source with a line a model, all on one scale; `levels` are the baseline's shares by source.

    Models that differ in their seed alone are one line, with a band.
    """
    sources = sorted({source for _, source in curves}, key=source_order)
    models = sorted({model for model, _ in curves}, key=natural)
    shown_as_one = trainings(models, lambda model: tuple(tuple(curves.get((model, of), ())) for of in sources))
    labels, path = shortened([*shown_as_one, *([baseline] if levels else [])])
    with plt.rc_context(drawing.STYLE):
        wide = min(len(sources), 4)
        high = -(-len(sources) // wide)
        size = (max(4.6, 1.4 + 2.2 * wide), 0.6 + 2.5 * high)
        figure, axes = plt.subplots(high, wide, figsize=size, sharey=True, squeeze=False)
        for panel, source in zip(axes.flat, sources, strict=False):
            for place, (name, seeds) in enumerate(shown_as_one.items()):
                of_source = [curves.get((model, source), {}) for model in seeds]
                drawing.line(panel, of_source, place, labels[name], marker=2.6)
            if source in levels:
                drawing.level(panel, levels[source], drawing.shown(labels[baseline]))
            panel.set_title(drawing.wrapped(f"from {source}", 2.0, drawing.TITLE))
            panel.set_xlabel(across)
            drawing.rule_across(panel)
        for panel in list(axes.flat)[len(sources) :]:
            panel.set_visible(False)
        for row in axes:
            row[0].set_ylabel(drawing.wrapped(up, 2.2, 9))
        handles = {}
        for panel in axes.flat:
            for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
                handles.setdefault(label, handle)
        drawing.legend_below(figure, [*handles.values()], [*handles], path, of_seeds(shown_as_one, drawing.BAND))
        return drawing.rendered(figure)
