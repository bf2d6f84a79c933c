"""What follows from a model's sizes alone: the layer that stands for a sentence, the arithmetic of an update."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


# What --arch stands for, by the flags' names. Glot500-m is XLM-R base with a vocabulary of 401,145, which comes with
# the dictionary; the tiny one is small enough for two cores, for the quick start and the tests.
SIZE_FLAGS = ("encoder_layers", "encoder_embed_dim", "encoder_ffn_embed_dim", "encoder_attention_heads")
ARCHITECTURES = {
    "glot500_base": (12, 768, 3072, 12),
    "xlmr_base": (12, 768, 3072, 12),
    "xlmr_large": (24, 1024, 4096, 16),
    "translit_tiny": (4, 128, 512, 4),
}


def default_layer(depth: int) -> int:
    """The layer that the paper uses: 8 of 12 blocks, and round(2/3 of the depth) of any other number."""
    return 8 if depth == 12 else round(2 * depth / 3)


def estimate_flops(
    layers: int,
    embed_dim: int,
    ffn_dim: int,
    vocabulary: int,
    lengths: "np.ndarray",
    masked: int,
    narrow_top: bool,
    frozen: bool = False,
) -> int:
    """Floating-point operations of one forward and backward over packed sequences; a multiply-add is two.

    Only matrix products count, as is the custom for the model-FLOP utilisation (Chowdhery et al. 2022, appendix B):

        3 x [ sum over blocks of (2 (4 C^2 + 2 C F) T + 4 C sum(t^2)) + 2 (C^2 + C V) M ]

    three because the backward has two products for each one of the forward, T real tokens in sequences of t, M masked
    ones. With `narrow_top`, the output projection and the feed-forward layers of the last block see M rows, not T.
    Work done twice, or done on padding, is not counted: it is not what the objective asks for. A `frozen` encoder has
    no backward, and each product of the head one: of its weight below, of its input at the tied weight.

    Args:
        layers: blocks that run.
        embed_dim, ffn_dim, vocabulary: C, F and V.
        lengths: (S,) real tokens of each sequence.
        masked: M, the rows that the head sees.
        narrow_top: whether the last block's result is needed at the masked positions alone.
        frozen: whether the head alone is trained.
    """
    tokens, squares = int(lengths.sum()), int((lengths.astype("int64") ** 2).sum())
    after_attention = 2 * (embed_dim * embed_dim + 2 * embed_dim * ffn_dim)
    block = (6 * embed_dim * embed_dim + after_attention) * tokens + 4 * embed_dim * squares
    spared = after_attention * (tokens - masked) if narrow_top and layers else 0
    blocks, head = layers * block - spared, 2 * (embed_dim * embed_dim + embed_dim * vocabulary) * masked
    return blocks + 2 * head if frozen else 3 * (blocks + head)
