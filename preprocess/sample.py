"""Step 1: a seeded sample of each language's lines, in the order of its sources, which are read once."""

import dataclasses
import itertools
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ppa_preprocess.group import Group, Sampling
from ppa_preprocess.text.exclusion import excluded_settings
from ppa_preprocess.text.filters import BLANK, RULE, filter_lines
from ppa_preprocess.text.source_formats import Findings
from ppa_preprocess.text.sources import Source
from ppa_preprocess.workspace import Workspace

from ppa_plugin.commandline import UserError, progress
from ppa_plugin.data.sampling import generator_for
from ppa_plugin.files import write_beside

_BLOCK_LINES = 1 << 16
_BINS = 1 << 16
_WRITE_BUFFER = 1 << 20


def run(group: Group, sources: dict[str, list[Source]], column: str, workspace: Workspace) -> None:
    """Write `text/<lang>.txt` for every language from its `sources`; `column` holds the text where there are columns.

    Raises `UserError` for a source that cannot be read or has no lines; the languages before it are then done.
    """
    for lang in group.languages:
        task = f"sample {lang}"
        settings = settings_of(group) | {"text_column": column}
        if _is_done(task, settings, sources[lang], workspace):
            workspace.say(f"sample    {lang}  unchanged")
        else:
            target = workspace.text(lang)
            counts, found = sample_language(group, lang, sources[lang], column, target)
            workspace.record(task, settings | {"files": found.files}, [target], counts)
            filtered = sum(counts["filtered"].values())
            workspace.say(
                f"sample    {lang}  {counts['read']:,} lines read from {' and '.join(counts['sources'])}, "
                + (f"{filtered:,} filtered out{_of_sets(group, counts['filtered'])}, " if filtered else "")
                + f"{counts['read'] - filtered - counts['not_sampled']:,} taken"
            )
        for doubt in workspace.recorded(task)["counts"]["doubts"]:
            workspace.say(f"warning   {doubt}")
    workspace.remove_others("sample", group.languages)


def _of_sets(group: Group, filtered: dict[str, int]) -> str:
    """How many of the lines that were filtered out stand in which evaluation data, in brackets; empty without any."""
    reasons = [reason for data in group.filters.exclude if filtered.get(reason := f"in {data.name}")]
    return f" ({', '.join(f'{filtered[reason]:,} {reason}' for reason in reasons)})" if reasons else ""


def settings_of(group: Group) -> dict[str, Any]:
    """What the samples of a group depend on, beside their text and the name of its column."""
    filters = dataclasses.asdict(group.filters)
    del filters["exclude"]  # goes by its content
    return {
        "seed": group.seed,
        **dataclasses.asdict(group.sampling),
        "filters": filters,
        "lines": RULE,
        **excluded_settings(group.filters.exclude),
    }


def sample_language(
    group: Group, lang: str, sources: list[Source], column: str, target: Path
) -> tuple[dict[str, Any], Findings]:
    """Write a language's sample to `target`; what was counted, and what it was read from.

    Memory does not grow with the sources: lines that may be of the sample lie in an unnamed file beside `target` until
    it is known how many are wanted, which is little more than are.
    """
    found, filtered = Findings(), Counter()
    draw = Draw(group.sampling, group.seed, lang)
    lines = wanted_lines(group, lang, sources, column, found, filtered)
    with (
        write_beside(target, "wb") as sample,
        tempfile.TemporaryFile(dir=target.parent, buffering=_WRITE_BUFFER) as candidates,
    ):
        passed = 0
        for line, candidate in zip(lines, draw.candidates(), strict=False):
            passed += 1
            if candidate:
                candidates.write(line.encode() + b"\n")
        check_some_left(passed, filtered, lang, sources)
        candidates.seek(0)
        for line, take in zip(candidates, draw.taken(passed), strict=True):
            if take:
                sample.write(line)
    counts = {
        "read": passed + filtered.total(),
        "filtered": dict(sorted(filtered.items())),
        "not_sampled": passed - sample_size(passed, group.sampling),
        "line_breaks": found.line_breaks,
        "line_ends": found.line_ends,
        "doubts": list(found.doubts.values()),
        "sources": [source.name for source in sources],
    }
    return counts, found


def wanted_lines(
    group: Group, lang: str, sources: list[Source], column: str, found: Findings, filtered: Counter[str]
) -> Iterator[str]:
    """The lines of a language that are not blank and pass the group's filters; the others are counted in `filtered`."""
    lines = itertools.chain.from_iterable(source.read(column, found) for source in sources)
    return filter_lines(progress(lines, f"sample {lang}"), group.filters, lang, filtered)


