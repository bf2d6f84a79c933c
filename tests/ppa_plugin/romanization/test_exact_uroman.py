"""Our uroman against uroman itself, in the mode of its command line: equal bytes, or the same exception."""

import importlib.util
import os
from pathlib import Path

import pytest
import regex
import uroman
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ppa_plugin.commandline import UserError
from ppa_plugin.romanization.exact_uroman import Uroman, context_free

CORPUS_SCRIPT = Path(__file__).parents[3] / "examples" / "quickstart" / "corpus.py"
DELIMITERS = ".,; 。་"
# Characters that uroman treats by their neighbours: numbers, signs, kana that double or lengthen, Thai vowels and its
# silent letter, viramas, capitals before small letters, parts of longer rules, Braille.
CONTEXT = "0129½Ⅻ一二十百千万億兆京零兩负負分之彼得っッゃューき゚ะาเแไกขดอ์่ั့်္ကမ္ဓानमस्ꯀ꯭ਅਮੱΜπμΓκΑωЖщийеъ'’ⲁ̀ⲛ⠠⠃⠼⠁⠀བོདཡིགླ"
PLAIN = "天地人山水火木金土中大小上下가나다라힣ሀለሐመሠ㐀鿕ꀀaZéİßñçşğ"
ODD = (
    "\x00\x07\t\r\x0b\x1c\x7f\x85\xa0\u200b\u200d\u2028\ufeff\ue000\ud800\udc80\U0001f600\U00020000（，！«»“”‘’—…-+/%()"
)
FREE = ["天", "地", "洛", "가", "힣", "ሀ", "መ"]
# not eng: for contracted English Braille uroman does not agree with itself
CODES = [None, "", "rus", "ell", "ara", "zho", "kor", "tha", "mya", "amh", "tur", "hin", "asm", "xxx"]


@pytest.fixture(scope="module")
def reference():
    return uroman.Uroman(cache_size=65536)


@pytest.fixture(scope="module")
def ours():
    return Uroman()


@pytest.fixture(scope="module")
def names():
    """Names of places, languages and currencies in 15 languages and 9 scripts, from CLDR."""
    spec = importlib.util.spec_from_file_location("quickstart_corpus", CORPUS_SCRIPT)
    corpus = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(corpus)
    return {language: list(corpus.read_names(language).values()) for language in corpus.LOCALES}


def outcome(romanize, *arguments):
    try:
        return romanize(*arguments)
    except Exception as error:
        return type(error)


def by_parts(ours, line, code):
    return "".join([ours.romanize(part, code) for part in ours.split(line)])


def same(reference, ours, line, code):
    expected = outcome(reference.romanize_string, line, code)
    return outcome(ours.romanize, line, code) == expected == outcome(by_parts, ours, line, code)


def test_names_in_many_scripts(reference, ours, names):
    code = {"arb_Arab": "ara", "zho_Hani": "zho", "ell_Grek": "ell", "mya_Mymr": "mya"}
    for language, some in names.items():
        lines = some[:40] + [", ".join(some[i : i + 5]) + "." for i in range(40, min(len(some), 240), 5)]
        wrong = [line for line in lines if not same(reference, ours, line, code.get(language))]
        assert not wrong, language


mixed = st.text(st.sampled_from(DELIMITERS + CONTEXT + PLAIN + ODD), max_size=24)
words = st.lists(
    st.sampled_from(["分之", "百分之", "ﷺ", "ﬁ", "St.", "23½", "2,5", "Θεός", "μπ", "ⲟⲩ", *FREE, " ", "。"])
)


@settings(max_examples=300, deadline=None)
@given(
    line=mixed | words.map("".join) | st.text(max_size=12).map(lambda t: t.replace("\n", "")),
    code=st.sampled_from(CODES),
)
@example(line="", code=None)
@example(line="龍珠𠻺十分之戇居啊我覺得。吓？", code=None)  # uroman raises
@example(line="十分之", code=None)  # on this too, otherwise
@example(line="献上，不可迟延。「你要归给我。", code=None)  # without its cache uroman does not split here
@example(line="きゃッ天きー地っ人", code=None)
@example(line="天⠠⠠地人⠀中", code=None)  # capitals from the sign to the Braille space
@example(line="ก天地อ天ดอ地", code=None)
def test_any_text(reference, ours, line, code):
    assert same(reference, ours, line, code)


@settings(max_examples=150, deadline=None)
@given(
    before=mixed, pair=st.tuples(st.sampled_from(FREE), st.sampled_from(FREE)), after=mixed, code=st.sampled_from(CODES)
)
def test_a_cut_between_characters_free_of_context(reference, ours, before, pair, after, code):
    line = before + "".join(pair) + after
    parts = ours.split(line)
    assert "".join(parts) == line
    braille = any("\u2800" <= character <= "\u28ff" for character in line)
    assert braille or len(before) + 1 in {sum(map(len, parts[:i])) for i in range(len(parts))}
    assert same(reference, ours, line, code)


def test_what_is_free_of_context(ours):
    free = set(context_free(ours._uroman))
    assert set(FREE) <= free
    assert not free & set(CONTEXT + "éabЖαก") - {"天"}
    assert len(free) > 35_000


