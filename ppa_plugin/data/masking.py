"""What a pair becomes: its three streams, each with its own mask, drawn from (seed, epoch, id, stream) alone."""

from dataclasses import dataclass

import numpy as np

SIDES = ("orig", "latn")
STREAMS = (*SIDES, "tlm")
# special tokens of a stream's sequence: <s> side </s>, and <s> a </s> b </s>
SPECIALS_OF_STREAM = {"orig": 2, "latn": 2, "tlm": 3}
# XLM-R's layout, as ppa_plugin.data.vocabulary checks it: <s> <pad> </s> <unk> first, <mask> last
BOS, PAD, EOS, UNK = 0, 1, 2, 3
FIRST_PIECE = 4


@dataclass(frozen=True)
class Masking:
    """The masking rule of BERT: how many tokens are chosen, and what becomes of them.

    Args:
        vocabulary: entries of the dictionary; `<mask>` is the last one.
        prob: each token that is not special is chosen with this probability, independently.
        keep: share of the chosen tokens that stay as they are.
        random: share that become a random token, uniform over the pieces (never a special, never `<unk>`).
    """

    vocabulary: int
    prob: float = 0.15
    keep: float = 0.1
    random: float = 0.1

    @property
    def mask(self) -> int:
        """The index of `<mask>`."""
        return self.vocabulary - 1


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
    special = (tokens <= EOS) | (tokens == masking.mask)
    chosen = np.flatnonzero((generator.random(len(tokens)) < masking.prob) & ~special)
    fate = generator.random(len(chosen))
    replacement = np.where(
        fate < masking.random, generator.integers(FIRST_PIECE, masking.mask, len(chosen)), masking.mask
    )
    masked = tokens.copy()
    replaced = fate < 1.0 - masking.keep
    masked[chosen[replaced]] = replacement[replaced]
    return masked, chosen


def wrap(side: np.ndarray, max_positions: int) -> np.ndarray:
    """`<s> side </s>` for the tokens of a side without specials, cut to `max_positions` with its specials."""
    return np.concatenate(([BOS], side[: max_positions - 2], [EOS]))


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


def concatenate_pair(orig: np.ndarray, latn: np.ndarray, max_positions: int, truncation: str, swap: bool) -> np.ndarray:
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
    return np.concatenate(([BOS], first, [EOS], second, [EOS]))[:max_positions]
