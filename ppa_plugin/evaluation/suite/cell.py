"""A cell of the matrix models x tasks x sources x seeds: the smallest piece of work that is measured at once.

A cell is one model on one task: for the tasks that are fine-tuned, from one source with one seed; for retrieval, from
all sources, because each language is embedded once. Its results are told apart by pair of source and target.
"""

import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from ppa_plugin.evaluation.model import Model
from ppa_plugin.evaluation.results import Result
from ppa_plugin.evaluation.suite import finetuned_cells, retrieval_cells

# task -> how its cells are made and measured; both modules have the same functions
KINDS: dict[str, ModuleType] = {
    **dict.fromkeys(retrieval_cells.TASKS, retrieval_cells),
    **dict.fromkeys(finetuned_cells.TASKS, finetuned_cells),
}
Pair = tuple[str, str]  # source and target


@dataclass(frozen=True)
class Cell:
    """What to measure. `model` is a directory or a hub name; `targets` None is every language found.

    `seed` is None for retrieval; `settings` are those of the task that are not left at their defaults.
    """

    task: str
    model: str
    name: str
    data: str
    sources: tuple[str, ...]
    targets: tuple[str, ...] | None = None
    seed: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        seed = "" if self.seed is None else f", seed {self.seed}"
        return f"{self.name}, {self.task} from {' '.join(self.sources)}{seed}"

    def inputs(self) -> dict[Pair, str]:
        """Every pair that the cell measures, in order, and the `data_sha256` of its results.

        Raises `UserError` where a file is missing or the task has not these languages.
        """
        return KINDS[self.task].inputs(self)

    def resolved(self, directory: Path) -> dict[str, Any]:
        """All settings that its results depend on, defaults filled in, for the model in `directory`."""
        return KINDS[self.task].resolved(self, directory)

    def key(self, pair: Pair, model_sha256: str, data_sha256: str, settings: dict[str, Any]) -> str:
        """16 hexadecimal digits, the same in every run, for the results of one pair: what they depend on, and no path.

        `settings` are the resolved ones.
        """
        parts = [self.name, model_sha256, self.task, *pair, self.seed, data_sha256, settings]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode("utf-8")).hexdigest()[:16]


def run_cell(
    cell: Cell, device: str, directory: Path | None = None, model: Model | None = None, pairs: list[Pair] | None = None
) -> list[Result]:
    """Measure `pairs` of a cell (default: all of them) on `device`, in the pairs' order.

    `directory` and `model` are found and hashed here unless they are given. Raises `UserError` as the task does.
    """
    if directory is None or model is None:
        directory, model = find_model(cell.model, cell.name)
    pairs = list(cell.inputs()) if pairs is None else pairs
    return KINDS[cell.task].measure(cell, directory, model, pairs, device)


def find_model(path: str, name: str | None) -> tuple[Path, Model]:
    """The local directory of a model and what results say of it. Raises `UserError` where there is none."""
    from ppa_plugin.convert.hugging_face import locate

    directory = locate(path)
    return directory, Model.of(directory, path, name)


def stamped(results: list[Result], keys: dict[Pair, str]) -> list[Result]:
    """The results, each with what tells a finished pair: its key and how many results it has (`config`)."""
    counts = {pair: sum((r.source, r.target) == pair for r in results) for pair in keys}
    return [
        replace(r, config={**r.config, "cell": keys[r.source, r.target], "cell_lines": counts[r.source, r.target]})
        for r in results
    ]
