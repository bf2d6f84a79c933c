"""The analysis file: what explains the figures of a results file, one JSON object a line.

Every record names its `kind`, `data_sha256` and `version`, that of a model also `model` and `model_sha256`, and has the
fields of its kind:

`vocabulary`  how a tokenizer covers one side (`orig` or `latn`) of a language's text
`scripts`     how well a linear probe on the sentence vectors of a layer tells the scripts apart
`projection`  the sentence vectors of a layer in two dimensions
`tokens`      how often a block of tokens finds its romanization at a layer, in one language
`words`       how often a word finds its translation at a layer, by word alignments that were given
`token_map`   how alike the blocks of one sentence and of its romanization are
`leakage`     how many lines of an evaluation set stand in a corpus; of no model
"""

import json
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ppa_plugin.commandline import UserError
from ppa_plugin.data.masking import SIDES
from ppa_plugin.evaluation.json_lines import (
    append_json_lines,
    is_a,
    is_count,
    is_number,
    is_share,
    numbered_json,
    or_none,
)
from ppa_plugin.evaluation.model import Model

Record = dict[str, Any]
_is_text, _is_list = is_a(str), is_a(list)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_positive(value: Any) -> bool:
    return is_count(value) and value > 0


def _is_point(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(is_number, value))


def _is_cosine(value: Any) -> bool:
    return is_number(value) and abs(value) <= 1


def _are_cosines(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(row, list) and all(map(_is_cosine, row)) for row in value)


def _are_counts(value: Any) -> bool:
    return isinstance(value, dict) and all(map(is_count, value.values()))


def _is_group(value: Any) -> bool:
    """See `vocabulary.records`."""
    known = {"languages": _are_texts, "distinct_tokens": is_count, "covered": is_share, "shared": or_none(is_share)}
    return isinstance(value, dict) and all(name in value and is_kind(value[name]) for name, is_kind in known.items())


_OF_EVERY_KIND = dict.fromkeys(("data_sha256", "version"), _is_text)
_OF_A_MODEL = dict.fromkeys(("model", "model_sha256"), _is_text)
_OF_A_LAYER = {**_OF_A_MODEL, "layer": is_count, "pool": _is_text}
_OF_A_TEXT = {**_OF_A_MODEL, "task": _is_text, "language": _is_text, "layer": is_count}
_WORD_COUNTS = ("source_words", "target_words", "source_left_out", "target_left_out")
_SIZES = ("words", "tokens", "distinct_tokens", "unknown_tokens")
# The fields that a record of a kind has to have, and what tells that they are what they should be; it may have more.
FIELDS = {
    "vocabulary": {
        **_OF_A_MODEL,
        "language": _is_text,
        "side": _is_text,
        **dict.fromkeys(_SIZES, is_count),
        "tokens_per_word": lambda value: is_number(value) and value >= 0,
        "covered": is_share,
    },
    "scripts": {**_OF_A_LAYER, "accuracy": is_share, "chance": is_share, "scripts": _are_counts},
    "projection": {**_OF_A_LAYER, "method": _is_text, "points": _is_list, "labels": _is_list},
    "tokens": {
        **_OF_A_TEXT,
        **dict.fromkeys(("accuracy", "chance", "from_orig", "from_latn"), is_share),
        **dict.fromkeys(("blocks", "pairs", "pairs_without", "depth"), is_count),
        "group": _is_positive,
        "romanizer": _is_text,
    },
    "words": {
        **_OF_A_MODEL,
        **dict.fromkeys(("source", "target"), _is_text),
        **dict.fromkeys(("accuracy", "chance", "from_source", "from_target"), is_share),
        **dict.fromkeys(("layer", "lines", "lines_without", "depth", *_WORD_COUNTS), is_count),
        "group": _is_positive,
    },
    "token_map": {**_OF_A_TEXT, "number": is_count, "orig": _are_texts, "latn": _are_texts, "cosines": _are_cosines},
    "leakage": {
        **dict.fromkeys(("corpus", "corpus_sha256", "set", "language"), _is_text),
        **dict.fromkeys(("lines", "exact", "contained"), is_count),
        "share": is_share,
    },
}
# Those that it may have; records of early releases have no group.
_MORE_FIELDS = {"unit": _is_text, "shared": or_none(is_share), "group": or_none(_is_group), "layer": is_count}
_MORE_FIELDS["seed"] = or_none(is_a(int))
_MORE_FIELDS |= dict.fromkeys(("task", "pool", "language", "side", "source", "target", "romanizer"), or_none(_is_text))
# What makes two records the same measurement; None where a kind has no such field.
_KEY = (
    *("kind", "model", "model_sha256", "data_sha256", "task", "layer", "pool", "language", "side", "corpus", "set"),
    *("source", "target", "romanizer"),
)
# And of a kind, what its figures were measured with beside these: the sentences drawn, and how many compete. Pictures
# have no such: of other sentences the last one counts. What a text's lines were is in its data_sha256.
_KEY_OF_KIND = {
    "scripts": ("seed", "scripts"),
    "tokens": ("group", "seed", "pairs", "pairs_without"),
    "words": ("group", "seed", "lines", "lines_without"),
}


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
    for number, entry in numbered_json(path, "records of an analysis"):
        if reason := _fault(entry):
            commands = "ppa-evaluate vocabulary, scripts, tokens and leakage"
            raise UserError(f"{path}, line {number}: {reason}; {commands} write such records")
        records.append(entry)
    return records


def latest(records: Iterable[Record]) -> list[Record]:
    """Of records of the same measurement the last one, in order.

    The same are those of one kind, model (name and weights), data, task, layer, pool, language, side, corpus (by its
    path, whatever its text), set, source, target and romanizer; accuracies also have to be of one seed and number of
    sentences, those of tokens and words of one size of group.
    """
    return list({_key(entry): entry for entry in records}.values())


def _key(entry: Record) -> str:
    names = (*_KEY, *_KEY_OF_KIND.get(entry["kind"], ()))
    return json.dumps([entry.get(name) for name in names], sort_keys=True)


def _fault(entry: Any) -> str | None:
    """What keeps a JSON value from being a record."""
    kind = entry.get("kind") if isinstance(entry, dict) else None
    if not isinstance(kind, str) or kind not in FIELDS:
        return f"not a record of an analysis, whose kind has to be {', '.join(FIELDS)}"
    required = {**_OF_EVERY_KIND, **FIELDS[kind]}
    for name, is_kind in {**_MORE_FIELDS, **required}.items():
        if name not in entry and name in required:
            return f"a {kind} record without {name}"
        if name in entry and not is_kind(entry[name]):
            return f"a {kind} record whose {name} is {json.dumps(entry[name])[:40]}"
    if kind == "vocabulary" and entry["side"] not in SIDES:
        return f"a vocabulary record whose side is neither {' nor '.join(SIDES)}"
    if kind == "token_map":
        sides = {len(entry["orig"]), len(entry["latn"]), len(entry["cosines"]), *map(len, entry["cosines"])}
        if len(sides) > 1 or 0 in sides:
            return "a token_map record whose cosines are not a row and a column for each block"
    if kind == "projection":
        points, labels = entry["points"], entry["labels"]
        if len(points) != len(labels) or not all(map(_is_point, points)) or not _are_texts(labels):
            return "a projection record without one label for each point [x, y]"
    return None
