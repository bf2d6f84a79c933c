"""How long each command takes to answer: `--help` of every one, in turn.

    python benchmarks/start_up.py [--rounds 5]

Medians of wall time and of processor time, which a busy machine changes less, and the most memory that a round took.
The first round, which reads files from disk, is left out.
"""

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

from ppa_plugin import commandline
from ppa_plugin.commandline import align, positive

LINES = (
    "ppa-report --help",
    "ppa-evaluate --help",
    "ppa-evaluate retrieval --help",
    "ppa-evaluate classify --help",
    "ppa-convert --help",
    "ppa-convert to-fairseq --help",
    "ppa-preprocess --help",
    "ppa-preprocess all --help",
    "ppa-preprocess verify --mistyped",
    "ppa-user-dir",
)


def _main(argv: list[str] | None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=positive, default=5, help="default: %(default)s")
    args = parser.parse_args(argv)
    rounds = [[answer(line.split()) for line in LINES] for _ in range(args.rounds + 1)][1:]
    rows = [("", "seconds", "of a core", "MB")]
    for line, answers in zip(LINES, zip(*rounds, strict=True), strict=True):
        wall, core, memory = zip(*answers, strict=True)
        rows.append((line, *(f"{statistics.median(times):.2f}" for times in (wall, core)), f"{max(memory) / 1e6:.0f}"))
    sys.stdout.write("\n".join(align(rows)) + "\n")


def answer(line: list[str]) -> tuple[float, float, int]:
    """(seconds until a command of this environment has ended, seconds of a core that it took, its peak in bytes)."""
    command = str(Path(sys.executable).parent / line[0])
    silence = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_WRONLY, 0) for number in (1, 2)]
    started = time.perf_counter()
    process = os.posix_spawn(command, [command, *line[1:]], os.environ, file_actions=silence)
    _, _, used = os.wait4(process, 0)
    return time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024


if __name__ == "__main__":
    commandline.run(_main)
