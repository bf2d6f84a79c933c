"""How fast text becomes shards, by fairseq-preprocess's code and directly, and with how much memory.

    python benchmarks/preprocess_binarize.py --text DIR [--lines 10000] [--spm FILE] [--rounds 5]
    python benchmarks/preprocess_binarize.py --text DIR --memory 5000000

DIR holds UTF-8 text, `<lang>.txt`, one sentence a line; `--lines` are taken from its files in turn and stand on both
sides of the pairs (romanizing is not measured here), so that a pair is two lines. Without `--spm` a model of 16,000
pieces is trained on them. The steps are those of `ppa-preprocess`, with all that they check and record, in one process
that has loaded everything; every round runs each case once, in turn, and the medians are printed. A binarizer's shards
are compared with those of the first, byte for byte.

With `--memory` the lines are repeated, a counter on each, until there are as many as asked for, and every step from
`sample` on runs on them as a user runs it.
"""

import argparse
import itertools
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import measure
from measure import timed
from ppa_preprocess import binarize, encode
from ppa_preprocess.group import Group, Language
from ppa_preprocess.tokens.binarizers import BINARIZERS
from ppa_preprocess.workspace import Workspace

from ppa_plugin.data.masking import SIDES
from ppa_plugin.data.vocabulary import load_sentencepiece
from ppa_plugin.files import read_lines

LANG = "mul_Zyyy"  # all the text is taken for one language
WORKERS = (1, 2)
STEPS = ("encode", "binarize", "both")
SENTENCEPIECE = {"SentencePiece ids": int, "SentencePiece pieces": str}
SENTENCES = (16_000_000, 4_000_000)
_BATCH = 2048
Rates = dict[tuple[str, ...], list[float]]


def main() -> None:
    args = _parser().parse_args()
    with tempfile.TemporaryDirectory(dir=args.scratch) as folder:
        lines = list(itertools.islice(_in_turn(args.text), args.lines))
        spm = args.spm or Path(folder) / "trained.model"
        if not args.spm:
            measure.train_sentencepiece(lines, 16_000, model_prefix=str(spm.with_suffix("")))
        if args.memory:
            print_memory(lines, spm, Path(folder), args.memory)
            return
        tokens = sum(map(len, load_sentencepiece(spm).encode(lines))) / len(lines)
        print(f"{len(lines):,} lines a side, {tokens:.1f} tokens a line, median of {args.rounds}\n")
        rates: Rates = {}
        for number in range(args.rounds):
            for case, rate in [*sentencepiece_rates(lines, spm), *binarizer_rates(lines, spm, Path(folder))]:
                rates.setdefault(case, []).append(rate)
            print(f"round {number + 1} of {args.rounds}", file=sys.stderr)
        print_rates({case: statistics.median(values) for case, values in rates.items()})


def sentencepiece_rates(lines: list[str], spm: Path) -> Iterator[tuple[tuple[str, ...], float]]:
    """Yield (case, lines/s) of SentencePiece alone, one thread."""
    processor = load_sentencepiece(spm)
    batches = [lines[start : start + _BATCH] for start in range(0, len(lines), _BATCH)]

    def encode_all(out_type: type) -> None:
        for batch in batches:
            processor.encode(batch, out_type=out_type, num_threads=1)

    for case, out_type in SENTENCEPIECE.items():
        yield (case,), len(lines) / timed(encode_all, out_type)


def binarizer_rates(lines: list[str], spm: Path, folder: Path) -> Iterator[tuple[tuple[str, ...], float]]:
    """Yield ((binarizer, workers, step), lines/s a core) of both sides, with the steps of `ppa-preprocess`."""
    first = None
    for workers, name in itertools.product(WORKERS, BINARIZERS):
        group = Group("benchmark", {LANG: Language()}, shards=2, binarizer=name)
        workspace = Workspace(folder / "work", say=lambda line: None)
        write_pairs(workspace, lines)
        with workspace.locked():
            seconds = [timed(step.run, group, spm, workspace, workers) for step in (encode, binarize)]
        files = [path.read_bytes() for path in sorted(workspace.data_bin.glob("shard*/*/*"))]
        first = first or files
        assert files == first, f"{name} with {workers} workers wrote other bytes"
        shutil.rmtree(workspace.output)
        for step, taken in zip(STEPS, (*seconds, sum(seconds)), strict=True):
            yield (name, str(workers), step), len(SIDES) * len(lines) / taken / workers


def write_pairs(workspace: Workspace, lines: Iterable[str]) -> None:
    """The same lines on both sides."""
    orig, latn = workspace.pair(LANG)
    orig.parent.mkdir(parents=True)
    with open(orig, "w", encoding="utf-8", newline="\n") as handle:
        handle.writelines(f"{line}\n" for line in lines)
    shutil.copy(orig, latn)


