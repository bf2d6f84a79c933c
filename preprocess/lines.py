"""Files of lines: counting them, reaching line i without holding the file in memory, and JSON lines."""

import json
import mmap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ppa_plugin.commandline import UserError
from ppa_plugin.files import read_lines, write_beside

_BLOCK_BYTES = 1 << 24
# valid in JSON, but str.splitlines() and some readers of JSON lines take them for line ends
_LINE_ENDS = {"\u0085": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}


class LineFile:
    """The lines of a file by number, from 0, as bytes without their `\\n`; needs 8 bytes of memory a line."""

    def __init__(self, data: bytes | mmap.mmap) -> None:
        self._data = data
        starts = [np.zeros(1, dtype=np.int64)]
        for block_start in range(0, len(data), _BLOCK_BYTES):
            block = np.frombuffer(data[block_start : block_start + _BLOCK_BYTES], dtype=np.uint8)
            starts.append(np.flatnonzero(block == ord("\n")) + block_start + 1)
        self._starts = np.concatenate(starts)
        if self._starts[-1] != len(data):  # the last line has no \n
            self._starts = np.append(self._starts, len(data) + 1)

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, index: int) -> bytes:
        return self._data[self._starts[index] : self._starts[index + 1] - 1]

    def __iter__(self) -> Iterator[bytes]:
        return (self[index] for index in range(len(self)))


@contextmanager
def open_lines(path: Path) -> Iterator[LineFile]:
    """Open a file as a `LineFile`; raises `OSError` where it cannot be read."""
    with open(path, "rb") as handle:
        if not path.stat().st_size:  # an empty file cannot be mapped
            yield LineFile(b"")
            return
        with mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield LineFile(data)


def count_lines(path: Path) -> int:
    """The number of lines, split at `\\n` only; a last line without `\\n` counts. `UserError` where unreadable."""
    count, last = 0, b"\n"
    try:
        with open(path, "rb") as handle:
            while block := handle.read(_BLOCK_BYTES):
                count += block.count(b"\n")
                last = block[-1:]
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    return count + (last != b"\n")


def write_json_lines(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """Write one JSON object a line, readable in every script, no matter at what a reader splits lines."""
    with write_beside(path) as handle:
        for record in records:
            line = json.dumps(record, ensure_ascii=False)
            for character, escaped in _LINE_ENDS.items():
                line = line.replace(character, escaped)
            handle.write(line + "\n")


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Read what `write_json_lines` wrote; raises `UserError`, naming the line, where it is something else."""
    records = []
    for number, line in enumerate(read_lines(path), 1):
        try:
            records.append(json.loads(line))
        except ValueError:
            raise UserError(f"{path}, line {number}: not a JSON object") from None
    return records
