"""Encoded pairs in a random order, some of them for validation, sharing no text with those for training."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ppa_preprocess.tokens.line_encoder import LineEncoder
from ppa_preprocess.tokens.records import open_lines
from ppa_preprocess.tokens.storage import Tokens

from ppa_plugin.data.sampling import random_order

# Part of what `encoded/` depends on, so that what an earlier rule left there is made again.
RULE = "equal text"
_OTHER, _EQUAL, _EQUAL_IF_SPELLED_ALIKE = range(3)  # a row of tokens beside those of the validation pairs
_CHUNK_LINES = 2048


class Split(NamedTuple):
    """Which pairs, by number from 0, go where."""

    train: np.ndarray
    valid: np.ndarray
    in_valid: np.ndarray  # left out of training: the text of one of their sides is that of a validation pair


def valid_size(pairs: int, wished: int) -> int:
    """How many of so many pairs are for validation: a tenth where there are fewer than twice `wished`."""
    return wished if pairs >= 2 * wished else min(pairs - 1, max(1, pairs // 10))


def draw(kept: np.ndarray, lines: int, wished: int, seed: int, lang: str) -> tuple[np.ndarray, np.ndarray]:
    """The pairs `kept`, by number from 0 and rising, in a seeded order: `wished` or so for validation, and the rest.

    Those for validation are pairs of the first romanizer, of lines 0 to `lines` - 1: the same that are drawn without
    the pairs of others.
    """
    first = kept[kept < lines]
    shuffled = first[random_order(len(first), seed, "shuffle", lang)]
    size = valid_size(len(first), wished)
    if len(first) < len(kept):
        everything = kept[random_order(len(kept), seed, "shuffle", lang)]
        return shuffled[:size], everything[~np.isin(everything, shuffled[:size])]
    return shuffled[:size], shuffled[size:]


def split_pairs(
    sides: Sequence[Tokens], pair: Sequence[Path], encoder: LineEncoder, valid: np.ndarray, rest: np.ndarray
) -> Split:
    """Split off from `rest` what shares a text with the pairs `valid`, by their numbers.

    `sides` are the rows of both sides, encoded, and `pair` the files of lines from which `encoder` made them. Memory:
    some 40 bytes a pair, and the validation pairs.
    """
    in_valid = np.zeros(len(rest), dtype=bool)
    for tokens, path in zip(sides, pair, strict=True):
        in_valid |= _shared(rest, valid, tokens, path, encoder)
    return Split(rest[~in_valid], valid, rest[in_valid])


def _shared(rest: np.ndarray, valid: np.ndarray, tokens: Tokens, path: Path, encoder: LineEncoder) -> np.ndarray:
    """Which of the lines `rest` (N,) have the text of one of the lines `valid`, on one side: bool (N,).

    A text is what training reads of a line: as SentencePiece normalises it (NFKC, one space for any run of white space,
    none around it), and cut to the tokens that are kept. Lines that differ otherwise are the same to the model. Where
    no token is unknown, tokens spell that text. Where one is, they do not say which characters it stands for, and to a
    vocabulary without the script every sentence is `<unk> <unk>`: then the characters are compared too.
    """
    kinds = {
        row: _EQUAL_IF_SPELLED_ALIKE if tokens.count(encoder.specials.unk, row) else _EQUAL
        for row in tokens.take(valid)
    }
    kind = np.fromiter((kinds.get(row, _OTHER) for row in tokens), dtype=np.uint8, count=len(tokens))
    shared, unsure = kind[rest] == _EQUAL, kind[rest] == _EQUAL_IF_SPELLED_ALIKE
    if unsure.any():
        texts = set(_spelled(valid[kind[valid] == _EQUAL_IF_SPELLED_ALIKE], tokens, path, encoder))
        spelled = _spelled(rest[unsure], tokens, path, encoder)
        shared[unsure] = np.fromiter((text in texts for text in spelled), dtype=bool, count=unsure.sum())
    return shared


def _spelled(numbers: np.ndarray, tokens: Tokens, path: Path, encoder: LineEncoder) -> Iterator[str]:
    """Yield what the rows of these numbers (N,) were made from, as normalised and cut, unknown characters too."""
    with open_lines(path) as lines:
        for first in range(0, len(numbers), _CHUNK_LINES):
            chosen = numbers[first : first + _CHUNK_LINES]
            surfaces = encoder.surfaces([line.decode() for line in lines.take(chosen)])
            for pieces, size in zip(surfaces, tokens.sizes[chosen].tolist(), strict=True):
                yield "".join(pieces[: size - 1])  # </s> is in the size
