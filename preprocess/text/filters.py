"""Lines left out before the sample is drawn, counted by reason: blank ones, and those that a group does not want."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ppa_preprocess.text.exclusion import Excluded, load_matcher
from ppa_preprocess.text.scripts import script_share

from ppa_plugin.commandline import Range, UserError, natural
from ppa_plugin.yaml_file import check_number

# Part of what `text/` depends on, so that what an earlier rule left there is made again.
RULE = "without blank lines and \\r"
BLANK = "blank"
_DIGEST_BYTES = 16
# From and to which character nothing is to be seen: controls and white space, then what Unicode lets programs ignore
# (joiners, direction marks, fillers, variation selectors, tags, byte-order mark), and the empty Braille cell.
_UNSEEN = [(0x00, 0x20), (0x7F, 0xA0), (0x1680, 0x1680), (0x2000, 0x200F), (0x2028, 0x202F), (0x205F, 0x206F)]
_UNSEEN += [(0x3000, 0x3000), (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5)]
_UNSEEN += [(0x180B, 0x180F), (0x2800, 0x2800), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0)]
_UNSEEN += [(0xFFF9, 0xFFFB), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF)]
UNSEEN = "".join(chr(number) for first, last in _UNSEEN for number in range(first, last + 1))
_IS_UNSEEN = frozenset(UNSEEN)


@dataclass(frozen=True)
class Filters:
    """Which lines are left out before the sample is drawn; by default none."""

    deduplicate: bool = False  # all but the first of equal lines
    min_chars: int = 0
    max_chars: int | None = None
    script_share: float = 0.0  # of a line's letters, at least this share is in the script of the language's code
    exclude: tuple[Excluded, ...] = ()  # evaluation data: no line of it, or with a long line of it inside

    def __post_init__(self) -> None:
        if not isinstance(self.deduplicate, bool):
            raise UserError(f"filters.deduplicate is {self.deduplicate!r}, expected true or false")
        check_number("filters.min_chars", self.min_chars, natural)
        if self.max_chars is not None:
            check_number("filters.max_chars", self.max_chars, Range(max(1, self.min_chars), whole=True))
        check_number("filters.script_share", self.script_share, Range(0, 1))


def filter_lines(lines: Iterable[str], filters: Filters, lang: str, filtered: Counter[str]) -> Iterator[str]:
    """Yield the lines that are not blank and pass every filter, as they stand; count the others in `filtered`.

    Each counts under its first reason, of evaluation data the first that has the line. A line is blank that has nothing
    but white space and characters that are not seen; lengths in characters and duplicates are of lines without such
    characters at either end. Duplicates are found by a 128-bit digest of the lines that pass the other filters: 75 to
    100 bytes of memory for each different one, 130 while the table of them grows.
    """
    unfiltered = filters == Filters()
    excluded = load_matcher(filters.exclude) if filters.exclude else None
    seen: set[int] = set()
    for line in lines:
        if unfiltered and line and line[0] not in _IS_UNSEEN:  # almost every line of almost every group
            yield line
            continue
        text = seen_part(line)
        if not text:
            filtered[BLANK] += 1
            continue
        if unfiltered:
            yield line
            continue
        reason = _unwanted(text, filters, lang)
        if reason is None and excluded and (found := next(excluded.found_in(text), None)):
            reason = f"in {filters.exclude[excluded.owners[found[0]]].name}"
        if reason is None and filters.deduplicate:
            known = len(seen)
            seen.add(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).digest()))
            reason = "duplicate" if len(seen) == known else None
        if reason is None:
            yield line
        else:
            filtered[reason] += 1


def seen_part(line: str) -> str:
    """The line without white space and characters that are not seen, at its start and end."""
    if line and line[0] not in _IS_UNSEEN and line[-1] not in _IS_UNSEEN:
        return line  # most are, and `strip` takes its time over so many characters
    return line.strip(UNSEEN)


def _unwanted(text: str, filters: Filters, lang: str) -> str | None:
    if len(text) < filters.min_chars:
        return "shorter than min_chars"
    if filters.max_chars is not None and len(text) > filters.max_chars:
        return "longer than max_chars"
    if filters.script_share and script_share(text, lang) < filters.script_share:
        return "in another script"
    return None
