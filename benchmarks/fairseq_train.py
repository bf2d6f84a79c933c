"""Stock fairseq-train with several flags in turn: real tokens and pairs a second, share of the machine's rate, memory.

    python benchmarks/fairseq_train.py --data-bin data-bin/shard00 [--vocabulary 401145] [--rounds 3] [--json FILE]
    python benchmarks/fairseq_train.py --data-bin data-bin/shard00 --ways recipe --more "--attention nested"

The ways are those of `WAYS`: the paper's micro-batches, and the recipe's with FP16 and with BF16. Figures are medians
of what train_inner logs once warm, and over the rounds; the seconds to the first update are those of the whole process.
With --vocabulary the dictionary is filled up with entries that no text uses. FP32 on a CPU.
"""

import argparse
import itertools
import json
import math
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import measure
import torch

import ppa_plugin
from ppa_plugin import commandline
from ppa_plugin.commandline import UserError
from ppa_plugin.data.shards import find_beside
from ppa_plugin.data.vocabulary import load_dictionary
from ppa_plugin.training.peak import measure_peak

RECIPE = "--batch-size 256 --update-freq 2 --seq-negatives 64 --mlm-group 16 --optimizer fused_adamw"
WAYS = {
    "paper": "--batch-size 16 --update-freq 8 --optimizer adam",
    "recipe": RECIPE,
    "recipe-bf16": f"{RECIPE} --bf16",
}
COMMON = (
    "--task translit_alignment --criterion translit_alignment --lr 2e-5 --lr-scheduler polynomial_decay "
    "--adam-betas '(0.9, 0.999)' --weight-decay 0.01 --clip-norm 1.0 --log-format json --no-save --disable-validation"
)
# of FP16 and BF16 products without sparsity, in FLOP/s, as the vendor states it
NOMINAL = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12}
FIGURES = ("tokens_per_s", "pairs_per_s", "mfu", "loss")  # of train_inner


def _main(argv: list[str] | None) -> None:
    args = _parser().parse_args(argv)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    peak = measure_peak(device, torch.float16)
    report = {"device": name, "torch": torch.__version__, "peak_flops": peak}
    nominal = next((rate for chip, rate in NOMINAL.items() if chip in name.split()), None)
    write = sys.stdout.write
    write(f"{name}, torch {torch.__version__}, large matmul {peak / 1e12:.1f} TFLOP/s, a run a row\n")
    write(f"{'':12}{'tokens/s':>10}{'pairs/s':>10}{'of matmul':>10}{'of nominal':>11}{'GB':>7}{'first s':>8}\n")
    rounds, failed = defaultdict(list), {}
    with tempfile.TemporaryDirectory() as work:
        shard = with_vocabulary(args.data_bin, args.vocabulary, Path(work))
        for _, way in itertools.product(range(args.rounds), args.ways):
            if way in failed:
                continue
            try:
                row = train(shard, f"{WAYS[way]} {args.more}", args)
            except UserError as error:
                failed[way] = str(error)
                continue
            rounds[way].append(row)
            _show(way, row, peak, nominal)
            if args.json:  # at once: a run that is cut off keeps what was measured
                args.json.write_text(json.dumps(report | _medians(rounds), indent=1) + "\n", encoding="utf-8")
    if args.rounds > 1:
        write(f"medians of {args.rounds}\n")
        for way, row in _medians(rounds)["ways"].items():
            _show(way, row, peak, nominal)
    if failed:
        raise UserError("\n".join(failed.values()))


def _medians(rounds: dict[str, list[dict[str, float]]]) -> dict:
    """Every run, and the medians of each way."""
    ways = {
        way: {name: statistics.median(run[name] for run in runs) for name in runs[0]} for way, runs in rounds.items()
    }
    return {"ways": ways, "rounds": rounds}


