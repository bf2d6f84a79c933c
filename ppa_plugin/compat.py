"""What stock fairseq needs on today's Python and torch: one function a reason, none of them weakening safety."""

import argparse
import importlib.util
import os
import pickle
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from omegaconf import OmegaConf

from ppa_plugin import flag_ranges
from ppa_plugin.commandline import UserError, disk_failed, exit_on_user_error, quoted, shown
from ppa_plugin.configuration import NAME
from ppa_plugin.files import check_file, naming_file, reading, reason, write_beside
from ppa_plugin.model.checkpoint import check_content, load_safely
from ppa_plugin.model.families import FAMILIES
from ppa_plugin.model.families.family import EMBED_TOKENS, TIED_OUTPUT


def allow_namespaces_in_checkpoints() -> None:
    """Let `torch.load(weights_only=True)`, the default since 2.6, read the `argparse.Namespace` in fairseq checkpoints.

    A Namespace is a bag of attributes: rebuilding one runs no code of the file's choosing. `weights_only` stays on.
    """
    torch.serialization.add_safe_globals([argparse.Namespace])


def follow_interpolated_defaults() -> None:
    """Let `--max-update` set the end of `polynomial_decay`, as its default "${optimization.max_update}" says.

    The command line turns a flag that is not given into None, and today's omegaconf refuses None for a float. Without
    the attribute, fairseq takes the field's own default, the interpolation.
    """
    from fairseq.dataclass import utils

    override_attr = utils._override_attr

    def override_given_attr(sub_node, data_class, args):
        for name, field in getattr(data_class, "__dataclass_fields__", {}).items():
            interpolated = isinstance(field.default, str) and field.default.startswith("${")
            if interpolated and field.type in (int, float) and getattr(args, name, 0) is None:
                delattr(args, name)
        return override_attr(sub_node, data_class, args)

    utils._override_attr = override_given_attr


def read_bf16_flag() -> None:
    """Let `--bf16` train on a GPU or CPU: fairseq's command line takes it for a TPU's and turns `tpu` on."""
    from fairseq import options

    parse = options.parse_args_and_arch

    def parse_without_tpu(*args, **kwargs):
        parsed = parse(*args, **kwargs)
        known = parsed[0] if isinstance(parsed, tuple) else parsed
        known.tpu = getattr(known, "tpu", False) and importlib.util.find_spec("torch_xla") is not None
        return parsed

    options.parse_args_and_arch = parse_without_tpu


def save_checkpoints_whole() -> None:
    """Let no kill and no full disk leave a torn checkpoint that a later run trusts.

    fairseq renames its first file into place but makes `checkpoint_last.pt` by a plain copy, and tries again on the
    same handle after a failed write. Here both are written beside, flushed to the disk and renamed; a failure is one
    sentence.
    """
    from fairseq import checkpoint_utils

    def save(state, filename, async_write=False):
        with _one_sentence_for(filename), write_beside(filename, "wb") as handle:
            torch.save(state, handle)

    def copy(source, target, overwrite=False):
        with _one_sentence_for(target), open(source, "rb") as whole, write_beside(target, "wb") as handle:
            shutil.copyfileobj(whole, handle, 1 << 24)
        return target

    checkpoint_utils.torch_persistent_save = save
    checkpoint_utils.PathManager.copy = staticmethod(copy)


@contextmanager
def _one_sentence_for(filename: str) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as error:  # torch's writer raises RuntimeError where a write fails
        why = getattr(error, "strerror", None) or "the disk is full or failed"
        sys.stderr.write(f"error: cannot save {filename}: {why}; make room and start the same command again\n")
        raise SystemExit(1) from None


def save_tied_weights_once() -> None:
    """Keep the tied embedding of a checkpoint in one piece, 1.2 GB for Glot500.

    fairseq copies every tensor to the CPU on its own, so that from a GPU, or widened from FP16, the file would hold the
    embedding and the output projection, which are one parameter, as two.
    """
    from fairseq import checkpoint_utils

    save = checkpoint_utils.torch_persistent_save

    def save_tied(state, *args, **kwargs):
        model = state.get("model", {})
        if TIED_OUTPUT in model and torch.equal(model[TIED_OUTPUT], model[EMBED_TOKENS]):
            state = state | {"model": model | {TIED_OUTPUT: model[EMBED_TOKENS]}}
        return save(state, *args, **kwargs)

    checkpoint_utils.torch_persistent_save = save_tied


