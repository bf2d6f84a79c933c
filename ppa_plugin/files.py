"""The one boundary of all reading, text whose lines never shift, and writing so that no file is ever half there."""

import codecs
import hashlib
import itertools
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ppa_plugin.commandline import UserError, disk_failed, note_once

# The marks of other encodings; that of UTF-32 begins with that of UTF-16.
_OTHER_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
# what is in a directory and no file, by how `stat` tells
_NO_FILES = {
    stat.S_ISDIR: "a directory",
    stat.S_ISFIFO: "a pipe, which may never end; write what it gives to a file",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}
# A file that is read whole: far more than any that is meant, and what a machine has room for.
_LARGEST = 1 << 32
_LONGEST_REASON = 300
_BLOCK_BYTES = 1 << 24
# valid in JSON, but str.splitlines() and some readers of JSON lines take them for line ends
_LINE_ENDS = {"\u0085": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}
# what the name of a temporary file beside another one is longer by
_OF_A_TEMPORARY = 24


@contextmanager
def reading(path: str | Path, what: str) -> Iterator[None]:
    """The boundary around whatever reads a user's file: what the block raises becomes a `UserError` that names it.

    `what` says what the file is read as, with its article. A `UserError` of the block stays as it is, and so does what
    is meant to end a program. With `PPA_DEBUG=1` the command shows the traceback too (`commandline`).
    """
    try:
        yield
    except UserError:
        raise
    except RecursionError as error:
        raise UserError(f"{path} cannot be read as {what}: it is nested too deeply") from error
    except MemoryError as error:
        raise UserError(f"{path} cannot be read as {what}: it, or what it asks for, is larger than memory") from error
    except BaseException as error:
        # the panics of libraries in Rust are no Exception
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        if isinstance(error, OSError) and error.errno is not None:
            raise UserError(f"cannot read {error.filename or path}: {error.strerror}") from error
        raise UserError(f"{path} cannot be read as {what} ({reason(error)})") from error


