"""Lines that a group does not want, left out before the sample is drawn and counted by reason."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator

from ppa_preprocess.group import Filters
from ppa_preprocess.scripts import script_share

_DIGEST_BYTES = 16


def filter_lines(lines: Iterable[str], filters: Filters, lang: str, filtered: Counter[str]) -> Iterator[str]:
    """Yield the lines that pass every filter; count the others in `filtered`, each under its first reason.

    Length is in characters, of the line as it stands. Duplicates are found by a 128-bit digest of the lines that pass
    the other filters: 75 to 100 bytes of memory for each different one, 130 while the table of them grows.
    """
    if filters == Filters():
        yield from lines
        return
    seen: set[int] = set()
    for line in lines:
        reason = _unwanted(line, filters, lang)
        if reason is None and filters.deduplicate:
            known = len(seen)
            seen.add(int.from_bytes(hashlib.blake2b(line.encode(), digest_size=_DIGEST_BYTES).digest()))
            reason = "duplicate" if len(seen) == known else None
        if reason is None:
            yield line
        else:
            filtered[reason] += 1


def _unwanted(line: str, filters: Filters, lang: str) -> str | None:
    if len(line) < filters.min_chars:
        return "shorter than min_chars"
    if filters.max_chars is not None and len(line) > filters.max_chars:
        return "longer than max_chars"
    if filters.script_share and script_share(line, lang) < filters.script_share:
        return "in another script"
    return None
