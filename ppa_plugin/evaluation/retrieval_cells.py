"""Retrieval as a cell of a suite: one model, one task, all sources, so that each language is embedded once."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.readers import RETRIEVAL_TASKS, RetrievalSet
from ppa_plugin.layers import default_layer
from ppa_plugin.yaml_file import check_number

if TYPE_CHECKING:
    from ppa_plugin.evaluation.cells import Cell, Pair
    from ppa_plugin.evaluation.model import Model
    from ppa_plugin.evaluation.results import Result

TASKS = RETRIEVAL_TASKS
SEEDS = (None,)  # nothing is drawn
_DEFAULTS = {"layer": None, "pool": "all", "batch_size": 64}


def sources_by_cell(sources: tuple[str, ...]) -> list[tuple[str, ...]]:
    """All of them in one cell."""
    return [sources]


def names(task: str) -> list[str]:
    """The settings that the task has."""
    return list(_DEFAULTS)


def check(task: str, settings: dict[str, Any], where: str) -> None:
    """Raise `UserError`, naming the key, for a setting that cannot be."""
    from ppa_plugin.evaluation.embedding import POOLS

    for layer in _listed(settings.get("layer", 0)):
        check_number(f"{where}: layer", layer, (int,), 0)
    if settings.get("pool", POOLS[0]) not in POOLS:
        raise UserError(f"{where}: pool is {settings['pool']!r}, expected {' or '.join(POOLS)}")
    check_number(f"{where}: batch_size", settings.get("batch_size", 1), (int,), 1)


def resolved(cell: "Cell", directory: Path) -> dict[str, Any]:
    """`layers` and `pool`. The batch size is how and not what: it moves the last bits of a vector and no more."""
    from ppa_plugin.convert.hugging_face import read_config

    settings = _DEFAULTS | cell.settings
    depth = read_config(directory).get("num_hidden_layers")
    layers = settings["layer"]
    if layers is None and depth is not None:
        layers = default_layer(depth)
    elif layers == "all":
        layers = list(range(depth + 1))
    return {"layers": _listed(layers), "pool": settings["pool"]}


def variants(settings: dict[str, Any]) -> set[tuple]:
    """The `layer` and `pool` of the results that these resolved settings lead to."""
    return {(layer, settings["pool"]) for layer in settings["layers"]}


def inputs(cell: "Cell") -> dict["Pair", str]:
    """See `Cell.inputs`."""
    from ppa_plugin.evaluation import retrieve

    targets = None if cell.targets is None else list(cell.targets)
    pairs = retrieve.plan(RetrievalSet(cell.data, cell.task), list(cell.sources), targets)
    return {(pair.source, pair.target): pair.data_sha256 for pair in pairs}


def measure(cell: "Cell", directory: Path, model: "Model", pairs: list["Pair"], device: str) -> list["Result"]:
    """See `cells.run_cell`."""
    from ppa_plugin.evaluation import retrieve
    from ppa_plugin.evaluation.embedding import SentenceEncoder

    settings = _DEFAULTS | cell.settings
    data = RetrievalSet(cell.data, cell.task)
    chosen = [data.pair(source, target) for source, target in pairs]
    results = []
    for layer in resolved(cell, directory)["layers"]:
        encoder = SentenceEncoder(directory, layer, settings["pool"], device)
        results += retrieve.measure(encoder, model, cell.task, chosen, settings["batch_size"])
    return results


def _listed(layers: Any) -> list:
    if layers == "all":
        return []
    return layers if isinstance(layers, list) else [layers]
