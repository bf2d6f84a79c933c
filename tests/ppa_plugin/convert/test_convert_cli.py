"""`ppa-convert` as a user calls it: bit-exact there and back, what it writes loads, bad input is one sentence."""

import argparse
import json
import os
import shutil

import pytest
import torch
from running import exit_code
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from ppa_plugin.convert import cli, hugging_face
from ppa_plugin.convert.to_hf import HF_FILES
from ppa_plugin.convert.tokenizer import tokenizer_json
from ppa_plugin.data import vocabulary
from ppa_plugin.evaluation.encoder.loading import import_transformers
from ppa_plugin.model import names
from ppa_plugin.model.checkpoint import load_fairseq

transformers = import_transformers()


def convert(*arguments) -> int:
    return exit_code(cli.main, *arguments)


@pytest.fixture(scope="module")
def converted(tiny_hf_directory, tmp_path_factory):
    """The tiny model in fairseq's form and back again: (fairseq directory, Hugging Face directory)."""
    directory = tmp_path_factory.mktemp("converted")
    assert convert("to-fairseq", tiny_hf_directory, directory / "fairseq") == 0
    assert convert("to-hf", directory / "fairseq" / "model.pt", directory / "hf") == 0
    return directory / "fairseq", directory / "hf"


@pytest.fixture
def copied(tiny_hf_directory, tmp_path):
    """A copy of the tiny model's directory, to be spoilt."""
    return shutil.copytree(tiny_hf_directory, tmp_path / "copy")


def change_config(directory, **changes):
    path = directory / "config.json"
    config = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


def assert_same_weights(one, other):
    one, other = load_file(one / "model.safetensors"), load_file(other / "model.safetensors")
    assert set(one) == set(other)
    for name in one:
        assert one[name].dtype == other[name].dtype, name
        assert torch.equal(one[name], other[name]), name


def test_there_and_back_is_bit_exact(tiny_hf_directory, converted):
    assert_same_weights(tiny_hf_directory, converted[1])
    assert load_file(converted[1] / "model.safetensors")["roberta.embeddings.token_type_embeddings.weight"].any()
    configs = [json.loads((d / "config.json").read_text()) for d in (tiny_hf_directory, converted[1])]
    assert configs[0] == configs[1]
    name = "sentencepiece.bpe.model"
    assert (tiny_hf_directory / name).read_bytes() == (converted[1] / name).read_bytes()


def test_safetensors_is_what_save_pretrained_writes(tiny_hf_directory, converted):
    with (
        safe_open(converted[1] / "model.safetensors", "pt") as ours,
        safe_open(tiny_hf_directory / "model.safetensors", "pt") as theirs,
    ):
        assert ours.metadata() == {"format": "pt"}
        assert set(ours.keys()) == set(theirs.keys())


def test_the_weights_can_be_read_by_whoever_can_read_the_config(converted):
    files = [path for path in converted[1].rglob("*") if path.is_file()]
    assert len({path.stat().st_mode for path in files}) == 1, files


def test_model_pt_loads_without_any_allow_list_and_is_what_fairseq_reads(converted):
    from fairseq.checkpoint_utils import load_checkpoint_to_cpu

    plain = torch.load(converted[0] / "model.pt", weights_only=True)
    assert plain["cfg"]["model"]["encoder_layers"] == 3
    assert plain["cfg"]["model"]["max_positions"] == 512
    weights = plain["model"]
    # one tensor under two names, so that the file holds the largest matrix once
    tied = [weights[f"encoder.{name}.weight"].data_ptr() for name in ("lm_head", "sentence_encoder.embed_tokens")]
    assert tied[0] == tied[1]
    state = load_checkpoint_to_cpu(str(converted[0] / "model.pt"))
    assert state["extra_state"]["train_iterator"]["epoch"] == 1
    assert state["optimizer_history"][-1]["num_updates"] == 0


def test_dictionary_belongs_to_the_tokenizer(converted):
    dictionary = vocabulary.load_dictionary(converted[0] / "dict.txt")
    vocabulary.check_dictionary(dictionary, converted[0] / "sentencepiece.bpe.model")


@pytest.mark.parametrize("auto_class", ["AutoModelForMaskedLM", "AutoModel"])
def test_transformers_loads_the_whole_model(tiny_hf_model, converted, auto_class):
    model, info = getattr(transformers, auto_class).from_pretrained(converted[1], output_loading_info=True)
    missing = {name for name in info["missing_keys"] if "pooler" not in name}
    assert not missing
    assert not info["mismatched_keys"]
    ids = torch.tensor([[0, 5, 6, 7, 2]])
    with torch.no_grad():
        ours, theirs = (m.eval()(ids, output_hidden_states=True) for m in (model, tiny_hf_model))
        assert torch.equal(ours.hidden_states[-1], theirs.hidden_states[-1])
        if auto_class == "AutoModelForMaskedLM":
            assert torch.equal(ours.logits, theirs.logits)


