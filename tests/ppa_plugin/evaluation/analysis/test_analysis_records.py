"""The analysis file: what is appended is read back, and what is no record is one sentence."""

import json
import re

import pytest

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.analysis.records import append_analysis, latest, read_analysis, record
from ppa_plugin.evaluation.model import Model

PROJECTION = {"layer": 8, "pool": "all", "method": "pca", "labels": ["tur_Latn", "ell_Grek"]}
MODEL = Model("aligned", "models/aligned", "ab" * 32)
SCRIPTS = {"layer": 8, "pool": "all", "accuracy": 0.75, "chance": 0.5, "scripts": {"Arab": 4, "Latn": 4}}


TOKENS = {"task": "sib", "language": "ell_Grek", "layer": 8, "accuracy": 0.5, "chance": 0.1, "from_orig": 0.6}
TOKENS |= {
    "from_latn": 0.4,
    "blocks": 90,
    "pairs": 9,
    "pairs_without": 1,
    "depth": 12,
    "group": 8,
    "romanizer": "uroman 1",
}
MAP = {"task": "sib", "language": "ell_Grek", "layer": 8, "number": 3, "orig": ["α", "β"], "latn": ["a", "v"]}
MAP |= {"cosines": [[0.5, -0.25], [0.0, 1.0]]}
WORDS = {"source": "eng_Latn", "target": "ell_Grek", "layer": 8, "accuracy": 0.5, "chance": 0.1, "from_source": 0.5}
WORDS |= dict.fromkeys(("source_words", "target_words", "source_left_out", "target_left_out", "lines"), 5)
WORDS |= {"from_target": 0.5, "lines_without": 0, "depth": 12, "group": 8}


def of_tokens(kind, values, **changed):
    return record(kind, MODEL, "cd" * 32, **{**values, **changed})


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


def test_records_of_tokens_are_read_and_told_apart(tmp_path):
    path = tmp_path / "analysis.jsonl"
    tokens = [of_tokens("tokens", TOKENS, language=language) for language in ("ell_Grek", "fas_Arab")]
    words = [of_tokens("words", WORDS, target=language) for language in ("ell_Grek", "fas_Arab")]
    every = [*tokens, *words, of_tokens("token_map", MAP)]
    append_analysis(path, every)
    assert read_analysis(path) == every
    again = of_tokens("words", WORDS, accuracy=0.75)
    assert latest([*every, again]) == [*tokens, again, *every[3:]]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (of_tokens("tokens", TOKENS, from_latn=1.5), "a tokens record whose from_latn is 1.5"),
        (of_tokens("tokens", TOKENS, group=0), "a tokens record whose group is 0"),
        (of_tokens("tokens", TOKENS, language=["ell_Grek"]), 'a tokens record whose language is ["ell_Grek"]'),
        (of_tokens("token_map", MAP, romanizer=3), "a token_map record whose romanizer is 3"),
        (of_tokens("words", WORDS, source=None), "a words record whose source is null"),
        (of_tokens("words", {k: v for k, v in WORDS.items() if k != "lines"}), "a words record without lines"),
        (
            of_tokens("token_map", MAP, cosines=[[1.0, 0.5], [0.5]]),
            "a token_map record whose cosines are not",
        ),
        (
            of_tokens("token_map", MAP, latn=["a"]),
            "a token_map record whose cosines are not a row and a column for e",
        ),
        (of_tokens("token_map", MAP, cosines=[], orig=[], latn=[]), "a token_map record whose cosines are not a row"),
        (of_tokens("token_map", MAP, cosines=[[1.5]]), "a token_map record whose cosines is [[1.5]]"),
        (of_tokens("token_map", MAP, cosines=[["x"]]), 'a token_map record whose cosines is [["x"]]'),
    ],
)
def test_what_is_no_record_of_tokens_is_said(tmp_path, line, says):
    path = tmp_path / "analysis.jsonl"
    path.write_text(json.dumps(line))
    with pytest.raises(UserError, match=re.escape(f"{path}, line 1: {says}")):
        read_analysis(path)


def test_records_by_several_romanizers_are_several_measurements():
    one, other = of_tokens("tokens", TOKENS), of_tokens("tokens", TOKENS, romanizer="ell_Grek: icu 2; others: uroman 1")
    unsaid, said = of_tokens("token_map", MAP), of_tokens("token_map", MAP, romanizer="icu 2")
    again = {**other, "accuracy": 0.25}
    assert latest([one, other, unsaid, said, again]) == [one, again, unsaid, said]


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
    ("kind", "values", "changes"),
    [
        ("tokens", TOKENS, [{"group": 64}, {"seed": 1}, {"pairs": 19}, {"pairs_without": 0}]),
        ("words", WORDS, [{"group": 64}, {"seed": 1}, {"lines": 9}, {"lines_without": 2}]),
        ("scripts", SCRIPTS, [{"seed": 1}, {"scripts": {"Arab": 8, "Latn": 8}}]),
    ],
)
def test_what_was_drawn_or_compared_otherwise_is_another_measurement(kind, values, changes):
    given = {**values, "seed": 42}
    others = [of_tokens(kind, given, **change) for change in changes]
    again = of_tokens(kind, given, accuracy=0.25)
    assert latest([of_tokens(kind, given), *others, again]) == [again, *others]


def test_of_pictures_and_of_a_run_over_other_languages_the_last_counts():
    maps = [of_tokens("token_map", MAP, number=number) for number in (3, 4)]
    points = [{**json.loads(projection([[0, place], [1, 1]])), "seed": place} for place in (1, 2)]
    covered = [{**json.loads(vocabulary("orig")), "group": {"languages": [code]}} for code in ("ell_Grek", "fas_Arab")]
    for earlier, later in (maps, points, covered):
        assert latest([earlier, later]) == [later]


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
        (json.dumps(scripts(seed=[1])), "a scripts record whose seed is [1]"),
        (json.dumps(scripts(scripts={"Arab": "4"})), 'a scripts record whose scripts is {"Arab": "4"}'),
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