def refuse_unsafe_checkpoints() -> None:
    """Say in one sentence why a checkpoint is not loaded: torn, of other parts, or holding objects that could run code.

    So is what the trainer then finds wrong with it, such as the optimizer state of another model.
    """
    from fairseq import checkpoint_utils
    from fairseq.trainer import Trainer

    load, load_into_trainer = checkpoint_utils.load_checkpoint_to_cpu, Trainer.load_checkpoint

    @exit_on_user_error()
    def load_or_say_why(path, *args, **kwargs):
        check_file(path)
        _check_before_upgrade(path)
        try:
            with naming_file(path):
                state = load(path, *args, **kwargs)
        except pickle.UnpicklingError as error:
            raise UserError(
                f"{path} was not loaded: it is torn, or holds Python objects that could run code; only tensors "
                "and plain values are read"
            ) from error
        except Exception as error:  # fairseq's upgrade of older checkpoints takes every part for what it should be
            if isinstance(error, OSError) and disk_failed(error):
                raise
            raise UserError(f"{path} is not a whole checkpoint of fairseq ({reason(error)})") from error
        _check_progress(state, path)
        return state

    @exit_on_user_error()
    def load_or_say_what_differs(trainer, filename, *args, **kwargs):
        with reading(filename, "a checkpoint of this model and its optimizer"):
            return load_into_trainer(trainer, filename, *args, **kwargs)

    checkpoint_utils.load_checkpoint_to_cpu = load_or_say_why
    Trainer.load_checkpoint = load_or_say_what_differs


def _check_before_upgrade(path: str) -> None:
    """Raise `UserError` where a part is of another type than fairseq's loading takes it for."""
    try:
        content = load_safely(path, allowed=(argparse.Namespace,))
    except UserError:
        return  # which loading explains
    check_content(content, path)
    for key, kinds in (("cfg", dict), ("args", argparse.Namespace)):
        if not isinstance(content.get(key), (kinds, type(None))):
            raise UserError(f"{path} is not a whole checkpoint of fairseq: its {key} is {quoted(content[key])}")


def _check_progress(state: dict, path: str) -> None:
    """Raise `UserError` where a checkpoint, upgraded, does not say how far its run has come."""
    history, extra = state.get("optimizer_history"), state.get("extra_state")
    last = history[-1] if isinstance(history, list) and history else None
    place = extra.get("train_iterator") if isinstance(extra, dict) else None
    wanted = (("optimizer_history", last, ("num_updates",)), ("extra_state", place, ("epoch", "iterations_in_epoch")))
    for part, found, keys in wanted:
        counts = [found.get(key, 0) for key in keys] if isinstance(found, dict) else [None]
        if not all(isinstance(count, int) and count >= 0 for count in counts):
            raise UserError(f"{path} is not a whole checkpoint of fairseq: its {part} is {quoted(state.get(part))}")


def refuse_what_cannot_work() -> None:
    """Say in one sentence what would end in a traceback, or train from random weights, because of this plugin.

    Commands that write text and components of other tasks are found on the command line, before anything is loaded;
    what goes with the checkpoint to start from, when it is about to be.
    """
    from fairseq import checkpoint_utils, options

    parse, load = options.parse_args_and_arch, checkpoint_utils.load_checkpoint

    @exit_on_user_error()
    def parse_what_works(*args, **kwargs):
        parsed = parse(*args, **kwargs)
        known = parsed[0] if isinstance(parsed, tuple) else parsed
        _check_components(known)
        if getattr(known, "task", None) == NAME:
            flag_ranges.check_command_line(known)
        return parsed

    @exit_on_user_error()
    def load_what_works(cfg, trainer, **kwargs):
        _check_start(cfg, trainer.cfg)
        if not os.path.isfile(os.path.join(cfg.save_dir, f"checkpoint_last{trainer.checkpoint_suffix}.pt")):
            _check_continued(cfg)
        return load(cfg, trainer, **kwargs)

    options.parse_args_and_arch = parse_what_works
    checkpoint_utils.load_checkpoint = load_what_works


def refuse_numbers_that_cannot_be() -> None:
    """Check every number of a configuration in `fairseq-hydra-train`, which has no parser that would.

    Training asks who the master is before it seeds, writes or loads anything, and it is the first that it asks of a
    module once the plugin is imported. Lists of numbers, which fairseq's parsers evaluate, end in one sentence too.
    """
    from fairseq.dataclass import utils as dataclass_utils
    from fairseq.distributed import utils

    is_master, eval_str_list = utils.is_master, dataclass_utils.eval_str_list

    @exit_on_user_error()
    def is_master_of_what_can_be(cfg):
        utils.is_master = is_master
        everything = cfg._get_root() if OmegaConf.is_config(cfg) else {}
        if "task" in everything and getattr(everything.task, "_name", None) == NAME:
            flag_ranges.check_configuration(OmegaConf.to_container(everything, enum_to_str=True))
        return is_master(cfg)

    def eval_list(x, x_type=float):
        try:
            numbers = eval_str_list(x, x_type)
            if x_type is not int or numbers == eval_str_list(x, float):
                return numbers
        except Exception:  # whatever a text ends in that is evaluated as Python
            numbers = None
        kind = "whole number" if x_type is int else "number"
        raise argparse.ArgumentTypeError(f"{shown(x)} is neither a {kind} nor several, such as 1,2")

    utils.is_master = is_master_of_what_can_be
    dataclass_utils.eval_str_list = eval_list


