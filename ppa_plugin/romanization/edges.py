"""Which characters of a line became which letters: a romanizer's edges, written into the romanization as marks.

An edge is a run of characters of the line and the letters that it became; a line's edges tile it, and their letters
spell its romanization. Most are one character that became one letter. That is the letter alone here, and marks say what
differs, so that the marked romanizations of a line's parts, joined, are that of the line: whatever keeps, caches and
joins romanizations does so with marked ones, and they are hardly longer.

    \\x01 before a letter    the letter belongs to the edge of the one before:  ㄱ -> gi   "g\\x01i"
    \\x02 behind a letter    its edge has one character more:                   ου -> u    "u\\x02"
    \\x03                    an edge of one character that became nothing:      ь -> ""    "\\x03"
    \\x04                    the text itself has such characters: they follow as A to D, and nothing is marked
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

_LETTER_MORE, _CHARACTER_MORE, _SILENT, _LITERAL = (chr(code) for code in range(1, 5))
_EDGE_MARKS = (_LETTER_MORE + _CHARACTER_MORE + _SILENT).encode()
_MARKS = re.compile("[\x01-\x04]")
_ESCAPED = re.compile(f"{_LITERAL}(.)")
_AS_LETTER = ord("A") - 1


class EdgeEnds(NamedTuple):
    """Where the edges of some lines end; E are all edges, line after line."""

    line: np.ndarray  # (E,) the line of each edge, from 0
    orig: np.ndarray  # (E,) characters of that line up to the edge's end
    latn: np.ndarray  # (E,) letters of its romanization up to there
    sizes: np.ndarray  # (N, 2) characters and letters of each line; 0 and 0 of one whose edges are not known


def mark(edges: Iterable[tuple[int, str]]) -> str:
    """The marked romanization of a text from its edges: how many characters, and the letters that they became."""
    edges = list(edges)
    text = mark_unchanged("".join([letters for _, letters in edges]))
    if _LITERAL in text:
        return text
    marked = []
    for characters, letters in edges:
        if characters == 1 == len(letters):
            marked.append(letters)
        elif not characters:  # what no character became belongs to the edge before
            marked.extend([_LETTER_MORE + letter for letter in letters])
        else:
            marked.append((letters[:1] or _SILENT) + _CHARACTER_MORE * (characters - 1))
            marked.extend([_LETTER_MORE + letter for letter in letters[1:]])
    return "".join(marked)


def mark_unchanged(text: str) -> str:
    """The marked romanization of a text that stays as it is, each character its own letter."""
    return _MARKS.sub(lambda found: _LITERAL + chr(ord(found[0]) + _AS_LETTER), text)


def unmark(marked: str) -> str:
    """The romanization without its marks."""
    plain = marked.encode().translate(None, _EDGE_MARKS).decode()  # half the time of replacing each
    if _LITERAL in plain:
        plain = _ESCAPED.sub(lambda found: chr(ord(found[1]) - _AS_LETTER), plain)
    return plain


def edge_ends(marked: Sequence[str]) -> EdgeEnds:
    """Where the edges of marked romanizations (N lines) end."""
    known = ["" if _LITERAL in line else line for line in marked]
    codes = np.frombuffer("".join(known).encode("utf-32-le"), dtype="<u4")
    bounds = np.concatenate(([0], np.cumsum([len(line) for line in known], dtype=np.int64)))
    letter = (codes > ord(_LITERAL)) | (codes == 0)
    first = letter.copy()  # where an edge begins
    first[1:] &= codes[:-1] != ord(_LETTER_MORE)
    first |= codes == ord(_SILENT)
    counts = np.zeros((len(codes) + 1, 2), dtype=np.int64)  # characters and letters before each place
    np.cumsum(first | (codes == ord(_CHARACTER_MORE)), out=counts[1:, 0])
    np.cumsum(letter, out=counts[1:, 1])
    starts = np.flatnonzero(first)
    line = np.searchsorted(bounds, starts, side="right") - 1
    ends = counts[np.append(starts, len(codes))[1:]] - counts[bounds[line]]
    return EdgeEnds(line, ends[:, 0], ends[:, 1], counts[bounds[1:]] - counts[bounds[:-1]])
