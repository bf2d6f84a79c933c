"""A ModernBERT with a tokenizer.json there and back: weights, config, tokenizer, card, sentence-transformers."""

import filecmp
import json
import shutil

import pytest
import torch
from running import exit_code
from safetensors.torch import load_file
from tiny_families import modernbert_config, random_model, tokens_in, train_tokenizer

from ppa_plugin.convert import cli
from ppa_plugin.evaluation.encoder.loading import import_transformers
from ppa_plugin.evaluation.encoder.sentence_encoder import SentenceEncoder
from ppa_plugin.model import checkpoint

TOKENIZER = ("tokenizer.json", "tokenizer_config.json")


@pytest.fixture(scope="module")
def theirs(sentences, tmp_path_factory):
    """A directory as a hub repository of mmBERT's kind has it, in BF16, its embedding padded to a multiple of 8."""
    directory = tmp_path_factory.mktemp("modernbert") / "hf"
    directory.mkdir()
    entries = tokens_in(train_tokenizer(sentences, directory))
    random_model(modernbert_config(entries // 8 * 8 + 16)).bfloat16().save_pretrained(directory)
    return directory


@pytest.fixture(scope="module")
def converted(theirs, tmp_path_factory):
    """(what to-fairseq wrote, what to-hf made of that)"""
    work = tmp_path_factory.mktemp("converted")
    assert exit_code(cli.main, "to-fairseq", theirs, work / "fairseq") == 0
    assert exit_code(cli.main, "to-hf", work / "fairseq" / "model.pt", work / "hf") == 0
    return work / "fairseq", work / "hf"


def test_there_and_back_is_the_same_to_the_bit(theirs, converted):
    before, after = (load_file(directory / "model.safetensors") for directory in (theirs, converted[1]))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) and after[name].dtype == torch.bfloat16 for name in before)
    before, after = (json.loads((d / "config.json").read_text()) for d in (theirs, converted[1]))
    assert before == after
    for name in TOKENIZER:
        for directory in (*converted, converted[0] / "hf"):
            assert filecmp.cmp(theirs / name, directory / name, shallow=False)
    _, info = import_transformers().AutoModelForMaskedLM.from_pretrained(converted[1], output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]


def test_the_fairseq_checkpoint_knows_its_windows_and_thetas(converted):
    content = checkpoint.load_fairseq(converted[0] / "model.pt")
    settings = checkpoint.settings(content, "model")
    found = {name: settings[name] for name in ("local_attention", "global_rope_theta", "local_rope_theta")}
    assert found == {"local_attention": 8, "global_rope_theta": 160_000.0, "local_rope_theta": 10_000.0}
    assert 8 <= settings["padding_rows"] <= 16


def test_a_directory_of_fairseq_goes_back_without_its_origin(converted, tmp_path):
    """A run from scratch knows no config.json: it is made of weights, flags and tokenizer."""
    content = checkpoint.load_fairseq(converted[0] / "model.pt")
    config = content.pop(checkpoint.ORIGIN)["config"]
    torch.save(content, tmp_path / "model.pt")
    assert exit_code(cli.main, "to-hf", tmp_path / "model.pt", tmp_path / "hf", "--tokenizer", converted[0]) == 0
    made = import_transformers().AutoConfig.from_pretrained(tmp_path / "hf")
    same = ("layer_types", "rope_parameters", "local_attention", "vocab_size", "pad_token_id", "bos_token_id")
    assert {key: getattr(made, key) for key in same} == {key: config[key] for key in same}


def test_the_card_names_the_family(converted):
    text = (converted[1] / "README.md").read_text(encoding="utf-8")
    assert "- modernbert\n" in text
    assert "(ModernBERT architecture, 4 layers" in text
    assert "xlm-roberta" not in text


