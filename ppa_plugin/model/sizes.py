"""What follows from a model's sizes alone: the layer that stands for a sentence, the arithmetic of an update."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np


class Sizes(NamedTuple):
    """The sizes that decide on parameters and activations."""

    layers: int
    embed_dim: int
    ffn_dim: int
    heads: int
    vocabulary: int
    max_positions: int
    model: str = "translit_xlmr"  # of `ppa_plugin.model.families.FAMILIES`


SIZE_FLAGS = ("encoder_layers", "encoder_embed_dim", "encoder_ffn_embed_dim", "encoder_attention_heads")
# What --arch stands for, by the flags' names, under the model that fairseq builds. Glot500-m is XLM-R base with a
# vocabulary of 401,145, which comes with the dictionary; the tiny one is small enough for two cores, for quick start
# and tests. mmBERT (Marone et al. 2025) is ModernBERT with Gemma 2's vocabulary of 256,000; gte-multilingual (Zhang et
# al. 2024) has XLM-R's of 250,002 and 46 rows of padding.
_BY_MODEL = {
    "translit_xlmr": {
        "glot500_base": (12, 768, 3072, 12),
        "xlmr_base": (12, 768, 3072, 12),
        "xlmr_large": (24, 1024, 4096, 16),
        "translit_tiny": (4, 128, 512, 4),
    },
    "translit_modernbert": {
        "mmbert_base": (22, 768, 1152, 12),
        "mmbert_small": (22, 384, 1152, 6),
    },
    "translit_gte": {
        "gte_multilingual_base": (12, 768, 3072, 12),
    },
}
ARCHITECTURES = {name: sizes for of_model in _BY_MODEL.values() for name, sizes in of_model.items()}
MODEL_OF = {name: model for model, of_model in _BY_MODEL.items() for name in of_model}


def default_layer(depth: int) -> int:
    """The layer that the paper uses: 8 of 12 blocks, and round(2/3 of the depth) of any other number."""
    return 8 if depth == 12 else round(2 * depth / 3)


@dataclass(frozen=True)
class Products:
    """What decides on the matrix products of a token.

    Attributes:
        layers: blocks that run.
        embed_dim, ffn_dim, vocabulary: C, F and V.
        ffn_matrices: C x F matrices of a block; 3 where the feed-forward layers are gated.
        windows: of each block, how far attention sees to either side, None for everything; without any, none has one.
    """

    layers: int
    embed_dim: int
    ffn_dim: int
    vocabulary: int
    ffn_matrices: int = 2
    windows: Sequence[int | None] = ()


def estimate_flops(sizes: Products, lengths: "np.ndarray", masked: int, narrow_top: bool, frozen: bool = False) -> int:
    """Floating-point operations of one forward and backward over packed sequences; a multiply-add is two.

    Only matrix products count, as is the custom for the model-FLOP utilisation (Chowdhery et al. 2022, appendix B):

        3 x [ sum over blocks of (2 (4 C^2 + 2 C F) T + 4 C sum(t^2)) + 2 (C^2 + C V) M ]

    three because the backward has two products for each one of the forward, T real tokens in sequences of t, M masked
    ones. With `narrow_top`, the output projection and the feed-forward layers of the last block see M rows, not T.
    Work done twice, or done on padding, is not counted: it is not what the objective asks for. A `frozen` encoder has
    no backward, and each product of the head one: of its weight below, of its input at the tied weight. A block with a
    window w counts the pairs of tokens at most w apart in place of t^2.

    Args:
        sizes: the model's.
        lengths: (S,) real tokens of each sequence.
        masked: M, the rows that the head sees.
        narrow_top: whether the last block's result is needed at the masked positions alone.
        frozen: whether the head alone is trained.
    """
    layers, embed_dim = sizes.layers, sizes.embed_dim
    tokens, whole = int(lengths.sum()), lengths.astype("int64")
    pairs = {window: _pairs_within(whole, window) for window in {None, *sizes.windows}}
    seen = [pairs[window] for window in [*sizes.windows, *[None] * layers][:layers]]
    after_attention = 2 * (embed_dim * embed_dim + sizes.ffn_matrices * embed_dim * sizes.ffn_dim)
    blocks = layers * (6 * embed_dim * embed_dim + after_attention) * tokens + 4 * embed_dim * sum(seen)
    spared = after_attention * (tokens - masked) if narrow_top and layers else 0
    head = 2 * (embed_dim * embed_dim + embed_dim * sizes.vocabulary) * masked
    return blocks - spared + 2 * head if frozen else 3 * (blocks - spared + head)


def _pairs_within(lengths: "np.ndarray", window: int | None) -> int:
    """Ordered pairs of tokens of one sequence at most `window` apart, over sequences of `lengths` (S,)."""
    if window is None:
        return int((lengths**2).sum())
    # all but the two corners of t x t beyond the window
    beyond = (lengths - window - 1).clip(min=0)
    return int((lengths**2 - beyond * (beyond + 1)).sum())
