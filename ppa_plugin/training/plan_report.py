"""`ppa-preprocess verify --plan`: what a training on these shards will take, as lines to read and flags to copy."""

from collections.abc import Iterable, Iterator
from itertools import repeat
from math import ceil
from pathlib import Path
from typing import NamedTuple

from ppa_plugin.commandline import UserError, align
from ppa_plugin.data.masking import SIDES, stream_lengths
from ppa_plugin.data.shards import binarized_path, count_blocks, index_sizes
from ppa_plugin.data.vocabulary import load_dictionary
from ppa_plugin.training import Training, plan

_GPUS = (1, 4)
_CARDS = (24, 40, 80, 141)
_SAVE_INTERVAL_UPDATES = 2000


class _Shard(NamedTuple):
    pairs: int
    orig: int  # tokens as binarized, with </s>
    latn: int
    trained: int  # tokens of the streams
    maskable: int  # those of them that may be masked
    blocks: int  # of TOK


_SHOWN = 4  # of its numbers, in the table of shards


def check(training: Training) -> None:
    """Raise `UserError` for an unknown architecture or flag."""
    plan.read_objective(training.flags, plan.architecture_sizes(training.arch, 0, 0).layers)


def run(paths: list[Path], dictionary: Path, training: Training) -> Iterator[str]:
    """The lines of the plan for verified shards and their dictionary; raises `UserError` where they hold no pairs."""
    depth = plan.architecture_sizes(training.arch, 0, 0).layers
    objective = plan.read_objective(training.flags, depth)
    shards = [_read_shard(path, objective) for path in paths]
    total = _Shard(*(sum(column) for column in zip(*shards, strict=True)))
    if not total.pairs:
        raise UserError(f"{dictionary.parent} holds no training pairs: nothing to plan")
    sizes = plan.architecture_sizes(training.arch, len(load_dictionary(dictionary)), objective.max_positions)
    yield from (
        "",
        *_shard_lines(paths, shards, total, objective, training),
        "",
        *_command_lines(paths, shards, total, training),
        "",
        *_disk_lines(paths, sizes, total, training),
        "",
        *_memory_lines(sizes, total, objective, training),
    )


def _read_shard(path: Path, objective: plan.Objective) -> _Shard:
    """Count a shard from the indexes of its languages; the manifest has the sums over all shards only."""
    pairs = orig = latn = trained = maskable = blocks = 0
    for index in sorted(path.glob("*/train.orig-latn.orig.idx")):
        sides = [index_sizes(binarized_path(index.parent, "train", side)) for side in SIDES]
        pairs += len(sides[0])
        orig, latn = orig + int(sides[0].sum()), latn + int(sides[1].sum())
        every, masked = plan.pair_tokens(stream_lengths(*sides, objective.max_positions), objective)
        trained, maskable = trained + every, maskable + masked
        blocks += count_blocks(index.parent, "train") if objective.block_group else 0
    return _Shard(pairs, orig, latn, trained, maskable, blocks)


