"""Token blocks as training takes them: which of a pair's are left out, and where those of a batch stand."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ppa_plugin.data.blocks import read_row, whole_blocks
from ppa_plugin.data.masking import FIRST_PIECE, SIDES

_ESCAPED = re.compile(r"<+id:\d+>+")
# odd numbers without a pattern, for `block_hashes`
_OF_TOKEN, _OF_PLACE, _MIX = (np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xD1B54A32D192ED03, 0x94D049BB133111EB))


@dataclass(frozen=True)
class TrainingBlocks:
    """The token blocks of a dataset's pairs.

    Args:
        rows: an indexed dataset of the rows of `ppa_plugin.data.blocks`, one a pair.
        lettered: (V,) bool, from `lettered`.
        group: pairs whose blocks contrast with one another.
    """

    rows: Any
    lettered: np.ndarray
    group: int

    def of_pair(self, index: int, sides: Sequence[np.ndarray], most: int) -> dict[str, np.ndarray]:
        """A pair's blocks that are trained on: `blocks` (B, 2, 2), from and to which token of `orig` and of `latn`, and
        `block_texts` (B, 2), hashes of their tokens.

        `sides` are the tokens of `orig` and `latn`, before masking and without specials, and `most` how many of them
        the model sees. Left out are blocks that lie beyond, those of which a side has no letter (one `<unk>`,
        punctuation or digits alone) and those whose sides are alike.
        """
        tokens = whole_blocks(read_row(np.asarray(self.rows[index])), most)
        stops = np.cumsum(tokens, axis=0)
        starts = stops - tokens
        texts = np.stack([block_hashes(side, starts[:, s], tokens[:, s]) for s, side in enumerate(sides)], axis=1)
        kept = (texts[:, 0] != texts[:, 1]) | (tokens[:, 0] != tokens[:, 1])
        for s, side in enumerate(sides):
            with_letters = np.append(0, np.cumsum(self.lettered[side]))
            kept &= with_letters[stops[:, s]] > with_letters[starts[:, s]]
        return {"blocks": np.stack([starts, stops], axis=2)[kept], "block_texts": texts[kept]}


def lettered(symbols: Sequence[str]) -> np.ndarray:
    """(V,) bool: which entries of the dictionary have a letter or a mark in them, specials and `<mask>` left out."""
    pieces = symbols[FIRST_PIECE:-1]
    found = [(any(map(str.isalpha, piece)) or _has_mark(piece)) and not _ESCAPED.fullmatch(piece) for piece in pieces]
    return np.array([*[False] * FIRST_PIECE, *found, False])


def _has_mark(symbol: str) -> bool:
    """Whether a symbol has a vowel sign or the like, which is no letter of its own."""
    return not symbol.isascii() and any(unicodedata.category(c)[0] == "M" for c in symbol)


def block_hashes(tokens: np.ndarray, starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """A hash of the tokens of each block, int64 (B,): equal for equal tokens in one order, of whichever side.

    The blocks tile the first tokens (T,); `starts` and `counts` are (B,). A sum over the tokens of a number that token
    and place in the block decide: all blocks at once take as long as one call of a hash function.
    """
    if not len(starts):
        return np.zeros(0, dtype=np.int64)
    tokens = tokens[: starts[-1] + counts[-1]].astype(np.uint64)
    places = np.arange(len(tokens)) - np.repeat(starts, counts)
    numbers = (tokens * _OF_TOKEN) ^ (places.astype(np.uint64) * _OF_PLACE + _MIX)
    numbers = (numbers ^ (numbers >> np.uint64(31))) * _MIX
    return np.add.reduceat(numbers ^ (numbers >> np.uint64(29)), starts).view(np.int64)


def collate_blocks(samples: list[dict], firsts: dict[str, np.ndarray], group: int) -> dict[str, torch.Tensor]:
    """Where the blocks of a batch stand: G groups of `group` consecutive pairs, with room for M blocks each.

    Args:
        samples: the items, as `TrainingBlocks.of_pair` makes them.
        firsts: {side: (N,) the packed row of the first token of that side of each pair, behind its <s>}.

    Returns:
        `rows` (K,): the packed tokens that are in a block; `slots` (K,): the place of each one's block among
        2 x G x M, side, group, block; `counts` (G, M): B at the places of a pair's B blocks, 0 where there is none;
        `texts` (G, M, 2): hashes of their tokens. All are int64: what is FP32 in a batch, stock fairseq rounds to FP16.
    """
    of_pairs = np.array([len(sample["blocks"]) for sample in samples])
    pair = np.repeat(np.arange(len(samples)), of_pairs)
    bounds = np.cumsum(np.append(0, of_pairs))
    groups = -(-len(samples) // group)
    before = bounds[np.arange(groups) * group]  # blocks before each group
    most = max(int(np.diff(np.append(before, bounds[-1])).max()), 1)
    place = pair // group * most + np.arange(len(pair)) - before[pair // group]
    counts = np.zeros(groups * most, dtype=np.int64)
    counts[place] = of_pairs[pair]
    texts = np.zeros((groups * most, len(SIDES)), dtype=np.int64)
    texts[place] = np.concatenate([sample["block_texts"] for sample in samples])
    spans = np.concatenate([sample["blocks"] for sample in samples])
    rows, slots = [], []
    for number, side in enumerate(SIDES):
        sizes = spans[:, number, 1] - spans[:, number, 0]
        first = firsts[side][pair] + spans[:, number, 0]
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        rows.append(np.repeat(first, sizes) + within)
        slots.append(np.repeat(place + number * groups * most, sizes))
    return {
        "rows": torch.from_numpy(np.concatenate(rows)),
        "slots": torch.from_numpy(np.concatenate(slots)),
        "counts": torch.from_numpy(counts.reshape(groups, most)),
        "texts": torch.from_numpy(texts.reshape(groups, most, len(SIDES))),
    }
