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
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class PeakMemory:
    """`bytes` after the block: on a GPU the allocator's peak, on Linux the process's peak resident set within it."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.bytes = 0

    def __enter__(self) -> "PeakMemory":
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        else:
            ctypes.CDLL(None).malloc_trim(0)  # what an earlier block freed is not this one's
            _CLEAR.write_text("5")
        return self

    def __exit__(self, *_) -> None:
        if self._device.type == "cuda":
            self.bytes = torch.cuda.max_memory_allocated(self._device)
        else:
            line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
            self.bytes = int(line.split()[1]) * 1024


def timed(function: Callable[..., Any], *arguments: Any, device: torch.device = CPU) -> float:
    """The seconds that a call takes, with what it starts on `device`."""
    wait = functools.partial(torch.cuda.synchronize, device) if device.type == "cuda" else lambda: None
    wait()
    started = time.perf_counter()
    function(*arguments)
    wait()
    return time.perf_counter() - started


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
            with PeakMemory(device) as peak:
                elapsed = timed(way, device=device)
            if round_ or not before:
                seconds[name].append(elapsed)
                memory[name] = max(memory[name], peak.bytes)
    return seconds, memory


def train_sentencepiece(lines: Iterable[str], size: int, **target: Any) -> None:
    """Train a SentencePiece model of at most `size` pieces; `target` says where it goes, as the trainer's keyword."""
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), vocab_size=size, hard_vocab_limit=False, minloglevel=2, **target
    )


def parser(description: str) -> argparse.ArgumentParser:
    """A parser of flags whose help begins with a script's docstring as it is."""
    return argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
