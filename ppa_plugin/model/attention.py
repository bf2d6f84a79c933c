"""Self-attention over packed sequences, by a kernel for sequences of any length or over runs of similar length.

* `flash`: torch's own variable-length flash kernel, called on the packed tensors; half precision on a GPU. The operator
  has no public name with dropout: `torch.nn.attention.varlen` has none, and nested tensors, which end in the same
  kernel, cost some 11 ms of host time a block on an H100.
* `efficient`: its memory-efficient kernel, likewise; any precision on a GPU.
* `nested`: scaled_dot_product_attention over jagged nested tensors.
* `flash-attn`: the library of that name, where it is installed; half precision on a GPU only.
* `runs`: scaled_dot_product_attention over runs of neighbours of similar length, padded to the run's longest.

A window, where a family's blocks have one, is an argument of the kernels in `WINDOWED` (`Packing.window`) and a mask in
`runs`, which attends in the place of any other kernel.
"""

import functools
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ppa_plugin.files import reason

logger = logging.getLogger(__name__)

_flash_attention = torch.ops.aten._flash_attention_forward
_efficient_attention = torch.ops.aten._efficient_attention_forward

# A sequence joins the run before it while it is at least this share of the run's longest: at most 1/8 of a run's
# positions can then be padding, and text sorted by length falls into a handful of runs.
_SIMILAR = 0.875


@dataclass(frozen=True)
class Run:
    """Consecutive sequences of similar length, which attend in one padded call."""

    first_token: int
    last_token: int
    sequences: int
    longest: int
    # for unequal lengths: where each token goes in the padded (sequences x longest)
    slots: Tensor | None
    # for unequal lengths or a window: what attends to what, as scaled_dot_product_attention takes it
    mask: Tensor | None


