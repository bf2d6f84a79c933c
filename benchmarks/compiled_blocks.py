"""What follows attention in a block, through torch.compile: how many graphs, how long, what it spares and costs.

    python benchmarks/compiled_blocks.py [--tokens 8] [--width 64] [--device cuda --precision fp16]

times the forward and backward of one block of XLM-R, eager and compiled in turn: with so few tokens that is what the
host does, whatever the device. On a CPU also with torch's own dropout, which is what a GPU runs.
`train_throughput.py --compile-blocks` runs whole steps with such blocks.
"""

import argparse
import contextlib
import functools
import statistics
import sys
import types
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

import measure
import numpy as np
import torch
import torch.nn.functional as F
from measure import PRECISIONS, timed
from torch import nn

from ppa_plugin import commandline
from ppa_plugin.files import reason
from ppa_plugin.model.attention import Packing, choose_kernel
from ppa_plugin.model.families import xlmr


@functools.cache
def _after_attention(backend: str) -> Callable[..., torch.Tensor]:
    # one function for all blocks: parameters are inputs of its graph and sizes are symbols, so that they share it
    return torch.compile(xlmr.EncoderLayer.after_attention, dynamic=True, fullgraph=True, backend=backend)


class CompiledBlocks:
    """The blocks of a model, to be run compiled after attention for a while; parameters are the same.

    Args:
        layers: blocks of XLM-R.
        backend: of torch.compile.
    """

    def __init__(self, layers: nn.ModuleList, backend: str = "inductor"):
        self._layers = layers
        self._backend = backend
        self.graphs = 0  # that were made while they ran compiled: one, and one more for each that could not be shared

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Compiled inside this context, forward and backward; the first time takes as long as the compiler does."""
        from torch._dynamo.utils import counters  # it takes a second to import, and few runs compile

        before = counters["stats"]["unique_graphs"]
        for layer in self._layers:
            layer.after_attention = types.MethodType(_after_attention(self._backend), layer)
        try:
            yield
        finally:
            for layer in self._layers:
                del layer.after_attention
            self.graphs += counters["stats"]["unique_graphs"] - before

    def compile(self, step: Callable[[], Any], device: torch.device) -> dict[str, Any]:
        """Run `step`, which runs them, twice: what the first takes beyond the second, in `seconds`, or a `failure`."""
        try:
            return {"seconds": timed(step, device=device) - timed(step, device=device), "failure": None}
        except Exception as error:  # the compiler has errors of its own, and those of whatever it calls
            return {"seconds": 0.0, "failure": reason(error)}


def _main(argv: list[str] | None) -> None:
    args = _parser().parse_args(argv)
    device, dtype = torch.device(args.device), PRECISIONS[args.precision]
    settings = SimpleNamespace(
        encoder_embed_dim=args.width,
        encoder_ffn_embed_dim=4 * args.width,
        encoder_attention_heads=args.heads,
        attention_dropout=0.1,
        dropout=0.1,
        activation_dropout=0.0,
    )
    layers = nn.ModuleList([xlmr.EncoderLayer(settings)]).to(device, dtype)
    hidden = torch.randn(args.tokens, args.width, device=device, dtype=dtype, requires_grad=True)
    kernel = choose_kernel("auto", device, dtype, args.width // args.heads)
    packing = Packing(np.array([args.tokens]), None, kernel, device)

    def eager() -> None:
        for _ in range(args.calls):
            layers[0](hidden, packing).sum().backward()

    blocks = CompiledBlocks(layers, args.backend)

    def compiled() -> None:
        with blocks.running():
            eager()

    def with_torchs_dropout() -> None:
        with mock.patch.object(xlmr, "dropout", F.dropout):
            eager()

    first = timed(compiled, device=device)
    ways = {"eager": eager, "compiled": compiled}
    ways |= {"eager, torch's dropout": with_torchs_dropout} if args.device == "cpu" else {}
    seconds, _ = measure.in_turn(ways, args.rounds, device, lambda: None)
    sys.stdout.write(
        f"one block, {args.tokens} x {args.width}, {args.precision} on {args.device}; {first:.0f} s to compile\n"
    )
    for way, times in seconds.items():
        each = [1e6 * time / args.calls for time in times]
        median, least, most = statistics.median(each), min(each), max(each)
        sys.stdout.write(f"{way:24}{median:6.0f} us forward and backward ({least:.0f} to {most:.0f})\n")


def _parser() -> argparse.ArgumentParser:
    flags = measure.parser(__doc__)
    flags.add_argument("--tokens", type=int, default=8, help="default: %(default)s")
    flags.add_argument("--width", type=int, default=64, help="default: %(default)s")
    flags.add_argument("--heads", type=int, default=4, help="default: %(default)s")
    flags.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="default: %(default)s")
    flags.add_argument("--precision", default="fp32", choices=PRECISIONS, help="default: %(default)s")
    flags.add_argument("--calls", type=int, default=100, help="forwards and backwards a round (default: %(default)s)")
    flags.add_argument("--rounds", type=int, default=9, help="timed rounds (default: %(default)s)")
    flags.add_argument("--backend", default="inductor", help="of torch.compile (default: %(default)s)")
    return flags


if __name__ == "__main__":
    commandline.run(_main)
