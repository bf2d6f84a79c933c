"""Gathering with gradients across ranks."""

import torch
import torch.distributed as dist
from torch import Tensor


def rank_and_world() -> tuple[int, int]:
    """(rank, number of ranks); (0, 1) where nothing is initialised."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def gather_rows(rows: Tensor, counts: list[int], differentiable: bool = True) -> Tensor:
    """The rows of all ranks, in rank order: (counts[rank], C) -> (sum(counts), C).

    Args:
        rows: this rank's rows.
        counts: how many rows each rank holds, from `gather_counts`; ranks may differ.
        differentiable: gradients flow to the ranks that own the rows (summed over ranks). Otherwise the others'
            rows are constants and only this rank's slice carries a gradient, as in the released code.
    """
    if len(counts) == 1:
        return rows
    gathered = _GatherRows.apply(rows, counts)
    if differentiable:
        return gathered
    rank, _ = rank_and_world()
    start = sum(counts[:rank])
    gathered = gathered.detach()
    return torch.cat([gathered[:start], rows, gathered[start + counts[rank] :]])


def gather_counts(count: int, device: torch.device) -> list[int]:
    """How many rows each rank holds, in rank order."""
    _, world = rank_and_world()
    if world == 1:
        return [count]
    counts = [torch.zeros(1, dtype=torch.long, device=device) for _ in range(world)]
    dist.all_gather(counts, torch.tensor([count], device=device))
    return torch.cat(counts).tolist()


class _GatherRows(torch.autograd.Function):
    """all_gather of ragged rows whose backward sums, over ranks, the gradient of each rank's slice."""

    @staticmethod
    def forward(ctx, rows: Tensor, counts: list[int]) -> Tensor:
        ctx.counts = counts
        padded = rows.new_zeros(max(counts), *rows.shape[1:])
        padded[: len(rows)] = rows
        blocks = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(blocks, padded)
        return torch.cat([block[:count] for block, count in zip(blocks, counts, strict=True)])

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        gradient = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(gradient)
        rank = dist.get_rank()
        start = sum(ctx.counts[:rank])
        return gradient[start : start + ctx.counts[rank]], None
