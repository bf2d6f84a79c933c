"""Reading text so that lines never shift, and writing files so that none is ever half there."""

import codecs
import hashlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ppa_plugin.commandline import UserError, note_once

# The marks of other encodings; that of UTF-32 begins with that of UTF-16.
_OTHER_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


@contextmanager
def write_beside(path: str | Path, mode: str = "w") -> Iterator[IO]:
    """Open `path` for writing under a temporary name beside it; rename it into place when the block ends well.

    Text is UTF-8 with `\\n` line ends. When the block raises, the temporary file is removed and `path` stays as it was.
    An `OSError` of the block that names no file, as on a full disk, leaves it with the name of `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    try:
        with naming_file(path), open(beside, mode, **text) as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def naming_file(path: str | Path) -> Iterator[None]:
    """Give an `OSError` of the block that names no file the name of `path`: a write to a full disk says not where."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def read_lines(path: str | Path) -> Iterator[str]:
    """Yield the lines of a UTF-8 file without their `\\n`, split at `\\n` only (never at U+2028, U+0085, ...).

    A byte-order mark at its start is no part of the text. Raises `UserError` where the file cannot be read or, naming
    the line, is not UTF-8.
    """
    try:
        with open(path, "rb") as handle:
            yield from decode_lines(handle, path)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None


def decode_lines(lines: Iterable[bytes], path: str | Path) -> Iterator[str]:
    """Yield a text's lines, UTF-8 each, without their `\\n` and without a byte-order mark at the start of the first.

    Raises `UserError`, naming `path` and the line, where one is not UTF-8.
    """
    lines = iter(lines)
    first = without_mark(next(lines, b""), path)
    number = 0
    try:
        for line in itertools.chain([first] if first else [], lines):
            number += 1
            yield line.removesuffix(b"\n").decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}, line {number}: not valid UTF-8 ({error.reason}); convert the file to UTF-8") from None


def decode_text(content: bytes, path: str | Path) -> str:
    """A whole text as `decode_lines` takes its lines; `UserError`, naming `path`, where it is not UTF-8."""
    try:
        return without_mark(content, path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not valid UTF-8 ({error.reason}); convert the file to UTF-8") from None


def without_mark(start: bytes, path: str | Path) -> bytes:
    """The start of a text without its byte-order mark; `UserError` where the mark is that of another encoding."""
    for mark, encoding in _OTHER_MARKS.items():
        if start.startswith(mark):
            raise UserError(f"{path} is {encoding}; convert the file to UTF-8")
    return start.removeprefix(codecs.BOM_UTF8)


def skip_mark(handle: IO[bytes]) -> int:
    """Go from a file's start to where its text begins, behind the UTF-8 byte-order mark if it has one: that byte."""
    return handle.seek(len(codecs.BOM_UTF8) if handle.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8 else 0)


def without_left_overs(files: Iterable[Path]) -> list[Path]:
    """Of files `<lang>.*` of `text/` or `pairs/`, those of the group whose shards lie beside; a note names the others.

    The shards' manifest says which languages the group has. A file of another one that was written since is none that
    an earlier group left. Where there is no manifest nothing is known, and all are taken.
    """
    kept, left = [], []
    for path in files:
        place = path.resolve().parent
        manifest = place.parent / "data-bin" / "manifest.json"
        try:
            old = path.stat().st_mtime_ns < manifest.stat().st_mtime_ns
            old = old and path.stem not in json.loads(manifest.read_bytes())["languages"]
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            old = False
        (left if old and place.name in ("text", "pairs") else kept).append(path)
    if left:
        names = ", ".join(map(str, left))
        note_once(f"passed over {names}: of no language in data-bin/manifest.json, and older; an earlier group left it")
    return kept


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
