"""Romanizing line by line, part by part, from memory or from the cache: one result, whatever came before."""

import contextlib
import json
import sqlite3
import textwrap
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_text import UNDIGESTIBLE, StubRomanizer, sentences, write_corpus, write_group

from ppa_plugin.commandline import UserError
from ppa_plugin.romanization import by_part, romanizers
from ppa_plugin.romanization.by_part import RecentParts, Romanization, load_romanizer
from ppa_plugin.romanization.cache import FILE_NAME
from ppa_plugin.romanization.text_file import romanize_lines


class WordRomanizer(StubRomanizer):
    """The stub, word by word; counts what it is asked."""

    def __init__(self):
        self.asked = Counter()

    def split(self, line):
        return line.replace(" ", "\n \n").split("\n")

    def romanize(self, line, lang):
        self.asked[line] += 1
        if "\ud800" in line:
            return line
        return super().romanize(line, lang) + ("" if lang is None or line.isspace() else lang)


@pytest.fixture(autouse=True)
def words(monkeypatch):
    monkeypatch.setitem(romanizers.ROMANIZERS, "words", WordRomanizer)
    load_romanizer.cache_clear()
    yield load_romanizer("words")
    load_romanizer.cache_clear()


def rows(lines, settings, workers=1):
    return list(romanize_lines(lines, settings, workers))


def line_by_line(lines):
    expected = []
    for line in lines:
        try:
            latn = StubRomanizer().romanize(line, None)
            expected.append((line, "", "romanization has a line break") if "\n" in latn else (line, latn, None))
        except AttributeError:
            expected.append((line, "", "romanizer raised AttributeError"))
    return expected


text = st.text(st.sampled_from("αβγ天地. xy’"), max_size=12)
lines_of_words = st.lists(st.lists(st.sampled_from([UNDIGESTIBLE, "ﷺ", "ab"]) | text).map(" ".join), max_size=40)


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(lines_of_words, min_size=1, max_size=3), recent=st.integers(0, 6))
def test_by_parts_is_line_by_line(tmp_path_factory, texts, recent):
    """Whatever is in memory, on disk or nowhere, and however little fits into memory."""
    cached = Romanization("words", cache=tmp_path_factory.mktemp("cache") / FILE_NAME)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(by_part, "RECENT_PARTS", recent)
        for lines in [*texts, *texts]:
            assert rows(lines, cached) == rows(lines, Romanization("words")) == line_by_line(lines)


def test_each_distinct_part_is_romanized_once(tmp_path, words):
    lines = sentences("ell_Grek", 700)
    settings = Romanization("words", cache=tmp_path / FILE_NAME)
    first = rows(lines, settings)
    distinct = {part for line in lines for part in words.split(line)}
    assert words.asked == Counter(distinct)
    words.asked.clear()
    assert rows(lines, settings) == first
    assert set(words.asked) == {part for part in distinct if part.isascii()}  # those are not kept on disk
    words.asked.clear()
    rows(lines, Romanization("words", "ell", cache=tmp_path / FILE_NAME))
    assert words.asked == Counter(distinct)


def test_workers_share_the_cache(tmp_path, words, monkeypatch):
    lines = [*sentences("ell_Grek", 1500), f"天 {UNDIGESTIBLE}", *sentences("heb_Hebr", 600)]
    settings = Romanization("words", cache=tmp_path / FILE_NAME)
    expected = line_by_line(lines)
    assert rows(lines, settings, workers=3) == expected
    assert rows(lines, settings, workers=2) == expected
    monkeypatch.setattr(StubRomanizer, "romanize", lambda *arguments: 1 / 0)  # nothing is left to romanize ...
    again = rows(lines, settings)
    assert [latn for _, latn, _ in again if latn] == []  # ... but the numbers, which are not kept
    words.romanize = lambda part, lang: part if part.isascii() else 1 / 0
    assert rows(lines[:1500], settings) == expected[:1500]


