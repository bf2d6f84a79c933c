"""Tables of what explains the numbers: vocabulary before and after romanization, script probe by layer, leakage."""

from collections import defaultdict
from collections.abc import Callable, Iterable

from ppa_plugin.data.masking import SIDES
from ppa_plugin.evaluation.analysis.leakage import COUNTS, total
from ppa_plugin.evaluation.analysis.records import Record, latest, read_analysis
from ppa_plugin.evaluation.report.grid import MISSING, Cell, Grid, Row
from ppa_plugin.evaluation.tables import percent
from ppa_plugin.evaluation.variants import shortened


def read_by_kind(paths: Iterable[str]) -> dict[str, list[Record]]:
    """The records of analysis files by kind, of the same thing analysed twice the later one.

    A model that several romanizers were used for has a name for each.
    """
    kinds: dict[str, list[Record]] = defaultdict(list)
    for record in latest(record for path in paths for record in read_analysis(path)):
        kinds[record["kind"]].append(record)
    return {kind: _by_romanizer(records) for kind, records in kinds.items()}


def _by_romanizer(records: list[Record]) -> list[Record]:
    """The records of a kind; a model of which not all name one romanizer is called after those that are named."""
    found: dict[str | None, set[str | None]] = defaultdict(set)
    for record in records:
        found[record.get("model")].add(record.get("romanizer"))
    return [
        record | {"model": f"{record['model']} ({shortened(record['romanizer'])})"}
        if len(found[record.get("model")]) > 1 and record.get("romanizer")
        else record
        for record in records
    ]


def romanized_by(records: Iterable[Record]) -> str:
    """A sentence on what romanized the text of each model, as far as the records say it; else nothing."""
    models: dict[str, dict[str, None]] = defaultdict(dict)
    for record in records:
        if record.get("romanizer"):
            models[record["romanizer"]][record["model"]] = None
    if len(models) < 2:
        return "".join(f"Romanized by {romanizer}." for romanizer in models)
    return "Romanized " + ", ".join(f"by {text} ({', '.join(of)})" for text, of in models.items()) + "."


def names(records: list[Record]) -> list[str]:
    """What each record's line or panel is called: its model, with task, pool, data and sample where it has several."""
    apart = [_told_apart(record) for record in records]
    found: dict[tuple, set[str]] = defaultdict(set)
    for parts in apart:
        for among, text in parts.items():
            found[among].add(text)
    return [
        ", ".join([record["model"], *(text for among, text in parts.items() if len(found[among]) > 1)])
        for record, parts in zip(records, apart, strict=True)
    ]


def _told_apart(record: Record) -> dict[tuple, str]:
    """What tells a record from others: among those that share the key, this text. Another task is other data anyway."""
    model, task = record["model"], record.get("task")
    data = f"data {record['data_sha256'][:8]}"
    told = {(model, "task"): str(task), (model, "pool"): str(record.get("pool")), (model, task, "data"): data}
    if "seed" in record and "scripts" in record:
        told[model, task, "seed"] = f"seed {record['seed']}"
    if "scripts" in record:
        told[model, task, "sentences"] = f"{sum(record['scripts'].values()):,} sentences"
    return told


# Heading of two columns, before and after romanization -> the text of a record; empty where it has no such figure.
_MEASURES: dict[str, Callable[[Record], str]] = {
    "distinct tokens": lambda record: f"{record['distinct_tokens']:,}",
    "tokens a unit": lambda record: f"{record['tokens_per_word']:.2f}" if "tokens_per_word" in record else "",
    "covered (%)": lambda record: f"{100 * record['covered']:.2f}",
    "shared (%)": lambda record: "" if record.get("shared") is None else percent(record["shared"]),
}


# Records by language and side.
_Languages = dict[str, dict[str, Record]]


def vocabulary_tables(records: list[Record]) -> list[Grid]:
    """A table a tokenizer, before and after romanization; models that came to the same figures share one.

    Where a model has records of several texts in one language, the last one stands in its table, others in further
    tables that say so.
    """
    sharing: dict[tuple[tuple[Row, ...], tuple[str, ...]], list[str]] = defaultdict(list)
    for name, languages in _by_text(records):
        sharing[_vocabulary_rows(languages), _vocabulary_notes(languages)].append(name)
    title = "Vocabulary before and after romanization"
    columns = SIDES * len(_MEASURES)
    spans = tuple((measure, len(SIDES)) for measure in _MEASURES)
    return [
        Grid(f"vocabulary_{number}", f"{title}: {', '.join(models)}", ("language", "unit"), columns, rows, spans, notes)
        for number, ((rows, notes), models) in enumerate(sharing.items(), 1)
    ]


