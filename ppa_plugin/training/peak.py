"""What the machine could do at most, the rate of its matrix products: `mfu` is the share that training reaches."""

import time

import torch

# sides of the square matrices whose product is timed: large enough for the device's own rate, over in a moment
_PEAK_SIZE = {"cuda": 8192, "cpu": 1024}
_PEAK_ROUNDS = 5


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
