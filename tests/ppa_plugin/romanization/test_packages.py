"""Romanizers of other packages: what they write, what they leave, and what is said where one is not installed."""

import re
import runpy
import subprocess
import sys
import types
from importlib import metadata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppa_plugin.commandline import UserError
from ppa_plugin.romanization import romanizers
from ppa_plugin.romanization.packages.words import latin_punctuation, with_spaces
from ppa_plugin.romanization.romanizers import PACKAGED, find_romanizer

ROOT = Path(__file__).parents[3]
# the two that are installed for the tests are never skipped
ALWAYS = ("pypinyin", "pythainlp")
SAMPLES = {
    "pypinyin": {
        "他在银行行走，去旅行。": "ta zai yinhang xingzou, qu luxing.",
        "我叫Python 3.5，「好」吗？": 'wo jiao Python 3.5, "hao" ma?',
        "女儿１２，３４５": "nu'er 12,345",
        "《红楼梦》是　小说": "<hongloumeng> shi xiaoshuo",
        "天𡃉地": "tian 𡃉 di",  # a character without a reading
        "Αθήνα": "Αθήνα",
    },
    "pythainlp": {
        "เราต้องรู้ภาษาไทย": "rao tong ru phasathai",
        "เขาก็อยู่บ้าน 25 ปี": "khao ko yu ban 25 pi",
        "ต่างๆ": "tang tang",
        "ใช้ iPhone๒๕๖๗": "chai iPhone2567",
        "อ.เมือง": "o.mueang",
        "天 ελ": "天 ελ",
    },
    "cutlet": {
        "カツカレーを食べた。": "Cutlet curry wo tabeta.",
        "東京でPythonを使う": "Tokyo de Python wo tsukau",
        "한국\0東京": "한국 Tokyo",
    },
    "indic-transliteration": {
        "नमस्ते भारत, राम घर में है। बढ़ १२": "namaste bharata, rama ghara mem hai. barha 12",
        "বাংলায় পড়া": "bamlaya para",
        "অসমীয়া ৰৱ": "asamiya raba",
        "ଓଡ଼ିଆ ବିଶ୍ୱ": "oria bisva",
        "ઑસ્ટ્રિયા ઍંડોરા": "ostriya emdora",
        "ඇමෙරිකාව ඳෆ": "amerikava ndapha",
        "தமிழ் வணக்கம்": "tamil vanakkam",
        "അവൻ മലയാളം": "avan malayalam",
        "ਪੰਜਾਬੀ ਲ਼": "pamjabi la",
        "Αθήνα क": "Αθήνα ka",
    },
    "icu": {"Αθήνα": "Athena", "Москва": "Moskva", "می\u200cخواهم": "mykhwahm", "𡃉": "𡃉"},
}
LETTERS = "天地行西安女兒、。「」（１，５ ก็ต่างๆอ๒ะ र्मढ़ৎ。カッー゛ヽ\u3097々αé’ﷺ\t\0\u200c\u2028ab 1.'"


def romanizer(name: str):
    if name not in ALWAYS:
        for distribution in PACKAGED[name].distributions:
            try:
                metadata.version(distribution)
            except metadata.PackageNotFoundError:
                pytest.skip(f"{distribution} is not installed")
    return find_romanizer(name)()


@pytest.mark.parametrize(("name", "line"), [(name, line) for name, lines in SAMPLES.items() for line in lines])
def test_what_is_written(name, line):
    assert romanizer(name).romanize(line, None) == SAMPLES[name][line]


@pytest.mark.parametrize("name", SAMPLES)
def test_any_line_gives_one_line_and_ascii_stays(name):
    ours = romanizer(name)

    @settings(max_examples=150, deadline=None)
    @given(st.text(st.sampled_from(LETTERS) | st.characters(exclude_characters="\n", codec="utf-8"), max_size=25))
    def check(line):
        try:
            latn = ours.romanize(line, None)
        except KeyError:
            assert name == "cutlet"  # which has a rescue for that
            latn = ours.rescue(line, None)
        assert "\n" not in latn
        latn.encode()
        if line.isascii():
            assert latn == line
        if hasattr(ours, "split"):
            assert "".join(ours.romanize(part, None) for part in ours.split(line)) == latn

    check()


def test_the_letters_are_those_of_pypinyin():
    """Word by word, with other spaces, and the readings that it gives for the whole line."""
    from pypinyin import lazy_pinyin

    ours = romanizer("pypinyin")
    chinese = [
        "银行的行长在长江边长大了行行出状元",
        "西安和吉安的女儿绿了",
        "重庆人重视音乐也快乐地还了还有的书",
        "𡃉喺嗰度",
    ]
    for line in chinese:
        expected = "".join(lazy_pinyin(line)).replace("v", "u")
        assert re.sub("[ ']", "", ours.romanize(line, None)) == expected


def test_thai_words_are_those_of_the_royal_system():
    """As the Royal Institute spells them; what the engine makes of other words is its own."""
    from pythainlp.transliterate import romanize

    ours = romanizer("pythainlp")
    for thai, latn in {"กรุงเทพ": "krungthep", "ภาษา": "phasa", "น้ำ": "nam"}.items():
        assert ours.romanize(thai, None) == romanize(thai, engine="royin") == latn
    # the engine alone leaves vowels in words of several syllables
    assert re.search("[ก-๙]", romanize("ได้รับ", engine="royin"))
    assert ours.romanize("ได้รับ", None) == "dairap"


