"""The output directory: where each step's files lie, and which of them need not be made again."""

import contextlib
import fcntl
import itertools
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ppa_plugin.commandline import UserError
from ppa_plugin.data.masking import SIDES
from ppa_plugin.data.vocabulary import SENTENCEPIECE
from ppa_plugin.files import directory_beside, naming_file, reading, sha256, write_beside
from ppa_plugin.romanization.cache import FILE_NAME

# how the names of files in `encoded/<lang>/` and in a shard's directories begin, up to the first full stop
_OURS = {"train", "valid", "align", *SIDES}


class Workspace:
    """Paths below `output`, and the record of finished tasks in `.ppa-state/state.json`.

    A task is one step on one language (or shard). It is done when it ran with the same inputs and settings and its
    files are as it left them, byte for byte. `say` takes the lines that tell the user what was read and written.
    """

    def __init__(self, output: Path, say: Callable[[str], None]) -> None:
        self.output = output
        self.say = say
        self.data_bin = output / "data-bin"
        self.manifest = self.data_bin / "manifest.json"
        self.dictionary = self.data_bin / "dict.txt"
        self.sentencepiece = self.data_bin / SENTENCEPIECE
        self.dropped = output / "dropped.jsonl"
        self.doubtful = output / "in_doubt.jsonl"
        self._state = output / ".ppa-state"
        self.romanizer_cache = self._state / FILE_NAME
        self._tasks: dict[str, dict[str, Any]] = {}
        self._digests: dict[tuple[str, int, int], str] = {}

    def text(self, lang: str) -> Path:
        return self.output / "text" / f"{lang}.txt"

    def pair(self, lang: str) -> tuple[Path, Path]:
        return tuple(self.output / "pairs" / f"{lang}.{side}" for side in SIDES)

    def edges(self, lang: str) -> Path:
        """The marked romanizations of a language's pairs (`romanization.edges`), with `alignment`."""
        return self.output / "pairs" / f"{lang}.edges"

    def encoded(self, lang: str) -> Path:
        return self.output / "encoded" / lang

    def shard(self, number: int, lang: str) -> Path:
        return self.data_bin / f"shard{number:02d}" / lang

    def dropped_by(self, step: str, lang: str) -> Path:
        """The pairs that a step left out of a language; `gather_dropped` makes `dropped.jsonl` of these."""
        return self._state / step / f"{lang}.jsonl"

    def in_doubt(self, lang: str) -> Path:
        """The lines of a language whose romanization is in doubt; `gather_in_doubt` makes `in_doubt.jsonl` of these."""
        return self._state / "in_doubt" / f"{lang}.jsonl"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs out while the block writes here, know what is done, and clear away what a killed run left."""
        try:
            self._state.mkdir(parents=True, exist_ok=True)
            lock = open(self._state / "lock", "a")  # noqa: SIM115 (the `with` below closes it)
        except OSError as error:
            raise UserError(f"cannot write to --output {self.output}: {error.strerror}") from None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise UserError(f"another ppa-preprocess is writing to {self.output}; wait for it to end") from None
            self._tasks = self._load_tasks()
            self._clear_left_overs()
            yield

    def digest(self, path: Path) -> str:
        """The SHA-256 of a file, computed once a run for as long as the file is not written again."""
        with reading(path, "a file"):
            status = path.stat()
            key = (str(path), status.st_size, status.st_mtime_ns)
            if key not in self._digests:
                self._digests[key] = sha256(path)
        return self._digests[key]

    def is_done(self, task: str, inputs: dict[str, Any]) -> bool:
        """Whether `task` ran with exactly these inputs and settings and its files are still as it left them."""
        done = self._tasks.get(task)
        if done is None or done["inputs"] != inputs:
            return False
        return all(
            (self.output / name).is_file() and self.digest(self.output / name) == digest
            for name, digest in done["files"].items()
        )

    def record(self, task: str, inputs: dict[str, Any], files: Iterable[Path], counts: dict[str, Any]) -> None:
        """Note that `task` is done: what it ran with, the files it wrote and what it counted."""
        digests = {str(path.relative_to(self.output)): self.digest(path) for path in files}
        self._tasks[task] = {"inputs": inputs, "files": digests, "counts": counts}
        self._save_tasks()

    def forget(self, tasks: Iterable[str]) -> None:
        """Take tasks out of the record, so that they run again."""
        known = [task for task in tasks if self._tasks.pop(task, None)]
        if known:
            self._save_tasks()

    def recorded(self, task: str) -> dict[str, Any] | None:
        """The `inputs`, `files` (SHA-256 by path) and `counts` of a finished task; None where it is not recorded."""
        return self._tasks.get(task)

    def tasks(self, step: str) -> list[str]:
        """The names of a step's finished tasks."""
        return [task for task in self._tasks if task.startswith(f"{step} ")]

    def remove_others(self, step: str, languages: Collection[str]) -> None:
        """Remove what a step wrote for languages that the group has no more, and say so.

        A file that is not as the step left it is somebody's own by now: it stays and is named.
        """
        for task in self.tasks(step):
            lang = task.removeprefix(f"{step} ")
            if lang in languages:
                continue
            for name, digest in self._tasks[task]["files"].items():
                path = self.output / name
                if path.is_file() and self.digest(path) != digest:
                    self.say(f"warning   {path} is of no language of this group, but was changed by hand: it is left")
                else:
                    path.unlink(missing_ok=True)
            remove_if_empty(self.encoded(lang))
            self.forget([task])
            self.say(f"{step:<9} {lang}  is not of this group any more, removed")

    def gather_dropped(self, languages: Iterable[str]) -> None:
        """Write `dropped.jsonl`, unless it is so already: what each language's last finished step left out."""
        records = []
        for lang in languages:
            step = next((step for step in ("encode", "romanize") if self.recorded(f"{step} {lang}")), None)
            if step:
                records.append(self.dropped_by(step, lang))
        _join(records, self.dropped)

    def gather_in_doubt(self, languages: Iterable[str]) -> None:
        """Write `in_doubt.jsonl`, unless it is so already; none where there is nothing to say."""
        records = [path for lang in languages if (path := self.in_doubt(lang)).is_file() and path.stat().st_size]
        if records:
            _join(records, self.doubtful)
        else:
            self.doubtful.unlink(missing_ok=True)

    def _clear_left_overs(self) -> None:
        left_overs = [p for own in (self.dropped, self.doubtful) for p in self.output.glob(f".{own.name}.*.tmp")]
        for folder in ("text", "pairs", "encoded", self.data_bin.name, self._state.name):
            left_overs += (self.output / folder).rglob(".*.tmp")
        for left_over in left_overs:
            if left_over.is_dir():
                shutil.rmtree(left_over)
            else:
                left_over.unlink(missing_ok=True)

    def _load_tasks(self) -> dict[str, dict[str, Any]]:
        path = self._state / "state.json"
        if not os.path.lexists(path):
            return {}
        try:
            tasks = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
            if not all(isinstance(task[key], dict) for task in tasks.values() for key in ("inputs", "files", "counts")):
                raise ValueError
        except (OSError, ValueError, RecursionError, LookupError, TypeError, AttributeError):
            raise UserError(f"{path} cannot be read; delete it and every step is made again") from None
        return tasks

    def _save_tasks(self) -> None:
        with write_beside(self._state / "state.json") as handle:
            # json.dump is far slower, and this is written after every part; in an order that does not tell of the past
            handle.write(json.dumps(dict(sorted(self._tasks.items()))))


