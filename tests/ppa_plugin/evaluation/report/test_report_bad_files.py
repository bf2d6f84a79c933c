"""Broken and hostile files given to `ppa-report`: one sentence with file and line, exit code 2, nothing written."""

import dataclasses
import json
import os

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from made_up_results import result
from running import exit_code

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation import report
from ppa_plugin.evaluation.analysis.records import read_analysis
from ppa_plugin.evaluation.report.analysis_tables import (
    leakage_tables,
    read_by_kind,
    script_table,
    vocabulary_tables,
)
from ppa_plugin.evaluation.report.grid import slug
from ppa_plugin.evaluation.report.groups import read_groups
from ppa_plugin.evaluation.report.measured import Measured, for_tables
from ppa_plugin.evaluation.report.methods import method_tables
from ppa_plugin.evaluation.report.published.counts import read_manifest
from ppa_plugin.evaluation.report.published.facts import Count, read_paper, read_published
from ppa_plugin.evaluation.report.token_tables import block_lines, language_tables, layer_tables, word_lines
from ppa_plugin.evaluation.results import read_results
from ppa_plugin.evaluation.variants import in_order, remarks

RESULT = json.dumps(dataclasses.asdict(result()))
EVERY = {"model": "base", "model_sha256": "a", "data_sha256": "b", "version": "0.1.0"}
GROUP = {"languages": ["ell_Grek"], "distinct_tokens": 3, "covered": 0.5, "shared": None}
VOCABULARY = {"kind": "vocabulary", **EVERY, "language": "ell_Grek", "side": "orig", "words": 3, "tokens": 5}
VOCABULARY |= {"distinct_tokens": 3, "unknown_tokens": 1, "tokens_per_word": 1.5, "covered": 0.5, "group": GROUP}
PROBE = {"kind": "scripts", **EVERY, "layer": 1, "pool": "all", "accuracy": 0.5, "chance": 0.5, "scripts": {"Grek": 2}}
LEAKAGE = {"kind": "leakage", "data_sha256": "cd", "version": "0", "corpus": "text", "corpus_sha256": "ef", "set": "b"}
LEAKAGE |= {"language": "ell_Grek", "lines": 4, "exact": 1, "contained": 1, "share": 0.5}
TOKENS = {"kind": "tokens", **EVERY, "task": "sib", "language": "ell_Grek", "layer": 1, "accuracy": 0.5, "chance": 0.1}
TOKENS |= {"from_orig": 0.6, "from_latn": 0.4, "blocks": 9, "pairs": 2, "pairs_without": 1, "depth": 3, "group": 8}
TOKENS |= {"romanizer": "uroman 1"}
WORDS = {
    "kind": "words",
    **EVERY,
    "source": "eng_Latn",
    "target": "ell_Grek",
    "layer": 1,
    "accuracy": 0.5,
    "chance": 0.1,
}
WORDS |= dict.fromkeys(("source_words", "target_words", "source_left_out", "target_left_out", "lines"), 5)
WORDS |= {"from_source": 0.6, "from_target": 0.4, "lines_without": 0, "depth": 3, "group": 8}
MAP = {"kind": "token_map", **EVERY, "task": "sib", "language": "ell_Grek", "layer": 1, "number": 0}
MAP |= {"orig": ["a"], "latn": ["b"], "cosines": [[0.5]]}
POINTS = {
    "kind": "projection",
    **EVERY,
    "layer": 1,
    "pool": "all",
    "method": "pca",
    "points": [[0, 1]],
    "labels": ["a"],
}
PAPER = "group,table,task,metric,model,source,target,value\nmed,Table 2,bible,top10,base,eng_Latn,tur_Latn,33.3\n"
COUNTS = f"{','.join(Count._fields)}\nmed,Table 1,sentences,orig,tur_Latn,2.4M\n"
MANIFEST = {"group": {"name": "med"}, "languages": {"tur_Latn": {"read": 5, "kept": 4}}}


def changed(record: dict | str, **fields) -> str:
    given = json.loads(record) if isinstance(record, str) else record
    return json.dumps({**given, **fields})


