"""What the checkpoint that a run starts from decides of its model: its head, padding rows, what its family says."""

from pathlib import Path
from typing import Any

from ppa_plugin import flag_ranges
from ppa_plugin.commandline import UserError
from ppa_plugin.files import is_file
from ppa_plugin.model.checkpoint import load_fairseq, padding_rows, settings
from ppa_plugin.model.families import of_names
from ppa_plugin.model.names import has_head

_LAST = "checkpoint_last.pt"


def first_checkpoint(
    save_dir: str, restore_file: str, finetune_from_model: str | None, continue_once: str | None
) -> Path | None:
    """The file that fairseq will load the model from, by its own order; None where training starts from scratch."""
    places = [Path(save_dir) / _LAST, continue_once, finetune_from_model] if restore_file == _LAST else [restore_file]
    return next((Path(place) for place in places if place and is_file(place)), None)


def read_shape(path: Path) -> dict[str, Any]:
    """The settings of the model, by their names, that follow a checkpoint, of whose weights the names alone are read.

    Nothing where it cannot be read, which loading it explains. Padding is what a checkpoint calls so: a matrix that is
    larger than the dictionary is else of another vocabulary. Raises `UserError` for a setting that no model can have.
    """
    try:
        checkpoint = load_fairseq(path)
    except UserError:
        return {}
    said, own = settings(checkpoint, "model"), of_names(checkpoint["model"]).own_flags
    shape = {"headless": not has_head(checkpoint["model"]), "padding_rows": padding_rows(checkpoint)}
    decided = {name: said[name] for name in own if type(said.get(name)) in (int, float)}
    flag_ranges.check(decided, lambda name, value: f"{path}: cfg.model.{name} {value}")
    return shape | decided
