"""TOK: blocks of tokens and their romanizations, which the romanizer's edges align, brought together; beyond the paper.

A block is some consecutive tokens of a sentence and those of its romanization that they became
(`ppa_plugin.data.blocks`). Each of its two vectors is the mean of its tokens' outputs in the masked forward.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Optional

import torch
import torch.nn.functional as F
from fairseq.dataclass import ChoiceEnum
from torch import Tensor

from ppa_plugin.commandline import Range, UserError, setting
from ppa_plugin.data.bounds import BLOCK_GROUP
from ppa_plugin.data.masking import SIDES
from ppa_plugin.model.sizes import default_layer
from ppa_plugin.objectives.contrastive import packed_mean_pool
from ppa_plugin.objectives.term import WEIGHT, Loss

logger = logging.getLogger(__name__)


@dataclass
class TokenAlignmentFlags:
    """The flags of TOK; off by default, as in the paper."""

    tok_weight: float = setting(
        0.0, "weight of explicit token alignment, on shards made with `alignment: true`; 0 leaves it out", WEIGHT
    )
    tok_layer: Optional[int] = setting(
        None, "block whose output is pooled for TOK (default: that of SEQ)", Range(0, 1000, whole=True)
    )
    tok_loss: ChoiceEnum(["contrastive", "l2"]) = setting(
        "contrastive",
        "InfoNCE between the two vectors of each block of tokens, or their mean squared distance (Cao et al. 2020)",
    )
    tok_negatives: int = setting(
        BLOCK_GROUP,
        "blocks contrast within consecutive groups of this many pairs of their rank; with batches of a multiple of it, "
        "training is the same on any number of ranks",
        Range(1, 4096, whole=True),
    )


class TokenAlignment:
    """L_TOK: InfoNCE between the two vectors of each block, the candidates those of the pairs beside it."""

    flags = TokenAlignmentFlags
    decided_by = ("tok_weight",)
    logged = ("tok", "tok_acc", "tok_blocks")
    logged_over: ClassVar[dict[str, str]] = {"tok_acc": "tok_blocks"}
    masked_streams = ()

    def __init__(self, cfg, depth: int):
        self.cfg = cfg
        self.streams = self.needed_streams(cfg)
        self.layers = ()
        if not self.streams:
            return
        layer = next((k for k in (cfg.tok_layer, cfg.seq_layer) if k is not None), default_layer(depth))
        if not 0 <= layer <= depth:
            raise UserError(f"--tok-layer {layer} is beyond the model's depth, {depth} blocks")
        logger.info("TOK (%s) pools the output of layer %d of %d", cfg.tok_loss, layer, depth)
        self.layers = (layer,)

    @staticmethod
    def needed_streams(cfg) -> tuple[str, ...]:
        """Both sides."""
        return SIDES if cfg.tok_weight else ()

    def losses(self, output, sample) -> Iterator[Loss]:
        """`tok`: the mean over the pairs of the mean over each pair's blocks, 0 for a pair without any.

        So it is the same on any number of ranks. `tok_acc` is how often a block's partner ranks first, over the blocks,
        and `tok_blocks` the number of blocks a pair.
        """
        blocks, counts = sample["blocks"], sample["blocks"]["counts"]
        vectors = block_vectors(output.layers[self.layers[0]], blocks["rows"], blocks["slots"], counts.shape)
        real = counts > 0
        if str(self.cfg.tok_loss) == "l2":
            losses, hits = block_distance(*vectors, real, blocks["texts"])
        else:
            losses, hits = block_info_nce(*vectors, real, blocks["texts"])
        pairs = sample["nsentences"]
        figures = {"tok_acc": (hits * real).sum() / pairs, "tok_blocks": real.sum() / pairs}
        yield Loss("tok", self.cfg.tok_weight, (losses * real / counts.clamp(min=1)).sum() / pairs, figures)


def block_vectors(hidden: Tensor, rows: Tensor, slots: Tensor, shape: tuple[int, int]) -> Tensor:
    """The mean of each block's tokens on either side.

    Args:
        hidden: (T, C) the packed tokens.
        rows: (K,) those that are in a block.
        slots: (K,) the place of each one's block among 2 x G x M: the side, the group of pairs, the block in the group.
        shape: (G, M).

    Returns:
        (2, G, M, C) in FP32, `orig` and `latn`; zeros for a place without a block.
    """
    groups, most = shape
    return packed_mean_pool(hidden, rows, slots, 2 * groups * most).view(2, groups, most, -1)


def block_info_nce(orig: Tensor, latn: Tensor, real: Tensor, texts: Tensor) -> tuple[Tensor, Tensor]:
    """`info_nce` of the blocks of each group, block by block: SEQ's equation with blocks in place of pairs.

    Each of a group's 2B vectors is an anchor once; the other one of its block is the positive, every other vector of
    the group a negative, but for those of blocks with equal tokens on either side. Dot product, in FP32.

    Args:
        orig, latn: (G, M, C).
        real: (G, M) bool, which places hold a block.
        texts: (G, M, 2) hashes of the tokens of each block's sides.

    Returns:
        The mean of both anchors' losses, and of whether the partner ranks first (ties are misses; true without any
        negative), each (G, M) in FP32; of no meaning at places without a block.
    """
    every = torch.cat([orig, latn], dim=1).float()
    with torch.autocast(every.device.type, enabled=False):
        scores = every @ every.transpose(1, 2)
    scores = scores.masked_fill(_no_negatives(real, texts), float("-inf"))
    partner = torch.arange(every.size(1), device=every.device).roll(-orig.size(1)).expand(len(every), -1)
    losses = F.cross_entropy(scores.flatten(0, 1), partner.flatten(), reduction="none")
    return _mean_of_sides(losses.view_as(partner)), _hits(scores, partner)


def block_distance(orig: Tensor, latn: Tensor, real: Tensor, texts: Tensor) -> tuple[Tensor, Tensor]:
    """The squared distance of each block's two vectors (Cao et al. 2020), and whether none is nearer.

    Arguments and results as those of `block_info_nce`; nearest of the same candidates is what has the least distance.
    """
    with torch.no_grad(), torch.autocast(orig.device.type, enabled=False):
        every = torch.cat([orig, latn], dim=1).float()
        # of |a - b|^2 what depends on the candidate, with the sign of a similarity
        scores = 2 * every @ every.transpose(1, 2) - every.square().sum(2).unsqueeze(1)
        scores = scores.masked_fill(_no_negatives(real, texts), float("-inf"))
        partner = torch.arange(every.size(1), device=every.device).roll(-orig.size(1)).expand(len(every), -1)
    return (orig.float() - latn.float()).square().sum(2), _hits(scores, partner)


def _no_negatives(real: Tensor, texts: Tensor) -> Tensor:
    """(G, 2M, 2M) bool: what an anchor does not contrast with: itself, empty places, blocks of an equal text."""
    equal = (texts.unsqueeze(2) == texts.unsqueeze(1)).any(3) | ~real.unsqueeze(1)
    itself = torch.eye(real.size(1), dtype=torch.bool, device=real.device)
    own, other = equal | itself, equal & ~itself  # of the anchor's side, which it is part of; of its partner's
    return torch.cat([torch.cat([own, other], 2), torch.cat([other, own], 2)], 1)


def _hits(scores: Tensor, partner: Tensor) -> Tensor:
    """(G, 2M, 2M), (G, 2M) -> (G, M): how many of a block's two anchors rank their partner first, halved."""
    with torch.no_grad():
        positive = scores.gather(2, partner.unsqueeze(2))
        return _mean_of_sides(((scores >= positive).sum(2) == 1).float())


def _mean_of_sides(values: Tensor) -> Tensor:
    """(G, 2M) -> (G, M)."""
    return torch.stack(values.chunk(2, dim=1)).mean(0)
