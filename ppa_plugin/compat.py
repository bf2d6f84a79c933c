"""What stock fairseq needs on today's Python and torch: one function a reason, none of them weakening safety."""

import argparse
import importlib.util
import logging
import os
import pickle
import shutil
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata

import torch
from omegaconf import OmegaConf

from ppa_plugin.commandline import UserError, exit_on_user_error
from ppa_plugin.convert.names import EMBED_TOKENS, TIED_OUTPUT
from ppa_plugin.files import write_beside


def require_fairseq_fixed() -> None:
    """Stop where the module `fairseq` is of another distribution: fairseq 0.12.2 does not import here."""
    try:
        metadata.version("fairseq-fixed")
    except metadata.PackageNotFoundError:
        raise ImportError(
            "ppa_plugin needs the distribution fairseq-fixed: pip install fairseq-fixed==0.12.3.1"
        ) from None
    try:
        version = metadata.version("fairseq")
    except metadata.PackageNotFoundError:
        return
    raise ImportError(f"fairseq {version} shadows fairseq-fixed, which ppa_plugin needs: pip uninstall fairseq")


def allow_namespaces_in_checkpoints() -> None:
    """Let `torch.load(weights_only=True)`, the default since 2.6, read the `argparse.Namespace` in fairseq checkpoints.

    A Namespace is a bag of attributes: rebuilding one runs no code of the file's choosing. `weights_only` stays on.
    """
    torch.serialization.add_safe_globals([argparse.Namespace])


def quiet_imports() -> None:
    """Drop what fairseq's dependencies say on every start, and what no user of theirs can change."""
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"fairscale\.")
    warnings.filterwarnings("ignore", category=UserWarning, module=r"hydra\.")
    warnings.filterwarnings("ignore", message=r"\n'config' is validated against ConfigStore schema")
    warnings.filterwarnings("ignore", message="The PyTorch API of nested tensors is in prototype stage")
    logging.getLogger("fairseq.tasks.text_to_speech").setLevel(logging.WARNING)


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
        reason = (
            os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "the disk is full or failed"
        )
        sys.stderr.write(f"error: cannot save {filename}: {reason}; make room and start the same command again\n")
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
    """Say in one sentence why a checkpoint is not loaded: torn, or holding objects that could run code."""
    from fairseq import checkpoint_utils

    load = checkpoint_utils.load_checkpoint_to_cpu

    @exit_on_user_error()
    def load_or_say_why(path, *args, **kwargs):
        try:
            return load(path, *args, **kwargs)
        except pickle.UnpicklingError:
            raise UserError(
                f"{path} was not loaded: it is torn, or holds Python objects that could run code; only tensors "
                "and plain values are read"
            ) from None
        except (EOFError, RuntimeError, KeyError) as error:
            raise UserError(f"{path} is not a whole checkpoint of fairseq ({type(error).__name__}: {error})") from None

    checkpoint_utils.load_checkpoint_to_cpu = load_or_say_why


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
