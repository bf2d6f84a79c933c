"""What romanizers of scripts without spaces have in common: spaces between words, punctuation as Latin text has it."""

import re
from collections.abc import Iterable

WORDS_IN_MEMORY = 1 << 16  # of each process, 10 MB

_OPENING, _CLOSING = "「『“〝《〈【〔〖（", "。、｡､」』”〞〟》〉】〕〗）．，：；！？"
_PUNCTUATION = {0xFEE0 + code: chr(code) for code in range(0x21, 0x7F)}  # full-width forms are ASCII, moved
_PUNCTUATION |= dict(zip(map(ord, "。｡、､・\u3000"), "..,,  ", strict=True))
_PUNCTUATION |= dict.fromkeys(map(ord, "「」『』“”〝〞〟"), '"') | dict.fromkeys(map(ord, "‘’"), "'")
_PUNCTUATION |= dict(zip(map(ord, "《〈》〉【〔〖】〕〗"), "<<>>[[[]]]", strict=True))
# before an opening one and after a closing one, but within a number
_SPACE = re.compile(rf"(?<=[^\s{_OPENING}])(?=[{_OPENING}])|(?<=[{_CLOSING}])(?!(?<=\d[．，：])\d)(?=[^\s{_CLOSING}])")


def with_spaces(pieces: Iterable[tuple[str, bool]]) -> str:
    """Pieces of a line joined, each with whether it was romanized: a space where words would touch.

    Words touch where a letter or digit meets another one and one of the two pieces was romanized; what was not keeps
    the spaces that it has, and no others.
    """
    line, last_romanized = "", False
    for piece, romanized in pieces:
        if not piece:
            continue
        if (romanized or last_romanized) and line[-1:].isalnum() and piece[0].isalnum():
            line += " "
        line += piece
        last_romanized = romanized
    return line


def latin_punctuation(line: str) -> str:
    """Punctuation, letters and digits of full width, and Chinese quotes and brackets, as ASCII with Latin's spaces."""
    return line if line.isascii() else _SPACE.sub(" ", line).translate(_PUNCTUATION)
