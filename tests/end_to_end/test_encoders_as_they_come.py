"""Training from encoders as users have them: without a masked-LM head, with a pooler, with a padded vocabulary."""

import argparse
import random
import shutil
import subprocess
from pathlib import Path

import pytest
import sentencepiece
import torch
from first_release import first_release
from made_up_shards import VOCABULARY, write_shards
from running import exit_code
from safetensors.torch import load_file
from tiny_xlmr import tiny_config
from training import BIN, ROOT, load, losses, parameters, train

from ppa_plugin.convert import cli
from ppa_plugin.evaluation.encoder.loading import import_transformers

transformers = import_transformers()
PADDED = 64
EMBEDDING = "embeddings.word_embeddings.weight"
SEQ_ALONE = ("--mlm-weight", 0, "--tlm-weight", 0)


def convert(*arguments) -> None:
    assert exit_code(cli.main, *arguments) == 0


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A directory that `AutoModel` saved: no head, a pooler, 60 ids in 64 rows; every parameter random."""
    directory = tmp_path_factory.mktemp("encoder") / "hf"
    config = tiny_config(PADDED)
    torch.manual_seed(0)
    model = transformers.XLMRobertaModel(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3)
    model.save_pretrained(directory)
    draw = random.Random(1)
    words = ["".join(draw.choices("bdfgklmnprstaeiou", k=draw.randint(2, 5))) for _ in range(400)]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([" ".join(draw.choices(words, k=9)) for _ in range(200)]),
        model_prefix=str(directory / "sentencepiece.bpe"),
        vocab_size=VOCABULARY - 2,
        model_type="unigram",
        num_threads=1,
        minloglevel=2,
    )
    (directory / "sentencepiece.bpe.vocab").unlink()
    return directory


@pytest.fixture(scope="module")
def start(encoder, tmp_path_factory):
    """The encoder as `to-fairseq` writes it: (without a head, with a new one)."""
    directory = tmp_path_factory.mktemp("start")
    convert("to-fairseq", encoder, directory / "headless")
    convert("to-fairseq", encoder, directory / "new", "--new-head")
    return directory / "headless", directory / "new"


@pytest.fixture(scope="module")
def data(start, tmp_path_factory):
    directory = tmp_path_factory.mktemp("data")
    shards = write_shards(directory, pairs=40)
    shutil.copy(start[0] / "dict.txt", directory)
    shutil.copy(start[0] / "sentencepiece.bpe.model", directory)
    return shards


@pytest.fixture(scope="module")
def trained(start, data, tmp_path_factory):
    """SEQ alone from the encoder without a head: two updates, then two more by the same command, validated."""
    save_dir = tmp_path_factory.mktemp("trained")
    flags = ("--finetune-from-model", start[0] / "model.pt", *SEQ_ALONE)
    first = losses(train(data, save_dir, *flags, "--max-update", 2, "--total-num-update", 4))
    then = losses(train(data, save_dir, *flags))
    assert (sorted(first), sorted(then)) == ([1, 2], [3, 4])
    return save_dir


def test_seq_alone_trains_an_encoder_without_a_head(start, trained):
    checkpoint = load(trained / "checkpoint_last.pt")
    before = load(start[0] / "model.pt")["model"]
    assert checkpoint["model"].keys() == before.keys()
    assert not any("lm_head" in name for name in before)
    settings = checkpoint["cfg"]["model"]
    assert (settings["headless"], settings["padding_rows"]) == (True, PADDED - VOCABULARY)
    changed = {name for name, tensor in checkpoint["model"].items() if not torch.equal(tensor, before[name])}
    assert "encoder.sentence_encoder.layers.0.fc1.weight" in changed
    assert "encoder.sentence_encoder.embed_tokens.weight" in changed


def test_the_encoder_comes_back_as_it_came(encoder, trained, tmp_path):
    convert("to-hf", trained / "checkpoint_last.pt", tmp_path / "hf")
    before, after = (load_file(directory / "model.safetensors") for directory in (encoder, tmp_path / "hf"))
    assert before.keys() == after.keys()
    assert torch.equal(before["pooler.dense.weight"], after["pooler.dense.weight"])
    assert torch.equal(before[EMBEDDING][VOCABULARY:], after[EMBEDDING][VOCABULARY:])  # padding has no gradient
    assert not torch.equal(before[EMBEDDING], after[EMBEDDING])
    assert (encoder / "config.json").read_text().split() == (tmp_path / "hf" / "config.json").read_text().split()
    _, info = transformers.AutoModel.from_pretrained(tmp_path / "hf", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert "AutoModelForMaskedLM" not in (tmp_path / "hf" / "README.md").read_text()


def test_without_the_file_that_training_started_from_the_pooler_is_left_out_and_it_is_said(
    encoder, trained, tmp_path, capsys
):
    checkpoint = load(trained / "checkpoint_last.pt")
    checkpoint["cfg"]["checkpoint"]["finetune_from_model"] = str(tmp_path / "gone.pt")
    torch.save(checkpoint, tmp_path / "moved.pt")
    convert("to-hf", tmp_path / "moved.pt", tmp_path / "hf")
    assert "if its encoder had a pooler, it is left out" in capsys.readouterr().err
    before, after = (load_file(directory / "model.safetensors") for directory in (encoder, tmp_path / "hf"))
    assert before.keys() - after.keys() == {"pooler.dense.weight", "pooler.dense.bias"}


def test_a_new_head_is_trained_alone(start, data, tmp_path):
    flags = ("--finetune-from-model", start[1] / "model.pt", "--seq-weight", 0, "--freeze-encoder", "--max-update", 2)
    assert "the masked-LM head alone is trained" in train(data, tmp_path, *flags)
    before, after = load(start[1] / "model.pt")["model"], parameters(tmp_path)
    changed = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    head = ("dense.weight", "dense.bias", "layer_norm.weight", "layer_norm.bias", "bias")
    assert changed == {f"encoder.lm_head.{name}" for name in head}


@pytest.mark.slow
def test_ranks_and_validation_build_it_too(start, data, trained, tmp_path):
    flags = ("--finetune-from-model", start[0] / "model.pt", *SEQ_ALONE, "--max-update", 1)
    train(data, tmp_path, *flags, "--batch-size", 4, ranks=2)
    assert parameters(tmp_path).keys() == parameters(trained).keys()
    command = [BIN / "fairseq-validate", data, "--user-dir", ROOT / "ppa_plugin", "--task", "translit_alignment"]
    command += ["--criterion", "translit_alignment"]
    command += ["--path", trained / "checkpoint_last.pt", "--batch-size", 4, "--cpu", "--num-workers", 0]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "seq_acc" in done.stdout + done.stderr


def test_a_checkpoint_of_fairseqs_first_release_trains(start, data, tmp_path):
    """Old names, one Namespace of flags in place of `cfg`, torch's first file format; no padding, no token type."""
    state = dict(load(start[1] / "model.pt")["model"])
    for name in ("encoder.sentence_encoder.embed_tokens.weight", "encoder.lm_head.weight", "encoder.lm_head.bias"):
        state[name] = state[name][:VOCABULARY].clone()
    args = argparse.Namespace(
        arch="roberta_base", task="multilingual_masked_lm", criterion="masked_lm", optimizer="adam", data="gone"
    )
    content = {"args": args, "model": first_release(state), "extra_state": {"train_iterator": {"epoch": 1}}}
    content["optimizer_history"] = [{"criterion_name": "c", "optimizer_name": "o", "lr_scheduler_state": {}}]
    torch.save(content, tmp_path / "xlmr.pt", _use_new_zipfile_serialization=False)
    train(data, tmp_path / "run", "--finetune-from-model", tmp_path / "xlmr.pt", "--lr", 0, "--max-update", 1)
    after = parameters(tmp_path / "run")
    row = "encoder.sentence_encoder.embed_token_types.weight"
    assert not after.pop(row).any()
    assert all(torch.equal(tensor, state[name]) for name, tensor in after.items())


