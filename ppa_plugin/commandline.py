"""What every command shares: how bad input ends a run, whole numbers, what it did said, and progress shown.

What a command does is in its files; what it writes to its standard streams says so. A reader that goes away, as in
`ppa-preprocess all ... | head -1`, therefore ends nothing: the rest of the output goes nowhere, the work goes on, and
the exit code is that of the work. A stream that is closed from the start is a reader that nobody wanted. Output that is
lost because it cannot be written, as on a full disk, ends nothing either, but is said, and the exit code is 1.
"""

import argparse
import functools
import io
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")


class UserError(Exception):
    """Bad usage or bad input: one sentence that names the file, line or flag and says what to do."""


@contextmanager
def exit_on_user_error() -> Iterator[None]:
    """Turn a `UserError` into its sentence on stderr and exit code 2, without a traceback.

    Also usable as a decorator, `@exit_on_user_error()`, on the hooks that stock fairseq calls.
    """
    try:
        yield
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(2) from None


def run(command: Callable[[list[str] | None], int | None], argv: list[str] | None = None) -> None:
    """Run `command(argv)` and exit: 0 done, 1 failed, 2 bad usage or bad input, 130 interrupted."""
    # importing fairseq leaves the root logger at DEBUG, so that every library says what fonts or hosts it looks at
    logging.getLogger().setLevel(logging.WARNING)
    keep_streams()
    try:
        with exit_on_user_error():
            code = command(argv) or 0
    except SystemExit as ended:  # argparse's too, which has written its help by then
        code = ended.code or 0
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        code = 130
    raise SystemExit(code or _output_lost())


class _Lasting(io.FileIO):
    """A standard stream's file, whose writing never raises; `trouble` is why some of it is lost, None without reason.

    Below every buffer, so that it holds for whatever writes there: `print`, argparse, the flush at the end.
    """

    trouble: OSError | None = None

    def write(self, data) -> int | None:
        try:
            return super().write(data)
        except BrokenPipeError:
            # the programs that this one starts write there too, and would be ended by the signal
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
        except OSError as error:
            self.trouble = self.trouble or error
        return memoryview(data).nbytes


def keep_streams() -> None:
    """Make this process's standard streams outlast their readers; those that are closed lead nowhere from here on.

    A stream that something else stands in for, as a test or a notebook does, is left alone.
    """
    # a closed one's number would go to the next file that is opened, and what is meant for the stream into that file
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream, original = getattr(sys, name), getattr(sys, f"__{name}__")
        if stream is not original or (stream is not None and _lasting(stream)):
            continue
        if stream is None:  # closed, and its number may have gone to another file since
            kept = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8", errors="backslashreplace")
        else:
            stream.flush()
            kept = io.TextIOWrapper(
                io.BufferedWriter(_Lasting(number, "w", closefd=False)),
                encoding=stream.encoding,
                errors=stream.errors,
                line_buffering=stream.line_buffering or stream.write_through,  # PYTHONUNBUFFERED, python -u
            )
        setattr(sys, name, kept)
        setattr(sys, f"__{name}__", kept)


def _lasting(stream: object) -> _Lasting | None:
    """The file below a stream, if `keep_streams` made it."""
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw if isinstance(raw, _Lasting) else None


def _output_lost() -> int:
    """1, and one sentence, where standard output was not written as a whole."""
    sys.stdout.flush()
    lost = _lasting(sys.stdout)
    if lost is None or lost.trouble is None:
        return 0
    sys.stderr.write(f"error: cannot write to standard output: {lost.trouble.strerror}; files are not affected\n")
    return 1


def positive(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive whole number")
    return int(text)


def natural(text: str) -> int:
    """A whole number of at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least 0")
    return int(text)


def say(text: str) -> None:
    """Write a line to standard output at once, also where that is a pipe or a file."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@functools.cache
def note_once(text: str) -> None:
    """Write a note to standard error, once a process however often what it is about is come across."""
    sys.stderr.write(f"note: {text}\n")


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows of a table as lines with aligned columns, the first one to the left, without space at line ends."""
    first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
    return [
        "  ".join([row[0].ljust(first), *(cell.rjust(w) for cell, w in zip(row[1:], others, strict=True))]).rstrip()
        for row in rows
    ]


def progress(
    items: Iterable[Item], description: str, total: int | None = None, unit: str = "line", every: float = 30.0
) -> Iterator[Item]:
    """Yield `items`, showing a tqdm bar on a terminal and a plain line every `every` seconds in a log (on stderr)."""
    if sys.stderr.isatty():
        yield from tqdm(items, desc=description, total=total, unit=f" {unit}s", dynamic_ncols=True, leave=False)
        return
    started = said = time.monotonic()
    count = 0
    for count, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - said >= every:
            said = now
            of_total = f" of {total:,}" if total else ""
            rate = count / (now - started)
            left = f", {(total - count) / rate:,.0f} s left" if total else ""
            sys.stderr.write(f"{description}: {count:,}{of_total} {unit}s, {rate:,.1f}/s{left}\n")
    seconds = time.monotonic() - started
    if seconds >= every:
        sys.stderr.write(f"{description}: {count:,} {unit}s in {seconds:,.0f} s\n")
