"""A step of Adam on one flat FP32 tensor, as FP16 training has it: fairseq's own, and --optimizer fused_adamw.

    python benchmarks/optimizer.py [--parameters 100000000] [--device cuda] [--rounds 7]

In turn; medians, and the most memory beside parameters, gradients and moments. Glot500 has 394,524,153 parameters.
"""

import statistics
import sys

import torch
from fairseq.optim.adam import Adam
from measure import in_turn, parser

from ppa_plugin import commandline
from ppa_plugin.optim.adamw import FusedAdamW


def _main(argv: list[str] | None) -> None:
    flags = parser(__doc__)
    flags.add_argument("--parameters", type=int, default=100_000_000, help="default: %(default)s")
    flags.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="default: %(default)s")
    flags.add_argument("--rounds", type=int, default=7, help="default: %(default)s")
    args = flags.parse_args(argv)
    device = torch.device(args.device)
    steps, ends = {}, {}
    for name, kind in {"adam": Adam, "fused_adamw": FusedAdamW}.items():
        generator = torch.Generator(device).manual_seed(0)
        ends[name] = torch.nn.Parameter(torch.randn(args.parameters, device=device, generator=generator))
        ends[name].grad = torch.randn(args.parameters, device=device, generator=generator)
        steps[name] = kind([ends[name]], lr=2e-5, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01).step
        steps[name]()  # which makes the moments
    seconds, memory = in_turn(steps, args.rounds, device)
    for name, times in seconds.items():
        beside = (memory[name] - min(memory.values())) / 1e9
        sys.stdout.write(f"{name:12}{statistics.median(times):9.4f} s  {beside:6.2f} GB more\n")
    ratios = [ours / theirs for ours, theirs in zip(seconds["adam"], seconds["fused_adamw"], strict=True)]
    difference = (ends["adam"] - ends["fused_adamw"]).abs().max().item()
    sys.stdout.write(f"{statistics.median(ratios):.1f} times; parameters differ by {difference:.0e}\n")


if __name__ == "__main__":
    commandline.run(_main)
