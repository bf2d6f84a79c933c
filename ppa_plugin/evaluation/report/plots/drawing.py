"""How every plot looks, and the bar plot that compares models target by target.

A plot grows with what it shows: names are broken into lines that fit, legend and title have room of their own, and
beyond a width that a page can show it goes on in further rows.
"""

import io
import textwrap
import unicodedata
import warnings

import matplotlib

matplotlib.use("Agg")  # files only: no display is needed or looked for
import matplotlib.pyplot as plt

from ppa_plugin.evaluation.tables import Table

FORMATS = {"png": {"facecolor": "white"}, "svg": {"facecolor": "none", "metadata": {"Date": None, "Creator": None}}}
# Of all text and lines that are not data; a page that shows a plot may put its own colour in its place.
INK = "#24292f"
GREY = "#8a9099"
# Okabe and Ito's colours without black and yellow: told apart by the colour-blind, seen on white and on black.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#a05a2c")
WIDEST = 8.5  # inches of a plot that may as well grow downwards
TITLE, NAME = 10.0, 8.0  # points
_BESIDE = 14  # as many models with names of as many letters have their legend beside the bars
STYLE = {
    "figure.constrained_layout.use": True,
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
    """A group of bars a target and one for the means, a bar a model, values in percent; the file's bytes by format.

    Targets that a page is too narrow for stand in further rows, all on one scale.
    """
    groups, models = table.rows(), table.columns
    inches = 1.5 + 0.16 * len(groups) * (len(models) + 1)
    a_row = len(groups) if inches <= WIDEST else max(3, int((WIDEST - 1) / max(0.25, 0.07 * (len(models) + 1))))
    high = -(-len(groups) // a_row)
    wide = min(max(5.0, inches), WIDEST)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(high, figsize=(wide, 3.6 if high == 1 else 2.3 * high), sharey=True, squeeze=False)
        for row, panel in enumerate(axes.flat):
            _bars(panel, table, groups, range(row * a_row, (row + 1) * a_row))
        head(figure, table.title)
        handles, labels = axes.flat[0].get_legend_handles_labels()
        if high == 1 and len(models) <= _BESIDE and max(map(len, models)) <= _BESIDE:
            axes.flat[0].legend(loc="upper left", bbox_to_anchor=(1, 1))
        else:
            legend_below(figure, handles, labels)
        return rendered(figure)


def _bars(panel, table: Table, groups: list[tuple[str, list[float | None]]], places: range) -> None:
    """The bars of one row: of the groups at these places, as many as there are."""
    panel.set_xlim(places.start - 0.6, places.stop - 0.4)  # of a last row too, or its bars would be wider
    places = range(places.start, min(places.stop, len(groups)))
    width = 0.8 / len(table.columns)
    for number, model in enumerate(table.columns):
        values = [100 * (groups[place][1][number] or 0.0) for place in places]
        positions = [place + (number - (len(table.columns) - 1) / 2) * width for place in places]
        panel.bar(positions, values, width, label=shown(model), color=colour(number))
    labels = [wrapped(groups[place][0], 2.0, NAME, lines=1) for place in places]
    panel.set_xticks(places, labels, rotation=45, ha="right", rotation_mode="anchor", fontsize=NAME)
    if len(table.targets) in range(places.start + 1, places.stop):
        panel.axvline(len(table.targets) - 0.5, color=GREY, linewidth=0.8)
    panel.set_ylabel(wrapped(f"{table.metric} (%)", 2.0, 9))


def line(axes, curve: dict[int, float], place: int, name: str, marker: float) -> None:
    """A curve of shares, in percent, as the series at `place`, with markers of so many points."""
    values = [100 * value for value in curve.values()]
    style = {"marker": "o", "markersize": marker, "linewidth": 1.3, "color": colour(place)}
    axes.plot(list(curve), values, label=shown(name), **style)


def level(axes, value: float, label: str | None) -> None:
    """A share that curves are set against, in percent, as a dashed line."""
    axes.axhline(100 * value, color=GREY, linewidth=1, linestyle="--", label=label)


def rule_across(axes) -> None:
    """Faint lines across a panel of curves."""
    axes.grid(axis="y", color=GREY, alpha=0.25, linewidth=0.6)


def head(figure, title: str) -> None:
    """The title of a figure, from its left: on a narrow screen that is what is seen of a wide one."""
    figure.suptitle(wrapped(title, 0.94 * figure.get_figwidth(), TITLE), x=0.01, ha="left", fontsize=TITLE)


def wrapped(text: str, inches: float, size: float, lines: int = 3) -> str:
    """A text in lines of at most `inches` at a font size in points; the middle is left out of what is longer.

    What cannot be shown, as a control character, becomes a space.
    """
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    em = 1.1 if any(unicodedata.east_asian_width(c) in "WF" for c in text) else 0.62  # of a letter, on the wide side
    letters = max(6, int(inches * 72 / (em * size)))
    broken = textwrap.wrap(text, letters) or [""]
    if len(broken) > lines:
        kept = letters * lines * 3 // 8
        broken = textwrap.wrap(f"{text[:kept]}…{text[-kept:]}", letters)[:lines]
    return "\n".join(broken)


def shown(name: str) -> str:
    """A name as a legend shows it: Matplotlib leaves out those that are empty or begin with an underscore."""
    return f" {name}" if not name or name.startswith("_") else name


def legend_below(figure, handles: list, labels: list[str]) -> None:
    """A legend under everything, in as many columns as fit; the figure grows by its height."""
    wide = figure.get_figwidth()
    names = [shown(wrapped(label, min(wide - 0.7, 3.5), 9)) for label in labels]
    longest = max(len(line) for name in names for line in name.split("\n"))
    columns = max(1, min(len(names), int((wide - 0.2) / (0.55 + 0.62 * 9 / 72 * longest))))
    high = max(name.count("\n") + 1 for name in names) * -(-len(names) // columns)
    figure.set_figheight(figure.get_figheight() + 0.17 * high)
    figure.legend(handles, names, loc="outside lower center", ncols=columns)


def colour(place: int) -> str:
    """The colour of the series at `place`; they repeat after eight."""
    return COLOURS[place % len(COLOURS)]


def rendered(figure) -> dict[str, bytes]:
    """The figure's bytes by format, and the figure closed; the SVG without date, so that its bytes are the same."""
    try:
        with warnings.catch_warnings():
            # names in scripts that the font lacks: a page shows them, only the PNG has boxes in their place
            warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
            figure.draw_without_rendering()
            figure.set_layout_engine("none")  # laid out once is enough for all formats
            buffers = {form: io.BytesIO() for form in FORMATS}
            for form, options in FORMATS.items():
                figure.savefig(buffers[form], format=form, dpi=150, **options)
            return {form: buffer.getvalue() for form, buffer in buffers.items()}
    finally:
        plt.close(figure)
