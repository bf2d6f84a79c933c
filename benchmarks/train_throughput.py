"""Pairs a second of a training step: ours, against Transformers' model on padded batches and on packed tokens.

    python benchmarks/train_throughput.py --text DIR [--languages tur_Latn,ell_Grek] --arch glot500_base --pairs 16
    python benchmarks/train_throughput.py --data-bin data-bin/shard00 --device cuda --precision fp16 --pairs 128
    python benchmarks/train_throughput.py --text DIR --arch translit_tiny --vocabulary 16000 --grid

All steps share the parameters, the pairs and the masks, and run in turn in one process; figures are medians over the
rounds. A step is the forward and backward of one micro-batch of pairs drawn at random; one step of Adam, measured
apart, is spread over `--update-pairs` pairs. Losses are compared without dropout. `baseline` is the step of the paper's
code: random batches padded to their longest sequence, one pass a stream, the head on masked positions only.
`packed_baseline` is the same model on all sequences in one row, with our attention kernels in place of flash-attn's.
With `--compile-blocks`, `compiled` is ours with what follows attention in a block through torch.compile.
"""

import argparse
import functools
import json
import logging
import platform
import statistics
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import measure
import numpy as np
import packed_transformers
import padded_step
import real_pairs
import torch
from compiled_blocks import CompiledBlocks
from fairseq.utils import apply_to_sample
from measure import PRECISIONS, in_turn, timed

from ppa_plugin import commandline
from ppa_plugin.criterion import TranslitAlignmentCriterion, TranslitAlignmentCriterionConfig
from ppa_plugin.data.batch import collate
from ppa_plugin.data.masking import STREAMS
from ppa_plugin.data.paired_dataset import PairedDataset
from ppa_plugin.model.architectures import TranslitXLMR, TranslitXLMRConfig
from ppa_plugin.model.sizes import MODEL_OF, SIZE_FLAGS
from ppa_plugin.training.peak import measure_peak
from ppa_plugin.training.plan import architecture_sizes

LOSS_SCALE = 128.0
GRID_PAIRS = {"cpu": (16, 64, 256), "cuda": (16, 64, 128, 256, 512, 1024)}
GRID_LENGTHS = (32, 128, 512)
BASELINES = ("baseline", "packed_baseline")


class Bench:
    """A model, its twins of Transformers on the same parameters, and the steps of all."""

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
        self.packed_twin = packed_transformers.share_parameters(self.model)
        self.blocks = CompiledBlocks(self.model.encoder.sentence_encoder.layers)
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

    def compiled(self, batch: dict, train: bool = True) -> dict[str, float]:
        """As `ours`, with what follows attention in a block compiled."""
        with self.blocks.running():
            return self.ours(batch, train)

    def baseline(self, batch: dict, train: bool = True) -> dict[str, float]:
        """One step of Transformers' model on padded batches."""
        self.padded.train(train)
        return self._step(padded_step.losses(self.padded, batch, self.layer), train)

    def packed_baseline(self, batch: dict, train: bool = True) -> dict[str, float]:
        """One step of Transformers' model on packed tokens."""
        self.packed_twin.train(train)
        return self._step(packed_transformers.losses(self.packed_twin, batch, self.layer), train)

    @staticmethod
    def _step(terms: dict[str, torch.Tensor], train: bool) -> dict[str, float]:
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
    logging.getLogger().setLevel(logging.WARNING)  # fairseq leaves it where the compiler tells of every lock
    pairs = read_pairs(args)
    bench = Bench(args)
    report = {"machine": _machine(bench.device), "arguments": vars(args) | {"text": str(args.text)}}
    report["comparison"] = compare(bench, pairs, args)
    report["peak_flops"] = report["comparison"].pop("peak_flops")
    if args.grid:
        report["grid"] = grid(bench, pairs, args, "compiled" in report["comparison"]["steps"])
    if args.compile_blocks:
        report["comparison"]["compiling"]["graphs"] = bench.blocks.graphs
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
    """Every step in turn: times, memory, losses, and ours against each of the others."""
    packed, padded = bench.batches(draw(pairs, args.pairs, args.seed))
    batches = {"ours": packed, "compiled": packed, "baseline": padded, "packed_baseline": packed}
    compiling = _compile(bench, packed) if args.compile_blocks else None
    ways = ["ours", *(["compiled"] if compiling and not compiling["failure"] else [])]
    ways += [] if args.no_baseline else BASELINES
    difference = _loss_difference(bench, {way: batches[way] for way in ways})
    steps = {way: functools.partial(getattr(bench, way), batches[way]) for way in ways}
    peaks = []

    def before() -> None:
        bench.forget_gradients()
        peaks.append(measure_peak(bench.device, bench.dtype))

    seconds, memory = in_turn(steps, args.rounds, bench.device, before)
    result = {
        "loss_difference": difference,
        "adam_s": time_adam(bench) if args.update_pairs else 0.0,
        "peak_flops": max(peaks),
        "compiling": compiling,
        **_figures(bench, packed, padded, seconds, args),
    }
    for way, step in result["steps"].items():
        step["peak_bytes"] = memory[way]
    for way, row in result["against"].items():
        row["memory"] = memory["ours"] / memory[way]
    return result


