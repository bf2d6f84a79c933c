"""`--tok-weight` with fairseq-train: one update whatever the ranks, resumed to the bit, and data that has no blocks."""

import re

import numpy as np
import pytest
import torch
from fairseq.data.indexed_dataset import MMapIndexedDatasetBuilder
from made_up_shards import write_shards
from training import largest_difference, parameters, train

NO_DROPOUT = ("--dropout", 0, "--attention-dropout", 0)
SGD = ("--optimizer", "sgd", "--lr", 0.1, "--max-update", 1)
TOK_ALONE = ("--mlm-weight", 0, "--tlm-weight", 0, "--seq-weight", 0, "--tok-weight", 1, "--tok-negatives", 4)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """16 pairs with token blocks."""
    return write_shards(tmp_path_factory.mktemp("data"), pairs=16, blocks=True)


@pytest.mark.parametrize("ranks", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_an_update_does_not_depend_on_the_ranks(data, tmp_path, ranks):
    """Each rank holds whole groups of --tok-negatives pairs."""
    one = train(data, tmp_path / "one", *SGD, *NO_DROPOUT, *TOK_ALONE, "--batch-size", 16)
    two = train(data, tmp_path / "two", *SGD, *NO_DROPOUT, *TOK_ALONE, "--batch-size", 16 // ranks, ranks=ranks)
    assert largest_difference(parameters(tmp_path / "one"), parameters(tmp_path / "two")) < 1e-6
    assert "no masked LM: the blocks above layer 2 and the head are frozen" in one
    for name in ("tok", "tok_acc", "tok_blocks"):
        logged = [re.search(rf'"{name}": "([^"]+)"', printed)[1] for printed in (one, two)]
        assert logged[0] == logged[1]
        assert float(logged[0]) > 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["contrastive", "l2"])
def test_an_update_moves_what_is_below_the_layer_and_resumes_to_the_bit(data, tmp_path, kind):
    flags = ("--tok-weight", 0.5, "--tok-loss", kind, "--max-update", 4, "--save-interval-updates", 3)
    printed = train(data, tmp_path / "plain", *flags, validate=True)
    assert re.search(r'"valid_tok_acc": "[01]', printed)
    (tmp_path / "resumed").mkdir()
    (halfway,) = (tmp_path / "plain").glob("checkpoint_*_3.pt")
    halfway.rename(tmp_path / "resumed/checkpoint_last.pt")
    assert "@ 3 updates" in train(data, tmp_path / "resumed", *flags)
    after, again = parameters(tmp_path / "plain"), parameters(tmp_path / "resumed")
    assert all(torch.equal(after[name], again[name]) for name in after)
    train(data, tmp_path / "without", "--max-update", 4)
    assert largest_difference(after, parameters(tmp_path / "without")) > 1e-4


def test_data_without_blocks_is_said(tmp_path):
    data = write_shards(tmp_path / "data", pairs=16)
    printed = train(data, tmp_path / "run", "--tok-weight", 1, code=2)
    assert "train.orig-latn.align.idx is missing: --tok-weight trains on token blocks; say `alignment: true`" in printed
    assert "Traceback" not in printed


@pytest.mark.slow
def test_a_romanizer_without_edges_is_said(tmp_path):
    data = write_shards(tmp_path / "data", pairs=16, blocks=True)
    for path in (tmp_path / "data").rglob("train.orig-latn.align.*"):
        path.unlink()
    for directory in (tmp_path / "data/shard00").iterdir():
        builder = MMapIndexedDatasetBuilder(str(directory / "train.orig-latn.align.bin"), dtype=np.uint8)
        for _ in range(8):
            builder.add_item(torch.tensor([0]))
        builder.finalize(str(directory / "train.orig-latn.align.idx"))
    printed = train(data, tmp_path / "run", "--tok-weight", 1, code=2)
    assert "has token blocks, on which --tok-weight trains: its romanizer does not say which" in printed
