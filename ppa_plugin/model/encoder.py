"""XLM-R's encoder (post-LN RoBERTa) over packed tokens; parameter names as in fairseq's RobertaModel."""

from collections.abc import Collection
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ppa_plugin.model.attention import PackedSelfAttention, Packing, choose_kernel
from ppa_plugin.model.dropout import dropout
from ppa_plugin.model.tied_embedding import TiedGradient, look_up

if TYPE_CHECKING:
    from ppa_plugin.model.architectures import TranslitXLMRConfig

# RoBERTa counts positions from padding_idx + 1 = 2; Hugging Face's 514 rows are 512 positions and these two.
POSITION_OFFSET = 2
PADDING_INDEX = 1


class EncoderLayer(nn.Module):
    """Attention and feed-forward, each followed by dropout, the residual and a LayerNorm."""

    def __init__(self, config: "TranslitXLMRConfig"):
        super().__init__()
        embed_dim, ffn_dim = config.encoder_embed_dim, config.encoder_ffn_embed_dim
        self.self_attn = PackedSelfAttention(embed_dim, config.encoder_attention_heads, config.attention_dropout)
        self.self_attn_layer_norm = nn.LayerNorm(embed_dim)
        self.fc1 = nn.Linear(embed_dim, ffn_dim)
        self.fc2 = nn.Linear(ffn_dim, embed_dim)
        self.final_layer_norm = nn.LayerNorm(embed_dim)
        self.dropout = config.dropout
        self.activation_dropout = config.activation_dropout

    def forward(self, hidden: Tensor, packing: Packing, rows: Tensor | None = None) -> Tensor:
        """hidden (T, C) -> (T, C), or (M, C) for the M `rows` that are wanted: keys and values see all the same."""
        attended = dropout(self.self_attn(hidden, packing, rows), self.dropout, self.training)
        hidden = self.self_attn_layer_norm((hidden if rows is None else hidden.index_select(0, rows)) + attended)
        inner = dropout(F.gelu(self.fc1(hidden)), self.activation_dropout, self.training)
        return self.final_layer_norm(hidden + dropout(self.fc2(inner), self.dropout, self.training))


class Encoded(NamedTuple):
    """What the blocks give: the wanted rows (M, C) of the top layer, and the wanted layers whole, each (T, C)."""

    top: Tensor | None
    layers: dict[int, Tensor]


class PackedEncoder(nn.Module):
    """Embeddings and blocks; every operation but attention touches real tokens only.

    Args:
        vocabulary: rows of the embedding matrix: the entries of the dictionary, and padding.
        config: the sizes, the dropouts and the kernel of attention.
    """

    def __init__(self, vocabulary: int, config: "TranslitXLMRConfig"):
        super().__init__()
        embed_dim, positions = config.encoder_embed_dim, config.max_positions + POSITION_OFFSET
        self.embed_tokens = nn.Embedding(vocabulary, embed_dim, padding_idx=PADDING_INDEX)
        self.embed_positions = nn.Embedding(positions, embed_dim, padding_idx=PADDING_INDEX)
        # Hugging Face's single token type, added to every token; Glot500 trained it, so it is kept as a parameter
        self.embed_token_types = nn.Embedding(1, embed_dim)
        self.layernorm_embedding = nn.LayerNorm(embed_dim)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))
        self.dropout = config.dropout
        self.attention = str(config.attention)
        self.heads = config.encoder_attention_heads

    def embed(self, tokens: Tensor, positions: Tensor, tied: TiedGradient | None = None) -> Tensor:
        """tokens (T,), positions (T,) from 0 -> layer 0 (T, C)."""
        embedded = look_up(self.embed_tokens.weight, tokens, tied) + self.embed_positions(positions + POSITION_OFFSET)
        embedded = self.layernorm_embedding(embedded + self.embed_token_types.weight[0])
        return dropout(embedded, self.dropout, self.training)

    def pack(self, lengths: np.ndarray, cu_seqlens: Tensor | None) -> Packing:
        """The packing of sequences of `lengths` (S,), for the kernel that attention uses here."""
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
            if k in wanted:
                layers[k] = hidden
        if rows is None:
            return Encoded(None, layers)
        narrowed = depth > 0 and depth not in wanted
        return Encoded(hidden if narrowed else hidden.index_select(0, rows), layers)


class MaskedLMHead(nn.Module):
    """RoBERTa's head before its output projection, whose weight is the token embedding."""

    def __init__(self, weight: nn.Parameter):
        super().__init__()
        embed_dim = weight.size(1)
        self.dense = nn.Linear(embed_dim, embed_dim)
        self.layer_norm = nn.LayerNorm(embed_dim)
        self.weight = weight
        self.bias = nn.Parameter(torch.zeros(len(weight)))

    def forward(self, hidden: Tensor) -> Tensor:
        """hidden (M, C) -> (M, C); the logits are the product with `weight` (V, C) plus `bias` (V,)."""
        return self.layer_norm(F.gelu(self.dense(hidden)))
