"""What lies in `encoded/<lang>/`: for each side the tokens of every line of `pairs/`, and which lines each split takes.

{orig,latn}.tokens         dictionary indices, </s> after each line's, line after line; none for a pair left out
{orig,latn}.sizes.npy      the number of tokens of each line, int32
align.{tokens,sizes.npy}   with `alignment`, likewise: the tokens of either side in each block, one byte a number
{train,valid}.lines.npy    the line of pairs/, from 0, that each row of a split is, int64
{train,valid}.{orig,latn}  the splits as text, with which fairseq-preprocess works; in place of the sides' tokens
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from ppa_preprocess.tokens.records import Records


def tokens_path(directory: Path, side: str) -> Path:
    return directory / f"{side}.tokens"


def sizes_path(directory: Path, side: str) -> Path:
    return directory / f"{side}.sizes.npy"


def lines_path(directory: Path, split: str) -> Path:
    return directory / f"{split}.lines.npy"


def text_path(directory: Path, split: str, side: str) -> Path:
    return directory / f"{split}.{side}"


class Tokens(Records):
    """A side's rows of tokens, as bytes, by the line of `pairs/`; 12 bytes of memory a line."""

    def __init__(self, path: Path, descriptor: int, sizes: np.ndarray, dtype: np.dtype) -> None:
        """`sizes` is the number of tokens of each row (N,)."""
        starts = np.zeros(len(sizes) + 1, dtype=np.int64)
        np.cumsum(sizes, out=starts[1:])
        starts *= dtype.itemsize
        super().__init__(path, descriptor, starts)
        self.sizes = sizes
        self._dtype = dtype

    def count(self, token: int, row: bytes) -> int:
        """How often a token is in a row."""
        return int((np.frombuffer(row, dtype=self._dtype) == token).sum())


@contextmanager
def open_tokens(directory: Path, side: str, dtype: np.dtype) -> Iterator[Tokens]:
    """Open what `tokens_path` and `sizes_path` name; raises `OSError` where they cannot be read."""
    path = tokens_path(directory, side)
    with open(path, "rb") as handle:
        yield Tokens(path, handle.fileno(), np.load(sizes_path(directory, side)), dtype)


def save_array(path: Path, array: np.ndarray) -> None:
    """Write a .npy file. Unlike `np.save`, which loses the number of the error, it says when the disk is full."""
    with open(path, "wb") as handle:
        np.lib.format.write_array_header_1_0(handle, np.lib.format.header_data_from_array_1_0(array))
        handle.write(array.data)
