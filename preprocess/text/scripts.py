"""The script of a language, as its code says it, and the share of a line's letters that are of it."""

import functools
import sys

import numpy as np
import regex

from ppa_plugin.commandline import UserError

# ISO 15924 codes that Unicode has no script of that name for: several scripts together, or a variant of one
_UNICODE_SCRIPTS = {
    "Aran": "Arab",
    "Cyrs": "Cyrl",
    "Geok": "Geor",
    "Hanb": "Hani Bopo",
    "Hans": "Hani",
    "Hant": "Hani",
    "Hrkt": "Hira Kana",
    "Jpan": "Hani Hira Kana",
    "Kore": "Hang Hani",
    "Latf": "Latn",
    "Latg": "Latn",
    "Syre": "Syrc",
    "Syrj": "Syrc",
    "Syrn": "Syrc",
}
# Common and Inherited are letters that scripts share, such as the Arabic tatweel or the long-vowel mark of kana.
_LETTERS = regex.compile(r"[\p{L}--\p{Script=Common}--\p{Script=Inherited}]+", regex.VERSION1)
_OTHER, _OWN = 1, 2


def check_script(lang: str) -> None:
    """Raise `UserError` unless a language's code ends in a script, as in `tur_Latn`."""
    _pattern(lang)


def script_share(line: str, lang: str) -> float:
    """The share of a line's letters (not marks, digits or signs) in the language's own script; 1 where it has none."""
    kinds = _kinds(lang)[np.frombuffer(line.encode("utf-32-le"), dtype="<u4")]
    counts = np.bincount(kinds, minlength=_OWN + 1)
    letters = counts[_OTHER] + counts[_OWN]
    return float(counts[_OWN] / letters) if letters else 1.0


def _pattern(lang: str) -> regex.Pattern:
    code = lang.rpartition("_")[2]
    names = _UNICODE_SCRIPTS.get(code, code).split()
    try:
        if len(code) != 4 or not code.istitle():
            raise regex.error("no script code")
        return regex.compile("[" + "".join(rf"\p{{Script={name}}}" for name in names) + "]+")
    except regex.error:
        raise UserError(
            f"filters.script_share needs the script of every language, and {lang} does not end in one, such as _Latn"
        ) from None


@functools.cache
def _kinds(lang: str) -> np.ndarray:
    """What every character is to a language, by its number: a letter of its script or another letter; 1 byte each."""
    every = "".join(map(chr, range(sys.maxunicode + 1)))
    kinds = np.zeros(len(every), dtype=np.uint8)
    for letters in _LETTERS.finditer(every):
        kinds[letters.start() : letters.end()] = _OTHER
    for own in _pattern(lang).finditer(every):
        kinds[own.start() : own.end()] *= _OWN
    return kinds
