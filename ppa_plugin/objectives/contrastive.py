"""SEQ: sentence vectors, and the contrastive loss over them (arXiv 2406.19759, section 3, equation 2)."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

import torch
import torch.nn.functional as F
from fairseq.dataclass import ChoiceEnum
from torch import Tensor

from ppa_plugin.commandline import Range, UserError, setting
from ppa_plugin.data.masking import SIDES
from ppa_plugin.model.sizes import default_layer
from ppa_plugin.objectives.gather import gather_rows, rank_and_world
from ppa_plugin.objectives.term import WEIGHT, Loss

logger = logging.getLogger(__name__)


@dataclass
class ContrastiveFlags:
    """The flags of SEQ; the defaults are the paper's."""

    seq_weight: float = setting(1.0, "weight of the contrastive term; 0 leaves it out", WEIGHT, recipe=True)
    seq_layer: Optional[int] = setting(
        None,
        "block whose output is pooled for SEQ (default: 8 of 12, else two thirds of the depth)",
        Range(0, 1000, whole=True),
        recipe=True,
    )
    seq_temperature: float = setting(1.0, "divides the similarities of SEQ", Range(0.0001, 10_000))
    seq_negatives: Optional[int] = setting(
        None,
        "contrast the pairs of all ranks, in rank order, in consecutive groups of this many (default: all)",
        Range(2, whole=True),
    )
    seq_ignore_duplicates: bool = setting(
        False, "do not contrast pairs that have a text in common: equal tokens on either side"
    )
    seq_pooling: ChoiceEnum(["mean", "cls"]) = setting(
        "mean", "sentence vector: mean over tokens that are not special, or that of <s>"
    )
    seq_similarity: ChoiceEnum(["dot", "cosine"]) = setting("dot", "similarity of sentence vectors")
    seq_gather: ChoiceEnum(["exact", "detached"]) = setting(
        "exact",
        "candidates come from all ranks; exact: with their gradients, so that W ranks train as one; "
        "detached: without, as in the released code, whose gradient is 1/W of the true one",
    )


class Contrastive:
    """L_SEQ: InfoNCE between the sentence vectors of the two sides, the candidates those of all ranks."""

    flags = ContrastiveFlags
    decided_by = ("seq_weight",)
    logged = ("seq", "seq_acc", "seq_equal")
    masked_streams = ()

    def __init__(self, cfg: ContrastiveFlags, depth: int):
        self.cfg = cfg
        self.streams = self.needed_streams(cfg)
        self.layers = ()
        if not self.streams:
            return
        layer = default_layer(depth) if cfg.seq_layer is None else cfg.seq_layer
        if not 0 <= layer <= depth:
            raise UserError(f"--seq-layer {layer} is beyond the model's depth, {depth} blocks")
        if cfg.seq_negatives is not None and cfg.seq_negatives < 2:
            raise UserError(f"--seq-negatives {cfg.seq_negatives}: a pair needs another one to contrast with")
        logger.info("SEQ pools the output of layer %d of %d", layer, depth)
        self.layers = (layer,)

    @staticmethod
    def needed_streams(cfg: ContrastiveFlags) -> tuple[str, ...]:
        """Both sides."""
        return SIDES if cfg.seq_weight else ()

    def losses(self, output, sample) -> Iterator[Loss]:
        """`seq` of this rank's anchors against the candidates of all ranks, and what is logged with it.

        `seq_acc` is how often the partner ranks first; `seq_equal`, with --seq-ignore-duplicates, the number of other
        pairs with a text in common, which are no negatives.
        """
        vectors = self._sentence_vectors(output.layers[self.layers[0]], sample)
        orig, latn = (vectors.index_select(0, sample["sequence"][side]) for side in SIDES)
        most, pairs = sample["most_pairs"], torch.arange(len(orig), device=orig.device)
        differentiable = self.cfg.seq_gather == "exact"
        gathered, real = gather_rows(torch.cat([orig, latn], dim=1), most, differentiable)
        all_orig, all_latn = gathered.chunk(2, dim=1)
        own = pairs + rank_and_world()[0] * most
        anchors = torch.cat([orig, latn])
        if real is not None and not differentiable:
            # as released: every rank takes the mean over all anchors, and only its own rows carry a gradient
            own = real.nonzero().squeeze(1)
            anchors = torch.cat([all_orig[own], all_latn[own]])
        equal, figures = None, {}
        if self.cfg.seq_ignore_duplicates:
            # integers, which a float would not hold, so they travel apart from the vectors
            texts = gather_rows(sample["texts"], most, differentiable=False)[0]
            equal = pairs_with_equal_texts(texts[own], texts)
            others = equal if real is None else equal & real
            figures["seq_equal"] = others.sum(1).float().mean() - 1  # without the pair itself
        loss, figures["seq_acc"] = info_nce_of_anchors(
            anchors, all_orig, all_latn, own, real, self.cfg.seq_negatives, self.cfg.seq_temperature, equal
        )
        yield Loss("seq", self.cfg.seq_weight, loss, figures)

    def _sentence_vectors(self, hidden: Tensor, sample) -> Tensor:
        """(T, C) -> (S, C) in FP32, normalised where the similarity is the cosine."""
        starts = sample["net_input"]["cu_seqlens"][:-1]
        if self.cfg.seq_pooling == "cls":
            vectors = hidden.index_select(0, starts).float()
        else:
            vectors = packed_mean_pool(hidden, sample["content"], sample["content_sequence"], len(starts))
        return F.normalize(vectors, dim=1) if self.cfg.seq_similarity == "cosine" else vectors


