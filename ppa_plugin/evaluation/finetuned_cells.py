"""Fine-tuning as a cell of a suite: one model, one task, one source, one seed; every target is a test of it."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppa_plugin.commandline import UserError

if TYPE_CHECKING:
    from ppa_plugin.evaluation.cells import Cell, Pair
    from ppa_plugin.evaluation.model import Model
    from ppa_plugin.evaluation.results import Result

_CLASSIFICATION = ("taxi1500", "sib200")
TASKS = (*_CLASSIFICATION, "ner", "pos")
SEEDS = (42, 43, 44, 45, 46)


def sources_by_cell(sources: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Each in a cell of its own: a model is fine-tuned on one language."""
    return [(source,) for source in sources]


def names(task: str) -> list[str]:
    """The settings that the task has: its recipe's."""
    return [f.name for f in dataclasses.fields(_module(task).RECIPES[task])]


def check(task: str, settings: dict[str, Any], where: str) -> None:
    """Raise `UserError`, naming the key, for a setting that cannot be."""
    _recipe(task, settings, where)


def resolved(cell: "Cell", directory: Path) -> dict[str, Any]:
    """The whole recipe."""
    return dataclasses.asdict(_recipe(cell.task, cell.settings, cell.task))


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
    return _module(cell.task).measure(
        directory, model, cell.task, _data(cell), cell.sources[0], targets, cell.seed, recipe, device
    )


def _targets(data, cell: "Cell") -> list[str]:
    return data.targets(cell.sources[0]) if cell.targets is None else list(cell.targets)


def _module(task: str):
    from ppa_plugin.evaluation import classify, tag

    return classify if task in _CLASSIFICATION else tag


def _data(cell: "Cell"):
    from ppa_plugin.evaluation import labelled

    kind = labelled.ClassificationSet if cell.task in _CLASSIFICATION else labelled.TaggingSet
    return kind(cell.data, cell.task)


def _recipe(task: str, settings: dict[str, Any], where: str):
    """The task's recipe with these settings in it."""
    recipe = _module(task).RECIPES[task]
    return dataclasses.replace(recipe, **{key: _read(key, value, where) for key, value in settings.items()})


def _read(key: str, value: Any, where: str) -> Any:
    """A number as it is meant: YAML takes 1e-5 (without a point) for a text."""
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        raise UserError(f"{where}: {key} is {value!r}, expected a number") from None
