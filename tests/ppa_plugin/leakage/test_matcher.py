"""Lines found in others: whole ones and long ones within lines, as a naive search over runs of words finds them."""

import unicodedata
from itertools import combinations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ppa_plugin.leakage.matcher import Matcher
from ppa_plugin.leakage.words import is_long, words_of

# few letters, so that lines often share runs; with what is no part of a word, and a script without spaces
LETTERS = "abAé ßΣ1"
GAPS = [" ", "  ", ", ", "-", "\u200b", "…", "\t", "'"]
word = st.text("abAßΣ1e\u0301", min_size=1, max_size=3)
spaced = st.lists(st.tuples(word, st.sampled_from(GAPS)), max_size=14).map(lambda parts: "".join(map("".join, parts)))
unspaced = st.text("天地ก ำ", max_size=40)
line = st.one_of(spaced, unspaced, st.tuples(spaced, unspaced).map("".join), st.text(max_size=12))
LONG = "one two three four five six seven eight"


def naive(wanted: list[str], text: str) -> tuple[set[str], set[str]]:
    """The letters of the wanted lines that are all of `text`, and of the long ones that are a run of its words."""
    letters = {"".join(words_of(w)) for w in wanted} - {""}
    long = {"".join(words_of(w)) for w in wanted if is_long(words_of(w))}
    words = words_of(text)
    runs = {"".join(words[i:j]) for i, j in combinations(range(len(words) + 1), 2)}
    whole = "".join(words)
    return letters & {whole}, (long & runs) - {whole}


def found(wanted: list[str], text: str) -> tuple[set[str], set[str]]:
    """The same by the matcher."""
    matcher = Matcher()
    letters = {matcher.add(w): "".join(words_of(w)) for w in wanted}
    hits = list(matcher.found_in(text))
    return {letters[key] for key, whole in hits if whole}, {letters[key] for key, whole in hits if not whole}


@given(st.lists(line, max_size=4), line, st.lists(st.sampled_from(GAPS), min_size=2, max_size=2), line, line)
@example([LONG], LONG, [" ", " "], "x", "y")
@example(["a b c d e f g h"], "a b c d e f g h", [" ", " "], "", "i")
@example(["天地" * 12], "天地" * 12, [" ", " "], "天", "地")
@settings(max_examples=400, deadline=None)
def test_what_is_found_is_what_a_naive_search_finds(wanted, inside, gaps, before, after):
    text = before + gaps[0] + inside + gaps[1] + after
    for each in (text, inside):
        assert found([*wanted, inside], each) == naive([*wanted, inside], each)


@given(line)
def test_the_form_is_its_own_form(text):
    assert words_of(" ".join(words_of(text))) == words_of(text)


@given(st.text(max_size=20))
def test_case_and_composition_do_not_matter(text):
    assert words_of(unicodedata.normalize("NFKC", text)) == words_of(text)
    if text.isascii():
        assert words_of(text.upper()) == words_of(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("  Straße,\u00a0Nr. 5!", ["strasse", "nr", "5"]),
        ("„ﬁx“ — don't", ["fix", "don", "t"]),
        ("דִּבֵּר اَلْعَرَبِيَّة", ["דִּבֵּר", "اَلْعَرَبِيَّة"]),
        ("می\u200cخواهم", ["می", "خواهم"]),
        ("天地 abc人", ["天", "地", "abc", "人"]),
        ("བོད་ཡིག", ["བ", "ོ", "ད", "ཡ", "ི", "ག"]),
        ("...", []),
    ],
)
def test_words(text, words):
    assert words_of(text) == words


@pytest.mark.parametrize(
    ("text", "long"),
    [
        (LONG, True),
        ("one two three four five six seven", False),
        ("天" * 24, True),
        ("天" * 23, False),
        ("one two three four five six seven 天地人", True),
        ("one two three four five six seven 天地", False),
    ],
)
def test_eight_words_or_24_characters_are_long(text, long):
    assert is_long(words_of(text)) is long


def test_short_lines_are_found_whole_only():
    matcher = Matcher()
    key = matcher.add("Good morning!")
    assert list(matcher.found_in("GOOD MORNING")) == [(key, True)]
    assert list(matcher.found_in("good morning to you")) == []
    assert matcher.whole("good-morning") == key
    assert matcher.whole("good") is None


def test_a_run_begins_and_ends_with_words():
    matcher = Matcher()
    key = matcher.add(LONG)
    assert list(matcher.found_in(f"and {LONG.upper()}, nine")) == [(key, False)]
    assert list(matcher.found_in(f"{LONG}s nine")) == []
    assert list(matcher.found_in(f"n{LONG} nine")) == []


def test_a_line_belongs_to_who_added_it_first():
    matcher = Matcher()
    key = matcher.add("One line.", owner=2)
    assert matcher.add("one line", owner=1) == key
    assert matcher.owners == {key: 2}
    assert len(matcher) == 1
    assert matcher.add("?!") is None


def test_half_characters_are_compared_too():
    assert Matcher().whole("a \ud800 b") is None