def print_rates(rates: dict[tuple[str, ...], float]) -> None:
    for case in SENTENCEPIECE:
        print(f"{case:30}{rates[case,]:>12,.0f} lines/s, one thread")
    print(f"\n{'lines/s a core':30}" + "".join(f"{step:>12}" for step in STEPS))
    for workers in map(str, WORKERS):
        for name in BINARIZERS:
            row = "".join(f"{rates[name, workers, step]:>12,.0f}" for step in STEPS)
            print(f"{name + ', ' + workers + ' worker(s)':30}{row}")
        ratios = [rates["direct", workers, step] / rates["fairseq-preprocess", workers, step] for step in STEPS]
        print(f"{'direct is faster by':30}" + "".join(f"{ratio:>11.1f}x" for ratio in ratios))
    print()
    for sentences, name in itertools.product(SENTENCES, BINARIZERS):
        rate = rates[name, "1", STEPS[-1]]
        hours = len(SIDES) * sentences / rate / 3600
        print(
            f"{sentences:>10,} sentences, {name:18}: {len(SIDES)} x {sentences:,} lines / {rate:,.0f} lines/s a core / "
            f"3,600 = {hours:.2f} cores x hours"
        )


def print_memory(lines: list[str], spm: Path, folder: Path, count: int) -> None:
    """Run every step with `direct` on `count` lines and print what each took."""
    text = folder / "input" / f"{LANG}.txt"
    text.parent.mkdir()
    with open(text, "w", encoding="utf-8", newline="\n") as handle:
        handle.writelines(f"{line} {n}\n" for n, line in enumerate(itertools.islice(itertools.cycle(lines), count)))
    group = folder / "group.yaml"
    settings = "sampling: {share: 1.0, min_lines: 0}\nbinarizer: direct\n"
    group.write_text(f"name: benchmark\nlanguages: {{{LANG}: }}\n{settings}", encoding="utf-8")
    print(f"{count:,} lines, {text.stat().st_size / 1e9:.2f} GB", flush=True)
    flags = ["--config", group, "--input", text.parent, "--spm", spm, "--output", folder / "work"]
    for step in ("sample", "romanize", "encode", "binarize", "verify"):
        arguments = [Path(sys.executable).with_name("ppa-preprocess"), step, *flags, "--workers", max(WORKERS)]
        seconds, largest, together = watched([str(argument) for argument in arguments])
        print(
            f"{step:10}{seconds:>8.0f} s {count / seconds:>10,.0f} lines/s, {max(WORKERS)} workers; peak {largest:.2f} "
            f"GB in the largest process, {together:.2f} GB in all (proportional set size)",
            flush=True,
        )


def watched(arguments: list[str]) -> tuple[float, float, float]:
    """Run a command; returns its seconds, the largest resident set of its processes and their largest sum, in GB.

    Both are looked up in /proc twice a second: VmHWM, the peak of a process, and Pss, which shares out shared pages.
    """
    started, largest, together = time.perf_counter(), 0, 0
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, start_new_session=True)
    while process.poll() is None:
        members = [pid for pid in os.listdir("/proc") if pid.isdecimal() and session(pid) == process.pid]
        largest = max([largest, *(memory(pid, "status", "VmHWM:") for pid in members)])
        together = max(together, sum(memory(pid, "smaps_rollup", "Pss:") for pid in members))
        time.sleep(0.5)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with exit code {process.returncode}")
    return time.perf_counter() - started, largest / 1e6, together / 1e6


def session(pid: str) -> int | None:
    try:
        return os.getsid(int(pid))
    except ProcessLookupError:
        return None


def memory(pid: str, file: str, field: str) -> int:
    """A field of a file of /proc/<pid>/ in kB; 0 where the process has ended."""
    try:
        rows = Path("/proc", pid, file).read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return sum(int(row.split()[1]) for row in rows if row.startswith(field))


def _in_turn(directory: Path) -> Iterator[str]:
    """Lines of each file in turn, without empty ones."""
    files = [filter(None, read_lines(path)) for path in sorted(directory.glob("*.txt"))]
    if not files:
        raise SystemExit(f"{directory} has no .txt files")
    for lines in itertools.zip_longest(*files):
        yield from (line for line in lines if line is not None)


def _parser() -> argparse.ArgumentParser:
    parser = measure.parser(__doc__)
    parser.add_argument("--text", type=Path, required=True, help="the directory of <lang>.txt files")
    parser.add_argument("--lines", type=int, default=10_000, help="lines to take (default: %(default)s)")
    parser.add_argument("--spm", type=Path, help="SentencePiece model (default: trained on the lines)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each case is run (default: %(default)s)")
    parser.add_argument("--memory", type=int, metavar="LINES", help="measure memory on so many lines instead")
    parser.add_argument("--scratch", type=Path, help="where to write (default: the directory for temporary files)")
    return parser


if __name__ == "__main__":
    main()
