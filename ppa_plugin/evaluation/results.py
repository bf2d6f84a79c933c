"""The results file: one JSON object a line, the same fields for every task."""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ppa_plugin.commandline import UserError


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
    """Append results to a file, creating it if need be: all lines in one write, so that commands may share a file.

    A last line that some other program left without its end is not continued. Raises `UserError` where the file cannot
    be written.
    """
    text = "".join(json.dumps(asdict(result), ensure_ascii=False) + "\n" for result in results)
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab+", buffering=0) as handle:
            if handle.tell():
                handle.seek(-1, os.SEEK_END)
                text = text if handle.read(1) == b"\n" else "\n" + text
            handle.write(text.encode("utf-8"))
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None


def read_results(path: str | Path) -> list[Result]:
    """The results in a file, in its order. Raises `UserError`, naming the line, for what is not a result."""
    names = {field.name for field in fields(Result)}
    results = []
    try:
        text = Path(path).read_text(encoding="utf-8")
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
        results.append(Result(**record))
    return results