def test_a_cache_damaged_in_mid_run_changes_nothing(tmp_path, monkeypatch, capsys):
    cache = tmp_path / FILE_NAME
    lines = sentences("ell_Grek", 1000)
    rows(lines, Romanization("words", cache=cache))
    monkeypatch.setattr(by_part, "RECENT_PARTS", 1)  # the first is in order and read at the start, the others not
    with contextlib.closing(sqlite3.connect(cache)) as connection, connection:
        connection.execute("UPDATE parts SET latn = 'wrong' WHERE part > (SELECT min(part) FROM parts)")
    content = cache.read_bytes()
    for workers in (1, 2):
        cache.write_bytes(content)
        assert rows(lines, Romanization("words", cache=cache), workers) == line_by_line(lines)
        assert capsys.readouterr().err.count(f"note: the romanizer cache {cache} is damaged (") == 1
        assert not cache.exists()
    assert rows(lines, Romanization("words", cache=cache)) == line_by_line(lines)


def test_a_romanization_that_is_no_text_costs_its_own_line(words):
    settings = Romanization("words")
    assert rows(["α \ud800", "α"], settings)[0][1:] == ("", "romanizer raised UnicodeEncodeError")
    assert rows(["α \ud800", "α"], settings)[1] == ("α", *line_by_line(["α"])[0][1:])


@settings(max_examples=50)
@given(st.lists(st.integers(0, 30)), st.integers(1, 8))
def test_recent_parts_forget_only_what_was_not_used(keys, most):
    recent = RecentParts(most)
    for position, key in enumerate(keys):
        recent.forget_the_oldest()
        if key in recent:
            assert recent[key] == f"{key}"
        else:
            with pytest.raises(KeyError):
                recent[key]
            recent[key] = f"{key}"
        assert len(recent) + len(recent._old) <= 2 * most
        for used in keys[max(0, position - most + 1) : position + 1]:
            assert used in recent


class Rescuing(WordRomanizer):
    """Gives letters up to what it cannot take, a question mark for that."""

    def rescue(self, text, lang):
        return super().romanize(text.replace(UNDIGESTIBLE, "?"), lang)


@pytest.mark.parametrize("workers", [1, 2])
def test_rescued_lines_are_told_each_time_and_nothing_of_them_is_kept(tmp_path, monkeypatch, workers):
    monkeypatch.setitem(romanizers.ROMANIZERS, "rescuing", Rescuing)
    cached = Romanization("rescuing", cache=tmp_path / FILE_NAME)
    romanize = StubRomanizer().romanize
    bad = f"天{UNDIGESTIBLE} 地"
    rescued = (bad, romanize("天? 地", None), "rescued: romanizer raised AttributeError")
    lines = [bad, *sentences("ell_Grek", 300), bad, "地"]
    for _ in range(2):
        found = rows(lines, cached, workers)
        assert [found[0], found[301]] == [rescued] * 2
        assert found[302] == ("地", romanize("地", None), None)
        assert found[1:301] == line_by_line(lines[1:301])
    dropped = rows([bad], Romanization("rescuing", rescue=False, cache=tmp_path / FILE_NAME), workers)
    assert dropped == [(bad, "", "romanizer raised AttributeError")]


def test_a_romanization_that_loses_letters_is_kept_and_named(monkeypatch):
    class Deaf(StubRomanizer):
        def romanize(self, line, lang):
            return line.replace("β", "").replace("γ", "g")

    monkeypatch.setitem(romanizers.ROMANIZERS, "deaf", Deaf)
    lines = ["ββ γ!", "βγ!", "β", "!!β", "...", "γγ"]
    reason = "romanization loses letters: 1 letters of 3"
    assert [row[1:] for row in rows(lines, Romanization("deaf"))] == [
        (" g!", reason),
        ("g!", None),
        ("", None),
        ("!!", "romanization loses letters: 0 letters of 1"),
        ("...", None),
        ("gg", None),
    ]


