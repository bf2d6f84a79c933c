"""What a run survives: a resume, another number of workers, many shards, half precision, a full disk, hostile files."""

import os
import pickle
import re
import resource
import shutil

import pytest
import torch
from made_up_shards import VOCABULARY, write_dictionary, write_shards, write_split
from training import largest_difference, load, losses, parameters, train


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("data"), pairs=40)


@pytest.fixture(scope="module")
def start(data, tmp_path_factory):
    """A checkpoint of one update."""
    save_dir = tmp_path_factory.mktemp("start")
    train(data, save_dir, "--max-update", 1)
    return save_dir / "checkpoint_last.pt"


@pytest.mark.slow
def test_workers_do_not_change_a_bit(data, tmp_path):
    train(data, tmp_path / "none", "--num-workers", 0)
    train(data, tmp_path / "two", "--num-workers", 2)
    assert largest_difference(parameters(tmp_path / "none"), parameters(tmp_path / "two")) == 0


def test_resume_across_shards_and_epochs(tmp_path):
    shards = write_shards(tmp_path / "data", pairs=20, shards=3)
    flags = ("--max-update", 9, "--save-interval-updates", 2, "--sampling-alpha", 0.5)
    straight = losses(train(shards, tmp_path / "straight", *flags))
    assert sorted(straight) == list(range(1, 10))
    for halfway in ("checkpoint_1_2.pt", "checkpoint_2_4.pt", "checkpoint_3_8.pt"):
        resumed = tmp_path / halfway
        resumed.mkdir()
        shutil.copy(tmp_path / "straight" / halfway, resumed / "checkpoint_last.pt")
        later = losses(train(shards, resumed, *flags))
        assert min(later) == int(halfway[13:-3]) + 1
        assert later.items() <= straight.items()
        assert largest_difference(parameters(tmp_path / "straight"), parameters(resumed)) == 0


def test_memory_efficient_fp16_follows_fp32(data, start, tmp_path):
    flags = ("--finetune-from-model", start, "--max-update", 50, "--log-interval", 10, "--lr", 1e-3)
    full = losses(train(data, tmp_path / "full", *flags))
    printed = train(data, tmp_path / "half", *flags, "--memory-efficient-fp16", "--fp16-init-scale", 4)
    half, scale = losses(printed), losses(printed, "loss_scale")
    assert half[50] == pytest.approx(full[50], rel=0.01)
    assert half[50] < half[10]
    assert scale[50] >= 4


def test_the_fused_optimizer_trains_as_adam_does_and_resumes_from_it(data, start, tmp_path):
    flags = ("--max-update", 6, "--adam-betas", "(0.9, 0.999)", "--weight-decay", 0.01, "--clip-norm", 1.0)
    for name in ("adam", "fused"):
        (tmp_path / name).mkdir()
        shutil.copy(start, tmp_path / name / "checkpoint_last.pt")
    adam = losses(train(data, tmp_path / "adam", *flags))
    fused = losses(train(data, tmp_path / "fused", *flags, "--optimizer", "fused_adamw"))
    assert sorted(fused) == [2, 3, 4, 5, 6]
    assert fused == pytest.approx(adam, rel=1e-4)  # printed with three digits
    back = losses(train(data, tmp_path / "fused", *flags, "--max-update", 8))
    assert sorted(back) == [7, 8]


@pytest.mark.slow
def test_bf16_flag_trains(data, start, tmp_path):
    printed = losses(train(data, tmp_path, "--bf16", "--finetune-from-model", start, "--max-update", 8))
    full = losses(train(data, tmp_path / "full", "--finetune-from-model", start, "--max-update", 8))
    assert printed[8] == pytest.approx(full[8], rel=0.02)


def test_validation_is_fixed_and_logs_every_term(data, tmp_path):
    flags = ("--lr", 0, "--max-update", 4, "--validate-interval-updates", 2, "--save-interval-updates", 2)
    printed = train(data, tmp_path, *flags, validate=True)
    for key in ("loss", "mlm_orig", "mlm_latn", "seq", "tlm", "seq_acc"):
        values = losses(printed, key, "valid")
        assert len(values) == 2
        assert len(set(values.values())) == 1


