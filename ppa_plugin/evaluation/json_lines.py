"""Files of one JSON object a line that several commands append to at once, and that a kill may leave torn."""

import fcntl
import io
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ppa_plugin.commandline import UserError
from ppa_plugin.files import decode_lines, read_bytes, reading

# What a record may hold: more is no measurement, and would end in libraries that show it.
_DEEPEST = 16
_LARGEST = 1 << 63


def append_json_lines(path: str | Path, records: Iterable[dict[str, Any]]) -> None:
    """Append records to a file, creating it if need be: all lines or none, so that commands may share a file.

    The file is locked meanwhile, because appending from two machines to a file on NFS is not atomic by itself. A last
    line that some other program left without its end is not continued. Raises `UserError` where the file cannot be
    written; it then stays as it was.
    """
    lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode("utf-8")
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab+", buffering=0) as handle, _locked(handle) as alone:
            end = handle.seek(0, os.SEEK_END)
            if end and _last_byte(handle) != b"\n":
                lines = b"\n" + lines
            try:
                # one write, but where the disk fills up: only then does the loop turn, and the next write says so
                while lines:
                    lines = lines[handle.write(lines) :]
                os.fsync(handle.fileno())
            except OSError:
                if alone:
                    handle.truncate(end)
                raise
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None


def numbered_json(path: str | Path, what: str, being_written: bool = False) -> Iterator[tuple[int, Any]]:
    """Yield the JSON value of each line that is not empty, and the line's number, from 1; `what` says what they are.

    `being_written`: a last line that is not whole is no error, another command may be about to end it. Raises
    `UserError`, naming file and line, for what cannot be read, is not UTF-8 or JSON, or holds values that no table can
    show: nested deeper than 16, whole numbers beyond 64 bits, half characters.
    """
    content = read_bytes(path)
    whole, _, last = content.rpartition(b"\n")
    lines = io.BytesIO(whole if being_written and not is_json(last) else content)
    with reading(path, what):
        for number, line in enumerate(decode_lines(lines, path), 1):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
                fault = _fault(value)
            except RecursionError:
                fault = "nested too deeply"
            except ValueError:
                fault = "not valid JSON"
            if fault:
                raise UserError(f"{path}, line {number}: {fault}")
            yield number, value


def is_a(kind: type) -> Callable[[Any], bool]:
    """What tells whether a JSON value is of that type; true and false, a kind of int in Python, are none."""
    return lambda value: isinstance(value, kind) and not isinstance(value, bool)


def or_none(is_kind: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """What tells whether a JSON value is null or what `is_kind` says."""
    return lambda value: value is None or is_kind(value)


def is_share(value: Any) -> bool:
    """Whether a JSON value is a number from 0 to 1; what is not a number (NaN) is not."""
    return is_number(value) and 0 <= value <= 1


def is_number(value: Any) -> bool:
    """Whether a JSON value is a finite number of a size that can be shown."""
    return is_a(int | float)(value) and math.isfinite(value) and abs(value) < 1e15


def is_count(value: Any) -> bool:
    """Whether a JSON value is a whole number of at least 0."""
    return is_a(int)(value) and value >= 0


def _fault(value: Any, depth: int = 0) -> str:
    """What a JSON value holds that no table can show; empty where nothing."""
    if isinstance(value, int) and abs(value) >= _LARGEST:
        return "a whole number in it is beyond 64 bits"
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        return "a text in it has half a character (a surrogate without its other)"
    if isinstance(value, list | dict):
        if depth == _DEEPEST:
            return "nested too deeply"
        parts = [*value, *value.values()] if isinstance(value, dict) else value
        return next(filter(None, (_fault(part, depth + 1) for part in parts)), "")
    return ""


def drop_torn_line(path: str | Path) -> bool:
    """Take away a last line that a killed writer left half done, with a warning; whether there was one.

    No file is no error. A last line that lacks nothing but its end gets it. Raises `UserError` where the file cannot
    be read and written.
    """
    try:
        with open(path, "rb+", buffering=0) as handle, _locked(handle):
            if not handle.seek(0, os.SEEK_END) or _last_byte(handle) == b"\n":
                return False
            handle.seek(0)
            whole, _, last = handle.read().rpartition(b"\n")
            if is_json(last):
                handle.write(b"\n")
                return False
            handle.truncate(len(whole) + 1 if whole else 0)
            sys.stderr.write(f"warning: the last line of {path} was cut off; it is dropped and measured again\n")
            return True
    except FileNotFoundError:
        return False
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None


def is_json(line: bytes) -> bool:
    """Whether a line is whole, so far as JSON can tell."""
    try:
        json.loads(line)
    except ValueError:
        return False
    except RecursionError:  # too deep to tell: kept, for its reader to refuse
        return True
    return True


@contextmanager
def _locked(handle: IO[bytes]) -> Iterator[bool]:
    """Hold the file's lock, released as it closes; False where the file system has none, as some Lustre mounts."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError:
        yield False
    else:
        yield True


def _last_byte(handle: IO[bytes]) -> bytes:
    handle.seek(-1, os.SEEK_END)
    return handle.read(1)
