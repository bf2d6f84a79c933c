"""The results file: one JSON object a line, the same fields for every task."""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import IO, Any

from ppa_plugin.commandline import UserError


@dataclass(frozen=True)
class Result:
    """One figure. `value` is 0 to 1, `n` the number of items measured, `seed` None where nothing is drawn."""

    model: str
    model_path: str
    model_sha256: str
    task: str
    source: str
    target: str
    seed: int | None
    metric: str
    value: float
    n: int
    layer: int | None
    pool: str | None
    data_sha256: str
    config: dict[str, Any]
    version: str


def append_results(path: str | Path, results: Iterable[Result]) -> None:
    """Append results to a file, creating it if need be: all lines or none, so that commands may share a file.

    The file is locked meanwhile, because appending from two machines to a file on NFS is not atomic by itself. A last
    line that some other program left without its end is not continued. Raises `UserError` where the file cannot be
    written; it then stays as it was.
    """
    lines = "".join(json.dumps(asdict(result), ensure_ascii=False) + "\n" for result in results).encode("utf-8")
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
            if _is_json(last):
                handle.write(b"\n")
                return False
            handle.truncate(len(whole) + 1 if whole else 0)
            return True
    except FileNotFoundError:
        return False
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None


@contextmanager
def _locked(handle: IO[bytes]) -> Iterator[bool]:
    """Hold the file's lock, released as it closes; False where the file system has none, as some Lustre mounts."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError:
        yield False
    else:
        yield True


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _last_byte(handle: IO[bytes]) -> bytes:
    handle.seek(-1, os.SEEK_END)
    return handle.read(1)


def read_results(path: str | Path) -> list[Result]:
    """The results in a file, in its order. Raises `UserError`, naming the line, for what is not a result."""
    return [result for _, result in numbered_results(path)]


def numbered_results(path: str | Path, being_written: bool = False) -> list[tuple[int, Result]]:
    """The results in a file with the numbers of their lines, from 1. Raises `UserError` as `read_results` does.

    `being_written`: a last line that is not whole is no error, another command may be about to end it.
    """
    names = {field.name for field in fields(Result)}
    results = []
    try:
        content = Path(path).read_bytes()
        whole, _, last = content.rpartition(b"\n")
        text = (whole if being_written and not _is_json(last) else content).decode("utf-8")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text") from None
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError:
            raise UserError(f"{path}, line {number}: not valid JSON") from None
        if not isinstance(record, dict) or set(record) != names:
            raise UserError(f"{path}, line {number}: not a result; its fields have to be {', '.join(sorted(names))}")
        if not isinstance(record["config"], dict):
            raise UserError(f"{path}, line {number}: not a result; its config is no object")
        results.append((number, Result(**record)))
    return results
