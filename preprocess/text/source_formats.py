"""One file's lines whatever its format: text or JSON lines, plain or compressed, Parquet, Arrow; read as a stream."""

import contextlib
import gzip
import hashlib
import importlib
import io
import itertools
import json
import lzma
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import IO, Any

from ppa_preprocess.text.doubts import LINES_LOOKED_AT, doubts

from ppa_plugin.commandline import UserError
from ppa_plugin.files import sha256, without_mark

KNOWN_FORMATS = ".txt, .jsonl (both also .gz, .xz, .zst), .gz, .xz, .zst (of text), .parquet, .arrow"
_COMPRESSED = (".gz", ".xz", ".zst")
_BLOCK_BYTES = 1 << 20
# a line of more is no sentence but what has no line ends: unbounded, it would be unpacked into memory
_LONGEST_LINE = 1 << 26
_BATCH_ROWS = 1 << 12
_NAMES_SHOWN = 8
# an Arrow file begins with it; what begins otherwise is an Arrow stream, which is what `datasets` writes
_ARROW_FILE = b"ARROW1"
# what zstd says of a frame with a window beyond its default limit
_LARGE_WINDOW = "Frame requires too much memory"
_END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"
_GIT_LFS = b"version https://git-lfs"


@dataclass
class Findings:
    """What reading has found: each file's SHA-256, by name, what was taken off lines, what looks like no text.

    `line_breaks` counts values with line breaks inside, `line_ends` lines that ended in `\\r`; `doubts` has a sentence
    for the first file of each kind that does not look like a text of one sentence a line.
    """

    files: list[list[str]] = field(default_factory=list)
    line_breaks: int = 0
    line_ends: int = 0
    doubts: dict[str, str] = field(default_factory=dict)


def file_format(path: Path) -> tuple[str, str] | None:
    """What a file's name says of it: (`.txt`, `.jsonl`, `.parquet` or `.arrow`; its compression or ""), else None."""
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    compression = suffixes.pop() if suffixes and suffixes[-1] in _COMPRESSED else ""
    kind = suffixes[-1] if suffixes else ".txt" if compression else ""
    known = (".txt", ".jsonl") if compression else (".txt", ".jsonl", ".parquet", ".arrow")
    return (kind, compression) if kind in known else None


def endings(path: Path) -> str:
    """What of the name of a file of a known format says its format, as it is written there: `.txt.gz`."""
    kind, compression = file_format(path)
    name = path.name.lower()
    ending = next(ending for ending in (kind + compression, compression) if name.endswith(ending))
    return path.name[len(path.name) - len(ending) :]


def library(name: str, what: str) -> ModuleType:
    """Import an optional library; raises `UserError` that says how to install it where it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UserError(f"{what}: reading it takes the package {name}: pip install 'translit-ppa[sources]'") from None


def read_file(path: Path, name: str, column: str, found: Findings) -> Iterator[str]:
    """Yield a file's lines; of a table or JSON lines, the strings in `column`. Its SHA-256 goes into `found`.

    No line has a `\\n` in it: one at the end of a value is left out, one inside becomes a space (with the `\\r` before
    it), and the value is counted. None ends in the `\\r` of a line end, which is counted too. Raises `UserError`,
    naming the line or row, for whatever is no such line.
    """
    kind, compression = file_format(path)
    with _naming_errors(path, compression or kind):
        if _starts_with(path, _GIT_LFS):
            raise UserError(f"{path} is a Git LFS pointer, not the file itself: run `git lfs pull` where it lies")
        if kind == ".parquet" or (kind == ".arrow" and _starts_with(path, _ARROW_FILE)):
            # read by an index at its end, not from front to back
            found.files.append([name, sha256(path)])
            batches = _parquet_batches(path, column) if kind == ".parquet" else _arrow_batches(path, column, None)
            yield from _column_values(batches, path, column, found)
            return
        with _Hashed(path) as raw, io.BufferedReader(raw, _BLOCK_BYTES) as handle:
            if kind == ".arrow":
                yield from _column_values(_arrow_batches(path, column, handle), path, column, found)
                if handle.read(1) or not _ends_with(path, _END_OF_STREAM):
                    raise EOFError("its end-of-stream mark is missing or is not its end")
            else:
                texts = _decoded(_decompressed(handle, compression, path), path)
                if kind == ".txt":
                    yield from _text_lines(texts, path, found)
                else:
                    lines = itertools.chain.from_iterable(text.split("\n") for text in texts)
                    yield from _json_values(lines, path, column, found)
            found.files.append([name, raw.sha256.hexdigest()])


def string_values(column: Any, where: str, before: int, name: str, found: Findings) -> Iterator[str]:
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


def check_column(where: str, column: str, present: Collection[str]) -> None:
    """Raise `UserError` unless there is one column of that name."""
    if (count := list(present).count(column)) > 1:
        raise UserError(f"{where}: there are {count} columns {column!r}; keep the one that holds the text")
    if not count:
        raise _no_column(where, column, present)


def _no_column(where: str, column: str, present: Iterable[str]) -> UserError:
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


def _decompressed(handle: IO[bytes], compression: str, path: Path) -> IO[bytes]:
    if compression == ".gz":
        return gzip.GzipFile(fileobj=handle)
    if compression == ".xz":
        return io.BufferedReader(_Xz(handle), _BLOCK_BYTES)
    if compression == ".zst":
        # not the package zstandard: it takes a truncated file for a whole one
        pyarrow = library("pyarrow", str(path))
        return io.BufferedReader(pyarrow.CompressedInputStream(pyarrow.PythonFile(handle, "r"), "zstd"), _BLOCK_BYTES)
    return handle


def _decoded(handle: IO[bytes], path: Path) -> Iterator[str]:
    """Yield a text in pieces of whole lines, without the `\\n` after each piece's last and without byte-order mark.

    Raises `UserError`, naming the line, where one is not UTF-8 or has no end.
    """
    number, unfinished, size = 1, [], 0  # of the line that a piece begins with, and what earlier blocks had of it
    block = without_mark(handle.read(_BLOCK_BYTES), path)
    while block:
        whole, line_end, rest = block.rpartition(b"\n")
        if line_end:
            piece = b"".join([*unfinished, whole])
            yield _utf8(piece, number, path)
            number, unfinished, size = number + piece.count(b"\n") + 1, [], 0
        unfinished.append(rest)
        size += len(rest)
        if size > _LONGEST_LINE:
            raise UserError(
                f"{path}, line {number} does not end within {_LONGEST_LINE >> 20} MB: expected one sentence a line"
            )
        block = handle.read(_BLOCK_BYTES)
    if size:
        yield _utf8(b"".join(unfinished), number, path)


def _utf8(piece: bytes, first: int, path: Path) -> str:
    """Decode lines, the first of which has the number `first`."""
    try:
        return piece.decode()
    except UnicodeDecodeError:
        for number, line in enumerate(piece.split(b"\n"), first):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                raise UserError(
                    f"{path}, line {number}: not valid UTF-8 ({error.reason}); convert the file to UTF-8"
                ) from None
        raise


def _text_lines(texts: Iterator[str], path: Path, found: Findings) -> Iterator[str]:
    for number, text in enumerate(texts):
        if "\r" in text:
            found.line_ends += text.count("\r\n") + text.endswith("\r")
            text = text.replace("\r\n", "\n").removesuffix("\r")
        lines = text.split("\n")
        if number == 0:
            for kind, doubt in doubts(lines[:LINES_LOOKED_AT]):
                found.doubts.setdefault(kind, f"{path}: {doubt}")
        yield from lines


@contextlib.contextmanager
def _naming_errors(path: Path, kind: str) -> Iterator[None]:
    """Whatever reading a file raises, as a `UserError` that names it: what libraries raise is not all documented."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        # libraries raise an OSError without a number for what is wrong inside a file
        if isinstance(error, OSError) and error.errno is not None:
            raise UserError(f"cannot read {path}: {error.strerror}") from error
        said = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        if isinstance(error, MemoryError):
            raise UserError(f"{path} takes more memory than there is, or is damaged: {said}") from error
        if _LARGE_WINDOW in said:
            raise UserError(
                f"{path} was compressed with a window of more than 128 MB, which cannot be read here; compress it anew "
                "without --long or --ultra: zstd -dc --long=31 FILE | zstd > NEW"
            ) from error
        raise UserError(f"{path} is damaged or not a {kind} file: {said}") from error


