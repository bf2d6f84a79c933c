"""Finding and opening the binarized files of a shard, and refusing what is broken before training meets it."""

import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ppa_plugin.commandline import UserError
from ppa_plugin.data.masking import SIDES
from ppa_plugin.files import check_file, reading

if TYPE_CHECKING:
    from fairseq.data import Dictionary

_ROWS_A_CHUNK = 1 << 20


def find_beside(shard: Path, name: str) -> Path | None:
    """The file `name` in the shard or up to two levels above it, None where there is none."""
    return next((d / name for d in (shard, *list(shard.resolve().parents)[:2]) if (d / name).is_file()), None)


def binarized_path(directory: Path, split: str, side: str) -> Path:
    """A binarized side as fairseq names it, without .bin or .idx."""
    return directory / f"{split}.orig-latn.{side}"


def index_sizes(prefix: Path) -> np.ndarray:
    """The number of tokens of each line, </s> included, from a binarized file's .idx."""
    from fairseq.data.indexed_dataset import MMapIndexedDataset

    index = MMapIndexedDataset.Index(f"{prefix}.idx")
    return index.sizes.copy()  # they lie in the mapped file, which closes with the index


def language_directories(shard: Path, split: str) -> list[Path]:
    """The directories of a shard that hold a split: one a language, or the shard itself.

    Raises `UserError` where there is none.
    """
    if not shard.is_dir():
        raise UserError(f"{shard} is not a directory; pass shards made by ppa-preprocess (data-bin/shard00:...)")
    candidates = [shard, *sorted(path for path in shard.iterdir() if path.is_dir())]
    found = [path for path in candidates if (path / f"{split}.orig-latn.orig.idx").is_file()]
    if not found:
        missing = f"no {split}.orig-latn.orig.idx in {shard} or its language directories"
        if split == "valid" and any((path / "train.orig-latn.orig.idx").is_file() for path in candidates):
            raise UserError(
                f"{missing}: shard00 alone has `valid`, unless valid_size is 0; name shard00 first, or pass "
                "--valid-subset train"
            )
        raise UserError(f"{missing}; run ppa-preprocess")
    return found


def load_pair(directory: Path, split: str, dictionary: "Dictionary") -> dict:
    """Both sides of one language, memory-mapped: {side: dataset of 1-D tensors that end in </s>}.

    Raises `UserError` where a file is missing or torn, the sides differ in length, or a token is not in the dictionary.
    """
    pair = {side: _load_side(binarized_path(directory, split, side), dictionary) for side in SIDES}
    if len(pair["orig"]) != len(pair["latn"]):
        raise UserError(
            f"{directory}: {split} has {len(pair['orig'])} original and {len(pair['latn'])} romanized sentences; "
            "run ppa-preprocess binarize again"
        )
    return pair


def _load_side(path: Path, dictionary: "Dictionary"):
    from fairseq.data import data_utils

    again = "run ppa-preprocess binarize again"
    index_path, data_path = (path.with_name(path.name + end) for end in (".idx", ".bin"))
    for file in (index_path, data_path):
        if not os.path.lexists(file):
            raise UserError(f"{file} is missing; {again}")
        check_file(file)
    with reading(index_path, "an index of fairseq's mmap format"):
        kind, expected = _check_index(index_path, again)
    found = data_path.stat().st_size
    if found != expected:
        raise UserError(f"{data_path} has {found} bytes and its index says {expected}; {again}")
    with reading(data_path, "binarized text"):
        tokens = np.memmap(data_path, dtype=kind, mode="r")
        largest, smallest = int(tokens.max()), int(tokens.min()) if kind.kind == "i" else 0
        if largest >= len(dictionary):
            raise UserError(
                f"{data_path} holds token {largest} and dict.txt has {len(dictionary)} entries: it was made with "
                f"another dictionary; {again}"
            )
        if smallest < 0:
            raise UserError(f"{data_path} holds token {smallest}, which no dictionary has; {again}")
        return data_utils.load_indexed_dataset(str(path), dictionary, dataset_impl="mmap")


def _check_index(path: Path, again: str) -> tuple[np.dtype, int]:
    """fairseq's mmap index: magic, version, type of tokens and number of rows, then sizes and pointers, one a row.

    Returns the type and how many bytes of tokens there are. The pointers have to be where the sizes put the rows:
    fairseq goes by them, and would train on other rows.
    """
    from fairseq.data.indexed_dataset import _code_to_dtype

    header = struct.Struct("<9sQBQ")
    with open(path, "rb") as handle:
        start = handle.read(header.size)
    torn = UserError(f"{path} is torn or no index of fairseq's mmap format; {again}")
    if len(start) < header.size:
        raise torn
    magic, version, code, rows = header.unpack(start)
    row_bytes = np.dtype(np.int32).itemsize + np.dtype(np.int64).itemsize
    if (magic, version) != (b"MMIDIDX\0\0", 1) or path.stat().st_size != header.size + rows * row_bytes:
        raise torn
    kind = np.dtype(_code_to_dtype[code]) if code in _code_to_dtype else None
    if kind is None or kind.kind not in "iu":
        raise UserError(f"{path} says that tokens are of type {code}, which is none of whole numbers; {again}")
    if not rows:
        raise UserError(f"{path} has no sentences; {again}")
    sizes = np.memmap(path, dtype=np.int32, mode="r", offset=header.size, shape=rows)
    pointers = np.memmap(path, dtype=np.int64, mode="r", offset=header.size + sizes.nbytes, shape=rows)
    end = 0
    for first in range(0, rows, _ROWS_A_CHUNK):
        of_chunk = sizes[first : first + _ROWS_A_CHUNK]
        if of_chunk.min() < 1:
            raise UserError(f"{path}: row {first + int(of_chunk.argmin())} has {of_chunk.min()} tokens; {again}")
        ends = end + np.cumsum(of_chunk, dtype=np.int64) * kind.itemsize
        at = pointers[first : first + _ROWS_A_CHUNK]
        if at[0] != end or not np.array_equal(at[1:], ends[:-1]):
            raise UserError(f"{path}: its pointers are not where its sizes put the rows; {again}")
        end = int(ends[-1])
    return kind, end
