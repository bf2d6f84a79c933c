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


def info_nce(orig: Tensor, latn: Tensor, temperature: float = 1.0) -> Tensor:
    """InfoNCE over the 2N vectors of N pairs, the mean over 2N anchors (equation 2 of the paper, without its sum).

    Each vector is an anchor once; its partner is the positive and every other one of the 2N - 2 is a negative.
    Dot product, in FP32; N = 1 gives 0.

    Args:
        orig, latn: (N, C); row i of one belongs to row i of the other.
        temperature: divides the similarities.
    """
    return info_nce_of_anchors(orig, latn, orig, latn, 0, temperature)[0]


def info_nce_of_anchors(
    orig: Tensor, latn: Tensor, all_orig: Tensor, all_latn: Tensor, offset: int, temperature: float = 1.0
) -> tuple[Tensor, Tensor]:
    """`info_nce` for the anchors of one rank against the candidates of all ranks.

    Args:
        orig, latn: (n, C) the anchors: this rank's pairs.
        all_orig, all_latn: (N, C) the pairs of all ranks, in rank order; the anchors' own rows start at `offset`.
        temperature: divides the similarities.

    Returns:
        The mean over the 2n anchors, and the share of them whose partner ranks first (ties are misses; 1 for N = 1).
    """
    anchors = torch.cat([orig, latn]).float()
    candidates = torch.cat([all_orig, all_latn]).float()
    n, total = len(orig), len(all_orig)
    own = offset + torch.arange(n, device=orig.device)
    own, partner = torch.cat([own, own + total]), torch.cat([own + total, own])
    with torch.autocast(anchors.device.type, enabled=False):  # --amp would turn this product into FP16
        scores = anchors @ candidates.T / temperature
    scores = scores.scatter(1, own.unsqueeze(1), float("-inf"))
    loss = F.cross_entropy(scores, partner)
    with torch.no_grad():
        positive = scores.gather(1, partner.unsqueeze(1))
        hits = (scores >= positive).sum(1) == 1
    return loss, hits.float().mean()
