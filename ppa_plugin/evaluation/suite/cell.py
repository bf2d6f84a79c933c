"""A cell of the matrix models x tasks x sources x seeds: the smallest piece of work that is measured at once.

A cell is one model on one task: for the tasks that are fine-tuned, from one source with one seed; for retrieval, from
all sources, because each language is embedded once. Its results are told apart by pair of source and target.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ppa_plugin.evaluation.model import Model
from ppa_plugin.evaluation.results import Result
from ppa_plugin.romanization.by_language import Romanizers

Pair = tuple[str, str]  # source and target


class Kind(Protocol):
    """How the cells of a kind of task are made and measured; `seeds` are the default ones."""

    seeds: tuple[int | None, ...]

    def sources_by_cell(self, sources: tuple[str, ...]) -> list[tuple[str, ...]]:
        """The sources of each cell."""

    def names(self, task: str) -> list[str]:
        """The settings that the task has, beside those of every task."""

    def check(self, task: str, settings: dict[str, Any], where: str) -> None:
        """Raise `UserError`, naming the key, for a setting that cannot be."""

    def resolved(self, cell: "Cell", directory: Path) -> dict[str, Any]:
        """All settings that the cell's results depend on, defaults filled in, for the model in `directory`."""

    def variants(self, settings: dict[str, Any]) -> set[tuple[int | None, str | None]]:
        """The `layer` and `pool` of the results that these resolved settings lead to."""

    def inputs(self, cell: "Cell") -> dict[Pair, str]:
        """Every pair that the cell measures, in order, and the `data_sha256` of its results.

        Raises `UserError` where a file is missing or the task has not these languages.
        """

    def measure(self, cell: "Cell", directory: Path, model: Model, pairs: list[Pair], device: str) -> list[Result]:
        """Measure `pairs` of a cell on `device`, in the pairs' order. Raises `UserError` as the task does."""


@dataclass(frozen=True)
class Cell:
    """What to measure. `model` is a directory or a hub name; `targets` None is `codes.default_targets` of those found.

    `seed` is None for retrieval; `settings` are those of the task that are not left at their defaults; `romanizers` is
    None where the text is read as it is.
    """

    kind: Kind
    task: str
    model: str
    name: str
    data: str
    sources: tuple[str, ...]
    targets: tuple[str, ...] | None = None
    seed: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    romanizers: Romanizers | None = None

    def __str__(self) -> str:
        seed = "" if self.seed is None else f", seed {self.seed}"
        return f"{self.name}, {self.task} from {' '.join(self.sources)}{seed}"

    def key(self, pair: Pair, model_sha256: str, data_sha256: str, settings: dict[str, Any]) -> str:
        """16 hexadecimal digits, the same in every run, for the results of one pair: what they depend on, and no path.

        `settings` are the resolved ones.
        """
        parts = [self.name, model_sha256, self.task, *pair, self.seed, data_sha256, settings]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode("utf-8")).hexdigest()[:16]