def test_lines_in_doubt_are_in_the_shards_counted_and_listed(tmp_path, ppa, spm, monkeypatch):
    monkeypatch.setitem(romanizers.ROMANIZERS, "rescuing", Rescuing)
    lines = sentences("zho_Hani", 90)
    lines[7] = f"天地{UNDIGESTIBLE}山水"
    corpus = write_corpus(tmp_path / "in", {"zho_Hani": lines})
    found = {}
    for rescue in ("true", "false"):
        options = "{name: rescuing, rescue: " + rescue + "}"
        group = write_group(tmp_path / "g.yaml", ["zho_Hani"], romanizer=options)
        assert ppa("all", "--config", group, "--input", corpus, "--spm", spm, "--output", tmp_path / "out") == 0
        manifest = json.loads((tmp_path / "out/data-bin/manifest.json").read_text())["languages"]["zho_Hani"]
        found[rescue] = (manifest["kept"], manifest["romanizer"]["rescued"], manifest["dropped"])
        said = "the romanizer failed on 0, rescued 1" if rescue == "true" else "the romanizer failed on 1"
        assert f"{said}\n" in ppa.out
        listed = tmp_path / "out/in_doubt.jsonl"
        assert listed.is_file() == (rescue == "true")
        if listed.is_file():
            (record,) = map(json.loads, listed.read_text().splitlines())
            assert record["text"] == lines[record["line"] - 1] == lines[7]
            assert record["reason"] == "rescued: romanizer raised AttributeError"
            assert record["latn"] == StubRomanizer().romanize("天地?山水", None)
    assert found["true"] == (90, 1, {})
    assert found["false"] == (89, 0, {"romanizer raised AttributeError": 1})


def test_a_romanizer_of_ones_own(tmp_path, corpus, spm, ppa, monkeypatch):
    module = """
        class Capitals:
            version = "2.5"

            def romanize(self, line, lang):
                return line.upper() or "-"
    """
    (tmp_path / "my_romanizers.py").write_text(textwrap.dedent(module))
    monkeypatch.syspath_prepend(tmp_path)
    group = write_group(tmp_path / "g.yaml", ["tur_Latn"], romanizer="{name: 'my_romanizers:Capitals'}")
    assert ppa("all", "--config", group, "--input", corpus, "--spm", spm, "--output", tmp_path / "out") == 0
    pairs = tmp_path / "out/pairs"
    assert (pairs / "tur_Latn.latn").read_text() == (pairs / "tur_Latn.orig").read_text().upper()
    manifest = json.loads((tmp_path / "out/data-bin/manifest.json").read_text())
    assert manifest["languages"]["tur_Latn"]["romanizer"]["name"] == "my_romanizers:Capitals"
    assert manifest["tools"]["my_romanizers:Capitals"] == "2.5"
    assert not (tmp_path / "out/.ppa-state" / FILE_NAME).exists()  # it says of no part that it stands alone