def test_tokenizer_ids_are_sentencepiece_plus_one(sentences, sentencepiece_path, converted):
    processor = vocabulary.load_sentencepiece(sentencepiece_path)
    for directory in (converted[1], converted[0] / "hf"):
        tokenizer_json = transformers.AutoTokenizer.from_pretrained(directory)
        assert tokenizer_json.model_max_length == 512
        assert tokenizer_json.mask_token_id == len(tokenizer_json) - 1 == processor.get_piece_size() + 1
        for sentence in [*sentences, "𓀀 unseen ☃", " two  spaces ", ""]:
            ids = [i + 1 if i else 3 for i in processor.encode(sentence)]
            assert tokenizer_json(sentence)["input_ids"] == [0, *ids, 2]


@pytest.mark.parametrize("layout", ["bin", "safetensors shards", "bin shards"])
def test_every_layout_of_weights_is_read(layout, copied, tiny_hf_directory, tmp_path):
    state = load_file(copied / "model.safetensors")
    (copied / "model.safetensors").unlink()
    # a .bin of transformers 4 holds the tied matrix twice and the position buffer
    full = {**state, "lm_head.decoder.weight": state["roberta.embeddings.word_embeddings.weight"]}
    full["roberta.embeddings.position_ids"] = torch.arange(514)[None]
    if layout == "bin":
        torch.save(full, copied / "pytorch_model.bin")
    else:
        suffix = "safetensors" if "safetensors" in layout else "bin"
        stem = "model" if suffix == "safetensors" else "pytorch_model"
        weight_map = {}
        for part, chosen in enumerate((sorted(state)[::2], sorted(state)[1::2]), 1):
            file = copied / f"{stem}-0000{part}-of-00002.{suffix}"
            shard = {name: state[name] for name in chosen}
            save_file(shard, file) if suffix == "safetensors" else torch.save(shard, file)
            weight_map |= dict.fromkeys(chosen, file.name)
        (copied / f"{stem}.{suffix}.index.json").write_text(json.dumps({"weight_map": weight_map}))
    assert convert("to-fairseq", copied, tmp_path / "fairseq") == 0
    assert convert("to-hf", tmp_path / "fairseq" / "model.pt", tmp_path / "hf") == 0
    assert_same_weights(tiny_hf_directory, tmp_path / "hf")


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision_weights_come_back_in_their_own_type(kind, copied, tmp_path):
    state = {name: tensor.to(kind) for name, tensor in load_file(copied / "model.safetensors").items()}
    save_file(state, copied / "model.safetensors", metadata={"format": "pt"})
    change_config(copied, dtype=str(kind).removeprefix("torch."))
    assert convert("to-fairseq", copied, tmp_path / "fairseq") == 0
    stored = torch.load(tmp_path / "fairseq" / "model.pt", weights_only=True)
    assert {tensor.dtype for tensor in stored["model"].values()} == {torch.float32}
    assert convert("to-hf", tmp_path / "fairseq" / "model.pt", tmp_path / "hf") == 0
    assert_same_weights(copied, tmp_path / "hf")

    stored["model"]["encoder.lm_head.bias"] += 1e-7  # as training would: no longer exact in 16 bits
    torch.save(stored, tmp_path / "trained.pt")
    pieces = tmp_path / "fairseq"
    assert convert("to-hf", tmp_path / "trained.pt", tmp_path / "wide", "--tokenizer", pieces) == 0
    assert json.loads((tmp_path / "wide" / "config.json").read_text())["dtype"] == "float32"
    assert load_file(tmp_path / "wide" / "model.safetensors")["lm_head.bias"].dtype == torch.float32


def test_another_layer_norm_epsilon_is_said(copied, tmp_path, capsys):
    change_config(copied, layer_norm_eps=1e-12)
    assert convert("to-fairseq", copied, tmp_path / "out") == 0
    assert "layer_norm_eps 1e-12; fairseq computes with 1e-05" in capsys.readouterr().err


def trained(converted, tmp_path, heads=2, **sections):
    """A checkpoint as fairseq-train leaves it: settings as Namespace or dict, FP16 weights, no note of its origin."""
    content = torch.load(converted[0] / "model.pt", weights_only=True)
    model = {name: tensor.half() for name, tensor in content["model"].items()}
    cfg = {"model": argparse.Namespace(encoder_attention_heads=heads, dropout=0.2, attention_dropout=0.0), **sections}
    history = [{"criterion_name": "c", "optimizer_name": "o", "lr_scheduler_state": {}, "num_updates": 52000}]
    (tmp_path / "checkpoints").mkdir()
    path = tmp_path / "checkpoints" / "checkpoint_best.pt"
    torch.save({"args": None, "cfg": cfg, "model": model, "optimizer_history": history, "extra_state": {}}, path)
    return path


