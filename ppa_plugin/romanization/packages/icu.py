"""Any script by ICU: its transforms Any-Latin and Latin-ASCII."""

from importlib import metadata

import icu

_TRANSFORMS = "Any-Latin; Latin-ASCII; [:Cf:] Remove"  # the last: what is not seen, as between Persian letters


class Icu:
    """ICU's Any-Latin and Latin-ASCII, whatever the script; what they have no letter for stays.

    They know neither words nor readings, and add no vowels where a script leaves them out. The tables are those of the
    ICU that PyICU was compiled against, which the version names. No `split`: rules look at what is around a letter.
    """

    version = f"PyICU {metadata.version('PyICU')}, ICU {icu.ICU_VERSION}"

    def __init__(self) -> None:
        self._transliterate = icu.Transliterator.createInstance(_TRANSFORMS).transliterate

    def romanize(self, line: str, lang: str | None) -> str:
        """Romanize one line; `lang` does not matter."""
        return line if line.isascii() else self._transliterate(line)
