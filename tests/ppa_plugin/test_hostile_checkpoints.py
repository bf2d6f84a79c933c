"""What fairseq-train starts from: parts of another type than they have are one sentence, exit code 2."""

import subprocess
import sys

import pytest
import torch
from bad_input_files import EXPANDED
from fairseq import checkpoint_utils
from fairseq.trainer import Trainer
from whole_model import content

from ppa_plugin.commandline import UserError
from ppa_plugin.model.checkpoint import padding_rows, updates
from ppa_plugin.training.starting_point import read_shape

HISTORY = {"criterion_name": "c", "optimizer_name": "o", "lr_scheduler_state": {}, "num_updates": 7}
PARTS = {
    "history a text": {"optimizer_history": "a text"},
    "history None": {"optimizer_history": None},
    "history empty": {"optimizer_history": []},
    "history of numbers": {"optimizer_history": [1]},
    "updates a text": {"optimizer_history": [{**HISTORY, "num_updates": "seven"}]},
    "updates negative": {"optimizer_history": [{**HISTORY, "num_updates": -7}]},
    "extra_state None": {"extra_state": None},
    "extra_state a list": {"extra_state": [1]},
    "place a number": {"extra_state": {"train_iterator": 3}},
    "epoch a text": {"extra_state": {"train_iterator": {"epoch": "one", "iterations_in_epoch": 0}}},
    "cfg a text": {"cfg": "a: &a [*a]"},
    "cfg a list": {"cfg": [{"model": {}}]},
    "args a list": {"args": [1]},
    "model a list": {"model": [1]},
    "model of numbers": {"model": {1: torch.ones(1)}},
    "model of 16 TB": {"model": {"w": EXPANDED}},
    "model of meta tensors": {"model": {"w": torch.ones(2, device="meta")}},
    "model sparse": {"model": {"w": torch.ones(2, 2).to_sparse()}},
}
MISSING = ("optimizer_history", "extra_state", "model")


def checked_refusal(load, path, capsys):
    """The sentence that loading ends in."""
    with pytest.raises(SystemExit) as ended:
        load(str(path))
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {path}") or f" {path}" in error
    assert error.count("\n") == 1
    return error


@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)
def test_parts_of_another_type(parts, tmp_path, capsys):
    torch.save({**content(), **parts}, tmp_path / "start.pt")
    checked_refusal(checkpoint_utils.load_checkpoint_to_cpu, tmp_path / "start.pt", capsys)


@pytest.mark.parametrize("part", MISSING)
def test_parts_that_are_not_there(part, tmp_path, capsys):
    torch.save({key: value for key, value in content().items() if key != part}, tmp_path / "start.pt")
    checked_refusal(checkpoint_utils.load_checkpoint_to_cpu, tmp_path / "start.pt", capsys)


@pytest.mark.parametrize("share", [0, 0.01, 0.3, 0.6, 0.99])
def test_half_a_checkpoint(share, tmp_path, capsys):
    torch.save(content(), tmp_path / "whole.pt")
    whole = (tmp_path / "whole.pt").read_bytes()
    (tmp_path / "start.pt").write_bytes(whole[: int(share * len(whole))])
    checked_refusal(checkpoint_utils.load_checkpoint_to_cpu, tmp_path / "start.pt", capsys)
    assert read_shape(tmp_path / "start.pt") == {}


@pytest.mark.parametrize("every", [0, -3, float("nan")])
def test_settings_that_no_model_can_have_are_one_sentence(every, tmp_path):
    model = {"encoder.sentence_encoder.layer_norm.weight": torch.zeros(2)}  # ModernBERT's alone
    cfg = {"model": {"global_attn_every_n_layers": every, "local_attention": 8, "local_rope_theta": "x"}}
    torch.save({"model": model, "cfg": cfg}, tmp_path / "start.pt")
    with pytest.raises(UserError, match=r"start\.pt: cfg\.model\.global_attn_every_n_layers"):
        read_shape(tmp_path / "start.pt")
    cfg["model"]["global_attn_every_n_layers"] = 2
    torch.save({"model": model, "cfg": cfg}, tmp_path / "start.pt")
    own = {"global_attn_every_n_layers": 2, "local_attention": 8}
    assert read_shape(tmp_path / "start.pt") == {"headless": True, "padding_rows": 0} | own


@pytest.mark.parametrize("legacy", [False, True])
def test_a_whole_one_is_loaded(legacy, tmp_path):
    torch.save(content(), tmp_path / "start.pt", _use_new_zipfile_serialization=not legacy)
    state = checkpoint_utils.load_checkpoint_to_cpu(str(tmp_path / "start.pt"))
    assert state["optimizer_history"][-1]["num_updates"] == 0


def test_what_the_trainer_finds_wrong_is_one_sentence(tmp_path, capsys):
    """As another criterion than that of the optimizer state; here it stops even earlier."""
    checked_refusal(lambda path: Trainer.load_checkpoint(object(), path), tmp_path / "start.pt", capsys)


@pytest.mark.parametrize("history", [None, "a text", [], [1], [{}], [{"num_updates": "7"}], {"num_updates": 7}, [[7]]])
def test_updates_that_are_not_said(history):
    assert updates({"optimizer_history": history}) is None
    assert updates({"optimizer_history": [{}, HISTORY]}) == 7
    assert padding_rows({"cfg": {"model": {"padding_rows": history}}}) == 0


@pytest.mark.slow
def test_the_traceback_is_there_for_who_asks(tmp_path):
    (tmp_path / "start.pt").write_bytes(b"no checkpoint")
    command = [sys.executable, "-m", "ppa_plugin.convert.cli", "to-hf", "start.pt", "out"]
    for debug in ("", "1"):
        ended = subprocess.run(command, cwd=tmp_path, env={"PPA_DEBUG": debug}, capture_output=True, text=True)
        assert ended.returncode == 2
        assert ("Traceback" in ended.stderr) == bool(debug)
        assert ended.stderr.splitlines()[-1] == "error: start.pt is truncated or not a torch checkpoint"
