"""Rotary positions (Su et al. 2021): queries and keys turned by angles that grow with their places."""

from typing import Any

import torch
from torch import Tensor, nn

from ppa_plugin.commandline import Range, UserError
from ppa_plugin.model.attention import KERNELS, Packing

THETAS = Range(1, 1e12)


class Rotation:
    """The angles of T positions for heads of width D: `cos` and `sin` (T, 1, D / 2), in FP32.

    Position p turns pair i by p / factor / theta^(2i / D).
    """

    def __init__(self, positions: Tensor, width: int, theta: float, factor: float = 1.0):
        halves = torch.arange(0, width, 2, dtype=torch.float32, device=positions.device) / width
        angles = positions.float()[:, None] * (1.0 / theta**halves / factor)
        self.cos, self.sin = angles.cos()[:, None], angles.sin()[:, None]

    def __call__(self, projected: Tensor) -> Tensor:
        """Rotate queries and keys of (T, 3, H, D), pairs of their elements i and i + D / 2."""
        turned, value = projected[:, :2], projected[:, 2:]
        one, other = turned.float().chunk(2, dim=-1)
        cos, sin = self.cos[:, None], self.sin[:, None]
        rotated = torch.cat([one * cos - other * sin, other * cos + one * sin], dim=-1)
        return torch.cat([rotated.to(projected.dtype), value], dim=1)


class PackedRotaryAttention(nn.Module):
    """Multi-head self-attention of every packed sequence with itself, queries and keys rotated by their positions."""

    def __init__(self, embed_dim: int, heads: int, dropout: float, bias: bool):
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.qkv_proj = nn.Linear(embed_dim, 3 * embed_dim, bias=bias)
        self.out_proj = nn.Linear(embed_dim, embed_dim, bias=bias)

    def forward(self, hidden: Tensor, packing: Packing, rotation: Rotation, rows: Tensor | None = None) -> Tensor:
        """hidden (T, C) -> (T, C), or (M, C) for the M `rows` that are wanted."""
        projected = rotation(self.qkv_proj(hidden).unflatten(1, (3, self.heads, -1)))
        attended = KERNELS[packing.kernel](projected, packing, self.dropout if self.training else 0.0).flatten(1)
        return self.out_proj(attended if rows is None else attended.index_select(0, rows))


def check_heads(config: Any) -> None:
    """Raise `UserError` where the heads that the flags give a model have no pairs to turn."""
    if config.encoder_embed_dim // config.encoder_attention_heads % 2:
        raise UserError(
            f"--encoder-embed-dim {config.encoder_embed_dim} and --encoder-attention-heads "
            f"{config.encoder_attention_heads}: rotary positions turn pairs, a head cannot be of odd width"
        )
