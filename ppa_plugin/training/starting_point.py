"""What the checkpoint that a run starts from decides of its model: whether it has a head, and how many padding rows."""

from pathlib import Path
from typing import NamedTuple

from ppa_plugin.commandline import UserError
from ppa_plugin.files import is_file
from ppa_plugin.model.checkpoint import load_fairseq, padding_rows
from ppa_plugin.model.names import has_head

_LAST = "checkpoint_last.pt"


class Shape(NamedTuple):
    """The settings of the model, by their names, that follow the checkpoint."""

    headless: bool
    padding_rows: int


def first_checkpoint(
    save_dir: str, restore_file: str, finetune_from_model: str | None, continue_once: str | None
) -> Path | None:
    """The file that fairseq will load the model from, by its own order; None where training starts from scratch."""
    places = [Path(save_dir) / _LAST, continue_once, finetune_from_model] if restore_file == _LAST else [restore_file]
    return next((Path(place) for place in places if place and is_file(place)), None)


def read_shape(path: Path) -> Shape | None:
    """What a checkpoint says, of its weights the names alone; None where it cannot be read, which loading it explains.

    Padding is what a checkpoint calls so: a matrix that is larger than the dictionary is else of another vocabulary.
    """
    try:
        checkpoint = load_fairseq(path)
    except UserError:
        return None
    return Shape(not has_head(checkpoint["model"]), padding_rows(checkpoint))
