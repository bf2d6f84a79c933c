"""How often the vector of a run of tokens is nearest to that of what belongs to it, among those of the other side."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from ppa_plugin.commandline import UserError, progress
from ppa_plugin.convert.hugging_face import SENTENCEPIECE
from ppa_plugin.evaluation.encoder.sentence_encoder import SentenceEncoder
from ppa_plugin.evaluation.encoder.sentencepiece_tokenizer import SentencePieceTokenizer


class Settings(NamedTuple):
    """What is measured: at which layers, how many sentences a language, and how many of them are a group."""

    layers: Sequence[int]
    sentences: int
    group: int
    seed: int
    batch_size: int


class SpanPair(NamedTuple):
    """Two sentences with runs of tokens, S on one side and T on the other, and which belong together.

    `tokens` are those of either sentence without specials, `spans` (S, 2) and (T, 2) from and to which of them a run
    reaches, `texts` (S,) and (T,) hashes of its tokens, `links` (S, T) whether two runs belong together.
    """

    tokens: tuple[np.ndarray, np.ndarray]
    spans: tuple[np.ndarray, np.ndarray]
    texts: tuple[np.ndarray, np.ndarray]
    links: np.ndarray


@dataclass
class Direction:
    """Of the runs of one side that belong to some of the other: how many, and how often one of those is nearest.

    `hits` (L,) is by layer; `chance` the sum over the runs of the probability that a random candidate is right.
    """

    hits: Tensor
    runs: int = 0
    chance: float = 0.0

    def add(self, anchors: Tensor, candidates: Tensor, own: Tensor, passed_over: Tensor) -> None:
        """Count runs: (L, S, C), (L, T, C), which belong together (S, T), which are no candidates (S, T)."""
        linked = own.any(1)
        self.hits += hits(anchors, candidates, own, passed_over)[:, linked].sum(1).cpu()
        self.runs += int(linked.sum())
        self.chance += float((own.sum(1) / (~passed_over).sum(1))[linked].double().sum())

    def shares(self) -> tuple[list[float], float]:
        """The accuracy by layer, and that of chance."""
        return (self.hits / self.runs).tolist(), self.chance / self.runs


def check_tokenizer(encoder: SentenceEncoder) -> None:
    """Raise `UserError` where the model has no SentencePiece model, of whose tokens the characters are known."""
    if not isinstance(encoder.tokenizer, SentencePieceTokenizer):
        raise UserError(
            f"{encoder.directory}: tokens are measured with the {SENTENCEPIECE} of an XLM-R, and this model's tokens "
            "come from another tokenizer, for which there are no blocks"
        )


def measure(
    encoder: SentenceEncoder, pairs: Sequence[SpanPair], settings: Settings, description: str
) -> tuple[Direction, Direction]:
    """Both directions over all pairs, whose runs are candidates within consecutive groups of pairs.

    The sides are read as sentences of their own.
    """
    group, batch_size = settings.group, settings.batch_size
    found = tuple(Direction(torch.zeros(len(encoder.layers), dtype=torch.float64)) for _ in range(2))
    groups = [pairs[first : first + group] for first in range(0, len(pairs), group)]
    at_once = max(1, batch_size // (2 * group))
    chunks = [groups[first : first + at_once] for first in range(0, len(groups), at_once)]
    for chunk in progress(chunks, description, total=len(chunks), unit="batch"):
        sentences = [(pair, side) for of_group in chunk for side in range(2) for pair in of_group]
        tokens, spans = ([getattr(pair, name)[side] for pair, side in sentences] for name in ("tokens", "spans"))
        vectors = encoder.encode_spans(tokens, spans, batch_size)
        sizes = [sum(len(pair.spans[side]) for pair in of_group) for of_group in chunk for side in range(2)]
        parts = vectors.split(sizes, dim=1)
        for number, of_group in enumerate(chunk):
            _count(found, *parts[2 * number : 2 * number + 2], of_group)
    return found


def layer_values(
    encoder: SentenceEncoder, found: tuple[Direction, Direction], sides: tuple[str, str], settings: Settings
) -> Iterator[dict[str, float]]:
    """What a record says of each layer asked for: accuracy and chance, the means of both directions, and each one's."""
    (forward, chance), (backward, other_chance) = (direction.shares() for direction in found)
    for layer, *shares in zip(encoder.layers, forward, backward, strict=True):
        if layer in settings.layers:
            of_sides = {f"from_{side}": share for side, share in zip(sides, shares, strict=True)}
            yield {"layer": layer, "accuracy": sum(shares) / 2, "chance": (chance + other_chance) / 2, **of_sides}


def cosines(anchors: Tensor, candidates: Tensor) -> Tensor:
    """(S, C), (T, C) -> (S, T) in FP64: where all vectors point one way, cosines differ by little."""
    return normalize(anchors.double(), dim=1) @ normalize(candidates.double(), dim=1).T


def hits(anchors: Tensor, candidates: Tensor, own: Tensor, passed_over: Tensor) -> Tensor:
    """(L, S, C), (L, T, C) -> (L, S): whether what is nearest by cosine is one that belongs to it; ties are misses.

    `own` and `passed_over` (S, T): which belong to an anchor, and which are no candidates for it.
    """
    found, nowhere = [], float("-inf")
    for scores in map(cosines, anchors, candidates):  # a layer at a time: large groups have large matrices
        right = scores.masked_fill(~own, nowhere).amax(1)
        found.append(right > scores.masked_fill(own | passed_over, nowhere).amax(1))
    return torch.stack(found)


def equals(links: np.ndarray, sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(S, T) bool: candidates that are neither right nor wrong, as in training: those with the tokens of a right one,
    and those that belong to a run with the tokens of the anchor. `sources` (S,) and `targets` (T,) are hashes.
    """
    weights = links.astype(np.float32)
    same_source, same_target = (np.equal.outer(texts, texts).astype(np.float32) for texts in (sources, targets))
    return ((weights @ same_target + same_source @ weights) > 0) & ~links


def _count(found: tuple[Direction, Direction], one: Tensor, other: Tensor, pairs: Sequence[SpanPair]) -> None:
    """Add one group: the vectors (L, S, C) and (L, T, C) of its sides."""
    links = np.zeros((one.size(1), other.size(1)), dtype=bool)
    row = column = 0
    for pair in pairs:
        rows, columns = pair.links.shape
        links[row : row + rows, column : column + columns] = pair.links
        row, column = row + rows, column + columns
    texts = [np.concatenate([pair.texts[side] for pair in pairs]) for side in range(2)]
    own, same = (torch.from_numpy(matrix).to(one.device) for matrix in (links, equals(links, *texts)))
    found[0].add(one, other, own, same)
    found[1].add(other, one, own.T, same.T)