def _show(way: str, row: dict[str, float], peak: float, nominal: float | None) -> None:
    of_nominal = f"{row['mfu'] * peak / nominal:.1%}" if nominal else "-"
    sys.stdout.write(
        f"{way:12}{row['tokens_per_s']:10,.0f}{row['pairs_per_s']:10,.1f}{row['mfu']:10.1%}{of_nominal:>11}"
        f"{row['peak_gb']:7.1f}{row['first_update_s']:8.0f}\n"
    )
    sys.stdout.flush()


def with_vocabulary(shard: Path, entries: int | None, work: Path) -> Path:
    """The shard with a dictionary of so many entries; the shard itself where it has them, or none are asked for."""
    source = find_beside(shard, "dict.txt")
    more = (entries or 0) - len(load_dictionary(source))
    if more <= 0:
        return shard
    *lines, mask = source.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    text = "\n".join([*lines, *(f"extra{i} 1" for i in range(more)), mask])
    larger = work / shard.name
    larger.mkdir()
    # in the shard: what is beside its links is looked for where they lead to
    (larger / "dict.txt").write_text(text + "\n", encoding="utf-8")
    for entry in shard.resolve().iterdir():
        if entry.name != "dict.txt":
            (larger / entry.name).symlink_to(entry)
    return larger


def train(shard: Path, flags: str, args: argparse.Namespace) -> dict[str, float]:
    """The figures of one run: medians over the updates after the first ones, the peak over all of them."""
    on_gpu = torch.cuda.is_available()
    half = "--fp16" if on_gpu and "--bf16" not in flags else ""
    rows, first = logged(shard, f"{flags} {half}", args.arch, args.warm_up + args.updates)
    figures = {name: statistics.median(row[name] for row in rows[args.warm_up :]) for name in FIGURES}
    in_all = torch.cuda.get_device_properties(0).total_memory / 2**30 if on_gpu else 0.0
    peak = in_all - min(row["gb_free"] for row in rows) if on_gpu else math.nan
    return figures | {"peak_gb": peak * 2**30 / 1e9, "first_update_s": first}


def logged(shard: Path, flags: str, arch: str, updates: int) -> tuple[list[dict[str, float]], float]:
    """What train_inner logs of every update, and the seconds to the first; `UserError` where the run fails."""
    # as a module: where fairseq was unpacked and not installed there is no fairseq-train
    command = [sys.executable, "-m", "fairseq_cli.train", str(shard), *shlex.split(COMMON)]
    command += ["--user-dir", str(Path(ppa_plugin.__file__).parent), "--arch", arch]
    command += ["--max-update", str(updates), "--log-interval", "1", *shlex.split(flags)]
    command += [] if torch.cuda.is_available() else ["--cpu"]
    started, first, rows, said = time.perf_counter(), 0.0, [], []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout:
            said.append(line)
            if " | train_inner | " in line:
                first = first or time.perf_counter() - started
                rows.append({key: float(value) for key, value in json.loads(line.split(" | ")[-1]).items()})
    if process.returncode or len(rows) < updates:
        raise UserError(f"fairseq-train {flags} failed:\n{''.join(said[-20:])}")
    return rows, first


def _parser() -> argparse.ArgumentParser:
    flags = measure.parser(__doc__)
    flags.add_argument("--data-bin", type=Path, required=True, help="a shard made by ppa-preprocess")
    flags.add_argument("--vocabulary", type=int, help="entries of the dictionary (default: its own)")
    flags.add_argument("--ways", nargs="+", choices=WAYS, default=[*WAYS], help="default: all, in this order")
    flags.add_argument("--more", default="", metavar="FLAGS", help="flags of fairseq-train for every way")
    flags.add_argument("--arch", default="glot500_base", help="default: %(default)s")
    flags.add_argument("--updates", type=int, default=20, help="measured updates of a run (default: %(default)s)")
    flags.add_argument("--warm-up", type=int, default=5, help="updates before them (default: %(default)s)")
    flags.add_argument("--rounds", type=int, default=3, help="runs of every way, in turn (default: %(default)s)")
    flags.add_argument("--json", type=Path, help="write the report here")
    return flags


if __name__ == "__main__":
    commandline.run(_main)
