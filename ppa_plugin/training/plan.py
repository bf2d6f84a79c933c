"""How long a training runs, what it writes and what memory it takes, before it starts: formulas on plain numbers.

GB is 10^9 bytes. Symbols: P parameters; L blocks of width C with feed-forward width F and H heads; V entries of the
dictionary; T real tokens of a micro-batch over its streams, M of them masked; b bytes a value (2 in FP16, 4 in FP32).
The sizes of an architecture are read from where it is registered, ppa_plugin/model/architectures.py.
"""

import argparse
from math import ceil
from typing import NamedTuple

import numpy as np
from fairseq.models import ARCH_CONFIG_REGISTRY, ARCH_MODEL_REGISTRY

from ppa_plugin.commandline import UserError
from ppa_plugin.model.architectures import TranslitXLMR, TranslitXLMRConfig
from ppa_plugin.model.encoder import POSITION_OFFSET
from ppa_plugin.objectives.masked_lm import KEPT_SHARE, chunk_entries

# training flag (FP32 has none): bytes a parameter of the parameters, their gradients and the optimizer state
PRECISIONS = {
    "fp32": (4, 4, 4 + 4),  # Adam's two moments
    "fp16": (2, 2, 4 + 4 + 4 + 4),  # the flat master copy, its gradient, the two moments
    "memory-efficient-fp16": (2, 2, 4 + 4),
}
# <s> and </s> of each side, and the three of the TLM stream: tokens of a pair that are never masked
SPECIALS_OF_A_PAIR = 7
# what the CUDA context, its libraries and the allocator's rounding take beside the tensors
CUDA_CONTEXT = 10**9
# pairs a micro-batch beyond which nobody asks
_MOST_PAIRS = 4096


class Sizes(NamedTuple):
    """The sizes that decide on parameters and activations."""

    layers: int
    embed_dim: int
    ffn_dim: int
    heads: int
    vocabulary: int
    max_positions: int


class Memory(NamedTuple):
    """Where the memory of one GPU goes while it trains, in bytes."""

    parameters: int
    gradients: int
    optimizer: int
    buckets: int  # pytorch_ddp's copy of the gradients; 0 on one GPU
    activations: int  # kept from the forward for the backward, without the logits
    logits: int  # kept, and the chunk at work
    tied_gradient: int  # of the embedding, before it is added to .grad
    step: int  # what Adam takes while it steps, when nothing of the micro-batch is left

    @property
    def peak(self) -> int:
        """The state of the training, and a micro-batch or Adam's step, whichever is larger."""
        state = self.parameters + self.gradients + self.optimizer + self.buckets
        return state + max(self.activations + self.logits + self.tied_gradient, self.step)


def architectures() -> list[str]:
    """The names that `--arch` takes."""
    return sorted(arch for arch, model in ARCH_MODEL_REGISTRY.items() if model is TranslitXLMR)


def architecture_sizes(arch: str, vocabulary: int, max_positions: int) -> Sizes:
    """The sizes that `--arch` gives a model; raises `UserError` for a name that the plugin does not register."""
    if arch not in architectures():
        raise UserError(f"--arch {arch} is none of {', '.join(architectures())}")
    args = argparse.Namespace()
    ARCH_CONFIG_REGISTRY[arch](args)
    values = vars(TranslitXLMRConfig()) | vars(args)
    flags = ("encoder_layers", "encoder_embed_dim", "encoder_ffn_embed_dim", "encoder_attention_heads")
    return Sizes(*(values[flag] for flag in flags), vocabulary, max_positions)


def parameter_count(sizes: Sizes) -> int:
    """P, exactly, the tied embedding once.

    Embeddings (V + positions + 2 + 1 token type) C and a LayerNorm 2C; a block 4 (C^2 + C) for attention, 2CF + F + C
    for the feed-forward layers, 4C for two LayerNorms; the head C^2 + C, a LayerNorm 2C and the bias V.
    """
    c, f, v = sizes.embed_dim, sizes.ffn_dim, sizes.vocabulary
    embeddings = (v + sizes.max_positions + POSITION_OFFSET + 1) * c + 2 * c
    block = 4 * (c * c + c) + (2 * c * f + f + c) + 4 * c
    return embeddings + sizes.layers * block + (c * c + c + 2 * c + v)


def stream_tokens(orig: np.ndarray, latn: np.ndarray, max_positions: int) -> int:
    """Real tokens of pairs over the three streams, after cutting.

    `orig` and `latn` (N,) are the lengths of the binarized rows, which end in </s>; every sequence begins with <s>, and
    the TLM sequence has o + z - 2 tokens of the sides and three specials. Each is cut to `max_positions`.
    """
    orig, latn = (np.minimum(side.astype(np.int64), max_positions - 1) for side in (orig, latn))
    return int((orig + 1).sum() + (latn + 1).sum() + np.minimum(orig + latn + 1, max_positions).sum())