def test_a_masked_lm_term_without_a_head_is_one_sentence(start, data, tmp_path):
    printed = train(data, tmp_path, "--finetune-from-model", start[0] / "model.pt", "--mlm-weight", 0, code=2)
    errors = [line for line in printed.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert "has no masked-LM head: give it one with ppa-convert to-fairseq --new-head" in errors[0]
    assert "Traceback" not in printed
    assert not list(Path(tmp_path).glob("*.pt"))


def test_every_term_trains_with_a_new_head_and_a_padded_vocabulary(encoder, start, data, tmp_path):
    printed = losses(train(data, tmp_path, "--finetune-from-model", start[1] / "model.pt"), "tlm")
    assert sorted(printed) == [1, 2, 3, 4]
    convert("to-hf", tmp_path / "checkpoint_last.pt", tmp_path / "hf")
    model, info = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "hf", output_loading_info=True)
    assert not info["missing_keys"]
    assert model.config.vocab_size == PADDED
    before, after = load_file(encoder / "model.safetensors"), load_file(tmp_path / "hf" / "model.safetensors")
    assert torch.equal(before[EMBEDDING][VOCABULARY:], after[f"roberta.{EMBEDDING}"][VOCABULARY:])
    assert not after["lm_head.bias"][VOCABULARY:].any()
    assert "drawn at random (seed 1)" in (tmp_path / "hf" / "README.md").read_text()
