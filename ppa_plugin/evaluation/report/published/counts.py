"""Published counts beside a run's: sentences of each language (Table 1), distinct tokens of a group (Table 6)."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from ppa_plugin.codes import canonical
from ppa_plugin.commandline import UserError, quoted
from ppa_plugin.data.masking import SIDES
from ppa_plugin.evaluation.analysis.records import Record
from ppa_plugin.evaluation.json_lines import is_count
from ppa_plugin.evaluation.report.grid import MISSING, Cell, Grid, Row, slug
from ppa_plugin.evaluation.report.groups import EVERYTHING, Group
from ppa_plugin.evaluation.report.published.facts import ALL, Count
from ppa_plugin.evaluation.report.published.matching import plain
from ppa_plugin.evaluation.tables import percent
from ppa_plugin.files import read_json_object

SENTENCES, DISTINCT = "sentences", "distinct_tokens"
_KEPT = ("read", "kept")  # of what a manifest counts of each language


class Corpus(NamedTuple):
    """What a manifest says of its languages: lines read and pairs kept, by canonical code."""

    name: str
    path: str
    languages: dict[str, tuple[int, int]]


def read_manifest(path: str) -> Corpus:
    """The counts of a manifest.json that ppa-preprocess wrote. Raises `UserError` for a file that is none."""
    content = read_json_object(path)
    languages, group = content.get("languages"), content.get("group")
    if not isinstance(languages, dict) or not languages:
        raise UserError(f"{path} is no manifest.json of ppa-preprocess: it has no languages")
    name = group.get("name") if isinstance(group, dict) else None
    counts = {canonical(code) or code: _counts(path, code, of) for code, of in languages.items()}
    return Corpus(name if isinstance(name, str) else "", path, counts)


def _counts(path: str, code: str, language: Any) -> tuple[int, int]:
    for name in _KEPT:
        value = language.get(name) if isinstance(language, dict) else None
        if not is_count(value):
            of = quoted(code)
            raise UserError(f"{path} is no manifest.json of ppa-preprocess: {name} of {of} is {quoted(value)}")
    return language["read"], language["kept"]


def sentence_tables(counts: list[Count], corpora: list[Corpus], groups: list[Group]) -> list[Grid]:
    """A table a published group, a language a row; languages of the manifests that are in none have their own."""
    printed: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for count in counts:
        if count.quantity == SENTENCES:
            printed[count.group, count.table][count.language] = count.value
    grids, placed = [], set()
    for (group, table), values in printed.items():
        languages = list(dict.fromkeys([*values, *(_languages(group, counts, groups) or ())]))
        placed |= set(languages)
        grids.append(_sentence_table(group, f"{group}, {table}: sentences", languages, values, corpora))
    rest = sorted({code for corpus in corpora for code in corpus.languages} - placed)
    if rest:
        title = "Sentences of languages that are in no published group" if printed else "Sentences by language"
        grids.append(_sentence_table("others", title, rest, {}, corpora))
    return grids


def _sentence_table(
    name: str, title: str, languages: list[str], printed: dict[str, str], corpora: list[Corpus]
) -> Grid:
    here = [corpus for corpus in corpora if corpus.languages.keys() & set(languages)]
    names = [corpus.name or corpus.path for corpus in here]
    spans = [
        f"this run: {name}" + (f" ({corpus.path})" if names.count(name) > 1 and corpus.name else "")
        for name, corpus in zip(names, here, strict=True)
    ]
    rows = []
    for code in languages:
        if any(code in corpus.languages for corpus in here) or code in printed:
            ours = [text for corpus in here for text in _two(corpus.languages.get(code))]
            rows.append(Row((code,), tuple(map(Cell, [printed.get(code, MISSING)] * bool(printed) + ours))))
    notes = ["Published: as printed."] if printed else []
    if here:
        notes.append("Read: lines of the sources; kept: pairs in the shards. manifest.json says where the others went.")
    elif printed:
        notes.append("--manifest sets the counts of a manifest.json of ppa-preprocess beside them.")
    head = [("", 1)] * bool(printed) + [(span, len(_KEPT)) for span in spans]
    columns = ("published",) * bool(printed) + _KEPT * len(here)
    return Grid(slug("sentences", name), title, ("language",), columns, tuple(rows), tuple(head), tuple(notes))


def _two(counts: tuple[int, int] | None) -> list[str]:
    return [MISSING] * len(_KEPT) if counts is None else [f"{count:,}" for count in counts]


def vocabulary_table(counts: list[Count], records: list[Record], groups: list[Group]) -> Grid | None:
    """Distinct tokens of all languages of a group before and after romanization, published and of this run.

    Of the run's analyses those stand beside a published group that are of its languages alone, of some or all.
    """
    printed: dict[tuple[str, str], dict[str, Count]] = defaultdict(dict)
    for count in counts:
        if count.quantity == DISTINCT and count.language == ALL:
            printed[count.group, count.table][count.side] = count
    if not printed:
        return None
    rows, placed = [], set()
    analysed = _analysed(records)
    for (group, _), sides in printed.items():
        texts, numbers = ({side: getattr(c, of) for side, c in sides.items()} for of in ("value", "number"))
        rows.append(_vocabulary_row(group, "published", texts, numbers))
        languages = set(_languages(group, counts, groups) or ())
        for (model, of), tokens in analysed.items():
            if of <= languages:
                placed.add((model, of))
                shown = {side: f"{number:,}" for side, number in tokens.items()}
                share = f"{len(of)} of {len(languages)} languages"
                rows.append(_vocabulary_row(group, f"this run: {model} ({share})", shown, tokens))
    left = ", ".join(dict.fromkeys(model for model, of in analysed if (model, of) not in placed))
    notes = (
        "Distinct tokens of the vocabulary that the text of all languages together uses. orig: in its own script; "
        "latn: romanized. They grow with the text: compare the share, and counts on as much text only.",
        f"Not here, as not of the languages of a published group alone: vocabulary of {left}." if left else "",
    )
    tables = ", ".join(dict.fromkeys(table for _, table in printed))
    title = f"{tables}: distinct tokens before and after romanization"
    columns = (*SIDES, "latn of orig (%)")
    notes = tuple(note for note in notes if note)
    return Grid("published_vocabulary", title, ("group", ""), columns, tuple(_ruled(rows)), (), notes)


def _ruled(rows: list[Row]) -> Iterable[Row]:
    """The rows with a line above each group."""
    for number, row in enumerate(rows):
        yield Row(row.labels, row.cells, rule=not number or rows[number - 1].labels[0] != row.labels[0])


def _vocabulary_row(group: str, whose: str, texts: dict[str, str], numbers: dict[str, float]) -> Row:
    before, after = (numbers.get(side) for side in SIDES)
    share = after / before if before and after is not None else None
    cells = [*(texts.get(side, MISSING) for side in SIDES), percent(share)]
    return Row((group, whose), tuple(map(Cell, cells)))


def _analysed(records: Iterable[Record]) -> dict[tuple[str, frozenset[str]], dict[str, int]]:
    """Distinct tokens by side of each run of ppa-evaluate vocabulary: by model and languages, the last one of these."""
    found: dict[tuple[str, frozenset[str]], dict[str, int]] = defaultdict(dict)
    for record in records:
        group = record.get("group")
        if group is not None:
            languages = frozenset(canonical(code) or code for code in group["languages"])
            found[record["model"], languages][record["side"]] = group["distinct_tokens"]
    return found


def _languages(group: str, counts: list[Count], groups: list[Group]) -> list[str] | None:
    """The languages of a published group: as --groups has them, else those that sentences are printed of, else None."""
    for known in groups:
        if known is not EVERYTHING and plain(known.name) == plain(group):
            return list(known.languages)
    found = [c.language for c in counts if (c.group, c.quantity) == (group, SENTENCES) and c.language != ALL]
    return found or None
