"""Files of one JSON object a line that several commands append to at once, and that a kill may leave torn."""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ppa_plugin.commandline import UserError


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


def drop_torn_line(path: str | Path) -> bool:
    """Take away a last line that a killed writer left half done; whether there was one. No file is no error.

    A last line that lacks nothing but its end gets it. Raises `UserError` where the file cannot be read and written.
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
