"""Curves and heat maps: what they show, of which targets, and when there is nothing to show."""

import re

import pytest
from made_up_results import result

from ppa_plugin.evaluation.report.groups import EVERYTHING, Group
from ppa_plugin.evaluation.report.measured import Measured
from ppa_plugin.evaluation.report.paper_tables import main_blocks
from ppa_plugin.evaluation.report.plots import figures
from ppa_plugin.evaluation.variants import step_of


def at(step: int | None, model: str, target: str, value: float):
    return result(model, target, value, config={} if step is None else {"step": step})


def texts(picture) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", picture.files["svg"].decode())


def test_lines_are_over_targets_that_all_of_them_have():
    results = [
        at(step, "run", t, step / 10 + 0.1 * i) for step in (1, 2) for i, t in enumerate(("ell_Grek", "fas_Arab"))
    ]
    results += [at(step, "other", "ell_Grek", step / 5) for step in (1, 2)]
    results += [at(1, "single", "tur_Latn", 0.9)]
    (lines,) = figures._curves(results, EVERYTHING, step_of).values()
    assert lines.targets == {"eng_Latn": ["ell_Grek"]}
    assert lines.curves["run", "eng_Latn"] == pytest.approx({1: 0.1, 2: 0.2})
    assert lines.curves["other", "eng_Latn"] == pytest.approx({1: 0.2, 2: 0.4})
    assert ("single", "eng_Latn") not in lines.curves
    assert figures._curves(results, Group("none", ("kor_Hang",)), step_of) == {}


def test_the_baseline_is_a_line_where_it_has_the_targets():
    results = [at(step, "run", "ell_Grek", step / 10) for step in (1, 2)]
    for target, shown in (("ell_Grek", True), ("tur_Latn", False)):
        measured = Measured([at(None, "base", target, 0.5)])
        (picture,) = figures.step_curves(results, measured, EVERYTHING, "base")
        assert ("base" in texts(picture)) == shown
        assert {"run", "from eng_Latn", "training step", "top10 (%)"} <= set(texts(picture))
        assert "1 from eng_Latn" in picture.note


def test_layers_of_two_pools_are_two_lines():
    results = [result(layer=layer, pool=pool) for layer in (0, 1, 2) for pool in ("all", "content")]
    (picture,) = figures.layer_curves(results, EVERYTHING)
    assert {"base (all)", "base (content)"} <= set(texts(picture))
    assert figures.layer_curves(results[:2], EVERYTHING) == []


def test_two_values_at_one_place_are_one_point_their_mean():
    results = [at(1, "run", "ell_Grek", 0.1), at(2, "run", "ell_Grek", 0.2), at(1, "run", "ell_Grek", 0.3)]
    for order in (results, results[::-1]):
        (lines,) = figures._curves(order, EVERYTHING, step_of).values()
        assert lines.curves["run", "eng_Latn"] == pytest.approx({1: 0.2, 2: 0.2})


def test_the_baseline_is_a_line_only_where_it_was_measured_as_the_others_were():
    results = [at(step, "run", "ell_Grek", step / 10) for step in (1, 2)]
    for changes, shown in (({}, True), ({"layer": 7}, False), ({"config": {"max_length": 64}}, False)):
        measured = Measured([result("base", "ell_Grek", 0.5, **changes)])
        (picture,) = figures.step_curves(results, measured, EVERYTHING, "base")
        assert ("base" in texts(picture)) == shown


def test_lines_measured_in_different_ways_are_two():
    results = [at(step, "run", "ell_Grek", step / 10) for step in (1, 2)]
    results += [result("run", "ell_Grek", 0.5, config={"step": step, "max_length": 64}) for step in (1, 2)]
    (lines,) = figures._curves(results, EVERYTHING, step_of).values()
    assert sorted(name for name, _ in lines.curves) == ["run (max_length 64)", "run (no max_length)"]


def test_gains_are_differences_of_what_both_have():
    results = [
        result("base", "ell_Grek", 0.5),
        result("base", "fas_Arab", 0.2),
        result("aligned", "ell_Grek", 0.75),
        result("aligned", "fas_Arab", 0.169),
        result("aligned", "tur_Latn", 0.9),
        result("lonely", "kor_Hang", 0.9),
    ]
    measured = Measured(results, "base")
    blocks = main_blocks(measured, EVERYTHING, [EVERYTHING])
    (picture,) = figures.gain_maps(measured, blocks, EVERYTHING, "base")
    assert picture.title == "all languages: gain of aligned over base"
    assert {"25", "−3.1", "ell_Grek", "fas_Arab", "Latn", "bible"} <= set(texts(picture))
    assert not {"tur_Latn", "kor_Hang"} & set(texts(picture))
    assert figures.gain_maps(measured, blocks, EVERYTHING, "lonely") == []