@contextmanager
def naming_errors(name: str, longest: int | None = None) -> Iterator[None]:
    """Whatever a library or the network raises over a dataset, as a `UserError` that names the dataset.

    `longest` is how many characters of the reason are shown; None: all.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # no network, no such dataset, no such revision: each has a class of its own
        said = " ".join(str(error).split())[:longest]
        raise UserError(f"cannot read {name}: {type(error).__name__}: {said}") from None


def reason(error: BaseException) -> str:
    """An error in one line of a bounded length, its type first."""
    text = " ".join(str(error).split())
    shown = text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]} ..."
    return f"{type(error).__name__}: {shown}" if shown else type(error).__name__


def is_file(path: str | Path) -> bool:
    """Whether a file is there; False too where the system will not say, as for a name that is too long."""
    try:
        return Path(path).is_file()
    except OSError:
        return False


def check_file(path: str | Path, named: str = "") -> int:
    """The size of a file. Raises `UserError` with the true cause where there is none that can be read to its end.

    A pipe without a writer is waited for for ever, and a device has no end; neither is opened. `named` goes before the
    path, as the flag that gave it.
    """
    where = f"{named} {path}".lstrip()
    try:
        found = os.stat(path)
    except FileNotFoundError as error:
        if os.path.islink(path):
            raise UserError(f"cannot read {where}: it is a link to {os.readlink(path)}, which does not exist") from None
        raise UserError(f"cannot read {where}: {error.strerror}") from None
    except OSError as error:
        raise UserError(f"cannot read {where}: {error.strerror}") from None
    except ValueError:
        raise UserError(f"cannot read {where!r}: its name holds a NUL character") from None
    if kind := kind_of_no_file(found.st_mode):
        raise UserError(f"cannot read {where}: it is {kind}")
    return found.st_size


def kind_of_no_file(mode: int) -> str:
    """What is there by its `st_mode`, with its article and perhaps, behind a comma, advice; empty for a file."""
    return next((kind for is_kind, kind in _NO_FILES.items() if is_kind(mode)), "")


def read_bytes(path: str | Path, largest: int = _LARGEST, named: str = "") -> bytes:
    """A whole file. Raises `UserError` as `check_file` does, and where it is larger than `largest` bytes."""
    where = f"{named} {path}".lstrip()
    if check_file(path, named) > largest:
        raise UserError(f"cannot read {where}: it is larger than the {largest:,} bytes that such a file may have")
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {where}: {error.strerror}") from None


def read_json(path: str | Path, largest: int = _LARGEST) -> Any:
    """The JSON value that a file holds. Raises `UserError` where it cannot be read or is not JSON."""
    text = decode_text(read_bytes(path, largest), path)
    with reading(path, "JSON"):
        try:
            return json.loads(text)
        except ValueError as error:
            raise UserError(f"{path} is not valid JSON ({error})") from error


def read_json_object(path: str | Path, largest: int = _LARGEST) -> dict[str, Any]:
    """The JSON object that a file holds; raises as `read_json` does, and where it holds another value."""
    content = read_json(path, largest)
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a JSON object")
    return content


def check_output(path: str | Path) -> None:
    """Raise `UserError` where neither a file nor a directory could be written at `path`; nothing is left there.

    Asked before the work, which may take hours. Directories above it may be missing: they are made when it is written.
    """
    if str(path) in ("", "-") or "\0" in str(path):
        raise UserError(f"cannot write {str(path)!r}: name a file or directory, as in ./output")
    place = Path(path).absolute()
    try:
        above, found = next(
            (above, found) for above in (place, *place.parents) if (found := _stat_of_output(above)) is not None
        )
        longest = os.pathconf(above if stat.S_ISDIR(found.st_mode) else above.parent, "PC_NAME_MAX") - _OF_A_TEMPORARY
        for part in place.parts:
            if len(os.fsencode(part)) > longest:
                raise UserError(f"cannot write {path}: a name of more than {longest} bytes is too long")
        if above != place and not stat.S_ISDIR(found.st_mode):
            raise UserError(f"cannot write {path}: {above} is not a directory")
        if above == place:
            if not stat.S_ISDIR(found.st_mode) and (kind := kind_of_no_file(found.st_mode)):
                raise UserError(f"cannot write {path}: it is {kind.partition(',')[0]}")
            above = place.parent
        with tempfile.TemporaryFile(dir=above):
            pass
    except OSError as error:
        if disk_failed(error):
            raise
        raise UserError(f"cannot write {path}: nothing can be made there ({error.strerror})") from error


def _stat_of_output(path: Path) -> os.stat_result | None:
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        if path.is_symlink():
            raise UserError(f"cannot write {path}: it is a link to {os.readlink(path)}, which does not exist") from None
        return None


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
    check_file(path)
    with reading(path, "text"), open(path, "rb") as handle:
        yield from decode_lines(handle, path)


def lines_side_by_side(one: str | Path, other: str | Path, what: str) -> Iterator[tuple[str, str]]:
    """Yield line i of one file with line i of another, which has to be `what` it.

    Raises `UserError` as `read_lines`, and where one has more lines: as soon as the other has none left.
    """
    for both in itertools.zip_longest(read_lines(one), read_lines(other)):
        if None in both:
            raise UserError(
                f"{one} has {count_lines(Path(one)):,} lines and {other} has {count_lines(Path(other)):,}; line i of "
                f"{other} has to be {what} line i of {one}"
            )
        yield both


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


def sha256(*paths: str | Path) -> str:
    """The SHA-256 of the bytes of files, one after the other, in hexadecimal. `UserError` for what is no file."""
    digest = hashlib.sha256()
    for path in paths:
        check_file(path)
        with open(path, "rb") as handle:
            hashlib.file_digest(handle, lambda: digest)
    return digest.hexdigest()


def check_free(path: str | Path, own: Collection[str], overwrite: bool) -> None:
    """Raise `UserError` unless a directory may, and can, be written at `path`.

    It may where nothing or an empty directory is, and with `overwrite` where a directory holds only names in `own`,
    those that the command writes itself: nobody else's files are ever removed.
    """
    check_output(path)
    path = Path(path)
    if not path.exists():
        return
    if not path.is_dir():
        raise UserError(f"{path} exists and is not a directory")
    found = sorted(entry.name for entry in path.iterdir())
    if found and not overwrite:
        raise UserError(f"{path} is not empty; pass --overwrite or choose another directory")
    foreign = [name for name in found if name not in own]
    if foreign:
        raise UserError(f"{path} holds {foreign[0]}, which this command did not write; choose another directory")


@contextmanager
def directory_beside(path: str | Path) -> Iterator[Path]:
    """Yield a fresh directory beside `path`; it takes the place of `path` when the block ends well, else it goes."""
    path = Path(path).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
    fresh, old = beside / "new", beside / "old"
    fresh.mkdir()
    try:
        yield fresh
        if path.exists():
            os.rename(path, old)
        os.rename(fresh, path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def open_weights(directory: Path) -> None:
    """Give a model's `*.safetensors` the permissions of its `config.json`: the library lets their owner alone read."""
    for weights in directory.glob("*.safetensors"):
        shutil.copymode(directory / "config.json", weights)


def count_lines(path: Path) -> int:
    """The number of lines, split at `\\n` only; a last line without `\\n` counts, a byte-order mark alone is no line.

    Raises `UserError` where the file cannot be read.
    """
    count, last = 0, b"\n"
    with reading(path, "text"), open(path, "rb") as handle:
        skip_mark(handle)
        while block := handle.read(_BLOCK_BYTES):
            count += block.count(b"\n")
            last = block[-1:]
    return count + (last != b"\n")


def write_json_lines(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """Write one JSON object a line, readable in every script, no matter at what a reader splits lines."""
    with write_beside(path) as handle:
        for record in records:
            line = json.dumps(record, ensure_ascii=False)
            for character, escaped in _LINE_ENDS.items():
                line = line.replace(character, escaped)
            handle.write(line + "\n")


def read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield what `write_json_lines` wrote; raises `UserError`, naming the line, where it is something else."""
    for number, line in enumerate(read_lines(path), 1):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            raise UserError(f"{path}, line {number}: not a JSON object")
        yield record
