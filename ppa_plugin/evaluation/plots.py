"""How every plot looks, and the bar plot that compares models target by target."""

import io

import matplotlib

matplotlib.use("Agg")  # files only: no display is needed or looked for
import matplotlib.pyplot as plt

from ppa_plugin.evaluation.tables import Table

FORMATS = ("png", "svg")
# Of all text and lines that are not data; a page that shows a plot may put its own colour in its place.
INK = "#24292f"
GREY = "#8a9099"
# Okabe and Ito's colours without black and yellow: told apart by the colour-blind, seen on white and on black.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#a05a2c")
STYLE = {
    "svg.hashsalt": "ppa",  # the same table gives the same file
    "svg.fonttype": "none",  # text stays text: it can be searched, and a page shows it in its own font
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.7,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "legend.frameon": False,
}


def bar_plot(table: Table) -> dict[str, bytes]:
    """A group of bars a target and one for the means, a bar a model, values in percent; the file's bytes by format."""
    rows = table.rows()
    models = table.columns
    width = 0.8 / len(models)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            figsize=(max(5.0, 1.5 + 0.16 * len(rows) * (len(models) + 1)), 3.6), layout="constrained"
        )
        for place, model in enumerate(models):
            values = [cells[place] for _, cells in rows]
            positions = [row + (place - (len(models) - 1) / 2) * width for row in range(len(rows))]
            axes.bar(positions, [100 * (v or 0.0) for v in values], width, label=model, color=colour(place))
        axes.set_xticks(range(len(rows)), [label for label, _ in rows], rotation=45, ha="right")
        axes.axvline(len(table.targets) - 0.5, color=GREY, linewidth=0.8)
        axes.set_ylabel(f"{table.metric} (%)")
        axes.set_title(table.title)
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
        return rendered(figure)


def colour(place: int) -> str:
    """The colour of the series at `place`; they repeat after eight."""
    return COLOURS[place % len(COLOURS)]


def rendered(figure) -> dict[str, bytes]:
    """The figure's bytes by format, and the figure closed; the SVG without date, so that its bytes are the same."""
    try:
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # laid out once is enough for all formats
        return {form: _rendered(figure, form) for form in FORMATS}
    finally:
        plt.close(figure)


def _rendered(figure, form: str) -> bytes:
    buffer = io.BytesIO()
    vector = form == "svg"
    figure.savefig(
        buffer,
        format=form,
        dpi=150,
        facecolor="none" if vector else "white",
        metadata={"Date": None, "Creator": None} if vector else None,
    )
    return buffer.getvalue()
