"""Which characters became which letters: marked and read back, from uroman, by part, through memory and cache."""

import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ppa_plugin.romanization import by_part, romanizers
from ppa_plugin.romanization.by_part import PartwiseRomanizer, Romanization, load_romanizer
from ppa_plugin.romanization.cache import FILE_NAME, RomanizationCache
from ppa_plugin.romanization.edges import edge_ends, mark, unmark
from ppa_plugin.romanization.exact_uroman import Uroman
from ppa_plugin.romanization.text_file import romanize_lines, romanize_rows

letters = st.text(st.sampled_from("abé\u2028\x00天"), max_size=4)
edges_of_a_part = st.lists(st.tuples(st.integers(1, 4), letters), max_size=6)


def ends_written_out(edges):
    """Characters and letters up to each edge's end."""
    lengths = [(characters, len(text)) for characters, text in edges]
    return [tuple(map(sum, zip(*lengths[: i + 1], strict=True))) for i in range(len(lengths))]


@given(st.lists(st.lists(edges_of_a_part, max_size=3), min_size=1, max_size=5))
def test_marks_give_the_text_and_the_edges_back(lines):
    """Of lines whose parts were marked one by one, all at once."""
    marked = ["".join(map(mark, parts)) for parts in lines]
    edges = [list(itertools.chain.from_iterable(parts)) for parts in lines]
    assert [unmark(line) for line in marked] == ["".join(text for _, text in of_line) for of_line in edges]
    found = edge_ends(marked)
    expected = [(number, *end) for number, of_line in enumerate(edges) for end in ends_written_out(of_line)]
    assert list(zip(*(column.tolist() for column in found[:3]), strict=True)) == expected
    assert found.sizes.tolist() == [list(ends_written_out(e)[-1]) if e else [0, 0] for e in edges]


def test_how_marks_look():
    assert (
        mark([(1, "s"), (1, "eo"), (2, "u"), (1, ""), (3, ""), (2, "xyz")])
        == "se\x01ou\x02\x03\x03\x02\x02x\x02\x01y\x01z"
    )
    assert mark([(1, "a"), (0, "bc"), (1, "d")]) == "a\x01b\x01cd"  # what no character became


@given(st.text(st.sampled_from("\x00\x01\x02\x03\x04\x05AB天"), max_size=8))
def test_text_with_the_marks_themselves_stays_and_has_no_edges(text):
    marked = mark([(1, character) for character in text])
    assert unmark(marked) == text
    known = not set(text) & set("\x01\x02\x03\x04")
    assert edge_ends([marked]).sizes.tolist() == [[len(text)] * 2 if known else [0, 0]]
    assert len(edge_ends(["x", marked, "y"]).line) == 2 + known * len(text)


@pytest.fixture(scope="module")
def ours():
    return Uroman()


CONTEXT = (
    "0129½Ⅻ一二十百千万億負分之彼得っッゃューき゚ะาเแไกขดอ์่ั့်္ကမ္ဓानमस्αΜπμΓκΑωЖщийеъ'’⠠⠃⠼⠁བོདཡིག་ .,;。ﷺ가힣ሀشَسç\x01\x07\u200c"
)


@settings(max_examples=200, deadline=None)
@given(
    line=st.text(st.sampled_from(CONTEXT), max_size=20) | st.text(max_size=8).map(lambda t: t.replace("\n", "")),
    code=st.sampled_from([None, "ell", "zho", "tha", "kor"]),
)
@example(line="서울 ๑๒๓ 三百五十 ½ β’", code=None)
def test_uromans_edges_tile_the_line_and_spell_its_romanization(ours, line, code):
    try:
        latn = ours.romanize(line, code)
    except AttributeError:
        with pytest.raises(AttributeError):
            ours.edges(line, code)
        return
    edges = ours.edges(line, code)
    assert "".join(text for _, text in edges) == latn
    assert sum(characters for characters, _ in edges) == len(line)
    assert all(characters > 0 for characters, _ in edges)
    by_parts = [edge for part in ours.split(line) for edge in ours.edges(part, code)]
    assert "".join(text for _, text in by_parts) == latn


class Greek:
    """Word by word; some letters become two, some none, two become one; raises on one word, is wrong on another."""

    version = "1"
    EDGES = (("ου", "u"), ("θ", "th"), ("ψ", "ps"), ("ʼ", ""), ("α", "a"), ("σ", "s"), ("ν", "n"))

    def split(self, line):
        return line.replace(" ", "\n \n").split("\n")

    def edges(self, line, lang):
        if "χ" in line:
            raise ValueError(line)
        found = []
        while line:
            given, letters = next(((g, t) for g, t in self.EDGES if line.startswith(g)), (line[0], line[0]))
            found.append((len(given) + ("ω" in line), letters))
            line = line[len(given) :]
        return found

    def romanize(self, line, lang):
        return "".join(letters for _, letters in self.edges(line, lang))

    def rescue(self, text, lang):
        if "χχ" in text:
            raise ValueError(text)
        return "x"


