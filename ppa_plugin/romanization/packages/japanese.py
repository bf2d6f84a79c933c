"""Japanese by cutlet: Hepburn, word by word, with the readings of UniDic."""

import re
from importlib import metadata

import cutlet
import unidic_lite

_DISTRIBUTIONS = ("cutlet", "fugashi", "unidic-lite")
_PHRASES = re.compile(r"\s+|([、。，．！？])")


class Cutlet:
    """Hepburn without marks on long vowels, and loanwords as they are written where they come from: cutlet's defaults.

    カツカレーを食べた becomes Cutlet curry wo tabeta. What has no reading stays, and so does a line that is ASCII. The
    dictionary is unidic-lite, whatever else MeCab finds on the machine. No `split`: words depend on those around them.
    """

    version = ", ".join(f"{name} {metadata.version(name)}" for name in _DISTRIBUTIONS)

    def __init__(self) -> None:
        folder = unidic_lite.DICDIR
        converter = cutlet.Cutlet(ensure_ascii=False, mecab_args=f'-r "{folder}/mecabrc" -d "{folder}"')
        self._romaji = converter.romaji

    def romanize(self, line: str, lang: str | None) -> str:
        """Romanize one line; `lang` does not matter. Raises `KeyError` at kana that cutlet does not know."""
        # to MeCab a NUL is the end of the line
        return line if line.isascii() else self._romaji(line.replace("\0", " "))

    def rescue(self, text: str, lang: str | None) -> str:
        """Romanize a text that cutlet raises on phrase by phrase, and one that it still raises on by shorter parts.

        A character that it does not know stays.
        """
        phrases = [self._in_parts(phrase) for phrase in _PHRASES.split(text) if phrase]
        return re.sub(" (?=[,.!?])", "", " ".join(phrases))

    def _in_parts(self, phrase: str) -> str:
        try:
            return self.romanize(phrase, None)
        except KeyError:
            half = len(phrase) // 2
            return self._in_parts(phrase[:half]) + self._in_parts(phrase[half:]) if half else phrase
