"""One file's lines whatever its format: text or JSON lines, plain or compressed, Parquet, Arrow; read as a stream."""

import contextlib
import gzip
import hashlib
import importlib
import io
import json
import lzma
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import IO, Any

from ppa_plugin.commandline import UserError
from ppa_plugin.files import decode_lines, sha256

KNOWN_FORMATS = ".txt, .jsonl (both also .gz, .xz, .zst), .gz, .xz, .zst (of text), .parquet, .arrow"
_COMPRESSED = (".gz", ".xz", ".zst")
_BLOCK_BYTES = 1 << 20
_BATCH_ROWS = 1 << 12
_NAMES_SHOWN = 8
# an Arrow file begins with it; what begins otherwise is an Arrow stream, which is what `datasets` writes
_ARROW_FILE = b"ARROW1"
_END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"
_GIT_LFS = b"version https://git-lfs"


@dataclass
class Found:
    """What reading has found: each file's SHA-256, by name, and how many values had line breaks inside."""

    files: list[list[str]] = field(default_factory=list)
    line_breaks: int = 0


def file_format(path: Path) -> tuple[str, str] | None:
    """What a file's name says of it: (`.txt`, `.jsonl`, `.parquet` or `.arrow`; its compression or ""), else None."""
    suffixes = path.suffixes[-2:]
    compression = suffixes.pop() if suffixes and suffixes[-1] in _COMPRESSED else ""
    kind = suffixes[-1] if suffixes else ".txt" if compression else ""
    known = (".txt", ".jsonl") if compression else (".txt", ".jsonl", ".parquet", ".arrow")
    return (kind, compression) if kind in known else None


def library(name: str, what: str) -> ModuleType:
    """Import an optional library; raises `UserError` that says how to install it where it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UserError(f"{what}: reading it takes the package {name}: pip install 'translit-ppa[sources]'") from None


def read_file(path: Path, name: str, column: str, found: Found) -> Iterator[str]:
    """Yield a file's lines; of a table or JSON lines, the strings in `column`. Its SHA-256 goes into `found`.

    No line has a `\\n` in it: one at the end of a value is left out, one inside becomes a space (with the `\\r` before
    it), and the value is counted. Raises `UserError`, naming the line or row, for whatever is no such line.
    """
    kind, compression = file_format(path)
    with _naming_errors(path, compression or kind):
        _refuse_pointers(path)
        if kind == ".parquet" or (kind == ".arrow" and _starts_with(path, _ARROW_FILE)):
            # read by an index at its end, not from front to back
            found.files.append([name, sha256(path)])
            batches = _parquet_batches(path, column) if kind == ".parquet" else _arrow_batches(path, None)
            yield from _column_values(batches, path, column, found)
            return
        with _Hashed(path) as raw, io.BufferedReader(raw, _BLOCK_BYTES) as handle:
            if kind == ".arrow":
                yield from _column_values(_arrow_batches(path, handle), path, column, found)
                if handle.read(1) or not _ends_with(path, _END_OF_STREAM):
                    raise EOFError("its end-of-stream mark is missing or is not its end")
            else:
                lines = decode_lines(_decompressed(handle, compression, path), path)
                yield from lines if kind == ".txt" else _json_values(lines, path, column, found)
            found.files.append([name, raw.sha256.hexdigest()])


def string_values(column: Any, where: str, before: int, name: str, found: Found) -> Iterator[str]:
    """Yield the strings of an Arrow array, as one line each; `before` rows of `where` precede it.

    Raises `UserError`, naming the row, where a value is null or not UTF-8, and where the column is not of strings.
    """
    types = importlib.import_module("pyarrow").types
    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not any(is_kind(column.type) for is_kind in (types.is_string, types.is_large_string, types.is_string_view)):
        raise UserError(f"{where}: the column {name!r} is of type {column.type}, expected strings")
    try:
        values = column.to_pylist()
    except UnicodeDecodeError:
        for row, value in enumerate(column, before + 1):
            try:
                value.as_py()
            except UnicodeDecodeError as error:
                raise UserError(f"{where}, row {row}: not valid UTF-8 ({error.reason})") from None
        raise
    for row, value in enumerate(values, before + 1):
        if value is None:
            raise UserError(f"{where}, row {row}: {name!r} is null, expected a string")
        yield _one_line(value, found)


def no_column(where: str, column: str, present: Iterable[str]) -> UserError:
    """The error for a column that is not there."""
    names = sorted(map(repr, present))
    more = ", ..." if len(names) > _NAMES_SHOWN else ""
    there = ", ".join(names[:_NAMES_SHOWN]) or "nothing"
    return UserError(f"{where}: there is no {column!r} but {there}{more}; name the text with --text-column")


class _Hashed(io.FileIO):
    """A file whose checksum is known when it has been read to its end."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.sha256 = hashlib.sha256()

    def readinto(self, buffer: Any) -> int:
        count = super().readinto(buffer)
        self.sha256.update(memoryview(buffer)[:count])
        return count


