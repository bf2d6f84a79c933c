"""Encoders as users have them: without a head, padded, under other names, with another tokenizer file."""

import argparse
import json
import re
import shutil
from pathlib import Path

import pytest
import sentencepiece
import torch
from first_release import first_release
from running import exit_code
from safetensors.torch import load_file, save_file

from ppa_plugin.commandline import UserError
from ppa_plugin.convert import cli
from ppa_plugin.convert.tokenizer.sentencepiece_file import check_tokenizer_agrees
from ppa_plugin.data import vocabulary
from ppa_plugin.evaluation.encoder.loading import import_transformers
from ppa_plugin.model import names
from ppa_plugin.model.checkpoint import load_fairseq, model_settings

transformers = import_transformers()
WORDS = "roberta.embeddings.word_embeddings.weight"
IDS = torch.tensor([[0, 5, 6, 7, 40, 2]])


def convert(*arguments) -> int:
    return exit_code(cli.main, *arguments)


def assert_error(capsys, says: str) -> None:
    lines = [line for line in capsys.readouterr().err.splitlines() if line]
    assert len(lines) == 1
    assert re.search(says, lines[0]), lines[0]


def change_config(directory: Path, **changes) -> None:
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def assert_there_and_back(directory: Path, tmp_path: Path, *flags) -> Path:
    """to-fairseq, then to-hf: the same names, tensors, types and config; returns the last directory."""
    assert convert("to-fairseq", directory, tmp_path / "fairseq", *flags) == 0
    assert convert("to-hf", tmp_path / "fairseq" / "model.pt", tmp_path / "back") == 0
    from ppa_plugin.convert.weights import read_weights

    before, after = read_weights(directory), load_file(tmp_path / "back" / "model.safetensors")
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        assert tensor.dtype == after[name].dtype, name
        assert torch.equal(tensor, after[name]), name
    configs = [json.loads((d / "config.json").read_text()) for d in (directory, tmp_path / "back")]
    assert configs[0] == configs[1]
    return tmp_path / "back"


@pytest.fixture
def copied(tiny_hf_directory, tmp_path):
    """A copy of the tiny model's directory, to be changed."""
    return shutil.copytree(tiny_hf_directory, tmp_path / "copy")


@pytest.fixture
def headless(tiny_hf_model, sentencepiece_path, tmp_path):
    """The tiny model's encoder as `AutoModel` saves it, with a pooler."""
    directory = tmp_path / "headless"
    torch.manual_seed(1)
    model = transformers.XLMRobertaModel(tiny_hf_model.config)
    model.load_state_dict(tiny_hf_model.roberta.state_dict(), strict=False)
    model.save_pretrained(directory)
    assert load_file(directory / "model.safetensors")["pooler.dense.weight"].any()
    shutil.copyfile(sentencepiece_path, directory / "sentencepiece.bpe.model")
    return directory


def pad(directory: Path, multiple: int) -> int:
    """Give the model in a directory more rows than it has ids, as resize_token_embeddings does; returns how many."""
    state = load_file(directory / "model.safetensors")
    rows = {name for name in state if name.endswith("word_embeddings.weight") or name == "lm_head.bias"}
    ids = len(state[max(rows)])
    more = multiple - ids % multiple
    torch.manual_seed(2)
    for name in rows:
        state[name] = torch.cat([state[name], torch.randn(more, *state[name].shape[1:])])
    save_file(state, directory / "model.safetensors", metadata={"format": "pt"})
    change_config(directory, vocab_size=ids + more)
    return more


@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.bfloat16])
def test_an_encoder_without_a_head_comes_back_as_it_came(kind, headless, tmp_path, capsys):
    state = {name: t.to(kind) for name, t in load_file(headless / "model.safetensors").items()}
    save_file(state, headless / "model.safetensors", metadata={"format": "pt"})
    change_config(headless, dtype=str(kind).removeprefix("torch."))
    back = assert_there_and_back(headless, tmp_path)
    assert "it has no masked-LM head: train SEQ alone" in capsys.readouterr().out
    assert not names.has_head(load_fairseq(tmp_path / "fairseq" / "model.pt")["model"])
    before, after = (
        transformers.AutoModel.from_pretrained(d, dtype=torch.float32, output_loading_info=True)
        for d in (headless, back)
    )
    assert not after[1]["missing_keys"]
    with torch.no_grad():
        one, two = (model.eval()(IDS) for model, _ in (before, after))
    assert torch.equal(one.last_hidden_state, two.last_hidden_state)
    assert torch.equal(one.pooler_output, two.pooler_output)


