"""The losses of a training in half precision beside those in FP32: the same pairs, masks, negatives and schedule.

    python benchmarks/half_precision.py --data-bin data-bin/shard00 [--updates 200] [--json FILE]

Each is stock fairseq-train from the same random weights. What is compared are means over ten updates, by term; a
precision that does no harm stays within what the order of sums makes.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

import fairseq_train
import measure

from ppa_plugin import commandline

FLAGS = {"fp32": "", "fp16": "--fp16", "bf16": "--bf16"}
TERMS = ("loss", "mlm_orig", "mlm_latn", "seq", "tlm")
WINDOW = 10
REFERENCE = "reference"  # in FP32, beside which a second one in FP32 is off by nothing


def _main(argv: list[str] | None) -> None:
    args = _parser().parse_args(argv)
    series: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as work:
        shard = fairseq_train.with_vocabulary(args.data_bin, args.vocabulary, Path(work))
        for name in (REFERENCE, *args.precisions):
            precision = FLAGS.get(name, FLAGS["fp32"])
            flags = f"--batch-size {args.pairs} --seq-negatives 64 --mlm-group 16 --optimizer adam {precision}"
            rows, _ = fairseq_train.logged(shard, flags, args.arch, args.updates)
            series[name] = {term: windows([row[term] for row in rows]) for term in TERMS}
            _print(name, series)
            if args.json:  # at once: a run that is cut off keeps what was measured
                args.json.write_text(json.dumps(series, indent=1) + "\n", encoding="utf-8")


def windows(values: list[float]) -> list[float]:
    """Means over consecutive WINDOW values."""
    return [statistics.fmean(values[first : first + WINDOW]) for first in range(0, len(values), WINDOW)]


def largest_difference(values: list[float], reference: list[float]) -> float:
    """The largest difference of two series, as a share of the reference."""
    return max(abs(a - b) / abs(b) for a, b in zip(values, reference, strict=True))


def _print(name: str, series: dict[str, dict[str, list[float]]]) -> None:
    for term, values in series[name].items():
        sys.stdout.write(f"{name:9} {term:9} {values[0]:9.4f} -> {values[-1]:9.4f}")
        difference = largest_difference(values, series[REFERENCE][term])
        sys.stdout.write("\n" if name == REFERENCE else f"   off by at most {difference:.3%}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    flags = measure.parser(__doc__)
    flags.add_argument("--data-bin", type=Path, required=True, help="a shard made by ppa-preprocess")
    flags.add_argument("--vocabulary", type=int, help="entries of the dictionary (default: its own)")
    flags.add_argument("--precisions", nargs="+", choices=FLAGS, default=["fp16", "bf16"], help="default: fp16 bf16")
    flags.add_argument("--arch", default="glot500_base", help="default: %(default)s")
    flags.add_argument("--pairs", type=int, default=64, help="pairs an update (default: %(default)s)")
    flags.add_argument("--updates", type=int, default=200, help="default: %(default)s")
    flags.add_argument("--json", type=Path, help="write the series here")
    return flags


if __name__ == "__main__":
    commandline.run(_main)
