"""The packed model against Transformers' padded one, forward and backward."""

import re
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pairs import make_dataset

from ppa_plugin.commandline import UserError
from ppa_plugin.model.architectures import TranslitXLMR, TranslitXLMRConfig
from ppa_plugin.model.attention import find_runs, padded_positions
from ppa_plugin.model.names import to_fairseq, to_hugging_face

LAYERS = 3  # of the shared tiny model


@pytest.fixture
def hf_model(tiny_hf_model):
    tiny_hf_model.zero_grad()
    return tiny_hf_model


@pytest.fixture
def model(tiny_model):
    return tiny_model


@pytest.fixture
def batch(hf_model):
    """Sequences of 3 to 511 tokens, so that attention meets runs of equal, similar and very different lengths."""
    lengths = [1, 1, 2, 6, 7, 40, 40, 300], [1, 3, 2, 5, 9, 41, 60, 200]
    dataset = make_dataset(*lengths, vocabulary=hf_model.config.vocab_size)
    return dataset.collater([dataset[i] for i in range(len(dataset))])


def named_parameters(hf_model):
    """Transformers names the tied embedding by the head that was registered first."""
    tied = {
        "lm_head.decoder.weight": "roberta.embeddings.word_embeddings.weight",
        "lm_head.decoder.bias": "lm_head.bias",
    }
    return {tied.get(name, name): parameter for name, parameter in hf_model.named_parameters()}


def padded(batch):
    """The packed sequences as Transformers wants them: input_ids and attention_mask (S x longest)."""
    tokens, bounds = batch["net_input"]["tokens"], batch["net_input"]["cu_seqlens"].tolist()
    rows = [tokens[a:b] for a, b in pairwise(bounds)]
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=1)
    return ids, torch.nn.utils.rnn.pad_sequence([torch.ones_like(r) for r in rows], batch_first=True).bool()


def test_logits_and_layers_equal_transformers(model, hf_model, batch):
    ids, real = padded(batch)
    assert hf_model.roberta.embeddings.token_type_embeddings.weight.any()
    with torch.no_grad():
        theirs = hf_model(input_ids=ids, attention_mask=real.long(), output_hidden_states=True)
        everything = torch.arange(batch["ntokens"])
        for layer in range(LAYERS + 1):
            output = model(**batch["net_input"], head_rows=everything, layers=[layer])
            torch.testing.assert_close(output.layers[layer], theirs.hidden_states[layer][real], rtol=0, atol=1e-5)
        logits = output.head @ output.weight.T + output.bias
    torch.testing.assert_close(logits, theirs.logits[real], rtol=1e-5, atol=1e-5)


def test_gradients_equal_the_padded_forms(model, hf_model, batch):
    ids, real = padded(batch)
    rows = torch.cat([batch["masked"][stream]["rows"] for stream in batch["masked"]])
    targets = torch.cat([batch["masked"][stream]["targets"] for stream in batch["masked"]])
    output = model(**batch["net_input"], head_rows=rows)
    torch.nn.functional.cross_entropy(output.head @ output.weight.T + output.bias, targets).backward()
    logits = hf_model(input_ids=ids, attention_mask=real.long()).logits[real][rows]
    torch.nn.functional.cross_entropy(logits, targets).backward()
    theirs = to_fairseq({name: p.grad for name, p in named_parameters(hf_model).items()}, "the gradients")
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(
            parameter.grad, theirs[name], rtol=1e-4, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}"
        )


def test_packed_equals_one_sequence_at_a_time(model, batch):
    net_input, bounds = batch["net_input"], batch["net_input"]["cu_seqlens"].tolist()
    with torch.no_grad():
        packed = model(**net_input, layers=[LAYERS]).layers[LAYERS]
        for start, end in pairwise(bounds):
            alone = model(
                net_input["tokens"][start:end], torch.arange(end - start), np.array([end - start]), layers=[LAYERS]
            ).layers[LAYERS]
            torch.testing.assert_close(packed[start:end], alone, rtol=0, atol=1e-5)


def test_state_dict_has_transformers_parameters_and_no_others(model, hf_model):
    back = to_hugging_face(model.state_dict(), "our model")
    theirs = named_parameters(hf_model)
    assert back.keys() == theirs.keys()
    assert all(torch.equal(back[name], theirs[name]) for name in theirs)