@pytest.mark.parametrize("layout", ["bin", "safetensors shards", "prefix", "prefix and another architecture"])
def test_every_layout_without_a_head_is_read(layout, headless, tmp_path):
    file = headless / "model.safetensors"
    state = load_file(file)
    if layout == "bin":
        file.unlink()
        torch.save(state, headless / "pytorch_model.bin")
    elif layout == "safetensors shards":
        file.unlink()
        weight_map = {}
        for part in range(2):
            shard = {name: state[name] for name in sorted(state)[part::2]}
            save_file(shard, headless / f"part{part}.safetensors")
            weight_map |= dict.fromkeys(shard, f"part{part}.safetensors")
        (headless / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    else:
        save_file({f"roberta.{name}": tensor for name, tensor in state.items()}, file)
    if layout == "prefix and another architecture":
        change_config(headless, architectures=["XLMRobertaForMaskedLM"])  # which the weights are not
        assert convert("to-fairseq", headless, tmp_path / "fairseq") == 0
        assert convert("to-hf", tmp_path / "fairseq" / "model.pt", tmp_path / "back") == 0
        assert json.loads((tmp_path / "back" / "config.json").read_text())["architectures"] == ["XLMRobertaModel"]
    else:
        assert_there_and_back(headless, tmp_path)


def test_a_new_head_is_that_of_its_seed_and_said(headless, tmp_path, capsys):
    for name, seed in (("one", 1), ("two", 1), ("three", 3)):
        assert convert("to-fairseq", headless, tmp_path / name, "--new-head", "--seed", seed) == 0
        assert f"its masked-LM head is new, drawn at random (seed {seed})" in capsys.readouterr().out
    one, two, three = ((tmp_path / name / "model.pt").read_bytes() for name in ("one", "two", "three"))
    assert one == two
    assert one != three
    assert convert("to-hf", tmp_path / "one" / "model.pt", tmp_path / "hf") == 0
    assert "The masked-LM head is not the base model's" in (tmp_path / "hf" / "README.md").read_text()
    model, info = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "hf", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    head = model.lm_head
    assert head.dense.weight.std().item() == pytest.approx(0.02, rel=0.2)
    assert not head.dense.bias.any()
    assert not head.bias.any()
    assert (head.layer_norm.weight == 1).all()
    before = load_file(headless / "model.safetensors")["embeddings.word_embeddings.weight"]
    assert torch.equal(before, model.roberta.embeddings.word_embeddings.weight)


def test_a_model_with_a_head_gets_no_new_one(tiny_hf_directory, tmp_path, capsys):
    assert convert("to-fairseq", tiny_hf_directory, tmp_path / "out", "--new-head") == 2
    assert_error(capsys, "--new-head: .* has a masked-LM head; leave the flag out to keep it")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("multiple", [8, 64, 128])
@pytest.mark.parametrize("head", [True, False])
def test_a_padded_vocabulary_is_carried_there_and_back(multiple, head, copied, headless, tmp_path, capsys):
    directory = copied if head else headless
    ids = json.loads((directory / "config.json").read_text())["vocab_size"]
    more = pad(directory, multiple)
    back = assert_there_and_back(directory, tmp_path)
    assert f"vocabulary {ids} and {more} rows of padding" in capsys.readouterr().out
    assert len(vocabulary.load_dictionary(tmp_path / "fairseq" / "dict.txt")) == ids
    assert json.loads((back / "config.json").read_text())["vocab_size"] == ids + more
    assert transformers.AutoTokenizer.from_pretrained(back).mask_token_id == ids - 1


def test_rows_of_tokens_that_were_added_are_no_padding(copied, tmp_path, capsys):
    ids = json.loads((copied / "config.json").read_text())["vocab_size"]
    pad(copied, 8)
    (copied / "added_tokens.json").write_text(json.dumps({"<mask>": ids - 1, "<entity>": ids}))
    assert convert("to-fairseq", copied, tmp_path / "out") == 2
    assert_error(capsys, r"its tokenizer has 1 tokens \(<entity>, ...\) that sentencepiece.bpe.model lacks")


def test_padding_is_what_the_checkpoint_calls_so(copied, tmp_path, capsys):
    """A matrix that is larger than the tokenizer is else that of another vocabulary."""
    more = pad(copied, 64)
    assert convert("to-fairseq", copied, tmp_path / "fairseq") == 0
    content = torch.load(tmp_path / "fairseq" / "model.pt", weights_only=True)
    del content["cfg"]["model"]["padding_rows"]
    torch.save(content, tmp_path / "fairseq" / "other.pt")
    capsys.readouterr()
    assert convert("to-hf", tmp_path / "fairseq" / "other.pt", tmp_path / "out") == 2
    ids = json.loads((copied / "config.json").read_text())["vocab_size"] - more
    assert_error(capsys, f"has {ids + more} embeddings, the dictionary of .* has {ids} entries")


@pytest.mark.parametrize("pieces", [5, 120])
@pytest.mark.parametrize("head", [True, False])
def test_more_pieces_use_up_the_padding(pieces, head, copied, headless, romanized_sentences, tmp_path):
    directory = copied if head else headless
    old = json.loads((directory / "config.json").read_text())["vocab_size"]
    more = pad(directory, 128)
    before = load_file(directory / "model.safetensors")
    (tmp_path / "text.latn").write_text("\n".join(romanized_sentences * 3) + "\n", encoding="utf-8")
    assert convert("extend", directory, tmp_path / "wide", "--text", tmp_path, "--pieces", pieces) == 0
    assert len(vocabulary.load_dictionary(tmp_path / "wide" / "dict.txt")) == old + pieces
    assert convert("to-hf", tmp_path / "wide" / "model.pt", tmp_path / "back") == 0
    after = load_file(tmp_path / "back" / "model.safetensors")
    assert before.keys() == after.keys()
    name = WORDS if head else WORDS.removeprefix("roberta.")
    assert len(after[name]) == max(old + more, old + pieces)
    assert torch.equal(after[name][: old - 1], before[name][: old - 1])
    assert torch.equal(after[name][old - 1 + pieces], before[name][old - 1])  # <mask>
    left = max(more - pieces, 0)
    assert torch.equal(after[name][old + pieces :], before[name][old : old + left])
    assert load_fairseq(tmp_path / "wide" / "model.pt")["cfg"]["model"]["padding_rows"] == left
    if head:
        assert len(after["lm_head.bias"]) == len(after[name])


@pytest.mark.parametrize("padded", [True, False])
def test_romanizations_of_the_vocabulary_need_no_head_and_use_up_padding(padded, headless, tmp_path):
    old = json.loads((headless / "config.json").read_text())["vocab_size"]
    more = pad(headless, 512) if padded else 0
    before = load_file(headless / "model.safetensors")
    assert convert("extend", headless, tmp_path / "wide", "--init", "max") == 0
    assert convert("to-hf", tmp_path / "wide" / "model.pt", tmp_path / "back") == 0
    after = load_file(tmp_path / "back" / "model.safetensors")
    symbols = vocabulary.load_dictionary(tmp_path / "wide" / "dict.txt").symbols
    new, name = len(symbols) - old, WORDS.removeprefix("roberta.")
    assert new > 50
    assert before.keys() == after.keys()
    assert len(after[name]) == max(old + more, old + new)
    assert torch.equal(after[name][: old - 1], before[name][: old - 1])
    assert torch.equal(after[name][old - 1 + new], before[name][old - 1])  # <mask>
    assert torch.equal(after[name][symbols.index("st")], before[name][symbols.index("στ")])
    assert torch.equal(after["pooler.dense.weight"], before["pooler.dense.weight"])
    found = transformers.AutoModel.from_pretrained(tmp_path / "back")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "back")
    assert symbols.index("st") in tokenizer("sten pole")["input_ids"]
    assert torch.isfinite(found(**tokenizer("sten pole", return_tensors="pt")).last_hidden_state).all()


