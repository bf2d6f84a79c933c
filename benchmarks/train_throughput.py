"""Pairs a second of a training step: ours, on packed tokens, against three padded passes of Transformers' model.

    python benchmarks/train_throughput.py --text DIR [--languages tur_Latn,ell_Grek] --arch glot500_base --pairs 16
    python benchmarks/train_throughput.py --data-bin data-bin/shard00 --device cuda --precision fp16 --pairs 128
    python benchmarks/train_throughput.py --text DIR --arch translit_tiny --vocabulary 16000 --grid

Both steps share the parameters, the pairs and the masks, and run in turn in one process; figures are medians over the
rounds. A step is the forward and backward of one micro-batch of pairs drawn at random; one step of Adam, measured
apart, is spread over `--update-pairs` pairs. Losses are compared without dropout. The baseline is the step of the
paper's code: random batches padded to their longest sequence, one pass a stream, the head on masked positions only.
"""

import argparse
import functools
import json
import platform
import statistics
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import measure
import numpy as np
import padded_step
import real_pairs
import torch
from fairseq.utils import apply_to_sample
from measure import in_turn, timed

from ppa_plugin import commandline
from ppa_plugin.criterion import TranslitAlignmentCriterion, TranslitAlignmentCriterionConfig
from ppa_plugin.data.batch import collate
from ppa_plugin.data.masking import STREAMS
from ppa_plugin.data.paired_dataset import PairedDataset
from ppa_plugin.model.architectures import TranslitXLMR, TranslitXLMRConfig
from ppa_plugin.model.sizes import MODEL_OF, SIZE_FLAGS
from ppa_plugin.training.peak import measure_peak
from ppa_plugin.training.plan import architecture_sizes

