"""How long a training runs, what it writes and what memory it takes, before it starts: formulas on plain numbers.

GB is 10^9 bytes. Symbols: P parameters; L blocks of width C with feed-forward width F and H heads; V entries of the
dictionary; T real tokens of a micro-batch over its streams, M of them masked; b bytes a value (2 in FP16, 4 in FP32).
"""

import argparse
import shlex
from collections.abc import Mapping
from math import ceil
from typing import NamedTuple

import numpy as np
from fairseq.dataclass.utils import gen_parser_from_dataclass

from ppa_plugin import flag_ranges
from ppa_plugin.commandline import UserError, shown
from ppa_plugin.configuration import TranslitAlignmentConfig, TranslitAlignmentCriterionConfig, needed_streams
from ppa_plugin.data.masking import SPECIALS_OF_STREAM
from ppa_plugin.model.families import FAMILIES
from ppa_plugin.model.sizes import ARCHITECTURES, MODEL_OF, Sizes
from ppa_plugin.objectives import TERMS
from ppa_plugin.objectives.masked_lm import KEPT_SHARE, chunk_entries

# training flag (FP32 has none): bytes a parameter of the parameters, their gradients and the optimizer state
PRECISIONS = {
    "fp32": (4, 4, 4 + 4),  # Adam's two moments
    "fp16": (2, 2, 4 + 4 + 4 + 4),  # the flat master copy, its gradient, the two moments
    "memory-efficient-fp16": (2, 2, 4 + 4),
}
# What the paper's four GPUs with 16 pairs each make of an update: the pairs that contrast with one another, and those
# over which masked LM is a mean. With --seq-negatives and --mlm-group larger micro-batches, which a GPU needs, do too.
CONTRAST, MLM_GROUP = 64, 16
# what the CUDA context, its libraries and the allocator's rounding take beside the tensors
CUDA_CONTEXT = 10**9
# pairs a micro-batch beyond which nobody asks
_MOST_PAIRS = 4096


class Objective(NamedTuple):
    """What the flags make of a pair and of the model."""

    streams: tuple[str, ...]
    masked_streams: tuple[str, ...]  # those whose masked positions go through the head
    blocks: int  # that run: without masked positions, up to the highest layer that a term reads
    mask_prob: float
    max_positions: int
    block_group: int = 0  # pairs among whose token blocks TOK contrasts; 0 without TOK


class TokenBlocks(NamedTuple):
    """What a pair of mean length is to TOK."""

    count: float  # its blocks
    tokens: float  # those of both sides that are in blocks
    group: int  # pairs whose blocks contrast with one another


class Load(NamedTuple):
    """What a pair of mean length is to the model."""

    tokens: float  # over its streams
    masked: float
    blocks: int | None = None  # that run; None for all
    token_blocks: TokenBlocks | None = None  # None without TOK


class Memory(NamedTuple):
    """Where the memory of one GPU goes while it trains, in bytes."""

    parameters: int
    gradients: int
    optimizer: int
    buckets: int  # pytorch_ddp's copy of the gradients; 0 on one GPU
    activations: int  # kept from the forward for the backward, without the logits
    logits: int  # kept, or the chunk at work
    token_blocks: int  # TOK's vectors and similarities
    tied_gradient: int  # of the embedding, before it is added to .grad
    step: int  # what Adam takes while it steps, when nothing of the micro-batch is left

    @property
    def peak(self) -> int:
        """The state of the training, and a micro-batch or Adam's step, whichever is larger."""
        state = self.parameters + self.gradients + self.optimizer + self.buckets
        return state + max(self.activations + self.logits + self.token_blocks + self.tied_gradient, self.step)


def architecture_sizes(arch: str, vocabulary: int, max_positions: int) -> Sizes:
    """The sizes that `--arch` gives a model; raises `UserError` for a name that the plugin does not register."""
    if arch not in ARCHITECTURES:
        raise UserError(f"--arch {arch} is none of {', '.join(sorted(ARCHITECTURES))}")
    return Sizes(*ARCHITECTURES[arch], vocabulary, max_positions, MODEL_OF[arch])


