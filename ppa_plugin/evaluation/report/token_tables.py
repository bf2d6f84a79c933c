"""Tables of how well tokens are aligned: blocks that find their romanization, words that find their translation."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean

from ppa_plugin.evaluation.analysis.records import Record
from ppa_plugin.evaluation.report.analysis_tables import romanized_by
from ppa_plugin.evaluation.report.grid import Cell, Grid, Row, slug
from ppa_plugin.evaluation.tables import percent
from ppa_plugin.model.sizes import default_layer

# Records of one text by model, layer and language.
_Measured = dict[str, dict[int, dict[str, Record]]]


@dataclass(frozen=True)
class Lines:
    """Accuracy by model and layer, all over the same text; `name` is for files, `chance` the share by chance."""

    name: str
    title: str
    curves: dict[str, dict[int, float]]
    chance: float
    note: str


def block_lines(records: list[Record]) -> list[Lines]:
    """Of `tokens` records, for each task: the mean over the languages that no model lacks at any of its layers."""
    found = []
    for task, models in _by_task(records).items():
        if not (common := _common(models)):
            continue
        curves = {
            model: {layer: _mean(languages, common) for layer, languages in sorted(layers.items())}
            for model, layers in models.items()
        }
        chance = fmean(_at_layer(layers)[language]["chance"] for layers in models.values() for language in common)
        title = f"How often a block of tokens finds its romanization: {task}"
        note = f"Mean over {len(common)} languages: {', '.join(common)}." if len(common) > 1 else f"{common[0]}."
        counted = [record for layers in models.values() for of in layers.values() for record in map(of.get, common)]
        note = f"{note} {_candidates(counted)}{_on_other_text(counted)} {romanized_by(counted)}"
        found.append(Lines(slug("tokens", task), title, curves, chance, note))
    return found


def word_lines(records: list[Record]) -> list[Lines]:
    """Of `words` records, for each parallel text."""
    texts: dict[tuple, list[Record]] = defaultdict(list)
    for record in _last_measured(records, "model", "source", "target", "data_sha256", "group"):
        texts[record["source"], record["target"], record["data_sha256"], record["group"]].append(record)
    found = []
    for (source, target, digest, group), of_text in texts.items():
        curves: dict[str, dict[int, float]] = defaultdict(dict)
        for record in sorted(of_text, key=lambda record: record["layer"]):
            curves[record["model"]][record["layer"]] = record["accuracy"]
        first = of_text[-1]
        alike = [other for other in texts if other[:2] == (source, target)]
        which = f", data {digest[:8]}" if len({data for _, _, data, _ in alike}) > 1 else ""
        which += f", groups of {group}" if len({size for *_, size in alike}) > 1 else ""
        title = f"How often a word finds its translation: {source}, {target}{which}"
        note = (
            f"{first['lines']:,} lines in groups of {group}; {first['source_words']:,} words of {source} "
            f"and {first['target_words']:,} of {target} that are linked to one of the other side."
        )
        if len(set(map(_sentences, of_text))) > 1:
            note += " Not all models were measured on the same lines."
        chance = fmean(record["chance"] for record in of_text)
        found.append(Lines(slug("words", source, target), title, dict(curves), chance, note))
    return found


def layer_tables(lines: Iterable[Lines]) -> list[Grid]:
    """A table each: a layer a row, a model a column, in percent."""
    return [_layer_table(of_text) for of_text in lines]


def _layer_table(lines: Lines) -> Grid:
    layers = sorted({layer for curve in lines.curves.values() for layer in curve})
    rows = [
        Row((str(layer),), tuple(Cell(percent(curve.get(layer))) for curve in lines.curves.values()))
        for layer in layers
    ]
    notes = (
        f"Percent, the mean of both directions; by chance {percent(lines.chance)}. Layer 0: the embeddings.",
        lines.note,
    )
    return Grid(lines.name, lines.title, ("layer",), tuple(lines.curves), tuple(rows), (), notes)


def language_tables(records: list[Record]) -> list[Grid]:
    """Of `tokens` records, for each task of several languages: a language a row, a model a column, at one layer."""
    tables = [_language_table(task, models) for task, models in _by_task(records).items()]
    return [table for table in tables if sum(not row.summary for row in table.rows) > 1]


def _language_table(task: str, models: _Measured) -> Grid:
    shown = {model: _at_layer(layers) for model, layers in models.items()}
    every = [record for languages in shown.values() for record in languages.values()]
    rows = [
        Row((language,), tuple(_cell(languages.get(language)) for languages in shown.values()))
        for language in sorted({record["language"] for record in every})
    ]
    if common := _common(models):
        means = tuple(Cell(percent(_mean(languages, common))) for languages in shown.values())
        rows.append(Row((f"mean ({len(common)})",), means, rule=True, summary=True))
    nowhere = "" if common else " No language has figures of every model and layer: there is no mean, and no curve."
    columns = tuple(f"{model}, layer {next(iter(of.values()))['layer']}" for model, of in shown.items())
    without, pairs = (sum(record[name] for record in every) for name in ("pairs_without", "pairs"))
    notes = (
        "Percent. The layer is the one that the paper uses, or the nearest to it that was measured. "
        f"{_candidates(every)}{nowhere}{_on_other_text(every)} {romanized_by(every)}",
        f"Of {pairs + without:,} sentences, all languages and models together, {without:,} have no block.",
    )
    title = f"How often a block of tokens finds its romanization, by language: {task}"
    return Grid(slug("tokens", task, "languages"), title, ("language",), columns, tuple(rows), (), notes)


def _cell(record: Record | None) -> Cell:
    return Cell(percent(record["accuracy"] if record else None))


def _by_task(records: list[Record]) -> dict[str, _Measured]:
    """By what tables are called: the task, with the size of groups where a task has several: more are harder."""
    last = _last_measured(records, "task", "model", "language", "group")
    groups: dict[str, set[int]] = defaultdict(set)
    for record in last:
        groups[record["task"]].add(record["group"])
    tasks: dict[str, _Measured] = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    for record in last:
        several = len(groups[record["task"]]) > 1
        name = record["task"] + (f", groups of {record['group']}" if several else "")
        tasks[name][record["model"]][record["layer"]][record["language"]] = record
    return tasks


def _last_measured(records: list[Record], *names: str) -> list[Record]:
    """Of records that are alike in these fields those with weights and sentences of the last: no curve mixes two."""
    alike = [tuple(record[name] for name in names) for record in records]
    runs = [(record["model_sha256"], _sentences(record)) for record in records]
    last = dict(zip(alike, runs, strict=True))
    return [record for record, what, run in zip(records, alike, runs, strict=True) if last[what] == run]


def _sentences(record: Record) -> tuple:
    """Which sentences a record is of: their files, the seed that drew them, and how many these were."""
    counts = ("lines", "lines_without") if record["kind"] == "words" else ("pairs", "pairs_without")
    return record["data_sha256"], record.get("seed"), sum(record[name] for name in counts)


def _candidates(records: list[Record]) -> str:
    return f"Candidates are the blocks of {records[0]['group']} sentences."


def _on_other_text(records: list[Record]) -> str:
    """A sentence more, behind a space, that names the languages whose sentences are not the same ones; else nothing."""
    texts: dict[str, set[tuple]] = defaultdict(set)
    for record in records:
        texts[record["language"]].add(_sentences(record))
    differing = sorted(language for language, found in texts.items() if len(found) > 1)
    return f" Not all models were measured on the same sentences in {', '.join(differing)}." if differing else ""


def _common(models: _Measured) -> list[str]:
    """The languages that no model lacks at any of its layers."""
    return sorted(set.intersection(*(set(languages) for layers in models.values() for languages in layers.values())))


def _mean(languages: dict[str, Record], common: list[str]) -> float:
    return fmean(languages[language]["accuracy"] for language in common)


def _at_layer(layers: dict[int, dict[str, Record]]) -> dict[str, Record]:
    """The records of the layer that the paper uses, or of the nearest one that was measured."""
    (depth, *_) = (record["depth"] for languages in layers.values() for record in languages.values())
    return layers[min(layers, key=lambda layer: abs(layer - default_layer(depth)))]