@pytest.mark.parametrize("layer", [None, 4])
def test_sentence_transformers_gives_the_vectors_that_we_measure(converted, sentences, tmp_path, layer):
    """Of a layer below the last: as the block leaves it, without the LayerNorm that follows the last block."""
    library = pytest.importorskip("sentence_transformers")
    content = checkpoint.load_fairseq(converted[0] / "model.pt")
    content["cfg"]["criterion"] = {"seq_weight": 1.0, "seq_layer": layer}
    torch.save(content, tmp_path / "model.pt")
    assert exit_code(cli.main, "to-hf", tmp_path / "model.pt", tmp_path / "hf", "--tokenizer", converted[0]) == 0
    theirs = library.SentenceTransformer(str(tmp_path / "hf"), device="cpu").float()
    ours = SentenceEncoder(tmp_path / "hf", layer=layer, pool="all")
    ours.model.float()
    assert ours.layers == (layer or 3,)
    torch.testing.assert_close(torch.from_numpy(theirs.encode(sentences)), ours.encode(sentences), rtol=1e-4, atol=1e-4)


def test_content_is_without_the_tokens_that_its_tokenizer_adds(theirs, sentences, tmp_path):
    """Gemma's names them bos and eos, and nothing cls or sep."""
    shutil.copytree(theirs, tmp_path / "hf")
    path = tmp_path / "hf" / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({key: settings[key] for key in settings if key not in ("cls_token", "sep_token")}))
    encoders = [SentenceEncoder(tmp_path / "hf", pool=pool) for pool in ("all", "content")]
    everything, content = (encoder.encode(sentences) for encoder in encoders)
    tokenizer = import_transformers().AutoTokenizer.from_pretrained(tmp_path / "hf")
    for text, vector in zip(sentences, content, strict=True):
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        with torch.no_grad():
            hidden = encoders[0].model(ids, output_hidden_states=True).hidden_states[3][0]
        torch.testing.assert_close(vector, hidden[1:-1].mean(dim=0), rtol=1e-5, atol=1e-5)
    assert (everything - content).abs().max() > 0.1


def test_what_cannot_be_converted_is_one_sentence(theirs, sentencepiece_path, tmp_path, capsys):
    assert exit_code(cli.main, "to-fairseq", theirs, tmp_path / "out", "--tokenizer", sentencepiece_path) == 2
    assert "is not of the kind of tokenizer.json" in capsys.readouterr().err
    (tmp_path / "hf").mkdir()
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "hf" / name).write_bytes((theirs / name).read_bytes())
    assert exit_code(cli.main, "to-fairseq", tmp_path / "hf", tmp_path / "out") == 2
    assert "no tokenizer.json at" in capsys.readouterr().err
    config = json.loads((theirs / "config.json").read_text()) | {"model_type": "eurobert"}
    (tmp_path / "hf" / "config.json").write_text(json.dumps(config))
    assert exit_code(cli.main, "to-fairseq", tmp_path / "hf", tmp_path / "out") == 2
    assert "is a eurobert model; only xlm-roberta and modernbert can be converted" in capsys.readouterr().err


def test_an_encoder_without_a_head_comes_back_as_it_came_and_takes_a_new_one(theirs, tmp_path):
    transformers = import_transformers()
    transformers.AutoModel.from_pretrained(theirs).save_pretrained(tmp_path / "hf")
    for name in TOKENIZER:
        (tmp_path / "hf" / name).write_bytes((theirs / name).read_bytes())
    assert exit_code(cli.main, "to-fairseq", tmp_path / "hf", tmp_path / "fairseq") == 0
    assert exit_code(cli.main, "to-hf", tmp_path / "fairseq" / "model.pt", tmp_path / "back") == 0
    before, after = (load_file(tmp_path / name / "model.safetensors") for name in ("hf", "back"))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert exit_code(cli.main, "to-fairseq", tmp_path / "hf", tmp_path / "new", "--new-head") == 0
    assert exit_code(cli.main, "to-hf", tmp_path / "new" / "model.pt", tmp_path / "headed") == 0
    _, info = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "headed", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]


def test_its_vocabulary_is_not_extended(converted, tmp_path, capsys):
    (tmp_path / "text.latn").write_text("some words\n" * 20)
    arguments = ("--text", tmp_path / "text.latn", "--pieces", 5)
    assert exit_code(cli.main, "extend", converted[0], tmp_path / "out", *arguments) == 2
    assert "no SentencePiece model, whose vocabulary alone can be extended" in capsys.readouterr().err
