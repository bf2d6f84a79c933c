"""Shards of made-up pairs, as ppa-preprocess binarizes them."""

from pathlib import Path

import numpy as np
import torch
from fairseq.data.indexed_dataset import MMapIndexedDataset, MMapIndexedDatasetBuilder

VOCABULARY = 60


def write_dictionary(directory: Path, entries: int = VOCABULARY) -> None:
    """dict.txt with the specials, made-up pieces and <mask>: `entries` in all."""
    directory.mkdir(parents=True, exist_ok=True)
    pieces = [f"▁p{i} 1" for i in range(entries - 5)]
    (directory / "dict.txt").write_text("\n".join([*pieces, "<mask> 1"]) + "\n", encoding="utf-8")


def write_split(directory: Path, split: str, pairs: int, seed: int, vocabulary: int = VOCABULARY) -> None:
    """`pairs` random pairs of 1 to 12 tokens a side, as fairseq-preprocess would write them."""
    directory.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    for side in ("orig", "latn"):
        path = str(directory / f"{split}.orig-latn.{side}")
        builder = MMapIndexedDatasetBuilder(f"{path}.bin", dtype=np.uint16)
        for length in generator.integers(1, 13, pairs):
            builder.add_item(torch.tensor([*generator.integers(4, vocabulary - 1, length), 2]))
        builder.finalize(f"{path}.idx")


def write_blocks(directory: Path, split: str, seed: int) -> None:
    """Token blocks of the pairs that `write_split` wrote: one to three, or none for a pair in four."""
    generator = np.random.default_rng(seed)
    path = directory / f"{split}.orig-latn"
    sides = [MMapIndexedDataset(f"{path}.{side}") for side in ("orig", "latn")]
    builder = MMapIndexedDatasetBuilder(f"{path}.align.bin", dtype=np.uint8)
    for orig, latn in zip(*(side.sizes.tolist() for side in sides), strict=True):
        number = min(int(generator.integers(0, 4)), orig - 1, latn - 1)
        last = [orig - number, latn - number]  # one token each but for the last; </s> is in the size
        builder.add_item(torch.tensor([1, 1] * (number - 1) + last if number else [0]))
    builder.finalize(f"{path}.align.idx")


def write_shards(
    data: Path, pairs: int, shards: int = 1, valid: int = 8, vocabulary: int = VOCABULARY, blocks: bool = False
) -> str:
    """data/dict.txt and data/shardNN/{aaa_Latn,bbb_Grek}; returns the list of shards that fairseq-train takes.

    With `blocks`, token blocks beside the sides. The fewer entries of the dictionary, `vocabulary`, text is made of,
    the more of it is equal.
    """
    write_dictionary(data)
    for shard in range(shards):
        for number, language in enumerate(("aaa_Latn", "bbb_Grek")):
            directory = data / f"shard{shard:02d}" / language
            write_split(directory, "train", pairs // 2, 10 * shard + number, vocabulary)
            if shard == 0:
                write_split(directory, "valid", valid // 2, seed=1000 + number)
            for split in ("train", "valid") if blocks else ():
                if (directory / f"{split}.orig-latn.orig.idx").is_file():
                    write_blocks(directory, split, 10 * shard + number)
    return ":".join(str(data / f"shard{shard:02d}") for shard in range(shards))
