"""Made-up pairs, as the indexed datasets that fairseq-preprocess writes would give them."""

import numpy as np
import torch

from ppa_plugin.data.masking import EOS, FIRST_PIECE, Masking
from ppa_plugin.data.paired_dataset import PairedDataset


class Rows(list):
    """Rows of token indices, each ending in </s>, with the `sizes` of an indexed dataset."""

    @property
    def sizes(self) -> np.ndarray:
        return np.array([len(row) for row in self])


def make_rows(lengths, vocabulary: int = 50, seed: int = 0) -> Rows:
    """Rows of `lengths` random pieces, before the </s> that each one ends in."""
    generator = np.random.default_rng(seed)
    return Rows(
        torch.tensor([*generator.integers(FIRST_PIECE, vocabulary - 1, length), EOS], dtype=torch.long)
        for length in lengths
    )


def make_dataset(orig_lengths, latn_lengths, vocabulary: int = 50, **options) -> PairedDataset:
    """A `PairedDataset` over random rows of these lengths."""
    return PairedDataset(
        make_rows(orig_lengths, vocabulary, 1), make_rows(latn_lengths, vocabulary, 2), Masking(vocabulary), **options
    )


def to_fake(value, fake):
    """A batch whose tensors hold no values: reading one back raises."""
    if isinstance(value, dict):
        return {key: to_fake(each, fake) for key, each in value.items()}
    return fake.from_tensor(value) if torch.is_tensor(value) else value
