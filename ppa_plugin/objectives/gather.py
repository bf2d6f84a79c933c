"""Gathering with gradients across ranks."""

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor


def rank_and_world() -> tuple[int, int]:
    """(rank, number of ranks); (0, 1) where nothing is initialised."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def gather_rows(rows: Tensor, most: int, differentiable: bool = True) -> tuple[Tensor, Tensor | None]:
    """The rows of all ranks, in rank order: (n, C) -> (ranks x most, C), and which of them are real.

    Each rank's share is filled up to `most` rows with zeros, so that all shapes are known on the host and nothing waits
    for the device.

    Args:
        rows: this rank's rows, at most `most`; ranks may differ in how many they hold.
        most: the same number on all ranks.
        differentiable: gradients flow to the ranks that own the rows (summed over ranks). Otherwise the others'
            rows are constants and only this rank's slice carries a gradient, as in the released code.

    Returns:
        The rows, and (ranks x most,) bool; on one rank, the rows as they are and None.
    """
    rank, world = rank_and_world()
    if world == 1:
        return rows, None
    # a column of ones travels with the rows, and arrives as zeros where a share was filled up
    marked = F.pad(torch.cat([rows, rows.new_ones(len(rows), 1)], dim=1), (0, 0, 0, most - len(rows)))
    gathered = _GatherRows.apply(marked)
    if not differentiable:
        gathered = gathered.detach()
        gathered = torch.cat([gathered[: rank * most], marked, gathered[(rank + 1) * most :]])
    return gathered[:, :-1], gathered[:, -1].detach() > 0


class _GatherRows(torch.autograd.Function):
    """all_gather of equal shares whose backward sums, over ranks, the gradient of each rank's share."""

    @staticmethod
    def forward(ctx, rows: Tensor) -> Tensor:
        blocks = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
        dist.all_gather(blocks, rows.contiguous())
        return torch.cat(blocks)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        gradient = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(gradient)
        return gradient.chunk(dist.get_world_size())[dist.get_rank()]