def renamed(state: dict[str, torch.Tensor], how: str) -> dict[str, torch.Tensor]:
    """The tiny model's weights under other names that Transformers reads."""
    state = dict(state)
    if how == "decoder.bias alone":
        state["lm_head.decoder.bias"] = state.pop("lm_head.bias")
    elif how == "decoder.weight alone":  # as safetensors.torch.save_model leaves it
        state["lm_head.decoder.weight"] = state.pop(WORDS)
    elif how == "gamma and beta":
        new = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
        state = {re.sub("|".join(new), lambda m: new[m.group()], name): t for name, t in state.items()}
    elif how == "no prefix":
        state = {name.removeprefix("roberta."): tensor for name, tensor in state.items()}
    return state


@pytest.mark.parametrize("how", ["decoder.bias alone", "decoder.weight alone", "gamma and beta", "no prefix"])
def test_names_that_transformers_reads_are_converted_with_equal_logits(how, copied, tiny_hf_model, tmp_path):
    whole = load_file(copied / "model.safetensors")
    state = renamed(whole, how)
    assert state.keys() != whole.keys()
    save_file(state, copied / "model.safetensors", metadata={"format": "pt"})
    assert convert("to-fairseq", copied, tmp_path / "fairseq") == 0
    assert convert("to-hf", tmp_path / "fairseq" / "model.pt", tmp_path / "back") == 0
    after = load_file(tmp_path / "back" / "model.safetensors")
    assert whole.keys() == after.keys()
    assert all(torch.equal(after[name], tensor) for name, tensor in whole.items())
    with torch.no_grad():
        expected = tiny_hf_model(IDS).logits
        for directory in (copied, tmp_path / "back"):
            model = transformers.AutoModelForMaskedLM.from_pretrained(directory).eval()
            assert torch.equal(model(IDS).logits, expected)


