"""The losses as pure functions on tensors: masked LM, pooling and the contrastive term of PPA (arXiv 2406.19759)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ppa_plugin.model.linear_cross_entropy import linear_cross_entropy


def masked_lm_loss(hidden: Tensor, targets: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Mean cross-entropy of the masked positions, the softmax in FP32.

    Args:
        hidden: (M, C), after the head's dense layer, GELU and LayerNorm.
        targets: (M,) the tokens that stood there.
        weight: (V, C) the output projection, tied to the embedding.
        bias: (V,).

    Returns:
        A scalar; 0 with zero gradient where M = 0.
    """
    return linear_cross_entropy(hidden, targets, weight, bias)[0]


def mean_pool(hidden: Tensor, keep: Tensor) -> Tensor:
    """Mean over the kept positions: hidden (B, T, C), keep (B, T) bool -> (B, C) in FP32; zeros where none is kept."""
    keep = keep.unsqueeze(-1)
    return (hidden.float() * keep).sum(1) / keep.sum(1).clamp(min=1)


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
