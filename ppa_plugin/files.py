"""Reading text so that lines never shift, and writing files so that none is ever half there."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ppa_plugin.commandline import UserError


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

    Raises `UserError` where the file cannot be read or, naming the line, is not UTF-8.
    """
    try:
        with open(path, "rb") as handle:
            yield from decode_lines(handle, path)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None


def decode_lines(lines: Iterable[bytes], path: str | Path) -> Iterator[str]:
    """Yield lines of UTF-8 without their `\\n`; `UserError`, naming `path` and the line, where one is not UTF-8."""
    number = 0
    try:
        for line in lines:
            number += 1
            yield line.removesuffix(b"\n").decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}, line {number}: not valid UTF-8 ({error.reason}); convert the file to UTF-8") from None


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
