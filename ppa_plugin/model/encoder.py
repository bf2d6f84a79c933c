"""XLM-R's encoder (post-LN RoBERTa) over packed tokens; parameter names as in fairseq's RobertaModel."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ppa_plugin.model.attention import PackedSelfAttention, Run, find_runs

# RoBERTa counts positions from padding_idx + 1 = 2; Hugging Face's 514 rows are 512 positions and these two.
POSITION_OFFSET = 2
PADDING_INDEX = 1


class EncoderLayer(nn.Module):
    """Attention and feed-forward, each followed by dropout, the residual and a LayerNorm."""

    def __init__(
        self,
        embed_dim: int,
        ffn_dim: int,
        heads: int,
        dropout: float,
        attention_dropout: float,
        activation_dropout: float,
    ):
        super().__init__()
        self.self_attn = PackedSelfAttention(embed_dim, heads, attention_dropout)
        self.self_attn_layer_norm = nn.LayerNorm(embed_dim)
        self.fc1 = nn.Linear(embed_dim, ffn_dim)
        self.fc2 = nn.Linear(ffn_dim, embed_dim)
        self.final_layer_norm = nn.LayerNorm(embed_dim)
        self.dropout = dropout
        self.activation_dropout = activation_dropout

    def forward(self, hidden: Tensor, runs: list[Run]) -> Tensor:
        """hidden (T, C) -> (T, C)."""
        hidden = self.self_attn_layer_norm(hidden + self._drop(self.self_attn(hidden, runs), self.dropout))
        inner = self._drop(F.gelu(self.fc1(hidden)), self.activation_dropout)
        return self.final_layer_norm(hidden + self._drop(self.fc2(inner), self.dropout))

    def _drop(self, hidden: Tensor, probability: float) -> Tensor:
        return F.dropout(hidden, probability) if self.training and probability else hidden


class PackedEncoder(nn.Module):
    """Embeddings and `layers` blocks; every operation but attention touches real tokens only.

    Args:
        vocabulary: entries of the dictionary.
        layers, embed_dim, ffn_dim, heads: sizes.
        max_positions: tokens of the longest sequence, specials included.
        dropout, attention_dropout, activation_dropout: after embeddings and sub-layers, on attention weights, and after
            the activation of the feed-forward layers.
    """

    def __init__(
        self,
        vocabulary: int,
        layers: int,
        embed_dim: int,
        ffn_dim: int,
        heads: int,
        max_positions: int,
        dropout: float = 0.1,
        attention_dropout: float = 0.1,
        activation_dropout: float = 0.0,
    ):
        super().__init__()
        self.embed_tokens = nn.Embedding(vocabulary, embed_dim, padding_idx=PADDING_INDEX)
        self.embed_positions = nn.Embedding(max_positions + POSITION_OFFSET, embed_dim, padding_idx=PADDING_INDEX)
        # Hugging Face's single token type, added to every token; Glot500 trained it, so it is kept as a parameter
        self.embed_token_types = nn.Embedding(1, embed_dim)
        self.layernorm_embedding = nn.LayerNorm(embed_dim)
        self.layers = nn.ModuleList(
            EncoderLayer(embed_dim, ffn_dim, heads, dropout, attention_dropout, activation_dropout)
            for _ in range(layers)
        )
        self.dropout = dropout

    def embed(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """tokens (T,), positions (T,) from 0 -> layer 0 (T, C)."""
        embedded = self.embed_tokens(tokens) + self.embed_positions(positions + POSITION_OFFSET)
        embedded = self.layernorm_embedding(embedded + self.embed_token_types.weight[0])
        return F.dropout(embedded, self.dropout) if self.training and self.dropout else embedded

    def forward(
        self, tokens: Tensor, positions: Tensor, lengths: np.ndarray, wanted_layers: set[int]
    ) -> dict[int, Tensor]:
        """Run the blocks up to the highest wanted layer.

        Args:
            tokens: (T,) the packed sequences.
            positions: (T,) from 0 within each sequence.
            lengths: (S,) tokens of each sequence, on the host.
            wanted_layers: k is the output of block k, 0 the embeddings.

        Returns:
            {k: (T, C)} for every wanted layer.
        """
        runs = find_runs(lengths, tokens.device)
        hidden = self.embed(tokens, positions)
        outputs = {0: hidden}
        for k in range(1, max(wanted_layers) + 1):
            hidden = self.layers[k - 1](hidden, runs)
            outputs[k] = hidden
        return {k: outputs[k] for k in wanted_layers}


class MaskedLMHead(nn.Module):
    """RoBERTa's head before its output projection, whose weight is the token embedding."""

    def __init__(self, embed_dim: int, weight: nn.Parameter):
        super().__init__()
        self.dense = nn.Linear(embed_dim, embed_dim)
        self.layer_norm = nn.LayerNorm(embed_dim)
        self.weight = weight
        self.bias = nn.Parameter(torch.zeros(len(weight)))

    def forward(self, hidden: Tensor) -> Tensor:
        """hidden (M, C) -> (M, C); the logits are the product with `weight` (V, C) plus `bias` (V,)."""
        return self.layer_norm(F.gelu(self.dense(hidden)))