def _compile(bench: Bench, packed: dict) -> dict[str, Any]:
    """What compiling the blocks takes; the head is compiled before, where it is."""
    bench.ours(packed)
    return bench.blocks.compile(lambda: bench.compiled(packed), bench.device)


def _loss_difference(bench: Bench, batches: dict[str, dict]) -> float:
    """The largest difference of a term from that of ours, without dropout, relative to it where it is above 1."""
    with torch.no_grad():
        terms = {way: getattr(bench, way)(batch, train=False) for way, batch in batches.items()}
    ours = terms["ours"]
    return max(abs(row[term] - ours[term]) / max(abs(ours[term]), 1) for row in terms.values() for term in ours)


def _figures(
    bench: Bench, packed: dict, padded: dict, seconds: dict[str, list[float]], args: argparse.Namespace
) -> dict[str, Any]:
    """What the times mean: rates of each step, padding, and ours against the others beside what arithmetic predicts."""
    lengths = packed["net_input"]["lengths"]
    tokens, masked, depth = int(lengths.sum()), masked_rows(packed), bench.model.depth
    positions = np.concatenate([np.full(*batch["tokens"].shape) for batch in padded.values()])
    flops = {way: bench.model.flops(lengths, masked, [bench.layer]) for way in seconds}
    # Transformers computes every row of the last block
    flops |= {"baseline": bench.model.flops(positions, masked, [depth])}
    flops |= {"packed_baseline": bench.model.flops(lengths, masked, [depth])}
    return {
        "tokens": tokens,
        "masked": masked,
        "padding": 1 - tokens / positions.sum(),
        "steps": {
            way: {"seconds": times, **_rates(times, args.pairs, tokens, flops["ours"])}
            for way, times in seconds.items()
        },
        "against": {
            way: {**_ratio(seconds["ours"], times), "predicted": flops[way] / flops["ours"]}
            for way, times in seconds.items()
            if way != "ours"
        },
    }


def _ratio(ours: list[float], theirs: list[float]) -> dict[str, Any]:
    """How many times the rate of theirs ours has: of each round, and the median."""
    rounds = [their / our for our, their in zip(ours, theirs, strict=True)]
    return {"median": statistics.median(rounds), "rounds": rounds}


def _rates(times: list[float], pairs: int, tokens: int, flops: int) -> dict[str, float]:
    second = statistics.median(times)
    return {"pairs_per_s": pairs / second, "tokens_per_s": tokens / second, "flops_per_s": flops / second}


def grid(bench: Bench, pairs: PairedDataset, args: argparse.Namespace, compiled: bool) -> list[dict[str, Any]]:
    """Ours, eager and compiled, over micro-batches of several sizes and sides of several lengths."""
    rows, ways = [], ["ours", *(["compiled"] if compiled else [])]
    sets = [(size, None, pairs) for size in GRID_PAIRS[args.device]]
    sets += [(args.pairs, length, real_pairs.with_mean_length(pairs, length)) for length in GRID_LENGTHS]
    for size, length, source in sets:
        packed = bench.packed(draw(source, size, args.seed))
        steps = {way: functools.partial(getattr(bench, way), packed) for way in ways}
        seconds, _ = in_turn(steps, args.rounds, bench.device, bench.forget_gradients)
        lengths = packed["net_input"]["lengths"]
        tokens, flops = int(lengths.sum()), bench.model.flops(lengths, masked_rows(packed), [bench.layer])
        rates = _rates(seconds["ours"], size, tokens, flops)
        rows.append({"pairs": size, "side_tokens": length, "tokens": tokens, **rates})
        if compiled:
            rows[-1]["compiled"] = _ratio(seconds["compiled"], seconds["ours"])
    return rows


def draw(pairs: PairedDataset, count: int, seed: int) -> list[dict]:
    """`count` pairs at random, with their masks."""
    chosen = np.random.default_rng(seed).choice(len(pairs), count, replace=count > len(pairs))
    return [pairs[int(index)] for index in chosen]


