"""Pairs that are left out: those of further romanizers that add nothing, and the record of each with its reason."""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ppa_preprocess.text.exclusion import Excluded, load_matcher
from ppa_preprocess.tokens.line_encoder import ALIKE, EMPTY_LATN, EMPTY_ORIG, IN_EVALUATION, IN_VALID, UNTOUCHED
from ppa_preprocess.tokens.records import Records, open_lines

from ppa_plugin.files import read_json_lines, read_lines, write_json_lines


def adding_nothing(pair: tuple[Path, Path], lines: int, romanizers: int) -> np.ndarray:
    """Of each pair, uint8 (lines,), where a further romanizer adds nothing: ALIKE + r or UNTOUCHED; 0 elsewhere.

    The pairs of the romanizers stand one after the other. The r-th (from 0) gave the same words of the line, or this
    one gave those of the line itself.
    """
    outcomes = np.zeros(lines, dtype=np.uint8)
    texts = lines // romanizers
    if romanizers > 1:
        parts = [itertools.islice(read_lines(pair[1]), r * texts, (r + 1) * texts) for r in range(romanizers)]
        originals = itertools.islice(read_lines(pair[0]), texts)
        for row, (original, *latn) in enumerate(zip(originals, *parts, strict=True)):
            first: dict[tuple[str, ...], int] = {}
            for r, words in enumerate(tuple(text.split()) for text in latn):
                if words and first.setdefault(words, r) < r:
                    outcomes[r * texts + row] = ALIKE + first[words]
                elif words and r and words == tuple(original.split()):
                    outcomes[r * texts + row] = UNTOUCHED
    return outcomes


class Reasons:
    """Why pairs were left out, and of which line and romanizer they are."""

    def __init__(
        self, failures: Path, exclude: tuple[Excluded, ...], romanizers: Sequence[str | None], lines: int
    ) -> None:
        """`failures`, where it is there, says by line why a romanizer gave nothing; each was given `lines`."""
        records = read_json_lines(failures) if failures.is_file() else ()
        self._failed = {(record.get("romanizer"), record["line"]): record["reason"] for record in records}
        self._exclude = exclude
        self._romanizers = romanizers
        self._lines = lines

    def place(self, number: int) -> dict[str, Any]:
        """The line of the text and, of several, the romanizer of a pair, by its number from 0."""
        r, line = divmod(number, self._lines)
        by = {"romanizer": self._romanizers[r]} if len(self._romanizers) > 1 else {}
        return {"line": line + 1, **by}

    def reason(self, place: dict[str, Any], outcome: int, latn: str) -> str:
        """Why the pair of that place was left out, of which became `outcome`; `latn` is its romanization."""
        if outcome == IN_EVALUATION:
            excluded = load_matcher(self._exclude)
            return f"romanization is in {self._exclude[excluded.owners[excluded.whole(latn)]].name}"
        if outcome >= ALIKE:
            return f"romanization is that of {self._romanizers[outcome - ALIKE]}"
        if outcome == EMPTY_LATN:
            return self._failed.get((place.get("romanizer"), place["line"]), "empty romanization")
        others = {EMPTY_ORIG: "empty original", IN_VALID: "text is in valid", UNTOUCHED: "romanization is the original"}
        return others[outcome]


def write_dropped(
    path: Path, lang: str, outcomes: np.ndarray, pair: tuple[Path, Path], reasons: Reasons
) -> dict[str, int]:
    """Record each pair that was left out, and return how many were for which reason.

    `outcomes`, uint8 (lines,), is what became of the pairs of the files `pair`.
    """
    counts: Counter[str] = Counter()

    def records(orig: Records, latn: Records) -> Iterator[dict[str, Any]]:
        dropped = np.flatnonzero(outcomes)
        texts = zip(orig.take(dropped), latn.take(dropped), strict=True)
        for number, outcome, (text, romanized) in zip(dropped.tolist(), outcomes[dropped].tolist(), texts, strict=True):
            place = reasons.place(number)
            reason = reasons.reason(place, outcome, romanized.decode())
            counts[reason] += 1
            yield {"lang": lang, **place, "reason": reason, "text": text.decode()}

    with open_lines(pair[0]) as orig, open_lines(pair[1]) as latn:
        write_json_lines(path, records(orig, latn))
    return dict(sorted(counts.items()))