def check_some_left(passed: int, filtered: Counter[str], lang: str, sources: list[Source]) -> None:
    """Raise `UserError` where no line of a language was read or none passed the filters."""
    names = " and ".join(source.name for source in sources)
    if not passed and filtered.total() == filtered[BLANK] > 0:
        raise UserError(f"{names}: all {filtered[BLANK]:,} lines of {lang} are blank")
    if not passed and filtered.total():
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in filtered.most_common())
        raise UserError(f"{names}: none of the {filtered.total():,} lines of {lang} passes the filters ({reasons})")
    if not passed:
        raise UserError(f"{names} is empty: there is no line of {lang} in it")


def sample_size(count: int, sampling: Sampling) -> int:
    """How many of `count` lines are taken: the share, but no fewer than `min_lines` where there are as many."""
    return min(count, max(round(count * sampling.share), sampling.min_lines))


class Draw:
    """Which lines of a language are taken: of n lines the k = `sample_size(n)` with the smallest keys.

    The keys are uniform numbers of a generator that (seed, language) start, one a line, so the sample is the first k
    of `random_order`: it depends on the lines' order and on nothing else. As n is known at the end only, each line is
    held against a limit when it comes: the m-th is a candidate where its key is below (s + 10 sqrt(s) + 100) / m with
    s = max(m share + 1, min_lines), no less than `sample_size(m)`. The limit falls from line to line, so a line of the
    sample that is no candidate would mean that fewer than k of n keys are below the last limit. Chernoff's bound on
    that is e^-50, for every n; it is checked all the same. Beyond the sample there are some 10 sqrt(n) candidates,
    and `min_lines` ln(1 / share) where n is large. Neither keys nor positions are held: they are drawn again.
    """

    def __init__(self, sampling: Sampling, seed: int, lang: str) -> None:
        self._sampling = sampling
        self._seed = seed
        self._lang = lang

    def candidates(self) -> Iterator[bool]:
        """Whether the first, second, ... line may be of the sample, without an end."""
        for start, keys in self._keys():
            yield from (keys < self._limits(start, len(keys))).tolist()

    def taken(self, count: int) -> Iterator[bool]:
        """Whether the first, second, ... candidate of `count` lines is of the sample."""
        last_key, last_line = self._last(count, sample_size(count, self._sampling))
        for start, keys in self._keys(count):
            # of equal keys the first come first, as in a stable sort
            among_last = (keys == last_key) & (np.arange(start, start + len(keys)) <= last_line)
            take, candidate = (keys < last_key) | among_last, keys < self._limits(start, len(keys))
            if (take & ~candidate).any():
                raise RuntimeError(f"seed {self._seed} draws a sample of {self._lang} too uneven for one reading")
            yield from take[candidate].tolist()

    def _keys(self, count: int | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (number of the first, from 0; keys) for one block of lines after the other, `count` in all."""
        generator = generator_for(self._seed, "sample", self._lang)
        for start in itertools.count(0, _BLOCK_LINES) if count is None else range(0, count, _BLOCK_LINES):
            keys = generator.random(_BLOCK_LINES)
            yield start, keys if count is None else keys[: count - start]

    def _limits(self, start: int, lines: int) -> np.ndarray:
        numbers = np.arange(start + 1, start + lines + 1)
        sizes = np.maximum(numbers * self._sampling.share + 1, self._sampling.min_lines)
        return (sizes + 10 * np.sqrt(sizes) + 100) / numbers

    def _last(self, count: int, size: int) -> tuple[float, int]:
        """The largest key of the sample and, where others equal it, the last line that is in; memory is flat."""
        if not size:
            return -1.0, -1
        in_bin = np.zeros(_BINS, dtype=np.int64)
        for _, keys in self._keys(count):
            in_bin += np.bincount((keys * _BINS).astype(np.int64), minlength=_BINS)
        last_bin = int(np.searchsorted(np.cumsum(in_bin), size))
        inside = []
        for start, keys in self._keys(count):
            lines = np.flatnonzero((keys * _BINS).astype(np.int64) == last_bin)
            inside += zip(keys[lines].tolist(), (start + lines).tolist(), strict=True)
        return sorted(inside)[size - 1 - int(in_bin[:last_bin].sum())]


def _is_done(task: str, settings: dict[str, Any], sources: list[Source], workspace: Workspace) -> bool:
    """Whether the sample was drawn from the same text; sources are looked into only where the settings are the same."""
    recorded = workspace.recorded(task)
    if recorded is None or any(recorded["inputs"].get(key) != value for key, value in settings.items()):
        return False
    files = [entry for source in sources for entry in source.fingerprints(workspace.digest)]
    return workspace.is_done(task, settings | {"files": files})
