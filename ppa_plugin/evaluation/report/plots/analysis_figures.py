"""Plots of the analyses: script probe by layer, sentence vectors in two dimensions coloured by script."""

from ppa_plugin.codes import script_of
from ppa_plugin.evaluation.report.analysis_tables import names, probe_curves
from ppa_plugin.evaluation.report.grid import Picture
from ppa_plugin.evaluation.report.plots import drawing
from ppa_plugin.evaluation.report.plots.drawing import plt
from ppa_plugin.evaluation.report.plots.model_names import shortened


def probe_plot(records: list[dict]) -> list[Picture]:
    """Accuracy of the script probe by layer, a line a model; nothing where no model was probed at two layers."""
    curves = probe_curves(records)
    if not any(len(curve) > 1 for curve in curves.values()):
        return []
    with plt.rc_context(drawing.STYLE):
        figure, axes = plt.subplots(figsize=(5.6, 3.2))
        said = drawing.lines(axes, curves, marker=3)
        for number, chance in enumerate(sorted({record["chance"] for record in records})):
            drawing.level(axes, chance, "chance" if number == 0 else None)
        axes.set_xlabel("layer")
        axes.set_ylabel("accuracy of the probe (%)")
        drawing.rule_across(axes)
        drawing.legend_below(figure, *axes.get_legend_handles_labels(), *said)
        files = drawing.rendered(figure)
    note = "The lower, the less a linear classifier can read the script off a sentence vector."
    return [Picture("script_probe", "Script probe by layer", note, files)]


def projection_plot(records: list[dict]) -> list[Picture]:
    """Sentence vectors of the models side by side, coloured by script; a row of panels a layer."""
    if not records:
        return []
    panels = list(dict.fromkeys(names(records)))
    labels, said = shortened(panels)
    layers = sorted({record["layer"] for record in records})
    scripts = sorted({script_of(label) for record in records for label in record["labels"]})
    with plt.rc_context(drawing.STYLE):
        size = (max(4.2, 0.6 + 3.1 * len(panels)), 0.7 + 3.0 * len(layers))
        figure, axes = plt.subplots(len(layers), len(panels), figsize=size, squeeze=False)
        for panel in axes.flat:
            panel.set_visible(False)
        for name, record in zip(names(records), records, strict=True):
            panel = axes[layers.index(record["layer"]), panels.index(name)]
            _scatter(panel, record, scripts)
            panel.set_title(drawing.wrapped(f"{labels[name]}, layer {record['layer']}", 2.8, drawing.TITLE))
        drawing.head(figure, said)
        handles = [plt.Line2D([], [], linestyle="", markersize=5, **_look(k)) for k in range(len(scripts))]
        drawing.legend_below(figure, handles, scripts)
        files = drawing.rendered(figure)
    methods = ", ".join(dict.fromkeys(record["method"].upper() for record in records))
    note = f"Each point is a sentence ({methods}, fitted for each model alone); colours are scripts."
    return [Picture("projection", "Sentence vectors in two dimensions", note, files)]


def _look(place: int) -> dict[str, str]:
    """The points of the script at `place`."""
    return {"color": drawing.colour(place), "marker": drawing.of_round(drawing.POINTS, place)}


def _scatter(panel, record: dict, scripts: list[str]) -> None:
    panel.set_visible(True)
    for place, script in enumerate(scripts):
        points = [p for p, label in zip(record["points"], record["labels"], strict=True) if script_of(label) == script]
        if points:
            panel.scatter(*zip(*points, strict=True), s=7, linewidths=0, alpha=0.65, **_look(place))
    panel.set_xticks([])
    panel.set_yticks([])
    panel.spines[:].set_visible(True)
    panel.spines[:].set_color(drawing.GREY)
