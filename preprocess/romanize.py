"""Step 2: the Latin side, one line for one line, in parallel processes."""

import contextlib
import dataclasses
import functools
import itertools
import shutil
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ppa_preprocess.cluster import Cluster
from ppa_preprocess.group import Group
from ppa_preprocess.lines import count_lines, write_json_lines
from ppa_preprocess.parallel import Workers, map_ordered
from ppa_preprocess.partwise import Chunk, PartwiseRomanizer, Romanization, load_romanizer
from ppa_preprocess.romanization_cache import CacheWriter, prepare
from ppa_preprocess.sample import settings_of
from ppa_preprocess.workspace import Workspace

from ppa_plugin.commandline import UserError, progress
from ppa_plugin.files import read_lines, write_beside

# 3 ms of look-ups where all is cached, some 250 where Thai is new: little overhead, and processes end together
_CHUNK_LINES = 256


def romanize_lines(
    lines: Iterable[str], settings: Romanization, workers: Workers
) -> Iterator[tuple[str, str, str | None]]:
    """Yield (line, romanization, None) for each line, in order; (line, "", reason) where the romanizer failed."""
    romanizer = load_romanizer(settings.name)  # before the workers are forked
    if not hasattr(romanizer, "split") or isinstance(workers, Cluster):
        # no cache on a cluster: SQLite's locks do not hold on network file systems
        settings = dataclasses.replace(settings, cache=None)
    with contextlib.ExitStack() as opened:
        writer = None
        if settings.cache:
            prepare(settings.cache)
            writer = CacheWriter(settings.cache, settings.name, romanizer.version, settings.lang)
            opened.callback(writer.close)
        function = functools.partial(_romanize_in_worker, settings)
        if workers == 1:
            own = PartwiseRomanizer(settings)
            opened.callback(own.close)
            function = own.romanize
        away: deque[list[str]] = deque()  # what the workers have, so that they need not send it back
        for chunk in map_ordered(function, _chunks(lines, away), workers):
            if writer:
                writer.keep(chunk.new, chunk.trouble)
            yield from zip(away.popleft(), chunk.latn, chunk.reasons, strict=True)


def romanize_file(
    source: Path, target: Path, settings: Romanization, workers: Workers, label: str
) -> list[dict[str, Any]]:
    """Romanize `source` into `target`, line for line, and return a record of each line on which the romanizer failed.

    `label` names the language in the records. Raises `UserError` where `source` is missing, empty or not UTF-8;
    `target` is then as it was.
    """
    total = count_lines(source)
    if not total:
        raise UserError(f"{source} is empty")
    if not isinstance(workers, Cluster):
        workers = min(workers, -(-total // _CHUNK_LINES))
    failures = []
    with write_beside(target) as handle:
        results = romanize_lines(read_lines(source), settings, workers)
        for number, (line, latn, reason) in enumerate(progress(results, f"romanize {label}", total), 1):
            handle.write(f"{latn}\n")
            if reason:
                failures.append({"lang": label, "line": number, "reason": reason, "text": line})
    return failures


def run(group: Group, workspace: Workspace, workers: Workers, cache: Path | None = None) -> None:
    """Write `pairs/<lang>.{orig,latn}` for every language; raises `UserError` where `text/<lang>.txt` is missing.

    `cache` is the file of a romanizer cache to share with other outputs; None for the workspace's own.
    """
    choice = group.romanizer
    for lang, options in group.languages.items():
        text = workspace.text(lang)
        if not text.is_file():
            raise UserError(f"{text} is missing: run `ppa-preprocess sample` first, or `all`")
        _check_sample(lang, group, workspace)
        settings = Romanization(
            choice.name, options.uroman, choice.normalize_punctuation, cache or workspace.romanizer_cache
        )
        inputs = {"text": workspace.digest(text), **settings.made_with()}
        if workspace.is_done(f"romanize {lang}", inputs):
            workspace.say(f"romanize  {lang}  unchanged")
            continue
        orig, latn = workspace.pair(lang)
        # Without its Latin side a pair is not encoded: a run killed between the two files leaves nothing shifted.
        latn.unlink(missing_ok=True)
        workspace.forget([f"romanize {lang}", f"encode {lang}"])
        with open(text, "rb") as source, write_beside(orig, "wb") as copy:
            shutil.copyfileobj(source, copy)
        failures = romanize_file(text, latn, settings, workers, lang)
        record = workspace.dropped_by("romanize", lang)
        write_json_lines(record, failures)
        workspace.record(f"romanize {lang}", inputs, [orig, latn, record], {"failed": len(failures)})
        workspace.say(
            f"romanize  {lang}  {count_lines(latn):,} lines -> {latn}, the romanizer failed on {len(failures)}"
        )
    workspace.remove_others("romanize", group.languages)
    workspace.gather_dropped(group.languages)


def _check_sample(lang: str, group: Group, workspace: Workspace) -> None:
    """Raise `UserError` where a language's sample was drawn here, with settings that the group has no more."""
    text, sample = workspace.text(lang), workspace.recorded(f"sample {lang}")
    if sample is None or workspace.digest(text) not in sample["files"].values():
        return
    for key, value in settings_of(group).items():
        if sample["inputs"].get(key) != value:
            raise UserError(
                f"{text} was drawn with other settings ({key}: {sample['inputs'].get(key)}, now {value}): run "
                "`ppa-preprocess sample` first, or `all`"
            )


def _chunks(lines: Iterable[str], away: deque[list[str]]) -> Iterator[list[str]]:
    lines = iter(lines)
    while chunk := list(itertools.islice(lines, _CHUNK_LINES)):
        away.append(chunk)
        yield chunk


@functools.lru_cache(maxsize=1)
def _of_this_worker(settings: Romanization) -> PartwiseRomanizer:
    return PartwiseRomanizer(settings)


def _romanize_in_worker(settings: Romanization, lines: list[str]) -> Chunk:
    return _of_this_worker(settings).romanize(lines)
