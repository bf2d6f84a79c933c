"""The arithmetic that an update needs, and what the machine could do in that time."""

import time

import numpy as np
import torch

# sides of the square matrices whose product is timed: large enough for the device's own rate, over in a moment
_PEAK_SIZE = {"cuda": 8192, "cpu": 1024}
_PEAK_ROUNDS = 5


def estimate_flops(
    layers: int, embed_dim: int, ffn_dim: int, vocabulary: int, lengths: np.ndarray, masked: int, narrow_top: bool
) -> int:
    """Floating-point operations of one forward and backward over packed sequences; a multiply-add is two.

    Only matrix products count, as is the custom for the model-FLOP utilisation (Chowdhery et al. 2022, appendix B):

        3 x [ sum over blocks of (2 (4 C^2 + 2 C F) T + 4 C sum(t^2)) + 2 (C^2 + C V) M ]

    three because the backward has two products for each one of the forward, T real tokens in sequences of t, M masked
    ones. With `narrow_top`, the output projection and the feed-forward layers of the last block see M rows, not T.
    Work done twice, or done on padding, is not counted: it is not what the objective asks for.

    Args:
        layers: blocks that run.
        embed_dim, ffn_dim, vocabulary: C, F and V.
        lengths: (S,) real tokens of each sequence.
        masked: M, the rows that the head sees.
        narrow_top: whether the last block's result is needed at the masked positions alone.
    """
    tokens, squares = int(lengths.sum()), int(np.square(lengths.astype(np.int64)).sum())
    after_attention = 2 * (embed_dim * embed_dim + 2 * embed_dim * ffn_dim)
    block = (6 * embed_dim * embed_dim + after_attention) * tokens + 4 * embed_dim * squares
    spared = after_attention * (tokens - masked) if narrow_top and layers else 0
    head = 2 * (embed_dim * embed_dim + embed_dim * vocabulary) * masked
    return 3 * (layers * block - spared + head)


def measure_peak(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of the device's matrix product at this precision: the best of a few large square ones.

    On a CPU it is that of FP32 whatever is asked for: half precision is slower there.
    """
    dtype = torch.float32 if device.type == "cpu" else dtype
    size = _PEAK_SIZE.get(device.type, 1024)
    # its own generator: a training that resumes must meet the same random numbers as one that did not stop
    generator = torch.Generator(device).manual_seed(0)
    one, other = (torch.randn(size, size, device=device, generator=generator).to(dtype) for _ in range(2))
    best = float("inf")
    for _ in range(_PEAK_ROUNDS + 1):  # the first one warms up
        _synchronize(device)
        start = time.perf_counter()
        torch.mm(one, other)
        _synchronize(device)
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
