"""Sentence vectors against a plain loop over sentences with Transformers' own model."""

import shutil
from copy import deepcopy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from running import exit_code

from ppa_plugin.commandline import UserError
from ppa_plugin.convert import cli
from ppa_plugin.evaluation.encoder.batches import cut_batches
from ppa_plugin.evaluation.encoder.loading import import_transformers
from ppa_plugin.evaluation.encoder.sentence_encoder import SentenceEncoder, default_layer


@pytest.fixture(scope="module")
def directory(tiny_hf_directory, tmp_path_factory):
    """The tiny model with all tokenizer files, as `ppa-convert` writes it."""
    made = tmp_path_factory.mktemp("embedding")
    for arguments in (["to-fairseq", tiny_hf_directory, made / "fs"], ["to-hf", made / "fs" / "model.pt", made / "hf"]):
        assert exit_code(cli.main, *arguments) == 0
    return made / "hf"


@pytest.fixture(scope="module")
def tokenizer(directory):
    """Transformers' own, not that of the encoder."""
    return import_transformers().AutoTokenizer.from_pretrained(directory)


def plain(model, tokenizer, sentence, layer, pool):
    """One sentence, no padding, the whole model."""
    ids = tokenizer(sentence, truncation=True, max_length=512, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        hidden = model(ids, output_hidden_states=True).hidden_states[layer][0]
    return (hidden if pool == "all" else hidden[1:-1]).mean(dim=0)


@pytest.mark.parametrize("pool", ["all", "content"])
@pytest.mark.parametrize("layer", [0, 1, 2, 3])
def test_agrees_with_a_plain_loop(directory, tokenizer, tiny_hf_model, sentences, layer, pool):
    encoder = SentenceEncoder(directory, layer, pool)
    texts = [*sentences, "unseen 𓀀", "long " * 600, sentences[3]]
    vectors = encoder.encode(texts, batch_size=4)
    assert vectors.shape == (len(texts), 16)
    assert vectors.dtype == torch.float32
    expected = torch.stack([plain(tiny_hf_model, tokenizer, text, layer, pool) for text in texts])
    torch.testing.assert_close(vectors, expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(vectors[3], vectors[-1])
    assert torch.equal(vectors, encoder.encode(texts, batch_size=4))


def test_runs_of_tokens_are_means_of_a_plain_loop(directory, tokenizer, tiny_hf_model, sentences):
    encoder = SentenceEncoder(directory, [0, 3, 2])
    ids = [np.array(of_sentence[1:-1]) for of_sentence in tokenizer(sentences)["input_ids"]]
    # overlapping, repeated and unordered runs, and none of every third sentence
    spans = [np.array([[2, 5], [0, 1], [1, len(of)], [0, 1]] if i % 3 else [], int) for i, of in enumerate(ids)]
    spans = [runs.reshape(-1, 2) for runs in spans]
    expected = []
    for of_sentence, runs in zip(ids, spans, strict=True):
        with torch.no_grad():
            states = tiny_hf_model(torch.tensor([[0, *of_sentence, 2]]), output_hidden_states=True).hidden_states
        chosen = torch.stack([states[k][0, 1:-1] for k in (0, 3, 2)])
        expected += [chosen[:, start:stop].mean(1) for start, stop in runs]
    for batch_size in (1, 4, 64):
        vectors = encoder.encode_spans(ids, spans, batch_size)
        torch.testing.assert_close(vectors, torch.stack(expected, dim=1), rtol=1e-5, atol=1e-5)


def test_an_empty_sentence(directory):
    assert SentenceEncoder(directory, pool="all").encode([""]).any()
    assert not SentenceEncoder(directory, pool="content").encode(["", "a"])[0].any()


def test_blocks_above_the_layer_are_not_loaded(directory):
    assert len(SentenceEncoder(directory, layer=1).model.encoder.layer) == 1


@pytest.mark.parametrize(("depth", "layer"), [(4, 3), (6, 4), (12, 8), (24, 16), (3, 2)])
def test_default_layer(depth, layer):
    assert default_layer(depth) == layer


def test_all_layers_in_one_pass_are_those_of_one_layer_at_a_time(directory, tokenizer, tiny_hf_model, sentences):
    encoder = SentenceEncoder(directory, "all")
    assert encoder.layers == (0, 1, 2, 3)
    together = encoder.encode_layers(sentences, batch_size=4)
    assert together.shape == (4, len(sentences), 16)
    assert together.dtype == torch.float32
    for layer in encoder.layers:
        alone = SentenceEncoder(directory, layer).encode(sentences, batch_size=4)
        torch.testing.assert_close(together[layer], alone, rtol=0, atol=1e-6)
        expected = torch.stack([plain(tiny_hf_model, tokenizer, text, layer, "all") for text in sentences])
        torch.testing.assert_close(together[layer], expected, rtol=1e-5, atol=1e-5)


def test_some_layers_come_in_the_order_asked_for(directory, sentences):
    encoder = SentenceEncoder(directory, [2, 0, 2])
    assert encoder.layers == (2, 0)
    assert len(encoder.model.encoder.layer) == 2
    vectors = encoder.encode_layers(sentences)
    assert torch.equal(vectors[1], SentenceEncoder(directory, 0).encode(sentences))
    with pytest.raises(ValueError, match="2 layers were asked for"):
        encoder.encode(sentences)


@pytest.mark.parametrize(("batch_size", "max_tokens"), [(1, 4096), (64, 1), (3, 60), (64, 4096)])
def test_the_batches_do_not_change_the_vectors(directory, sentences, batch_size, max_tokens):
    encoder = SentenceEncoder(directory)
    texts = [*sentences, "long " * 200, ""]
    vectors = encoder.encode(texts, batch_size, max_tokens=max_tokens)
    torch.testing.assert_close(vectors, encoder.encode(texts, 1), rtol=1e-5, atol=1e-5)


@settings(deadline=None)
@given(st.lists(st.integers(1, 600), max_size=60), st.integers(1, 9), st.integers(1, 2000))
def test_batches_hold_every_sentence_once_within_both_bounds(lengths, max_sentences, max_tokens):
    batches = cut_batches(lengths, max_sentences, max_tokens)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    in_order = [lengths[i] for batch in batches for i in batch]
    assert in_order == sorted(lengths, reverse=True)
    for number, batch in enumerate(batches, 1):
        longest = max(lengths[i] for i in batch)
        assert len(batch) == 1 or (len(batch) <= max_sentences and len(batch) * longest <= max_tokens)
        if number < len(batches):  # it ended at one of the bounds
            assert len(batch) == max_sentences or (len(batch) + 1) * longest > max_tokens


def test_means_of_half_precision_layers_are_fp32(directory, sentences):
    encoder = SentenceEncoder(directory)
    expected = encoder.encode(sentences)
    encoder.model.bfloat16()  # as on CUDA; a CPU computes it too, slowly
    vectors = encoder.encode(sentences)
    assert vectors.dtype == torch.float32
    assert not torch.equal(vectors, vectors.bfloat16().float())
    torch.testing.assert_close(vectors, expected, rtol=0.05, atol=0.1)


def test_vectors_that_overflow_are_one_sentence_in_every_precision(directory, sentences):
    encoder = SentenceEncoder(directory, layer=[1, 0])
    with torch.no_grad():
        encoder.model.encoder.layer[0].output.dense.bias.fill_(3e38)
        encoder.model.encoder.layer[0].attention.output.LayerNorm.bias.fill_(3e38)
    with pytest.raises(UserError, match="vectors of layer 1 are not finite, though its weights are"):
        encoder.encode_layers(sentences)
    encoder.precision = "fp16"
    with pytest.raises(UserError, match="fp16 is too narrow for its layers; pass --precision fp32"):
        encoder.encode_layers(sentences)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_half_precision_on_a_gpu_follows_fp32(directory, sentences, precision):
    encoder = SentenceEncoder(directory, "all", device="cuda", precision=precision)
    assert next(encoder.model.parameters()).dtype.itemsize == 2
    vectors = encoder.encode_layers(sentences).cpu()
    assert vectors.dtype == torch.float32
    torch.testing.assert_close(vectors, SentenceEncoder(directory, "all").encode_layers(sentences), rtol=0.05, atol=0.1)


def test_half_precision_weights_are_computed_in_fp32(directory, tiny_hf_model, tmp_path, sentences):
    copy = shutil.copytree(directory, tmp_path / "half")
    deepcopy(tiny_hf_model).half().save_pretrained(copy)  # .half() works in place, and other tests share the model
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
        (with_torn_weights, {}, r"model\.safetensors cannot be read as a safetensors file"),
        (None, {"layer": 4}, "has 3 layers, there is no layer 4"),
        (None, {"layer": -1}, "there is no layer -1"),
        (None, {"layer": [0, 7, 9]}, "has 3 layers, there is no layer 7"),
        (None, {"precision": "fp16"}, "--precision fp16 needs --device cuda; on cpu leave it at fp32"),
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
