"""MLM and TLM: cross-entropy of the masked tokens, after a projection onto a large vocabulary without FP32 logits.

With V = 401,145 entries the logits of a micro-batch are its largest tensor, and the projection a third of all
arithmetic. Here the vocabulary is cut into chunks: each chunk's logits (M x V') are made, reduced in FP32 and either
kept in the model's precision, in which the backward turns them into their own gradient, or, where all of them would not
fit the budget, made again. The plain form holds them three times over in FP32.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

import numpy as np
import torch
from torch import Tensor

from ppa_plugin.commandline import Range, UserError, setting
from ppa_plugin.data.masking import SIDES
from ppa_plugin.model.tied_embedding import TiedGradient
from ppa_plugin.objectives.logit_passes import choose_passes, wide
from ppa_plugin.objectives.term import WEIGHT, Loss

# Entries a chunk: small enough that its FP32 copy is a small part of memory, large enough for full-speed products.
CHUNK = 8192
# On a GPU a chunk has at least as many logits: few rows in small chunks would spend the time on launching kernels.
GPU_LOGITS = 1 << 25
# Logits of all chunks are kept up to this many bytes; on a GPU, up to this share of its memory.
_KEPT_BYTES = 2 << 30
KEPT_SHARE = 1 / 8


@dataclass
class MaskedLMFlags:
    """The flags of the masked LM terms; the defaults are the paper's."""

    mlm_weight: float = setting(1.0, "weight of masked LM on each side; 0 leaves it out", WEIGHT, recipe=True)
    mlm_sides: str = setting("orig,latn", "sides with a masked LM term: orig,latn or one of them")
    mlm_group: Optional[int] = setting(
        None,
        "masked LM and TLM are the mean over consecutive groups of this many pairs of each group's mean, "
        "as if each group were a micro-batch (default: all pairs of the micro-batch)",
        Range(1, whole=True),
    )
    tlm_weight: float = setting(
        1.0, "weight of masked LM on the concatenated pair; 0 leaves it out", WEIGHT, recipe=True
    )


class MaskedLM:
    """L_MLM(orig) + L_MLM(latn) and L_TLM (arXiv 2406.19759, section 3): one loss a stream, all in one projection."""

    flags = MaskedLMFlags
    decided_by = ("mlm_weight", "mlm_sides", "tlm_weight")
    logged = ("mlm_orig", "mlm_latn", "tlm")
    layers = ()

    def __init__(self, cfg: MaskedLMFlags, depth: int):
        self.streams = self.needed_streams(cfg)
        self.masked_streams = self.streams
        self._group = cfg.mlm_group
        self._weights = {stream: cfg.tlm_weight if stream == "tlm" else cfg.mlm_weight for stream in self.streams}

    @staticmethod
    def needed_streams(cfg: MaskedLMFlags) -> tuple[str, ...]:
        """The sides of --mlm-sides, and the concatenated pair. Raises `UserError` for a side that is none."""
        sides = parse_sides(cfg.mlm_sides) if cfg.mlm_weight else ()
        return (*sides, "tlm") if cfg.tlm_weight else sides

    def losses(self, output, sample) -> Iterator[Loss]:
        """The mean cross-entropy of each stream's masked positions; see `Term.losses`.

        With --mlm-group the mean over groups of pairs, each weighted by its pairs, of the mean over its positions: what
        accumulating micro-batches of that many pairs comes to.
        """
        masked = [sample["masked"][stream] for stream in self.streams]
        pairs = sample["nsentences"]
        firsts = np.arange(0, pairs, self._group or pairs)
        counts = [np.add.reduceat(m["counts"], firsts) for m in masked]
        # one pass over the vocabulary for all of them
        means = masked_lm_loss(
            output.head,
            torch.cat([m["targets"] for m in masked]),
            output.weight,
            output.bias,
            np.concatenate(counts).tolist(),
            output.tied,
            output.entries,
        )
        means = means.view(len(masked), -1)
        # plain numbers: a tensor of shares would be copied to the device, for which the host would wait
        whole, last = (self._group or pairs) / pairs, (pairs - int(firsts[-1])) / pairs
        means = means[:, :-1].sum(1) * whole + means[:, -1] * last
        for stream, mean in zip(self.streams, means.unbind(), strict=True):
            yield Loss("tlm" if stream == "tlm" else f"mlm_{stream}", self._weights[stream], mean, {})


def parse_sides(text: str) -> tuple[str, ...]:
    """The sides named by `--mlm-sides`, in the order of `SIDES`; raises `UserError` for anything else."""
    named = text.split(",")
    if not set(named) <= set(SIDES):
        raise UserError(f"--mlm-sides {text}: the sides are orig and latn, separated by a comma")
    return tuple(side for side in SIDES if side in named)


