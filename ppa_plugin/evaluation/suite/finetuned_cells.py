"""Fine-tuning as a cell of a suite: one model, one task, one source, one seed; every target is a test of it."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.transfer import classify, cross_lingual, tag
from ppa_plugin.evaluation.transfer.labelled import (
    CLASSES,
    TAGGING_TASKS,
    UNKNOWN_LABELS,
    ClassificationSet,
    TaggingSet,
)
from ppa_plugin.evaluation.transfer.recipe_settings import DEFAULT_SEEDS, RECIPES, Recipe, changed, seeds

if TYPE_CHECKING:
    from ppa_plugin.evaluation.model import Model
    from ppa_plugin.evaluation.results import Result
    from ppa_plugin.evaluation.suite.cell import Cell, Pair

TASKS = (*CLASSES, *TAGGING_TASKS)
SEEDS = tuple(seeds(DEFAULT_SEEDS))
_UNKNOWN, _RAW = "unknown_labels", "raw_words"  # the settings that are no part of a recipe


def sources_by_cell(sources: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Each in a cell of its own: a model is fine-tuned on one language."""
    return [(source,) for source in sources]


def names(task: str) -> list[str]:
    """The settings that the task has: its recipe's, and for tagging how labels and words are read."""
    own = [_UNKNOWN] * (task in TAGGING_TASKS) + [_RAW] * (task == "pos")
    return [f.name for f in dataclasses.fields(Recipe)] + own


def check(task: str, settings: dict[str, Any], where: str) -> None:
    """Raise `UserError`, naming the key, for a setting that cannot be."""
    _recipe(task, settings, where)
    if settings.get(_UNKNOWN, UNKNOWN_LABELS[0]) not in UNKNOWN_LABELS:
        expected = " or ".join(UNKNOWN_LABELS)
        raise UserError(f"{where}: {_UNKNOWN} is {settings[_UNKNOWN]!r}, expected {expected}")
    if not isinstance(settings.get(_RAW, False), bool):
        raise UserError(f"{where}: {_RAW} is {settings[_RAW]!r}, expected true or false")


def resolved(cell: "Cell", directory: Path) -> dict[str, Any]:
    """The whole recipe, and for tagging what becomes of unknown labels, for POS how words are read.

    A `precision` that is left to the device stays None: a suite that was begun on GPUs goes on on a CPU, and a
    --dry-run on a machine without one sees what is done. What each result ran in stands in its `config`.
    """
    unknown = {_UNKNOWN: cell.settings.get(_UNKNOWN, UNKNOWN_LABELS[0])} if cell.task in TAGGING_TASKS else {}
    # results from before words were prepared had them raw: they are those of `raw_words`, under the key they have
    words = {_RAW: False} if cell.task == "pos" and not cell.settings.get(_RAW) else {}
    return dataclasses.asdict(_recipe(cell.task, cell.settings, cell.task)) | unknown | words


def variants(settings: dict[str, Any]) -> set[tuple]:
    """The `layer` and `pool` of the results: none."""
    return {(None, None)}


def inputs(cell: "Cell") -> dict["Pair", str]:
    """See `Cell.inputs`."""
    data, source = _data(cell), cell.sources[0]
    targets = _targets(data, cell)
    data.check([source], targets)
    return {(source, target): data.data_sha256(source, target) for target in targets}


def measure(cell: "Cell", directory: Path, model: "Model", pairs: list["Pair"], device: str) -> list["Result"]:
    """See `cells.run_cell`."""
    recipe = _recipe(cell.task, cell.settings, cell.task)
    targets = [target for _, target in pairs]
    form = classify.Classifier if cell.task in CLASSES else tag.Tagger
    return cross_lingual.measure(
        form, directory, model, cell.task, _data(cell), cell.sources[0], targets, cell.seed, recipe, device
    )


def _targets(data, cell: "Cell") -> list[str]:
    return data.targets(cell.sources[0]) if cell.targets is None else list(cell.targets)


def _data(cell: "Cell"):
    if cell.task in CLASSES:
        return ClassificationSet(cell.data, cell.task)
    return TaggingSet(
        cell.data, cell.task, cell.settings.get(_UNKNOWN, UNKNOWN_LABELS[0]), cell.settings.get(_RAW, False)
    )


def _recipe(task: str, settings: dict[str, Any], where: str) -> Recipe:
    """The task's recipe with these settings in it; those that are no part of it are left aside."""
    recipe = RECIPES[task]
    own = {f.name: settings[f.name] for f in dataclasses.fields(recipe) if f.name in settings}
    return changed(recipe, own, where)
