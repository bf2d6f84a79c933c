"""Analyses in the report: tables and plots of the records, the later of two, what several tasks or pools are called."""

import json

import pytest

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.report.analysis_tables import read_by_kind, script_table, vocabulary_tables
from ppa_plugin.evaluation.report.plots.analysis_figures import probe_plot, projection_plot

EVERY = {"model": "base", "model_sha256": "a", "data_sha256": "b", "version": "0.1.0"}
VOCABULARY = {
    "kind": "vocabulary",
    **EVERY,
    "language": "ell_Grek",
    "side": "orig",
    "words": 1200,
    "tokens": 3000,
    "distinct_tokens": 1700,
    "unknown_tokens": 3,
    "tokens_per_word": 2.5,
    "covered": 0.999,
}
LATN = {**VOCABULARY, "side": "latn", "distinct_tokens": 650, "tokens_per_word": 3.0, "covered": 1.0}
SCRIPTS = {"kind": "scripts", **EVERY, "task": "sib", "layer": 0, "pool": "all", "accuracy": 0.9, "chance": 0.4}
SCRIPTS |= {"scripts": {"Grek": 3, "Latn": 4}}
PROJECTION = {"kind": "projection", **EVERY, "task": "sib", "layer": 8, "method": "pca", "pool": "all"}
PROJECTION |= {"points": [[0, 1.5], [2, 3]], "labels": ["ell_Grek", "tur_Latn"]}


def read(tmp_path, *records) -> dict[str, list[dict]]:
    path = tmp_path / "analysis.jsonl"
    path.write_text("".join(f"{json.dumps(record) if isinstance(record, dict) else record}\n" for record in records))
    return read_by_kind([str(path)])


def texts(grid) -> list[list[str]]:
    return [[cell.text for cell in row.cells] for row in grid.rows]


def test_what_is_no_record_is_named_with_its_line(tmp_path):
    with pytest.raises(UserError, match=r"analysis\.jsonl, line 2: "):
        read(tmp_path, VOCABULARY, "[]")


def test_the_later_of_two_records_counts(tmp_path):
    found = read(tmp_path, SCRIPTS, {**SCRIPTS, "accuracy": 0.8}, "", {**SCRIPTS, "layer": 1})
    assert [(r["layer"], r["accuracy"]) for r in found["scripts"]] == [(0, 0.8), (1, 0.9)]
    assert set(found) == {"scripts"}


def test_a_vocabulary_by_two_romanizers_is_two_tables(tmp_path):
    """Whose original sides are the same measurement twice, and stand in both."""
    mine = [{**record, "romanizer": "icu 2"} for record in (VOCABULARY, {**LATN, "distinct_tokens": 7})]
    found = read(tmp_path, VOCABULARY, LATN, *mine)
    plain, other = vocabulary_tables(found["vocabulary"])
    assert [table.title.rpartition(": ")[2] for table in (plain, other)] == ["base", "base (icu 2)"]
    assert [texts(table)[0][:2] for table in (plain, other)] == [["1,700", "650"], ["1,700", "7"]]
    assert "Romanized" not in " ".join(plain.notes)
    assert other.notes[-1] == "Romanized by icu 2."
    (alone,) = vocabulary_tables(read(tmp_path, *mine)["vocabulary"])
    assert alone.title.endswith(": base")
    assert alone.notes[-1] == "Romanized by icu 2."


def test_vocabulary_before_and_after():
    other = [{**record, "model": "aligned"} for record in (VOCABULARY, LATN)]
    third = {**VOCABULARY, "model": "third", "language": "tha_Thai", "side": "latn", "unit": "character"}
    same, alone = vocabulary_tables([VOCABULARY, LATN, *other, third])
    assert same.title.endswith(": base, aligned")  # one tokenizer, one table
    assert same.spans == (("distinct tokens", 2), ("tokens a unit", 2), ("covered (%)", 2), ("shared (%)", 2))
    assert [row.labels for row in same.rows] == [("ell_Grek", "word")]
    assert texts(same) == [["1,700", "650", "2.50", "3.00", "99.90", "100.00", "–", "–"]]
    assert [row.labels for row in alone.rows] == [("tha_Thai", "character")]
    assert texts(alone) == [["–", "1,700", "–", "2.50", "–", "99.90", "–", "–"]]


def test_vocabulary_of_all_languages_together():
    group = {"languages": ["ell_Grek"], "tokens": 9, "distinct_tokens": 2000, "covered": 0.5, "shared": 0.25}
    (grid,) = vocabulary_tables([{**VOCABULARY, "shared": 0.125, "group": group}, LATN])
    assert [row.labels[0] for row in grid.rows] == ["ell_Grek", "all (1)"]
    assert texts(grid)[0][-2:] == ["12.5", "–"]
    assert texts(grid)[1] == ["2,000", "–", "–", "–", "50.00", "–", "25.0", "–"]


def test_a_run_over_other_languages_does_not_stand_for_all_of_the_table():
    """Two runs into one file, a language each: neither knows the distinct tokens of both."""
    group = {"languages": ["ell_Grek"], "tokens": 9, "distinct_tokens": 2000, "covered": 0.5, "shared": None}
    other = {**VOCABULARY, "language": "tur_Latn", "group": {**group, "languages": ["tur_Latn"]}}
    (grid,) = vocabulary_tables([{**VOCABULARY, "group": group}, other])
    assert [row.labels[0] for row in grid.rows] == ["ell_Grek", "tur_Latn"]


