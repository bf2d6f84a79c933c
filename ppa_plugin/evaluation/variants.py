"""Which results are one measurement, which are another one of the same cell, and what the rows of each are called.

Two results of a task were measured alike where layer, pool and `config` are the same, but for what docs/report.md
lists. Only what was measured alike is averaged, has a gain over another or is called different from it. Nothing of it
depends on the order of results. That all of a cell is of one version of its data is for `tables.check_data`.
"""

import functools
import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from statistics import fmean
from typing import Any, NamedTuple

from ppa_plugin.evaluation.results import Result
from ppa_plugin.evaluation.tasks import TASKS, UNNAMED, task_order
from ppa_plugin.romanization.romanizers import DEFAULT

# Keys of `config`: what it ran on, what came of it, what tells a suite or a series that it is done.
_NO_DIFFERENCE = {"device", "torch", "transformers", "best_epoch", "best_step", "epochs_run", "dev_score"}
_NO_DIFFERENCE |= {"words_taken_for_outside", "cell", "cell_lines", "step", "checkpoint_sha256"}
# What moves the last bits of a figure; in fine-tuning the precision, which may be left to the device, is no difference.
_OF_BATCHES = {"batch_size", "max_tokens"}
# What results from before a key had: there was no other way.
_BEFORE_PRECISION = {"precision": "fp32"}
_BEFORE_RAW_WORDS = {"raw_words": True}
# What romanized the text of results that say `input` alone, as JSON.
_UNSAID_ROMANIZER = f'"{DEFAULT}"'
_SHOWN_KEYS = 3  # as many settings stand in a row's name
_SHOWN_WAYS = 4  # as many ways stand in a sentence


class Way(NamedTuple):
    """How a result was measured: what it has to share with another one to be compared; values of settings as JSON."""

    layer: int | None
    pool: str | None
    settings: tuple[tuple[str, str], ...]


class Variant(NamedTuple):
    """What has a row of its own in the tables of a task."""

    model: str
    model_sha256: str
    way: Way


def way_of(result: Result) -> Way:
    """How a result was measured."""
    return _way(result.task, result.layer, result.pool, result.config_text)


@functools.lru_cache(1 << 16)
def _way(task: str, layer: int | None, pool: str | None, config: str) -> Way:
    retrieval = layer is not None
    prepared = task in TASKS and TASKS[task].treebanks
    before = _BEFORE_PRECISION if retrieval else UNNAMED | (_BEFORE_RAW_WORDS if prepared else {})
    left_out = _NO_DIFFERENCE | (_OF_BATCHES if retrieval else {"precision"})
    settings = before | json.loads(config)
    texts = sorted((key, _json(value)) for key, value in settings.items() if key not in left_out)
    return Way(layer, pool, tuple(texts))


def variant_of(result: Result) -> Variant:
    """The row of its task that a result belongs to."""
    return Variant(result.model, result.model_sha256, way_of(result))


def step_of(result: Result) -> int | None:
    """The training step of a checkpoint in a series, None for a result that belongs to none."""
    step = result.config.get("step")
    return step if isinstance(step, int) and not isinstance(step, bool) else None


def in_order(results: Iterable[Result]) -> list[Result]:
    """The results, equal ones once, in an order that is the same whichever they came in."""
    once = {result.text: result for result in results}
    return sorted(once.values(), key=lambda result: (_order(result), result.text))


def distinct(results: Iterable[Result]) -> list[Result]:
    """Each measurement once, in order; what was measured several times alike with the mean of its different values."""
    return [
        found[0] if len(values := {r.value for r in found}) == 1 else replace(found[0], value=fmean(values))
        for found in _repeated(results).values()
    ]


def row_names(variants: Iterable[tuple[str, Variant]]) -> dict[tuple[str, Variant], str]:
    """A name for the row of each (task, variant): the model's, with what sets it apart where a task has several."""
    by_model: dict[tuple[str, str], set[Variant]] = defaultdict(set)
    for task, variant in variants:
        by_model[task, variant.model].add(variant)
    names = {}
    for (task, model), found in by_model.items():
        for variant in found:
            apart = _apart(variant, found)
            names[task, variant] = f"{model} ({', '.join(apart)})" if apart else model
    return _unique(names)


def remarks(results: Iterable[Result]) -> list[str]:
    """A sentence for each task of which not all was measured alike, and for what was measured twice with two values."""
    results = list(results)
    rows: dict[str, dict[Way, dict[str, None]]] = defaultdict(lambda: defaultdict(dict))
    for result in in_order(results):
        rows[result.task][way_of(result)][result.model] = None
    return [_several_ways(task, ways) for task, ways in rows.items() if len(ways) > 1] + _two_values(results)


