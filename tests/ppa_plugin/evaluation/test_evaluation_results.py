"""The results file and the tables made of it."""

import json

import pytest
from made_up_results import result

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.report.pages.markdown import side_by_side
from ppa_plugin.evaluation.results import append_results, read_results
from ppa_plugin.evaluation.tables import pivot, to_text

FIELDS = ["model", "model_path", "model_sha256", "task", "source", "target", "seed", "metric", "value", "n", "layer"]
FIELDS += ["pool", "data_sha256", "config", "version"]


def test_fields_and_their_order(tmp_path):
    path = tmp_path / "new" / "results.jsonl"
    append_results(path, [result(), result("aligned")])
    append_results(path, [result("third")])
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [list(json.loads(line)) for line in lines] == [FIELDS] * 3
    assert read_results(path) == [result(), result("aligned"), result("third")]
    assert json.loads(lines[0])["seed"] is None


def test_a_line_without_its_end_is_not_continued(tmp_path):
    path = tmp_path / "results.jsonl"
    append_results(path, [result()])
    path.write_bytes(path.read_bytes().removesuffix(b"\n"))
    append_results(path, [result("aligned")])
    assert read_results(path) == [result(), result("aligned")]


@pytest.mark.parametrize(
    ("line", "says"),
    [("{", "line 2: not valid JSON"), ('{"model": "x"}', "line 2: not a result"), ("[]", "line 2: not a result")],
)
def test_what_is_not_a_result_is_named(tmp_path, line, says):
    path = tmp_path / "results.jsonl"
    append_results(path, [result()])
    with open(path, "a") as handle:
        handle.write(line + "\n")
    with pytest.raises(UserError, match=says):
        read_results(path)


@pytest.mark.parametrize(
    ("field", "wrong", "says"),
    [
        ("value", "0.5", 'value is "0.5", expected a number from 0 to 1'),
        ("value", float("nan"), "value is NaN, expected a number from 0 to 1"),
        ("value", 50, "value is 50, expected"),
        ("value", True, "value is true, expected"),
        ("target", None, "target is null, expected a text"),
        ("layer", "8", 'layer is "8", expected a whole number or null'),
        ("seed", [1], r"seed is \[1\], expected a whole number or null"),
        ("config", [], r"config is \[\], expected an object"),
    ],
)
def test_a_field_of_another_kind_is_named(tmp_path, field, wrong, says):
    path = tmp_path / "results.jsonl"
    path.write_text(json.dumps({**vars(result()), field: wrong}) + "\n")
    with pytest.raises(UserError, match=f"results.jsonl, line 1: not a result; its {says}"):
        read_results(path)


def test_models_side_by_side_with_means_over_targets_that_both_have():
    results = [
        result("base", "fas_Arab", 0.1),
        result("base", "ell_Grek", 0.2),
        result("base", "tur_Latn", 0.6),
        result("base", "kor_Hang", 0.9),
        result("aligned", "fas_Arab", 0.3),
        result("aligned", "ell_Grek", 0.4),
        result("aligned", "tur_Latn", 0.5),
    ]
    (table,) = pivot(results, column="model")
    assert table.columns == ["aligned", "base"]
    assert pivot(results, "model", baseline="base")[0].columns == ["base", "aligned"]
    means = table.means()
    assert means["mean (3)"] == pytest.approx({"base": 0.3, "aligned": 0.4})
    assert means["mean, non-Latin script (2)"] == pytest.approx({"base": 0.15, "aligned": 0.35})
    assert "| kor_Hang | – | 90.0 |" in side_by_side(table)
    assert to_text(table).splitlines()[0] == "bible, from eng_Latn, top10"
    assert len({len(line) for line in to_text(table).splitlines()[1:]}) == 1


def test_a_mean_over_the_source_itself_is_said():
    both = [result(target=target) for target in ("eng_Latn", "fas_Arab")]
    said = "The mean includes eng_Latn itself: no transfer."
    (table,) = pivot(both, column="model")
    assert to_text(table).splitlines()[-1] == said
    assert side_by_side(table).endswith(f"|\n\n{said}")
    (table,) = pivot([*both, result("aligned", "fas_Arab")], column="model")  # which has no figure for English
    assert "itself" not in to_text(table) + side_by_side(table)


def test_of_two_values_of_one_measurement_the_mean_counts_and_seeds_are_averaged():
    for twice in (0.1, 0.2), (0.2, 0.1, 0.1):  # the same line again is no other measurement
        (table,) = pivot([result(value=value) for value in twice], "model")
        assert table.values["fas_Arab"]["base"] == pytest.approx(0.15)
    seeds = [result(value=0.1, seed=42), result(value=0.3, seed=43)]
    assert pivot(seeds, "model")[0].values["fas_Arab"]["base"] == pytest.approx(0.2)


def test_tables_by_task_source_and_metric_main_metric_first():
    results = [
        result(metric=metric, source=source) for source in ("eng_Latn", "kor_Hang") for metric in ("top1", "top10")
    ]
    titles = [table.title for table in pivot(results, "model")]
    assert titles == [
        "bible, from eng_Latn, top10",
        "bible, from kor_Hang, top10",
        "bible, from eng_Latn, top1",
        "bible, from kor_Hang, top1",
    ]
    assert [table.columns for table in pivot(results, "metric")] == [["top10", "top1"]] * 2


def test_a_model_at_two_layers_is_two_columns():
    (table,) = pivot([result(layer=8), result(layer=12), result("aligned")], "model")
    assert table.columns == ["aligned", "base (layer 8, all)", "base (layer 12, all)"]


def test_a_layer_is_named_only_where_a_task_has_two():
    results = [result(), result(task="ner", layer=None, pool=None, metric="span_micro_f1", seed=42)]
    assert [table.columns for table in pivot(results, "model")] == [["base"], ["base"]]


def test_other_data_under_the_same_name_is_refused():
    with pytest.raises(UserError, match="aligned and base were measured on different versions of bible"):
        pivot([result(), result("aligned", data_sha256="other")], "model")