def max_update(pairs: int, passes: int, batch: int) -> int:
    """U = ceil(passes x pairs / batch): the updates in which every pair is seen `passes` times."""
    return -(-passes * pairs // batch)


def micro_batches(shard_pairs: int, pairs: int, ranks: int = 1) -> int:
    """Micro-batches of one epoch, which is one shard: ceil(n / pairs), made a multiple of the ranks by the task."""
    return ceil(ceil(shard_pairs / pairs) / ranks) * ranks


def updates(shard_pairs: int, pairs: int, update_freq: int, ranks: int = 1) -> int:
    """Updates of one epoch: ceil(micro-batches / (ranks x update-freq)); the last one may be smaller."""
    return ceil(micro_batches(shard_pairs, pairs, ranks) / (ranks * update_freq))


def update_freq(batch: int, pairs: int, ranks: int) -> int | None:
    """batch / (pairs x ranks), or None where that is no whole number of micro-batches."""
    return None if batch % (pairs * ranks) else batch // (pairs * ranks)


def checkpoint_bytes(sizes: Sizes) -> int:
    """One checkpoint: the parameters, the tied embedding once, and Adam's two moments, 12 P.

    fairseq writes FP32 whatever it trains in.
    """
    return 12 * parameter_count(sizes)


def checkpoint_count(updates_in_all: int, epochs: int, save_interval_updates: int) -> int:
    """One every `save_interval_updates`, one at the end of every epoch, `checkpoint_best.pt`, `checkpoint_last.pt`."""
    return updates_in_all // save_interval_updates + epochs + 2


def masked_tokens(pairs: int, tokens_per_pair: float, mask_prob: float) -> int:
    """M = mask_prob x (T - 7 pairs), rounded up: the specials are never masked."""
    return ceil(pairs * (tokens_per_pair - SPECIALS_OF_A_PAIR) * mask_prob)


def activation_bytes(sizes: Sizes, tokens: int, masked: int, value_bytes: int) -> int:
    """What the forward keeps for the backward, without the logits.

    * A block keeps (8C + 2F) b a token: its input; query, key and value; attention's result; the first LayerNorm's
      input and result; the values before and after GELU; the second LayerNorm's input. To these come two dropout masks
      of C bytes, 4 (H + 4) bytes of FP32 statistics, and 3C^2 b for the joined weights of query, key and value. Of the
      top block, what follows attention, (4C + 2F) b and the masks, is kept for masked tokens alone.
    * The embeddings keep C b a token for their LayerNorm, its statistics and a dropout mask; the head keeps 5C b a
      masked token.

    Attention runs in a kernel that keeps no weights and pads nothing, as on a GPU. On a CPU torch keeps up to 4C b a
    token more for sequences of unequal length, and with attention dropout about 3 H t^2 b for a sequence of t tokens.
    """
    c, f = sizes.embed_dim, sizes.ffn_dim
    before = 4 * c * value_bytes + 4 * sizes.heads
    after = (4 * c + 2 * f) * value_bytes + 2 * c + 16
    blocks = sizes.layers * (tokens * before + 3 * c * c * value_bytes)
    blocks += ((sizes.layers - 1) * tokens + masked) * after + tokens * c * value_bytes
    embeddings = tokens * (c * value_bytes + c + 8)
    return blocks + embeddings + 5 * masked * c * value_bytes


def kept_logits_bytes(sizes: Sizes, masked: int, value_bytes: int, card_bytes: int | None = None) -> int:
    """V M b: the logits of all masked positions, 0 where they exceed the share of the card that may keep them."""
    kept = sizes.vocabulary * masked * value_bytes
    return kept if card_bytes is None or kept <= KEPT_SHARE * card_bytes else 0


def logits_bytes(sizes: Sizes, masked: int, value_bytes: int, card_bytes: int | None = None) -> int:
    """The logits as the backward begins: what is kept, and 3 FP32 copies of the chunk of entries at work."""
    at_work = min(chunk_entries(masked, on_gpu=True), sizes.vocabulary) * masked
    return kept_logits_bytes(sizes, masked, value_bytes, card_bytes) + 3 * 4 * at_work


def memory(
    sizes: Sizes,
    precision: str,
    pairs: int,
    tokens_per_pair: float,
    mask_prob: float,
    ranks: int = 1,
    card_bytes: int | None = None,
) -> Memory:
    """The memory of one GPU for micro-batches of `pairs` of mean length, T = pairs x tokens a pair.

    * State: P times the bytes of `PRECISIONS`; on several GPUs P b for pytorch_ddp's buckets.
    * Tied gradient, VC b: the projection's, to which the embedding adds its rows before it reaches .grad.
    * Step: Adam's denominator, 4 VC for the largest tensor; with `fp16` 4 P, as all are one tensor; with
      `memory-efficient-fp16` 12 VC, since the tensor and its gradient are in FP32 for that moment.
    """
    count = parameter_count(sizes)
    value_bytes, gradient_bytes, optimizer_bytes = PRECISIONS[precision]
    masked = masked_tokens(pairs, tokens_per_pair, mask_prob)
    embedding = sizes.vocabulary * sizes.embed_dim
    return Memory(
        parameters=count * value_bytes,
        gradients=count * gradient_bytes,
        optimizer=count * optimizer_bytes,
        buckets=count * gradient_bytes if ranks > 1 else 0,
        activations=activation_bytes(sizes, ceil(pairs * tokens_per_pair), masked, value_bytes),
        logits=logits_bytes(sizes, masked, value_bytes, card_bytes),
        tied_gradient=embedding * value_bytes,
        step={"fp32": 4 * embedding, "fp16": 4 * count, "memory-efficient-fp16": 12 * embedding}[precision],
    )


def largest_batch_size(
    sizes: Sizes, precision: str, card_bytes: int, tokens_per_pair: float, mask_prob: float, ranks: int = 1
) -> int:
    """The most pairs of a micro-batch whose peak, with 1 GB for CUDA itself, fits the card; 0 where none does."""

    def peak(pairs: int) -> int:
        return memory(sizes, precision, pairs, tokens_per_pair, mask_prob, ranks, card_bytes).peak

    # not by bisection: where the logits are no longer kept, memory falls
    fitting = (pairs for pairs in range(_MOST_PAIRS, 0, -1) if peak(pairs) <= card_bytes - CUDA_CONTEXT)
    return next(fitting, 0)
