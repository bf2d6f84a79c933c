"""Two ways from `encoded/` to the same bytes: fairseq-preprocess's own code on text, and tokens straight through."""

import itertools
import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ppa_preprocess.tokens.line_encoder import token_dtype
from ppa_preprocess.tokens.records import open_lines
from ppa_preprocess.tokens.storage import Tokens, lines_path, open_tokens, text_path

from ppa_plugin.data.blocks import ALIGN, DTYPE
from ppa_plugin.data.masking import SIDES
from ppa_plugin.data.shards import binarized_path
from ppa_plugin.data.vocabulary import layout

_CHUNK_ROWS = 16384


@dataclass(frozen=True)
class Part:
    """The part of a language that goes into one shard: training rows from `start` to `stop`, validation or not."""

    lang: str
    shard: int
    encoded: Path
    start: int
    stop: int
    valid: bool
    target: Path
    alignment: bool = False

    @property
    def task(self) -> str:
        return f"binarize shard{self.shard:02d}/{self.lang}"

    def splits(self) -> dict[str, slice]:
        """Which rows of which split lie in this part."""
        return {"train": slice(self.start, self.stop)} | ({"valid": slice(None)} if self.valid else {})


# (split, side): the number of tokens that each row has to have, </s> included
Sizes = dict[tuple[str, str], np.ndarray]


def shard_bounds(rows: int, shards: int) -> list[tuple[int, int]]:
    """From and to which training row of a language each shard goes: as many in each, or one more."""
    return list(itertools.pairwise(rows * shard // shards for shard in range(shards + 1)))


def fairseq_preprocess(dictionary: Path, part: Part, directory: Path) -> Sizes:
    """Write a part into `directory` with fairseq-preprocess, which looks every piece up in the dictionary."""
    text = directory / "text"
    text.mkdir()
    sizes = {
        (split, side): _copy_lines(text_path(part.encoded, split, side), text_path(text, split, side), rows)
        for split, rows in part.splits().items()
        for side in SIDES
    }
    _run_fairseq_preprocess(text, directory, dictionary, part.valid)
    shutil.rmtree(text)
    (directory / "preprocess.log").unlink()
    for side in SIDES:
        (directory / f"dict.{side}.txt").unlink()
    return sizes


def direct(dictionary: Path, part: Part, directory: Path) -> Sizes:
    """Write a part into `directory` from the tokens of `encoded/`: what fairseq-preprocess writes, byte for byte."""
    entries, specials = layout(dictionary)
    dtype = token_dtype(entries)
    sizes = {}
    for side in SIDES:
        with open_tokens(part.encoded, side, dtype) as tokens:
            for split, rows in part.splits().items():
                lines = np.load(lines_path(part.encoded, split))[rows]
                _write_rows(binarized_path(directory, split, side), tokens, lines, dtype, specials.eos)
                sizes[split, side] = tokens.sizes[lines]
    return sizes


def write_blocks(part: Part, directory: Path) -> None:
    """Write a part's token blocks into `directory`, whichever binarizer writes the sides."""
    with open_tokens(part.encoded, ALIGN, DTYPE) as blocks:
        for split, rows in part.splits().items():
            lines = np.load(lines_path(part.encoded, split))[rows]
            _write_rows(binarized_path(directory, split, ALIGN), blocks, lines, DTYPE, last=None)


BINARIZERS: dict[str, Callable[[Path, Part, Path], Sizes]] = {
    "fairseq-preprocess": fairseq_preprocess,
    "direct": direct,
}


def _write_rows(prefix: Path, tokens: Tokens, lines: np.ndarray, dtype: np.dtype, last: int | None) -> None:
    """Write .bin and .idx of the rows of these lines, which end in `last`; 40 bytes of memory a row for the index."""
    from fairseq.data.indexed_dataset import MMapIndexedDataset

    with open(f"{prefix}.bin", "wb") as handle:
        for first in range(0, len(lines), _CHUNK_ROWS):
            chosen = lines[first : first + _CHUNK_ROWS]
            rows = np.frombuffer(b"".join(tokens.take(chosen)), dtype=dtype)
            ends = np.cumsum(tokens.sizes[chosen])
            if len(rows) != ends[-1] or (last is not None and (rows[ends - 1] != last).any()):
                raise RuntimeError(f"{prefix}.bin: a row of the encoded tokens does not end where its size says")
            handle.write(rows.data)
    # what MMapIndexedDatasetBuilder.finalize does; its add_item would take each row as a tensor of its own
    with MMapIndexedDataset.Index.writer(f"{prefix}.idx", dtype.type) as index:
        index.write(tokens.sizes[lines].tolist())


def _copy_lines(source: Path, target: Path, rows: slice) -> np.ndarray:
    """Copy lines of an encoded text and return how many tokens each has to have, </s> included."""
    # a piece may begin with the character that is a mark at the start of a text
    with open_lines(source, marked=False) as lines, open(target, "wb") as handle:

        def copied() -> Iterator[int]:
            for line in lines.take(chosen):
                handle.write(line + b"\n")
                yield line.count(b" ") + 2

        chosen = np.arange(len(lines))[rows]
        return np.fromiter(copied(), dtype=np.int32, count=len(chosen))


def _run_fairseq_preprocess(text: Path, target: Path, dictionary: Path, valid: bool) -> None:
    from fairseq import options
    from fairseq_cli import preprocess

    args = ["--source-lang", "orig", "--target-lang", "latn", "--workers", "1"]
    args += ["--srcdict", str(dictionary), "--tgtdict", str(dictionary)]
    args += ["--trainpref", str(text.resolve() / "train"), "--destdir", str(target)]
    if valid:
        args += ["--validpref", str(text.resolve() / "valid")]
    preprocess.logger.setLevel(logging.WARNING)  # else four lines for each part
    try:
        preprocess.main(options.get_preprocessing_parser().parse_args(args))
    finally:
        # each call adds a handler that keeps its preprocess.log open
        for handler in list(preprocess.logger.handlers):
            handler.close()
            preprocess.logger.removeHandler(handler)