def _starts_with(path: Path, magic: bytes) -> bool:
    with open(path, "rb") as handle:
        return handle.read(len(magic)) == magic


def _ends_with(path: Path, mark: bytes) -> bool:
    with open(path, "rb") as handle:
        handle.seek(-min(len(mark), handle.seek(0, io.SEEK_END)), io.SEEK_END)
        return handle.read() == mark


def _json_values(lines: Iterable[str], path: Path, column: str, found: Findings) -> Iterator[str]:
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
        return _no_column(where, column, record)
    if not isinstance(record[column], str):
        return UserError(f"{where}: {column!r} is {json.dumps(record[column])[:40]}, expected a string")
    return UserError(f"{where}: {column!r} holds half a surrogate pair, which is no text")


def _parquet_batches(path: Path, column: str) -> Iterator[Any]:
    library("pyarrow", str(path))
    # column by column through a small buffer: read ahead, a row group of any size would lie in memory
    with library("pyarrow.parquet", str(path)).ParquetFile(path, buffer_size=_BLOCK_BYTES, pre_buffer=False) as file:
        check_column(str(path), column, file.schema_arrow.names)
        yield from file.iter_batches(_BATCH_ROWS, columns=[column], use_threads=False)


def _arrow_batches(path: Path, column: str, stream: IO[bytes] | None) -> Iterator[Any]:
    """The batches of an Arrow stream, or of the Arrow file `path` where there is none."""
    pyarrow = library("pyarrow", str(path))
    ipc = library("pyarrow.ipc", str(path))
    if stream is not None:
        reader = ipc.open_stream(stream)
        check_column(str(path), column, reader.schema.names)
        yield from reader
        return
    with pyarrow.OSFile(str(path)) as source:  # not mapped: pages that were read would count as this process's memory
        reader = ipc.open_file(source)
        check_column(str(path), column, reader.schema.names)
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)


def _column_values(batches: Iterable[Any], path: Path, column: str, found: Findings) -> Iterator[str]:
    rows = 0
    for batch in batches:
        values = batch.column(column)
        _check_offsets(values)
        yield from string_values(values, str(path), rows, column, found)
        rows += batch.num_rows


def _check_offsets(values: Any) -> None:
    """Raise `ValueError` where values lie outside of the array, as pyarrow itself finds out by a crash."""
    try:
        values.validate(full=True)
    except ValueError as error:
        if "UTF8" not in str(error):  # which is looked at after the offsets; where it is, the row is named
            raise


def _one_line(value: str, found: Findings) -> str:
    if "\n" in value:
        found.line_breaks += 1
        value = value.replace("\r\n", "\n").removesuffix("\n").replace("\n", " ")
    if value.endswith("\r"):
        found.line_ends += 1
        value = value[:-1]
    return value
