"""Fine-tuning as a cell of a suite: one model, one task, one source, one seed; every target is a test of it."""

import contextlib
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppa_plugin.commandline import UserError
from ppa_plugin.yaml_file import check_number

if TYPE_CHECKING:
    from ppa_plugin.evaluation.cells import Cell, Pair
    from ppa_plugin.evaluation.model import Model
    from ppa_plugin.evaluation.results import Result

_CLASSIFICATION, _TAGGING = ("taxi1500", "sib200"), ("ner", "pos")
TASKS = _CLASSIFICATION + _TAGGING
SEEDS = (42, 43, 44, 45, 46)


def sources_by_cell(sources: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Each in a cell of its own: a model is fine-tuned on one language."""
    return [(source,) for source in sources]


def names(task: str) -> list[str]:
    """The settings that the task has: its recipe's, and for tagging what becomes of labels that the source lacks."""
    return [f.name for f in dataclasses.fields(_module(task).RECIPES[task])] + ["unknown_labels"] * (task in _TAGGING)


def check(task: str, settings: dict[str, Any], where: str) -> None:
    """Raise `UserError`, naming the key, for a setting that cannot be."""
    from ppa_plugin.evaluation.labelled import UNKNOWN_LABELS

    _recipe(task, settings, where)
    if settings.get("unknown_labels", UNKNOWN_LABELS[0]) not in UNKNOWN_LABELS:
        expected = " or ".join(UNKNOWN_LABELS)
        raise UserError(f"{where}: unknown_labels is {settings['unknown_labels']!r}, expected {expected}")


def resolved(cell: "Cell", directory: Path) -> dict[str, Any]:
    """The whole recipe, and what becomes of unknown labels where that is not the default."""
    unknown = {key: cell.settings[key] for key in ("unknown_labels",) if key in cell.settings}
    return dataclasses.asdict(_recipe(cell.task, cell.settings, cell.task)) | unknown


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
    from ppa_plugin.evaluation.labelled import ClassificationSet, TaggingSet

    if cell.task in _CLASSIFICATION:
        return ClassificationSet(cell.data, cell.task)
    unknown = {key: cell.settings[key] for key in ("unknown_labels",) if key in cell.settings}
    return TaggingSet(cell.data, cell.task, **unknown)


def _recipe(task: str, settings: dict[str, Any], where: str):
    """The task's recipe with these settings in it, each of the kind that the recipe's default has."""
    recipe = _module(task).RECIPES[task]
    own = {f.name: getattr(recipe, f.name) for f in dataclasses.fields(recipe) if f.name in settings}
    return dataclasses.replace(recipe, **{key: _read(settings[key], own[key], f"{where}: {key}") for key in own})


def _read(value: Any, default: Any, where: str) -> Any:
    """A value of a recipe. YAML takes 1e-5, without a point, for a text: it is read as the number that it is."""
    if isinstance(value, str) and isinstance(default, float):
        with contextlib.suppress(ValueError):
            value = float(value)
    if isinstance(default, float):
        check_number(where, value, (int, float), 0)
    elif isinstance(default, int):
        check_number(where, value, (int,), 0)
    return value