def masked_rows(packed: dict) -> int:
    """The masked positions of all streams, which the head runs on."""
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
    _print_steps(result, report["arguments"], peak)
    for way, row in result["against"].items():
        rounds = row["rounds"]
        write(
            f"ours is {row['median']:.2f} times {way} (median of {len(rounds)} rounds, {min(rounds):.2f} to "
            f"{max(rounds):.2f}); {row['predicted']:.2f} by arithmetic alone; memory {row['memory']:.2f}\n"
        )
    compiling = result["compiling"] or {}
    if compiling.get("failure"):
        write(f"the blocks cannot be compiled here ({compiling['failure']})\n")
    elif compiling:
        seconds, graphs = compiling["seconds"], compiling["graphs"]
        write(f"compiling took {seconds:.0f} s; {graphs} graphs, one of them without dropout, for the losses\n")
    for row in report.get("grid", []):
        compiled = f", compiled {row['compiled']['median']:.2f} times that" if "compiled" in row else ""
        write(
            f"{row['pairs']:4} pairs, sides of {row['side_tokens'] or 'their own'} tokens: "
            f"{row['pairs_per_s']:9.2f} pairs/s {row['tokens_per_s']:10,.0f} tokens/s "
            f"{row['flops_per_s'] / peak:6.0%} of peak{compiled}\n"
        )


def _print_steps(result: dict[str, Any], arguments: dict[str, Any], peak: float) -> None:
    """A row a step; the rates with Adam's share go into the report."""
    columns = ("pairs/s", 10), ("tokens/s", 11), ("GFLOP/s", 10), ("of peak", 9), ("peak GB", 9), ("with Adam", 11)
    sys.stdout.write(f"{'':16}{''.join(f'{name:>{width}}' for name, width in columns)}\n")
    share = arguments["update_pairs"] and arguments["pairs"] / arguments["update_pairs"]
    for name, step in result["steps"].items():
        seconds = arguments["pairs"] / step["pairs_per_s"]
        step["pairs_per_s_with_adam"] = arguments["pairs"] / (seconds + result["adam_s"] * share)
        step["tokens_per_s_with_adam"] = step["tokens_per_s"] * step["pairs_per_s_with_adam"] / step["pairs_per_s"]
        sys.stdout.write(
            f"{name:16}{step['pairs_per_s']:10.2f}{step['tokens_per_s']:11,.0f}{step['flops_per_s'] / 1e9:10,.0f}"
            f"{step['flops_per_s'] / peak:9.0%}{step['peak_bytes'] / 1e9:9.1f}{step['pairs_per_s_with_adam']:11.2f}\n"
        )


def parser() -> argparse.ArgumentParser:
    flags = measure.parser(__doc__)
    source = flags.add_mutually_exclusive_group(required=True)
    source.add_argument("--text", type=Path, help="directory of <lang>.txt or <lang>/train.tsv")
    source.add_argument("--data-bin", type=Path, help="a shard made by ppa-preprocess")
    flags.add_argument("--languages", type=lambda text: text.split(","), default=[], help="only these (default: all)")
    # Transformers' steps are those of its XLM-R
    named = [name for name, model in MODEL_OF.items() if model == TranslitXLMR.family.model]
    flags.add_argument("--arch", default="glot500_base", choices=named, help="default: %(default)s")
    flags.add_argument("--vocabulary", type=int, default=401_145, help="entries (default: Glot500's, %(default)s)")
    flags.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="default: %(default)s")
    flags.add_argument("--precision", default="fp32", choices=PRECISIONS, help="default: %(default)s")
    flags.add_argument("--pairs", type=int, default=16, help="pairs a micro-batch (default: %(default)s)")
    flags.add_argument("--update-pairs", type=int, default=512, help="pairs a step of Adam; 0: none (default: 512)")
    flags.add_argument("--rounds", type=int, default=5, help="timed rounds (default: %(default)s)")
    flags.add_argument("--seed", type=int, default=0, help="of the draw of pairs (default: %(default)s)")
    flags.add_argument("--no-baseline", action="store_true", help="time neither of Transformers' steps")
    flags.add_argument("--compile-blocks", action="store_true", help="ours also with compiled blocks")
    flags.add_argument("--grid", action="store_true", help="ours over several batch sizes and lengths")
    flags.add_argument("--json", type=Path, help="write the report here")
    return flags


if __name__ == "__main__":
    commandline.run(_main)
