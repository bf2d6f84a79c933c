"""Finding and opening the binarized files of a shard, and refusing what is broken before training meets it."""

import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ppa_plugin.commandline import UserError
from ppa_plugin.data.blocks import ALIGN, DTYPE, NUMBERS_A_BLOCK, check_rows
from ppa_plugin.data.masking import SIDES
from ppa_plugin.files import check_file, reading

if TYPE_CHECKING:
    from fairseq.data import Dictionary

_ROWS_A_CHUNK = 1 << 20
_AGAIN = "run ppa-preprocess binarize again"


def find_beside(shard: Path, *names: str) -> Path | None:
    """The nearest file of one of these names in the shard or up to two levels above it, None where there is none."""
    places = (shard, *list(shard.resolve().parents)[:2])
    return next((d / name for d in places for name in names if (d / name).is_file()), None)


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
        if shards := sorted(map(str, shard.glob("shard[0-9]*"))):
            more = ":..." if len(shards) > 1 else ""
            raise UserError(f"{missing}: it holds the shards; pass these, joined by colons ({shards[0]}{more})")
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


def load_blocks(directory: Path, split: str, pair: dict) -> tuple[Any, int]:
    """The token blocks of one language's pairs, memory-mapped as `pair` is, and how many of them have any.

    Raises `UserError` where there are none on disk, a file is torn, or blocks are of more tokens than a side has.
    """
    path = _blocks_path(directory, split)
    kind, data_path = _check_files(path)
    blocks = _open(path)
    if kind != DTYPE or not _are_blocks_of(pair, data_path, blocks.sizes):
        raise UserError(f"{data_path} does not hold the token blocks of its pairs; {_AGAIN}")
    return blocks, int((blocks.sizes > 1).sum())


def count_blocks(directory: Path, split: str) -> int:
    """How many token blocks the pairs of one language have, by the index; `UserError` where there is none."""
    return int((index_sizes(_blocks_path(directory, split)) // NUMBERS_A_BLOCK).sum())


def _blocks_path(directory: Path, split: str) -> Path:
    path = binarized_path(directory, split, ALIGN)
    if not os.path.lexists(f"{path}.idx"):
        raise UserError(
            f"{path}.idx is missing: --tok-weight trains on token blocks; say `alignment: true` in the group file and "
            "run ppa-preprocess again, or leave --tok-weight at 0"
        )
    return path


def _are_blocks_of(pair: dict, path: Path, lengths: np.ndarray) -> bool:
    """Whether rows of these lengths (N,) are sound, one a pair, and of no more tokens than the pair's sides."""
    sides = [pair[side].sizes for side in SIDES]
    if len(lengths) != len(sides[0]):
        return False
    with reading(path, "token blocks"):
        numbers = np.memmap(path, dtype=DTYPE, mode="r")
        bounds = np.cumsum(np.append(0, lengths.astype(np.int64)))
        for first in range(0, len(lengths), _ROWS_A_CHUNK):
            rows = slice(first, first + _ROWS_A_CHUNK)
            some = lengths[rows]
            sums, sound = check_rows(numbers[bounds[first] : bounds[first + len(some)]], some)
            # a side has an </s> more
            if not (sound.all() and (sums < np.stack([side[rows] for side in sides], axis=1)).all()):
                return False
    return True


def _load_side(path: Path, dictionary: "Dictionary"):
    kind, data_path = _check_files(path)
    with reading(data_path, "binarized text"):
        tokens = np.memmap(data_path, dtype=kind, mode="r")
        largest, smallest = int(tokens.max()), int(tokens.min()) if kind.kind == "i" else 0
        if largest >= len(dictionary):
            raise UserError(
                f"{data_path} holds token {largest} and dict.txt has {len(dictionary)} entries: it was made with "
                f"another dictionary; {_AGAIN}"
            )
        if smallest < 0:
            raise UserError(f"{data_path} holds token {smallest}, which no dictionary has; {_AGAIN}")
        return _open(path)


def _open(path: Path):
    """A binarized file that was checked, as fairseq opens it."""
    from fairseq.data import data_utils

    return data_utils.load_indexed_dataset(str(path), None, dataset_impl="mmap")


def _check_files(path: Path) -> tuple[np.dtype, Path]:
    """The type of a binarized file's numbers, and where they are; `UserError` where a file is missing or torn."""
    index_path, data_path = (path.with_name(path.name + end) for end in (".idx", ".bin"))
    for file in (index_path, data_path):
        if not os.path.lexists(file):
            raise UserError(f"{file} is missing; {_AGAIN}")
        check_file(file)
    with reading(index_path, "an index of fairseq's mmap format"):
        kind, expected = _check_index(index_path)
    found = data_path.stat().st_size
    if found != expected:
        raise UserError(f"{data_path} has {found} bytes and its index says {expected}; {_AGAIN}")
    return kind, data_path


def _check_index(path: Path) -> tuple[np.dtype, int]:
    """fairseq's mmap index: magic, version, type of tokens and number of rows, then sizes and pointers, one a row.

    Returns the type and how many bytes of tokens there are. The pointers have to be where the sizes put the rows:
    fairseq goes by them, and would train on other rows.
    """
    from fairseq.data.indexed_dataset import _code_to_dtype

    header = struct.Struct("<9sQBQ")
    with open(path, "rb") as handle:
        start = handle.read(header.size)
    torn = UserError(f"{path} is torn or no index of fairseq's mmap format; {_AGAIN}")
    if len(start) < header.size:
        raise torn
    magic, version, code, rows = header.unpack(start)
    row_bytes = np.dtype(np.int32).itemsize + np.dtype(np.int64).itemsize
    if (magic, version) != (b"MMIDIDX\0\0", 1) or path.stat().st_size != header.size + rows * row_bytes:
        raise torn
    kind = np.dtype(_code_to_dtype[code]) if code in _code_to_dtype else None
    if kind is None or kind.kind not in "iu":
        raise UserError(f"{path} says that tokens are of type {code}, which is none of whole numbers; {_AGAIN}")
    if not rows:
        raise UserError(f"{path} has no sentences; {_AGAIN}")
    sizes = np.memmap(path, dtype=np.int32, mode="r", offset=header.size, shape=rows)
    pointers = np.memmap(path, dtype=np.int64, mode="r", offset=header.size + sizes.nbytes, shape=rows)
    end = 0
    for first in range(0, rows, _ROWS_A_CHUNK):
        of_chunk = sizes[first : first + _ROWS_A_CHUNK]
        if of_chunk.min() < 1:
            raise UserError(f"{path}: row {first + int(of_chunk.argmin())} has {of_chunk.min()} tokens; {_AGAIN}")
        ends = end + np.cumsum(of_chunk, dtype=np.int64) * kind.itemsize
        at = pointers[first : first + _ROWS_A_CHUNK]
        if at[0] != end or not np.array_equal(at[1:], ends[:-1]):
            raise UserError(f"{path}: its pointers are not where its sizes put the rows; {_AGAIN}")
        end = int(ends[-1])
    return kind, end
