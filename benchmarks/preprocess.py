"""How fast the steps of `ppa-preprocess` are on your text, one section a step.

    python benchmarks/preprocess.py --text DIR [--text DIR ...] [--lines 2000] [--rounds 3] [--section repeated]

A DIR is a group: UTF-8 text, `<lang>.txt`, one sentence a line; `--lines` bounds what is taken of each language.
Without `--text` the quick start's corpus is used. What is compared runs in turn on the same slices of lines, in one
process unless said otherwise, with everything imported and loaded; medians of `--rounds`. Wants an idle machine.

`romanize`, in sentences a second and a core. Cold: nothing is known, and what is romanized is written to a cache on
disk. Warm: nothing is in memory, every part is in the cache on disk. uroman: `Uroman()`, which keeps nothing and does
not split; `Uroman(cache_size=65536)`, its cache empty, whose bytes ours have to be; its command line, with its start of
a few seconds. Lines on which uroman raises are counted and not given to its command line, which they would end: ours
has to raise on them too.

`repeated`: the group's lines, of all languages, five times and shuffled, cold against `Uroman(cache_size=65536)`.
`processes`: the group's lines once, cold and, repeated, warm, by one process and by two.
"""

import argparse
import itertools
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import measure
import uroman
from measure import timed

from ppa_plugin.commandline import align
from ppa_plugin.files import read_lines
from ppa_plugin.romanization.by_part import Romanization, load_romanizer
from ppa_plugin.romanization.text_file import romanize_lines

Corpus = dict[str, list[str]]  # lines by language

SLICE = 256
REPEATED = 5
SENTENCES = (16_000_000, 4_000_000)  # of the paper's two groups: table 1, and its smaller half
QUICKSTART = Path(__file__).parents[1] / "examples" / "quickstart"


def main() -> None:
    args = _parser().parse_args()
    load_romanizer("uroman")
    for name, corpus in read_groups(args.text, args.lines).items():
        print(f"\n== {name}: {len(corpus)} languages, {sum(map(len, corpus.values())):,} lines", flush=True)
        for section in args.section or SECTIONS:
            with tempfile.TemporaryDirectory() as folder:
                SECTIONS[section](corpus, args.rounds, Path(folder))


def read_groups(folders: list[Path], most: int) -> dict[str, Corpus]:
    """At most so many lines of every language of every group."""
    if not folders:
        sys.path.append(str(QUICKSTART))
        import corpus as quickstart

        training, _ = quickstart.build(tuple(quickstart.LOCALES), seed=1)
        return {"quick start": {lang: lines[:most] for lang, lines in training.items()}}
    return {
        folder.name: {
            path.stem: list(itertools.islice(read_lines(path), most)) for path in sorted(folder.glob("*.txt"))
        }
        for folder in folders
    }


def shuffled(corpus: Corpus) -> list[str]:
    """The lines of all languages, in an order drawn once."""
    lines = [line for some in corpus.values() for line in some]
    random.Random(1).shuffle(lines)
    return lines


def romanize_by_language(corpus: Corpus, rounds: int, folder: Path) -> None:
    """Print a row a language, ours and uroman's three modes, and what the paper's groups would take."""
    plain, cached = uroman.Uroman(), uroman.Uroman(cache_size=65536)
    rows, cold = [], {}
    compared = raised = 0
    for lang, lines in corpus.items():
        measured: dict[str, list[float]] = {}
        list(romanize_lines(lines, Romanization("uroman", cache=folder / f"{lang}.warm"), 1))
        for number in range(rounds):
            cached.reset_cache(65536)
            seconds, outputs = interleaved(
                {
                    "ours cold": ours(lines, folder / f"{lang}.cold{number}"),
                    "ours warm": ours(lines, folder / f"{lang}.warm"),
                    "Uroman()": reference(plain, lines),
                    "Uroman(65536)": reference(cached, lines),
                }
            )
            expected = outputs["Uroman(65536)"]
            good = [line for line, latn in zip(lines, expected, strict=True) if latn is not None]
            by_command, taken = command_line(good, folder)
            seconds["command line"] = taken * len(lines) / max(1, len(good))
            for case, value in seconds.items():
                measured.setdefault(case, []).append(len(lines) / value)
            differing = sum(
                a != b for case in ("ours cold", "ours warm") for a, b in zip(outputs[case], expected, strict=True)
            )
            differing += by_command != [latn for latn in expected if latn is not None]
        compared, raised = compared + len(lines), raised + len(lines) - len(good)
        rates = {case: statistics.median(values) for case, values in measured.items()}
        cold[lang] = 1 / rates["ours cold"]
        unsplit = sum(a != b for a, b in zip(outputs["Uroman()"], expected, strict=True))
        ratio = statistics.median(a / b for a, b in zip(measured["ours cold"], measured["Uroman(65536)"], strict=True))
        figures = [f"{rate:,.0f}" for rate in rates.values()]
        rows.append((lang, *figures, f"{ratio:.1f}", "no" if differing else "yes", f"{unsplit}"))
        print(".", end="", file=sys.stderr, flush=True)
    header = ("sentences/s a core", *rates, "cold/Uroman(65536)", "equal bytes", "Uroman() differs")
    print("", *align([header, *rows]), sep="\n")
    print(f"{compared:,} lines compared, uroman raises on {raised}", flush=True)
    mean = statistics.mean(cold.values())
    for count in SENTENCES:
        print(
            f"romanize, cold: {count:,} sentences x {mean * 1e3:.3f} ms / 3600 = {count * mean / 3600:.2f} core hours"
        )
    print("(the more text, the fewer of its parts are new: an upper bound)", flush=True)