def _by_text(records: list[Record]) -> list[tuple[str, _Languages]]:
    """What is called how in the tables: each model with its last records, then with those of earlier texts."""
    tables: dict[str, list[_Languages]] = {record["model"]: [] for record in records}
    for record in reversed(records):
        language, side = record["language"], record["side"]
        for table in tables[record["model"]]:
            there = table.get(language, {}).get(side)
            if there is None:
                table.setdefault(language, {})[side] = record
            if there is None or there["data_sha256"] == record["data_sha256"]:
                break
        else:
            tables[record["model"]].append({language: {side: record}})
    return [
        (f"{model} (earlier text{f' {number}' if number > 1 else ''})" if number else model, table)
        for model, of_model in tables.items()
        for number, table in enumerate(of_model)
    ]


def _vocabulary_notes(languages: _Languages) -> tuple[str, ...]:
    entries = [entry for sides in languages.values() for entry in sides.values()]
    known = [entry for entry in entries if entry.get("shared") is not None]
    # a run over other languages than the table's has counted what these share
    alone = all(set(entry.get("group", {}).get("languages", languages)) == set(languages) for entry in known)
    others = "another one of the table" if alone else "another one of its run of ppa-evaluate vocabulary"
    romanized = romanized_by(entries)
    missing = f"; {MISSING} where its record has no such figure" if len(known) < len(entries) else ""
    return (
        "orig: the text in its own script; latn: romanized. A unit is a word, or a character of the original "
        "where the script has no spaces.",
        "Covered: share of tokens that are not <unk>. Shared: share of the distinct tokens of a language that "
        f"{others} uses too{missing}.",
        *([romanized] if romanized else []),
    )


def _vocabulary_rows(languages: _Languages) -> tuple[Row, ...]:
    rows = [
        _vocabulary_row(language, next(iter(sides.values())).get("unit", "word"), sides)
        for language, sides in sorted(languages.items())
    ]
    everything = {side: group for side in SIDES if (group := _group(languages, side))}
    if everything:
        rows.append(_vocabulary_row(f"all ({len(languages)})", "", everything, summary=True))
    return tuple(rows)


def _group(languages: _Languages, side: str) -> Record | None:
    """All languages of one side together: of the run over just these languages, where no text is of another run."""
    groups = [sides[side].get("group") for sides in languages.values() if side in sides]
    said = [group for group in groups if group is not None]
    same = said and all(group == said[0] for group in said)
    return said[0] if same and set(said[0]["languages"]) == set(languages) else None


def _vocabulary_row(language: str, unit: str, sides: dict[str, Record], summary: bool = False) -> Row:
    texts = [show(sides[side]) if side in sides else "" for show in _MEASURES.values() for side in SIDES]
    return Row((language, unit), tuple(Cell(text or MISSING) for text in texts), rule=summary, summary=summary)


def script_table(records: list[Record]) -> Grid | None:
    """How well a linear probe tells the scripts apart, a layer a row, a model a column."""
    if not records:
        return None
    curves = probe_curves(records)
    layers = sorted({layer for curve in curves.values() for layer in curve})
    rows = [Row((str(layer),), tuple(Cell(percent(curve.get(layer))) for curve in curves.values())) for layer in layers]
    chances = sorted({percent(record["chance"]) for record in records})
    scripts = sorted({script for record in records for script in record["scripts"]})
    notes = (
        f"Held-out accuracy of a linear probe in percent; by chance {' to '.join(chances)}.",
        f"Scripts: {', '.join(scripts)}.",
    )
    title = "How well the layers tell scripts apart"
    return Grid("script_probe", title, ("layer",), tuple(curves), tuple(rows), (), notes)


def probe_curves(records: list[Record]) -> dict[str, dict[int, float]]:
    """Accuracy by layer, by name."""
    curves: dict[str, dict[int, float]] = defaultdict(dict)
    for name, record in zip(names(records), records, strict=True):
        curves[name][record["layer"]] = record["accuracy"]
    return {name: dict(sorted(curve.items())) for name, curve in curves.items()}


def leakage_tables(records: list[Record]) -> list[Grid]:
    """A table a corpus: the sets and languages of which it has lines, all that were looked for below."""
    corpora: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        corpora[record["corpus"]].append(record)
    return [_leakage_table(number, corpus, found) for number, (corpus, found) in enumerate(corpora.items(), 1)]


def _leakage_table(number: int, corpus: str, records: list[Record]) -> Grid:
    found = [record for record in records if record["exact"] or record["contained"]]
    rows = [Row((record["set"], record["language"]), _leakage_cells(record)) for record in found]
    rows.append(Row((f"all ({len(records)})", ""), _leakage_cells(total(records)), rule=True, summary=True))
    notes = (
        "Exact: lines that are a line of the corpus; contained: long lines that stand inside one. Compared are letters "
        "and digits, without case.",
        f"Of {len(records) - len(found)} sets and languages no line is in the corpus.",
    )
    title = f"Lines of evaluation data in the corpus {corpus}"
    columns = (*COUNTS, "in the corpus (%)")
    return Grid(f"leakage_{number}", title, ("set", "language"), columns, tuple(rows), (), notes)


def _leakage_cells(counts: Record) -> tuple[Cell, ...]:
    return (*(Cell(f"{counts[name]:,}") for name in COUNTS), Cell(percent(counts["share"])))