class Mute:
    """The same romanizations, without edges."""

    version, split, rescue = Greek.version, Greek.split, Greek.rescue

    def romanize(self, line, lang):
        return Greek().romanize(line, lang)


@pytest.fixture(autouse=True)
def greek(monkeypatch):
    monkeypatch.setitem(romanizers.ROMANIZERS, "greek", Greek)
    monkeypatch.setitem(romanizers.ROMANIZERS, "mute", Mute)
    load_romanizer.cache_clear()
    yield
    load_romanizer.cache_clear()


words = st.lists(
    st.text(st.sampled_from("ουθψʼασν;\x02"), max_size=4) | st.sampled_from(["χα", "χχ", "ωα"]), max_size=4
)


@settings(max_examples=20, deadline=None)
@given(texts=st.lists(st.lists(words.map(" ".join), max_size=20), min_size=1, max_size=3), recent=st.integers(0, 4))
def test_the_text_is_the_same_with_edges(tmp_path_factory, texts, recent):
    """Whatever is in memory, on disk or nowhere; with and without edges in one cache."""
    place = tmp_path_factory.mktemp("cache") / FILE_NAME
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(by_part, "RECENT_PARTS", recent)
        for lines in [*texts, *texts]:
            plain = list(romanize_lines(lines, Romanization("greek", cache=place), 1))
            rows = list(romanize_rows(lines, Romanization("greek", cache=place, edges=True), 1))
            assert [row[:3] for row in rows] == plain
            for line, latn, _, marked in rows:
                assert unmark(marked) == latn
                known = edge_ends([marked])
                if latn and "\x02" not in line:
                    assert known.sizes.tolist() == [[len(line), len(latn)]]


def test_edges_of_each_kind_of_line(tmp_path):
    lines = ["θα ου", "σα χα ν", "σα χχ", "α ωα", "ʼ", ""]
    rows = list(romanize_rows(lines, Romanization("greek", edges=True), 1))
    assert [(latn, marked) for _, latn, _, marked in rows] == [
        ("tha u", "t\x01ha u\x02"),
        ("sa x n", "sa x\x02 n"),  # the rescued part is one edge
        ("", ""),
        ("a ωa", "a ω\x02\x01a"),  # of edges that do not tile their part, one is made
        ("", ""),
        ("", ""),
    ]
    mute = romanize_rows(lines, Romanization("mute", edges=True), 1)
    assert [row[3] for row in mute] == [""] * len(lines)


def test_what_the_normalizer_changes_has_no_edges():
    lines = ["α ν", "“α”", "α…", "α ʼ"]
    rows = list(romanize_rows(lines, Romanization("greek", normalize_punctuation=True, edges=True), 1))
    assert [(latn, marked) for _, latn, _, marked in rows] == [
        ("a n", "a n"),
        ('"a"', ""),
        ("a...", ""),
        ("a ", "a \x03"),
    ]


def test_edges_have_a_place_of_their_own_in_the_cache(tmp_path):
    """An old cache stays valid, and is not read for edges; those are found again without the romanizer."""
    place = tmp_path / FILE_NAME
    plain, edged = (Romanization("greek", cache=place, edges=edges) for edges in (False, True))
    list(romanize_lines(["θαν"], plain, 1))
    list(romanize_rows(["θαν"], edged, 1))
    for settings_of_run, latn in ((plain, "than"), (edged, "t\x01han")):
        cache = RomanizationCache(place, *settings_of_run.cache_key())
        assert cache.find(["θαν"]) == {"θαν": latn}
        cache.close()
        asked = PartwiseRomanizer(settings_of_run)
        asked._ways = []
        assert asked.romanize(["θαν"]).latn == ["than"]
        asked.close()
    assert plain.cache_key() == ("greek", "1", None)
    assert "edges" not in plain.made_with()
    assert plain.made_with() != edged.made_with()
    assert Romanization("mute", edges=True).cache_key() == ("mute", "1", None)


def test_memory_for_marks_is_that_of_the_text():
    """A marked part is one text with a mark where an edge is not one character that became one letter."""
    line = "서울 กรุงเทพ αθήνα 北京"
    marked = "".join(mark(load_romanizer("uroman").edges(part, None)) for part in load_romanizer("uroman").split(line))
    assert len(marked) <= len(line) + 2 * len(unmark(marked))
    assert np.array_equal(edge_ends([marked]).sizes, [[len(line), len(unmark(marked))]])