def romanize_repeated(corpus: Corpus, _rounds: int, folder: Path) -> None:
    """A group's lines five times: what is past the 65,536 parts of its cache, uroman romanizes again and again."""
    lines, cached = shuffled(corpus), uroman.Uroman(cache_size=65536)
    repeated = lines * REPEATED
    random.Random(2).shuffle(repeated)
    seconds, outputs = interleaved({"ours": ours(repeated, folder / "repeated"), "uroman": reference(cached, repeated)})
    rates = {case: len(repeated) / value for case, value in seconds.items()}
    equal = "yes" if outputs["ours"] == outputs["uroman"] else "no"
    split = load_romanizer("uroman").split
    print(
        f"\nshuffled and repeated {REPEATED} times, cold: {len(repeated):,} lines, "
        f"{len({part for line in lines for part in split(line)}):,} distinct parts of ours, "
        f"{cached.rom_cache_size:,} in uroman's cache\n"
        f"ours {rates['ours']:,.0f} sentences/s, Uroman(cache_size=65536) {rates['uroman']:,.0f}: "
        f"{rates['ours'] / rates['uroman']:.1f} times; equal bytes: {equal}",
        flush=True,
    )


def romanize_in_processes(corpus: Corpus, rounds: int, folder: Path) -> None:
    """The same lines by one process and by two, in turn: cold once, warm repeated.

    Beside the time on the clock, the processor's: two processes that use no more of it than one, and a parent that uses
    little, scale with the cores, on a machine whose cores others use too.
    """
    lines = shuffled(corpus)
    measured: dict[tuple[str, int], list[tuple[float, float, float]]] = {}
    for number in range(rounds):
        for workers in (1, 2):
            settings = Romanization("uroman", cache=folder / f"{workers}workers{number}")
            for temperature, some in (("cold", lines), ("warm", lines * REPEATED)):
                before = os.times()
                clock = timed(list, romanize_lines(some, settings, workers))
                user, system, *children, _ = (b - a for a, b in zip(before, os.times(), strict=True))
                measured.setdefault((temperature, workers), []).append((clock, user + system, sum(children)))
    for temperature, count in (("cold", len(lines)), ("warm", len(lines) * REPEATED)):
        medians = {
            workers: [statistics.median(column) for column in zip(*measured[temperature, workers], strict=True)]
            for workers in (1, 2)
        }
        (one, one_parent, one_children), (two, two_parent, two_children) = medians[1], medians[2]
        print(
            f"{temperature}: 1 process {count / one:,.0f} sentences/s, 2 processes {count / two:,.0f}: "
            f"{one / two:.2f} times\n"
            f"  processor time: {one_parent + one_children:.1f} s by one; by two {two_children:.1f} s in the processes "
            f"and {two_parent:.1f} s in their parent",
            flush=True,
        )


def ours(lines: list[str], cache: Path) -> Iterator[str | None]:
    for _, latn, reason in romanize_lines(lines, Romanization("uroman", cache=cache), 1):
        yield None if reason else latn


def reference(romanizer: uroman.Uroman, lines: list[str]) -> Iterator[str | None]:
    for line in lines:
        try:
            yield romanizer.romanize_string(line)
        except Exception:  # uroman stumbles over a few sentences
            yield None


def command_line(lines: list[str], folder: Path) -> tuple[list[str], float]:
    """The lines that `uroman` writes, and the seconds that it takes, start included."""
    source, target = folder / "source", folder / "target"
    source.write_bytes("".join(f"{line}\n" for line in lines).encode())
    command = [sys.executable, "-m", "uroman", "--silent", "-i", str(source), "-o", str(target)]
    taken = timed(lambda: subprocess.run(command, check=True))
    return list(read_lines(target)), taken


def interleaved(cases: dict[str, Iterator[str | None]]) -> tuple[dict[str, float], dict[str, list[str | None]]]:
    """Run all to their ends, slice by slice in turn; the seconds and the results of each."""
    seconds: dict[str, float] = dict.fromkeys(cases, 0.0)
    results: dict[str, list[str | None]] = {case: [] for case in cases}
    running = set(cases)
    while running:
        for case, items in cases.items():
            started = time.perf_counter()
            some = list(itertools.islice(items, SLICE))
            seconds[case] += time.perf_counter() - started
            results[case] += some
            if not some:
                running.discard(case)
    return seconds, results


SECTIONS: dict[str, Callable[[Corpus, int, Path], None]] = {
    "romanize": romanize_by_language,
    "repeated": romanize_repeated,
    "processes": romanize_in_processes,
}


def _parser() -> argparse.ArgumentParser:
    parser = measure.parser(__doc__)
    parser.add_argument(
        "--text", type=Path, action="append", default=[], metavar="DIR", help="a group; may be repeated"
    )
    parser.add_argument("--lines", type=int, default=2000, help="of each language at most (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--section", action="append", choices=SECTIONS, help="default: all")
    return parser


if __name__ == "__main__":
    main()
