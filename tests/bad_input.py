"""The rows of the table test of bad input, and how one is run: the command's `main` in this process."""

import contextlib
import faulthandler
import io
import os
import shlex
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fairseq import options, tasks
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from ppa_preprocess import cli as preprocess

from ppa_plugin.convert.cli import main as convert
from ppa_plugin.evaluation.cli import main as evaluate
from ppa_plugin.evaluation.report import main as report

# a row that takes longer hangs
SECONDS = 30


@dataclass(frozen=True)
class Row:
    """A command line that has to end in one sentence.

    line: as typed in a shell, in a directory of the row's own, which is empty but for what `make` puts there.
    says: what standard error has to contain, all of it where there are several: the file, flag or line, what to do.
    make: is given the directory and writes the files that the line names.
    name: what the row is called; without, its line.
    """

    line: str
    says: str | tuple[str, ...]
    make: Callable[[Path], object] | None = None
    name: str | None = None

    def __str__(self) -> str:
        name = self.name or self.line
        return name if len(name) < 90 else f"{name[:30]}...{name[-55:]}"


def fairseq_train(arguments: list[str]) -> None:
    """What `fairseq-train` does with a command line before it builds a model."""
    parsed = options.parse_args_and_arch(options.get_training_parser(), input_args=arguments)
    tasks.setup_task(convert_namespace_to_omegaconf(parsed).task)


MAINS = {
    "ppa-preprocess": preprocess.main,
    "ppa-convert": convert,
    "ppa-evaluate": evaluate,
    "ppa-report": report,
    "fairseq-train": fairseq_train,
}


def check(row: Row, directory: Path) -> None:
    """Run a row in `directory`: exit code 2, one sentence that says what is expected of it, nothing written."""
    if row.make is not None:
        row.make(directory)
    before = _snapshot(directory)
    name, *arguments = shlex.split(row.line)
    said = io.StringIO()
    with (
        contextlib.chdir(directory),
        contextlib.redirect_stderr(said),
        contextlib.redirect_stdout(io.StringIO()),
        _at_most(SECONDS),
        pytest.raises(SystemExit) as ended,
    ):
        MAINS[name](arguments)
    error = said.getvalue()
    assert ended.value.code == 2, error
    assert "Traceback" not in error
    assert _is_one_sentence(error), error
    for words in (row.says,) if isinstance(row.says, str) else row.says:
        assert words in error, error
    assert _snapshot(directory) == before


def _is_one_sentence(error: str) -> bool:
    """`error: ...`, after warnings at most; or argparse's usage and then `PROG: error: ...`."""
    *others, last = error.rstrip("\n").split("\n")
    if error.startswith("usage: "):
        return ": error: " in last
    return last.startswith("error: ") and all(line.startswith(("note: ", "warning: ")) for line in others)


def _snapshot(directory: Path) -> dict[str, bytes | str | None]:
    """Every path below a directory, with the content of what is a regular file or a link."""
    found = {}
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        found[name] = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
    return found


@contextlib.contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    """Fail what takes longer, also inside a system call that waits."""

    def fail(signum, frame):
        faulthandler.dump_traceback()
        raise TimeoutError(f"hangs: not at its end after {seconds} s")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
