"""Curves and heat maps: what they show, of which targets, and when there is nothing to show."""

import re

import pytest
from made_up_results import result

from ppa_plugin.evaluation.report.groups import EVERYTHING, Group
from ppa_plugin.evaluation.report.measured import Measured
from ppa_plugin.evaluation.report.paper_tables import main_blocks
from ppa_plugin.evaluation.report.plots import figures, heat_maps
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
    (picture,) = heat_maps.gain_maps(measured, blocks, EVERYTHING, "base")
    assert picture.title == "all languages: gain of aligned over base"
    assert {"+25", "−3.1", "ell_Grek", "fas_Arab", "Latn", "bible"} <= set(texts(picture))
    assert not {"tur_Latn", "kor_Hang"} & set(texts(picture))
    assert heat_maps.gain_maps(measured, blocks, EVERYTHING, "lonely") == []


def rows_of(picture) -> list[str]:
    return [text for text in texts(picture) if "_" in text]


def test_the_overview_is_the_mean_gain_of_each_model_by_language_and_task():
    values = {"base": (0.5, 0.2), "aligned": (0.75, 0.169), "other": (0.5, 0.3)}
    results = [
        result(model, target, value, source=source)
        for model, both in values.items()
        for target, value in zip(("tur_Latn", "fas_Arab"), both, strict=True)
        for source in ("eng_Latn", "ell_Grek")
    ]
    results += [result("aligned", "ell_Grek", 0.9), result("base", "ell_Grek", 0.1)]  # which `other` lacks
    results += [result("aligned", "tha_Thai", 0.9)]  # which the baseline lacks
    section = heat_maps.overview(Measured(results, "base"), [EVERYTHING], "base")
    picture, note = section.blocks
    assert section.title == "Gain over base, by language and task"
    assert picture.title == "bible, top10: gain over base, points"
    assert picture.alt == f"{picture.title}, by language. mean: aligned +11, other +5.0."
    assert rows_of(picture) == ["tur_Latn", "fas_Arab", "ell_Grek"]  # Latin script first, then by script
    assert {"aligned", "other", "+25", "0.0", "−3.1", "+10", "+80", "–"} <= set(texts(picture))
    assert "purple: worse" in note


def test_the_overview_is_over_sources_that_no_model_lacks():
    values = {"eng_Latn": 0.6, "ell_Grek": 0.9}
    results = [result(source=source) for source in values]
    results += [result("aligned", value=value, source=source) for source, value in values.items()]
    for others, shown in ((["eng_Latn"], {"+10"}), (["eng_Latn", "ell_Grek"], {"+25", "+10"})):
        measured = Measured([*results, *(result("other", value=0.6, source=source) for source in others)], "base")
        picture, _ = heat_maps.overview(measured, [EVERYTHING], "base").blocks
        assert {text for text in texts(picture) if text in ("+10", "+25", "+40")} == shown
    apart = [result("base"), result("aligned", source="ell_Grek")]  # that have nothing in common
    assert heat_maps.overview(Measured(apart), [EVERYTHING], None).blocks == ()


def test_the_overview_has_a_map_a_model_where_these_are_fewer_than_tasks():
    tasks = {"bible": "top10", "sib": "top10", "pos": "seqeval_f1"}
    results = [
        result(model, task=task, metric=metric, value=value)
        for task, metric in tasks.items()
        for model, value in (("base", 0.5), ("aligned", 0.6), ("other", 0.4))
    ]
    first, second, _ = heat_maps.overview(Measured(results, "base"), [EVERYTHING], "base").blocks
    assert [first.title, second.title] == ["aligned: gain over base, points", "other: gain over base, points"]
    assert [first.name, second.name] == ["overview_aligned", "overview_other"]
    assert {"bible, top10", "sib, top10", "pos, seqeval_f1", "+10"} <= set(texts(first))


def test_without_a_baseline_the_overview_is_of_values():
    results = [result("base", value=0.123), result("aligned", value=0.5, config={"max_length": 64})]
    for baseline, says in ((None, False), ("base", True)):  # measured differently: no gain
        section = heat_maps.overview(Measured(results, baseline), [EVERYTHING], baseline)
        picture, note = section.blocks
        assert section.title == "Every model, by language and task"
        assert {"12.3", "50.0"} <= set(texts(picture))
        assert ("no gains" in note) == says


def test_the_overview_keeps_to_the_groups_and_many_languages_are_their_scripts():
    codes = [f"{a}{b}{c}_{'Cyrl' if a == 'b' else 'Latn'}" for a in "ab" for b in "abcdefg" for c in "abcdefg"]
    results = [result(model, code, value) for model, value in (("base", 0.5), ("aligned", 0.6)) for code in codes]
    picture, note = heat_maps.overview(Measured(results, "base"), [EVERYTHING], "base").blocks
    assert {"mean", "Latn", "Cyrl"} <= set(texts(picture))
    assert "means of their scripts" in note
    groups = [Group("one", ("bab_Cyrl",)), Group("two", ("aab_Latn", "kor_Hang"))]
    picture, note = heat_maps.overview(Measured(results, "base"), groups, "base").blocks
    assert rows_of(picture) == ["aab_Latn", "bab_Cyrl"]
    assert "scripts" not in note
    assert heat_maps.overview(Measured(results), [Group("none", ("kor_Hang",))], None).blocks == ()
