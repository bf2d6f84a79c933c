"""What explicit token alignment, `--tok-weight 1`, adds to a step and to making its batch.

    python benchmarks/token_alignment.py --text DIR [--languages tur_Latn,ell_Grek] --arch glot500_base --pairs 8

The step with the term and the one without run in turn, on the same model, pairs and masks; a step is the forward and
backward of one micro-batch. The share is the median over the rounds of what the term adds to the step before it.
Arithmetic is counted beside it: the products between the block vectors of a group, of multiply-adds twice as many.
"""

import argparse
import statistics
import sys
from pathlib import Path
from types import SimpleNamespace

import measure
import real_pairs
import torch
from fairseq.utils import apply_to_sample
from measure import in_turn, timed

from ppa_plugin import commandline
from ppa_plugin.criterion import TranslitAlignmentCriterion, TranslitAlignmentCriterionConfig
from ppa_plugin.data.sampling import random_order
from ppa_plugin.model.architectures import TranslitXLMR, TranslitXLMRConfig
from ppa_plugin.model.sizes import SIZE_FLAGS
from ppa_plugin.training.plan import architecture_sizes


def _main(argv: list[str] | None) -> None:
    args = _parser().parse_args(argv)
    device = torch.device(args.device)
    sizes = architecture_sizes(args.arch, args.vocabulary, 512)
    torch.manual_seed(0)
    named = dict(zip(SIZE_FLAGS, sizes[: len(SIZE_FLAGS)], strict=True))
    model = TranslitXLMR(TranslitXLMRConfig(**named, max_positions=512), args.vocabulary).to(device).train()
    pairs = real_pairs.from_text(args.text, args.languages, args.vocabulary, args.negatives)
    drawn = random_order(len(pairs), args.seed, "benchmark", "")[: args.pairs].tolist()
    batch = apply_to_sample(lambda tensor: tensor.to(device), pairs.collater([pairs[i] for i in drawn]))
    logs = {}

    def step(weight: float):
        config = TranslitAlignmentCriterionConfig(tok_weight=weight, tok_loss=args.loss, tok_negatives=args.negatives)
        criterion = TranslitAlignmentCriterion(config, SimpleNamespace(model_depth=sizes.layers))

        def run() -> None:
            loss, count, logs[weight] = criterion(model, batch)
            (loss / count).backward()

        return run

    def before() -> None:
        for parameter in model.parameters():
            parameter.grad = None

    seconds, memory = in_turn({"without": step(0.0), "with": step(1.0)}, args.rounds, device, before)
    ratios = [one / other for one, other in zip(seconds["with"], seconds["without"], strict=True)]
    groups, most = batch["blocks"]["counts"].shape
    products = 3 * 2 * groups * (2 * most) ** 2 * sizes.embed_dim
    for name, spent in seconds.items():
        sys.stdout.write(f"{name:8} {statistics.median(spent):8.3f} s, {memory[name] / 1e9:.2f} GB\n")
    sys.stdout.write(
        f"the term adds {statistics.median(ratios) - 1:.2%} ({min(ratios) - 1:.2%} to {max(ratios) - 1:.2%})\n"
        f"arithmetic: {products / 1e9:.2f} of {float(logs[0.0]['flops']) / 1e9:.0f} GFLOP, "
        f"{products / float(logs[0.0]['flops']):.2%}\n"
        f"blocks a pair: {float(logs[1.0]['tok_blocks']) / args.pairs:.1f}\n"
        f"making a batch: {_loading(pairs, drawn):.2%} more\n"
    )


def _loading(pairs, drawn: list[int]) -> float:
    """What blocks add to the making of a batch, the median of 30."""
    blocks, spent = pairs.blocks, {True: [], False: []}
    for _ in range(30):
        for on in (False, True):
            pairs.blocks = blocks if on else None
            spent[on].append(timed(lambda: pairs.collater([pairs[i] for i in drawn])))
    return statistics.median(spent[True]) / statistics.median(spent[False]) - 1


def _parser() -> argparse.ArgumentParser:
    parser = measure.parser(__doc__)
    add = parser.add_argument
    add("--text", type=Path, required=True, help="a directory of <lang>.txt")
    add("--languages", type=lambda text: text.split(","), default=[], help="of it; default: all")
    add("--arch", default="glot500_base", help="default: %(default)s")
    add("--vocabulary", type=int, default=16_000, help="entries; fewer make the step cheaper; default: %(default)s")
    add("--pairs", type=int, default=8, help="a micro-batch; default: %(default)s")
    add("--negatives", type=int, default=8, help="--tok-negatives; default: %(default)s")
    add("--loss", default="contrastive", help="--tok-loss; default: %(default)s")
    add("--rounds", type=int, default=7, help="default: %(default)s")
    add("--seed", type=int, default=1, help="which pairs; default: %(default)s")
    add("--device", default="cpu", help="default: %(default)s")
    return parser


if __name__ == "__main__":
    commandline.run(_main)