def cut_into_runs(lengths: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield the bounds [first, last) of runs of neighbouring sequences of similar length; lengths (S,), on the host."""
    sizes, first = lengths.tolist(), 0
    while first < len(sizes):
        shortest = longest = sizes[first]
        last = first + 1
        while last < len(sizes):
            shortest, longest = min(shortest, sizes[last]), max(longest, sizes[last])
            if shortest < longest * _SIMILAR:
                break
            last += 1
        yield first, last
        first = last


def find_runs(lengths: np.ndarray, device: torch.device, window: int | None = None) -> list[Run]:
    """The runs of packed sequences of `lengths` (S,), with what padding and a window take on the device."""
    runs, token = [], 0
    for first, last in cut_into_runs(lengths):
        inside = lengths[first:last]
        longest, end = int(inside.max()), token + int(inside.sum())
        slots = mask = None
        if inside.min() != longest:
            keep = np.arange(longest) < inside[:, None]
            slots = torch.from_numpy(np.flatnonzero(keep)).to(device, non_blocking=True)
            mask = torch.from_numpy(keep).to(device, non_blocking=True)[:, None, None, :]
        if window is not None and longest - 1 > window:
            mask = _within(window, longest, mask, device)
        runs.append(Run(token, end, last - first, longest, slots, mask))
        token = end
    return runs


def _within(window: int, longest: int, real: Tensor | None, device: torch.device) -> Tensor:
    """(S or 1, 1, longest, longest): who is at most `window` away, of the `real` (S, 1, 1, longest) alone."""
    places = torch.arange(longest, device=device)
    near = (places - places[:, None]).abs() <= window
    if real is None:
        return near[None, None]
    # what padding attends to is dropped, but it has to attend to something: a softmax of nothing is NaN, for all keys
    return real & (near | ~real.transpose(2, 3))


def padded_positions(lengths: np.ndarray) -> int:
    """The positions of the runs of sequences of `lengths` (S,), padding among them; at least as many as tokens."""
    return sum((last - first) * int(lengths[first:last].max()) for first, last in cut_into_runs(lengths))


def choose_kernel(wanted: str, device: torch.device, dtype: torch.dtype, head_width: int) -> str:
    """The name of the kernel that `wanted` means here.

    `auto` is `runs` on a CPU. On a GPU it is `flash` in half precision and `efficient` else, the next one where that
    cannot take this device, precision and width of a head, and at last `nested`; the log says so, once.
    """
    if wanted != "auto":
        return wanted
    if device.type != "cuda":
        return "runs"
    return _fastest(device, dtype, head_width)


@functools.cache
def _fastest(device: torch.device, dtype: torch.dtype, head_width: int) -> str:
    half = dtype in (torch.float16, torch.bfloat16)
    for kernel in ("flash", "efficient") if half else ("efficient",):
        failure = _failure(kernel, device, dtype, head_width)
        if failure is None:
            return kernel
        logger.warning("attention: the kernel %s cannot run here (%s); one that takes longer does", kernel, failure)
    return "nested"


def _failure(kernel: str, device: torch.device, dtype: torch.dtype, head_width: int) -> str | None:
    """Why a kernel does not run forward and backward on two small sequences; None where it does.

    Tried and not looked up: what an operator without a public name takes depends on the release of torch, on how it was
    built, and on the GPU.
    """
    lengths = np.array([3, 1])
    projected = torch.zeros(4, 3, 1, head_width, device=device, dtype=dtype, requires_grad=True)
    try:
        with torch.enable_grad(), torch.random.fork_rng([device] if device.type == "cuda" else []):
            KERNELS[kernel](projected, Packing(lengths, None, kernel, device), 0.1).sum().backward()
    except (RuntimeError, TypeError, AttributeError, NotImplementedError) as error:
        return reason(error)
    return None


class Packing:
    """How T tokens fall into S sequences, and what the kernel needs to know of it: made once for all blocks.

    Args:
        lengths: (S,) tokens of each sequence, on the host.
        cu_seqlens: (S + 1,) int32, their bounds, on the device; made here where there are none.
        kernel: one of `KERNELS`.
    """

    def __init__(self, lengths: np.ndarray, cu_seqlens: Tensor | None, kernel: str, device: torch.device):
        self.lengths = lengths
        self.kernel = kernel
        self.device = device
        if cu_seqlens is None:
            bounds = np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)
            cu_seqlens = torch.from_numpy(bounds).to(device, non_blocking=True)
        self.cu_seqlens = cu_seqlens
        self.shortest, self.longest = int(lengths.min()), int(lengths.max())
        self.window: int | None = None  # how far a token sees to either side; None for its whole sequence
        self.shared: dict[Any, Any] = {}  # what a family's blocks need of the tokens, made once for all
        self._windowed: dict[int, Packing] = {}

    def within(self, window: int | None) -> "Packing":
        """The same with a window, for a kernel that knows of windows."""
        if window is None or self.longest - 1 <= window:
            return self
        if window not in self._windowed:
            kernel = self.kernel if self.kernel in WINDOWED else "runs"
            self._windowed[window] = packing = Packing(self.lengths, self.cu_seqlens, kernel, self.device)
            packing.window = window
        return self._windowed[window]

    @cached_property
    def runs(self) -> list[Run]:
        """For the kernel `runs`."""
        return find_runs(self.lengths, self.device, self.window)

    @cached_property
    def positions(self) -> int:
        """The positions that attention computes in a block."""
        return padded_positions(self.lengths) if self.kernel == "runs" else int(self.lengths.sum())

    def padded_share(self, windows: Sequence[int | None] = (None,)) -> float:
        """The share of the positions that attention computes which are padding; the rest of the model sees none.

        `windows` are those of the blocks that ran: some of these may have fallen back to `runs`.
        """
        computed = sum(self.within(window).positions for window in windows)
        return 1.0 - len(windows) * int(self.lengths.sum()) / computed if computed else 0.0


class PackedSelfAttention(nn.Module):
    """Multi-head self-attention of every packed sequence with itself; parameter names as in fairseq and RoBERTa."""

    def __init__(self, embed_dim: int, heads: int, dropout: float):
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.q_proj = nn.Linear(embed_dim, embed_dim)
        self.k_proj = nn.Linear(embed_dim, embed_dim)
        self.v_proj = nn.Linear(embed_dim, embed_dim)
        self.out_proj = nn.Linear(embed_dim, embed_dim)

    def forward(self, hidden: Tensor, packing: Packing, rows: Tensor | None = None) -> Tensor:
        """hidden (T, C) -> (T, C), or (M, C) for the M `rows` that are wanted."""
        # 3 C^2 values joined at each step; three products would add T C values twice in the backward, which are more
        weight = torch.cat([self.q_proj.weight, self.k_proj.weight, self.v_proj.weight])
        bias = torch.cat([self.q_proj.bias, self.k_proj.bias, self.v_proj.bias])
        projected = F.linear(hidden, weight, bias).unflatten(1, (3, self.heads, -1))
        attended = KERNELS[packing.kernel](projected, packing, self.dropout if self.training else 0.0).flatten(1)
        return self.out_proj(attended if rows is None else attended.index_select(0, rows))


def _attend_runs(projected: Tensor, packing: Packing, dropout: float) -> Tensor:
    return torch.cat([_attend_run(projected[run.first_token : run.last_token], run, dropout) for run in packing.runs])


def _attend_run(projected: Tensor, run: Run, dropout: float) -> Tensor:
    """One run's queries, keys and values (t, 3, H, D) -> (t, H, D)."""
    positions = run.sequences * run.longest
    if run.slots is not None:
        padded = projected.new_zeros(positions, *projected.shape[1:])
        projected = padded.index_copy(0, run.slots, projected)
    heads = projected.unflatten(0, (run.sequences, run.longest)).permute(2, 0, 3, 1, 4)
    attended = F.scaled_dot_product_attention(*heads, attn_mask=run.mask, dropout_p=dropout)
    attended = attended.transpose(1, 2).flatten(0, 1)
    return attended if run.slots is None else attended.index_select(0, run.slots)


def _attend_flash(projected: Tensor, packing: Packing, dropout: float) -> Tensor:
    bounds, longest = packing.cu_seqlens, packing.longest
    query, key, value = projected.unbind(1)
    causal = debug = False
    window = {} if packing.window is None else dict.fromkeys(("window_size_left", "window_size_right"), packing.window)
    return _flash_attention(query, key, value, bounds, bounds, longest, longest, dropout, causal, debug, **window)[0]


def _attend_efficient(projected: Tensor, packing: Packing, dropout: float) -> Tensor:
    bounds, longest = packing.cu_seqlens, packing.longest
    query, key, value = (part.unsqueeze(0) for part in projected.unbind(1))  # one batch of all tokens
    no_bias, no_mask, for_backward = None, 0, projected.requires_grad
    return _efficient_attention(
        query, key, value, no_bias, bounds, bounds, longest, longest, dropout, no_mask, for_backward
    )[0].squeeze(0)


def _attend_nested(projected: Tensor, packing: Packing, dropout: float) -> Tensor:
    heads = [
        torch.nested.nested_tensor_from_jagged(
            part.contiguous(), packing.cu_seqlens, min_seqlen=packing.shortest, max_seqlen=packing.longest
        ).transpose(1, 2)
        for part in projected.unbind(1)
    ]
    return F.scaled_dot_product_attention(*heads, dropout_p=dropout).transpose(1, 2).values()


def _attend_flash_attn(projected: Tensor, packing: Packing, dropout: float) -> Tensor:
    from flash_attn import flash_attn_varlen_qkvpacked_func

    window = (-1, -1) if packing.window is None else (packing.window, packing.window)
    return flash_attn_varlen_qkvpacked_func(
        projected, packing.cu_seqlens, packing.longest, dropout_p=dropout, window_size=window
    )


# (T, 3, H, D) queries, keys and values, their packing and the dropout of attention weights -> (T, H, D)
KERNELS: dict[str, Callable[[Tensor, Packing, float], Tensor]] = {
    "runs": _attend_runs,
    "flash": _attend_flash,
    "efficient": _attend_efficient,
    "nested": _attend_nested,
    "flash-attn": _attend_flash_attn,
}
# those of them that look at `Packing.window`
WINDOWED = {"runs", "flash", "flash-attn"}
