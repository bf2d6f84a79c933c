"""`fairseq-train` on one or several gloo ranks, and what it printed and saved."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import torch

from ppa_plugin.compat import allow_namespaces_in_checkpoints

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
# as a module: where fairseq was unpacked and not installed there is no fairseq-train
FAIRSEQ_TRAIN = [sys.executable, "-m", "fairseq_cli.train"]
TINY = (
    *("--arch", "translit_tiny", "--encoder-layers", 3, "--encoder-embed-dim", 16, "--encoder-ffn-embed-dim", 24),
    *("--encoder-attention-heads", 2),
)


def command(data: str | Path, save_dir: Path, *flags) -> list[str]:
    """`fairseq-train` with what these tests share; later flags win."""
    return [*FAIRSEQ_TRAIN, *arguments_of(data, save_dir, *flags)]


def arguments_of(data: str | Path, save_dir: Path, *flags) -> list[str]:
    """What `command` gives to fairseq-train."""
    return [
        *(str(data), "--user-dir", str(ROOT / "ppa_plugin")),
        *("--task", "translit_alignment", "--criterion", "translit_alignment", *map(str, TINY), "--cpu"),
        *("--num-workers", "0", "--optimizer", "adam", "--lr", "1e-3", "--lr-scheduler", "polynomial_decay"),
        *("--max-update", "4", "--batch-size", "8", "--log-format", "json", "--log-interval", "1"),
        *("--no-epoch-checkpoints", "--disable-validation", "--save-dir", str(save_dir), *map(str, flags)),
    ]


def train(
    data: str | Path,
    save_dir: Path,
    *flags,
    ranks: int = 1,
    code: int | None = 0,
    start=None,
    validate=False,
    **options,
) -> str:
    """Train, on `ranks` processes with gloo, and return what all of them printed.

    `start` replaces the `fairseq-train` of the command line, to run it inside something else. `code` None takes any.
    """
    arguments = [*(start or FAIRSEQ_TRAIN), *arguments_of(data, save_dir, *flags)]
    if validate:
        arguments.remove("--disable-validation")
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
    allow_namespaces_in_checkpoints()
    return torch.load(checkpoint, weights_only=True)


def parameters(save_dir: Path, name: str = "checkpoint_last.pt") -> dict[str, torch.Tensor]:
    return load(save_dir / name)["model"]


def largest_difference(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> float:
    assert one.keys() == two.keys()
    return max((one[name].double() - two[name].double()).abs().max().item() for name in one)