def _shard_lines(
    paths: list[Path], shards: list[_Shard], total: _Shard, objective: plan.Objective, training: Training
) -> list[str]:
    pairs = plan.micro_batch(training.batch, training.pairs, 1)
    rows = []
    for path, shard in zip(paths, shards, strict=True):
        count = plan.micro_batches(shard.pairs, pairs)
        rows.append((path.name, *shard[:_SHOWN], count, plan.updates(shard.pairs, pairs, training.batch // pairs)))
    rows.append(("all", *total[:_SHOWN], sum(row[-2] for row in rows), sum(row[-1] for row in rows)))
    header = (
        "shard",
        "pairs",
        "tokens orig",
        "tokens latn",
        f"tokens, {_streams(objective)}",
        "micro-batches",
        "updates",
    )
    return align([header, *((row[0], *(f"{count:,}" for count in row[1:])) for row in rows)])


def _command_lines(paths: list[Path], shards: list[_Shard], total: _Shard, training: Training) -> Iterable[str]:
    updates = plan.max_update(total.pairs, training.passes, training.batch)
    epochs = training.passes * len(paths)
    yield (
        f"{training.passes} passes x {total.pairs:,} pairs / {training.batch} pairs an update = {updates:,} updates; "
        f"one shard an epoch: {epochs} epochs"
    )
    yield "--max-update also ends the schedule of polynomial_decay. Pass to fairseq-train:"
    for gpus in _GPUS:
        pairs = plan.micro_batch(training.batch, training.pairs, gpus)
        if not pairs:
            yield f"# {_gpus(gpus)}: --batch {training.batch} is not a multiple of {gpus}"
            continue
        update_freq = training.batch // (pairs * gpus)
        in_full = training.passes * sum(plan.updates(s.pairs, pairs, update_freq, gpus) for s in shards)
        contrast = min(plan.CONTRAST, pairs * gpus)
        yield f"# {_gpus(gpus)}: {contrast} pairs per contrastive batch; {in_full:,} updates would end the last epoch"
        yield (
            f"{':'.join(map(str, paths))} --arch {training.arch} --batch-size {pairs} --seq-negatives {plan.CONTRAST} "
            f"--mlm-group {plan.MLM_GROUP} --update-freq {update_freq} --max-update {updates} "
            f"--save-interval-updates {_SAVE_INTERVAL_UPDATES}" + f" {training.flags}".rstrip()
        )


def _gpus(count: int) -> str:
    return f"{count} GPU{'s' if count > 1 else ''}"


def _disk_lines(paths: list[Path], sizes: plan.Sizes, total: _Shard, training: Training) -> Iterable[str]:
    binarized = sum(file.stat().st_size for path in paths for file in path.glob("*/*"))
    one = plan.checkpoint_bytes(sizes)
    updates = plan.max_update(total.pairs, training.passes, training.batch)
    count = plan.checkpoint_count(updates, training.passes * len(paths), _SAVE_INTERVAL_UPDATES)
    yield f"disk: shards {_size(binarized)}; a checkpoint {_size(one)} (parameters and Adam's two moments in FP32)"
    yield (
        f"      at most {count} checkpoints = {_size(count * one)}: one every {_SAVE_INTERVAL_UPDATES} updates, one an "
        "epoch, best, last; fewer with --keep-interval-updates N --no-epoch-checkpoints"
    )


def _memory_lines(sizes: plan.Sizes, total: _Shard, objective: plan.Objective, training: Training) -> list[str]:
    mean = total.trained / total.pairs
    blocks = _token_blocks(total, objective)
    load = plan.Load(mean, objective.mask_prob * total.maskable / total.pairs, objective.blocks, blocks)
    pairs = plan.micro_batch(training.batch, training.pairs, 1)
    columns = [plan.memory(sizes, precision, pairs, load) for precision in plan.PRECISIONS]
    masked = ceil(pairs * load.masked)
    rows = [("GB", *("FP32" if precision == "fp32" else f"--{precision}" for precision in plan.PRECISIONS))]
    of_blocks = {f"token blocks, {blocks.count:.1f} a pair": "token_blocks"} if blocks else {}
    for name, field in {
        "parameters": "parameters",
        "gradients": "gradients",
        "optimizer state, in FP32": "optimizer",
        f"activations of {pairs} pairs": "activations",
        f"logits, {masked:,} x {sizes.vocabulary:,}": "logits",
        **of_blocks,
        "gradients of the tied embedding": "tied_gradient",
        "Adam's step, after the micro-batch": "step",
        "peak": "peak",
    }.items():
        rows.append((name, *(f"{getattr(column, field) / 1e9:.2f}" for column in columns)))
    largest = {
        (card, precision): [plan.largest_batch_size(sizes, precision, card * 10**9, load, gpus) for gpus in _GPUS]
        for card in _CARDS
        for precision in plan.PRECISIONS
    }
    for card in _CARDS:
        fits = ("/".join(map(str, largest[card, precision])) for precision in plan.PRECISIONS)
        rows.append((f"largest --batch-size, {' or '.join(map(str, _GPUS))} GPUs of {card} GB", *fits))
    flags = [("with --fp16 on", *map(_gpus, _GPUS))]
    for card in _CARDS:
        flags.append((f"{card} GB", *map(_micro_batch_flags, _GPUS, largest[card, "fp16"], repeat(training))))
    return [
        f"memory of a GPU, estimated: {training.arch} with {sizes.vocabulary:,} entries has "
        f"{plan.parameter_count(sizes):,} parameters; {mean:.1f} tokens a pair over "
        f"{_streams(objective)}",
        *align(rows),
        "",
        *align(flags),
        "the estimate is for pairs of mean length; --max-tokens bounds a micro-batch of long ones",
    ]


def _token_blocks(total: _Shard, objective: plan.Objective) -> plan.TokenBlocks | None:
    """Of a mean pair, as if every token of its sides were in a block."""
    if not objective.block_group:
        return None
    tokens = total.orig + total.latn - len(SIDES) * total.pairs
    return plan.TokenBlocks(total.blocks / total.pairs, tokens / total.pairs, objective.block_group)


def _micro_batch_flags(gpus: int, fits: int, training: Training) -> str:
    """The flags that make updates of `--batch` pairs of the largest micro-batches that fit, or a dash."""
    pairs = plan.micro_batch(training.batch, min(fits, training.pairs), gpus)
    return f"--batch-size {pairs} --update-freq {training.batch // (pairs * gpus)}" if pairs else "-"


def _streams(objective: plan.Objective) -> str:
    count = len(objective.streams)
    return f"{count} stream{'s' if count > 1 else ''}"


def _size(count: int) -> str:
    return f"{count / 1e9:,.2f} GB" if count >= 1e8 else f"{count / 1e6:,.1f} MB"