def masked_lm_loss(
    hidden: Tensor,
    targets: Tensor,
    weight: Tensor,
    bias: Tensor,
    counts: list[int] | None = None,
    tied: TiedGradient | None = None,
    entries: int | None = None,
) -> Tensor:
    """Mean cross-entropy of the masked positions, the softmax in FP32: of all, or of consecutive segments of them.

    Args:
        hidden: (M, C), after the head's dense layer, GELU and LayerNorm.
        targets: (M,) the tokens that stood there, below V, or below `entries`.
        weight: (V, C) the output projection, tied to the embedding.
        bias: (V,).
        counts: rows of each segment, adding up to M; without, all are one.
        tied: takes the gradient of `weight`, which then has none of its own here.
        entries: the rows of `weight` that can be predicted, the first ones; the others are padding and get a gradient
            of zero. Without, all are.

    Returns:
        In FP32 a scalar, with `counts` (len(counts),); 0 with zero gradient where there are no rows.
    """
    if torch.is_autocast_enabled(hidden.device.type):
        hidden = hidden.to(torch.get_autocast_dtype(hidden.device.type))
    with torch.autocast(hidden.device.type, enabled=False):
        entries = len(weight) if entries is None else entries
        segments = (len(targets),) if counts is None else tuple(counts)
        means = _LinearCrossEntropy.apply(hidden, targets, weight, bias, segments, tied, entries)
    return means[0] if counts is None else means


@dataclass
class _Chunk:
    """One slice of the vocabulary: where it lies, and which rows have their target in it."""

    start: int
    stop: int
    local: Tensor  # (M, 1) the target's place in the slice, 0 for a target elsewhere
    inside: Tensor  # (M, 1)


def chunk_entries(rows: int, on_gpu: bool) -> int:
    """Entries of the vocabulary a chunk."""
    return max(CHUNK, GPU_LOGITS // max(rows, 1)) if on_gpu else CHUNK


def _chunks(targets: Tensor, vocabulary: int) -> Iterator[_Chunk]:
    entries = chunk_entries(len(targets), targets.is_cuda)
    for start in range(0, vocabulary, entries):
        stop = min(start + entries, vocabulary)
        local = (targets - start).unsqueeze(1)
        inside = (local >= 0) & (local < stop - start)
        yield _Chunk(start, stop, local * inside, inside)


def _logits(hidden: Tensor, weight: Tensor, bias: Tensor, chunk: _Chunk) -> Tensor:
    rows = slice(chunk.start, chunk.stop)
    return torch.addmm(bias[rows].to(hidden.dtype), hidden, weight[rows].to(hidden.dtype).T)


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden, targets, weight, bias, counts, tied, entries):
        ctx.counts, ctx.tied, ctx.entries = counts, tied, entries
        keep = len(hidden) * entries * hidden.element_size() <= _budget(hidden.device)
        ctx.kept = [] if keep and any(ctx.needs_input_grad) else None
        passes = ctx.passes = choose_passes(hidden.device, hidden.dtype, len(hidden))
        parts, picked = [], hidden.new_zeros(len(hidden), 1, dtype=wide(hidden.dtype))
        for chunk in _chunks(targets, entries):
            logits = _logits(hidden, weight, bias, chunk)
            normaliser_of_chunk, at_target = passes.reduce(logits, chunk.local, chunk.inside)
            parts.append(normaliser_of_chunk)
            picked += at_target
            if ctx.kept is not None:
                ctx.kept.append(logits)
        normaliser = torch.cat(parts, dim=1).logsumexp(1, keepdim=True)
        ctx.save_for_backward(hidden, targets, weight, bias, normaliser)
        losses = (normaliser - picked).squeeze(1).split(counts)
        return torch.stack([loss.sum() / max(len(loss), 1) for loss in losses])

    @staticmethod
    def backward(ctx, gradient):
        hidden, targets, weight, bias, normaliser = ctx.saved_tensors
        # d loss / d logits = (softmax - one-hot) x the segment's gradient / its rows
        scales = [(g / max(n, 1)).expand(n) for g, n in zip(gradient.unbind(), ctx.counts, strict=True)]
        scale = torch.cat(scales).unsqueeze(1)
        of_hidden = torch.zeros_like(hidden, dtype=normaliser.dtype)
        of_weight = torch.empty_like(weight) if ctx.needs_input_grad[2] else None
        of_bias = torch.empty_like(bias)
        for of_padding in (of_weight, of_bias):
            if of_padding is not None:
                of_padding[ctx.entries :] = 0
        kept, ctx.kept = ctx.kept, None  # a second backward, if there is one, makes them again
        for number, chunk in enumerate(_chunks(targets, ctx.entries)):
            logits = _logits(hidden, weight, bias, chunk) if kept is None else kept[number]
            if kept is not None:
                kept[number] = None
            rows = slice(chunk.start, chunk.stop)
            of_logits, of_bias[rows] = ctx.passes.differentiate(logits, chunk.local, chunk.inside, normaliser, scale)
            of_hidden += of_logits @ weight[rows].to(hidden.dtype)
            if of_weight is not None:
                _set_product(of_weight[rows], of_logits.T, hidden)
        if ctx.tied is not None:
            ctx.tied.of_projection, of_weight = of_weight, None
        return of_hidden.to(hidden.dtype), None, of_weight, of_bias, None, None, None


def _set_product(target: Tensor, one: Tensor, other: Tensor) -> None:
    """target = one @ other, in place where the precisions allow it."""
    if one.dtype == target.dtype:
        torch.mm(one, other, out=target)
    else:
        target.copy_(one @ other)


def _budget(device: torch.device) -> float:
    if device.type != "cuda":
        return _KEPT_BYTES
    return torch.cuda.get_device_properties(device).total_memory * KEPT_SHARE
