"""Plots of how well tokens are aligned: accuracy by layer, and maps of one sentence and its romanization."""

from collections import defaultdict
from collections.abc import Iterable

import numpy

from ppa_plugin.evaluation.report.grid import Picture, slug
from ppa_plugin.evaluation.report.plots import drawing
from ppa_plugin.evaluation.report.plots.drawing import plt
from ppa_plugin.evaluation.report.plots.model_names import shortened
from ppa_plugin.evaluation.report.token_tables import Lines

_CELL, _BESIDE = 0.19, 1.0  # inches of a cell, and of the names beside the cells


def layer_plots(lines: Iterable[Lines]) -> list[Picture]:
    """Accuracy by layer, a line a model; nothing of a text where no model was measured at two layers."""
    drawn = [of_text for of_text in lines if any(len(curve) > 1 for curve in of_text.curves.values())]
    return [Picture(of_text.name, of_text.title, of_text.note, _by_layer(of_text)) for of_text in drawn]


def _by_layer(lines: Lines) -> dict[str, bytes]:
    with plt.rc_context(drawing.STYLE):
        figure, axes = plt.subplots(figsize=(5.6, 3.2))
        said = drawing.lines(axes, lines.curves, marker=3)
        drawing.level(axes, lines.chance, "chance")
        axes.set_xlabel("layer")
        axes.set_ylabel("found (%)")
        axes.set_ylim(bottom=0)
        drawing.rule_across(axes)
        drawing.legend_below(figure, *axes.get_legend_handles_labels(), *said)
        return drawing.rendered(figure)


def map_pictures(records: list[dict]) -> list[Picture]:
    """A picture a sentence: how alike its blocks and those of its romanization are, the models side by side."""
    sentences: dict[tuple, dict[str, dict]] = defaultdict(dict)
    for record in records:
        sentence = (record["task"], record["language"], *record["orig"])
        sentences[sentence][f"{record['model']}, layer {record['layer']}"] = record
    return [_map_picture(task, language, panels) for (task, language, *_), panels in sentences.items()]


def _map_picture(task: str, language: str, panels: dict[str, dict]) -> Picture:
    title = f"One sentence and its romanization: {task}, {language}"
    note = (
        "Cosines of the blocks of a sentence, down, and of its romanization, across; a block belongs to the one on the "
        "diagonal. A dot is on the nearest one of each row."
    )
    found = "; ".join(f"{name}: {_on_diagonal(panel)} of {len(panel['orig'])}" for name, panel in panels.items())
    alt = f"{title}. Blocks whose nearest one is their own: {found}."
    return Picture(slug("token_map", task, language), title, f"{note} On the diagonal: {found}.", _drawn(panels), alt)


def _on_diagonal(panel: dict) -> int:
    cosines = numpy.array(panel["cosines"])
    return int((cosines.argmax(axis=1) == numpy.arange(len(cosines))).sum())


def _drawn(panels: dict[str, dict]) -> dict[str, bytes]:
    """A panel a model, all on one scale of colours."""
    blocks = len(next(iter(panels.values()))["orig"])
    inches = max(2.6, _CELL * blocks + _BESIDE)
    wide = max(1, min(len(panels), int(drawing.WIDEST / inches)))
    high = -(-len(panels) // wide)
    lowest = min(min(map(min, panel["cosines"])) for panel in panels.values())
    lowest = lowest if lowest < 1 else 0  # a scale has two ends
    labels, said = shortened(panels)
    with plt.rc_context(drawing.STYLE):
        figure, axes = plt.subplots(high, wide, figsize=(wide * inches + 0.6, high * inches), squeeze=False)
        for panel in axes.flat[len(panels) :]:
            panel.set_visible(False)
        for panel, (name, record) in zip(axes.flat, panels.items(), strict=False):
            mesh = _paint(panel, record, lowest)
            panel.set_title(drawing.wrapped(labels[name], inches - 0.4, drawing.TITLE))
        drawing.head(figure, said)
        bar = figure.colorbar(mesh, ax=axes, aspect=20, label="cosine", shrink=0.8 / high, anchor=(0, 1))
        bar.outline.set_visible(False)
        return drawing.rendered(figure)


def _paint(panel, record: dict, lowest: float):
    """The cells of one model; what a colour bar is made of."""
    cosines = numpy.array(record["cosines"])
    mesh = panel.pcolormesh(cosines, cmap="Blues", vmin=lowest, vmax=1, edgecolors="none")
    nearest = cosines.argmax(axis=1)
    panel.scatter(nearest + 0.5, numpy.arange(len(cosines)) + 0.5, s=12, color="#d55e00", linewidths=0)
    ticks = numpy.arange(len(cosines)) + 0.5
    rows, columns = ([drawing.wrapped(text, 0.9, 7, lines=1) for text in record[side]] for side in ("orig", "latn"))
    panel.set_yticks(ticks, rows, fontsize=7)
    panel.set_xticks(ticks, columns, rotation=90, fontsize=7)
    panel.xaxis.tick_top()
    panel.invert_yaxis()
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)
    return mesh