@functools.lru_cache(1 << 12)
def natural(text: str) -> tuple:
    """A key that sorts numbers in names by their size: `layer 8` before `layer 12`."""
    parts = re.split(r"([0-9]+)", text)
    numbers = [(len(digits.lstrip("0")), digits.lstrip("0")) for digits in parts[1::2]]
    return (tuple(zip(map(str.lower, parts[::2]), [*numbers, (0, "")], strict=True)), text)


def shortened(text: str) -> str:
    """A setting for a name: of a long one its beginning, and what tells it from others that begin alike."""
    return text if len(text) <= 24 else f"{text[:20]}… {_digest(text)}"


def _order(result: Result) -> tuple:
    layer = -1 if result.layer is None else result.layer
    return (task_order(result.task), natural(result.model), layer, result.pool or "", result.source, result.target)


def _repeated(results: Iterable[Result]) -> dict[tuple, list[Result]]:
    """Results by what was measured, in order."""
    found: dict[tuple, list[Result]] = defaultdict(list)
    for r in in_order(results):
        place = (r.task, r.source, r.target, r.metric, r.seed, r.data_sha256, step_of(r))
        found[(*place, variant_of(r))].append(r)
    return found


def _two_values(results: Iterable[Result]) -> list[str]:
    several: dict[tuple[str, str], list[list[Result]]] = defaultdict(list)
    for found in _repeated(results).values():
        if len({r.value for r in found}) > 1:
            several[found[0].model, found[0].task].append(found)
    sentences = []
    for (model, task), cells in several.items():
        first, values = cells[0][0], [100 * r.value for r in cells[0]]
        seed = "" if first.seed is None else f", seed {first.seed}"
        sentences.append(
            f"{model} was measured more than once in the same way on {task} and came to different values in "
            f"{len(cells)} {'cell' if len(cells) == 1 else 'cells'}, as in {first.source} to {first.target}, "
            f"{first.metric}{seed}: {min(values):.2f} to {max(values):.2f}; the tables show their means."
        )
    return sentences


def _several_ways(task: str, ways: dict[Way, dict[str, None]]) -> str:
    keys = _differing(ways)
    parts = [f"{', '.join(_texts(way, keys))} ({', '.join(models)})" for way, models in ways.items()]
    more = f"; and {len(parts) - _SHOWN_WAYS} more ways" if len(parts) > _SHOWN_WAYS else ""
    return (
        f"Not all of {task} was measured in the same way: {'; '.join(parts[:_SHOWN_WAYS])}{more}. "
        "What differs has rows of its own, without mean, gain or significance between them."
    )


def _apart(variant: Variant, among: set[Variant]) -> list[str]:
    """What sets a variant of a model apart from its others; nothing where it has none."""
    keys = _differing({other.way for other in among})
    places = [key for key in keys if key in ("layer", "pool")]
    if len(keys) - len(places) > _SHOWN_KEYS:
        texts = [*_texts(variant.way, places), f"settings {_digest(variant.way.settings)}"]
    else:
        texts = _texts(variant.way, keys)
    if len({other.model_sha256 for other in among}) > 1:
        texts.append(f"weights {variant.model_sha256[:12]}")
    return texts


def _differing(ways: Iterable[Way]) -> list[str]:
    """The settings in which ways differ; layer and pool, first, where either does."""
    ways = list(ways)
    keys = ["layer", "pool"] if len({way[:2] for way in ways}) > 1 else []
    known = sorted({key for way in ways for key, _ in way.settings})
    return keys + [key for key in known if len({dict(way.settings).get(key) for way in ways}) > 1]


def _texts(way: Way, keys: list[str]) -> list[str]:
    texts = []
    for key in keys:
        if key == "layer":
            texts += [f"layer {way.layer}"] * (way.layer is not None)
        elif key == "pool":
            texts += [way.pool] * (way.pool is not None)
        else:
            settings = dict(way.settings)
            text = settings.get(key, _UNSAID_ROMANIZER if key == "romanizer" and "input" in settings else None)
            texts.append(f"no {key}" if text is None else f"{key} {_plain(text)}")
    return texts


def _plain(text: str) -> str:
    value = json.loads(text)
    return shortened(value if isinstance(value, str) else text)


def _unique(names: dict[tuple[str, Variant], str]) -> dict[tuple[str, Variant], str]:
    """The names, told apart where a model is called as another one's variant is."""
    of_task = Counter((task, name) for (task, _), name in names.items())
    return {key: f"{name} [{_digest(key)}]" if of_task[key[0], name] > 1 else name for key, name in names.items()}


def _digest(value: Any) -> str:
    return hashlib.sha256(repr(value).encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _json(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # 1 and 1.0 are one setting
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
