"""Byte strings by number out of files larger than memory: the lines of a text, the rows of an encoded side."""

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ppa_plugin.files import naming_file, skip_mark

_BLOCK_BYTES = 1 << 24
_BLOCK_RECORDS = 4096


class Records:
    """Byte strings at known places of a file, by number from 0; 8 bytes of memory a record, however long.

    They are read, not mapped: mapped pages would count as memory of this process until the system wants them back.
    """

    def __init__(self, path: Path, descriptor: int, starts: np.ndarray, gap: int = 0) -> None:
        """Record i lies between `starts[i]` and `starts[i + 1] - gap`, in bytes."""
        self._path = path
        self._descriptor = descriptor
        self._starts = starts
        self._gap = gap

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __iter__(self) -> Iterator[bytes]:
        for first in range(0, len(self), _BLOCK_RECORDS):
            places = self._starts[first : first + _BLOCK_RECORDS + 1]
            block = self._read(int(places[-1] - places[0]), int(places[0]))
            for start, stop in itertools.pairwise((places - places[0]).tolist()):
                yield block[start : stop - self._gap]

    def take(self, indices: np.ndarray) -> Iterator[bytes]:
        """Yield the records of these numbers (N,), in this order."""
        for first in range(0, len(indices), _BLOCK_RECORDS):
            chosen = indices[first : first + _BLOCK_RECORDS]
            starts = self._starts[chosen]
            sizes = self._starts[chosen + 1] - self._gap - starts
            yield from map(self._read, sizes.tolist(), starts.tolist())

    def _read(self, size: int, start: int) -> bytes:
        try:
            return os.pread(self._descriptor, size, start)
        except OSError as error:
            error.filename = str(self._path)
            raise


@contextmanager
def open_lines(path: Path, marked: bool = True) -> Iterator[Records]:
    """Open a text by lines, without their `\\n`; a last line without one counts. `OSError` where it cannot be read.

    With `marked`, a byte-order mark at its start is no part of the text, as in `ppa_plugin.files.read_lines`.
    """
    with open(path, "rb") as handle:
        with naming_file(path):
            starts = _line_starts(handle, skip_mark(handle) if marked else 0)
        yield Records(path, handle.fileno(), starts, gap=1)


def _line_starts(handle: BinaryIO, size: int) -> np.ndarray:
    """Where each line from byte `size` on starts, and where one after the last would: int64 (lines + 1,)."""
    found = [np.array([size], dtype=np.int64)]
    while block := handle.read(_BLOCK_BYTES):
        found.append(np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == ord("\n")) + size + 1)
        size += len(block)
    starts = np.concatenate(found)
    return starts if starts[-1] == size else np.append(starts, size + 1)  # the last line has no \n
