"""Sentence vectors against a plain loop over sentences with Transformers' own model."""

import shutil

import pytest
import torch

from ppa_plugin.commandline import UserError
from ppa_plugin.convert import cli
from ppa_plugin.evaluation.embedding import SentenceEncoder, default_layer


@pytest.fixture(scope="module")
def directory(tiny_hf_directory, tmp_path_factory):
    """The tiny model with all tokenizer files, as `ppa-convert` writes it."""
    made = tmp_path_factory.mktemp("embedding")
    for arguments in (["to-fairseq", tiny_hf_directory, made / "fs"], ["to-hf", made / "fs" / "model.pt", made / "hf"]):
        with pytest.raises(SystemExit):
            cli.main([str(argument) for argument in arguments])
    return made / "hf"


def plain(model, tokenizer, sentence, layer, pool):
    """One sentence, no padding, the whole model."""
    ids = tokenizer(sentence, truncation=True, max_length=512, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        hidden = model(ids, output_hidden_states=True).hidden_states[layer][0]
    return (hidden if pool == "all" else hidden[1:-1]).mean(dim=0)


@pytest.mark.parametrize("pool", ["all", "content"])
@pytest.mark.parametrize("layer", [0, 1, 2, 3])
def test_agrees_with_a_plain_loop(directory, tiny_hf_model, sentences, layer, pool):
    encoder = SentenceEncoder(directory, layer, pool)
    texts = [*sentences, "unseen 𓀀", "long " * 600, sentences[3]]
    vectors = encoder.encode(texts, batch_size=4)
    assert vectors.shape == (len(texts), 16)
    assert vectors.dtype == torch.float32
    expected = torch.stack([plain(tiny_hf_model, encoder.tokenizer, text, layer, pool) for text in texts])
    torch.testing.assert_close(vectors, expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(vectors[3], vectors[-1])
    assert torch.equal(vectors, encoder.encode(texts, batch_size=4))


def test_an_empty_sentence(directory):
    assert SentenceEncoder(directory, pool="all").encode([""]).any()
    assert not SentenceEncoder(directory, pool="content").encode(["", "a"])[0].any()


def test_blocks_above_the_layer_are_not_loaded(directory):
    assert len(SentenceEncoder(directory, layer=1).model.encoder.layer) == 1


@pytest.mark.parametrize(("depth", "layer"), [(4, 3), (6, 4), (12, 8), (24, 16), (3, 2)])
def test_default_layer(depth, layer):
    assert default_layer(depth) == layer


def test_half_precision_weights_are_computed_in_fp32(directory, tiny_hf_model, tmp_path, sentences):
    copy = shutil.copytree(directory, tmp_path / "half")
    tiny_hf_model.half().save_pretrained(copy)
    tiny_hf_model.float()
    encoder = SentenceEncoder(copy)
    assert {parameter.dtype for parameter in encoder.model.parameters()} == {torch.float32}


def without_tokenizer(directory):
    for name in ("tokenizer.json", "sentencepiece.bpe.model"):
        (directory / name).unlink()


def without_config(directory):
    (directory / "config.json").unlink()


def with_torn_weights(directory):
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:200])


@pytest.mark.parametrize(
    ("spoil", "options", "says"),
    [
        (without_tokenizer, {}, "holds no tokenizer"),
        (without_config, {}, "its config.json cannot be loaded"),
        (with_torn_weights, {}, "its encoder cannot be loaded"),
        (None, {"layer": 4}, "has 3 layers, there is no layer 4"),
        (None, {"layer": -1}, "there is no layer -1"),
        (None, {"device": "cuda:77"}, "--device cuda:77 is not available"),
        (None, {"device": "abacus"}, "--device abacus is not available"),
    ],
)
def test_bad_models_are_one_sentence(directory, tmp_path, spoil, options, says):
    copy = shutil.copytree(directory, tmp_path / "copy")
    if spoil:
        spoil(copy)
    with pytest.raises(UserError, match=says):
        SentenceEncoder(copy, **options)
