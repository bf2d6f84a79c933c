"""What models are called in plots: a shared path once, several seeds of one training as one line, bar or map."""

import pytest
from made_up_results import result

from ppa_plugin.evaluation.report.groups import EVERYTHING
from ppa_plugin.evaluation.report.measured import Measured
from ppa_plugin.evaluation.report.paper_tables import main_blocks
from ppa_plugin.evaluation.report.plots import drawing, figures, heat_maps
from ppa_plugin.evaluation.report.plots.model_names import of_seeds, shortened, trainings
from ppa_plugin.evaluation.tables import pivot
from ppa_plugin.evaluation.variants import step_of

GROUP = "mediterranean_amharic_farsi"


@pytest.mark.parametrize(
    ("names", "labels", "says"),
    [
        (["g/MLM/seed1", "g/SEQ/seed1"], ["MLM/seed1", "SEQ/seed1"], "All names begin with g/"),
        (["runs/g/a", "base", "runs/g/b"], ["…/a", "base", "…/b"], "…/ stands for runs/g/"),
        (["g/a", "base", "g/b"], ["g/a", "base", "g/b"], ""),  # which the mark would make no shorter
        (["runs/g/a", "base"], ["runs/g/a", "base"], ""),  # nothing is repeated
        (["runs/a", "other/b"], ["runs/a", "other/b"], ""),
        (["runs/ab", "runs/ac"], ["ab", "ac"], "All names begin with runs/"),
        (["runs/", "runs/a"], ["runs/", "runs/a"], ""),  # one would have no name
        (["m (head x/1)", "m (head x/2)"], ["m (head x/1)", "m (head x/2)"], ""),
        (["runs/g/a", "runs/g/a"], ["runs/g/a"], ""),
        ([], [], ""),
    ],
)
def test_a_shared_path_is_said_once(names, labels, says):
    short, said = shortened(names)
    assert list(short.values()) == labels
    assert list(short) == list(dict.fromkeys(names))
    assert said == says


def test_models_that_differ_in_the_seed_alone_are_one():
    models = ["base", "g/MLM/seed1", "g/SEQ-seed1", "g/MLM/seed2", "g/SEQ-seed12", "g/TLM/seed1", "g/MLM/seed2 (all)"]
    shown = trainings(models, lambda _: "the same")
    assert shown == {
        "base": ["base"],
        "g/MLM (2 seeds)": ["g/MLM/seed1", "g/MLM/seed2"],
        "g/SEQ (2 seeds)": ["g/SEQ-seed1", "g/SEQ-seed12"],
        "g/TLM/seed1": ["g/TLM/seed1"],
        "g/MLM/seed2 (all)": ["g/MLM/seed2 (all)"],
    }
    assert of_seeds(shown, "a band") == "Of several seeds: their mean, a band from the lowest to the highest"
    assert of_seeds(trainings(models[:2], str), "a band") == ""


