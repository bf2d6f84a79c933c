"""The miniature's results as tables: variants down, sources across, means over targets with deviations over seeds."""

import re
import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from ppa_plugin.evaluation.results import Result, read_results

# the figure of each task that the paper's tables give
METRICS = {
    "bible": "top10",
    "tatoeba": "top10",
    "sib": "top10",
    "sib200": "macro_f1",
    "pos": "seqeval_f1",
    "ner": "span_micro_f1",
}
_NAME = re.compile(r"(?P<group>[^/]+)/(?P<variant>.+)/seed(?P<seed>\d+)")

Cells = dict[tuple[str, str, str], dict[int, float]]  # (variant, task, source) -> mean over targets by training seed


def markdown(path: Path, groups: Sequence[str], variants: Sequence[str], layer: int | None = None) -> str:
    """A Markdown table a group, values in percent; `±` is the standard deviation over training seeds.

    `layer` is the one whose figures are taken where several were measured.
    """
    results = [result for result in read_results(path) if METRICS[result.task] == result.metric]
    results = [result for result in results if layer is None or result.layer in (None, layer)]
    tables = []
    for group in groups:
        cells = means(results, group)
        columns = sorted(
            {key[1:] for key in cells}, key=lambda c: (list(METRICS).index(c[0]), c[1] != "eng_Latn", c[1])
        )
        lines = [f"### {group}", "", f"| | {' | '.join(f'{task} {source}' for task, source in columns)} |"]
        lines.append(f"|---|{'---:|' * len(columns)}")
        for variant in (*(["encoder"] if ("encoder", *columns[0]) in cells else []), "base", *variants):
            row = [_cell(cells.get((variant, *column), {})) for column in columns]
            lines.append(f"| {variant} | {' | '.join(row)} |")
        tables.append("\n".join(lines))
    return "\n\n".join(tables) + "\n"


def means(results: Sequence[Result], group: str) -> Cells:
    """Means over targets (and over fine-tuning seeds) of the base and of every variant of a group."""
    targets = {(r.task, r.source, r.target) for r in results if r.model.startswith(f"{group}/")}
    values: dict[tuple[str, str, str], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        found = _NAME.fullmatch(result.model)
        variant, seed = (found["variant"], int(found["seed"])) if found else (result.model, 0)
        here = (result.task, result.source, result.target) in targets
        if here and (not found or found["group"] == group) and result.target != result.source:
            values[variant, result.task, result.source][seed].append(result.value)
    return {key: {seed: statistics.mean(some) for seed, some in by_seed.items()} for key, by_seed in values.items()}


def _cell(by_seed: dict[int, float]) -> str:
    if not by_seed:
        return "–"
    percent = [100 * value for value in by_seed.values()]
    deviation = f" ± {statistics.stdev(percent):.1f}" if len(percent) > 1 else ""
    return f"{statistics.mean(percent):.1f}{deviation}"
