"""Where the time of one update goes: the profiler's own time of every operation, by the part of the step it serves.

    python benchmarks/profile_step.py --text DIR --arch glot500_base --pairs 16 [--device cuda --precision fp16]

The arguments are those of train_throughput.py. One micro-batch of ours runs under torch.profiler after two that warm
up; Adam's step, the draw of masks and the packing of the batch are timed beside it.
"""

import statistics
import sys
from collections import Counter

import train_throughput
from measure import timed
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from ppa_plugin import commandline
from ppa_plugin.data.batch import collate
from ppa_plugin.data.masking import STREAMS
from ppa_plugin.objectives.masked_lm import chunk_entries


def _main(argv: list[str] | None) -> None:
    args = train_throughput.parser().parse_args(argv)
    pairs = train_throughput.read_pairs(args)
    bench = train_throughput.Bench(args)
    packed = bench.packed(train_throughput.draw(pairs, args.pairs, args.seed))
    for _ in range(2):
        bench.forget_gradients()
        bench.ours(packed)
    bench.forget_gradients()
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (args.device == "cuda")
    with profile(activities=activities, record_shapes=True) as profiler:
        bench.ours(packed)
    parts = Counter()
    entries = chunk_entries(train_throughput.masked_rows(packed), bench.device.type == "cuda")
    for event in profiler.key_averages(group_by_input_shape=True):
        if event.device_type != DeviceType.CPU:  # a kernel, whose time the operation that launched it has too
            continue
        spent = event.self_device_time_total if args.device == "cuda" else event.self_cpu_time_total
        parts[_part(event.key, event.input_shapes, bench.sizes, entries)] += spent / 1e6
    total = sum(parts.values())
    for part, seconds in parts.most_common():
        sys.stdout.write(f"{part:32}{seconds:9.3f} s{seconds / total:7.1%}\n")
    sys.stdout.write(f"{'micro-batch':32}{total:9.3f} s\n")
    sys.stdout.write(f"{'Adam, a step':32}{train_throughput.time_adam(bench):9.3f} s\n")
    sys.stdout.write(f"{'masks and packing, a micro-batch':32}{_time_data(pairs, args):9.3f} s\n")


def _part(name: str, shapes: list, sizes, entries: int) -> str:
    """The part of the step that an operation on inputs of these shapes belongs to; `entries` are those of a chunk."""
    numbers = {number for shape in shapes if isinstance(shape, list) for number in shape if isinstance(number, int)}
    c, chunks = sizes.embed_dim, {entries, sizes.vocabulary % entries, sizes.vocabulary}
    if any(
        word in name.lower() for word in ("compiled", "triton")
    ):  # the passes over logits, whose shapes are not said
        return "head and cross-entropy"
    if numbers & chunks:
        return "embedding, both gradients" if "index_add" in name or "embedding" in name else "head and cross-entropy"
    if any(word in name for word in ("bernoulli", "random_", "dropout")):
        return "dropout's random numbers"
    if any(word in name for word in ("bmm", "softmax", "attention", "index_copy")):
        return "attention between Q, K, V"
    if sizes.ffn_dim in numbers:
        return "FFN"
    if 3 * c in numbers or 3 in numbers:
        return "Q, K, V projections"
    if "mm" in name:
        return "other projections (out, head)"
    return "element by element, norms, copies"


def _time_data(pairs, args) -> float:
    def draw(seed: int) -> None:
        collate(train_throughput.draw(pairs, args.pairs, seed), STREAMS)

    return statistics.median(timed(draw, seed) for seed in range(20))


if __name__ == "__main__":
    commandline.run(_main)
