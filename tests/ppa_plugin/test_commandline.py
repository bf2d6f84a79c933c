"""What every command shares."""

import subprocess
import sys

import pytest

from ppa_plugin import commandline
from ppa_plugin.commandline import align

# Writes more than a pipe holds, by every way there is, has a program of its own write too, then leaves a file.
PROGRAM = """
import argparse, importlib.util, subprocess, sys
spec = importlib.util.spec_from_file_location("commandline", "SOURCE")  # without fairseq, which takes seconds
commandline = importlib.util.module_from_spec(spec)
spec.loader.exec_module(commandline)
def command(argv):
    if argv == ["--help"]:
        argparse.ArgumentParser(description="z" * 70000).parse_args(argv)
    commandline.say("begun")
    for number in range(20000):
        print("line", number)
        if number % 100 == 0:
            commandline.say("said")
            sys.stderr.write(f"note: {number} and {'x' * 900}\\n")
            sys.stdout.buffer.write(b"bytes\\n")
    subprocess.run([sys.executable, "-c", "print('y' * 100000)"], stderr=subprocess.DEVNULL)
    with open("made", "w") as handle:
        handle.write("whole")
    if argv == ["bad"]:
        raise commandline.UserError("bad input")
commandline.run(command, sys.argv[1:])
""".replace("SOURCE", commandline.__file__)


def shell(directory, command: str) -> subprocess.CompletedProcess:
    """What becomes of the program in a pipeline: its own exit code, what it left on stderr."""
    (directory / "program.py").write_text(PROGRAM)
    line = f"{{ {sys.executable} program.py {command}; exit ${{PIPESTATUS[0]}}"
    return subprocess.run(["bash", "-c", line], cwd=directory, capture_output=True, text=True, timeout=60)


def test_a_table_is_aligned_without_space_at_line_ends():
    assert align([["a", "bb", ""], ["long", "c", "dd"]]) == ["a     bb", "long   c  dd"]


@pytest.mark.parametrize("reader", ["| head -1", "| true", "| head -c 70000 | head -1"])
def test_a_reader_that_goes_away_ends_nothing(tmp_path, reader):
    done = shell(tmp_path, f"2>errors; }} {reader}")
    assert done.returncode == 0
    assert "Error" not in (tmp_path / "errors").read_text()  # of the notes all, and nothing else
    assert (tmp_path / "errors").read_text().count("\n") == 200
    assert (tmp_path / "made").read_text() == "whole"


def test_nor_does_one_of_both_streams(tmp_path):
    done = shell(tmp_path, "2>&1; } | head -1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "begun\n", "")
    assert (tmp_path / "made").read_text() == "whole"


def test_the_exit_code_is_that_of_the_work(tmp_path):
    done = shell(tmp_path, "bad 2>errors; } | head -1")
    assert done.returncode == 2
    assert (tmp_path / "errors").read_text().endswith("error: bad input\n")


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_lead_nowhere_and_into_no_file(tmp_path, closed):
    done = shell(tmp_path, f"{closed}; }}")
    assert (done.returncode, done.stdout) == (0, "")
    assert "Error" not in done.stderr
    assert (tmp_path / "made").read_text() == "whole"


@pytest.mark.parametrize("lost", [">/dev/full", "1</dev/null"])
def test_output_that_cannot_be_written_is_said_at_the_end(tmp_path, lost):
    done = shell(tmp_path, f"{lost}; }}")
    assert done.returncode == 1
    assert done.stderr.count("cannot write to standard output") == 1
    assert done.stderr.splitlines()[-1].startswith("error: cannot write to standard output: ")
    assert "Traceback" not in done.stderr
    assert (tmp_path / "made").read_text() == "whole"


@pytest.mark.parametrize("options", ["", "-u "])
def test_what_is_read_to_the_end_is_whole_and_in_order(tmp_path, options):
    (tmp_path / "program.py").write_text(PROGRAM.replace('sys.stdout.buffer.write(b"bytes\\\\n")', "None"))
    command = [sys.executable, *options.split(), "program.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    lines = [line for line in done.stdout.splitlines() if line.startswith("line")]
    assert lines == [f"line {number}" for number in range(20000)]


def test_help_is_no_output_to_be_missed(tmp_path):
    done = shell(tmp_path, "--help 2>errors; } | true")
    assert (done.returncode, (tmp_path / "errors").read_text()) == (0, "")
    assert shell(tmp_path, "--help > /dev/full 2>errors; }").returncode == 1
    assert not (tmp_path / "made").exists()
