"""Thai by PyThaiNLP: the Royal system, word by word."""

import functools
import os
import re
from importlib import metadata

from ppa_plugin.romanization.packages.words import WORDS_IN_MEMORY, with_spaces

_THAI = re.compile(r"[\u0e01-\u0e4e]")
# what the engine leaves of a syllable that it does not know
_LEFT_VOWELS = {
    **dict.fromkeys("ะัาๅ", "a"),
    **dict.fromkeys("ิี", "i"),
    **dict.fromkeys("ึื", "ue"),
    **dict.fromkeys("ุู", "u"),
    **dict.fromkeys("ใไ", "ai"),
    **dict.fromkeys("\u0e3a\u0e47\u0e4d", ""),  # phinthu, maitaikhu, nikhahit
    **{"ำ": "am", "เ": "e", "แ": "ae", "โ": "o"},
}
_LEFT = str.maketrans(_LEFT_VOWELS | dict(zip("๐๑๒๓๔๕๖๗๘๙", "0123456789", strict=True)))
# it makes k of the first, and nothing of the others, which stand in abbreviations
_WITHOUT_VOWEL = {"ก็": "ko", "อ": "o", "อ.": "o.", "ห": "h", "ห.": "h."}


class Pythainlp:
    """The Royal Thai General System of Transcription (RTGS) in ASCII, a space between words.

    Words are those of PyThaiNLP's newmm, syllables those of its dictionary, and its engine `royin` writes each: none of
    them needs a download. ๆ repeats its word, digits are ASCII; what is not Thai stays. No `split`: words depend on
    what is around them.
    """

    version = f"pythainlp {metadata.version('pythainlp')}"

    def __init__(self) -> None:
        if not {"PYTHAINLP_READ_ONLY", "PYTHAINLP_READ_MODE"} & os.environ.keys():
            os.environ["PYTHAINLP_READ_ONLY"] = "1"  # before it is imported, or it makes a directory in the user's home
        from pythainlp.tokenize import subword_tokenize, word_tokenize
        from pythainlp.transliterate import romanize
        from pythainlp.util import expand_maiyamok

        @functools.lru_cache(WORDS_IN_MEMORY)
        def romanized(word: str) -> tuple[str, bool]:
            if not _THAI.search(word):
                return word.translate(_LEFT), False
            syllables = subword_tokenize(word, engine="dict")
            latn = "".join(_WITHOUT_VOWEL.get(syllable) or romanize(syllable, engine="royin") for syllable in syllables)
            return latn.translate(_LEFT), True

        self._word = romanized
        self._words = lambda line: expand_maiyamok(word_tokenize(line, engine="newmm"))

    def romanize(self, line: str, lang: str | None) -> str:
        """Romanize one line; `lang` does not matter."""
        return line if line.isascii() else with_spaces(map(self._word, self._words(line)))
