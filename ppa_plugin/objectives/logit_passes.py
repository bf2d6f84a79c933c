"""The two passes over a chunk's logits: to what the loss reads of them, and to their gradient.

Written out, the second is a copy in FP32, a subtraction, an exponential, a product, a scatter, a copy in half precision
and a sum: with the first, half of an update's time at 256 pairs on an H100. There torch.compile makes one kernel of
each, which reads the logits once and, the second, writes their gradient in their place. Sizes are symbols to it: it
compiles twice in all and not for every micro-batch. What cannot be compiled runs written out, and the log says so.
"""

import functools
import logging
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ppa_plugin.files import reason

logger = logging.getLogger(__name__)

# rows and entries that the passes are first compiled for and tried on: kernels are laid out for such sizes
_TRIAL = (4096, 8192)


class Passes(NamedTuple):
    """Both passes, over logits (M, V') in any precision, where `local` (M, 1) is the target's place in the chunk, 0 for
    a target elsewhere, and `inside` (M, 1) says whether it is there.

    * reduce(logits, local, inside): log-sum-exp (M, 1) and the target's logit (M, 1), 0 for one elsewhere.
    * differentiate(logits, local, inside, normaliser, scale): (softmax - one-hot) x scale, (M, V') in the precision of
      the logits, which are no longer what they were, and its sum over the rows (V',); `normaliser` (M, 1) is the
      log-sum-exp over the whole vocabulary, `scale` (M, 1) what the loss's gradient is of each row's.

    Softmax and sums are in FP32, or in the precision of the logits where that is wider.
    """

    reduce: Callable[..., tuple[Tensor, Tensor]]
    differentiate: Callable[..., tuple[Tensor, Tensor]]


def wide(dtype: torch.dtype) -> torch.dtype:
    """The precision of softmax and sums."""
    return torch.promote_types(dtype, torch.float32)


def choose_passes(device: torch.device, dtype: torch.dtype, rows: int) -> Passes:
    """Compiled passes on a GPU, those written out elsewhere and for fewer than two rows, a size that is no symbol."""
    return _fastest(device, dtype) if device.type == "cuda" and rows > 1 else WRITTEN_OUT


def _reduce(logits: Tensor, local: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
    full = logits.to(wide(logits.dtype))
    return full.logsumexp(1, keepdim=True), full.gather(1, local) * inside


def _differentiate(logits, local, inside, normaliser, scale) -> tuple[Tensor, Tensor]:
    of_logits = logits.to(normaliser.dtype).sub_(normaliser).exp_().mul_(scale)
    of_logits.scatter_add_(1, local, -scale * inside)
    return of_logits.to(logits.dtype), of_logits.sum(0)


def _differentiate_in_place(logits, local, inside, normaliser, scale) -> Tensor:
    """The same without a scatter, which would be a kernel of its own; returns the sum over the rows."""
    at_target = (torch.arange(logits.size(1), device=logits.device) == local) & inside
    of_logits = ((logits.to(normaliser.dtype) - normaliser).exp() - at_target.to(normaliser.dtype)) * scale
    logits.copy_(of_logits)
    return of_logits.sum(0)


WRITTEN_OUT = Passes(_reduce, _differentiate)


@functools.cache
def compiled_passes() -> Passes:
    """Both passes, compiled when they are first called; the second turns the logits into their gradient in place."""
    reduce, in_place = (torch.compile(f, dynamic=True, fullgraph=True) for f in (_reduce, _differentiate_in_place))

    def differentiate(logits, local, inside, normaliser, scale):
        return logits, in_place(logits, local, inside, normaliser, scale)

    return Passes(reduce, differentiate)


@functools.cache
def _fastest(device: torch.device, dtype: torch.dtype) -> Passes:
    failure = _failure(compiled_passes(), device, dtype, _TRIAL)
    if failure is None:
        return compiled_passes()
    logger.warning("head: torch.compile cannot make its kernels here (%s); what takes longer runs", failure)
    return WRITTEN_OUT


def _failure(passes: Passes, device: torch.device, dtype: torch.dtype, sizes: tuple[int, int]) -> str | None:
    """Why the passes do not run on logits of these sizes, or differ from those written out; None where they agree."""
    generator = torch.Generator(device).manual_seed(0)
    logits = torch.randn(sizes, device=device, generator=generator).to(dtype)
    targets = torch.randint(2 * sizes[1], (sizes[0], 1), device=device, generator=generator)
    inside = targets < sizes[1]
    scale = torch.ones(len(logits), 1, device=device, dtype=wide(dtype))
    try:
        with torch.no_grad():
            found, expected = (
                _both(some, logits.clone(), targets * inside, inside, scale) for some in (passes, WRITTEN_OUT)
            )
            torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-2)
    except Exception as error:  # the compiler has errors of its own, and those of whatever it calls
        return reason(error)
    return None


def _both(passes: Passes, logits: Tensor, local: Tensor, inside: Tensor, scale: Tensor) -> tuple[Tensor, ...]:
    normaliser, picked = passes.reduce(logits, local, inside)
    return normaliser, picked, *passes.differentiate(logits, local, inside, normaliser, scale)
