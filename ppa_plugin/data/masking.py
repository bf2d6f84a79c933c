"""What a pair becomes: its three streams, each with its own mask, drawn from (seed, epoch, id, stream) alone."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

SIDES = ("orig", "latn")
STREAMS = (*SIDES, "tlm")
# special tokens of a stream's sequence: <s> side </s>, and <s> a </s> b </s>
SPECIALS_OF_STREAM = {"orig": 2, "latn": 2, "tlm": 3}
# XLM-R's layout, as ppa_plugin.data.vocabulary checks it: <s> <pad> </s> <unk> first, <mask> last
BOS, PAD, EOS, UNK = 0, 1, 2, 3
FIRST_PIECE = 4


class Specials(NamedTuple):
    """The ids of a vocabulary's special tokens, under the names that fairseq has for them."""

    bos: int  # before a sequence
    pad: int
    eos: int  # after it, and between the sides of a pair
    unk: int  # -1 where the tokenizer knows every text
    mask: int

    @property
    def control(self) -> tuple[int, int, int]:
        """Those that are no part of a text: never masked, never pooled."""
        return self.bos, self.pad, self.eos

    @classmethod
    def xlmr(cls, vocabulary: int) -> "Specials":
        """XLM-R's in a dictionary of so many entries."""
        return cls(BOS, PAD, EOS, UNK, vocabulary - 1)


@dataclass(frozen=True)
class Masking:
    """The masking rule of BERT: how many tokens are chosen, and what becomes of them.

    Args:
        vocabulary: entries of the dictionary.
        prob: each token that is not special is chosen with this probability, independently.
        keep: share of the chosen tokens that stay as they are.
        random: share that become a random token, uniform over the pieces (never a special, never `<unk>`).
        specials: of the dictionary; None for XLM-R's, where `<mask>` is the last entry.
    """

    vocabulary: int
    prob: float = 0.15
    keep: float = 0.1
    random: float = 0.1
    specials: Specials | None = None

    def __post_init__(self) -> None:
        if self.specials is None:
            object.__setattr__(self, "specials", Specials.xlmr(self.vocabulary))
        special = sorted({index for index in self.specials if index >= 0})
        # from which number of a token that is not special on each special lies before it
        object.__setattr__(self, "_before", np.array(special) - np.arange(len(special)))

    @property
    def mask(self) -> int:
        """The index of `<mask>`."""
        return self.specials.mask

    def draw(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """`count` random tokens, none of them special: numbers of those that are not, each as its token."""
        drawn = generator.integers(0, self.vocabulary - len(self._before), count)
        return drawn + self._before.searchsorted(drawn, side="right")


def stream_generator(seed: int, epoch: int, sample: int, stream: str) -> np.random.Generator:
    """The random numbers of one stream of one pair, whatever the batch, the worker, the rank or the resume point.

    Philox is counter based: (seed, epoch) is the key and (id, stream) the high half of the counter, so that no two
    streams share a number and nothing is hashed.
    """
    key = np.array([seed, epoch], dtype=np.uint64)
    counter = np.array([0, 0, sample, STREAMS.index(stream)], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def mask_tokens(tokens: np.ndarray, masking: Masking, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Mask one sequence (T,) and return it with the positions (M,) that were chosen, in order.

    Specials (`<s> <pad> </s> <mask>`) are never chosen; `<unk>` may be. Of the chosen, the share
    1 - keep - random becomes `<mask>`.
    """
    bos, pad, eos, _, mask = masking.specials
    # not np.isin, which takes ten times as long for a sentence
    special = (tokens == bos) | (tokens == pad) | (tokens == eos) | (tokens == mask)
    chosen = np.flatnonzero((generator.random(len(tokens)) < masking.prob) & ~special)
    fate = generator.random(len(chosen))
    replacement = np.where(fate < masking.random, masking.draw(len(chosen), generator), masking.mask)
    masked = tokens.copy()
    replaced = fate < 1.0 - masking.keep
    masked[chosen[replaced]] = replacement[replaced]
    return masked, chosen


def wrap(side: np.ndarray, max_positions: int, specials: Specials) -> np.ndarray:
    """`<s> side </s>` for the tokens of a side without specials, cut to `max_positions` with its specials."""
    return np.concatenate(([specials.bos], side[: max_positions - 2], [specials.eos]))


def stream_lengths(orig: np.ndarray, latn: np.ndarray, max_positions: int) -> dict[str, np.ndarray]:
    """Tokens of every stream, specials included and cut, for sides of these lengths (N,) as binarized, with `</s>`.

    What `wrap` and `concatenate_pair` make, counted: each is (N,).
    """
    cut = {
        side: np.minimum(np.asarray(sizes, dtype=np.int64) - 1, max_positions - SPECIALS_OF_STREAM[side])
        for side, sizes in zip(SIDES, (orig, latn), strict=True)
    }
    lengths = {side: sizes + SPECIALS_OF_STREAM[side] for side, sizes in cut.items()}
    return lengths | {"tlm": np.minimum(sum(cut.values()) + SPECIALS_OF_STREAM["tlm"], max_positions)}


def share_positions(orig: int, latn: int, available: int) -> tuple[int, int]:
    """How many tokens of sides of `orig` and `latn` tokens fit into `available` positions, so that both survive.

    k = min(|o|, max(1, M - |z|, floor(M |o| / (|o| + |z|)))) of the original and min(|z|, M - k) of the romanization.
    """
    kept = min(orig, max(1, available - latn, available * orig // (orig + latn)))
    return kept, min(latn, available - kept)


def concatenate_pair(
    orig: np.ndarray, latn: np.ndarray, max_positions: int, truncation: str, swap: bool, specials: Specials
) -> np.ndarray:
    """The TLM sequence `<s> a </s> b </s>` of at most `max_positions` tokens; (a, b) = (latn, orig) where `swap`.

    `truncation` "both" shortens both sides by their share (`share_positions`); "right" is the released rule: each
    side is cut to `max_positions` with its specials, then the whole from the right, so that a long pair loses its end.
    """
    if truncation == "both":
        kept_orig, kept_latn = share_positions(len(orig), len(latn), max_positions - 3)
        orig, latn = orig[:kept_orig], latn[:kept_latn]
    else:
        orig, latn = orig[: max_positions - 2], latn[: max_positions - 2]
    first, second = (latn, orig) if swap else (orig, latn)
    return np.concatenate(([specials.bos], first, [specials.eos], second, [specials.eos]))[:max_positions]
