"""The miniature's results as tables: variants down, sources across, means over targets with deviations over seeds."""

import re
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from ppa_plugin.evaluation.report import significance
from ppa_plugin.evaluation.results import Result, read_results

# the figure of each task that the paper's tables give
METRICS = {
    "bible": "top10",
    "tatoeba": "top10",
    "sib": "top10",
    "taxi1500": "macro_f1",
    "sib200": "macro_f1",
    "pos": "seqeval_f1",
    "ner": "span_micro_f1",
}
_NAME = re.compile(r"(?P<group>[^/]+)/(?P<variant>.+)/seed(?P<seed>\d+)")
# models that no variant is, in the order of the rows
_BEFORE = ("encoder", "base")


def markdown(path: Path, groups: Sequence[str], variants: Sequence[str], layer: int | None = None) -> str:
    """A Markdown table a group, values in percent; `±` is the standard deviation over training seeds.

    `layer` is that of a given encoder: with it, what differs significantly and what each layer gives follow.
    """
    results = [result for result in read_results(path) if METRICS[result.task] == result.metric]
    tables = []
    for group in groups:
        here = of_group(results, group)
        tables += [f"### {group}", _by_source(_at(here, layer), variants)]
        if layer is not None:
            tables += [_differences(_at(here, layer), variants), *_by_layer(here, variants)]
    return "\n\n".join(tables) + "\n"


def of_group(results: Iterable[Result], group: str) -> list[tuple[str, int, Result]]:
    """(variant, training seed, result) of the base and of every variant of a group, for the group's targets."""
    results = list(results)
    targets = {(r.task, r.source, r.target) for r in results if r.model.startswith(f"{group}/")}
    found = []
    for result in results:
        name = _NAME.fullmatch(result.model)
        here = (result.task, result.source, result.target) in targets and result.target != result.source
        if here and (not name or name["group"] == group):
            found.append((name["variant"], int(name["seed"]), result) if name else (result.model, 0, result))
    return found


def _at(results: list[tuple[str, int, Result]], layer: int | None) -> list[tuple[str, int, Result]]:
    return [row for row in results if layer is None or row[2].layer in (None, layer)]


def _means(results: list[tuple[str, int, Result]], columns: Callable[[Result], tuple]) -> dict[tuple, dict[int, float]]:
    """{(variant, *columns of a result): {seed: mean}}, over targets, fine-tuning seeds and what is no column."""
    values: dict[tuple, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for variant, seed, result in results:
        values[variant, *columns(result)][seed].append(result.value)
    return {key: {seed: statistics.mean(some) for seed, some in by_seed.items()} for key, by_seed in values.items()}


def _by_source(results: list[tuple[str, int, Result]], variants: Sequence[str]) -> str:
    cells = _means(results, lambda result: (result.task, result.source))
    columns = sorted({key[1:] for key in cells}, key=lambda c: (list(METRICS).index(c[0]), c[1] != "eng_Latn", c[1]))
    return _table(cells, variants, columns, [f"{task} {source}" for task, source in columns])


def _by_layer(results: list[tuple[str, int, Result]], variants: Sequence[str]) -> Iterable[str]:
    """Bible verses by layer, means over the sources: pairs of two scripts, and of one."""
    verses = [row for row in results if row[2].task == "bible"]
    for title, same in (("two scripts", False), ("one script", True)):
        cells = _means([row for row in verses if _one_script(row[2]) is same], lambda result: (result.layer,))
        layers = sorted({key[1:] for key in cells})
        if layers:
            yield f"Bible verses by layer, source and target in {title}, mean over all pairs:"
            yield _table(cells, variants, layers, [str(layer) for (layer,) in layers])


def _one_script(result: Result) -> bool:
    return result.source.rpartition("_")[2] == result.target.rpartition("_")[2]


def _differences(results: list[tuple[str, int, Result]], variants: Sequence[str]) -> str:
    """Every variant minus base and minus MLM, with the report's marks: a paired bootstrap over pairs and seeds."""
    values: dict[tuple[str, str], dict[tuple[str, str], dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for variant, seed, r in results:
        values[r.task, variant][r.source, r.target][seed] = r.value
    columns = [(task, against) for task in METRICS for against in ("base", "MLM") if (task, against) in values]
    lines = [f"| minus | {' | '.join(f'{task}: {against}' for task, against in columns)} |"]
    lines.append(f"|---|{'---:|' * len(columns)}")
    for variant in variants:
        row = [
            _difference(values[task, variant], values[task, against]) if against != variant else "–"
            for task, against in columns
        ]
        lines.append(f"| {variant} | {' | '.join(row)} |")
    signs = ", ".join(f"{sign} p < {threshold}" for threshold, sign in reversed(significance.MARKS))
    return f"Points gained, mean over all sources and targets ({signs}):\n\n" + "\n".join(lines)


def _difference(of: dict, minus: dict) -> str:
    """The mean difference over pairs and seeds, in points; a base has one seed, which stands beside each."""
    pairs, seeds = sorted(of.keys() & minus.keys()), sorted({seed for by_seed in of.values() for seed in by_seed})
    single = {seed for by_seed in minus.values() for seed in by_seed} == {0}
    seeds = [seed for seed in seeds if all(single or seed in minus[pair] for pair in pairs)]
    if not pairs or not seeds:
        return "–"
    table = np.array([[of[pair][s] - minus[pair][0 if single else s] for s in seeds] for pair in pairs])
    return f"{100 * table.mean():+.1f}{significance.mark(table)}"


def _table(cells: dict, variants: Sequence[str], columns: Sequence[tuple], titles: Sequence[str]) -> str:
    lines = [f"| | {' | '.join(titles)} |", f"|---|{'---:|' * len(columns)}"]
    before = [name for name in _BEFORE if name == "base" or (name, *columns[0]) in cells]
    for variant in (*before, *variants):
        row = [_cell(cells.get((variant, *column), {})) for column in columns]
        lines.append(f"| {variant} | {' | '.join(row)} |")
    return "\n".join(lines)


def _cell(by_seed: dict[int, float]) -> str:
    if not by_seed:
        return "–"
    percent = [100 * value for value in by_seed.values()]
    deviation = f" ± {statistics.stdev(percent):.1f}" if len(percent) > 1 else ""
    return f"{statistics.mean(percent):.1f}{deviation}"
