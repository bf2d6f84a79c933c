"""Chinese by pypinyin: words of pinyin without tones."""

import unicodedata
from importlib import metadata

from ppa_plugin.romanization.packages.words import latin_punctuation, with_spaces


class Pypinyin:
    """Pinyin without tones in ASCII (ü is u), one word for each word of pypinyin's phrases, which decide heteronyms.

    An apostrophe stands before a syllable of a word that begins with a vowel, as in xi'an. Punctuation becomes ASCII;
    what is not Chinese, and characters without a reading, stay. All that reads Chinese characters comes out as
    Mandarin, Cantonese too. No `split`: a line takes a fifth of a millisecond, and words depend on their neighbours.
    """

    version = f"pypinyin {metadata.version('pypinyin')}"

    def __init__(self) -> None:
        from pypinyin import lazy_pinyin
        from pypinyin.constants import RE_HANS
        from pypinyin.seg.simpleseg import seg

        self._words, self._is_chinese, self._readings = seg, RE_HANS.match, lazy_pinyin

    def romanize(self, line: str, lang: str | None) -> str:
        """Romanize one line; `lang` does not matter."""
        if line.isascii():
            return line
        return with_spaces(self._romanized(word) for word in self._words(latin_punctuation(line)))

    def _romanized(self, word: str) -> tuple[str, bool]:
        if not self._is_chinese(word):
            return word, False
        syllables = self._readings([word], errors=lambda characters: [*characters])
        joined = "".join(
            f"'{syllable}" if number and syllable[:1] in _VOWELS else syllable
            for number, syllable in enumerate(map(_without_marks, syllables))
        )
        return joined, True


_VOWELS = frozenset("aeo")


def _without_marks(syllable: str) -> str:
    """ASCII of what pypinyin writes: ê, ḿ, ń and the like lose their mark; its v for ü is no letter of pinyin."""
    if syllable.isascii():
        return syllable.replace("v", "u")
    return "".join(c for c in unicodedata.normalize("NFD", syllable) if not unicodedata.combining(c))