class _Xz(io.RawIOBase):
    """Decompressed .xz; `lzma.LZMAFile` takes a damaged second stream for the file's end and says nothing."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._stream = lzma.LZMADecompressor()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = b""
        while not data:
            feed = b""
            if self._stream.eof:
                feed = self._stream.unused_data or self._source.read(_BLOCK_BYTES)
                if not feed:
                    return 0
                self._stream = lzma.LZMADecompressor()
            elif self._stream.needs_input:
                feed = self._source.read(_BLOCK_BYTES)
                if not feed:
                    raise EOFError("it ends in the middle of a stream")
            data = self._stream.decompress(feed, len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _decompressed(handle: IO[bytes], compression: str, path: Path) -> Iterable[bytes]:
    if compression == ".gz":
        return gzip.GzipFile(fileobj=handle)
    if compression == ".xz":
        return io.BufferedReader(_Xz(handle), _BLOCK_BYTES)
    if compression == ".zst":
        # not the package zstandard: it takes a truncated file for a whole one
        pyarrow = library("pyarrow", str(path))
        return io.BufferedReader(pyarrow.CompressedInputStream(pyarrow.PythonFile(handle, "r"), "zstd"), _BLOCK_BYTES)
    return handle


@contextlib.contextmanager
def _naming_errors(path: Path, kind: str) -> Iterator[None]:
    """Whatever reading a file raises, as a `UserError` that names it."""
    try:
        yield
    except (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError, NotImplementedError) as error:
        # libraries raise an OSError without a number for what is wrong inside a file; pyarrow's others are the last two
        if isinstance(error, OSError) and error.errno is not None:
            raise UserError(f"cannot read {path}: {error.strerror}") from None
        said = " ".join(str(error).split()).rstrip(".")
        raise UserError(f"{path} is damaged or not a {kind} file: {said}") from None


def _starts_with(path: Path, magic: bytes) -> bool:
    with open(path, "rb") as handle:
        return handle.read(len(magic)) == magic


def _ends_with(path: Path, mark: bytes) -> bool:
    with open(path, "rb") as handle:
        handle.seek(-min(len(mark), handle.seek(0, io.SEEK_END)), io.SEEK_END)
        return handle.read() == mark


def _refuse_pointers(path: Path) -> None:
    if _starts_with(path, _GIT_LFS):
        raise UserError(f"{path} is a Git LFS pointer, not the file itself: run `git lfs pull` where it lies")


def _json_values(lines: Iterable[str], path: Path, column: str, found: Found) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        try:
            value = json.loads(line)[column]
            value.encode()
        except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
            raise _bad_record(line, f"{path}, line {number}", column) from None
        yield _one_line(value, found)


def _bad_record(line: str, where: str, column: str) -> UserError:
    """What is wrong with a line from which no text could be taken."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        return UserError(f"{where}: not a JSON object")
    if column not in record:
        return no_column(where, column, record)
    if not isinstance(record[column], str):
        return UserError(f"{where}: {column!r} is {json.dumps(record[column])[:40]}, expected a string")
    return UserError(f"{where}: {column!r} holds half a surrogate pair, which is no text")


def _parquet_batches(path: Path, column: str) -> Iterator[Any]:
    library("pyarrow", str(path))
    # column by column through a small buffer: read ahead, a row group of any size would lie in memory
    with library("pyarrow.parquet", str(path)).ParquetFile(path, buffer_size=_BLOCK_BYTES, pre_buffer=False) as file:
        names = file.schema_arrow.names
        if column not in names:
            raise no_column(str(path), column, names)
        yield from file.iter_batches(_BATCH_ROWS, columns=[column], use_threads=False)


def _arrow_batches(path: Path, stream: IO[bytes] | None) -> Iterator[Any]:
    """The batches of an Arrow stream, or of the Arrow file `path` where there is none."""
    pyarrow = library("pyarrow", str(path))
    ipc = library("pyarrow.ipc", str(path))
    if stream is not None:
        yield from ipc.open_stream(stream)
        return
    with pyarrow.OSFile(str(path)) as source:  # not mapped: pages that were read would count as this process's memory
        reader = ipc.open_file(source)
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)


def _column_values(batches: Iterable[Any], path: Path, column: str, found: Found) -> Iterator[str]:
    rows = 0
    for batch in batches:
        if column not in batch.schema.names:
            raise no_column(str(path), column, batch.schema.names)
        yield from string_values(batch.column(column), str(path), rows, column, found)
        rows += batch.num_rows


def _one_line(value: str, found: Found) -> str:
    if "\n" not in value:
        return value
    found.line_breaks += 1
    return value.replace("\r\n", "\n").removesuffix("\n").replace("\n", " ")
