"""Reading checkpoints: nothing in them runs, and what fairseq-train writes is read."""

import argparse
import os
import pickle

import pytest
import torch

from ppa_plugin.commandline import UserError
from ppa_plugin.model import checkpoint


class Payload:
    """Unpickled without care it would make a directory."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path, legacy):
    target = tmp_path / "made-by-the-payload"
    file = tmp_path / "checkpoint.pt"
    content = {"model": {"weight": torch.ones(2)}, "cfg": Payload(target)}
    torch.save(content, file, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(UserError, match=r"could run code \(.*mkdir\); it was not loaded"):
        checkpoint.load_fairseq(file)
    assert not target.exists()


def test_a_bare_pickle_is_refused_and_does_not_run(tmp_path):
    target = tmp_path / "made-by-the-payload"
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": Payload(target)}))
    with pytest.raises(UserError, match=r"not loaded|not a torch checkpoint"):
        checkpoint.load_safely(tmp_path / "pytorch_model.bin")
    assert not target.exists()


def test_namespaces_are_read(tmp_path):
    """The trainer keeps a component without a dataclass as argparse.Namespace; old checkpoints are one Namespace."""
    cfg = {"model": argparse.Namespace(encoder_layers=3), "task": {"data": "data-bin/shard00:data-bin/shard01"}}
    torch.save({"cfg": cfg, "model": {"w": torch.ones(1)}}, tmp_path / "new.pt")
    torch.save({"args": argparse.Namespace(encoder_layers=4), "model": {"w": torch.ones(1)}}, tmp_path / "old.pt")
    new, old = (checkpoint.load_fairseq(tmp_path / name) for name in ("new.pt", "old.pt"))
    assert checkpoint.settings(new, "model") == {"encoder_layers": 3}
    assert checkpoint.settings(new, "task")["data"].startswith("data-bin/shard00")
    assert checkpoint.settings(new, "criterion") == {}
    assert checkpoint.settings(old, "model") == {"encoder_layers": 4}


def test_what_was_allowed_before_stays_allowed(tmp_path):
    """fairseq's own loading, in the same process, relies on what ppa_plugin.compat allows."""
    torch.save({"args": argparse.Namespace(), "model": {}}, tmp_path / "checkpoint.pt")
    before = set(torch.serialization.get_safe_globals())
    checkpoint.load_fairseq(tmp_path / "checkpoint.pt")
    assert set(torch.serialization.get_safe_globals()) == before


@pytest.mark.parametrize("keep", [0, 3, 100, 500, -1])
def test_a_truncated_file_is_one_sentence(tmp_path, keep):
    file = tmp_path / "checkpoint.pt"
    torch.save({"model": {"weight": torch.ones(1000)}}, file)
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(UserError, match="truncated or not a torch checkpoint"):
        checkpoint.load_fairseq(file)


@pytest.mark.parametrize("content", [[1, 2], {"weights": {}}, {"model": [1]}, {"model": {"a": 1}}])
def test_what_is_not_a_fairseq_checkpoint_is_said_so(tmp_path, content):
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(UserError, match="not a fairseq checkpoint"):
        checkpoint.load_fairseq(tmp_path / "other.pt")


def test_the_origin_is_found_through_the_file_that_training_started_from(tmp_path):
    origin = {"source": "owner/model", "config": {"hidden_size": 16}, "dtype": "float32"}
    state = {"model": {"w": torch.ones(1)}}
    torch.save({**state, checkpoint.ORIGIN: origin}, tmp_path / "model.pt")
    trained = {**state, "cfg": {"checkpoint": {"finetune_from_model": str(tmp_path / "model.pt")}}}
    assert checkpoint.find_origin(trained) == origin
    (tmp_path / "model.pt").write_bytes(b"replaced by something else")
    assert checkpoint.find_origin(trained) == {}
    assert checkpoint.find_origin(state) == {}
