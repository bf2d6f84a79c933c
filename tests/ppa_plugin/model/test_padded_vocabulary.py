"""A model with padding rows or without a head: what it computes is what the plain one does."""

import numpy as np
import pytest
import torch
from pairs import make_dataset

from ppa_plugin.configuration import needed_streams
from ppa_plugin.criterion import TranslitAlignmentCriterion, TranslitAlignmentCriterionConfig
from ppa_plugin.data.masking import Masking, mask_tokens
from ppa_plugin.model.architectures import TranslitXLMR, TranslitXLMRConfig
from ppa_plugin.objectives import masked_lm
from ppa_plugin.training.starting_point import first_checkpoint, read_shape

VOCABULARY, PADDING = 40, 8
EMBEDDING, BIAS = "encoder.sentence_encoder.embed_tokens.weight", "encoder.lm_head.bias"


def make_model(**shape) -> TranslitXLMR:
    config = TranslitXLMRConfig(
        encoder_layers=3,
        encoder_embed_dim=8,
        encoder_ffn_embed_dim=12,
        encoder_attention_heads=2,
        max_positions=64,
        **shape,
    )
    torch.manual_seed(0)
    model = TranslitXLMR(config, VOCABULARY)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model.double().eval()


def loss_and_gradients(model, batch, config):
    task = type("Task", (), {"model_depth": 3, "target_dictionary": None})
    model.zero_grad()
    loss, _, log = TranslitAlignmentCriterion(config, task)(model, batch)
    loss.backward()
    return loss.detach(), {name: p.grad for name, p in model.named_parameters()}, log


def make_batch(config):
    streams = needed_streams(config)
    dataset = make_dataset([3, 12, 7, 30], [5, 11, 9, 25], VOCABULARY, streams=streams, max_positions=64)
    return dataset.collater([dataset[i] for i in range(4)])


@pytest.mark.parametrize("chunk", [16, 8192])
def test_padding_changes_neither_loss_nor_gradient_and_gets_none(chunk, monkeypatch):
    monkeypatch.setattr(masked_lm, "CHUNK", chunk)
    plain, padded = make_model(), make_model(padding_rows=PADDING)
    state = dict(plain.state_dict())
    for name in (EMBEDDING, BIAS):  # padding of a size that would dominate any softmax which saw it
        more = torch.full((PADDING, *state[name].shape[1:]), 50.0, dtype=torch.float64)
        state[name] = torch.cat([state[name], more])
    state["encoder.lm_head.weight"] = state[EMBEDDING]
    padded.load_state_dict(state)
    config = TranslitAlignmentCriterionConfig()
    batch = make_batch(config)
    expected, theirs, plain_log = loss_and_gradients(plain, batch, config)
    found, ours, log = loss_and_gradients(padded, batch, config)
    assert torch.equal(found, expected)
    assert ours.keys() == theirs.keys()
    for name, gradient in theirs.items():
        assert torch.equal(ours[name][: len(gradient)], gradient), name
        assert not ours[name][len(gradient) :].any(), name
    assert log["flops"] == plain_log["flops"]


def test_padding_is_never_drawn_as_a_replacement():
    """The dictionary decides, not the matrix: `<mask>` is its last entry."""
    masking = Masking(VOCABULARY, prob=1.0, keep=0.0, random=1.0)
    tokens = np.full(20_000, 5)
    masked, _ = mask_tokens(tokens, masking, np.random.default_rng(0))
    assert masked.max() == VOCABULARY - 2


def test_without_a_head_seq_is_the_same():
    plain, headless = make_model(), make_model(headless=True)
    state = {name: tensor for name, tensor in plain.state_dict().items() if "lm_head" not in name}
    assert headless.state_dict().keys() == state.keys()
    headless.load_state_dict(state)
    config = TranslitAlignmentCriterionConfig(mlm_weight=0, tlm_weight=0)
    batch = make_batch(config)
    for model in (plain, headless):
        model.freeze_above(2)
    expected, theirs, _ = loss_and_gradients(plain, batch, config)
    found, ours, _ = loss_and_gradients(headless, batch, config)
    assert torch.equal(found, expected)
    assert all(gradient is None or torch.equal(gradient, theirs[name]) for name, gradient in ours.items())
    assert ours[EMBEDDING] is not None
    assert headless.encoder.sentence_encoder.layers[2].fc1.weight.requires_grad is False


def test_another_vocabulary_is_no_padding(capsys):
    model = make_model(padding_rows=PADDING)
    state = model.state_dict() | {EMBEDDING: torch.zeros(VOCABULARY + 2 * PADDING, 8)}
    with pytest.raises(SystemExit):
        model.load_state_dict(state)
    assert f"has {VOCABULARY + PADDING} entries and the data's dict.txt has {VOCABULARY}" in capsys.readouterr().err


def test_the_checkpoint_is_the_one_that_fairseq_will_load(tmp_path):
    base, last, once = (tmp_path / name for name in ("model.pt", "checkpoint_last.pt", "once.pt"))
    base.touch()
    default = (str(tmp_path), "checkpoint_last.pt")
    assert first_checkpoint(*default, None, None) is None
    assert first_checkpoint(*default, str(base), None) == base
    assert first_checkpoint(str(tmp_path), str(base), None, None) == base
    once.touch()
    assert first_checkpoint(*default, str(base), str(once)) == once
    last.touch()
    assert first_checkpoint(*default, str(base), str(once)) == last


def test_what_a_checkpoint_decides(tmp_path):
    model = {"cfg": {"model": {"padding_rows": 3}}, "model": {EMBEDDING: torch.ones(5, 2)}}
    torch.save(model, tmp_path / "headless.pt")
    torch.save({"model": {BIAS: torch.ones(2)}}, tmp_path / "plain.pt")
    (tmp_path / "torn.pt").write_bytes(b"PK")
    found = [read_shape(tmp_path / f"{name}.pt") for name in ("headless", "plain", "torn")]
    assert found == [{"headless": True, "padding_rows": 3}, {"headless": False, "padding_rows": 0}, {}]
