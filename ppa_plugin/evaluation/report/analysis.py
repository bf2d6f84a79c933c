"""What explains the numbers: records of `ppa-evaluate vocabulary|scripts|projection`, read and as tables."""

import json
from collections import defaultdict
from collections.abc import Iterable

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.report.grid import MISSING, Cell, Grid, Row
from ppa_plugin.evaluation.tables import percent
from ppa_plugin.files import read_lines

_NUMBER = (int, float)
# kind -> field -> type; what identifies a record within its kind comes first
FIELDS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "vocabulary": {
        "model": str,
        "language": str,
        "side": str,
        "words": int,
        "tokens": int,
        "distinct_tokens": int,
        "unknown_tokens": int,
        "tokens_per_word": _NUMBER,
        "covered": _NUMBER,
    },
    "scripts": {"model": str, "layer": int, "accuracy": _NUMBER, "chance": _NUMBER, "scripts": dict},
    "projection": {"model": str, "layer": int, "method": str, "points": list, "labels": list},
}
_KEYS = {
    "vocabulary": ("model", "language", "side"),
    "scripts": ("model", "layer", "pool"),
    "projection": ("model", "layer", "pool"),
}
SIDES = ("orig", "latn")


def read_analysis(paths: Iterable[str]) -> dict[str, list[dict]]:
    """Records by kind; of the same thing analysed twice the later one. Raises `UserError`, naming the line."""
    records: dict[str, dict[tuple, dict]] = {kind: {} for kind in FIELDS}
    for path in paths:
        for number, line in enumerate(read_lines(path), 1):
            if not line.strip():
                continue
            record = _record(line, f"{path}, line {number}")
            key = tuple(record.get(name) for name in _KEYS[record["kind"]])
            records[record["kind"]][key] = record
    return {kind: list(found.values()) for kind, found in records.items()}


def _record(line: str, where: str) -> dict:
    try:
        record = json.loads(line)
    except ValueError:
        raise UserError(f"{where}: not valid JSON") from None
    kind = record.get("kind") if isinstance(record, dict) else None
    if not isinstance(kind, str) or kind not in FIELDS:
        raise UserError(f"{where}: not a record of ppa-evaluate {', '.join(FIELDS)}")
    for name, form in FIELDS[kind].items():
        if not isinstance(record.get(name), form) or isinstance(record[name], bool):
            raise UserError(f"{where}: a record of kind {kind} needs a field {name}, which is missing or no such value")
    if kind == "vocabulary" and record["side"] not in SIDES:
        raise UserError(f"{where}: side has to be orig or latn, not {record['side']!r}")
    if kind == "projection" and not _has_points(record):
        raise UserError(f"{where}: a projection needs one label for each point [x, y]")
    return record


def _has_points(record: dict) -> bool:
    points, labels = record["points"], record["labels"]
    return (
        0 < len(points) == len(labels)
        and all(isinstance(p, list) and len(p) == 2 and all(isinstance(x, _NUMBER) for x in p) for p in points)
        and all(isinstance(label, str) for label in labels)
    )


def vocabulary_tables(records: list[dict]) -> list[Grid]:
    """A table a tokenizer, before and after romanization; models that came to the same figures share one."""
    models: dict[str, dict[str, dict[str, dict]]] = defaultdict(lambda: defaultdict(dict))
    for record in records:
        models[record["model"]][record["language"]][record["side"]] = record
    sharing: dict[tuple[Row, ...], list[str]] = defaultdict(list)
    for model, languages in models.items():
        sharing[tuple(_vocabulary_row(language, languages[language]) for language in sorted(languages))].append(model)
    return [
        Grid(
            f"vocabulary_{number}",
            f"Vocabulary before and after romanization: {', '.join(names)}",
            ("language",),
            ("words", "orig", "latn", "orig", "latn", "orig", "latn"),
            rows,
            (("", 1), ("distinct tokens", 2), ("tokens a word", 2), ("covered (%)", 2)),
            ("orig: the text in its own script; latn: romanized. Covered: share of tokens that are not <unk>.",),
        )
        for number, (rows, names) in enumerate(sharing.items(), 1)
    ]


def _vocabulary_row(language: str, sides: dict[str, dict]) -> Row:
    words = next(iter(sides.values()))["words"] if "orig" not in sides else sides["orig"]["words"]
    found = [sides.get(side) for side in SIDES]
    texts = [f"{words:,}"]
    texts += [MISSING if side is None else f"{side['distinct_tokens']:,}" for side in found]
    texts += [MISSING if side is None else f"{side['tokens_per_word']:.2f}" for side in found]
    texts += [MISSING if side is None else f"{100 * side['covered']:.2f}" for side in found]
    return Row((language,), tuple(map(Cell, texts)))


def script_table(records: list[dict]) -> Grid | None:
    """How well a linear probe tells the scripts apart, a layer a row, a model a column."""
    if not records:
        return None
    curves = probe_curves(records)
    layers = sorted({layer for curve in curves.values() for layer in curve})
    rows = [Row((str(layer),), tuple(Cell(percent(curve.get(layer))) for curve in curves.values())) for layer in layers]
    chances = sorted({percent(record["chance"]) for record in records})
    scripts = sorted({script for record in records for script in record["scripts"]})
    notes = (
        f"Held-out accuracy in percent; the largest script alone: {' to '.join(chances)}.",
        f"Scripts: {', '.join(scripts)}.",
    )
    return Grid(
        "script_probe", "How well the layers tell scripts apart", ("layer",), tuple(curves), tuple(rows), (), notes
    )


def probe_curves(records: list[dict]) -> dict[str, dict[int, float]]:
    """Accuracy by layer, by model (and pool, where a model was probed with several)."""
    variants = dict.fromkeys((record["model"], record.get("pool")) for record in records)
    several = {model for model, _ in variants if sum(m == model for m, _ in variants) > 1}
    curves: dict[str, dict[int, float]] = defaultdict(dict)
    for record in sorted(records, key=lambda r: r["layer"]):
        model = record["model"]
        curves[f"{model} ({record.get('pool')})" if model in several else model][record["layer"]] = record["accuracy"]
    names = [f"{model} ({pool})" if model in several else model for model, pool in variants]
    return {name: curves[name] for name in names}
