"""What every command shares: how bad input ends a run, numbers in their ranges, what it did said, progress shown.

What a command does is in its files; what it writes to its standard streams says so. A reader that goes away, as in
`ppa-preprocess all ... | head -1`, therefore ends nothing: the rest of the output goes nowhere, the work goes on, and
the exit code is that of the work. A stream that is closed from the start is a reader that nobody wanted. Output that is
lost because it cannot be written, as on a full disk, ends nothing either, but is said, and the exit code is 1.
"""

import argparse
import contextlib
import errno
import functools
import io
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
_SHOWN = 60  # characters of a value in a message
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
    keep_streams()
    # Importing fairseq sets the root logger up at DEBUG, so that every library says what fonts or hosts it looks at;
    # not where it is set up already.
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
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


@dataclass(frozen=True)
class Range:
    """The numbers that a flag or a setting may have; as a type of argparse, it reads one of them.

    least, most: the bounds, which are in it unless `above` (the least is not) or `below` (the most is not) says so.
    Without a `most`, what 32 bits hold, or a thousand millions, is far too large to be meant.
    """

    least: float
    most: float | None = None
    whole: bool = False
    above: bool = False
    below: bool = False

    def __contains__(self, value: object) -> bool:
        # bool is a kind of int in Python, and `yes` a bool in YAML; NaN is not at least, nor at most, anything
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            return False
        over_least = value > self.least if self.above else value >= self.least
        return over_least and (value < self._most if self.below else value <= self._most)

    def __call__(self, text: str) -> float:
        """The number that a text of a command line stands for; raises `argparse.ArgumentTypeError` for any other."""
        value = None
        with contextlib.suppress(ValueError):  # int() also raises it for thousands of digits
            value = int(text) if self.whole else float(text)
        if value not in self:
            raise argparse.ArgumentTypeError(f"{shown(text)} is not {self.asked_of(value)}")
        return value

    def asked_of(self, value: object) -> str:
        """What a value, which is not it, should have been: `a whole number of at least 1`."""
        kind = "a whole number" if self.whole else "a number"
        # the bound that nobody stated is named to those who passed it
        if self.most is None and not (isinstance(value, int | float) and value > self._most):
            if self == positive:
                return "a positive whole number"
            return f"{kind} above {self.least}" if self.above else f"{kind} of at least {self.least}"
        start = f"above {self.least} and" if self.above else f"from {self.least} to"
        end = f"below {self._most}" if self.below else f"at most {self._most}" if self.above else f"{self._most}"
        return f"{kind} {start} {end}"

    @property
    def _most(self) -> float:
        if self.most is not None:
            return self.most
        return 2**31 - 1 if self.whole else 1_000_000_000


positive = Range(1, whole=True)
natural = Range(0, whole=True)
seed = Range(0, 2**32 - 1, whole=True)  # what numpy takes
workers = Range(1, 1024, whole=True)  # processes of one machine


def setting(default: Any, meaning: str, allowed: Range | None = None, *, recipe: bool = False) -> Any:
    """The field of a dataclass of settings that fairseq makes a flag of: its default, its help, its numbers.

    `recipe`: model cards show it whatever its value.
    """
    said = {"range": allowed, "recipe": recipe}
    return field(default=default, metadata={"help": meaning} | {key: value for key, value in said.items() if value})


def shown(value: object) -> str:
    """A value for a message, as typed or as Python writes it; of a long one the beginning."""
    try:
        text = value if isinstance(value, str) else f"{value:.15g}" if isinstance(value, float) else repr(value)
    except ValueError:  # Python writes no number of thousands of digits
        return "a number of thousands of digits"
    text = text.replace("\n", " ")  # a message is one line, a tensor is written on several
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def quoted(value: object) -> str:
    """A value of a file for a message: as `shown`, but a text in quotation marks."""
    return shown(repr(value) if isinstance(value, str) else value)


def say(text: str) -> None:
    """Write a line to standard output at once, also where that is a pipe or a file."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def print_user_dir() -> None:
    """`ppa-user-dir`: print the installed plugin's path, for `fairseq-train --user-dir "$(ppa-user-dir)"`."""
    run(lambda argv: say(str(Path(__file__).parent)))


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