PRECISIONS = {"fp32": torch.float32, "tf32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
LOSS_SCALE = 128.0
GRID_PAIRS = {"cpu": (16, 64, 256), "cuda": (16, 64, 128, 256, 512, 1024)}
GRID_LENGTHS = (32, 128, 512)


class Bench:
    """A model, its padded twin on the same parameters, and the steps of both."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.device = torch.device(args.device)
        self.dtype = PRECISIONS[args.precision]
        torch.set_float32_matmul_precision("high" if args.precision == "tf32" else "highest")
        self.sizes = architecture_sizes(args.arch, args.vocabulary, 512)
        torch.manual_seed(0)
        sizes = dict(zip(SIZE_FLAGS, self.sizes[: len(SIZE_FLAGS)], strict=True))
        config = TranslitXLMRConfig(**sizes, max_positions=self.sizes.max_positions)
        self.model = TranslitXLMR(config, args.vocabulary).to(self.device, self.dtype)
        self.padded = padded_step.share_parameters(self.model)
        self.criterion = TranslitAlignmentCriterion(
            TranslitAlignmentCriterionConfig(), SimpleNamespace(model_depth=self.sizes.layers)
        )
        (self.layer,) = self.criterion.layers

    def ours(self, batch: dict, train: bool = True) -> dict[str, float]:
        """One step on packed tokens; the terms, as numbers, only where nothing is timed."""
        self.model.train(train)
        loss, pairs, log = self.criterion(self.model, batch)
        if train:
            (loss * (LOSS_SCALE / pairs)).backward()
            return {}
        return {term: float(log[term]) / pairs for term in ("mlm_orig", "mlm_latn", "seq", "tlm")}

    def baseline(self, batch: dict, train: bool = True) -> dict[str, float]:
        """One step on padded batches."""
        self.padded.train(train)
        terms = padded_step.losses(self.padded, batch, self.layer)
        if train:
            (sum(terms.values()) * LOSS_SCALE).backward()
            return {}
        return {term: float(loss) for term, loss in terms.items()}

    def batches(self, samples: list[dict]) -> tuple[dict, dict]:
        """The same pairs, packed and padded, on the device."""
        return self.packed(samples), padded_step.pad(samples, self.device)

    def packed(self, samples: list[dict]) -> dict:
        """Pairs as one batch on the device."""
        return apply_to_sample(lambda tensor: tensor.to(self.device), collate(samples, STREAMS))

    def forget_gradients(self) -> None:
        """Give the gradients' memory back, so that each step of Adam's length starts alike."""
        for parameter in self.model.parameters():
            parameter.grad = None


def _main(argv: list[str] | None) -> None:
    args = parser().parse_args(argv)
    pairs = read_pairs(args)
    bench = Bench(args)
    report = {"machine": _machine(bench.device), "arguments": vars(args) | {"text": str(args.text)}}
    report["comparison"] = compare(bench, pairs, args)
    report["peak_flops"] = report["comparison"].pop("peak_flops")
    if args.grid:
        report["grid"] = grid(bench, pairs, args)
    _print(report)
    if args.json:
        args.json.write_text(json.dumps(report, indent=1, default=str) + "\n", encoding="utf-8")


def read_pairs(args: argparse.Namespace) -> PairedDataset:
    """The pairs that the arguments name; a dictionary larger than `--vocabulary` takes its place."""
    if args.data_bin:
        pairs = real_pairs.from_shard(args.data_bin, args.vocabulary)
    else:
        pairs = real_pairs.from_text(args.text, args.languages, args.vocabulary)
    args.vocabulary = pairs.masking.vocabulary
    return pairs


def compare(bench: Bench, pairs: PairedDataset, args: argparse.Namespace) -> dict[str, Any]:
    """Ours and the baseline in turn: times, memory, losses."""
    samples = draw(pairs, args.pairs, args.seed)
    packed, padded = bench.batches(samples)
    with torch.no_grad():
        terms = {"ours": bench.ours(packed, train=False), "baseline": bench.baseline(padded, train=False)}
    difference = max(abs(terms["ours"][term] - value) / max(abs(value), 1) for term, value in terms["baseline"].items())
    steps = {"ours": lambda: bench.ours(packed)}
    if not args.no_baseline:
        steps["baseline"] = lambda: bench.baseline(padded)
    peaks = []

    def before() -> None:
        bench.forget_gradients()
        peaks.append(measure_peak(bench.device, bench.dtype))

    seconds, memory = in_turn(steps, args.rounds, bench.device, before)
    result = {
        "loss_difference": difference,
        "adam_s": time_adam(bench) if args.update_pairs else 0.0,
        "peak_flops": max(peaks),
        **_figures(bench, packed, padded, seconds, args),
    }
    for name, step in result["steps"].items():
        step["peak_bytes"] = memory[name]
    if not args.no_baseline:
        ratios = [theirs / ours for ours, theirs in zip(seconds["ours"], seconds["baseline"], strict=True)]
        result["ratio"] = {"median": statistics.median(ratios), "rounds": ratios}
        result["memory_ratio"] = memory["ours"] / memory["baseline"]
    return result


def _figures(
    bench: Bench, packed: dict, padded: dict, seconds: dict[str, list[float]], args: argparse.Namespace
) -> dict[str, Any]:
    """What the times mean: rates of each step, padding, and the ratio that arithmetic alone gives."""
    lengths = packed["net_input"]["lengths"]
    tokens, masked = int(lengths.sum()), _masked(packed)
    positions = np.concatenate([np.full(*batch["tokens"].shape) for batch in padded.values()])
    flops = bench.model.flops(lengths, masked, [bench.layer])
    steps = {name: {"seconds": times, **_rates(times, args.pairs, tokens, flops)} for name, times in seconds.items()}
    return {
        "tokens": tokens,
        "masked": masked,
        "padding": 1 - tokens / positions.sum(),
        "predicted_ratio": bench.model.flops(positions, masked, [bench.model.depth]) / flops,
        "steps": steps,
    }


def _rates(times: list[float], pairs: int, tokens: int, flops: int) -> dict[str, float]:
    second = statistics.median(times)
    return {"pairs_per_s": pairs / second, "tokens_per_s": tokens / second, "flops_per_s": flops / second}


def grid(bench: Bench, pairs: PairedDataset, args: argparse.Namespace) -> list[dict[str, float]]:
    """Ours alone, over micro-batches of several sizes and sides of several lengths."""
    rows = []
    sets = [(size, None, pairs) for size in GRID_PAIRS[args.device]]
    sets += [(args.pairs, length, real_pairs.with_mean_length(pairs, length)) for length in GRID_LENGTHS]
    for size, length, source in sets:
        packed = bench.packed(draw(source, size, args.seed))
        step = functools.partial(bench.ours, packed)
        seconds, _ = in_turn({"ours": step}, args.rounds, bench.device, bench.forget_gradients)
        lengths = packed["net_input"]["lengths"]
        tokens, flops = int(lengths.sum()), bench.model.flops(lengths, _masked(packed), [bench.layer])
        rates = _rates(seconds["ours"], size, tokens, flops)
        rows.append({"pairs": size, "side_tokens": length, "tokens": tokens, **rates})
    return rows


def draw(pairs: PairedDataset, count: int, seed: int) -> list[dict]:
    """`count` pairs at random, with their masks."""
    chosen = np.random.default_rng(seed).choice(len(pairs), count, replace=count > len(pairs))
    return [pairs[int(index)] for index in chosen]


def _masked(packed: dict) -> int:
    return sum(len(packed["masked"][stream]["targets"]) for stream in STREAMS)


def time_adam(bench: Bench) -> float:
    """Seconds of one step of Adam over FP32 copies of all parameters."""
    masters = [parameter.detach().float().clone() for parameter in bench.model.parameters()]
    for master in masters:
        master.grad = torch.zeros_like(master)
    adam = torch.optim.AdamW(masters, lr=2e-5, fused=True)
    adam.step()
    return statistics.median(timed(adam.step, device=bench.device) for _ in range(3))


def _machine(device: torch.device) -> dict[str, Any]:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {"device": name, "threads": torch.get_num_threads(), "torch": torch.__version__}


def _print(report: dict[str, Any]) -> None:
    write, result, peak = sys.stdout.write, report["comparison"], report["peak_flops"]
    write(f"{report['machine']}, large matmul {peak / 1e9:,.0f} GFLOP/s\n")
    write(
        f"{result['tokens']:,} real tokens, {result['masked']:,} masked, {result['padding']:.0%} of the padded "
        f"positions are padding; losses differ by {result['loss_difference']:.1e}; Adam {result['adam_s']:.3f} s\n"
    )
    write(f"{'':10}{'pairs/s':>10}{'tokens/s':>11}{'GFLOP/s':>10}{'of peak':>9}{'peak GB':>9}{'with Adam':>11}\n")
    share = report["arguments"]["update_pairs"] and report["arguments"]["pairs"] / report["arguments"]["update_pairs"]
    for name, step in result["steps"].items():
        seconds = report["arguments"]["pairs"] / step["pairs_per_s"]
        step["pairs_per_s_with_adam"] = report["arguments"]["pairs"] / (seconds + result["adam_s"] * share)
        step["tokens_per_s_with_adam"] = step["tokens_per_s"] * step["pairs_per_s_with_adam"] / step["pairs_per_s"]
        write(
            f"{name:10}{step['pairs_per_s']:10.2f}{step['tokens_per_s']:11,.0f}{step['flops_per_s'] / 1e9:10,.0f}"
            f"{step['flops_per_s'] / peak:9.0%}{step['peak_bytes'] / 1e9:9.1f}{step['pairs_per_s_with_adam']:11.2f}\n"
        )
    if "ratio" in result:
        rounds = result["ratio"]["rounds"]
        write(
            f"ratio {result['ratio']['median']:.2f} (median of {len(rounds)} rounds, {min(rounds):.2f} to "
            f"{max(rounds):.2f}); {result['predicted_ratio']:.2f} by arithmetic alone; memory "
            f"{result['memory_ratio']:.2f}\n"
        )
    for row in report.get("grid", []):
        write(
            f"{row['pairs']:4} pairs, sides of {row['side_tokens'] or 'their own'} tokens: "
            f"{row['pairs_per_s']:9.2f} pairs/s {row['tokens_per_s']:10,.0f} tokens/s "
            f"{row['flops_per_s'] / peak:6.0%} of peak\n"
        )


def parser() -> argparse.ArgumentParser:
    flags = measure.parser(__doc__)
    source = flags.add_mutually_exclusive_group(required=True)
    source.add_argument("--text", type=Path, help="directory of <lang>.txt or <lang>/train.tsv")
    source.add_argument("--data-bin", type=Path, help="a shard made by ppa-preprocess")
    flags.add_argument("--languages", type=lambda text: text.split(","), default=[], help="only these (default: all)")
    # the padded step is that of Transformers' XLM-R
    named = [name for name, model in MODEL_OF.items() if model == TranslitXLMR.family.model]
    flags.add_argument("--arch", default="glot500_base", choices=named, help="default: %(default)s")
    flags.add_argument("--vocabulary", type=int, default=401_145, help="entries (default: Glot500's, %(default)s)")
    flags.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="default: %(default)s")
    flags.add_argument("--precision", default="fp32", choices=PRECISIONS, help="default: %(default)s")
    flags.add_argument("--pairs", type=int, default=16, help="pairs a micro-batch (default: %(default)s)")
    flags.add_argument("--update-pairs", type=int, default=512, help="pairs a step of Adam; 0: none (default: 512)")
    flags.add_argument("--rounds", type=int, default=5, help="timed rounds (default: %(default)s)")
    flags.add_argument("--seed", type=int, default=0, help="of the draw of pairs (default: %(default)s)")
    flags.add_argument("--no-baseline", action="store_true", help="time ours alone")
    flags.add_argument("--grid", action="store_true", help="ours over several batch sizes and lengths")
    flags.add_argument("--json", type=Path, help="write the report here")
    return flags


if __name__ == "__main__":
    commandline.run(_main)