def test_what_was_measured_on_something_else_and_what_is_called_so_already_stay_apart():
    seeds = [f"a/seed{number}" for number in range(1, 5)]
    assert trainings(seeds, str) == {seed: [seed] for seed in seeds}
    shown = trainings(seeds, lambda seed: seed in seeds[:2])  # two and two would have one name
    assert shown == {"a (2 seeds)": seeds[:2], "a/seed3": ["a/seed3"], "a/seed4": ["a/seed4"]}
    called = ["a (2 seeds)", *seeds[:2]]
    assert trainings(called, lambda _: None) == {name: [name] for name in called}


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are drawn, in place of their bytes."""
    found = []
    monkeypatch.setattr(drawing, "rendered", lambda figure: found.append(figure) or {})
    yield found
    for figure in found:
        drawing.plt.close(figure)


def legend_of(figure) -> tuple[list[str], str]:
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()], legend.get_title().get_text()


def at_steps(values: dict[str, tuple]) -> list:
    return [
        result(model, "ell_Grek", value, config={"step": step})
        for model, of_model in values.items()
        for step, value in enumerate(of_model)
    ]


def test_seeds_are_one_line_with_a_band(drawn):
    values = {f"{GROUP}/SEQ/seed1": (0.1, 0.4), f"{GROUP}/SEQ/seed2": (0.3, 0.5), f"{GROUP}/SEQ/seed3": (0.2, 0.9)}
    values[f"{GROUP}/MLM"] = (0.1, 0.2)
    results = at_steps({**values, "base": (0.3, 0.3)})
    assert len(figures._curves(results, EVERYTHING, step_of)["bible", "top10"].curves) == 5
    figures.step_curves(results, Measured(results[:1]), EVERYTHING, None)
    (figure,) = drawn
    names, said = legend_of(figure)
    assert names == ["base", "…/MLM", "…/SEQ (3 seeds)"]
    assert f"…/ stands for {GROUP}/" in said
    assert "their mean, a band from the lowest" in said.replace("\n", " ")
    panel = figure.axes[0]
    assert panel.lines[2].get_ydata() == pytest.approx([20, 60])
    (band,) = panel.collections
    (path,) = band.get_paths()
    for step, lowest, highest in ((0, 10, 30), (1, 40, 90)):
        heights = [y for x, y in path.vertices if x == step]
        assert (min(heights), max(heights)) == pytest.approx((lowest, highest))


def test_seeds_at_other_steps_are_lines_of_their_own(drawn):
    results = at_steps({"SEQ/seed1": (0.1, 0.4), "SEQ/seed2": (0.3, 0.5, 0.6)})
    figures.step_curves(results, Measured(results[:1]), EVERYTHING, None)
    assert legend_of(drawn[0]) == (["seed1", "seed2"], "All names begin with SEQ/")


def test_seeds_are_one_bar_with_a_line(drawn):
    values = {"base": 0.1, f"{GROUP}/SEQ/seed1": 0.2, f"{GROUP}/SEQ/seed2": 0.6, f"{GROUP}/MLM/seed1": 0.3}
    (table,) = pivot([result(model, value=value) for model, value in values.items()], "model")
    drawing.bar_plot(table)
    names, said = legend_of(drawn[0])
    assert names == ["base", "…/MLM/seed1", "…/SEQ (2 seeds)"]
    assert "their mean, a line from the lowest" in said.replace("\n", " ")
    panel = drawn[0].axes[0]
    assert [bars[0].get_height() for bars in panel.containers] == pytest.approx([10, 30, 40])
    (ends,) = (segments for lines in panel.collections for segments in lines.get_segments()[:1])
    assert [y for _, y in ends] == pytest.approx([20, 60])


def test_bars_of_few_targets_fill_their_row(drawn):
    """Too many for a plot that grows to the side, and not so many that they need a second row."""
    models = [f"model {number}" for number in range(7)]
    targets = [f"x{letter}x_Latn" for letter in "abcdef"]
    (table,) = pivot([result(model, target) for model in models for target in targets], "model")
    drawing.bar_plot(table)
    assert drawn[0].axes[0].get_xlim()[1] == len(table.rows()) - 0.4


def test_seeds_are_one_column_of_the_overview_and_one_map_of_gains(drawn):
    values = {"base": 0.1, f"{GROUP}/SEQ/seed1": 0.2, f"{GROUP}/SEQ/seed2": 0.6, f"{GROUP}/MLM": 0.05}
    results = [
        result(model, target, value, source=source)
        for model, value in values.items()
        for target in ("fas_Arab", "tur_Latn")
        for source in ("eng_Latn", "ell_Grek")
    ]
    measured = Measured(results, "base")
    picture, _ = heat_maps.overview(measured, [EVERYTHING], "base").blocks
    assert picture.alt.endswith(f"mean: {GROUP}/MLM −5.0, {GROUP}/SEQ (2 seeds) +30.")
    assert [label.get_text() for label in drawn[0].axes[0].get_xticklabels()] == ["MLM", "SEQ (2 seeds)"]
    assert drawn[0].get_suptitle().endswith(f"All names begin with\n{GROUP}/")
    maps = heat_maps.gain_maps(measured, main_blocks(measured, EVERYTHING, [EVERYTHING]), EVERYTHING, "base")
    assert [of_model.title for of_model in maps] == [
        f"all languages: gain of {GROUP}/MLM over base",
        f"all languages: gain of {GROUP}/SEQ (2 seeds) over base",
    ]
