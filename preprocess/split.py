"""Encoded pairs in a random order, the first of them for validation, sharing no text with those for training."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from ppa_preprocess.group import Group
from ppa_preprocess.records import Records
from ppa_preprocess.sample import random_order


class Split(NamedTuple):
    """Which pairs, by number from 0, go where."""

    train: np.ndarray
    valid: np.ndarray
    in_valid: np.ndarray  # left out of training: one of their sides equals that of a validation pair


def valid_size(pairs: int, wished: int) -> int:
    """How many of a language's pairs are for validation: a tenth where there are fewer than twice `wished`."""
    return wished if pairs >= 2 * wished else min(pairs - 1, max(1, pairs // 10))


def split_pairs(sides: Sequence[Records], kept: np.ndarray, group: Group, lang: str) -> Split:
    """Split the pairs of the numbers `kept` in a seeded order; `sides` are the rows of both, encoded.

    Memory: some 30 bytes a pair, and the validation pairs.
    """
    order = kept[random_order(len(kept), group.seed, "shuffle", lang)]
    size = valid_size(len(kept), group.valid_size)
    valid, rest = order[:size], order[size:]
    shared = np.zeros(len(sides[0]), dtype=bool)
    for side in sides:
        texts = set(side.take(valid))
        shared |= np.fromiter((row in texts for row in side), dtype=bool, count=len(side))
    shared_rest = shared[rest]
    return Split(rest[~shared_rest], valid, rest[shared_rest])