def test_blocks_above_the_last_wanted_layer_are_skipped(model, batch):
    model(**batch["net_input"], layers=[2]).layers[2].sum().backward()
    layers = model.encoder.sentence_encoder.layers
    assert layers[1].fc1.weight.grad is not None
    assert layers[2].fc1.weight.grad is None


def test_dropout_acts_in_training_alone(model, batch):
    model.train()
    one, two = (model(**batch["net_input"], layers=[LAYERS]).layers[LAYERS] for _ in range(2))
    assert not torch.equal(one, two)
    model.eval()
    one, two = (model(**batch["net_input"], layers=[LAYERS]).layers[LAYERS] for _ in range(2))
    assert torch.equal(one, two)


def test_runs_cover_all_tokens_with_little_padding():
    lengths = np.array([100, 99, 90, 40, 40, 40, 9, 8, 3, 1])
    runs = find_runs(lengths, torch.device("cpu"))
    assert [run.first_token for run in runs[1:]] == [run.last_token for run in runs[:-1]]
    assert runs[-1].last_token == lengths.sum()
    assert sum(run.sequences for run in runs) == len(lengths)
    assert sum(run.sequences * run.longest for run in runs) == padded_positions(lengths) < lengths.sum() * 8 / 7
    assert padded_positions(np.array([40, 40])) == 80


def checkpoint(model, **changes):
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    return {name: tensor for name, tensor in (state | changes).items() if tensor is not None}


def test_fairseqs_own_checkpoints_load_with_zeros_for_the_token_type(model):
    row = "encoder.sentence_encoder.embed_token_types.weight"
    state = checkpoint(model, **{row: None, "encoder.sentence_encoder.version": torch.tensor([1.0])})
    model.load_state_dict(state)
    assert not model.state_dict()[row].any()


def test_the_names_of_the_first_releases_load(model):
    state, old = checkpoint(model), {}
    for name, tensor in state.items():
        name = name.replace("encoder.", "decoder.", 1).replace(".layernorm_embedding.", ".emb_layer_norm.")
        if "_proj." in name and "out_proj" not in name:
            kind = name.rsplit(".", 1)[1]
            parts = [
                state[name.replace("decoder.", "encoder.", 1).replace(name.split(".")[-2], f"{p}_proj")] for p in "qkv"
            ]
            old[name.replace(f"{name.split('.')[-2]}.{kind}", f"in_proj_{kind}")] = torch.cat(parts)
        else:
            old[name] = tensor
    assert any("in_proj_weight" in name for name in old)
    model.load_state_dict(old)
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"encoder.sentence_encoder.embed_tokens.weight": torch.zeros(99, 16)},
            "has 99 entries and the data's dict.txt",
        ),
        (
            {"encoder.sentence_encoder.layers.2.fc1.bias": None},
            "checkpoint lacks encoder.sentence_encoder.layers.2.fc1",
        ),
        ({"decoder.layers.0.fc1.bias": torch.zeros(3)}, "no place for encoder.layers.0.fc1.bias"),
        ({"encoder.sentence_encoder.layers.0.fc1.bias": torch.zeros(3)}, r"fc1.bias is \(3,\) there and \(24,\) here"),
        ({"encoder.sentence_encoder.embed_tokens.weight": None}, "not an XLM-R masked language model"),
    ],
)
def test_other_checkpoints_end_with_one_sentence(model, capsys, changes, sentence):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(SystemExit) as exit:
        model.load_state_dict(checkpoint(model, **changes))
    assert exit.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(sentence, error)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_heads_have_to_divide_the_width():
    with pytest.raises(UserError, match="--encoder-embed-dim 10 is not a multiple of --encoder-attention-heads 3"):
        TranslitXLMR.build_model(
            TranslitXLMRConfig(encoder_embed_dim=10, encoder_attention_heads=3), SimpleNamespace(source_dictionary=[0])
        )


def test_a_checkpoint_of_another_size_is_said_with_the_flags_that_fit_it(model, capsys):
    state = model.state_dict()
    name = "encoder.sentence_encoder.embed_tokens.weight"
    state[name] = state[name][:, :-2].clone()
    with pytest.raises(SystemExit) as ended:
        model.upgrade_state_dict_named(state, "")
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "of another size than --arch builds" in said
    assert "ppa-convert to-fairseq printed for it (--encoder-layers, --encoder-embed-dim" in said