def mean_pool(hidden: Tensor, keep: Tensor) -> Tensor:
    """Mean over the kept positions: hidden (B, T, C), keep (B, T) bool -> (B, C) in FP32; zeros where none is kept."""
    return packed_mean_pool(hidden.flatten(0, 1), keep.flatten().nonzero().squeeze(1), keep.nonzero()[:, 0], len(keep))


def packed_mean_pool(hidden: Tensor, rows: Tensor, sequence: Tensor, sequences: int) -> Tensor:
    """`mean_pool` over packed tokens.

    Args:
        hidden: (T, C).
        rows: (K,) the rows that are kept.
        sequence: (K,) the sequence of each kept row.
        sequences: S.

    Returns:
        (S, C) in FP32; zeros for a sequence of which no row is kept.
    """
    kept = hidden.index_select(0, rows).float()
    sums = kept.new_zeros(sequences, hidden.size(1)).index_add(0, sequence, kept)
    counts = kept.new_zeros(sequences).index_add(0, sequence, kept.new_ones(len(rows)))
    return sums / counts.clamp(min=1).unsqueeze(1)


def info_nce(orig: Tensor, latn: Tensor, temperature: float = 1.0, equal: Tensor | None = None) -> Tensor:
    """InfoNCE over the 2N vectors of N pairs, the mean over 2N anchors (equation 2 of the paper, without its sum).

    Each vector is an anchor once; its partner is the positive and every other one of the 2N - 2 is a negative.
    Dot product, in FP32; N = 1 gives 0.

    Args:
        orig, latn: (N, C); row i of one belongs to row i of the other.
        temperature: divides the similarities.
        equal: (N, N) bool, which pairs are no negatives of one another, see `pairs_with_equal_texts`; without, all are.
    """
    pairs = torch.arange(len(orig), device=orig.device)
    return info_nce_of_anchors(torch.cat([orig, latn]), orig, latn, pairs, temperature=temperature, equal=equal)[0]


def info_nce_of_anchors(
    anchors: Tensor,
    orig: Tensor,
    latn: Tensor,
    own: Tensor,
    real: Tensor | None = None,
    negatives: int | None = None,
    temperature: float = 1.0,
    equal: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """`info_nce` for the anchors of one rank against the candidates of all ranks.

    Args:
        anchors: (2n, C) the vectors of n pairs: those of `orig`, then those of `latn`.
        orig, latn: (N, C) the candidates: the pairs of all ranks, in rank order.
        own: (n,) which of the N pairs each anchor pair is.
        real: (N,) bool, which candidates are pairs and which only fill a rank's share up; without, all are.
        negatives: the real pairs are cut, in order, into groups of this many (the last may be smaller), and a pair
            contrasts within its group; without, all are one group. The mean over anchors is then the pair-weighted
            mean over the groups.
        temperature: divides the similarities.
        equal: (n, N) bool, for each anchor pair the pairs neither side of which is a negative of either of its vectors;
            what it says of an anchor's own pair has no effect. Without, every other pair is a negative.

    Returns:
        The mean over the 2n anchors, and the share of them whose partner ranks first (ties are misses; 1 without any
        negative).
    """
    total = len(orig)
    candidates = torch.cat([orig, latn]).float()
    with torch.autocast(anchors.device.type, enabled=False):  # --amp would turn this product into FP16
        scores = anchors.float() @ candidates.T / temperature
    left_out = _left_out(total, own, real, negatives, equal)
    partner = torch.cat([own + total, own])
    scores = scores.masked_fill(left_out, float("-inf"))
    loss = F.cross_entropy(scores, partner)
    with torch.no_grad():
        positive = scores.gather(1, partner.unsqueeze(1))
        hits = (scores >= positive).sum(1) == 1
    return loss, hits.float().mean()


def pairs_with_equal_texts(own: Tensor, texts: Tensor) -> Tensor:
    """Which pairs have a text in common, on either side, by the hashes of their texts.

    Args:
        own: (n, 2) the hashes of the two sides of n pairs.
        texts: (N, 2) those of the pairs to compare with.

    Returns:
        (n, N) bool.
    """
    return (own[:, :, None, None] == texts.T).flatten(1, 2).any(1)


def _left_out(
    total: int, own: Tensor, real: Tensor | None, negatives: int | None, equal: Tensor | None = None
) -> Tensor:
    """(2n, 2N) bool: no anchor contrasts with itself, with what fills up, with another group, or with its equals."""
    columns = torch.arange(total, device=own.device)
    elsewhere = torch.zeros(len(own), total, dtype=torch.bool, device=own.device)
    if real is not None:
        elsewhere |= ~real
    if negatives is not None:
        place = columns if real is None else real.cumsum(0) - 1
        group = place // negatives
        elsewhere |= group[own].unsqueeze(1) != group
    at_home = own.unsqueeze(1) == columns
    if equal is not None:
        elsewhere |= equal & ~at_home  # the partner of an anchor stays its positive
    itself = elsewhere | at_home
    return torch.cat([torch.cat([itself, elsewhere], 1), torch.cat([elsewhere, itself], 1)])