def test_one_parameter_under_two_names_is_refused(copied, tmp_path, capsys):
    state = load_file(copied / "model.safetensors")
    state["roberta.embeddings.LayerNorm.gamma"] = state["roberta.embeddings.LayerNorm.weight"] + 1
    save_file(state, copied / "model.safetensors")
    assert convert("to-fairseq", copied, tmp_path / "out") == 2
    assert_error(capsys, "holds roberta.embeddings.LayerNorm.weight under two names")


def test_fairseqs_first_releases_are_converted_with_equal_logits(tiny_hf_directory, sentencepiece_path, tmp_path):
    state = load_file(tiny_hf_directory / "model.safetensors")
    row = "roberta.embeddings.token_type_embeddings.weight"
    state[row] = torch.zeros_like(state[row])
    config = json.loads((tiny_hf_directory / "config.json").read_text())
    args = argparse.Namespace(**model_settings(config), arch="roberta_base", task="multilingual_masked_lm", data="gone")
    old = {
        "args": args,
        "model": first_release(names.to_fairseq(state, "here")),
        "optimizer_history": [],
        "extra_state": {},
    }
    torch.save(old, tmp_path / "model.pt", _use_new_zipfile_serialization=False)
    shutil.copyfile(sentencepiece_path, tmp_path / "sentencepiece.bpe.model")
    assert convert("to-hf", tmp_path / "model.pt", tmp_path / "hf") == 0
    after = load_file(tmp_path / "hf" / "model.safetensors")
    assert after.keys() == state.keys()
    assert all(torch.equal(after[name], tensor) for name, tensor in state.items())
    model = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "hf").eval()
    assert model.config.num_attention_heads == 2
    reference = transformers.XLMRobertaForMaskedLM(transformers.XLMRobertaConfig(**config)).eval()
    reference.load_state_dict(state, strict=False)
    with torch.no_grad():
        assert torch.equal(model(IDS).logits, reference(IDS).logits)


def test_a_checkpoint_inside_another_module_is_named(tiny_hf_directory, sentencepiece_path, tmp_path, capsys):
    state = names.to_fairseq(load_file(tiny_hf_directory / "model.safetensors"), "here")
    torch.save({"model": {f"module.{name}": tensor for name, tensor in state.items()}}, tmp_path / "model.pt")
    assert convert("to-hf", tmp_path / "model.pt", tmp_path / "hf", "--tokenizer", sentencepiece_path) == 2
    assert_error(capsys, "every name begins with 'module.'")


