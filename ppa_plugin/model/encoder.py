"""Embeddings, blocks and head over packed tokens, whatever the family: what is run, which rows of it are wanted."""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ppa_plugin.model.attention import Packing, choose_kernel
from ppa_plugin.model.tied_embedding import TiedGradient


class Encoded(NamedTuple):
    """What the blocks give: the wanted rows (M, C) of the top layer, and the wanted layers whole, each (T, C)."""

    top: Tensor | None
    layers: dict[int, Tensor]


class PackedEncoder(nn.Module):
    """Embeddings and blocks; every operation but attention touches real tokens only.

    A family's own says how tokens are embedded (`embed`), what its blocks are and what follows the last one (`finish`).
    A block of `layers` has `fc1` and `fc2`, its feed-forward layers, and is called with hidden (T, C), the packing and
    the rows that are wanted of it, (M,) or None for all: it returns (M, C) or (T, C), and keys and values see all rows.

    Args:
        attention: the kernel of attention, or `auto`.
        heads: the number of attention heads.
    """

    embed_tokens: nn.Embedding  # a row for each entry of the dictionary, and padding
    layers: nn.ModuleList
    max_positions: int  # tokens of the longest sequence, specials included

    def __init__(self, attention: str, heads: int):
        super().__init__()
        self.attention = attention
        self.heads = heads

    def embed(self, tokens: Tensor, positions: Tensor, tied: TiedGradient | None = None) -> Tensor:
        """tokens (T,), positions (T,) from 0 -> layer 0 (T, C)."""
        raise NotImplementedError

    def finish(self, hidden: Tensor) -> Tensor:
        """What follows the last block, (R, C) -> (R, C); layer L of L is its result, as of Transformers."""
        return hidden

    def above(self, layer: int) -> list[nn.Module]:
        """What layer `layer` does not depend on: the blocks above it, and what follows the last one."""
        return list(self.layers[layer:])

    @property
    def windows(self) -> list[int | None]:
        """How far each block's attention sees to either side; None for everything."""
        return [None] * len(self.layers)

    def pack(self, lengths: np.ndarray, cu_seqlens: Tensor | None, positions: Tensor) -> Packing:
        """The packing of sequences of `lengths` (S,) at `positions` (T,), for the kernel that attention uses here."""
        weight = self.embed_tokens.weight
        mixed = torch.is_autocast_enabled(weight.device.type)
        dtype = torch.get_autocast_dtype(weight.device.type) if mixed else weight.dtype
        kernel = choose_kernel(self.attention, weight.device, dtype, weight.size(1) // self.heads)
        return Packing(lengths, cu_seqlens, kernel, weight.device)

    def forward(self, hidden: Tensor, packing: Packing, wanted: Collection[int], rows: Tensor | None) -> Encoded:
        """Run the blocks up to the highest wanted layer, or all of them where rows are wanted.

        Args:
            hidden: (T, C) layer 0.
            packing: from `pack`.
            wanted: layers; k is the output of block k, 0 the embeddings.
            rows: (M,) the rows of the top layer that are wanted; the last block computes no others, unless its whole
                output is wanted. None for none.
        """
        depth = len(self.layers)
        layers = {0: hidden} if 0 in wanted else {}
        for k in range(1, (max(wanted, default=0) if rows is None else depth) + 1):
            narrow = rows if k == depth and depth not in wanted else None
            hidden = self.layers[k - 1](hidden, packing, narrow)
            if k == depth:
                hidden = self.finish(hidden)
            if k in wanted:
                layers[k] = hidden
        if rows is None:
            return Encoded(None, layers)
        narrowed = depth > 0 and depth not in wanted
        return Encoded(hidden if narrowed else hidden.index_select(0, rows), layers)


class MaskedLMHead(nn.Module):
    """A masked-LM head before its output projection, whose weight is the token embedding (V, C).

    With `bias` dense layer and LayerNorm have one, as RoBERTa's; the projection always has.
    """

    def __init__(self, weight: nn.Parameter, bias: bool = True, epsilon: float = 1e-5):
        super().__init__()
        embed_dim = weight.size(1)
        self.dense = nn.Linear(embed_dim, embed_dim, bias=bias)
        self.layer_norm = nn.LayerNorm(embed_dim, eps=epsilon, bias=bias)
        self.weight = weight
        self.bias = nn.Parameter(torch.zeros(len(weight)))

    def forward(self, hidden: Tensor) -> Tensor:
        """hidden (M, C) -> (M, C); the logits are the product with `weight` (V, C) plus `bias` (V,)."""
        return self.layer_norm(F.gelu(self.dense(hidden)))