def _join(paths: list[Path], whole: Path) -> None:
    """Write files one after the other into `whole`, unless it is so already."""
    lines = itertools.zip_longest(_raw_lines(whole), _raw_lines(*paths)) if whole.is_file() else [(None, b"")]
    if any(old != new for old, new in lines):
        with write_beside(whole, "wb") as handle:
            handle.writelines(_raw_lines(*paths))


def _raw_lines(*paths: Path) -> Iterator[bytes]:
    for path in paths:
        with open(path, "rb") as handle:
            yield from handle


def remove_if_empty(directory: Path) -> None:
    """Remove a directory that has nothing in it; others stay, and so does what is none."""
    with contextlib.suppress(OSError):
        directory.rmdir()


@contextmanager
def fresh_directory(path: Path) -> Iterator[Path]:
    """Give a new directory beside `path` to write into; it takes the place of `path` when the block ends well.

    What a killed process left of an earlier attempt is cleared away, and whatever still works on one fails. An
    `OSError` of the block that names no file leaves it with the name of `path`. Raises `UserError` where there is
    something in `path` that no step writes.
    """
    for there in path.iterdir() if path.is_dir() else ():
        if there.name.partition(".")[0] not in _OURS:
            raise UserError(f"{there} is in the way: {path} is made anew; move it elsewhere")
    for left_over in path.parent.glob(f".{path.name}.*.tmp"):
        shutil.rmtree(left_over, ignore_errors=True)
    with directory_beside(path) as fresh, naming_file(path):
        yield fresh
