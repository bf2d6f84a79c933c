"""Token blocks: which consecutive tokens of a sentence and of its romanization belong together, in every script.

The romanizer says which characters became which letters (its edges, `romanization.edges`), SentencePiece which
characters each token covers. Both sides are cut wherever an edge ends and a token of *each* side ends, so that the
blocks tile both sides, in order, and none can be cut any further. Each has at least one token of either side: of cuts
between which a side has none, the later one is taken, and what became no letters goes with what is before it.

SentencePiece normalises a line before it cuts it into pieces: what is one character may become several (a ligature),
or several one (decomposed Hangul). A token that ends inside of what a character became ends nowhere in the line.

On disk a pair is a row of bytes, the number of tokens of `orig` and of `latn` of each block; a single 0 where there are
no blocks.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from sentencepiece import SentencePieceProcessor

from ppa_plugin.data.masking import UNK
from ppa_plugin.data.vocabulary import SPECIALS, pieces, to_indices
from ppa_plugin.romanization.edges import edge_ends

# the name of what lies beside the sides `orig` and `latn` on disk, and the type of its numbers
ALIGN, DTYPE = "align", np.dtype(np.uint8)
NUMBERS_A_BLOCK = 2  # its tokens on either side
_NONE = b"\0"


class Encoded(NamedTuple):
    """One side of N lines: the texts, their dictionary indices (T,) one after the other, and how many each has (N,)."""

    lines: Sequence[str]
    indices: np.ndarray
    counts: np.ndarray


class Blocks(NamedTuple):
    """The blocks of N pairs: tokens of `orig` and `latn` in each (B, 2), and how many each pair has (N,)."""

    tokens: np.ndarray
    counts: np.ndarray

    def of_pairs(self) -> list[np.ndarray]:
        """The blocks (B, 2) of each pair."""
        return np.split(self.tokens, np.cumsum(self.counts)[:-1])

    def rows(self) -> list[bytes]:
        """The rows on disk. A pair with a block of more than 255 tokens has no blocks there."""
        most = np.iinfo(DTYPE).max
        fitting = np.minimum(self.tokens, most).astype(DTYPE).tobytes()
        bounds = [0, *(2 * np.cumsum(self.counts)).tolist()]
        rows = [fitting[start:stop] or _NONE for start, stop in itertools.pairwise(bounds)]
        for block in np.flatnonzero((self.tokens > most).any(axis=1)).tolist():
            rows[np.searchsorted(bounds, 2 * block, side="right") - 1] = _NONE
        return rows


def read_row(row: np.ndarray) -> np.ndarray:
    """The blocks (B, 2) of a row (R,); B = 0 where it has none."""
    return row[: len(row) // NUMBERS_A_BLOCK * NUMBERS_A_BLOCK].astype(np.int64).reshape(-1, NUMBERS_A_BLOCK)


def check_rows(numbers: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of rows one after the other: the tokens (N, 2) of `orig` and of `latn` in all blocks of each; which are sound.

    A sound row (N,) is a single 0, or has two numbers a block, none of them 0.
    """
    lengths, row = lengths.astype(np.int64), np.repeat(np.arange(len(lengths)), lengths)
    of_latn = (np.arange(len(numbers)) - np.repeat(np.cumsum(lengths) - lengths, lengths)) % 2 == 1
    sums = [np.bincount(row[of_side], numbers[of_side], len(lengths)) for of_side in (~of_latn, of_latn)]
    zeros = np.bincount(row[np.asarray(numbers) == 0], minlength=len(lengths))
    sound = np.where(lengths == 1, zeros == 1, (lengths % 2 == 0) & (zeros == 0))
    return np.stack(sums, axis=1).astype(np.int64), sound


def whole_blocks(blocks: np.ndarray, most: int) -> np.ndarray:
    """Those of a pair's blocks (B, 2) that lie within the first `most` tokens of either side."""
    return blocks[(np.cumsum(blocks, axis=0) <= most).all(axis=1)]