# Name -> flag, content, what the sentence says; {} is the file.
BAD = {
    "nested": ("", "[" * 100_000 + "]" * 100_000, "{}, line 2: "),
    "nested-in-config": (
        "",
        RESULT.replace('"batch_size": 64', '"a": ' + "[" * 500 + "]" * 500),
        "line 2: nested too d",
    ),
    "digits": ("", RESULT.replace('"n": 500', f'"n": {"9" * 5000}'), "{}, line 2: not valid JSON"),
    "digits-in-config": ("", RESULT.replace("64", "9" * 400), "{}, line 2: a whole number in it is beyond 64 bits"),
    "nan": ("", changed(RESULT, value=float("nan")), "{}, line 2: not a result; its value is NaN"),
    "infinity": ("", changed(RESULT, value=float("inf")), "line 2: not a result; its value is Infinity"),
    "above-1": (
        "",
        changed(RESULT, value=46.5),
        "line 2: not a result; its value is 46.5, expected a number from 0 to 1",
    ),
    "below-0": ("", changed(RESULT, value=-0.5), "line 2: not a result; its value is -0.5"),
    "seed-float": ("", changed(RESULT, seed=42.0), "line 2: not a result; its seed is 42.0"),
    "n-below-0": ("", changed(RESULT, n=-1), "line 2: not a result; its n is -1"),
    "layer-below-0": ("", changed(RESULT, layer=-1), "line 2: not a result; its layer is -1"),
    "surrogate": ("", RESULT.replace("runs/base", "\\ud800"), "{}, line 2: a text in it has half a character"),
    "latin-1": ("", RESULT.replace("base", "bas\xe9").encode("latin-1"), "{}, line 2: not valid UTF-8"),
    "utf-16": ("", RESULT.encode("utf-16"), "UTF"),
    "binary": ("", bytes(range(256)) * 20, "{}"),
    "yaml-for-json": ("", "a: 1", "{}, line 2: not valid JSON"),
    "probe-nan": (
        "--analysis",
        changed(PROBE, accuracy=float("nan")),
        "{}, line 1: a scripts record whose accuracy is NaN",
    ),
    "probe-layer": ("--analysis", changed(PROBE, layer=-3), "{}, line 1: a scripts record whose layer is -3"),
    "share": ("--analysis", changed(VOCABULARY, covered=50), "{}, line 1: a vocabulary record whose covered is 50"),
    "task-list": ("--analysis", changed(VOCABULARY, task=["sib"]), 'a vocabulary record whose task is ["sib"]'),
    "group": ("--analysis", changed(VOCABULARY, group={"languages": 3}), "a vocabulary record whose group is"),
    "point-inf": (
        "--analysis",
        changed(POINTS, points=[[0, float("inf")]]),
        "{}, line 1: a projection record without one label",
    ),
    "labels": ("--analysis", changed(POINTS, labels=[]), "{}, line 1: a projection record without one label"),
    "analysis-nested": ("--analysis", "[" * 100_000, "{}, line 1: "),
    "analysis-latin-1": ("--analysis", b'{"kind": "\xe9"}', "{}, line 1: not valid UTF-8"),
    "columns": ("--paper", "a,b,c\n1,2,3\n", "{}, line 1: the columns have to be group,table"),
    "fields": ("--paper", PAPER + "med,Table 2\n", "{}, line 3: 2 fields, 8 columns"),
    "paper-nan": ("--paper", PAPER.replace("33.3", "nan"), "{}, line 2: value 'nan' is not a percentage"),
    "paper-101": ("--paper", PAPER.replace("33.3", "101"), "{}, line 2: value '101' is not a percentage"),
    "paper-long": ("--paper", PAPER.replace("33.3", "9" * 100_000), "{}, line 2: value '999"),
    "paper-longer": ("--paper", PAPER.replace("33.3", "9" * 200_000), "{}, line 2: not a line of CSV"),
    "paper-quote": ("--paper", PAPER.replace("med", '"med'), "{}, line 2: not a line of CSV"),
    "paper-empty": ("--paper", "", "{} holds no published figures"),
    "paper-latin-1": ("--paper", PAPER.replace("med", "m\xe9d").encode("latin-1"), "{}, line 2: not valid UTF-8"),
    "counts": ("--paper", COUNTS.replace("2.4M", "2.4 million"), "{}, line 2: value '2.4 million' is not a count"),
    "manifest": ("--manifest", '{"languages": {"ell_Grek": []}}', "{} is no manifest.json of ppa-preprocess: read of"),
    "manifest-nested": ("--manifest", "[" * 100_000, "{}"),
    "manifest-latin-1": ("--manifest", b'{"kind": "\xe9"}', "{} is not valid UTF-8"),
    "aliases": (
        "--groups",
        "a: &a [x]\n"
        + "".join(f"{c}: &{c} [*{p}{f', *{p}' * 9}]\n" for p, c in zip("abcdefgh", "bcdefghi", strict=True)),
        "{}",
    ),
    "date": ("--groups", "a: 2026-13-01\n", "{}"),
    "int-foo": ("--groups", "a: !!int foo\n", "{}"),
    "list-key": ("--groups", "[a, b]: [tur_Latn]\n", "{}"),
    "own-alias": ("--groups", "a: &a [*a]\n", "{}"),
    "group-nested": ("--groups", "[" * 100_000, "{}"),
    "group-digits": ("--groups", f"a: [{'9' * 5000}]\n", "{}"),
    "group-tag": ("--groups", "a: !!python/object/apply:os.system ['true']\n", "{}"),
}


@pytest.mark.parametrize("name", BAD)
def test_one_sentence_and_nothing_written(tmp_path, capsys, name):
    flag, content, says = BAD[name]
    good, bad, output = tmp_path / "good.jsonl", tmp_path / "bad", tmp_path / "out"
    good.write_text(RESULT + "\n")
    content = content if isinstance(content, bytes) else content.encode()
    bad.write_bytes(content if flag else RESULT.encode() + b"\n" + content + b"\n")
    assert exit_code(report.main, good, *([flag] if flag else []), bad, "--output", output) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert len(error) < 700
    assert says.replace("{}", str(bad)) in error
    assert "Traceback" not in error
    assert not output.exists()