def read_objective(flags: str, depth: int) -> Objective:
    """The objective that flags of `fairseq-train`, such as `--tlm-weight 0`, give a model of `depth` blocks.

    Raises `UserError` for a flag that neither task nor criterion has, or that cannot be.
    """
    parser = argparse.ArgumentParser(prog="--flags", add_help=False, exit_on_error=False, allow_abbrev=False)
    for config in (TranslitAlignmentCriterionConfig, TranslitAlignmentConfig):
        gen_parser_from_dataclass(parser, config(), delete_default=True)
    try:
        given, unknown = parser.parse_known_args(["data", *shlex.split(flags)])
    except (argparse.ArgumentError, ValueError) as error:
        raise UserError(f"--flags {shown(flags)}: {error}") from None
    if unknown:
        raise UserError(f"--flags {shown(flags)}: {unknown[0]} is no flag of the task or criterion translit_alignment")
    chosen = {name: value for name, value in vars(given).items() if value is not None}
    flag_ranges.check(chosen, flag_ranges.as_flag)
    defaults = vars(TranslitAlignmentConfig()) | vars(TranslitAlignmentCriterionConfig())
    cfg = argparse.Namespace(**(defaults | chosen))
    terms = [term(cfg, depth) for term in TERMS]
    masked = tuple(stream for term in terms for stream in term.masked_streams)
    highest = max((layer for term in terms for layer in term.layers), default=0)
    return Objective(
        needed_streams(cfg),
        masked,
        depth if masked else highest,
        cfg.mask_prob,
        cfg.max_positions,
        cfg.tok_negatives if cfg.tok_weight else 0,
    )


def parameter_count(sizes: Sizes) -> int:
    """P, exactly, the tied embedding once, as the model's family counts them."""
    return FAMILIES[sizes.model].parameter_count(sizes)


def pair_tokens(lengths: Mapping[str, np.ndarray], objective: Objective) -> tuple[int, int]:
    """Over pairs whose streams have these lengths: real tokens, and those of them that may be masked."""
    every = sum(int(lengths[stream].sum()) for stream in objective.streams)
    maskable = sum(int((lengths[s] - SPECIALS_OF_STREAM[s]).sum()) for s in objective.masked_streams)
    return every, maskable