@pytest.mark.parametrize(
    ("romanizer", "sentence"),
    [
        ("{name: yadda}", "romanizer.name is 'yadda', known are: uroman"),
        ("{name: 'no_such_module:Romanizer'}", "cannot be imported: No module named 'no_such_module'"),
        ("{name: 'json:Romanizer'}", "cannot be imported: module 'json' has no attribute 'Romanizer'"),
        ("{name: 'json:JSONDecoder'}", "lacks `version`, a text, or `romanize(line, lang)`"),
        ("{name: ':'}", "cannot be imported"),
        ("{name: 7}", "romanizer.name is 7, expected a text"),
        ("{name: uroman, normalize_punctuation: 1}", "romanizer.normalize_punctuation is 1, expected true or false"),
        ("{name: uroman, rescue: never}", "romanizer.rescue is 'never', expected true or false"),
    ],
)
def test_a_romanizer_that_there_is_not(tmp_path, corpus, ppa, romanizer, sentence):
    group = write_group(tmp_path / "g.yaml", ["tur_Latn"], romanizer=romanizer)
    assert ppa("sample", "--config", group, "--input", corpus, "--output", tmp_path / "out") == 2
    assert ppa.err.startswith("error: ")
    assert sentence in ppa.err
    assert ppa.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_normalized_punctuation_reaches_the_latin_side_alone(tmp_path, ppa):
    line = "«Abc» ( d ) – it’s “so”…"
    corpus = write_corpus(tmp_path / "in", {"tur_Latn": [line, "plain"]})
    latn = {}
    for switch in ("flag", "group", "off"):
        options = ", normalize_punctuation: true" if switch == "group" else ""
        group = write_group(tmp_path / "g.yaml", ["tur_Latn"], romanizer="{name: stub" + options + "}")
        arguments = ["--config", group, "--output", tmp_path / "out"]
        assert ppa("sample", *arguments, "--input", corpus) == 0
        assert ppa("romanize", *arguments, *(["--normalize-punctuation"] if switch == "flag" else [])) == 0
        assert ("unchanged" in ppa.out) == (switch == "group")  # it is the flag's setting, under another name
        assert (tmp_path / "out/pairs/tur_Latn.orig").read_bytes() == (corpus / "tur_Latn.txt").read_bytes()
        latn[switch] = (tmp_path / "out/pairs/tur_Latn.latn").read_text().split("\n")[0]
    romanize = StubRomanizer().romanize
    assert latn["off"] == romanize(line, None)
    assert latn["flag"] == latn["group"] == romanize('"Abc" (d) - it\'s "so..."', None)


def test_the_cache_is_the_outputs_own_or_shared(tmp_path, ppa, words):
    corpus = write_corpus(tmp_path / "in", {"ell_Grek": sentences("ell_Grek", 50)})
    group = write_group(tmp_path / "g.yaml", ["ell_Grek"], romanizer="{name: words}")

    def romanize(name: str, *flags) -> bytes:
        arguments = ["--config", group, "--output", tmp_path / name]
        assert ppa("sample", *arguments, "--input", corpus) == 0
        words.asked.clear()
        assert ppa("romanize", *arguments, "--workers", 1, *flags) == 0
        return (tmp_path / name / "pairs/ell_Grek.latn").read_bytes()

    first = romanize("own")
    assert (tmp_path / "own/.ppa-state" / FILE_NAME).exists()
    shared = tmp_path / "shared"
    assert romanize("one", "--cache", shared) == first
    assert any(not part.isascii() for part in words.asked)
    assert romanize("two", "--cache", shared) == first
    assert all(part.isascii() for part in words.asked)
    assert {path.name for path in shared.iterdir()} == {FILE_NAME}
    assert not (tmp_path / "two/.ppa-state" / FILE_NAME).exists()


def test_a_cache_that_cannot_be_written(tmp_path, ppa, words):
    corpus = write_corpus(tmp_path / "in", {"ell_Grek": ["α"]})
    assert (
        ppa(
            "romanize",
            "--input",
            corpus / "ell_Grek.txt",
            "--output",
            tmp_path / "latn",
            "--cache",
            corpus / "ell_Grek.txt",
        )
        == 2
    )
    assert ppa.err.startswith("error: cannot write the romanizer cache to ")
    assert not (tmp_path / "latn").exists()


def test_a_romanizer_is_found_by_name():
    assert romanizers.find_romanizer("uroman") is romanizers.Uroman
    assert romanizers.find_romanizer("ppa_plugin.romanization.exact_uroman:Uroman") is romanizers.Uroman
    with pytest.raises(UserError, match="known are"):
        romanizers.find_romanizer("uroman.Uroman")
    assert Path(FILE_NAME).suffix == ".sqlite"
