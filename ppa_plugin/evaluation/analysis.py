"""The analysis file: what explains the figures of a results file, one JSON object a line.

Every record names its `kind`, `model`, `model_sha256`, `data_sha256` and `version`, and has the fields of its kind:

`vocabulary`  how a tokenizer covers one side (`orig` or `latn`) of a language's text
`scripts`     how well a linear probe on the sentence vectors of a layer tells the scripts apart
`projection`  the sentence vectors of a layer in two dimensions
"""

import json
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ppa_plugin.commandline import UserError
from ppa_plugin.data.shards import SIDES
from ppa_plugin.evaluation.json_lines import append_json_lines
from ppa_plugin.evaluation.model import Model
from ppa_plugin.files import read_lines

Record = dict[str, Any]

_NUMBER = (int, float)
_OF_EVERY_KIND = {"model": str, "model_sha256": str, "data_sha256": str, "version": str}
_OF_A_LAYER = {"layer": int, "pool": str}
# The fields that a record of a kind has to have, and their types; it may have more.
FIELDS = {
    "vocabulary": {
        "language": str,
        "side": str,
        "words": int,
        "tokens": int,
        "distinct_tokens": int,
        "unknown_tokens": int,
        "tokens_per_word": _NUMBER,
        "covered": _NUMBER,
    },
    "scripts": {**_OF_A_LAYER, "accuracy": _NUMBER, "chance": _NUMBER, "scripts": dict},
    "projection": {**_OF_A_LAYER, "method": str, "points": list, "labels": list},
}
# What makes two records the same measurement; None where a kind has no such field.
_KEY = ("kind", "model", "model_sha256", "data_sha256", "task", "layer", "pool", "language", "side")


def record(kind: str, model: Model, data_sha256: str, **values: Any) -> Record:
    """A record of a model: its kind, what every kind has, then `values`."""
    return {
        "kind": kind,
        "model": model.name,
        "model_sha256": model.sha256,
        **values,
        "data_sha256": data_sha256,
        "version": version("translit-ppa"),
    }


def append_analysis(path: str | Path, records: Iterable[Record]) -> None:
    """Append records to a file, creating it if need be, in one write. Raises `UserError` where that fails."""
    append_json_lines(path, records)


def read_analysis(path: str | Path) -> list[Record]:
    """The records in a file, in its order. Raises `UserError`, naming file and line, for what is not a record."""
    records = []
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            raise UserError(f"{path}, line {number}: not valid JSON") from None
        if reason := _fault(entry):
            raise UserError(f"{path}, line {number}: {reason}; ppa-evaluate vocabulary and scripts write such records")
        records.append(entry)
    return records


def latest(records: Iterable[Record]) -> list[Record]:
    """Of records of the same measurement the last one, in order.

    The same are those of one kind, model (name and weights), data, task, layer, pool, language and side.
    """
    return list({tuple(entry.get(name) for name in _KEY): entry for entry in records}.values())


def _fault(entry: Any) -> str | None:
    """What keeps a JSON value from being a record."""
    kind = entry.get("kind") if isinstance(entry, dict) else None
    if not isinstance(kind, str) or kind not in FIELDS:
        return f"not a record of an analysis, whose kind has to be {', '.join(FIELDS)}"
    for name, types in {**_OF_EVERY_KIND, **FIELDS[kind]}.items():
        if name not in entry:
            return f"a {kind} record without {name}"
        # bool is a kind of int in Python
        if not isinstance(entry[name], types) or isinstance(entry[name], bool):
            return f"a {kind} record whose {name} is {json.dumps(entry[name])[:40]}"
    if kind == "vocabulary" and entry["side"] not in SIDES:
        return f"a vocabulary record whose side is neither {' nor '.join(SIDES)}"
    if kind == "projection" and not _is_labelled(entry["points"], entry["labels"]):
        return "a projection record without one label for each point [x, y]"
    return None


def _is_labelled(points: list[Any], labels: list[Any]) -> bool:
    pairs = all(isinstance(point, list) and [isinstance(x, _NUMBER) for x in point] == [True, True] for point in points)
    return pairs and len(points) == len(labels) and all(isinstance(label, str) for label in labels)
