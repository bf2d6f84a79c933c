"""What every command shares: how bad input ends a run, whole numbers, what it did said, and progress shown."""

import argparse
import functools
import logging
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
