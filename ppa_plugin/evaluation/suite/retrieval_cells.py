"""Retrieval as a cell of a suite: one model, one task, all sources, so that each language is embedded once."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppa_plugin.commandline import UserError, natural, positive
from ppa_plugin.evaluation.encoder.batches import POOLS, PRECISIONS
from ppa_plugin.evaluation.retrieval.readers import RETRIEVAL_TASKS, RetrievalSet
from ppa_plugin.model.sizes import default_layer
from ppa_plugin.yaml_file import check_number

if TYPE_CHECKING:
    from ppa_plugin.evaluation.model import Model
    from ppa_plugin.evaluation.results import Result
    from ppa_plugin.evaluation.suite.cell import Cell, Pair

TASKS = RETRIEVAL_TASKS
SEEDS = (None,)  # nothing is drawn
_ENCODER = {"layer": None, "pool": POOLS[0], "precision": "fp32"}
_BATCHES = ("batch_size", "max_tokens")


def sources_by_cell(sources: tuple[str, ...]) -> list[tuple[str, ...]]:
    """All of them in one cell."""
    return [sources]


def names(task: str) -> list[str]:
    """The settings that the task has."""
    return [*_ENCODER, *_BATCHES]


def check(task: str, settings: dict[str, Any], where: str) -> None:
    """Raise `UserError`, naming the key, for a setting that cannot be."""
    for layer in _listed(settings.get("layer", 0)):
        check_number(f"{where}: layer", layer, natural)
    for key, known in (("pool", POOLS), ("precision", PRECISIONS)):
        if key in settings and settings[key] not in known:
            raise UserError(f"{where}: {key} is {settings[key]!r}, expected {' or '.join(known)}")
    for key in _BATCHES:
        check_number(f"{where}: {key}", settings.get(key, 1), positive)


def resolved(cell: "Cell", directory: Path) -> dict[str, Any]:
    """`layers`, `pool`, `precision`. The size of batches is how and not what: it moves the last bits of a vector."""
    from ppa_plugin.convert.hugging_face import read_config

    settings = _ENCODER | cell.settings
    depth = read_config(directory).get("num_hidden_layers")
    layers = settings["layer"]
    if layers is None and depth is not None:
        layers = default_layer(depth)
    elif layers == "all":
        layers = list(range(depth + 1)) if depth is not None else []
    return {"layers": _listed(layers), "pool": settings["pool"], "precision": settings["precision"]}


def variants(settings: dict[str, Any]) -> set[tuple]:
    """The `layer` and `pool` of the results that these resolved settings lead to."""
    return {(layer, settings["pool"]) for layer in settings["layers"]}


def inputs(cell: "Cell") -> dict["Pair", str]:
    """See `Cell.inputs`."""
    from ppa_plugin.evaluation.retrieval import retrieve

    targets = None if cell.targets is None else list(cell.targets)
    pairs = retrieve.plan(RetrievalSet(cell.data, cell.task), list(cell.sources), targets)
    return {(pair.source, pair.target): pair.data_sha256 for pair in pairs}


def measure(cell: "Cell", directory: Path, model: "Model", pairs: list["Pair"], device: str) -> list["Result"]:
    """See `cells.run_cell`."""
    from ppa_plugin.evaluation.encoder.sentence_encoder import SentenceEncoder
    from ppa_plugin.evaluation.retrieval import retrieve

    encoder_settings = _ENCODER | {key: value for key, value in cell.settings.items() if key in _ENCODER}
    batches = {key: value for key, value in cell.settings.items() if key in _BATCHES}
    data = RetrievalSet(cell.data, cell.task)
    chosen = [data.pair(source, target) for source, target in pairs]
    encoder = SentenceEncoder(directory, device=device, **encoder_settings)
    return retrieve.measure(encoder, model, cell.task, chosen, **batches)


def _listed(layers: Any) -> list:
    if layers == "all":
        return []
    return layers if isinstance(layers, list) else [layers]
