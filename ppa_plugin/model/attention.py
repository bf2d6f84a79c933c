"""Self-attention over packed sequences: torch's scaled_dot_product_attention over runs of similar length."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

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
    # for unequal lengths: where each token goes in the padded (sequences x longest), and which positions are real
    slots: Tensor | None
    real: Tensor | None


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


def find_runs(lengths: np.ndarray, device: torch.device) -> list[Run]:
    """The runs of packed sequences of `lengths` (S,), with what padding them takes on the device."""
    runs, token = [], 0
    for first, last in cut_into_runs(lengths):
        inside = lengths[first:last]
        longest, end = int(inside.max()), token + int(inside.sum())
        slots = real = None
        if inside.min() != longest:
            keep = np.arange(longest) < inside[:, None]
            slots = torch.from_numpy(np.flatnonzero(keep)).to(device, non_blocking=True)
            real = torch.from_numpy(keep).to(device, non_blocking=True)
        runs.append(Run(token, end, last - first, longest, slots, real))
        token = end
    return runs


def padded_share(lengths: np.ndarray) -> float:
    """The share of the positions that attention computes which are padding; the rest of the model sees none."""
    positions = sum((last - first) * int(lengths[first:last].max()) for first, last in cut_into_runs(lengths))
    return 1.0 - float(lengths.sum()) / positions


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

    def forward(self, hidden: Tensor, runs: list[Run]) -> Tensor:
        """hidden (T, C) -> (T, C)."""
        weight = torch.cat([self.q_proj.weight, self.k_proj.weight, self.v_proj.weight])
        bias = torch.cat([self.q_proj.bias, self.k_proj.bias, self.v_proj.bias])
        projected = F.linear(hidden, weight, bias)
        attended = [self._attend(projected[run.first_token : run.last_token], run) for run in runs]
        return self.out_proj(torch.cat(attended))

    def _attend(self, projected: Tensor, run: Run) -> Tensor:
        """One run's queries, keys and values (t, 3C) -> (t, C)."""
        positions = run.sequences * run.longest
        if run.slots is not None:
            projected = projected.new_zeros(positions, projected.size(1)).index_copy(0, run.slots, projected)
        heads = projected.view(run.sequences, run.longest, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(
            heads[0],
            heads[1],
            heads[2],
            attn_mask=None if run.real is None else run.real[:, None, None, :],
            dropout_p=self.dropout if self.training else 0.0,
        )
        attended = attended.transpose(1, 2).reshape(positions, -1)
        return attended if run.slots is None else attended.index_select(0, run.slots)
