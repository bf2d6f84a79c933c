"""Cross-entropy after a projection onto a large vocabulary, without FP32 logits, in one pass over the vocabulary.

With V = 401,145 entries the logits of a micro-batch are its largest tensor, and the projection a third of all
arithmetic. Here the vocabulary is cut into chunks: each chunk's logits (M x V') are made, reduced in FP32 and either
kept in the model's precision, in which the backward turns them into their own gradient, or, where all of them would not
fit the budget, made again. The plain form holds them three times over in FP32.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ppa_plugin.model.tied_embedding import TiedGradient

# Entries a chunk: small enough that its FP32 copy is a small part of memory, large enough for full-speed products.
CHUNK = 8192
# On a GPU a chunk has at least as many logits: few rows in small chunks would spend the time on launching kernels.
GPU_LOGITS = 1 << 25
# Logits of all chunks are kept up to this many bytes; on a GPU, up to this share of its memory.
_KEPT_BYTES = 2 << 30
KEPT_SHARE = 1 / 8


def linear_cross_entropy(
    hidden: Tensor,
    targets: Tensor,
    weight: Tensor,
    bias: Tensor,
    counts: list[int] | None = None,
    tied: TiedGradient | None = None,
    entries: int | None = None,
) -> Tensor:
    """Mean cross-entropy of each of consecutive segments of rows, the softmax in FP32.

    Args:
        hidden: (M, C).
        targets: (M,) indices below V, or below `entries`.
        weight, bias: (V, C), (V,).
        counts: rows of each segment, adding up to M; without, all are one.
        tied: takes the gradient of `weight`, which then has none of its own here.
        entries: the rows of `weight` that can be predicted, the first ones; the others are padding and get a gradient
            of zero. Without, all are.

    Returns:
        (len(counts),) in FP32; 0 with zero gradient for a segment without rows.
    """
    counts = [len(targets)] if counts is None else counts
    if torch.is_autocast_enabled(hidden.device.type):
        hidden = hidden.to(torch.get_autocast_dtype(hidden.device.type))
    with torch.autocast(hidden.device.type, enabled=False):
        entries = len(weight) if entries is None else entries
        return _LinearCrossEntropy.apply(hidden, targets, weight, bias, tuple(counts), tied, entries)


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
        wide = torch.promote_types(hidden.dtype, torch.float32)
        parts, picked = [], hidden.new_zeros(len(hidden), 1, dtype=wide)
        for chunk in _chunks(targets, entries):
            logits = _logits(hidden, weight, bias, chunk)
            full = logits.to(wide)
            parts.append(full.logsumexp(1, keepdim=True))
            picked += full.gather(1, chunk.local) * chunk.inside
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
            of_logits = logits.to(normaliser.dtype).sub_(normaliser).exp_().mul_(scale)
            of_logits.scatter_add_(1, chunk.local, -scale * chunk.inside)
            rows = slice(chunk.start, chunk.stop)
            of_bias[rows] = of_logits.sum(0)
            of_hidden += of_logits.to(hidden.dtype) @ weight[rows].to(hidden.dtype)
            if of_weight is not None:
                _set_product(of_weight[rows], of_logits.to(hidden.dtype).T, hidden)
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
