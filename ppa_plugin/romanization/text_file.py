"""Romanizing lines and files of them: one line for one line, in parallel processes, what is known from the cache."""

import contextlib
import dataclasses
import functools
import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ppa_plugin.cluster import Cluster
from ppa_plugin.commandline import UserError, progress
from ppa_plugin.files import count_lines, read_lines, write_beside
from ppa_plugin.parallel import Workers, map_ordered
from ppa_plugin.romanization.by_part import Chunk, PartwiseRomanizer, Romanization, load_romanizer
from ppa_plugin.romanization.cache import CacheWriter, prepare

# 3 ms of look-ups where all is cached, some 250 where Thai is new: little overhead, and processes end together
_CHUNK_LINES = 256


def romanize_lines(
    lines: Iterable[str], settings: Romanization, workers: Workers
) -> Iterator[tuple[str, str, str | None]]:
    """Yield (line, romanization, None) for each line, in order; (line, "", reason) where the romanizer failed.

    With a romanization a reason says why that is in doubt; it begins with `RESCUED` or `LOSSY`.
    """
    for line, latn, reason, _ in romanize_rows(lines, settings, workers):
        yield line, latn, reason


def romanize_rows(
    lines: Iterable[str], settings: Romanization, workers: Workers
) -> Iterator[tuple[str, str, str | None, str | None]]:
    """As `romanize_lines`, with a fourth: with `edges` in the settings the marked romanization (`romanization.edges`).

    It is empty where it is not known what became what, and None without `edges`.
    """
    for of_chunk, chunk in _romanized(lines, settings, workers):
        yield from zip(of_chunk, chunk.latn, chunk.reasons, chunk.edges or [None] * len(of_chunk), strict=True)


def _romanized(lines: Iterable[str], settings: Romanization, workers: Workers) -> Iterator[tuple[list[str], Chunk]]:
    """Yield the lines of each chunk and what they come to."""
    romanizer = load_romanizer(settings.name)  # before the workers are forked
    if not hasattr(romanizer, "split") or isinstance(workers, Cluster):
        # no cache on a cluster: SQLite's locks do not hold on network file systems
        settings = dataclasses.replace(settings, cache=None)
    with contextlib.ExitStack() as opened:
        writer = None
        if settings.cache:
            prepare(settings.cache)
            writer = CacheWriter(settings.cache, *settings.cache_key())
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
            yield away.popleft(), chunk


def romanize_file(
    source: Path,
    target: Path,
    settings: Sequence[Romanization],
    workers: Workers,
    label: str,
    edges: Path | None = None,
) -> list[dict[str, Any]]:
    """Romanize `source` into `target`, line for line, and return a record of each line that has a reason.

    With several `settings` all lines are romanized with the first, then all with the second, and so on, and the records
    name the romanizer. With `edges` in the settings, the marked romanizations go into the file `edges`, line for line
    too. `label` names the language in the records; that of a line whose romanization is in doubt holds it, as `latn`.
    Raises `UserError` where `source` is missing, empty or not UTF-8; `target` is then as it was.
    """
    total = count_lines(source)
    if not total:
        raise UserError(f"{source} is empty")
    if not isinstance(workers, Cluster):
        workers = min(workers, -(-total // _CHUNK_LINES))
    records = []
    with contextlib.ExitStack() as opened:
        handle = opened.enter_context(write_beside(target))
        marked = opened.enter_context(write_beside(edges)) if settings[0].edges else None
        for each in settings:
            by = {"romanizer": each.name} if len(settings) > 1 else {}
            results = romanize_rows(read_lines(source), each, workers)
            for number, (line, latn, reason, known) in enumerate(progress(results, f"romanize {label}", total), 1):
                handle.write(f"{latn}\n")
                if marked:
                    marked.write(f"{known}\n")
                if reason:
                    record = {"lang": label, "line": number, **by, "reason": reason, "text": line}
                    records.append(record | {"latn": latn} if latn else record)
    return records


def _chunks(lines: Iterable[str], away: deque[list[str]]) -> Iterator[list[str]]:
    lines = iter(lines)
    while chunk := list(itertools.islice(lines, _CHUNK_LINES)):
        away.append(chunk)
        yield chunk


_of_this_worker = functools.lru_cache(maxsize=1)(PartwiseRomanizer)


def _romanize_in_worker(settings: Romanization, lines: list[str]) -> Chunk:
    return _of_this_worker(settings).romanize(lines)
