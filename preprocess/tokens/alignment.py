"""Whether binarized token blocks add up to the tokens of their pairs, and are those of the text."""

from pathlib import Path
from typing import Any

import numpy as np
from sentencepiece import SentencePieceProcessor

from ppa_plugin.commandline import UserError
from ppa_plugin.data.blocks import DTYPE, BlockAligner, check_rows
from ppa_plugin.data.shards import index_sizes

_AGAIN = "run `ppa-preprocess all` again"


def check_sums(prefix: Path, sides: tuple[np.ndarray, np.ndarray], max_tokens: int) -> tuple[int, int]:
    """Check a file of blocks against the number of tokens of each row of both sides (N,), </s> included.

    The blocks of a pair add up to its tokens, or to fewer where a side was cut to `max_tokens`. Returns how many pairs
    have blocks, and how many blocks there are. Raises `UserError` where a row does not add up.
    """
    lengths = index_sizes(prefix).astype(np.int64)
    numbers = np.fromfile(f"{prefix}.bin", dtype=DTYPE).astype(np.int64)
    if len(lengths) != len(sides[0]) or lengths.sum() != len(numbers):
        raise UserError(
            f"{prefix}.bin has blocks of {len(lengths):,} pairs, the sides have {len(sides[0]):,}; {_AGAIN}"
        )
    tokens = np.stack(sides, axis=1).astype(np.int64) - 1
    sums, sound = check_rows(numbers, lengths)
    none = (lengths == 1) & sound
    cut = (tokens == max_tokens - 2).any(axis=1)
    right = (sums == tokens).all(axis=1) | (cut & (sums <= tokens).all(axis=1))
    wrong = np.flatnonzero(~none & ~(right & sound))
    if len(wrong):
        first = int(wrong[0])
        found, expected = (" and ".join(map(str, numbers[first].tolist())) for numbers in (sums, tokens))
        raise UserError(
            f"{prefix}.bin: row {first} (from 0) has blocks of {found} tokens, its sides have {expected}; {_AGAIN}"
        )
    return int((~none).sum()), int(lengths[~none].sum() // 2)


class BlockMaker:
    """The rows that blocks of lines of `pairs/` have to be."""

    def __init__(self, processor: SentencePieceProcessor, max_tokens: int) -> None:
        self._aligner = BlockAligner(processor)
        self._most = max_tokens - 2

    def rows(self, texts: list[list[bytes]]) -> list[bytes]:
        """Of originals, romanizations and those with edges marked, line by line."""
        orig, latn, marked = ([line.decode() for line in of_text] for of_text in texts)
        encoded = self._aligner.encode(orig), self._aligner.encode(latn)
        return self._aligner.blocks(*encoded, marked, self._most).rows()


def has_blocks(manifest: dict[str, Any]) -> bool:
    """Whether the group of a manifest says `alignment`."""
    return manifest["group"].get("alignment", False)
