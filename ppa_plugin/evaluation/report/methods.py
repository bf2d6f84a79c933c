"""How it was measured: models, data, seeds, settings and versions that the results name."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from ppa_plugin.evaluation.report.grid import MISSING, Cell, Grid, Row
from ppa_plugin.evaluation.report.measured import Measured
from ppa_plugin.evaluation.results import Result
from ppa_plugin.evaluation.variants import in_order, natural, step_of


def method_tables(results: list[Result]) -> list[Grid]:
    """Models with their weights, data with checksums, seeds, and the settings of each task."""
    return [_models(results), _data(results), _settings(results)]


def warnings(results: Iterable[Result]) -> list[str]:
    """A sentence for each name that stands for different weights, the checkpoints of a series aside."""
    weights: dict[tuple[str, int | None], dict[str, None]] = defaultdict(dict)
    for result in in_order(results):
        weights[result.model, step_of(result)][result.model_sha256] = None
    return [
        f"{model} stands for {len(found)} different sets of weights ({', '.join(sha[:12] for sha in sorted(found))}); "
        "give each its own --name: the tables keep them apart within a task only."
        for (model, _), found in weights.items()
        if len(found) > 1
    ]


def no_gains(measured: Measured, baseline: str | None) -> list[str]:
    """A sentence for each task on which the baseline was not measured as some row was, or under several names."""
    if baseline is None:
        return []
    return [
        *(
            f"No gain over {baseline} on {task}: it is {' and '.join(rows)} there; pass one of these as --baseline."
            for task, rows in measured.several_of(baseline).items()
        ),
        *(
            f"No gain over {baseline} on {task} for {', '.join(rows)}: no single row of it was measured alike."
            for task, rows in measured.without_counterpart(baseline).items()
        ),
    ]


def _models(results: list[Result]) -> Grid:
    found: dict[tuple[str, str, str], list[Result]] = defaultdict(list)
    for result in results:
        found[result.model, result.model_sha256, result.model_path].append(result)
    rows = tuple(
        Row((model,), (Cell(path), Cell(sha), Cell(f"{len(rows):,}"), Cell(_texts(sorted({r.version for r in rows})))))
        for (model, sha, path), rows in sorted(found.items(), key=lambda item: (natural(item[0][0]), *item[0]))
    )
    columns = ("path", "SHA-256 of the weights", "results", "version")
    notes = ("Version: of the package that measured.",)
    return Grid("models", "Models", ("model",), columns, rows, notes=notes, prose=True)


def _data(results: list[Result]) -> Grid:
    found: dict[tuple[str, str], dict[str, Result]] = defaultdict(dict)
    seeds: dict[tuple[str, str], set[int]] = defaultdict(set)
    for result in in_order(results):
        key = (result.task, result.source)
        found[key][result.target] = result
        if result.seed is not None:
            seeds[key].add(result.seed)
    rows = []
    for key, targets in sorted(found.items()):
        items = _extent([result.n for result in targets.values()])
        drawn = _texts(sorted(seeds[key])) or MISSING
        texts = (str(len(targets)), items, drawn, combined_sha256(targets.values()))
        rows.append(Row(key, tuple(map(Cell, texts))))
    columns = ("targets", "items a target", "seeds", "SHA-256")
    notes = ("SHA-256 of the lines `target data_sha256`, sorted; results.csv has data_sha256 of each target.",)
    return Grid("data", "Data and seeds", ("task", "source"), columns, tuple(rows), notes=notes, prose=True)


def combined_sha256(results: Iterable[Result]) -> str:
    """One checksum for the data of several targets: of the sorted lines `target data_sha256`."""
    lines = sorted(f"{result.target} {result.data_sha256}\n" for result in results)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _settings(results: list[Result]) -> Grid:
    """Every key of the configurations of a task with its value, or how far it varies."""
    values: dict[tuple[str, str], dict[str, Any]] = defaultdict(dict)
    for result in in_order(results):
        given = dict(result.config)
        if result.layer is not None:
            given |= {"layer": result.layer, "pool": result.pool}
        for key, value in given.items():
            values[result.task, key][json.dumps(value, sort_keys=True)] = value
    rows = tuple(
        Row((task, key), (Cell(_varying([found[text] for text in sorted(found, key=natural)])),))
        for (task, key), found in sorted(values.items())
    )
    return Grid("settings", "Settings", ("task", "setting"), ("value",), rows, prose=True)


def _varying(values: list[Any]) -> str:
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(values) > 4 and len(numbers) == len(values):
        return f"{min(numbers):g} to {max(numbers):g} ({len(values)} values)"
    shown = [
        value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False) for value in values
    ]
    return ", ".join(shown[:6]) + (f" and {len(shown) - 6} more" if len(shown) > 6 else "")


def _extent(numbers: list[int]) -> str:
    return f"{min(numbers):,}" if min(numbers) == max(numbers) else f"{min(numbers):,} to {max(numbers):,}"


def _texts(values: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys(map(str, values)))