def max_update(pairs: int, passes: int, batch: int) -> int:
    """U = ceil(passes x pairs / batch): the updates in which every pair is seen `passes` times."""
    return -(-passes * pairs // batch)


def micro_batches(shard_pairs: int, pairs: int, ranks: int = 1) -> int:
    """Micro-batches of one epoch, which is one shard: ceil(n / pairs), made a multiple of the ranks by the task."""
    return ceil(ceil(shard_pairs / pairs) / ranks) * ranks


def updates(shard_pairs: int, pairs: int, update_freq: int, ranks: int = 1) -> int:
    """Updates of one epoch: ceil(micro-batches / (ranks x update-freq)); the last one may be smaller."""
    return ceil(micro_batches(shard_pairs, pairs, ranks) / (ranks * update_freq))


def micro_batch(batch: int, most: int, ranks: int) -> int:
    """The most pairs, up to `most`, of which equal micro-batches of all ranks make an update; 0 where none do."""
    return next((pairs for pairs in range(most, 0, -1) if batch % (pairs * ranks) == 0), 0)


def checkpoint_bytes(sizes: Sizes) -> int:
    """One checkpoint: the parameters, the tied embedding once, and Adam's two moments, 12 P.

    fairseq writes FP32 whatever it trains in.
    """
    return 12 * parameter_count(sizes)


def checkpoint_count(updates_in_all: int, epochs: int, save_interval_updates: int) -> int:
    """One every `save_interval_updates`, one at the end of every epoch, `checkpoint_best.pt`, `checkpoint_last.pt`."""
    return updates_in_all // save_interval_updates + epochs + 2


def activation_bytes(sizes: Sizes, tokens: int, masked: int, value_bytes: int, blocks: int | None = None) -> int:
    """What the forward keeps for the backward, without the logits; `blocks` of the model run, by default all.

    What embeddings and blocks keep a token, the family says (`Family.kept`): of the top block, what follows attention
    is kept for masked tokens alone. The head keeps 5C b a masked token.

    Attention runs in a kernel that keeps no weights and pads nothing, as on a GPU. On a CPU torch keeps up to 4C b a
    token more for sequences of unequal length, and with attention dropout about 3 H t^2 b for a sequence of t tokens.
    """
    kept = FAMILIES[sizes.model].kept(sizes, value_bytes)
    layers = sizes.layers if blocks is None else blocks
    in_blocks = layers * (tokens * kept.before + kept.block) + ((layers - 1) * tokens + (masked or tokens)) * kept.after
    return in_blocks + tokens * kept.embeddings + 5 * masked * sizes.embed_dim * value_bytes


def kept_logits_bytes(sizes: Sizes, masked: int, value_bytes: int, card_bytes: int | None = None) -> int:
    """V M b: the logits of all masked positions, 0 where they exceed the share of the card that may keep them."""
    kept = sizes.vocabulary * masked * value_bytes
    return kept if card_bytes is None or kept <= KEPT_SHARE * card_bytes else 0


def logits_bytes(sizes: Sizes, masked: int, value_bytes: int, card_bytes: int | None = None) -> int:
    """What is kept of the logits, or the chunk of entries at work: its passes are fused, without copies in FP32."""
    at_work = min(chunk_entries(masked, on_gpu=True), sizes.vocabulary) * masked * value_bytes
    return kept_logits_bytes(sizes, masked, value_bytes, card_bytes) or at_work


def token_block_bytes(sizes: Sizes, pairs: int, blocks: TokenBlocks | None) -> int:
    """What TOK keeps for the backward, 0 without it.

    Of each token of a block its hidden state in FP32, 4C bytes, and of each block two vectors, 8C bytes. Of each group
    a similarity for every two of its vectors: the softmax in FP32, and in a byte whether it counts. (`--tok-loss l2`
    keeps none of these.)
    """
    if blocks is None:
        return 0
    states = pairs * (4 * blocks.tokens + 8 * blocks.count) * sizes.embed_dim
    return ceil(states + ceil(pairs / blocks.group) * 5 * (2 * blocks.count * blocks.group) ** 2)


def memory(
    sizes: Sizes,
    precision: str,
    pairs: int,
    load: Load,
    ranks: int = 1,
    card_bytes: int | None = None,
) -> Memory:
    """The memory of one GPU for micro-batches of `pairs` of mean length, T = pairs x tokens a pair, M likewise.

    * State: P times the bytes of `PRECISIONS`; on several GPUs P b for pytorch_ddp's buckets.
    * Tied gradient, VC b: the projection's, to which the embedding adds its rows before it reaches .grad.
    * Step: nothing with `--optimizer fused_adamw`; with `memory-efficient-fp16`, where that is fairseq's Adam, 12 VC:
      the denominator of the largest tensor, and it and its gradient in FP32 for that moment. (`--optimizer adam` makes
      a denominator too: 4 VC, with `fp16` 4 P, as all tensors are one.)
    """
    count = parameter_count(sizes)
    value_bytes, gradient_bytes, optimizer_bytes = PRECISIONS[precision]
    masked = ceil(pairs * load.masked)
    embedding = sizes.vocabulary * sizes.embed_dim
    return Memory(
        parameters=count * value_bytes,
        gradients=count * gradient_bytes,
        optimizer=count * optimizer_bytes,
        buckets=count * gradient_bytes if ranks > 1 else 0,
        activations=activation_bytes(sizes, ceil(pairs * load.tokens), masked, value_bytes, load.blocks),
        logits=logits_bytes(sizes, masked, value_bytes, card_bytes) if masked else 0,
        token_blocks=token_block_bytes(sizes, pairs, load.token_blocks),
        tied_gradient=embedding * value_bytes,
        step=12 * embedding if precision == "memory-efficient-fp16" else 0,
    )


def largest_batch_size(sizes: Sizes, precision: str, card_bytes: int, load: Load, ranks: int = 1) -> int:
    """The most pairs of a micro-batch whose peak, with 1 GB for CUDA itself, fits the card; 0 where none does."""

    def peak(pairs: int) -> int:
        return memory(sizes, precision, pairs, load, ranks, card_bytes).peak

    # not by bisection: where the logits are no longer kept, memory falls
    fitting = (pairs for pairs in range(_MOST_PAIRS, 0, -1) if peak(pairs) <= card_bytes - CUDA_CONTEXT)
    return next(fitting, 0)
