"""The flags of `fairseq-train` that made a checkpoint, read from the checkpoint's own settings."""

import ast
import dataclasses
import shlex
from collections.abc import Iterator
from enum import Enum
from typing import Any

from ppa_plugin.model.checkpoint import settings
from ppa_plugin.model.sizes import SIZE_FLAGS

# The sections of a checkpoint's cfg that make the recipe, the flag that chooses each, and what is shown of it in any
# case: the paper's figures, and sizes, which come from --arch and may equal the default of another one.
_SECTIONS = {
    "task": ("task", "mask_prob mask_keep mask_random max_positions"),
    "criterion": ("criterion", ""),  # each term says which of its flags
    "model": ("arch", " ".join(SIZE_FLAGS)),
    "optimizer": ("optimizer", "adam_betas adam_eps weight_decay"),
    "lr_scheduler": ("lr_scheduler", "warmup_updates"),
    "optimization": ("", "lr clip_norm max_update update_freq"),
    "dataset": ("", "batch_size max_tokens"),
    "distributed_training": ("", "distributed_world_size"),
    "common": ("", "seed"),
    "ema": ("", ""),
}
# Where a run took place, which is no part of its recipe: its processes, ports and directories.
_PLACES = (
    "distributed_rank distributed_init_method distributed_port distributed_no_spawn distributed_num_procs "
    "nprocs_per_node device_id user_dir plasma_path log_file tensorboard_logdir aim_repo"
)
_UNKNOWN = object()


def recipe_flags(checkpoint: dict[str, Any]) -> list[str]:
    """The data path, then a flag with its value each, as a shell takes them; empty where nothing is said of training.

    Whatever differs from the default of fairseq or of this plugin, and the few settings that always belong to a recipe;
    of a component that is not known here everything that is set. None cannot be written as a flag.
    """
    if not any(settings(checkpoint, section) for section in _SECTIONS if section != "model"):
        return []
    data = settings(checkpoint, "task").get("data")
    lines = [shlex.quote(data)] if isinstance(data, str) and data else []
    for section in _SECTIONS:
        lines += _section_flags(checkpoint, section)
    return list(dict.fromkeys(lines))  # a Namespace of every flag may stand for several sections


def _section_flags(checkpoint: dict[str, Any], section: str) -> Iterator[str]:
    choice, always = _SECTIONS[section]
    found = settings(checkpoint, section)
    name = (found.get("_name") or found.get(choice)) if choice else None
    if isinstance(name, str):
        yield _flag(choice, name)
    kind = _dataclass(section, name)
    defaults = vars(kind()) if kind else {}
    fields = dataclasses.fields(kind) if kind else ()
    shown = {*always.split(), *(field.name for field in fields if field.metadata.get("recipe"))}
    every_flag = "save_dir" in found  # what fairseq keeps of a component without a dataclass, and did before 0.10
    for key, value in found.items():
        if key in ("_name", "data", choice, *_PLACES.split()) or value is None:
            continue
        default = defaults.get(key, _UNKNOWN)
        if default is _UNKNOWN and every_flag and (kind is not None or key in _flags_of_sections()):
            continue
        if key in shown or _differs(value, default, checkpoint):
            yield _flag(key, value)


def _dataclass(section: str, name: str | None) -> type | None:
    """The dataclass that holds a section's defaults; None where `name` is of another fairseq or plugin."""
    # here and not above: fairseq takes seconds to import, and a checkpoint that is refused does not need it
    from fairseq import models, registry, tasks
    from fairseq.dataclass.configs import FairseqConfig

    from ppa_plugin.configuration import NAME, TranslitAlignmentConfig, TranslitAlignmentCriterionConfig
    from ppa_plugin.model import architectures  # noqa: F401 - registers the model with its settings

    ours = {"task": TranslitAlignmentConfig, "criterion": TranslitAlignmentCriterionConfig}
    if name == NAME and section in ours:
        return ours[section]
    if section == "task":
        return tasks.TASK_DATACLASS_REGISTRY.get(name)
    if section == "model":
        return models.MODEL_DATACLASS_REGISTRY.get(models.ARCH_MODEL_NAME_REGISTRY.get(name, name))
    if section in registry.REGISTRIES:
        return registry.REGISTRIES[section]["dataclass_registry"].get(name)
    field = FairseqConfig.__dataclass_fields__.get(section)
    return field.type if field else None


def _flags_of_sections() -> set[str]:
    """Every setting that fairseq has a section for."""
    from fairseq.dataclass.configs import FairseqConfig

    sections = [field.type for field in dataclasses.fields(FairseqConfig) if dataclasses.is_dataclass(field.type)]
    return {field.name for section in sections for field in dataclasses.fields(section)}


def _differs(value: Any, default: Any, checkpoint: dict[str, Any]) -> bool:
    """Whether a value is not its default, which may be the value of another setting, as in `${common.fp16}`."""
    if default is _UNKNOWN:
        return value is not False
    if isinstance(default, str) and default.startswith("${"):
        section, _, key = default[2:-1].partition(".")
        default = settings(checkpoint, section).get(key, value)
    return _plain(value) != _plain(default)


def _plain(value: Any) -> Any:
    """A value as checkpoints hold it: choices as text, lists in place of tuples and of their text."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str) and value.startswith(("(", "[")):
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            return value
    return list(value) if isinstance(value, tuple) else value


def _flag(key: str, value: Any) -> str:
    flag = "--" + key.replace("_", "-")
    if isinstance(value, bool):
        return flag  # the one that turns it away from its default
    if isinstance(value, list | tuple):
        # the betas are text to fairseq's parser
        value = f"({', '.join(map(str, value))})" if key == "adam_betas" else ",".join(map(str, value))
    text = shlex.quote(str(value))
    # with a space argparse takes -1e-05 for a flag
    return f"{flag}={text}" if str(value).startswith("-") else f"{flag} {text}"
