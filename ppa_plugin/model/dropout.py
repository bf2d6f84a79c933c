"""Dropout, with masks that a CPU makes quickly and keeps in a byte an element."""

import torch
import torch.nn.functional as F
from torch import Tensor

_STEPS = 1 << 16  # an element is dropped by 16 random bits: p is met to 1/65,536


def dropout(hidden: Tensor, probability: float, training: bool) -> Tensor:
    """As `torch.nn.functional.dropout`, from torch's own generator.

    On a CPU torch draws a number for each element in one thread, which took a twelfth of an update, and keeps the mask
    as floats; here four elements share a draw of 64 bits and the mask is bytes. torch.compile makes numbers and masks
    of its own.
    """
    if not training or not probability:
        return hidden
    if hidden.device.type != "cpu" or torch.compiler.is_compiling():
        return F.dropout(hidden, probability)
    return _Dropout.apply(hidden, probability)


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden, probability):
        draws = torch.empty(-(-hidden.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        bits = draws.view(torch.int16)[: hidden.numel()].view(hidden.shape)
        dropped = round(probability * _STEPS)
        keep = bits >= dropped - _STEPS // 2
        ctx.scale = _STEPS / (_STEPS - dropped) if dropped < _STEPS else 0.0
        ctx.save_for_backward(keep)
        return (hidden * keep).mul_(ctx.scale)

    @staticmethod
    def backward(ctx, gradient):
        (keep,) = ctx.saved_tensors
        return (gradient * keep).mul_(ctx.scale), None
