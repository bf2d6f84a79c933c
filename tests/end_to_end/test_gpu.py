"""Half precision on a GPU: 200 updates from one start, every way that fairseq has, against FP32."""

import subprocess

import pytest
import torch
from made_up_shards import write_shards
from training import ROOT, command, losses

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def train_on_gpu(data: str, save_dir, *flags) -> str:
    arguments = [part for part in command(data, save_dir, *flags) if part != "--cpu"]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def full_precision(tmp_path_factory):
    """The shards, a checkpoint of one update, and the loss of 200 updates from it in FP32."""
    directory = tmp_path_factory.mktemp("full")
    data = write_shards(directory / "data", pairs=400)
    train_on_gpu(data, directory / "start", "--max-update", 1)
    start = directory / "start/checkpoint_last.pt"
    return data, start, losses(train_on_gpu(data, directory / "fp32", *run_flags(start)))


def run_flags(start) -> tuple:
    return ("--finetune-from-model", start, "--max-update", 200, "--batch-size", 32, "--log-interval", 50)


@pytest.mark.parametrize("precision", ["--fp16", "--memory-efficient-fp16", "--amp", "--bf16"])
def test_half_precision_follows_fp32(full_precision, tmp_path, precision):
    data, start, full = full_precision
    printed = train_on_gpu(data, tmp_path, *run_flags(start), precision, "--fp16-init-scale", 4)
    half = losses(printed)
    assert half[200] == pytest.approx(full[200], rel=0.01)
    if "fp16" in precision:
        assert losses(printed, "loss_scale")[200] >= 1