def test_thai_takes_no_network_and_no_home(tmp_path):
    code = """
import socket
def refuse(*arguments): raise AssertionError("the network is asked")
socket.socket.connect = socket.getaddrinfo = refuse
from ppa_plugin.romanization.romanizers import find_romanizer
print(find_romanizer("pythainlp")().romanize("ภาษาไทย", None))
"""
    environment = {"HOME": str(tmp_path), "PATH": "", "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout == "phasathai\n", done.stderr
    assert not list(tmp_path.iterdir())


def test_words_that_would_touch_are_parted():
    pieces = [("ab", True), ("cd", True), (", ", False), ("", True), ("e", True), ("5", False), ("6", False)]
    assert with_spaces(pieces) == "ab cd, e 56"
    assert with_spaces([]) == ""


@pytest.mark.parametrize(
    ("line", "latin"),
    [
        ("a，b。", "a, b."),
        ("「a」、「b」", '"a", "b"'),
        ("a（b）！？c", "a (b)!? c"),
        ("１，２３４．５：６", "1,234.5:6"),
        ("。 a", ". a"),
        ("plain, (text)", "plain, (text)"),
    ],
)
def test_punctuation_of_full_width(line, latin):
    assert latin_punctuation(line) == latin


@pytest.fixture
def stand_in(monkeypatch):
    """Modules of packages that need a compiler or hundreds of MB, as far as the romanizers use them."""

    class Transliterator:
        @staticmethod
        def createInstance(transforms):
            return types.SimpleNamespace(transliterate=lambda line: f"{transforms}|{line}")

    class Converter:
        def __init__(self, ensure_ascii, mecab_args):
            assert (ensure_ascii, mecab_args) == (False, '-r "/unidic/mecabrc" -d "/unidic"')

        def romaji(self, text):
            if "ヽ" in text:
                raise KeyError("ゝ")
            return "".join({"東": "to", "京": "kyo", "、": ","}.get(character, character) for character in text)

    modules = {
        "icu": types.SimpleNamespace(ICU_VERSION="99.1", Transliterator=Transliterator),
        "cutlet": types.SimpleNamespace(Cutlet=Converter),
        "unidic_lite": types.SimpleNamespace(DICDIR="/unidic"),
    }
    real = metadata.version
    installed = {"PyICU": "2.0", "cutlet": "0.5", "fugashi": "1.5", "unidic-lite": "1.0"}
    monkeypatch.setattr(metadata, "version", lambda name: installed.get(name) or real(name))
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    ours = [PACKAGED[name].place.partition(":")[0] for name in ("icu", "cutlet")]
    before = {name: sys.modules.pop(name) for name in ours if name in sys.modules}
    yield
    for name in ours:
        sys.modules.pop(name, None)
    sys.modules.update(before)


@pytest.mark.usefixtures("stand_in")
def test_the_version_names_all_that_decides():
    assert find_romanizer("icu").version == "PyICU 2.0, ICU 99.1"
    assert find_romanizer("cutlet").version == "cutlet 0.5, fugashi 1.5, unidic-lite 1.0"
    assert find_romanizer("icu")().romanize("Ω", None) == "Any-Latin; Latin-ASCII; [:Cf:] Remove|Ω"


@pytest.mark.usefixtures("stand_in")
def test_what_cutlet_does_not_know_costs_its_own_character():
    ours = find_romanizer("cutlet")()
    assert ours.romanize("東\0京", None) == "to kyo"
    with pytest.raises(KeyError):
        ours.romanize("東ヽ京", None)
    assert ours.rescue("東ヽ京、東京 京", None) == "toヽkyo, tokyo kyo"


@pytest.mark.parametrize("name", PACKAGED)
def test_what_is_not_installed_is_named(name, monkeypatch):
    def missing(distribution):
        raise metadata.PackageNotFoundError(distribution)

    monkeypatch.setattr(metadata, "version", missing)
    needs = PACKAGED[name].distributions[0]
    with pytest.raises(UserError) as error:
        find_romanizer(name)
    assert str(error.value) == (
        f"romanizer.name is '{name}', which needs the package {needs}: pip install 'translit-ppa[{name}]'"
    )


def test_a_package_that_is_broken_is_named(monkeypatch):
    monkeypatch.setattr(metadata, "version", lambda name: "1")
    monkeypatch.setitem(sys.modules, "icu", None)  # its import raises ImportError
    monkeypatch.delitem(sys.modules, PACKAGED["icu"].place.partition(":")[0], raising=False)
    with pytest.raises(UserError, match="is 'icu', which cannot be imported: import of icu halted"):
        find_romanizer("icu")


def test_each_has_an_extra_of_its_name(monkeypatch):
    made = {}
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("setuptools.setup", lambda **settings: made.update(settings))
    runpy.run_path("setup.py")
    extras = made["extras_require"]
    assert {name: set(extras[name]) for name in PACKAGED} == {
        name: set(packaged.distributions) for name, packaged in PACKAGED.items()
    }
    assert set(extras["romanizers"]) == {needed for packaged in PACKAGED.values() for needed in packaged.distributions}
    assert {needed for name in ALWAYS for needed in extras[name]} <= set(extras["dev"])
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").lower()
    for needed in extras["romanizers"]:
        assert f"\n{needed.lower()}==" in pins


def test_none_is_imported_before_it_is_named():
    code = f"import sys; from {romanizers.__name__} import find_romanizer, PACKAGED; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT).stdout.split()
    assert "ppa_plugin.romanization.romanizers" in loaded
    assert not set(loaded) & {"pypinyin", "pythainlp", "cutlet", "fugashi", "icu", "indic_transliteration"}
