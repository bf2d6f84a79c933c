"""The settings of a recipe as text, from flags and from the file of a suite: what each may be, and how it is read."""

import argparse
from dataclasses import replace
from typing import Any

from ppa_plugin import commandline
from ppa_plugin.commandline import Range, UserError, natural, positive, shown
from ppa_plugin.evaluation.encoder.batches import PRECISIONS
from ppa_plugin.evaluation.tasks import Recipe

DEFAULT_SEEDS = "42,43,44,45,46"


def changed(recipe: Recipe, settings: dict[str, Any], where: str) -> Recipe:
    """The recipe with the settings of a file, checked as the flags are. Raises `UserError`, naming the key."""
    values = {}
    for name, value in settings.items():
        try:
            # as text, because YAML takes 1e-5, without a point, for one
            text = value if isinstance(value, str) else shown(value)
            values[name] = None if value is None and name in NONE else SETTINGS[name][0](text)
        except argparse.ArgumentTypeError as error:
            raise UserError(f"{where}: {name}: {error}") from None
        if name in CHOICES and value not in CHOICES[name]:
            raise UserError(f"{where}: {name} is {value!r}, expected one of {', '.join(CHOICES[name])}")
    return with_values(recipe, values)


def with_values(recipe: Recipe, values: dict[str, Any]) -> Recipe:
    """The recipe with these values of its fields, of which 0 is None where 0 itself would be nothing."""
    none = {name: None for name in ("clip_norm", "eval_steps") if values.get(name) == 0}
    return replace(recipe, **values | none)


def seeds(text: str) -> list[int]:
    """`42,43` -> [42, 43]. Raises `UserError` for what is no list of different whole numbers."""
    try:
        numbers = [commandline.seed(part) for part in text.split(",")]
    except argparse.ArgumentTypeError:
        raise UserError(
            f"--seeds {shown(text)}: expected whole numbers from 0 to 2^32 - 1 between commas, such as 42,43"
        ) from None
    if len(set(numbers)) < len(numbers):
        raise UserError(f"--seeds {text}: a seed stands twice, and would give the same results twice")
    return numbers


# What None means for each field that may be None.
NONE = {"clip_norm": "none", "patience": "never", "eval_steps": "every epoch"}
# The texts that a field may have.
CHOICES = {"optim": ("adamw_hf", "adamw_torch"), "leftover": ("carry", "step"), "precision": (*PRECISIONS, "auto")}
# What reads each field's text, and its meaning.
SETTINGS = {
    "learning_rate": (Range(0, 10, above=True), "AdamW's learning rate at its highest; it falls linearly to 0"),
    "epochs": (positive, "passes over the training set"),
    "batch_size": (positive, "sentences a batch"),
    "accumulation": (positive, "batches an update"),
    "max_length": (positive, "tokens a sentence with the special ones"),
    "weight_decay": (Range(0, 100), "of all parameters but biases and LayerNorms"),
    "adam_eps": (Range(0, 1, above=True), "AdamW's epsilon"),
    "clip_norm": (Range(0), "greatest norm of the gradient; 0 for none"),
    "warmup": (natural, "updates over which the learning rate rises"),
    "patience": (positive, "epochs without a better dev score after which training stops"),
    "optim": (str, "AdamW with epsilon added before the bias is corrected (Transformers' own) or after it (torch's)"),
    "leftover": (str, "what an epoch's last batches do that make no whole update: carry into the next epoch, or step"),
    "eval_steps": (natural, "updates from one dev score to the next, with one after the last; 0: after every epoch"),
    "precision": (str, "mixed precision, or fp32; auto is fp16 on CUDA, else fp32"),
}
