"""Retrieval as a cell of a suite: one model, one task, all sources, so that each language is embedded once."""

from pathlib import Path
from typing import Any

from ppa_plugin.commandline import UserError, natural, positive
from ppa_plugin.evaluation.encoder.batches import POOLS, PRECISIONS
from ppa_plugin.evaluation.model import Model
from ppa_plugin.evaluation.results import Result
from ppa_plugin.evaluation.retrieval.readers import RetrievalSet
from ppa_plugin.evaluation.suite.cell import Cell, Pair
from ppa_plugin.evaluation.typed_text import remark
from ppa_plugin.model.sizes import default_layer
from ppa_plugin.yaml_file import check_number

_ENCODER = {"layer": None, "pool": POOLS[0], "precision": "fp32"}
_BATCHES = ("batch_size", "max_tokens")


class RetrievalCells:
    """A `Kind`: all sources in one cell, and no seed, since nothing is drawn."""

    seeds = (None,)

    def sources_by_cell(self, sources: tuple[str, ...]) -> list[tuple[str, ...]]:
        return [sources]

    def names(self, task: str) -> list[str]:
        return [*_ENCODER, *_BATCHES]

    def check(self, task: str, settings: dict[str, Any], where: str) -> None:
        for layer in _listed(settings.get("layer", 0)):
            check_number(f"{where}: layer", layer, natural)
        for key, known in (("pool", POOLS), ("precision", PRECISIONS)):
            if key in settings and settings[key] not in known:
                raise UserError(f"{where}: {key} is {settings[key]!r}, expected {' or '.join(known)}")
        for key in _BATCHES:
            check_number(f"{where}: {key}", settings.get(key, 1), positive)

    def resolved(self, cell: Cell, directory: Path) -> dict[str, Any]:
        """`layers`, `pool`, `precision`. The size of batches is how and not what: it moves a vector's last bits."""
        from ppa_plugin.convert.hugging_face import read_config

        settings = _ENCODER | cell.settings
        depth = read_config(directory).get("num_hidden_layers")
        layers = settings["layer"]
        if layers is None and depth is not None:
            layers = default_layer(depth)
        elif layers == "all":
            layers = list(range(depth + 1)) if depth is not None else []
        resolved = {"layers": _listed(layers), "pool": settings["pool"], "precision": settings["precision"]}
        return resolved | remark(cell.romanizers)

    def variants(self, settings: dict[str, Any]) -> set[tuple[int | None, str | None]]:
        return {(layer, settings["pool"]) for layer in settings["layers"]}

    def inputs(self, cell: Cell) -> dict[Pair, str]:
        from ppa_plugin.evaluation.retrieval import retrieve

        targets = None if cell.targets is None else list(cell.targets)
        pairs = retrieve.plan(RetrievalSet(cell.data, cell.task, cell.romanizers), list(cell.sources), targets)
        return {(pair.source, pair.target): pair.data_sha256 for pair in pairs}

    def measure(self, cell: Cell, directory: Path, model: Model, pairs: list[Pair], device: str) -> list[Result]:
        from ppa_plugin.evaluation.encoder.sentence_encoder import SentenceEncoder
        from ppa_plugin.evaluation.retrieval import retrieve

        encoder_settings = _ENCODER | {key: value for key, value in cell.settings.items() if key in _ENCODER}
        batches = {key: value for key, value in cell.settings.items() if key in _BATCHES}
        data = RetrievalSet(cell.data, cell.task, cell.romanizers)
        chosen = [data.pair(source, target) for source, target in pairs]
        encoder = SentenceEncoder(directory, device=device, **encoder_settings)
        return retrieve.measure(encoder, model, cell.task, chosen, **batches, romanizers=cell.romanizers)


def _listed(layers: Any) -> list:
    if layers == "all":
        return []
    return layers if isinstance(layers, list) else [layers]
