"""Draws that depend on what they are for alone, and how often each language is seen in an epoch."""

import hashlib
import itertools
from collections.abc import Sequence

import numpy as np


def generator_for(seed: int, purpose: str, lang: str) -> np.random.Generator:
    """The random numbers of one purpose for one language."""
    digest = hashlib.sha256(f"{seed} {purpose} {lang}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest))


def random_order(count: int, seed: int, purpose: str, lang: str) -> np.ndarray:
    """A permutation of range(count) that depends on the arguments alone."""
    return np.argsort(generator_for(seed, purpose, lang).random(count), kind="stable")


def other_partners(sizes: Sequence[int], seed: int) -> np.ndarray:
    """For each pair (N,) another one of its language, drawn at random, every one once; a language's only pair its own.

    Args:
        sizes: the pairs of each language, in the order in which they are concatenated.
        seed: decides the draw, and nothing else does.
    """
    partners = np.arange(sum(sizes))
    bounds = np.cumsum([0, *sizes])
    for number, (first, end) in enumerate(itertools.pairwise(bounds)):
        # one circle through all pairs of the language: none is its own partner. Not the pairs half a language further
        # on, which by two romanizers are the same sentences
        circle = first + random_order(end - first, seed, "partners", str(number))
        partners[circle] = np.roll(circle, -1)
    return partners


def sample_languages(sizes: list[int], alpha: float, generator: np.random.RandomState) -> np.ndarray:
    """Draw as many pairs as there are, language l with a share proportional to n_l ** alpha (XLM-R, section 3.1).

    A language that gets more than its n_l pairs is repeated whole as often as it fits, so that its pairs are seen
    equally often, give or take one.

    Args:
        sizes: the pairs of each language, in the order in which they are concatenated.
        alpha: 1 takes every pair once; less takes more of the small languages and less of the large ones.
        generator: draws which pairs of a language are taken.

    Returns:
        Indices into the concatenation, in no particular order.
    """
    total = sum(sizes)
    weights = np.array(sizes, dtype=np.float64) ** alpha
    # rounding the running sum keeps the total exact
    bounds = np.rint(np.cumsum(weights) / weights.sum() * total).astype(np.int64)
    wanted = np.diff(bounds, prepend=0)
    drawn, start = [], 0
    for size, count in zip(sizes, wanted.tolist(), strict=True):
        whole, rest = divmod(count, size)
        drawn += [np.tile(np.arange(size), whole), generator.permutation(size)[:rest]]
        drawn[-2:] = [start + part for part in drawn[-2:]]
        start += size
    return np.concatenate(drawn)