class BlockAligner:
    """Makes the blocks of pairs; for a SentencePiece model as `ppa_plugin.data.vocabulary` has it."""

    def __init__(self, processor: SentencePieceProcessor) -> None:
        self._processor = processor
        self._lengths = np.array([0] * len(SPECIALS) + [len(piece) for piece in pieces(processor)], dtype=np.int64)

    def encode(self, lines: Sequence[str]) -> Encoded:
        """The tokens of lines, without specials."""
        ids = self._processor.encode(list(lines), out_type=int, num_threads=1)
        return Encoded(lines, to_indices(list(itertools.chain.from_iterable(ids))), np.array(list(map(len, ids)), int))

    def blocks(self, orig: Encoded, latn: Encoded, marked: Sequence[str], most: int | None = None) -> Blocks:
        """The blocks of N pairs.

        Args:
            orig, latn: the lines and their romanizations.
            marked: the romanizations with their edges marked. A pair has no blocks where this is empty, or is not of
                these texts.
            most: tokens of a side that are kept; blocks that do not lie within them on both sides are left out.
        """
        edges = edge_ends(marked)
        sides = [_TokenEnds(side, *self._ends(side)) for side in (orig, latn)]
        whole = np.stack([orig.counts, latn.counts], axis=1)
        known = (edges.sizes == np.stack([side.line_lengths for side in sides], axis=1)).all(axis=1)
        known &= sides[0].known & sides[1].known & (whole > 0).all(axis=1)
        here = known[edges.line]
        line = edges.line[here]
        cuts = np.stack([side.tokens_at(line, at[here]) for side, at in zip(sides, edges[1:3], strict=True)], axis=1)
        inside = ((cuts > 0) & (cuts < whole[line])).all(axis=1)
        line, cuts = line[inside], cuts[inside]
        kept = _growing(line, cuts, whole)
        # the ends of all blocks: the cuts, and that of the pair
        line = np.concatenate([line[kept], np.flatnonzero(known)])
        order = np.argsort(line, kind="stable")
        line, ends = line[order], np.concatenate([cuts[kept], whole[known]])[order]
        first = np.append(True, line[1:] != line[:-1])[: len(line)]
        tokens = ends - np.where(first[:, None], 0, np.roll(ends, 1, axis=0))
        if most is not None:
            within = (ends <= most).all(axis=1)
            line, tokens = line[within], tokens[within]
        return Blocks(tokens, np.bincount(line, minlength=len(orig.lines)))

    def _ends(self, side: Encoded) -> tuple[np.ndarray, np.ndarray]:
        """Characters of its line up to each token's end (T,), -1 for one that ends inside of what a character became;
        and the lines (N,) of which that is known.
        """
        line = np.repeat(np.arange(len(side.lines)), side.counts)
        lengths = self._lengths[side.indices]
        if (unknown := side.indices == UNK).any():
            some = np.unique(line[unknown])
            surfaces = self._processor.encode([side.lines[i] for i in some], out_type=str, num_threads=1)
            lengths[np.isin(line, some)] = [len(piece) for of_line in surfaces for piece in of_line]
        normalized = self._processor.normalize(list(side.lines), with_offsets=True)
        # where in the line each normalised character comes from, and one entry more for the end
        offsets = np.fromiter(itertools.chain.from_iterable(offsets for _, offsets in normalized), dtype=np.int64)
        sizes = np.array([len(text) for text, _ in normalized], dtype=np.int64)
        starts = np.cumsum(sizes + 1) - (sizes + 1)
        before = np.concatenate(([0], np.cumsum(lengths)))  # characters of all tokens before each
        bounds = np.concatenate(([0], np.cumsum(side.counts)))
        known = before[bounds[1:]] - before[bounds[:-1]] == sizes
        places = before[1:] - before[bounds[line]]
        at = np.where(known[line], starts[line] + places, 0)
        inside = offsets[at] == offsets[at - 1]  # of what one character, or one run of them, became
        return np.where(inside, -1, offsets[at]), known


class _TokenEnds:
    """How many tokens of a line end at a character of it, by line and character."""

    def __init__(self, side: Encoded, ends: np.ndarray, known: np.ndarray) -> None:
        self.known = known
        self.line_lengths = np.array([len(line) for line in side.lines], dtype=np.int64)
        self._starts = np.cumsum(self.line_lengths + 1) - (self.line_lengths + 1)
        self._table = np.zeros(int((self.line_lengths + 1).sum()), dtype=np.int64)
        line = np.repeat(np.arange(len(side.lines)), side.counts)
        number = np.arange(len(ends)) - np.repeat(np.cumsum(side.counts) - side.counts, side.counts) + 1
        real = ends >= 0
        self._table[self._starts[line[real]] + ends[real]] = number[real]

    def tokens_at(self, line: np.ndarray, character: np.ndarray) -> np.ndarray:
        """(E,), (E,) -> the number of tokens (E,) up to that character; 0 where none ends there."""
        return self._table[self._starts[line] + character]


def _growing(line: np.ndarray, cuts: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Which cuts (K,) to take so that both sides have a token between any two: as many as can be, the later ones.

    `line` (K,) is the pair of each, `cuts` (K, 2) the tokens before it, in order, `whole` (N, 2) those of each pair.
    """
    kept = np.ones(len(line), dtype=bool)
    stuck = (line[1:] == line[:-1]) & (cuts[1:] <= cuts[:-1]).any(axis=1)
    for number in np.unique(line[1:][stuck]):
        first, last = np.searchsorted(line, [number, number + 1])
        orig, latn = whole[number].tolist()
        for place, (of_orig, of_latn) in reversed(list(enumerate(cuts[first:last].tolist(), first))):
            kept[place] = of_orig < orig and of_latn < latn
            if kept[place]:
                orig, latn = of_orig, of_latn
    return kept
