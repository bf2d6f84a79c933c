"""Chinese by pypinyin: words of pinyin without tones."""

import functools
import unicodedata
from importlib import metadata

from pypinyin import lazy_pinyin
from pypinyin.constants import RE_HANS
from pypinyin.seg.simpleseg import seg

from ppa_plugin.romanization.packages.words import WORDS_IN_MEMORY, latin_punctuation, with_spaces

_VOWELS = frozenset("aeo")  # those that a syllable may begin with


class Pypinyin:
    """Pinyin without tones in ASCII (ü is u), a word for each of pypinyin's phrases, which decide between readings.

    An apostrophe stands before a syllable inside a word that begins with a vowel: xi'an. Punctuation becomes ASCII;
    what is not Chinese stays, and so do characters that have no reading. Cantonese is read as Mandarin. No `split`:
    phrases depend on what is around them.
    """

    version = f"pypinyin {metadata.version('pypinyin')}"

    def romanize(self, line: str, lang: str | None) -> str:
        """Romanize one line; `lang` does not matter."""
        return line if line.isascii() else with_spaces(map(_word, seg(latin_punctuation(line))))


@functools.lru_cache(WORDS_IN_MEMORY)
def _word(word: str) -> tuple[str, bool]:
    """A phrase of Chinese characters in pinyin, or another text as it is; whether it is the former."""
    if not RE_HANS.match(word):
        return word, False
    first, *others = map(_without_marks, lazy_pinyin([word], errors=list))
    return first + "".join(f"'{syllable}" if syllable[0] in _VOWELS else syllable for syllable in others), True


def _without_marks(syllable: str) -> str:
    """ASCII of what pypinyin writes: its v is for ü; ê, ḿ and the like lose their mark."""
    if syllable.isascii():
        return syllable.replace("v", "u")
    return "".join(c for c in unicodedata.normalize("NFD", syllable) if not unicodedata.combining(c))
