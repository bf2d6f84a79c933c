"""Finding and opening the binarized files of a shard, and refusing what is broken before training meets it."""

import struct
from pathlib import Path

import numpy as np
from fairseq.data import Dictionary, data_utils

from ppa_plugin.commandline import UserError

SIDES = ("orig", "latn")


def find_beside(shard: Path, name: str) -> Path | None:
    """The file `name` in the shard or up to two levels above it, None where there is none."""
    return next((d / name for d in (shard, *list(shard.resolve().parents)[:2]) if (d / name).is_file()), None)


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


def load_pair(directory: Path, split: str, dictionary: Dictionary) -> dict:
    """Both sides of one language, memory-mapped: {side: dataset of 1-D tensors that end in </s>}.

    Raises `UserError` where a file is missing or torn, the sides differ in length, or a token is not in the dictionary.
    """
    pair = {side: _load_side(directory / f"{split}.orig-latn.{side}", dictionary) for side in SIDES}
    if len(pair["orig"]) != len(pair["latn"]):
        raise UserError(
            f"{directory}: {split} has {len(pair['orig'])} original and {len(pair['latn'])} romanized sentences; "
            "run ppa-preprocess binarize again"
        )
    return pair


def _load_side(path: Path, dictionary: Dictionary):
    again = "run ppa-preprocess binarize again"
    index_path, data_path = (path.with_name(path.name + end) for end in (".idx", ".bin"))
    for file in (index_path, data_path):
        if not file.is_file():
            raise UserError(f"{file} is missing; {again}")
    _check_index(index_path, again)
    dataset = data_utils.load_indexed_dataset(str(path), dictionary, dataset_impl="mmap")
    sizes = dataset.sizes
    item_bytes = np.dtype(dataset._index.dtype).itemsize
    expected = int(sizes.sum(dtype=np.int64)) * item_bytes
    found = data_path.stat().st_size
    if found != expected:
        raise UserError(f"{data_path} has {found} bytes and its index says {expected}; {again}")
    if expected:
        largest = int(np.memmap(data_path, dtype=dataset._index.dtype, mode="r").max())
        if largest >= len(dictionary):
            raise UserError(
                f"{data_path} holds token {largest} and dict.txt has {len(dictionary)} entries: it was made with "
                f"another dictionary; {again}"
            )
    return dataset


def _check_index(path: Path, again: str) -> None:
    """fairseq's mmap index: magic, version, type of tokens and number of rows, then a size and a pointer a row."""
    header = struct.Struct("<9sQBQ")
    with open(path, "rb") as handle:
        start = handle.read(header.size)
    if len(start) == header.size:
        magic, version, _, rows = header.unpack(start)
        row_bytes = np.dtype(np.int32).itemsize + np.dtype(np.int64).itemsize
        whole = path.stat().st_size == header.size + rows * row_bytes
        if (magic, version, whole) == (b"MMIDIDX\0\0", 1, True):
            return
    raise UserError(f"{path} is torn or no index of fairseq's mmap format; {again}")
