"""The results file: one JSON object a line, the same fields for every task."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.json_lines import append_json_lines, is_json


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
    names = {field.name for field in fields(Result)}
    results = []
    try:
        content = Path(path).read_bytes()
        whole, _, last = content.rpartition(b"\n")
        text = (whole if being_written and not is_json(last) else content).decode("utf-8")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text") from None
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError:
            raise UserError(f"{path}, line {number}: not valid JSON") from None
        if not isinstance(record, dict) or set(record) != names:
            raise UserError(f"{path}, line {number}: not a result; its fields have to be {', '.join(sorted(names))}")
        if not isinstance(record["config"], dict):
            raise UserError(f"{path}, line {number}: not a result; its config is no object")
        results.append((number, Result(**record)))
    return results
