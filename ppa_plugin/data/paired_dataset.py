"""Sentences and their romanizations, side by side, as fairseq batches them."""

from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from typing import Any

import numpy as np
from fairseq.data import FairseqDataset

from ppa_plugin.data.batch import collate
from ppa_plugin.data.bounds import bounded
from ppa_plugin.data.masking import (
    STREAMS,
    Masking,
    concatenate_pair,
    mask_tokens,
    stream_generator,
    stream_lengths,
    wrap,
)
from ppa_plugin.data.sampling import sample_languages
from ppa_plugin.data.training_blocks import TrainingBlocks


@dataclass(eq=False, repr=False)
class PairedDataset(FairseqDataset):
    """Pairs of a sentence and its romanization; item i holds the masked streams of pair i.

    Args:
        orig, latn: indexed datasets of equal length; row i of one belongs to row i of the other; each row is a 1-D
            tensor of token indices that ends in `</s>`, as fairseq-preprocess writes it.
        masking: the masking rule.
        streams: which of `orig`, `latn`, `tlm` to make; what no term needs is left out here and costs nothing later.
        seed: together with the epoch, the index and the stream, it fixes every draw.
        max_positions: tokens of a sequence, specials included; longer sides are cut, never filtered.
        tlm_truncation: "both" or "right", see `ppa_plugin.data.masking.concatenate_pair`.
        batch_order: "random", as in the paper, or "length": batches of pairs of similar length.
        language_sizes: pairs of each language, in order; with `sampling_alpha` they decide how often it is seen.
        sampling_alpha: see `ppa_plugin.data.sampling.sample_languages`; 1 takes every pair once an epoch.
        fixed: one draw for all epochs, for validation.
        hash_texts: items also hold `texts`, the hashes of their two sides, by which equal texts are found.
        blocks: items also hold their token blocks, as `TrainingBlocks.of_pair` gives them.
        partners: the row of `latn` that stands beside each row of `orig` (N,), see `sampling.other_partners`; None
            for its own.

    Raises:
        ValueError: where the two sides differ in length.
    """

    orig: Any
    latn: Any
    masking: Masking
    streams: tuple[str, ...] = STREAMS
    seed: int = 1
    max_positions: int = 512
    tlm_truncation: str = "both"
    batch_order: str = "random"
    language_sizes: tuple[int, ...] = ()
    sampling_alpha: float = 1.0
    fixed: bool = False
    hash_texts: bool = False
    blocks: TrainingBlocks | None = None
    partners: np.ndarray | None = None
    epoch: int = field(default=0, init=False)
    batch_count_multiple: int = field(default=1, init=False)
    most_pairs: int | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if len(self.orig) != len(self.latn):
            raise ValueError(
                f"the two sides differ: {len(self.orig)} original and {len(self.latn)} romanized sentences"
            )

    def __len__(self) -> int:
        return len(self.orig)

    def __getitem__(self, index: int) -> dict:
        """The pair's streams: {"id", stream: (masked tokens (T,), chosen positions (M,), their own tokens (M,))}.

        With `hash_texts` also "texts": (2,) int64, the hashes of the tokens of `orig` and `latn` before masking.
        """
        eos = self.masking.specials.eos
        partner = index if self.partners is None else int(self.partners[index])
        sides = {"orig": _without(self.orig[index], eos), "latn": _without(self.latn[partner], eos)}
        item = {"id": int(index)} | {stream: self._mask(int(index), stream, sides) for stream in self.streams}
        if self.hash_texts:
            # of the tokens that are left after cutting: the model sees no others
            item["texts"] = np.array([text_hash(side[: self.max_positions - 2]) for side in sides.values()])
        if self.blocks:
            item |= self.blocks.of_pair(int(index), list(sides.values()), self.max_positions - 2)
        return item

    def _mask(self, index: int, stream: str, sides: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        generator = stream_generator(self.seed, self.epoch, index, stream)
        if stream == "tlm":
            swap = generator.random() < 0.5
            both, specials = (sides["orig"], sides["latn"]), self.masking.specials
            tokens = concatenate_pair(*both, self.max_positions, self.tlm_truncation, swap, specials)
        else:
            tokens = wrap(sides[stream], self.max_positions, self.masking.specials)
        masked, chosen = mask_tokens(tokens, self.masking, generator)
        return masked, chosen, tokens[chosen]

    def collater(self, samples: list[dict]) -> dict:
        """Pack the streams of all pairs into one batch without padding, see `ppa_plugin.data.batch.collate`."""
        group = self.blocks.group if self.blocks else None
        return collate(samples, self.streams, self.most_pairs, self.masking.specials.control, group)

    @cached_property
    def sizes(self) -> np.ndarray:
        """Real tokens of each pair over its streams, after cutting (N,)."""
        latn = self.latn.sizes if self.partners is None else self.latn.sizes[self.partners]
        lengths = stream_lengths(self.orig.sizes, latn, self.max_positions)
        return sum(lengths[stream] for stream in self.streams)

    def num_tokens(self, index: int) -> int:
        """Real tokens of one pair over its streams."""
        return int(self.sizes[index])

    def size(self, index: int) -> int:
        """As `num_tokens`: what bounds a batch."""
        return self.num_tokens(index)

    def ordered_indices(self) -> np.ndarray:
        """The pairs of an epoch in random order, from numpy's generator, which fairseq seeds with seed + epoch."""
        if self.sampling_alpha == 1:
            order = np.random.permutation(len(self))
        else:
            order = np.random.permutation(sample_languages(self.language_sizes, self.sampling_alpha, np.random))
        if self.batch_order == "length":
            order = order[np.argsort(self.sizes[order], kind="stable")]
        return order

    def filter_indices_by_size(self, indices: np.ndarray, max_sizes) -> tuple[np.ndarray, list[int]]:
        """Keep every pair: what is too long is cut, not filtered."""
        return indices, []

    def batch_by_size(
        self,
        indices: np.ndarray,
        max_tokens: int | None = None,
        max_sentences: int | None = None,
        required_batch_size_multiple: int = 1,
    ) -> list[np.ndarray]:
        """Cut `indices`, in order, into micro-batches of at most `max_sentences` pairs and `max_tokens` real tokens.

        `required_batch_size_multiple` has no meaning for packed batches and is ignored. The number of batches is made a
        multiple of `batch_count_multiple`, the number of ranks, by halving the largest ones; where there are too few
        pairs for that, by joining the smallest, the one case in which a bound gives way.

        Raises:
            ValueError: where there are fewer pairs than ranks.
        """
        if len(indices) < self.batch_count_multiple:
            raise ValueError(f"{len(indices)} pairs cannot be shared among {self.batch_count_multiple} ranks")
        # an epoch has millions of pairs, whose lengths only --max-tokens looks at
        lengths = indices if max_tokens is None else self.sizes[indices].tolist()
        cut = [indices[places] for places in bounded(lengths, max_sentences, max_tokens)]
        batches = self._share_among_ranks(cut)
        self.most_pairs = max(map(len, batches))
        return batches

    def _share_among_ranks(self, batches: list[np.ndarray]) -> list[np.ndarray]:
        ranks, pairs = self.batch_count_multiple, sum(map(len, batches))
        more = -len(batches) % ranks
        if len(batches) + more <= pairs:
            for _ in range(more):
                largest = max(range(len(batches)), key=lambda i: len(batches[i]))
                batches[largest : largest + 1] = np.array_split(batches[largest], 2)
        else:
            for _ in range(len(batches) % ranks):
                batches.sort(key=lambda batch: -self.sizes[batch].sum())
                batches[-2:] = [np.concatenate(batches[-2:])]
        return batches

    @property
    def can_reuse_epoch_itr_across_epochs(self) -> bool:
        """Training batches, and so the negatives, are drawn anew in every epoch; validation batches stay."""
        return self.fixed

    def set_epoch(self, epoch: int) -> None:
        """Draw new masks from now on, unless the draw is fixed."""
        super().set_epoch(epoch)
        self.epoch = 0 if self.fixed else epoch


def text_hash(tokens: np.ndarray) -> np.int64:
    """A hash of tokens (T,), the same in every process and for every integer type that they are stored in."""
    return np.frombuffer(blake2b(tokens.astype("<i8").tobytes(), digest_size=8).digest(), dtype="<i8")[0]


def _without(row, eos: int) -> np.ndarray:
    tokens = np.asarray(row)
    return tokens[:-1] if len(tokens) and tokens[-1] == eos else tokens