@pytest.mark.parametrize(("layers", "width", "inner", "ids"), [(24, 1024, 4096, 250_002), (12, 768, 3072, 901_629)])
def test_the_sizes_of_xlmr_large_and_xlm_v(layers, width, inner, ids):
    """Names and shapes alone, without memory for the weights."""
    config = transformers.XLMRobertaConfig(
        vocab_size=ids, hidden_size=width, num_hidden_layers=layers, num_attention_heads=width // 64
    )
    config.intermediate_size, config.max_position_embeddings, config.type_vocab_size = inner, 514, 1
    with torch.device("meta"):
        theirs = transformers.XLMRobertaForMaskedLM(config).state_dict()
    whole = {name: tensor for name, tensor in theirs.items() if not name.startswith("lm_head.decoder.")}
    state = names.to_fairseq(whole, "here")
    from ppa_plugin.model.architectures import TranslitXLMR, TranslitXLMRConfig

    ours = TranslitXLMRConfig(**{k: v for k, v in model_settings(config.to_dict()).items() if k != "activation_fn"})
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in TranslitXLMR(ours, ids).state_dict().items()}
    assert shapes == {name: tensor.shape for name, tensor in state.items()}


@pytest.fixture
def without_sentencepiece(copied, tmp_path):
    """The tiny model with the tokenizer.json that we write, its SentencePiece model under another name beside it."""
    assert convert("to-fairseq", copied, tmp_path / "first") == 0
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tmp_path / "first" / "hf" / name, copied / name)
    (copied / "sentencepiece.bpe.model").rename(copied / "spiece.model")
    return copied


def test_a_tokenizer_json_is_converted_with_the_sentencepiece_model_beside_it(without_sentencepiece, tmp_path):
    back = assert_there_and_back(without_sentencepiece, tmp_path)
    name = "sentencepiece.bpe.model"
    assert (back / name).read_bytes() == (without_sentencepiece / "spiece.model").read_bytes()


@pytest.mark.parametrize("as_directory", [True, False])
def test_a_tokenizer_json_is_converted_with_the_sentencepiece_model_that_is_given(
    as_directory, without_sentencepiece, tiny_hf_directory, tmp_path
):
    (without_sentencepiece / "spiece.model").unlink()
    given = tiny_hf_directory if as_directory else tiny_hf_directory / "sentencepiece.bpe.model"
    assert_there_and_back(without_sentencepiece, tmp_path, "--tokenizer", given)


def test_a_tokenizer_json_alone_is_one_sentence(without_sentencepiece, tmp_path, capsys):
    (without_sentencepiece / "spiece.model").unlink()
    assert convert("to-fairseq", without_sentencepiece, tmp_path / "out") == 2
    assert_error(capsys, "holds no sentencepiece.bpe.model; copy .* or pass --tokenizer FILE")
    assert convert("to-fairseq", without_sentencepiece, tmp_path / "out", "--tokenizer", tmp_path / "nowhere") == 2
    assert_error(capsys, "--tokenizer: no SentencePiece model at .*nowhere")
    assert not (tmp_path / "out").exists()


def another_sentencepiece(path: Path, kind: str) -> None:
    """Change the model in one way that a comparison of sizes would not see."""
    from sentencepiece.sentencepiece_model_pb2 import ModelProto

    model = ModelProto.FromString(path.read_bytes())
    model.DiscardUnknownFields()
    if kind == "pieces":
        model.pieces[50].piece, model.pieces[60].piece = model.pieces[60].piece, model.pieces[50].piece
    elif kind == "scores":
        model.pieces[50].score -= 0.5
    else:
        rules = sentencepiece.SentencePieceNormalizer(rule_name="nmt_nfkc_cf").serialized_model_proto()
        model.normalizer_spec.precompiled_charsmap = ModelProto.FromString(rules).normalizer_spec.precompiled_charsmap
    path.write_bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("kind", "says"),
    [("pieces", "id 51 is "), ("scores", "their scores are not"), ("normalization", "they encode .* otherwise")],
)
def test_the_sentencepiece_model_of_another_tokenizer_is_refused(kind, says, without_sentencepiece, tmp_path, capsys):
    another_sentencepiece(without_sentencepiece / "spiece.model", kind)
    assert convert("to-fairseq", without_sentencepiece, tmp_path / "out") == 2
    assert_error(capsys, f"are not of the same tokenizer: .*{says}")


@pytest.mark.parametrize("content", ["{", "[]", '{"model": {"type": "BPE", "vocab": {}}}'])
def test_a_tokenizer_json_of_another_kind_is_refused(content, sentencepiece_path, tmp_path):
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(UserError, match=r"tokenizer\.json (cannot be read|is not)"):
        check_tokenizer_agrees(tmp_path / "tokenizer.json", sentencepiece_path)
