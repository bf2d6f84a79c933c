"""Plots of any size: no text over another, none cut off, in boxes that matplotlib's renderer measures."""

import itertools
import warnings

import numpy
import pytest
from made_up_results import result
from matplotlib.text import Text

from ppa_plugin.evaluation.report.groups import EVERYTHING
from ppa_plugin.evaluation.report.measured import Measured
from ppa_plugin.evaluation.report.paper_tables import main_blocks
from ppa_plugin.evaluation.report.plots import analysis_figures, drawing, figures, heat_maps
from ppa_plugin.evaluation.tables import pivot
from ppa_plugin.evaluation.variants import step_of

TASKS = {"bible": "top10", "tatoeba": "top10", "sib": "top10", "taxi1500": "macro_f1"}
TASKS |= {"sib200": "macro_f1", "ner": "span_micro_f1", "pos": "seqeval_f1"}
LONG = "runs/2026-11-27/glot500_base+seq0.5+tlm1.0+tok0.1/checkpoint_best_of_twelve_seeds/hf_directory_as_converted"
NAMES = {
    "plain": ["base", "MLM", "MLM+SEQ", "MLM+TLM", "MLM+SEQ+TLM"],
    "one": ["base"],
    "long": [f"{LONG}_{n}" for n in range(5)],
    "many": [f"model {n}" for n in range(17)],
    "paths": ["base", *(f"mediterranean_amharic_farsi/MLM+SEQ+TLM/{term}" for term in "abcdefghijklmno")],
    "other paths": [f"{letter}editerranean_amharic_farsi/MLM+SEQ+TLM/seed_1" for letter in "abcdefghijklmnop"],
    "markup": ["<script>alert(1)</script>", "$\\frac{a}{b}$ 100% #1 \\_x", "a|b\n\n|c", "\x01\x1f", ""],
    "scripts": ["נמוך \u202eמאוד", "نموذج بلا محاذاة", "模型一号" * 9, "ᠮᠣᠩᠭᠣᠯ", "ok"],
}


def languages(number: int) -> list[str]:
    letters = itertools.product("abcdefghij", repeat=2)
    return [f"x{a}{b}_{'Latn' if a > 'c' else 'Grek'}" for a, b in itertools.islice(letters, number)]