@settings(max_examples=300, deadline=None)
@given(line=st.text(st.sampled_from(DELIMITERS + "ab"), max_size=30))
@example(line="...a. ,b ;。.་་ c")
def test_the_split_is_uromans(ours, line):
    tokens = []
    recording = uroman.Uroman.__new__(uroman.Uroman)  # its splitting alone, without its data
    recording.cache_p = True
    recording.romanize_string_core = lambda token, *arguments: tokens.append(token) or token
    recording.romanize_string(line)
    assert [part for part in ours.split(line) if part] == [token for token in tokens if token]


def test_the_split_is_linear(ours):
    """A split that looked at half a million dots or words once for each of them would not end within the timeout."""
    dots, words, points = "." * 500_000, "a " * 500_000, "。" * 500_000
    assert ours.split(dots) == [dots]
    assert len(ours.split(dots + words)) == 2 * 500_000 + 1
    assert len(ours.split(points)) == 2 * 500_000 + 1
    assert len(ours.split("天" * 500_000)) == 2 * 500_000 - 1


def test_a_long_line(reference, ours, names):
    line = " ".join(name for some in names.values() for name in some[:60]) * 3
    assert len(line) > 20_000
    assert same(reference, ours, line, None)
    assert same(reference, ours, "1" * 5000, None)  # more digits than Python reads: both raise
    assert same(reference, ours, f"a {'9' * 3999} b", None)


def test_every_character_reaches_uroman_once(ours, names, monkeypatch):
    """What is romanized is linear in the line, and distinct parts are a small share of a long one."""
    line = " ".join(names["ell_Grek"][:300]) * 4
    romanized = []
    core = ours._uroman.romanize_string_core
    monkeypatch.setattr(
        ours._uroman, "romanize_string_core", lambda part, *rest: romanized.append(part) or core(part, *rest)
    )
    ours.romanize(line, None)
    assert "".join(romanized) == line
    assert len(set(romanized)) < len(romanized) / 4


def test_what_was_romanized_before_does_not_matter(reference, names):
    """The reference itself, its cache cold for each line, then warm: one romanization."""
    lines = [name for some in names.values() for name in some[:12]]
    cold = []
    for line in lines:
        reference.reset_cache(65536)
        cold.append(reference.romanize_string(line))
    assert [reference.romanize_string(line) for line in reversed(lines)] == cold[::-1]


def test_tables_do_not_grow(ours, names):
    """uroman keeps every substring that it looked up; with millions of sentences that is memory."""
    tables = ours._uroman.dict_bool, ours._uroman.rom_rules
    sizes = [len(table) for table in tables]
    for language in ("tha_Thai", "zho_Hani", "mya_Mymr"):
        for name in names[language][:50]:
            ours.romanize(name, None)
    assert [len(table) for table in tables] == sizes


def test_uroman_itself_is_left_alone(ours):
    assert uroman.uroman.regex is regex
    assert uroman.uroman.Lattice.check_for_scripts.__module__ == "uroman.uroman"


def test_another_release_is_refused(monkeypatch):
    monkeypatch.setattr(Uroman, "version", "1.3.2")
    with pytest.raises(UserError, match=r"uroman 1\.3\.2 is installed, expected 1\.3\.1\.1"):
        Uroman()


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_every_line_of_a_directory(reference, ours, capsys):
    """Every line of every .txt file below $PPA_TEXT, without a language code."""
    if not os.environ.get("PPA_TEXT"):
        pytest.skip("PPA_TEXT names no directory of .txt files")
    differing = {}
    for path in sorted(Path(os.environ["PPA_TEXT"]).rglob("*.txt")):
        lines = path.read_bytes().decode().split("\n")
        differing[path] = [line for line in lines if not same(reference, ours, line, None)]
        with capsys.disabled():
            print(f"\n{path}: {len(lines)} lines, {len(differing[path])} differ", end="")
    assert differing
    assert not any(differing.values())


@settings(max_examples=60)
@given(
    st.lists(
        st.text(st.sampled_from("天地人山水居啊覺我 ，abc"), max_size=8).map("天{}地".format), min_size=1, max_size=4
    ),
    st.sampled_from(["十分之", "二十分之", "三百分之"]),
)
@example(texts=["龍珠𠻺", "戇居啊我覺得。吓？"], number="十分之")
def test_what_uroman_raises_on_is_romanized_by_its_characters_and_the_rest_as_uroman_does(
    reference, ours, texts, number
):
    line = number.join(texts)
    if len(texts) == 1:
        assert ours.rescue(line, None) == ours.romanize(line, None)
        return
    with pytest.raises(AttributeError):
        ours.romanize(line, None)
    # the number itself is whole, as far as uroman takes it: of 二十分之 it raises on 十分之
    characters = reference.romanize_string(number[:-3]) + "".join(map(reference.romanize_string, number[-3:]))
    assert ours.rescue(line, None) == characters.join(by_parts(ours, text, None) for text in texts)


@settings(max_examples=150)
@given(st.text(st.sampled_from("分之十二百千万零一 天a，"), max_size=14))
def test_every_number_is_rescued(ours, line):
    assert ours.rescue(line, None).strip() or not line.strip()


def test_what_cannot_be_rescued_raises_what_uroman_raises(ours, monkeypatch):
    with pytest.raises(AttributeError):
        ours.rescue("十分之" + "天" * 300, None)
    romanize = ours.romanize
    monkeypatch.setattr(ours, "romanize", lambda text, lang: 1 / ("地" not in text) and romanize(text, lang))
    with pytest.raises(ZeroDivisionError):
        ours.rescue("天地", None)