@pytest.mark.parametrize("flag", ["", "--analysis", "--paper", "--groups", "--manifest"])
@pytest.mark.parametrize("kind", ["directory", "pipe", "device", "link", "missing"])
def test_what_is_no_file_is_named_and_not_waited_for(tmp_path, capsys, flag, kind):
    path, output = tmp_path / "given", tmp_path / "out"
    (tmp_path / "good.jsonl").write_text(RESULT + "\n")
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path = "/dev/zero"
    elif kind == "link":
        path.symlink_to("nothing")
    assert exit_code(report.main, tmp_path / "good.jsonl", *([flag] if flag else []), path, "--output", output) == 2
    assert str(path) in capsys.readouterr().err
    assert not output.exists()


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff"])
def test_files_of_nothing_are_no_results(tmp_path, capsys, content):
    (tmp_path / "empty.jsonl").write_text(content)
    assert exit_code(report.main, tmp_path / "empty.jsonl", "--output", tmp_path / "out") == 2
    assert f"no results in {tmp_path / 'empty.jsonl'}" in capsys.readouterr().err


@pytest.mark.parametrize("output", ["good.jsonl", "good.jsonl/below", "/proc/out", "o" * 300])
def test_an_output_where_nothing_can_be_made_is_said_before_the_work(tmp_path, capsys, monkeypatch, output):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.jsonl").write_text(RESULT + "\n")
    assert exit_code(report.main, "good.jsonl", "--output", output) == 2
    assert output[:250] in capsys.readouterr().err


def test_names_of_any_length_are_file_names(tmp_path):
    names = [f"{'x' * 300}{n}" for n in range(2)]
    assert len({slug(name) for name in names}) == 2
    assert max(len(slug("group", name, name)) for name in names) < 140
    lines = [changed(RESULT, model=name, value=0.1 * n) for n, name in enumerate(names)]
    (tmp_path / "results.jsonl").write_text("\n".join(lines))
    arguments = ("--baseline", names[0], "--output", tmp_path / "out")
    assert exit_code(report.main, tmp_path / "results.jsonl", *arguments) == 0


# JSON that is, or nearly is, what a field should be
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([0.5, 8, "eng_Latn"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def mutated(draw, text: bytes) -> bytes:
    """A good file with some bytes replaced, removed, doubled."""
    content = bytearray(text)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(content)))
        length = draw(st.integers(0, 12))
        content[place : place + length] = draw(st.binary(max_size=8) | st.just(bytes(content[place : place + 20])))
    return bytes(content)


@st.composite
def records(draw, good: list[dict]) -> bytes:
    """Good records with some fields replaced by any JSON, or removed."""
    lines = []
    for record in draw(st.lists(st.sampled_from(good), min_size=1, max_size=4)):
        entry = dict(record)
        for name in draw(st.lists(st.sampled_from(sorted(entry)), max_size=2)):
            entry[name] = draw(VALUES)
        lines.append(json.dumps(entry))
    return "\n".join(lines).encode()


def tables_of_results(path) -> None:
    results = in_order(read_results(path))
    chosen, _ = for_tables(results)
    remarks(chosen)
    Measured(chosen)
    method_tables(results)


def tables_of_analysis(path) -> None:
    kinds = read_by_kind([str(path)])
    vocabulary_tables(kinds.get("vocabulary", []))
    script_table(kinds.get("scripts", []))
    leakage_tables(kinds.get("leakage", []))
    blocks = kinds.get("tokens", [])
    layer_tables([*block_lines(blocks), *word_lines(kinds.get("words", []))])
    language_tables(blocks)


READERS = {
    "results": (tables_of_results, records([dataclasses.asdict(result()), dataclasses.asdict(result("b", seed=1))])),
    "results-bytes": (tables_of_results, mutated(f"{RESULT}\n{RESULT}\n".encode())),
    "analysis": (tables_of_analysis, records([VOCABULARY, PROBE, POINTS, LEAKAGE, TOKENS, WORDS, MAP])),
    "analysis-bytes": (read_analysis, mutated("".join(json.dumps(r) + "\n" for r in (VOCABULARY, POINTS)).encode())),
    "paper": (read_published, mutated(PAPER.encode())),
    "counts": (lambda path: read_paper([path]), mutated(COUNTS.encode())),
    "manifest": (read_manifest, records([MANIFEST])),
    "manifest-bytes": (read_manifest, mutated(json.dumps(MANIFEST).encode())),
    "groups": (read_groups, mutated(b"one: [tur_Latn, fas_Arab]\ntwo: &a\n  - kor_Hang\nthree: *a\n")),
}


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(data=None)
@given(data=st.data())
def test_a_reader_gives_a_value_or_one_sentence(tmp_path, name, data):
    read, contents = READERS[name]
    path = tmp_path / "given"
    path.write_bytes(b"" if data is None else data.draw(contents))
    said = ""
    try:
        read(str(path))
    except UserError as error:
        said = str(error)
    assert "\n" not in said
    assert len(said) < 1000
