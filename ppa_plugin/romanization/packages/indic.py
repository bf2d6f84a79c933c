"""Scripts of India by indic-transliteration: ISO 15919 without its marks."""

import functools
import re
import unicodedata
from importlib import metadata

from indic_transliteration.sanscript import ISO, transliterate

from ppa_plugin.romanization.packages.words import WORDS_IN_MEMORY

_BLOCK = 0x80
_SCHEMES = {
    0x0900: "devanagari",
    0x0980: "bengali",
    0x0A00: "gurmukhi",
    0x0A80: "gujarati",
    0x0B00: "oriya",
    0x0B80: "tamil_superscripted",  # plain `tamil` reads a letter as the last of the sounds that it may stand for
    0x0C00: "telugu",
    0x0C80: "kannada",
    0x0D00: "malayalam",
    0x0D80: "sinhala",
}
_RUN = re.compile("|".join(f"[{chr(start)}-{chr(start + _BLOCK - 1)}]+" for start in _SCHEMES))
_SIGNS = str.maketrans({"।": ".", "॥": ".", "॰": ".", "ஃ": "h", "\u200c": None, "\u200d": None})
# As the schemes have them: a letter with a dot is one character but in Devanagari, a final one of Malayalam is two.
_DOTTED = "\u09dc\u09dd\u09df\u0a33\u0a36\u0a59\u0a5a\u0a5b\u0a5e\u0b5c\u0b5d"
_LETTERS = {unicodedata.normalize("NFD", letter): letter for letter in _DOTTED}
_LETTERS |= {final: f"{letter}\u0d4d" for final, letter in zip("ൺൻർൽൾൿ", "ണനരലളക", strict=True)}
# what the schemes lack, by the nearest that they have
_LETTERS |= dict(zip("ॲৱઍઑૅૉୱඇඈෑෆ", "ऍবએઓેોଵඅආාඵ", strict=True))
_LETTERS |= {"ැ": "", "ඟ": "ංග", "ඳ": "න්ද", "ඹ": "ම්බ"}
_LETTER = re.compile("|".join(_LETTERS))


class IndicTransliteration:
    """ISO 15919 without its marks, in ASCII: the vowel that a consonant has is written where it is not spoken, too.

    For Devanagari, Bengali, Gurmukhi, Gujarati, Oriya, Tamil, Telugu, Kannada, Malayalam and Sinhala, each known by its
    characters. The danda becomes a full stop; what is of another script stays.
    """

    version = f"indic-transliteration {metadata.version('indic-transliteration')}"

    def romanize(self, line: str, lang: str | None) -> str:
        """Romanize one line; `lang` does not matter."""
        return _RUN.sub(lambda run: _word(run[0]), line.translate(_SIGNS)) if _RUN.search(line) else line

    def split(self, line: str) -> list[str]:
        """The words of a line and the spaces between them: nothing looks past a space."""
        return re.split("( +)", line)


@functools.lru_cache(WORDS_IN_MEMORY)
def _word(run: str) -> str:
    """Characters of one script, romanized."""
    spelled = _LETTER.sub(lambda letter: _LETTERS[letter[0]], unicodedata.normalize("NFC", run))
    scheme = _SCHEMES[ord(run[0]) // _BLOCK * _BLOCK]
    iso = transliterate(spelled, scheme, ISO)
    if scheme == "bengali":
        iso = iso.replace("v", "b")  # it takes ব for the v of Sanskrit
    return "".join(c for c in unicodedata.normalize("NFD", iso) if not unicodedata.category(c).startswith("M"))
