"""What every command shares: how bad input ends a run, whole numbers, what it did said, and progress shown."""

import argparse
import errno
import functools
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
_LONGEST_SHOWN = 80
# what fails though the command and its input are right
_DISK_FAILURES = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.ESTALE, errno.ENOMEM, errno.EMFILE)


class UserError(Exception):
    """Bad usage or bad input: one sentence that names the file, line or flag and says what to do."""


@contextmanager
def exit_on_user_error() -> Iterator[None]:
    """Turn a `UserError` into its sentence on stderr and exit code 2, without a traceback.

    So is an `OSError` that names its file, as for a path that is too long or may not be written to; where a disk has
    failed or is full the exit code is 1. With `PPA_DEBUG=1` in the environment the traceback comes before the sentence.
    Also usable as a decorator, `@exit_on_user_error()`, on the hooks that stock fairseq calls.
    """
    try:
        yield
    except UserError as error:
        _end(error, str(error), 2)
    except OSError as error:
        if error.filename is None or error.errno is None:
            raise
        _end(error, f"{error.filename}: {error.strerror}", 1 if disk_failed(error) else 2)


def disk_failed(error: OSError) -> bool:
    """Whether an `OSError` is the machine's and not the user's: a disk that is full or fails, in place of a path."""
    return error.errno in _DISK_FAILURES


def _end(error: Exception, sentence: str, code: int) -> NoReturn:
    if os.environ.get("PPA_DEBUG") == "1":
        error.__suppress_context__ = False  # what `from None` left out is what is looked for
        traceback.print_exception(error)
    sys.stderr.write(f"error: {sentence}\n")
    raise SystemExit(code) from None


def run(command: Callable[[list[str] | None], int | None], argv: list[str] | None = None) -> None:
    """Run `command(argv)` and exit: 0 done, 1 failed, 2 bad usage or bad input, 130 interrupted."""
    # importing fairseq leaves the root logger at DEBUG, so that every library says what fonts or hosts it looks at
    logging.getLogger().setLevel(logging.WARNING)
    try:
        with exit_on_user_error():
            code = command(argv) or 0
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        code = 130
    raise SystemExit(code)


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


def shown(value: object) -> str:
    """A value as a message shows it: its `repr`, cut where it is long."""
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


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