def results(models, number, tasks=("bible",), sources=("eng_Latn",), **changes):
    generator = numpy.random.default_rng(1)
    return [
        result(model, t, round(generator.uniform(), 2), task=task, metric=TASKS[task], source=s, **changes)
        for model in models
        for task in tasks
        for s in sources
        for t in languages(number)
    ]


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are drawn, as they are laid out, in place of their bytes."""
    found = []

    def rendered(figure):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            figure.draw_without_rendering()  # a layout that found no room warns
        found.append(figure)
        return {}

    monkeypatch.setattr(drawing, "rendered", rendered)
    yield found
    for figure in found:
        drawing.plt.close(figure)


def boxes(figure) -> list[tuple[str, float, object]]:
    """Text, rotation and box in pixels of all that is written when the figure is drawn."""
    found, draw = [], Text.draw

    def recorded(text, renderer):
        if text.get_visible() and text.get_text().strip():
            found.append((text.get_text(), text.get_rotation() % 90, text.get_window_extent(renderer)))
        return draw(text, renderer)

    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        patch.setattr(Text, "draw", recorded)
        figure.set_layout_engine("none")
        figure.set_dpi(drawing.DPI)
        figure.draw_without_rendering()
    return found


def check(figure) -> None:
    texts = boxes(figure)
    width, height = figure.canvas.get_width_height()
    for text, _, box in texts:
        assert min(box.x0, box.y0, width - box.x1, height - box.y1) > -1, f"cut off: {text!r}"
    for (one, turned, first), (other, also, second) in itertools.combinations(texts, 2):
        if turned and also:
            continue  # side by side at an angle: their boxes overlap, they do not
        across = min(first.x1, second.x1) - max(first.x0, second.x0)
        down = min(first.y1, second.y1) - max(first.y0, second.y0)
        assert across < 1 or down < 1, f"{one!r} over {other!r}"


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("number", [1, 8, 70])
def test_bars(drawn, names, number):
    for table in pivot(results(NAMES[names], number), "model"):
        drawing.bar_plot(table)
    for figure in drawn:
        check(figure)
        assert figure.get_figwidth() <= drawing.WIDEST or number == 1


@pytest.mark.parametrize("names", ["plain", "long", "markup", "scripts"])
@pytest.mark.parametrize(
    ("number", "tasks", "sources"),
    [
        (1, ("bible",), ("eng_Latn",)),
        (70, ("bible",), ("eng_Latn",)),
        (3, tuple(TASKS), ("eng_Latn",)),
        pytest.param(41, tuple(TASKS), ("eng_Latn", "ell_Grek", "fas_Arab"), marks=pytest.mark.slow),
    ],
)
def test_gains(drawn, names, number, tasks, sources):
    models = NAMES[names][:2]
    measured = Measured(results(models, number, tasks, sources), models[0])
    blocks = main_blocks(measured, EVERYTHING, [EVERYTHING])
    pictures = heat_maps.gain_maps(measured, blocks, EVERYTHING, models[0])
    assert len(pictures) == len(drawn) == len({picture.name for picture in pictures})
    parts = 2 if len(sources) > 1 else 1
    assert len(pictures) == parts * (2 if number > 40 else 1)
    assert {t for f in drawn for t, _, _ in boxes(f)} >= {*languages(number), *tasks}
    for figure in drawn:
        check(figure)


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize(
    ("number", "tasks"),
    [(1, tuple(TASKS)), (8, ("bible", "ner")), pytest.param(70, ("sib200",), marks=pytest.mark.slow), (90, ("ner",))],
)
@pytest.mark.parametrize("gains", [True, False])
def test_overview(drawn, names, number, tasks, gains):
    models = NAMES[names]
    baseline = models[0] if gains else None
    section = heat_maps.overview(Measured(results(models, number, tasks), baseline), [EVERYTHING], baseline)
    shown = max(1, len(models) - (baseline is not None))  # without a gain the values of the baseline
    assert len(section.blocks) == len(drawn) + 1 == min(len(tasks), shown) + 1
    for figure in drawn:
        check(figure)
        assert (
            len(models) > 5 or len(tasks) > 5 or figure.get_figwidth() * 96 < 390 - 2 * 16
        )  # a narrow screen without its margins
    shown = {text for figure in drawn for text, _, _ in boxes(figure)}
    assert shown >= (set(languages(number)) if number < heat_maps.OVERVIEW_ROWS else {"Latn", "Grek"})
    assert number == 1 or "mean" in shown


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("sources", [("eng_Latn",), ("eng_Latn", "ell_Grek", "fas_Arab", "kor_Hang", "tha_Thai")])
def test_lines(drawn, names, sources):
    series = [r for step in (0, 100_000) for r in results(NAMES[names], 1, sources=sources, config={"step": step})]
    figures.step_curves(series, Measured(results(["base line"], 1, sources=sources)), EVERYTHING, "base line")
    figures.layer_curves([r for k in (0, 12) for r in results(NAMES[names], 1, sources=sources, layer=k)], EVERYTHING)
    assert len(drawn) == 2
    for figure in drawn:
        check(figure)
    assert step_of(series[0]) == 0


def test_series_are_told_apart_beyond_the_eight_colours(drawn):
    drawing.bar_plot(*pivot(results(NAMES["many"], 2), "model"))
    figures.layer_curves([r for k in (0, 12) for r in results(NAMES["many"], 1, layer=k)], EVERYTHING)
    bars, lines = (figure.axes[0] for figure in drawn)
    of_bars = {(group[0].get_facecolor(), group[0].get_hatch()) for group in bars.containers}
    of_lines = {(line.get_color(), line.get_linestyle(), line.get_marker()) for line in lines.get_lines()}
    assert len(of_bars) == len(of_lines) == len(NAMES["many"]) == 17


def test_scripts_are_told_apart_beyond_the_eight_colours(drawn):
    labels = [f"xxx_{letter}aaa" for letter in "ABCDEFGHIJ"]
    points = {"points": [[n, n * n] for n in range(10)], "labels": labels, "method": "pca"}
    of = {"model": "a", "model_sha256": "a", "layer": 0, "pool": "all", "data_sha256": "b"}
    analysis_figures.projection_plot([of | points])
    (figure,) = drawn
    handles = figure.legends[0].legend_handles
    assert len({(handle.get_color(), handle.get_marker()) for handle in handles}) == len(labels)
    (panel,) = figure.axes
    shapes = {(*dots.get_facecolor()[0], len(dots.get_paths()[0].vertices)) for dots in panel.collections}
    assert len(shapes) == len(labels)


@pytest.mark.parametrize("names", NAMES)
def test_analyses(drawn, names):
    given = {"data_sha256": "b", "pool": "all", "task": "sib"}
    probes = [
        {"model": model, "layer": layer, "accuracy": 0.5, "chance": 0.1, **given}
        for model in NAMES[names][:5]
        for layer in (0, 1)
    ]
    labels = ["ell_Grek", "tur_Latn", "fas_Arab", "tha_Thai", "kor_Hang", "amh_Ethi", "heb_Hebr", "mya_Mymr"]
    points = {"points": [[n, n * n] for n in range(8)], "labels": labels, "method": "pca"}
    analysis_figures.probe_plot(probes)
    analysis_figures.projection_plot([probe | points for probe in probes])
    assert len(drawn) == 2
    for figure in drawn:
        check(figure)


def test_a_name_keeps_its_start_and_its_end():
    assert drawing.wrapped("short", 3, 9) == "short"
    lines = drawing.wrapped(LONG * 4, 2, 9).split("\n")
    assert len(lines) <= 3
    assert lines[0].startswith("runs/2026")
    assert "".join(lines).endswith("converted")
    assert drawing.wrapped("a\x01b\n\tc", 3, 9) == "a b c"
    assert drawing.wrapped("", 3, 9) == ""
