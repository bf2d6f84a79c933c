"""The projection onto the vocabulary and its cross-entropy alone: plain, in chunks, and Liger-Kernel's where installed.

    python benchmarks/head.py [--rows 441] [--vocabulary 401145] [--device cuda --precision fp16] [--rounds 5]

One forward and backward each, in turn; medians, peak memory, and the largest difference of the weight's gradient from
the plain form's, relative to its largest entry. cut-cross-entropy is no candidate: it takes no bias, and it leaves out
small gradients.
"""

import functools
import importlib.util
import statistics
import sys
from collections.abc import Callable

import torch
import torch.nn.functional as F
from measure import PRECISIONS, in_turn, parser

from ppa_plugin import commandline
from ppa_plugin.objectives.masked_lm import masked_lm_loss

Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def plain(hidden, targets, weight, bias):
    """All logits, in FP32."""
    return F.cross_entropy(F.linear(hidden, weight, bias).float(), targets)


def liger(hidden, targets, weight, bias):
    """Liger-Kernel's fused linear cross-entropy."""
    from liger_kernel.transformers.functional import liger_fused_linear_cross_entropy

    return liger_fused_linear_cross_entropy(hidden, weight, targets, bias)


def _main(argv: list[str] | None) -> None:
    flags = parser(__doc__)
    flags.add_argument("--rows", type=int, default=441, help="masked positions (default: those of 16 pairs)")
    flags.add_argument("--width", type=int, default=768, help="default: %(default)s")
    flags.add_argument("--vocabulary", type=int, default=401_145, help="default: %(default)s")
    flags.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="default: %(default)s")
    flags.add_argument("--precision", default="fp32", choices=PRECISIONS, help="default: %(default)s")
    flags.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    args = flags.parse_args(argv)
    forms: dict[str, Loss] = {"plain": plain, "chunked": masked_lm_loss}
    if args.device == "cuda" and importlib.util.find_spec("liger_kernel"):
        forms["liger"] = liger
    device, dtype = torch.device(args.device), PRECISIONS[args.precision]
    torch.manual_seed(0)
    hidden = torch.randn(args.rows, args.width, device=device).to(dtype).requires_grad_()
    weight = (0.02 * torch.randn(args.vocabulary, args.width, device=device)).to(dtype).requires_grad_()
    bias = torch.zeros(args.vocabulary, device=device, dtype=dtype).requires_grad_()
    targets = torch.randint(args.vocabulary, (args.rows,), device=device)
    gradients = {}

    def forget_gradients() -> None:
        hidden.grad = weight.grad = bias.grad = None

    def step(name: str) -> None:
        forms[name](hidden, targets, weight, bias).backward()

    for name in forms:
        forget_gradients()
        step(name)
        gradients[name] = weight.grad[:: max(1, args.vocabulary // 1000)].float().clone()
    steps = {name: functools.partial(step, name) for name in forms}
    seconds, memory = in_turn(steps, args.rounds, device, forget_gradients)
    largest = gradients["plain"].abs().max()
    for name, times in seconds.items():
        difference = ((gradients[name] - gradients["plain"]).abs().max() / largest).item()
        sys.stdout.write(f"{name:8} {statistics.median(times):8.3f} s  peak {memory[name] / 1e9:6.2f} GB  ")
        sys.stdout.write(f"gradient {difference:.0e}\n")


if __name__ == "__main__":
    commandline.run(_main)
