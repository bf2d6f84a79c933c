"""Step 2: the Latin side, one line for one line, in parallel processes."""

import functools
import itertools
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ppa_preprocess.group import Group
from ppa_preprocess.lines import count_lines, write_json_lines
from ppa_preprocess.parallel import Workers, map_ordered
from ppa_preprocess.romanizers import ROMANIZERS, Romanizer
from ppa_preprocess.workspace import Workspace

from ppa_plugin.commandline import UserError, progress
from ppa_plugin.files import read_lines, write_beside

# uroman needs 1 to 10 ms a line: half a second of work a chunk, so that processes end together
_CHUNK_LINES = 64


@functools.cache
def load_romanizer(name: str) -> Romanizer:
    """The romanizer of that name, loaded once: uroman takes seconds, and forked processes inherit it."""
    return ROMANIZERS[name]()


def romanize_lines(
    lines: Iterable[str], name: str, lang: str | None, workers: Workers
) -> Iterator[tuple[str, str, str | None]]:
    """Yield (line, romanization, None) for each line, in order; (line, "", reason) where the romanizer failed."""
    load_romanizer(name)
    lines = iter(lines)
    chunks = iter(lambda: list(itertools.islice(lines, _CHUNK_LINES)), [])
    function = functools.partial(_romanize_chunk, name, lang)
    return itertools.chain.from_iterable(map_ordered(function, chunks, workers))


def romanize_file(
    source: Path, target: Path, name: str, lang: str | None, workers: Workers, label: str
) -> list[dict[str, Any]]:
    """Romanize `source` into `target`, line for line, and return a record of each line on which the romanizer failed.

    `lang` is an ISO 639-3 code for the romanizer or None; `label` names the language in the records.
    Raises `UserError` where `source` is missing, empty or not UTF-8; `target` is then as it was.
    """
    total = count_lines(source)
    if not total:
        raise UserError(f"{source} is empty")
    failures = []
    with write_beside(target) as handle:
        results = romanize_lines(read_lines(source), name, lang, workers)
        for number, (line, latn, reason) in enumerate(progress(results, f"romanize {label}", total), 1):
            handle.write(f"{latn}\n")
            if reason:
                failures.append({"lang": label, "line": number, "reason": reason, "text": line})
    return failures


def run(group: Group, workspace: Workspace, workers: Workers) -> None:
    """Write `pairs/<lang>.{orig,latn}` for every language; raises `UserError` where `text/<lang>.txt` is missing."""
    for lang, options in group.languages.items():
        text = workspace.text(lang)
        if not text.is_file():
            raise UserError(f"{text} is missing: run `ppa-preprocess sample` first, or `all`")
        name = group.romanizer.name
        inputs = {
            "text": workspace.digest(text),
            "romanizer": name,
            "version": ROMANIZERS[name].version,
            "code": options.uroman,
        }
        if workspace.is_done(f"romanize {lang}", inputs):
            workspace.say(f"romanize  {lang}  unchanged")
            continue
        orig, latn = workspace.pair(lang)
        # Without its Latin side a pair is not encoded: a run killed between the two files leaves nothing shifted.
        latn.unlink(missing_ok=True)
        workspace.forget([f"romanize {lang}", f"encode {lang}"])
        with open(text, "rb") as source, write_beside(orig, "wb") as copy:
            shutil.copyfileobj(source, copy)
        failures = romanize_file(text, latn, name, options.uroman, workers, lang)
        record = workspace.dropped_by("romanize", lang)
        write_json_lines(record, failures)
        workspace.record(f"romanize {lang}", inputs, [orig, latn, record], {"failed": len(failures)})
        workspace.say(
            f"romanize  {lang}  {count_lines(latn):,} lines -> {latn}, the romanizer failed on {len(failures)}"
        )
    workspace.gather_dropped(group.languages)


def _romanize_chunk(name: str, lang: str | None, lines: list[str]) -> list[tuple[str, str, str | None]]:
    romanizer = load_romanizer(name)
    return [(line, *_romanize_line(romanizer, line, lang)) for line in lines]


def _romanize_line(romanizer: Romanizer, line: str, lang: str | None) -> tuple[str, str | None]:
    try:
        latn = romanizer.romanize(line, lang)
        latn.encode()
    except MemoryError:
        raise
    except Exception as error:  # whatever one sentence does to the romanizer, the others are not lost
        return "", f"romanizer raised {type(error).__name__}"
    if "\n" in latn:
        return "", "romanization has a line break"
    return latn, None
