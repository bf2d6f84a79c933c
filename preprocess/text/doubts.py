"""What does not look like a text of one sentence a line although its name says so: said, not refused."""

import re
from collections.abc import Callable, Sequence

LINES_LOOKED_AT = 200
_SHOWN = 40
_TAKEN = "and is taken for sentences as it is"
# of most lines
_KINDS: dict[str, tuple[Callable[[str], object], str]] = {
    "NUL": (
        lambda line: "\0" in line,
        f"most of its lines hold NULs, as in UTF-16 without a byte-order mark, {_TAKEN}; convert the file to UTF-8",
    ),
    "numbers": (
        re.compile(r"\s*\d+\t").match,
        f"most of its lines begin with a number and a tab, as in a table, {_TAKEN}; keep the column of the sentences",
    ),
    "tabs": (
        lambda line: "\t" in line.strip(),
        f"most of its lines hold a tab, as in a table, {_TAKEN}; keep the column of the sentences",
    ),
    "JSON": (
        re.compile(r'\s*\{\s*".*\}\s*$').match,
        f"most of its lines look like JSON objects, {_TAKEN}; give the file the ending .jsonl",
    ),
}
# of the first line
_MARKUP = re.compile(r"\s*(WARC/\d|<!doctype |<html|<\?xml|<doc )", re.IGNORECASE)


def doubts(lines: Sequence[str]) -> list[tuple[str, str]]:
    """What the first lines of a text look like instead: a word for each kind, and a sentence with the first such line.

    Blank lines count for nothing.
    """
    there = [(number, line) for number, line in enumerate(lines, 1) if line.strip("\0\r \t")]
    if there and _MARKUP.match(there[0][1]):
        return [("markup", f"its first line is that of an archive or of markup, {_TAKEN}: {_shown(*there[0])}")]
    for kind, (matches, sentence) in _KINDS.items():
        such = [(number, line) for number, line in there if matches(line)]
        if len(such) * 2 > len(there):
            return [(kind, f"{sentence}: {_shown(*such[0])}")]
    return []


def _shown(number: int, line: str) -> str:
    return f"line {number} is {line[:_SHOWN]!r}{'...' if len(line) > _SHOWN else ''}"
