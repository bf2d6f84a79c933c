"""The recipes of fine-tuning, and their settings as text, from flags and the file of a suite: what each may be."""

import argparse
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ppa_plugin import commandline
from ppa_plugin.commandline import Range, UserError, natural, positive, shown
from ppa_plugin.evaluation.encoder.batches import PRECISIONS

if TYPE_CHECKING:
    import torch

DEFAULT_SEEDS = "42,43,44,45,46"


@dataclass(frozen=True)
class Recipe:
    """How to fine-tune; RECIPES state what differs between them.

    `max_length` counts tokens with the special ones, `warmup` updates, `patience` epochs without a better dev score
    (None: never stop early), `clip_norm` the gradient's norm (None: as it is). The learning rate falls linearly to 0.
    `precision` is one of `batches.PRECISIONS`; None is fp16 on CUDA and fp32 elsewhere.
    """

    learning_rate: float
    epochs: int
    max_length: int
    batch_size: int = 32
    accumulation: int = 1
    weight_decay: float = 0.0
    adam_eps: float = 1e-8
    clip_norm: float | None = None
    warmup: int = 0
    patience: int | None = None
    precision: str | None = None

    def on(self, device: "torch.device") -> str:
        """The precision on that device. Raises `UserError` for fp16 where there is no CUDA."""
        if self.precision is None:
            return "fp16" if device.type == "cuda" else "fp32"
        if self.precision == "fp16" and device.type != "cuda":
            raise UserError(f"--precision fp16 needs a CUDA device, not {device.type}; use bf16 or fp32")
        return self.precision


# As the paper's evaluation was run; the clipping is in its code alone.
RECIPES = {
    "taxi1500": Recipe(learning_rate=1e-5, epochs=40, max_length=100),
    "sib200": Recipe(learning_rate=1e-5, epochs=40, max_length=160),
    "ner": Recipe(learning_rate=2e-5, epochs=5, accumulation=2, max_length=256, clip_norm=1.0),
    "pos": Recipe(learning_rate=2e-5, epochs=10, accumulation=2, max_length=256, clip_norm=1.0),
}


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
        if name == "precision" and values[name] not in (None, *PRECISIONS):
            raise UserError(f"{where}: precision is {value!r}, expected one of {', '.join(PRECISIONS)}")
    if values.get("clip_norm") == 0:
        values["clip_norm"] = None
    return replace(recipe, **values)


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
NONE = {"clip_norm": "none", "patience": "never", "precision": "fp16 on CUDA, else fp32"}
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
    "precision": (str, "mixed precision, or fp32"),
}
