"""The analysis file: what is appended is read back, and what is no record is one sentence."""

import json

import pytest

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.analysis.records import append_analysis, latest, read_analysis, record
from ppa_plugin.evaluation.model import Model

PROJECTION = {"layer": 8, "pool": "all", "method": "pca", "labels": ["tur_Latn", "ell_Grek"]}
MODEL = Model("aligned", "models/aligned", "ab" * 32)
SCRIPTS = {"layer": 8, "pool": "all", "accuracy": 0.75, "chance": 0.5, "scripts": {"Arab": 4, "Latn": 4}}


def scripts(**changed):
    return record("scripts", MODEL, "cd" * 32, **{**SCRIPTS, "task": "sib", **changed})


def projection(points):
    return json.dumps(record("projection", MODEL, "cd" * 32, **PROJECTION, points=points))


def vocabulary(side):
    counts = dict.fromkeys(("words", "tokens", "distinct_tokens", "unknown_tokens", "tokens_per_word", "covered"), 1)
    return json.dumps(record("vocabulary", MODEL, "cd" * 32, language="ell_Grek", side=side, **counts))


def test_records_are_read_as_written_and_appended(tmp_path):
    path = tmp_path / "made" / "analysis.jsonl"
    first, second = scripts(note="line\u2028separator"), scripts(layer=9)
    append_analysis(path, [first])
    append_analysis(path, [second, first])
    assert read_analysis(path) == [first, second, first]
    assert first["version"]
    assert path.read_bytes().count(b"\n") == 3


def test_every_kind_is_read(tmp_path):
    path = tmp_path / "analysis.jsonl"
    path.write_text("\n\n".join([vocabulary("latn"), projection([[0, 1.5], [-2, 3]]), json.dumps(scripts())]))
    assert [entry["kind"] for entry in read_analysis(path)] == ["vocabulary", "projection", "scripts"]


def test_a_line_that_another_program_left_open_is_not_continued(tmp_path):
    path = tmp_path / "analysis.jsonl"
    path.write_text(json.dumps(scripts()))
    append_analysis(path, [scripts(layer=1)])
    assert [entry["layer"] for entry in read_analysis(path)] == [8, 1]


def test_all_records_are_one_write(tmp_path, monkeypatch):
    from ppa_plugin.evaluation.analysis import records as analysis

    written = []
    monkeypatch.setattr(analysis, "append_json_lines", lambda path, records: written.append(records))
    append_analysis(tmp_path / "analysis.jsonl", [scripts(), scripts(layer=9)])
    assert written == [[scripts(), scripts(layer=9)]]


def test_the_later_record_of_a_measurement_counts():
    others = [scripts(layer=9), scripts(task="bible"), scripts(pool="content"), {**scripts(), "model_sha256": "0"}]
    others += [{**scripts(), "model": "another name"}, {**scripts(), "data_sha256": "0"}]
    again = scripts(accuracy=0.5, version="0.2.0")
    assert latest([scripts(), *others, again]) == [again, *others]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "not valid JSON"),
        ("[]", "not a record of an analysis, whose kind has to be vocabulary, "),
        (json.dumps({"metric": "top10"}), "not a record of an analysis"),
        (json.dumps({"kind": "vocabulory"}), "not a record of an analysis"),
        (json.dumps({"kind": ["scripts"]}), "not a record of an analysis"),
        (json.dumps({k: v for k, v in scripts().items() if k != "chance"}), "a scripts record without chance"),
        (json.dumps(scripts(layer="8")), 'a scripts record whose layer is "8"'),
        (json.dumps(scripts(accuracy=True)), "a scripts record whose accuracy is true"),
        (vocabulary("both"), "a vocabulary record whose side is neither orig nor latn"),
        (projection([[0, 1]]), "a projection record without one label for each point"),
        (projection([[0, 1], [0, 1, 2]]), "a projection record without one label for each point"),
        (projection([[0, 1], "01"]), "a projection record without one label for each point"),
    ],
)
def test_what_is_no_record_is_named_by_file_and_line(tmp_path, line, says):
    path = tmp_path / "analysis.jsonl"
    append_analysis(path, [scripts()])
    path.write_text(path.read_text() + "\n" + line + "\n")
    with pytest.raises(UserError) as raised:
        read_analysis(path)
    assert str(raised.value).startswith(f"{path}, line 3: {says}")


def test_files_that_cannot_be_read_or_written(tmp_path):
    with pytest.raises(UserError, match="cannot read"):
        read_analysis(tmp_path / "missing.jsonl")
    with pytest.raises(UserError, match=f"cannot write {tmp_path}"):
        append_analysis(tmp_path, [scripts()])
