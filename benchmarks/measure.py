"""What the benchmarks share: seconds, the most memory of a block of code, ways in turn, vocabularies of a text."""

import argparse
import ctypes
import functools
import gc
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import sentencepiece
import torch

CPU = torch.device("cpu")
PRECISIONS = {"fp32": torch.float32, "tf32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def timed(function: Callable[..., Any], *arguments: Any, device: torch.device = CPU) -> float:
    """The seconds that a call takes, with what it starts on `device`."""
    wait = functools.partial(torch.cuda.synchronize, device) if device.type == "cuda" else lambda: None
    wait()
    started = time.perf_counter()
    function(*arguments)
    wait()
    return time.perf_counter() - started


def seconds_and_bytes(function: Callable[[], Any], device: torch.device) -> tuple[float, int]:
    """As `timed`, with the most memory: on a GPU the allocator's, on Linux the process's resident set in the call."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return timed(function, device=device), torch.cuda.max_memory_allocated(device)
    ctypes.CDLL(None).malloc_trim(0)  # what was freed before is not this one's
    _CLEAR.write_text("5")
    elapsed = timed(function)
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    return elapsed, int(line.split()[1]) * 1024


def in_turn(
    ways: dict[str, Callable[[], Any]], rounds: int, device: torch.device, before: Callable[[], Any] | None = None
) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Run every way once a round: the seconds of each, and the most bytes that each took.

    With `before`, which is called before each of them, a round more goes first that warms up and is not counted.
    """
    seconds, memory = {name: [] for name in ways}, dict.fromkeys(ways, 0)
    for round_ in range(rounds + bool(before)):
        for name, way in ways.items():
            if before:
                before()
            elapsed, peak = seconds_and_bytes(way, device)
            if round_ or not before:
                seconds[name].append(elapsed)
                memory[name] = max(memory[name], peak)
    return seconds, memory


def train_sentencepiece(lines: Iterable[str], size: int, **target: Any) -> None:
    """Train a SentencePiece model of at most `size` pieces; `target` says where it goes, as the trainer's keyword."""
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), vocab_size=size, hard_vocab_limit=False, minloglevel=2, **target
    )


def parser(description: str) -> argparse.ArgumentParser:
    """A parser of flags whose help begins with a script's docstring as it is."""
    return argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
