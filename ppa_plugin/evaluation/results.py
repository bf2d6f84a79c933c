"""The results file: one JSON object a line, the same fields for every task."""

import functools
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.json_lines import append_json_lines, is_a, is_count, is_share, numbered_json, or_none

_TEXT = ("a text", is_a(str))
# What each field has to be: in words, and what tells.
_KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(("model", "model_path", "model_sha256", "task", "source", "target", "metric"), _TEXT),
    **dict.fromkeys(("data_sha256", "version"), _TEXT),
    "seed": ("a whole number or null", or_none(is_a(int))),
    "layer": ("a whole number or null, of at least 0", or_none(is_count)),
    "pool": ("a text or null", or_none(is_a(str))),
    "value": ("a number from 0 to 1", is_share),
    "n": ("a whole number of at least 0", is_count),
    "config": ("an object", is_a(dict)),
}


@dataclass(frozen=True)
class Result:
    """One figure. `value` is 0 to 1, `n` the number of items measured, `seed` None where nothing is drawn."""

    model: str
    model_path: str
    model_sha256: str
    task: str
    source: str
    target: str
    seed: int | None
    metric: str
    value: float
    n: int
    layer: int | None
    pool: str | None
    data_sha256: str
    config: dict[str, Any]
    version: str

    @functools.cached_property
    def config_text(self) -> str:
        """`config` as JSON, the same for equal ones."""
        return json.dumps(self.config, sort_keys=True)

    @functools.cached_property
    def text(self) -> str:
        """All of it as JSON, the same for equal ones."""
        plain = [getattr(self, field.name) for field in fields(self) if field.name != "config"]
        return json.dumps([*plain, self.config_text])


def append_results(path: str | Path, results: Iterable[Result]) -> None:
    """Append results to a file: all lines or none. Raises `UserError` where the file cannot be written."""
    append_json_lines(path, map(asdict, results))


def read_results(path: str | Path) -> list[Result]:
    """The results in a file, in its order. Raises `UserError`, naming the line, for what is not a result."""
    return [result for _, result in numbered_results(path)]


def numbered_results(path: str | Path, being_written: bool = False) -> list[tuple[int, Result]]:
    """The results in a file with the numbers of their lines, from 1. Raises `UserError` as `read_results` does.

    `being_written`: a last line that is not whole is no error, another command may be about to end it.
    """
    results = []
    for number, record in numbered_json(path, "results", being_written):
        if not isinstance(record, dict) or set(record) != set(_KINDS):
            raise UserError(f"{path}, line {number}: not a result; its fields have to be {', '.join(sorted(_KINDS))}")
        for name, (expected, is_kind) in _KINDS.items():
            if not is_kind(record[name]):
                shown = json.dumps(record[name])[:40]
                raise UserError(f"{path}, line {number}: not a result; its {name} is {shown}, expected {expected}")
        results.append((number, Result(**record)))
    return results
