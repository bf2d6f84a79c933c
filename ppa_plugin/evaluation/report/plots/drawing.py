"""How every plot looks, and the bar plot that compares models target by target.

A plot grows with what it shows: names are broken into lines that fit, legend and title have room of their own, and
beyond a width that a page can show it goes on in further rows.
"""

import io
import textwrap
import unicodedata
import warnings
from collections.abc import Sequence
from statistics import fmean

import matplotlib

matplotlib.use("Agg")  # files only: no display is needed or looked for
import matplotlib.pyplot as plt
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from ppa_plugin.evaluation.report.plots.model_names import of_seeds, shortened, trainings
from ppa_plugin.evaluation.tables import Table

FORMATS = {"png": {"facecolor": "white"}, "svg": {"facecolor": "none", "metadata": {"Date": None, "Creator": None}}}
# Of all text and lines that are not data; a page that shows a plot may put its own colour in its place.
INK = "#24292f"
GREY = "#8a9099"
# Okabe and Ito's colours without black and yellow: told apart by the colour-blind, seen on white and on black.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#a05a2c")
# What tells every further eight series from the eight before: dashes of a line, hatches of a bar, shapes of a point.
DASHES = ("-", (0, (4, 1.2)), (0, (1, 1)), (0, (5, 1, 1, 1)))
HATCHES = ("", "////", "....", "xxxx")
POINTS = ("o", "^", "s", "D")
DPI = 150  # of a PNG, and of what is laid out: at another, letters are of slightly other widths
WIDEST = 8.5  # inches of a plot that may as well grow downwards
TITLE, NAME = 10.0, 8.0  # points
BAND = "a band"  # how a plot of lines shows where several seeds lie
_BESIDE = 14  # as many models with names of as many letters have their legend beside the bars
STYLE = {
    "figure.constrained_layout.use": True,
    "figure.dpi": DPI,
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

    Models that differ in their seed alone are one bar, their mean, with a line from the lowest to the highest. Targets
    that a page is too narrow for stand in further rows, all on one scale.
    """
    groups, shown_as_one = table.rows(), _shown_as_one(table)
    bars = _heights(table, shown_as_one)
    inches = 1.5 + 0.16 * len(groups) * (len(bars) + 1)
    fit = len(groups) if inches <= WIDEST else max(3, int((WIDEST - 1) / max(0.25, 0.07 * (len(bars) + 1))))
    a_row = min(len(groups), fit)
    high = -(-len(groups) // a_row)
    wide = min(max(5.0, inches), WIDEST)
    labels, path = shortened(bars)
    said = [path, of_seeds(shown_as_one, "a line")]
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(high, figsize=(wide, 3.6 if high == 1 else 2.3 * high), sharey=True, squeeze=False)
        for row, panel in enumerate(axes.flat):
            _bars(panel, table, bars, range(row * a_row, (row + 1) * a_row))
        head(figure, table.title)
        handles, _ = axes.flat[0].get_legend_handles_labels()
        names = [shown(labels[bar]) for bar in bars]
        if high == 1 and not any(said) and len(names) <= _BESIDE and max(map(len, names)) <= _BESIDE:
            axes.flat[0].legend(handles, names, loc="upper left", bbox_to_anchor=(1, 1))
        else:
            legend_below(figure, handles, names, *said)
        return rendered(figure)


def _shown_as_one(table: Table) -> dict[str, list[str]]:
    """The columns of each bar, by its name."""
    return trainings(table.columns, lambda model: tuple(model in cells for cells in table.values.values()))


def _heights(table: Table, shown_as_one: dict[str, list[str]]) -> dict[str, list[list[float]]]:
    """The heights of each bar in percent: for every line of the table one of each of its columns."""
    columns = dict(zip(table.columns, zip(*(cells for _, cells in table.rows()), strict=True), strict=True))
    return {
        name: [[100 * (value or 0.0) for value in values] for values in zip(*map(columns.get, models), strict=True)]
        for name, models in shown_as_one.items()
    }


def _bars(panel, table: Table, bars: dict[str, list[list[float]]], places: range) -> None:
    """The bars of one row: of the groups at these places, as many as there are."""
    groups = table.rows()
    panel.set_xlim(places.start - 0.6, places.stop - 0.4)  # of a last row too, or its bars would be wider
    places = range(places.start, min(places.stop, len(groups)))
    width = 0.8 / len(bars)
    for number, (name, heights) in enumerate(bars.items()):
        means = [fmean(heights[place]) for place in places]
        positions = [place + (number - (len(bars) - 1) / 2) * width for place in places]
        look = {"color": colour(number), "hatch": of_round(HATCHES, number), "edgecolor": "white", "linewidth": 0}
        panel.bar(positions, means, width, label=shown(name), **look)
        if len(heights[0]) > 1:
            lowest, highest = ([end(heights[place]) for place in places] for end in (min, max))
            panel.vlines(positions, lowest, highest, color=INK, linewidth=0.9)
    labels = [wrapped(groups[place][0], 2.0, NAME, lines=1) for place in places]
    panel.set_xticks(places, labels, rotation=45, ha="right", rotation_mode="anchor", fontsize=NAME)
    if len(table.targets) in range(places.start + 1, places.stop):
        panel.axvline(len(table.targets) - 0.5, color=GREY, linewidth=0.8)
    panel.set_ylabel(wrapped(f"{table.metric} (%)", 2.0, 9))


def line(axes, curves: Sequence[dict[int, float]], place: int, name: str, marker: float) -> None:
    """A curve of shares, in percent, as the series at `place`, with markers of so many points.

    Of several curves, all at the same places, their mean, with a band from the lowest to the highest.
    """
    values = [[100 * curve[at] for curve in curves] for at in curves[0]]
    style = {"marker": of_round(POINTS, place), "markersize": marker, "linewidth": 1.3, "color": colour(place)}
    style["linestyle"] = of_round(DASHES, place)
    axes.plot(list(curves[0]), list(map(fmean, values)), label=shown(name), **style)
    if len(curves) > 1:
        band = {"color": colour(place), "alpha": 0.25, "linewidth": 0}
        axes.fill_between(list(curves[0]), list(map(min, values)), list(map(max, values)), **band)


def lines(axes, curves: dict[str, dict[int, float]], marker: float) -> list[str]:
    """The curves of models, those that differ in their seed alone as one; what is to be said of them in the legend."""
    shown_as_one = trainings(curves, lambda model: tuple(curves[model]))
    labels, path = shortened(shown_as_one)
    for place, (name, models) in enumerate(shown_as_one.items()):
        line(axes, [curves[model] for model in models], place, labels[name], marker)
    return [path, of_seeds(shown_as_one, BAND)]


def level(axes, value: float, label: str | None) -> None:
    """A share that curves are set against, in percent, as a dashed line."""
    axes.axhline(100 * value, color=GREY, linewidth=1, linestyle="--", label=label)


def rule_across(axes) -> None:
    """Faint lines across a panel of curves."""
    axes.grid(axis="y", color=GREY, alpha=0.25, linewidth=0.6)


def head(figure, *lines: str) -> None:
    """The title of a figure, from its left: on a narrow screen that is what is seen of a wide one."""
    broken = [wrapped(line, 0.94 * figure.get_figwidth(), TITLE) for line in lines if line]
    figure.suptitle("\n".join(broken), x=0.01, ha="left", fontsize=TITLE)


def wrapped(text: str, inches: float, size: float, lines: int = 3) -> str:
    """A text in lines of at most `inches` at a font size in points; the middle is left out of what is longer.

    What cannot be shown, as a control character, becomes a space.
    """
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    letters = max(6, int(inches * 72 / (_em(text) * size)))
    broken = textwrap.wrap(text, letters) or [""]
    if len(broken) > lines:
        kept = letters * lines * 3 // 8
        broken = textwrap.wrap(f"{text[:kept]}…{text[-kept:]}", letters)[:lines]
    return "\n".join(broken)


def width(text: str, size: float) -> float:
    """How wide a line is at a font size in points, in inches, on the wide side."""
    return len(text) * _em(text) * size / 72


def _em(text: str) -> float:
    """How wide a letter of a line is, in its font sizes: at least what a page's font takes, more of capitals."""
    if any(unicodedata.east_asian_width(c) in "WF" for c in text):
        return 1.1
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        whole, _, _ = text_to_path.get_text_width_height_descent(text, FontProperties(size=1), ismath=False)
    return max(0.62, whole / max(1, len(text)))


def shown(name: str) -> str:
    """A name as a legend shows it: Matplotlib leaves out those that are empty or begin with an underscore."""
    return f" {name}" if not name or name.startswith("_") else name


def legend_below(figure, handles: list, labels: list[str], *said: str) -> None:
    """A legend under everything, in as many columns as fit, what is said above it; the figure grows by its height.

    From its left, as `head`.
    """
    wide = figure.get_figwidth()
    names = [shown(wrapped(label, min(wide - 0.7, 3.5), 9)) for label in labels]
    title = "\n".join(wrapped(sentence, wide - 0.4, 9) for sentence in said if sentence)
    longest = max(width(line, 9) for name in names for line in name.split("\n"))
    columns = max(1, min(len(names), int((wide - 0.2) / (0.55 + longest))))
    high = max(name.count("\n") + 1 for name in names) * -(-len(names) // columns)
    high += title.count("\n") + 1 if title else 0
    figure.set_figheight(figure.get_figheight() + 0.17 * high)
    where = {"loc": "outside lower left", "alignment": "left", "ncols": columns}
    figure.legend(handles, names, title=title or None, title_fontsize=9, **where)


def colour(place: int) -> str:
    """The colour of the series at `place`; they repeat after eight, in another `of_round`."""
    return COLOURS[place % len(COLOURS)]


def of_round(looks: Sequence, place: int):
    """Which of `looks` the series at `place` has: one for each round of the colours."""
    return looks[place // len(COLOURS) % len(looks)]


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
                figure.savefig(buffers[form], format=form, dpi=DPI, **options)
            return {form: buffer.getvalue() for form, buffer in buffers.items()}
    finally:
        plt.close(figure)
