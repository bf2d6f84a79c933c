"""Records of the analyses: read, refused, shown."""

import json

import pytest

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.report.analysis import read_analysis, script_table, vocabulary_tables
from ppa_plugin.evaluation.report.analysis_figures import probe_plot, projection_plot

VOCABULARY = {
    "kind": "vocabulary",
    "model": "base",
    "model_sha256": "a",
    "language": "ell_Grek",
    "side": "orig",
    "words": 1200,
    "tokens": 3000,
    "distinct_tokens": 700,
    "unknown_tokens": 3,
    "tokens_per_word": 2.5,
    "covered": 0.999,
    "data_sha256": "b",
    "version": "0.1.0",
}
LATN = {**VOCABULARY, "side": "latn", "distinct_tokens": 650, "tokens_per_word": 3.0, "covered": 1.0}
SCRIPTS = {"kind": "scripts", "model": "base", "layer": 0, "accuracy": 0.9, "chance": 0.4, "scripts": {"Grek": 3}}
SCRIPTS |= {"pool": "all"}
PROJECTION = {"kind": "projection", "model": "base", "layer": 8, "method": "pca", "pool": "all"}
PROJECTION |= {"points": [[0, 1.5], [2, 3]], "labels": ["ell_Grek", "tur_Latn"]}


def read(tmp_path, *records) -> dict[str, list[dict]]:
    path = tmp_path / "analysis.jsonl"
    path.write_text("".join(f"{json.dumps(record) if isinstance(record, dict) else record}\n" for record in records))
    return read_analysis([str(path)])


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ("{", "not valid JSON"),
        ("[]", "not a record of ppa-evaluate vocabulary, scripts, projection"),
        ('{"kind": "taste"}', "not a record of ppa-evaluate"),
        ('{"kind": ["scripts"]}', "not a record of ppa-evaluate"),
        ({**VOCABULARY, "words": "many"}, "kind vocabulary needs a field words"),
        ({k: v for k, v in SCRIPTS.items() if k != "chance"}, "kind scripts needs a field chance"),
        ({**SCRIPTS, "layer": True}, "kind scripts needs a field layer"),
        ({**VOCABULARY, "side": "both"}, "side has to be orig or latn"),
        ({**PROJECTION, "labels": ["ell_Grek"]}, "one label for each point"),
        ({**PROJECTION, "points": [[1], [2, 3]]}, "one label for each point"),
        ({**PROJECTION, "points": [], "labels": []}, "one label for each point"),
    ],
)
def test_what_is_no_record_is_named_with_its_line(tmp_path, record, says):
    with pytest.raises(UserError) as error:
        read(tmp_path, VOCABULARY, record)
    assert f"{tmp_path / 'analysis.jsonl'}, line 2: " in str(error.value)
    assert says in str(error.value)


def test_the_later_of_two_records_counts(tmp_path):
    found = read(tmp_path, SCRIPTS, {**SCRIPTS, "accuracy": 0.8}, "", {**SCRIPTS, "layer": 1})
    assert [(r["layer"], r["accuracy"]) for r in found["scripts"]] == [(0, 0.8), (1, 0.9)]
    assert found["vocabulary"] == found["projection"] == []


def test_vocabulary_before_and_after(tmp_path):
    other = [{**record, "model": "aligned"} for record in (VOCABULARY, LATN)]
    third = {**VOCABULARY, "model": "third", "language": "kor_Hang", "side": "latn"}
    same, alone = vocabulary_tables(read(tmp_path, VOCABULARY, LATN, *other, third)["vocabulary"])
    assert same.title.endswith(": base, aligned")  # one tokenizer, one table
    (row,) = same.rows
    assert row.labels == ("ell_Grek",)
    assert [cell.text for cell in row.cells] == ["1,200", "700", "650", "2.50", "3.00", "99.90", "100.00"]
    assert [cell.text for cell in alone.rows[0].cells] == ["1,200", "–", "700", "–", "2.50", "–", "99.90"]


def test_scripts_by_layer(tmp_path):
    records = read(tmp_path, {**SCRIPTS, "layer": 1, "accuracy": 0.5}, SCRIPTS, {**SCRIPTS, "model": "aligned"})[
        "scripts"
    ]
    grid = script_table(records)
    assert grid.columns == ("base", "aligned")
    assert [[cell.text for cell in row.cells] for row in grid.rows] == [["90.0", "90.0"], ["50.0", "–"]]
    (picture,) = probe_plot(records)
    assert b">aligned<" in picture.files["svg"]
    assert script_table([]) is None


def test_two_pools_are_two_curves(tmp_path):
    records = read(tmp_path, SCRIPTS, {**SCRIPTS, "pool": "content"}, {**SCRIPTS, "model": "m$x$"})["scripts"]
    assert script_table(records).columns == ("base (all)", "base (content)", "m$x$")


def test_one_layer_is_no_curve():
    assert probe_plot([SCRIPTS]) == []
    assert probe_plot([]) == projection_plot([]) == []


def test_projections_side_by_side():
    (picture,) = projection_plot([PROJECTION, {**PROJECTION, "model": "aligned"}])
    text = picture.files["svg"].decode()
    assert all(f">{label}<" in text for label in ("base, layer 8", "aligned, layer 8", "Grek", "Latn"))
    assert picture.files["png"].startswith(b"\x89PNG")