def test_an_earlier_text_is_not_hidden_by_a_later_one(tmp_path):
    """Two languages of one corpus, then one of them of another: a table of the last texts, and one of the earlier."""
    group = {"languages": ["ell_Grek", "tur_Latn"], "tokens": 9, "distinct_tokens": 2000, "covered": 0.5, "shared": 0.2}
    turkish = [{**side, "language": "tur_Latn"} for side in (VOCABULARY, LATN)]
    first = [{**side, "group": group} for side in (VOCABULARY, LATN, *turkish)]
    other = {"data_sha256": "c", "distinct_tokens": 5, "group": {**group, "languages": ["tur_Latn"]}}
    second = [{**side, **other} for side in turkish]
    twin = [{**side, "model": "twin"} for side in first]
    last, earlier, of_twin = vocabulary_tables(read(tmp_path, *first, *twin, *second)["vocabulary"])
    assert [grid.title.partition(": ")[2] for grid in (last, earlier, of_twin)] == [
        "base",
        "base (earlier text)",
        "twin",
    ]
    assert [row.labels[0] for row in last.rows] == ["ell_Grek", "tur_Latn"]  # no line for all: of two runs
    assert [row[:2] for row in texts(last)] == [["1,700", "650"], ["5", "5"]]
    assert [row[:2] for row in texts(earlier)] == [["1,700", "650"]]
    assert [row.labels[0] for row in earlier.rows] == ["tur_Latn"]
    assert [row.labels[0] for row in of_twin.rows] == ["ell_Grek", "tur_Latn", "all (2)"]
    third = [{**side, "data_sha256": "d", "distinct_tokens": 6} for side in turkish]
    names = [grid.title.partition(": ")[2] for grid in vocabulary_tables([*first[2:], *second, *third])]
    assert names == ["base", "base (earlier text)", "base (earlier text 2)"]


def test_the_same_text_with_other_weights_is_no_earlier_text(tmp_path):
    again = {**VOCABULARY, "model_sha256": "d", "distinct_tokens": 5}
    (grid,) = vocabulary_tables(read(tmp_path, VOCABULARY, LATN, again)["vocabulary"])
    assert texts(grid)[0][:2] == ["5", "650"]


def test_what_the_shared_column_says_of_itself():
    def note(*records):
        (grid,) = vocabulary_tables(list(records))
        return grid.notes[1].partition("Shared: ")[2]

    group = {"languages": ["ell_Grek", "tur_Latn"], "tokens": 9, "distinct_tokens": 9, "covered": 0.5, "shared": 0.2}
    greek = {**VOCABULARY, "shared": 0.25, "group": group}
    turkish = {**greek, "language": "tur_Latn"}
    of_all = "share of the distinct tokens of a language that another one of the table uses too"
    assert note(greek, turkish) == f"{of_all}."
    old = {**VOCABULARY, "language": "tur_Latn"}  # as version 0.1.0 wrote it
    assert note(greek, old) == f"{of_all}; – where its record has no such figure."
    assert note(greek) == (  # that Turkish uses them is no longer to be seen
        "share of the distinct tokens of a language that another one of its run of ppa-evaluate vocabulary uses too."
    )


def test_scripts_by_layer():
    records = [{**SCRIPTS, "layer": 1, "accuracy": 0.5}, SCRIPTS, {**SCRIPTS, "model": "aligned"}]
    grid = script_table(records)
    assert grid.columns == ("base", "aligned")
    assert texts(grid) == [["90.0", "90.0"], ["50.0", "–"]]
    (picture,) = probe_plot(records)
    assert b">aligned<" in picture.files["svg"]
    assert b">chance<" in picture.files["svg"]
    assert script_table([]) is None


def test_several_tasks_or_pools_of_a_model_are_several_curves():
    records = [SCRIPTS, {**SCRIPTS, "pool": "content"}, {**SCRIPTS, "model": "m$x$"}]
    assert script_table(records).columns == ("base, all", "base, content", "m$x$")
    assert script_table([SCRIPTS, {**SCRIPTS, "task": "bible"}]).columns == ("base, sib", "base, bible")


def test_several_versions_of_a_tasks_data_are_several_curves_too(tmp_path):
    other = {**SCRIPTS, "data_sha256": "0123456789abcdef", "accuracy": 0.6}
    bible = {**SCRIPTS, "model": "aligned", "task": "bible", "data_sha256": "d"}
    grid = script_table(read(tmp_path, SCRIPTS, other, {**SCRIPTS, "model": "aligned"}, bible)["scripts"])
    assert grid.columns == ("base, data b", "base, data 01234567", "aligned, sib", "aligned, bible")
    assert texts(grid) == [["90.0", "60.0", "90.0", "90.0"]]


def test_probes_of_other_sentences_are_several_curves_too(tmp_path):
    given = {**SCRIPTS, "seed": 42}
    found = read(tmp_path, given, {**given, "seed": 1, "accuracy": 0.8}, {**given, "model": "aligned"})
    assert script_table(found["scripts"]).columns == ("base, seed 42", "base, seed 1", "aligned")
    more = {**given, "scripts": {"Grek": 600, "Latn": 600}, "accuracy": 0.7}
    grid = script_table(read(tmp_path, given, more)["scripts"])
    assert grid.columns == ("base, 7 sentences", "base, 1,200 sentences")
    assert texts(grid) == [["90.0", "70.0"]]


def test_one_layer_is_no_curve():
    assert probe_plot([SCRIPTS]) == []
    assert probe_plot([]) == projection_plot([]) == []


def test_projections_side_by_side():
    (picture,) = projection_plot([PROJECTION, {**PROJECTION, "model": "aligned"}])
    text = picture.files["svg"].decode()
    assert all(f">{label}<" in text for label in ("base, layer 8", "aligned, layer 8", "Grek", "Latn"))
    assert picture.files["png"].startswith(b"\x89PNG")
