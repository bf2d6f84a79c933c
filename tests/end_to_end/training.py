"""Shards of made-up pairs, and `fairseq-train` on one or several gloo ranks over them."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from fairseq.data.indexed_dataset import MMapIndexedDatasetBuilder

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
VOCABULARY = 60
TINY = (
    *("--arch", "translit_tiny", "--encoder-layers", 3, "--encoder-embed-dim", 16, "--encoder-ffn-embed-dim", 24),
    *("--encoder-attention-heads", 2),
)


def write_dictionary(directory: Path, entries: int = VOCABULARY) -> None:
    """dict.txt with the specials, made-up pieces and <mask>: `entries` in all."""
    directory.mkdir(parents=True, exist_ok=True)
    pieces = [f"▁p{i} 1" for i in range(entries - 5)]
    (directory / "dict.txt").write_text("\n".join([*pieces, "<mask> 1"]) + "\n", encoding="utf-8")


def write_split(directory: Path, split: str, pairs: int, seed: int, vocabulary: int = VOCABULARY) -> None:
    """`pairs` random pairs of 1 to 12 tokens a side, as fairseq-preprocess would write them."""
    directory.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    for side in ("orig", "latn"):
        path = str(directory / f"{split}.orig-latn.{side}")
        builder = MMapIndexedDatasetBuilder(f"{path}.bin", dtype=np.uint16)
        for length in generator.integers(1, 13, pairs):
            builder.add_item(torch.tensor([*generator.integers(4, vocabulary - 1, length), 2]))
        builder.finalize(f"{path}.idx")


def write_shards(data: Path, pairs: int, shards: int = 1, valid: int = 8) -> str:
    """data/dict.txt and data/shardNN/{aaa_Latn,bbb_Grek}; returns the list of shards that fairseq-train takes."""
    write_dictionary(data)
    for shard in range(shards):
        for number, language in enumerate(("aaa_Latn", "bbb_Grek")):
            directory = data / f"shard{shard:02d}" / language
            write_split(directory, "train", pairs // 2, seed=10 * shard + number)
            if shard == 0:
                write_split(directory, "valid", valid // 2, seed=1000 + number)
    return ":".join(str(data / f"shard{shard:02d}") for shard in range(shards))


def command(data: str | Path, save_dir: Path, *flags) -> list[str]:
    """`fairseq-train` with what these tests share; later flags win."""
    return [
        *(str(BIN / "fairseq-train"), str(data), "--user-dir", str(ROOT / "ppa_plugin")),
        *("--task", "translit_alignment", "--criterion", "translit_alignment", *map(str, TINY), "--cpu"),
        *("--num-workers", "0", "--optimizer", "adam", "--lr", "1e-3", "--lr-scheduler", "polynomial_decay"),
        *("--max-update", "4", "--batch-size", "8", "--log-format", "json", "--log-interval", "1"),
        *("--no-epoch-checkpoints", "--disable-validation", "--save-dir", str(save_dir), *map(str, flags)),
    ]


def train(data: str | Path, save_dir: Path, *flags, ranks: int = 1, code: int | None = 0, start=None, **options) -> str:
    """Train, on `ranks` processes with gloo, and return what all of them printed.

    `start` replaces the `fairseq-train` of the command line, to run it inside something else. `code` None takes any.
    """
    arguments = command(data, save_dir, *flags)
    arguments[:1] = start or arguments[:1]
    if ranks > 1:
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = free.getsockname()[1]
        arguments += ["--distributed-world-size", str(ranks), "--distributed-init-method", f"tcp://localhost:{port}"]
        arguments += ["--distributed-no-spawn", "--distributed-backend", "gloo", "--ddp-backend", "legacy_ddp"]
    processes = [
        subprocess.Popen(
            arguments + (["--distributed-rank", str(rank)] if ranks > 1 else []),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"},
            **options,
        )
        for rank in range(ranks)
    ]
    try:
        printed = "".join(process.communicate(timeout=120)[0] for process in processes)
    finally:
        for process in processes:
            process.kill()
    if code is not None:
        assert [process.returncode for process in processes] == [code] * ranks, printed[-6000:]
    return printed


def losses(printed: str, key: str = "loss", tag: str = "train_inner") -> dict[int, float]:
    """update -> what was logged under `key`."""
    found = {}
    for line in printed.splitlines():
        if f" | {tag} | " in line:
            record = json.loads(line.split(" | ")[-1])
            prefix = "" if tag == "train_inner" else f"{tag}_"
            found[int(record[f"{prefix}num_updates"])] = float(record[prefix + key])
    return found


def load(checkpoint: Path) -> dict:
    return torch.load(checkpoint, weights_only=True)


def parameters(save_dir: Path, name: str = "checkpoint_last.pt") -> dict[str, torch.Tensor]:
    return load(save_dir / name)["model"]


def largest_difference(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> float:
    assert one.keys() == two.keys()
    return max((one[name].double() - two[name].double()).abs().max().item() for name in one)
