"""Kills, torn files and full disks: a suite goes on from whatever they leave."""

import multiprocessing
import os
import random
import re
import resource
import signal
import sys
import time
from pathlib import Path

import pytest
from suites import one_task, run, write

pytestmark = pytest.mark.usefixtures("stubs")


def test_a_cut_off_file_is_mended(place, capsys):
    """Whatever number of bytes a full disk or a kill has left, the end is the file of the undisturbed run."""
    config = write(place)
    assert run("--config", config, "--jobs", 0) == 0
    whole = (place / "results.jsonl").read_bytes()
    generator = random.Random(1)
    for length in (0, len(whole) - 1, *(generator.randrange(len(whole)) for _ in range(4))):
        (place / "results.jsonl").write_bytes(whole[:length])
        capsys.readouterr()
        assert run("--config", config, "--jobs", 0) == 0
        assert (place / "results.jsonl").read_bytes() == whole
        torn = 0 < length < len(whole) - 1 and whole[length - 1 : length] != b"\n"
        assert ("results.jsonl was cut off; it is dropped" in capsys.readouterr().err) == torn


@pytest.mark.parametrize("jobs", [0, 1])
def test_two_kills_change_nothing(place, jobs):
    tasks = {
        "bible": {"data": "bibles", "sources": ["eng_Latn"]},
        "taxi1500": {"data": "topics", "sources": ["fas_Arab"], "seeds": list(range(12)), "seconds": 0.03},
    }
    config = write(place, tasks=tasks)
    assert run("--config", config, "--jobs", jobs) == 0
    undisturbed = (place / "results.jsonl").read_bytes()
    output, generator, sizes = place / "killed.jsonl", random.Random(jobs), [0]
    arguments = ("--config", config, "--jobs", jobs, "--output", output)
    for _ in range(2):
        process = multiprocessing.get_context("fork").Process(target=run, args=arguments)
        process.start()
        enough = sizes[-1] + generator.randrange(1, len(undisturbed) // 3)
        while not output.exists() or output.stat().st_size < enough:
            assert process.is_alive()
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        sizes.append(output.stat().st_size)
    assert 0 < sizes[1] < sizes[2] < len(undisturbed)
    assert run(*arguments) == 0
    assert output.read_bytes() == undisturbed


def test_a_killed_run_leaves_no_process_behind(place):
    trace = place / "trace"
    config = one_task(place, trace=str(trace), seconds=60)
    process = multiprocessing.get_context("fork").Process(target=run, args=("--config", config, "--jobs", 1))
    process.start()
    assert comes_true(lambda: trace.exists() and trace.read_text().endswith("\n"))
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    worker = re.search(r"in (\d+):", trace.read_text()).group(1)
    status = Path("/proc", worker, "stat")
    assert comes_true(lambda: not status.exists() or status.read_text().rpartition(") ")[2].startswith("Z"))


def comes_true(condition) -> bool:
    give_up = time.monotonic() + 60
    while not condition() and time.monotonic() < give_up:
        time.sleep(0.01)
    return condition()


@pytest.mark.parametrize("jobs", [0, 2])
def test_a_full_disk_ends_the_run_and_leaves_whole_lines(place, jobs):
    config = write(place)
    assert run("--config", config, "--jobs", 0) == 0
    whole = (place / "results.jsonl").read_bytes()
    (place / "results.jsonl").unlink()

    def limited():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) // 2, len(whole) // 2))
        sys.exit(run("--config", config, "--jobs", jobs))

    process = multiprocessing.get_context("fork").Process(target=limited)
    process.start()
    process.join()
    assert process.exitcode == 2
    written = (place / "results.jsonl").read_bytes()
    assert written.endswith(b"\n")
    assert set(written.splitlines()) < set(whole.splitlines())
    assert run("--config", config, "--jobs", 0) == 0
    assert sorted((place / "results.jsonl").read_bytes().splitlines()) == sorted(whole.splitlines())
