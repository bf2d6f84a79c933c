"""What stock fairseq needs on today's Python and torch: one function a reason, none of them weakening safety."""

import argparse
import logging
import sys
import warnings
from importlib import metadata

import torch


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