def _check_components(known: argparse.Namespace) -> None:
    """Raise `UserError` where the flags put the plugin's task, criterion or model together with others.

    `fairseq-validate` parses a second time, without defaults: what is not there then was not given.
    """
    from fairseq.models import ARCH_MODEL_NAME_REGISTRY

    criterion, arch = getattr(known, "criterion", None), getattr(known, "arch", None)
    ours = arch is not None and ARCH_MODEL_NAME_REGISTRY.get(arch) in FAMILIES
    if getattr(known, "task", None) != NAME:
        flag = f"--criterion {NAME}" if criterion == NAME else f"--arch {arch}" if ours else None
        if flag and hasattr(known, "task"):
            raise UserError(f"{flag} goes with --task {NAME} alone, not with --task {known.task}")
        return
    # flags of fairseq-generate and fairseq-interactive, and of fairseq-eval-lm
    if hasattr(known, "beam") or hasattr(known, "output_word_probs"):
        raise UserError(
            f"--task {NAME} trains a masked language model, which writes no text and scores none from left to right; "
            "use fairseq-validate for its losses, or ppa-convert to-hf and ppa-evaluate"
        )
    if criterion not in (None, NAME):
        raise UserError(f"--task {NAME} needs --criterion {NAME}, not {criterion}")
    if arch is not None and not ours:
        names = ", ".join(
            name for name, model in ARCH_MODEL_NAME_REGISTRY.items() if model in FAMILIES and model != name
        )
        raise UserError(f"--task {NAME} needs one of the architectures {names}, not {arch}")


def _check_start(cfg, everything) -> None:
    """Raise `UserError` where a run cannot start as its flags say: `cfg` is the section `checkpoint`."""
    if everything.ema.store_ema:
        raise UserError(
            "--store-ema: fairseq's moving average moves an embedding that is the output projection too twice, so "
            "that it is none; leave it out, and select among checkpoints with --retrieval-data or ppa-evaluate select"
        )
    start = "--finetune-from-model" if cfg.finetune_from_model else None
    resets = ("reset_optimizer", "reset_lr_scheduler", "reset_meters", "reset_dataloader")
    if start and (given := [name for name in resets if cfg[name]]):
        flag = f"--{given[0].replace('_', '-')}"
        raise UserError(f"{flag} beside {start}, which resets all of these by itself: leave {flag} out")
    if start and cfg.restore_file != "checkpoint_last.pt":
        raise UserError(
            f"{start} and --restore-file name two files to start from; keep {start} to start a new run from a model, "
            "--restore-file to go on with a run"
        )
    validates = not everything.dataset.disable_validation
    metric = cfg.best_checkpoint_metric
    if validates and metric == "retrieval_top10" and not everything.task.get("retrieval_data"):
        raise UserError(f"--best-checkpoint-metric {metric} needs --retrieval-data, which measures it")


def _check_continued(cfg) -> None:
    """Raise `UserError` where a first launch would pass over a file to start from."""
    if cfg.continue_once is not None and not os.path.isfile(cfg.continue_once):
        raise UserError(f"--continue-once {cfg.continue_once} does not exist")
    if cfg.continue_once is not None and cfg.finetune_from_model:
        raise UserError("--continue-once and --finetune-from-model name two files to start from; leave one of them out")


def broadcast_plain_configurations() -> None:
    """Let ranks share a loaded checkpoint, which rank 0 sends through a `torch.load(weights_only=True)`.

    The configuration travels as the plain dictionary that the file holds instead of OmegaConf's classes; the receiving
    ranks do not read it. fairseq's stand-in for a tensor, a dataclass with one number, is allowed by its exact class.
    """
    from fairseq.distributed import utils

    torch.serialization.add_safe_globals([utils._TensorPlaceholder])
    broadcast = utils.broadcast_object

    def broadcast_plain(obj, *args, **kwargs):
        if isinstance(obj, dict) and OmegaConf.is_config(obj.get("cfg")):
            obj = obj | {"cfg": OmegaConf.to_container(obj["cfg"], enum_to_str=True)}
        return broadcast(obj, *args, **kwargs)

    utils.broadcast_object = broadcast_plain


def list_flags_in_help(configs: dict[str, type]) -> None:
    """Let `fairseq-train --user-dir ... --help` list these configurations' flags, under these titles.

    fairseq parses twice and adds the flags of the chosen task, criterion and model only the second time; `--help` ends
    the first. The plugin is imported before the parser is filled, so it can add its flags then.
    """
    if not {"-h", "--help"} & set(sys.argv[1:]):
        return
    from fairseq import options
    from fairseq.dataclass.utils import gen_parser_from_dataclass

    add_model_args = options.add_model_args

    def add_model_and_plugin_args(parser):
        group = add_model_args(parser)
        for title, config in configs.items():
            gen_parser_from_dataclass(parser.add_argument_group(title), config())
        return group

    options.add_model_args = add_model_and_plugin_args
