"""Fine-tuning as a cell of a suite: one model, one task, one source, one seed; every target is a test of it."""

import dataclasses
from pathlib import Path
from typing import Any

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.model import Model
from ppa_plugin.evaluation.results import Result
from ppa_plugin.evaluation.suite.cell import Cell, Pair
from ppa_plugin.evaluation.tasks import TAGGING, TASKS, UNNAMED, Recipe
from ppa_plugin.evaluation.transfer import cross_lingual
from ppa_plugin.evaluation.transfer.labelled import SETS, UNKNOWN_LABELS, LabelledSet
from ppa_plugin.evaluation.transfer.recipe_settings import DEFAULT_SEEDS, changed, seeds
from ppa_plugin.evaluation.typed_text import remark

_RECIPE = [f.name for f in dataclasses.fields(Recipe)]
# how labels and words of some tasks are read
_UNKNOWN, _RAW = "unknown_labels", "raw_words"


class FinetunedCells:
    """A `Kind`: each source in a cell of its own, since a model is fine-tuned on one language."""

    seeds = tuple(seeds(DEFAULT_SEEDS))

    def sources_by_cell(self, sources: tuple[str, ...]) -> list[tuple[str, ...]]:
        return [(source,) for source in sources]

    def names(self, task: str) -> list[str]:
        return [*_RECIPE, *_reading(task)]

    def check(self, task: str, settings: dict[str, Any], where: str) -> None:
        _recipe(task, settings, where)
        if settings.get(_UNKNOWN, UNKNOWN_LABELS[0]) not in UNKNOWN_LABELS:
            expected = " or ".join(UNKNOWN_LABELS)
            raise UserError(f"{where}: {_UNKNOWN} is {settings[_UNKNOWN]!r}, expected {expected}")
        if not isinstance(settings.get(_RAW, False), bool):
            raise UserError(f"{where}: {_RAW} is {settings[_RAW]!r}, expected true or false")

    def resolved(self, cell: Cell, directory: Path) -> dict[str, Any]:
        """The whole recipe, and for tagging what becomes of unknown labels, for treebanks how words are read.

        The precision `auto` is no other on another device: a suite that was begun on GPUs goes on on a CPU, and a
        --dry-run on a machine without one sees what is done. What each result ran in stands in its `config`.
        """
        reading = _reading(cell.task) | {key: cell.settings[key] for key in _reading(cell.task) if key in cell.settings}
        # results from before words were prepared had them raw: they are those of `raw_words`, under the key they have
        if reading.get(_RAW):
            del reading[_RAW]
        settings = dataclasses.asdict(_recipe(cell.task, cell.settings, cell.task)) | reading | remark(cell.romanizers)
        # so have those from before there was another way to fine-tune, when `auto` was None
        settings["precision"] = None if settings["precision"] == "auto" else settings["precision"]
        return {key: value for key, value in settings.items() if key not in UNNAMED or value != UNNAMED[key]}

    def variants(self, settings: dict[str, Any]) -> set[tuple[int | None, str | None]]:
        return {(None, None)}

    def inputs(self, cell: Cell) -> dict[Pair, str]:
        data, source = _data(cell), cell.sources[0]
        targets = data.targets(source) if cell.targets is None else list(cell.targets)
        data.check([source], targets)
        return {(source, target): data.data_sha256(source, target) for target in targets}

    def measure(self, cell: Cell, directory: Path, model: Model, pairs: list[Pair], device: str) -> list[Result]:
        recipe = _recipe(cell.task, cell.settings, cell.task)
        targets = [target for _, target in pairs]
        return cross_lingual.measure(directory, model, _data(cell), cell.sources[0], targets, cell.seed, recipe, device)


def _reading(task: str) -> dict[str, Any]:
    """The settings of a task that are no part of a recipe, with their defaults."""
    unknown = {_UNKNOWN: UNKNOWN_LABELS[0]} if TASKS[task].kind == TAGGING else {}
    return unknown | ({_RAW: False} if TASKS[task].treebanks else {})


def _data(cell: Cell) -> LabelledSet:
    reading = {key: value for key, value in cell.settings.items() if key not in _RECIPE}
    return SETS[TASKS[cell.task].kind](cell.data, cell.task, **reading, romanizers=cell.romanizers)


def _recipe(task: str, settings: dict[str, Any], where: str) -> Recipe:
    """The task's recipe with these settings in it; those that are no part of it are left aside."""
    return changed(TASKS[task].recipe, {key: settings[key] for key in _RECIPE if key in settings}, where)