def test_a_trained_checkpoint_gets_config_tokenizer_and_card_from_its_settings(converted, tmp_path, monkeypatch):
    (tmp_path / "data-bin" / "shard00").mkdir(parents=True)
    shutil.copy(converted[0] / "sentencepiece.bpe.model", tmp_path / "data-bin")
    monkeypatch.chdir(tmp_path)
    criterion = {"_name": "translit_alignment", "seq_weight": 0.5}
    task = {"_name": "translit_alignment", "data": "data-bin/shard00:data-bin/shard01"}
    path = trained(converted, tmp_path, criterion=criterion, task=task)
    assert convert("to-hf", path, "out") == 0
    of_others = {"special_tokens_map.json", "1_WeightedLayerPooling", "2_Pooling"}
    assert set(os.listdir("out")) == set(HF_FILES) - of_others
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    sizes = {"num_attention_heads": 2, "num_hidden_layers": 3, "hidden_size": 16, "intermediate_size": 24}
    assert {key: config[key] for key in sizes} == sizes
    assert config["max_position_embeddings"] == 514
    assert config["hidden_dropout_prob"] == 0.2
    before = load_fairseq(path)["model"]["encoder.lm_head.dense.weight"]
    after = load_file(tmp_path / "out" / "model.safetensors")["lm_head.dense.weight"]
    assert after.dtype == torch.float32
    assert torch.equal(after, before.float())
    card = (tmp_path / "out" / "README.md").read_text()
    for part in ("--criterion translit_alignment\n", "--seq-weight 0.5\n", "52000", "uroman", "Licence"):
        assert part in card
    assert transformers.AutoModelForMaskedLM.from_pretrained("out").config.num_attention_heads == 2


def test_base_model_and_config_come_from_the_file_that_training_started_from(converted, tmp_path, tiny_hf_directory):
    started_from = {"finetune_from_model": str(converted[0] / "model.pt")}
    path = trained(converted, tmp_path, checkpoint=started_from, task={"data": str(converted[0])})
    assert convert("to-hf", path, tmp_path / "out") == 0
    assert f"Base model: {tiny_hf_directory}" in (tmp_path / "out" / "README.md").read_text()
    configs = [json.loads((d / "config.json").read_text()) for d in (tiny_hf_directory, tmp_path / "out")]
    assert configs[0] == configs[1]


def spoil(directory, what):
    """Make one of the mistakes that users make."""
    state = load_file(directory / "model.safetensors")
    weights = directory / "model.safetensors"
    if what == "architecture":
        change_config(directory, model_type="bert")
    elif what == "two token types":
        change_config(directory, type_vocab_size=2)
    elif what == "config":
        (directory / "config.json").unlink()
    elif what == "config syntax":
        (directory / "config.json").write_text("{")
    elif what == "weights":
        weights.unlink()
    elif what == "sentencepiece":
        (directory / "sentencepiece.bpe.model").unlink()
    elif what == "truncated":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif what == "part of the head":
        save_file({name: t for name, t in state.items() if not name.startswith("lm_head.dense")}, weights)
    elif what == "another head":
        save_file({n.replace("lm_head", "classifier"): t for n, t in state.items() if n != "lm_head.bias"}, weights)
    elif what == "DataParallel":
        save_file({f"module.{name}": t for name, t in state.items()}, weights)
    elif what == "torch.compile":
        save_file({f"_orig_mod.{name}": t for name, t in state.items()}, weights)
    elif what == "inside another model":
        save_file({f"model.{n}" if n.startswith("roberta.") else n: t for n, t in state.items()}, weights)
    elif what == "fairseq's names":
        save_file({n: t.clone() for n, t in names.to_fairseq(state, "here").items()}, weights)
    elif what == "vocabulary":
        words = "roberta.embeddings.word_embeddings.weight"
        save_file({**state, words: torch.cat([state[words], state[words][:7]])}, weights)
        change_config(directory, vocab_size=len(state[words]) + 7)
    elif what == "layers":
        change_config(directory, num_hidden_layers=2)


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("architecture", "is a bert model; only xlm-roberta"),
        ("two token types", "type_vocab_size is 2"),
        ("config", "holds no config.json"),
        ("config syntax", "config.json is not valid JSON"),
        ("weights", "holds no weights"),
        ("sentencepiece", "holds no sentencepiece.bpe.model"),
        ("truncated", "truncated"),
        ("part of the head", "parameter lm_head.dense.bias and 1 more missing; this is not a whole XLM-R with a mask"),
        ("another head", r"has a head for another task \(parameter classifier.dense.bias and 3 more\)"),
        ("DataParallel", "every name begins with 'module.': saved from DataParallel or .* save model.module"),
        ("torch.compile", "every name begins with '_orig_mod.': saved from a model that torch.compile wraps"),
        ("inside another model", "the encoder's names begin with 'model.': saved inside another module"),
        ("fairseq's names", "the names are fairseq's; `ppa-convert to-hf` takes such a checkpoint"),
        ("vocabulary", "407 embeddings, the dictionary of .* has 400 entries"),
        ("layers", "more layers than the 2"),
    ],
)
def test_a_bad_directory_is_one_sentence_and_leaves_nothing(what, says, copied, tmp_path, capsys, sentencepiece_path):
    spoil(copied, what)
    size = len(vocabulary.pieces(vocabulary.load_sentencepiece(sentencepiece_path))) + 5
    assert convert("to-fairseq", copied, tmp_path / "out") == 2
    assert_one_sentence(capsys, says.replace("407", str(size + 7)).replace("400", str(size)))
    assert os.listdir(tmp_path) == ["copy"]