class Payload:
    """Unpickling this would create a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.system, (f"touch {self.path}",))


def test_a_hostile_checkpoint_is_refused_and_nothing_in_it_runs(data, start, tmp_path):
    hostile, touched = tmp_path / "hostile.pt", tmp_path / "touched"
    torch.save(load(start) | {"args": Payload(touched)}, hostile)
    with open(hostile, "rb") as handle:
        assert handle.read(2) == b"PK"
    printed = train(data, tmp_path / "run", "--finetune-from-model", hostile, code=2)
    assert re.search(r"error: \S*hostile.pt was not loaded: it is torn, or holds Python objects", printed)
    hostile.write_bytes(pickle.dumps({"model": Payload(touched)}))
    train(data, tmp_path / "run", "--finetune-from-model", hostile, code=2)
    assert not touched.exists()


@pytest.mark.slow
def test_broken_checkpoints_are_named(data, start, tmp_path):
    printed = train(data, tmp_path / "run", "--restore-file", tmp_path / "nowhere.pt", code=2)
    assert re.search(r"error: --restore-file \S*nowhere.pt does not exist", printed)
    broken = tmp_path / "broken.pt"
    broken.write_bytes(start.read_bytes()[:-2000])
    printed = train(data, tmp_path / "run", "--finetune-from-model", broken, code=2)
    assert re.search(r"error: \S*broken.pt (is not a whole checkpoint|was not loaded)", printed)
    state = load(start)
    state["model"]["encoder.sentence_encoder.layers.1.fc1.weight"][0, 0] = float("nan")
    torch.save(state, broken)
    printed = train(data, tmp_path / "run", "--finetune-from-model", broken, code=2)
    assert "error: the checkpoint holds NaN or infinite weights in encoder.sentence_encoder.layers.1.fc1" in printed


@pytest.mark.slow
def test_another_vocabulary_is_named_with_both_sizes(data, start, tmp_path):
    shard = tmp_path / "shard00"
    write_dictionary(tmp_path, VOCABULARY + 7)
    write_split(shard / "aaa_Latn", "train", 20, seed=1)
    printed = train(shard, tmp_path / "run", "--finetune-from-model", start, code=2)
    assert f"has {VOCABULARY} entries and the data's dict.txt has {VOCABULARY + 7}" in printed
    assert not (tmp_path / "run/checkpoint_last.pt").exists()
    (shard / "aaa_Latn/dict.orig.txt").write_text("made 1\nup 1\n", encoding="utf-8")
    printed = train(shard, tmp_path / "run", code=2)
    assert re.search(rf"\({VOCABULARY + 7} entries\) and \S+dict.orig.txt \(7 entries\) differ", printed)
    (shard / "aaa_Latn/dict.orig.txt").unlink()
    printed = train(f"{data}:{shard}", tmp_path / "run", code=2)
    assert re.search(rf"\({VOCABULARY} entries\) and \S+ \({VOCABULARY + 7} entries\) differ", printed)


def test_a_broken_shard_is_one_sentence(tmp_path):
    shard = write_shards(tmp_path, pairs=20)
    index = tmp_path / "shard00/aaa_Latn/train.orig-latn.orig.idx"
    index.write_bytes(index.read_bytes()[:80])
    printed = train(shard, tmp_path / "run", code=2)
    assert re.search(r"error: \S*orig.idx is torn", printed)
    assert "Traceback" not in printed


def test_a_full_disk_loses_nothing(data, start, tmp_path):
    save_dir = tmp_path / "run"
    save_dir.mkdir()
    shutil.copy(start, save_dir / "checkpoint_last.pt")
    before = (save_dir / "checkpoint_last.pt").read_bytes()

    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, len(before) // 2))

    printed = train(data, save_dir, code=1, preexec_fn=small_files)
    assert re.search(r"error: cannot save \S*checkpoint_last.pt: .*; make room and start the same command", printed)
    assert (save_dir / "checkpoint_last.pt").read_bytes() == before
    assert sorted(path.name for path in save_dir.iterdir()) == ["checkpoint_last.pt"]
