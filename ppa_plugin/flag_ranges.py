"""What each number of a training may be: of this plugin's flags, and of stock fairseq's, which checks none of them."""

import argparse
import ast
import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

from ppa_plugin.commandline import Range, UserError, natural, positive, seed, shown

_SHARE = Range(0, 1)
_DROPOUT = Range(0, 1, below=True)
_RATE = Range(0, 100)
_OR_NONE = Range(-1, whole=True)  # -1 turns it off
_LOSS_SCALE = Range(1, 1 << 30, whole=True)

# of stock fairseq, by the flag's name, with _ for -; a flag that is not given is not asked
_OF_FAIRSEQ = {
    # how long
    "max_epoch": natural,
    "max_update": natural,
    "stop_time_hours": Range(0),
    "patience": _OR_NONE,
    # batches
    "batch_size": positive,
    "batch_size_valid": positive,
    "max_tokens": positive,
    "max_tokens_valid": positive,
    "max_valid_steps": natural,
    "required_batch_size_multiple": positive,
    "required_seq_len_multiple": positive,
    "update_freq": Range(1, 1_000_000, whole=True),
    "num_workers": Range(0, 1024, whole=True),
    "data_buffer_size": natural,
    "curriculum": natural,
    "num_shards": positive,
    "shard_id": natural,
    # the optimizer
    "lr": _RATE,
    "adam_betas": _DROPOUT,
    "adam_eps": Range(0, 1, above=True),
    "weight_decay": _RATE,
    "momentum": _DROPOUT,
    "clip_norm": Range(0),  # 0 turns it off
    # the schedule of the learning rate
    "warmup_updates": natural,
    "warmup_init_lr": Range(-1, 100),
    "total_num_update": Range(1, 2**31 - 1),
    "end_learning_rate": _RATE,
    "min_lr": _RATE,
    "stop_min_lr": Range(-1, 100),
    "power": _RATE,
    "force_anneal": positive,
    "lr_shrink": Range(0, 1, above=True),
    "lr_period_updates": Range(-1),
    "t_mult": Range(1, 1000),
    # precision
    "fp16_init_scale": _LOSS_SCALE,
    "fp16_scale_window": positive,
    "fp16_scale_tolerance": _SHARE,
    "min_loss_scale": Range(0, 1 << 30, above=True),
    "threshold_loss_scale": Range(0, 1 << 30, above=True),
    "amp_init_scale": _LOSS_SCALE,
    "amp_scale_window": positive,
    "amp_batch_retries": natural,
    # validating, saving, saying
    "validate_interval": positive,
    "validate_interval_updates": natural,
    "validate_after_updates": natural,
    "save_interval": positive,
    "save_interval_updates": natural,
    "keep_interval_updates": _OR_NONE,
    "keep_interval_updates_pattern": _OR_NONE,
    "keep_last_epochs": _OR_NONE,
    "keep_best_checkpoints": _OR_NONE,
    "checkpoint_shard_count": positive,
    "log_interval": positive,
    # the draw
    "seed": seed,
    "fixed_validation_seed": seed,
    # processes
    "distributed_world_size": Range(1, 1 << 20, whole=True),
    "distributed_num_procs": positive,
    "distributed_rank": natural,
    "distributed_port": Range(-1, 65535, whole=True),
    "device_id": natural,
    "nprocs_per_node": positive,
    "bucket_cap_mb": positive,
    "heartbeat_timeout": _OR_NONE,
    "localsgd_frequency": positive,
    "slowmo_momentum": _SHARE,
    "all_gather_list_size": positive,
    "empty_cache_freq": natural,
    "model_parallel_size": positive,
}
# those that are several numbers, and how many; None for any, one at least
_SEVERAL = {"lr": None, "update_freq": None, "adam_betas": 2}


@functools.cache
def ranges() -> dict[str, Any]:
    """What each number may be, by the flag's name: this plugin's, as the settings themselves say, and fairseq's."""
    # here, because it imports fairseq, which commands without training do not wait for
    from ppa_plugin.configuration import TranslitAlignmentConfig, TranslitAlignmentCriterionConfig
    from ppa_plugin.model.architectures import CONFIGURATIONS

    ours = (TranslitAlignmentConfig, TranslitAlignmentCriterionConfig, *CONFIGURATIONS.values())
    every = [field for config in ours for field in dataclasses.fields(config)]
    return _OF_FAIRSEQ | {field.name: field.metadata["range"] for field in every if "range" in field.metadata}


def check(values: Mapping[str, Any], named: Callable[[str, str], str]) -> None:
    """Raise `UserError` for the first of `values` that is not in its range.

    What is None, not there, or an interpolation is what fairseq makes of it. `named(name, value)` is the setting as the
    user wrote it, `--dropout 2` or `model.dropout=2`.
    """
    for name, allowed in ranges().items():
        value = values.get(name)
        if value is None or (isinstance(value, str) and value.startswith("${")):
            continue
        numbers = _numbers(value, name)
        wrong = [number for number in numbers if number not in allowed]
        if wrong:
            of_them = f": {shown(wrong[0])}" if len(numbers) > 1 else ""
            raise UserError(f"{named(name, _typed(value))}{of_them} is not {allowed.asked_of(wrong[0])}")
        count = _SEVERAL.get(name, 1)
        if not numbers or count not in (None, len(numbers)):
            example = "numbers such as (0.9, 0.999)" if count == 2 else "one number or several"
            raise UserError(f"{named(name, _typed(value))} is not {example}")


def as_flag(name: str, value: str) -> str:
    """A setting as the command line writes it."""
    return f"--{name.replace('_', '-')} {value}"


def check_command_line(known: argparse.Namespace) -> None:
    """As `check`, for the flags that a parser of fairseq read; and for what cannot be left out."""
    check(vars(known), as_flag)
    if getattr(known, "batch_size", 1) is None and known.max_tokens is None:
        raise UserError("--batch-size or --max-tokens is needed: how many pairs, or tokens, a micro-batch has")
    ends = getattr(known, "max_update", None) or getattr(known, "total_num_update", None)
    if getattr(known, "lr_scheduler", None) == "polynomial_decay" and not ends:
        raise UserError("--lr-scheduler polynomial_decay needs --max-update, the update at which it ends")


def check_configuration(sections: Mapping[str, Any]) -> None:
    """As `check`, for a configuration of fairseq's: {section: {name: value}}."""
    for section, values in sections.items():
        if isinstance(values, Mapping):
            check(values, lambda name, value, section=section: f"{section}.{name}={value}")


def _numbers(value: Any, name: str) -> list[Any]:
    """The numbers of a value, which may be written as text; what is none stays as it is."""
    if isinstance(value, str):
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return [_number(value)]
    if name in _SEVERAL and isinstance(value, list | tuple):
        return [_number(each) if isinstance(each, str) else each for each in value]
    return [value]


def _number(text: str) -> Any:
    try:
        return float(text)  # nan, inf
    except ValueError:
        return text


def _typed(value: Any) -> str:
    """A value as one would write it on a command line."""
    if isinstance(value, list | tuple) and value:
        return ",".join(map(shown, value))
    return shown(value)
