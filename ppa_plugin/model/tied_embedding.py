"""The lookup of an embedding that is the output projection too, with one gradient for both uses."""

import torch
import torch.nn.functional as F
from torch import Tensor


class TiedGradient:
    """Where the projection's backward leaves its gradient of the shared weight (V, C) for the lookup's to complete.

    The lookup comes first in the forward, so its backward comes last: it adds its few rows to what the projection left.
    Neither a second dense gradient, 1.2 GB for Glot500, nor the sum of two is ever made. One object serves one forward.
    """

    def __init__(self) -> None:
        self.of_projection: Tensor | None = None


def look_up(weight: Tensor, tokens: Tensor, tied: TiedGradient | None) -> Tensor:
    """Rows of `weight` (V, C) for `tokens` (T,) -> (T, C); with `tied`, the gradient is that of both uses."""
    if tied is None or not weight.requires_grad or not torch.is_grad_enabled():
        return F.embedding(tokens, weight)
    return _LookUp.apply(weight, tokens, tied)


class _LookUp(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weight, tokens, tied):
        ctx.tied, ctx.like = tied, weight
        ctx.save_for_backward(tokens)
        return F.embedding(tokens, weight)

    @staticmethod
    def backward(ctx, gradient):
        (tokens,) = ctx.saved_tensors
        total, ctx.tied.of_projection = ctx.tied.of_projection, None
        if total is None:
            total = torch.zeros_like(ctx.like)
        if gradient.dtype == torch.float32:
            return total.index_add_(0, tokens, gradient.to(total.dtype)), None, None
        # In half precision a frequent token's rows are added up in FP32, at the place where its run begins among the
        # sorted tokens, and rounded once; the other places hold zeros. Nothing here waits for the device.
        order = tokens.sort().values
        first = torch.searchsorted(order, tokens)
        sums = torch.zeros(gradient.shape, dtype=torch.float32, device=gradient.device)
        sums.index_add_(0, first, gradient.float())
        return total.index_add_(0, order, sums.to(total.dtype)), None, None
