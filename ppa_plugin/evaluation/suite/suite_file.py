"""The file of a suite: which models are measured on which tasks, from which sources, with which seeds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ppa_plugin import commandline
from ppa_plugin.codes import canonical
from ppa_plugin.commandline import UserError, quoted
from ppa_plugin.evaluation.suite.cell import Cell, Kind
from ppa_plugin.evaluation.suite.finetuned_cells import FinetunedCells
from ppa_plugin.evaluation.suite.retrieval_cells import RetrievalCells
from ppa_plugin.evaluation.tasks import CLASSIFICATION, RETRIEVAL, TAGGING, TASKS
from ppa_plugin.evaluation.typed_text import ORIG, of_suite
from ppa_plugin.yaml_file import check_number, known_keys, load_yaml, place_of

KINDS: dict[str, Kind] = {RETRIEVAL: RetrievalCells(), CLASSIFICATION: FinetunedCells(), TAGGING: FinetunedCells()}
_HUB = "hf:"  # a dataset of the hub in place of a directory
_OF_EVERY_TASK = ("data", "sources", "targets", "seeds", "input", "romanizer")


@dataclass(frozen=True)
class Suite:
    """The cells of the matrix in their order, where their results go (None: not said) and what computes them."""

    cells: list[Cell]
    output: str | None
    device: str | None


def load_suite(path: str | Path) -> Suite:
    """Read a suite's file; relative paths in it are relative to the file, `~` is the user's home.

    Raises `UserError`, naming the file and the key, for what is not as documented.
    """
    content, base = load_yaml(path), Path(path).parent
    try:
        values = known_keys(("models", "tasks", "output", "device"), content, "the suite")
        output, device = (_text(key, values.get(key)) for key in ("output", "device"))
        models = _models(values.get("models"), base)
        cells = [cell for model in models for cell in _cells(*model, values.get("tasks"), base)]
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return Suite(cells, output and str(place_of(output, base)), device)


def _models(entries: Any, base: Path) -> list[tuple[str, str]]:
    """(path, name) of every model."""
    if not isinstance(entries, list) or not entries:
        raise UserError("models is empty or no list; write a line such as '- aligned' or '- {path: a, name: b}' each")
    models = [_model(entry, f"models, entry {number}", base) for number, entry in enumerate(entries, 1)]
    names = [name for _, name in models]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"two models are called {name!r}; give one of them another: {{path: ..., name: ...}}")
    return models


def _model(entry: Any, where: str, base: Path) -> tuple[str, str]:
    values = {"path": entry} if isinstance(entry, str) else known_keys(("path", "name"), entry, where)
    path, name = (_text(f"{where}: {key}", values.get(key)) for key in ("path", "name"))
    if path is None:
        raise UserError(f"{where} lacks the key 'path'")
    # what is no directory here may be a name on the hub, which is not relative to anything
    place = place_of(path, base)
    return str(place) if place.is_dir() else path, name or place.absolute().name


def _cells(path: str, name: str, tasks: Any, base: Path) -> list[Cell]:
    if not isinstance(tasks, dict) or not tasks:
        raise UserError("tasks is empty or no mapping; write 'bible: {data: DIR, sources: [eng_Latn]}' or the like")
    cells = []
    for task, options in known_keys(TASKS, tasks, "tasks").items():
        where, kind = f"tasks.{task}", KINDS[TASKS[task].kind]
        known_keys((*_OF_EVERY_TASK, *kind.names(task)), options, where)
        settings = {key: value for key, value in options.items() if key not in _OF_EVERY_TASK}
        kind.check(task, settings, where)
        sources = _languages(options, "sources", where)
        targets = _languages(options, "targets", where) if options.get("targets") is not None else None
        romanizer = _text(f"{where}: romanizer", options.get("romanizer"))
        romanizers = of_suite(options.get("input", ORIG), romanizer, where, base)
        cells += [
            Cell(kind, task, path, name, _data(options, where, base), group, targets, seed, settings, romanizers)
            for group in kind.sources_by_cell(sources)
            for seed in _seeds(options, kind.seeds, where)
        ]
    return cells


def _data(options: dict[str, Any], where: str, base: Path) -> str:
    data = _text(f"{where}: data", options.get("data"))
    if data is None:
        raise UserError(f"{where} lacks the key 'data', the directory with the task's files")
    return data if data.startswith(_HUB) else str(place_of(data, base))


def _languages(options: dict[str, Any], key: str, where: str) -> tuple[str, ...]:
    codes = options.get(key)
    if not isinstance(codes, list) or not codes:
        raise UserError(f"{where}: {key} is {quoted(codes)}, expected a list of languages such as [eng_Latn, fas_Arab]")
    for code in codes:
        if not isinstance(code, str) or canonical(code) is None:
            raise UserError(f"{where}: {key}: {quoted(code)} is not a language code such as fas_Arab or eng_Latn")
    return tuple(dict.fromkeys(canonical(code) for code in codes))


def _seeds(options: dict[str, Any], default: tuple, where: str) -> tuple:
    if "seeds" not in options:
        return default
    if default == (None,):
        raise UserError(f"{where} has seeds, but nothing is drawn in retrieval; take the key out")
    seeds = options["seeds"]
    if not isinstance(seeds, list) or not seeds:
        raise UserError(f"{where}: seeds is {quoted(seeds)}, expected a list such as [42, 43]")
    for seed in seeds:
        check_number(f"{where}: a seed", seed, commandline.seed)
    return tuple(dict.fromkeys(seeds))


def _text(key: str, value: Any) -> str | None:
    if value is not None and (not isinstance(value, str) or not value or "\0" in value):
        raise UserError(f"{key} is {quoted(value)}, expected a text")
    return value