def assert_one_sentence(capsys, says):
    import re

    lines = [line for line in capsys.readouterr().err.splitlines() if line]
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert re.search(says, lines[0]), lines[0]


def test_a_checkpoint_without_its_tokenizer_or_of_another_one(converted, tmp_path, capsys, sentencepiece_path):
    path = trained(converted, tmp_path)
    assert convert("to-hf", path, tmp_path / "out") == 2
    assert_one_sentence(capsys, "no SentencePiece model at .*pass --tokenizer")
    content = torch.load(converted[0] / "model.pt", weights_only=True)
    for name in ("encoder.lm_head.weight", "encoder.sentence_encoder.embed_tokens.weight"):
        content["model"][name] = content["model"]["encoder.sentence_encoder.embed_tokens.weight"][:50]
    content["model"]["encoder.lm_head.weight"] = content["model"]["encoder.sentence_encoder.embed_tokens.weight"]
    torch.save(content, tmp_path / "small.pt")
    assert convert("to-hf", tmp_path / "small.pt", tmp_path / "out", "--tokenizer", sentencepiece_path) == 2
    assert_one_sentence(capsys, "small.pt has 50 embeddings, the dictionary of .* has [0-9]+ entries")
    assert not (tmp_path / "out").exists()


def test_nobody_elses_files_are_replaced(tiny_hf_directory, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    assert convert("to-fairseq", tiny_hf_directory, out) == 0
    first = (out / "model.pt").stat().st_mtime_ns
    assert convert("to-fairseq", tiny_hf_directory, out) == 2
    assert "not empty" in capsys.readouterr().err
    assert convert("to-fairseq", tiny_hf_directory, out, "--overwrite") == 0
    assert (out / "model.pt").stat().st_mtime_ns != first
    (out / "notes.txt").write_text("mine")
    assert convert("to-fairseq", tiny_hf_directory, out, "--overwrite") == 2
    assert "notes.txt" in capsys.readouterr().err
    assert (out / "notes.txt").read_text() == "mine"
    assert os.listdir(tmp_path) == ["out"]


def test_a_failure_while_writing_leaves_nothing(tiny_hf_directory, tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("disk")

    monkeypatch.setattr(tokenizer_json, "write_tokenizer", fail)
    with pytest.raises(RuntimeError, match="disk"):
        cli.main(["to-fairseq", str(tiny_hf_directory), str(tmp_path / "out")])
    assert os.listdir(tmp_path) == []


def test_a_name_that_is_no_directory(tmp_path, capsys, monkeypatch):
    def offline(*_, **__):
        raise ConnectionError("no network")

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    assert convert("to-fairseq", "owner/no-such-model", tmp_path / "out") == 2
    assert_one_sentence(capsys, "owner/no-such-model is not a local directory and could not be fetched")
    assert convert("to-fairseq", tmp_path / "nowhere", tmp_path / "out") == 2
    assert_one_sentence(capsys, "is not a directory")


def test_a_hub_name_is_fetched(tiny_hf_directory, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, **_: str(tiny_hf_directory))
    assert hugging_face.locate("owner/model") == tiny_hf_directory
    assert convert("to-fairseq", "owner/model", tmp_path / "out") == 0
    assert torch.load(tmp_path / "out" / "model.pt", weights_only=True)["hugging_face"]["source"] == "owner/model"
