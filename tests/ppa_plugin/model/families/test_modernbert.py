"""What is ModernBERT's alone: windows and thetas, in its model, its config and its arithmetic."""

import numpy as np
import pytest
import torch
from tiny_families import LAYERS, MODERNBERT, modernbert_config, ours_of, packed, random_model

from ppa_plugin.commandline import UserError
from ppa_plugin.model import attention
from ppa_plugin.model.architectures import TranslitModernBERT, TranslitModernBERTConfig
from ppa_plugin.model.names import to_fairseq
from ppa_plugin.model.sizes import Products, estimate_flops

FAMILY = MODERNBERT.family


@pytest.fixture(scope="module")
def theirs():
    return random_model(modernbert_config())


def test_windows_and_thetas_matter(theirs):
    batch = packed([40])
    changes = ({"local_attention": 6}, {"local_rope_theta": 1000.0}, {"global_attn_every_n_layers": 2})
    with torch.no_grad():
        expected = ours_of(theirs)(**batch, layers=[LAYERS]).layers[LAYERS]
        for change in changes:
            other = ours_of(theirs, **change)(**batch, layers=[LAYERS]).layers[LAYERS]
            assert (other - expected).abs().max() > 1e-3, change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model.layers.2.attn.Wo.bias": torch.ones(1)}, "unknown parameter model.layers.2.attn.Wo.bias"),
        ({"model.layers.0.attn_norm.weight": torch.ones(1)}, "unknown parameter model.layers.0.attn_norm.weight"),
        ({"model.final_norm.weight": None}, "model.final_norm.weight missing; this is not a whole ModernBERT"),
        ({"decoder.weight": torch.ones(90, 16)}, "only models with a tied output layer"),
    ],
)
def test_what_is_not_the_model_is_refused_by_name(theirs, change, sentence):
    state = {name: tensor for name, tensor in (theirs.state_dict() | change).items() if tensor is not None}
    with pytest.raises(UserError, match=sentence):
        to_fairseq(state, "here")


def test_both_kinds_of_configs_say_the_same():
    new = modernbert_config(local_rope_theta=160_000.0).to_dict()
    old = {key: value for key, value in new.items() if key not in ("layer_types", "rope_parameters")}
    old |= {"global_attn_every_n_layers": 3, "global_rope_theta": 160_000.0, "local_rope_theta": None}
    assert FAMILY.settings(new) == FAMILY.settings(old)
    for config in (new, old):
        FAMILY.check_config(config, "here")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"norm_bias": True}, "norm_bias is True; only False"),
        ({"hidden_activation": "silu"}, "hidden_activation is 'silu'"),
        ({"local_attention": 0}, "local_attention is 0"),
        ({"layer_types": ["sliding_attention"] * 4}, "it is not every n-th layer"),
        ({"layer_types": ["full_attention", "full_attention", "sliding_attention", "full_attention"]}, "every n-th"),
        ({"rope_parameters": {"full_attention": {"rope_type": "yarn", "rope_theta": 1e4}}}, "full_attention are"),
        ({"rope_parameters": {}, "local_rope_theta": "x"}, "sliding_attention are 'x'"),
        ({"rope_parameters": {}, "global_rope_theta": 10**400}, "full_attention are"),
        ({"layer_types": "full_attention"}, "every n-th"),
        ({"num_hidden_layers": 10**6}, "every n-th"),
        ({"vocab_size": None}, "vocab_size is None"),
    ],
)
def test_a_config_that_is_computed_otherwise_is_refused(change, sentence):
    with pytest.raises(UserError, match=sentence):
        FAMILY.check_config(modernbert_config().to_dict() | change, "here")


@pytest.mark.parametrize("kernel", ["runs", "nested"])
@pytest.mark.parametrize("layers", [[1], [2], [LAYERS]])
def test_the_padding_logged_is_that_of_the_blocks_that_ran(theirs, monkeypatch, kernel, layers):
    """The first block sees everything; the windows of those above fall back to runs, whatever the kernel."""
    computed, attend_run = [], attention._attend_run

    def counted(projected, run, dropout):
        computed.append(run.sequences * run.longest)
        return attend_run(projected, run, dropout)

    monkeypatch.setattr(attention, "_attend_run", counted)
    batch = packed([40, 37, 36, 20, 3])
    model = ours_of(theirs, attention=kernel)
    with torch.no_grad():
        padding = model(**batch, layers=layers).padding
    blocks, tokens = layers[0], int(batch["lengths"].sum())
    everything = sum(model.encoder.sentence_encoder.windows[block] is None for block in range(blocks))
    by_the_kernel = 0 if kernel == "runs" else everything * tokens
    assert padding == pytest.approx(1 - blocks * tokens / (sum(computed) + by_the_kernel))
    assert (padding > 0) == (kernel == "runs" or blocks > everything)


def test_the_estimated_arithmetic_counts_what_windows_let_see():
    lengths = np.array([1, 4, 5, 6, 30])
    places = [np.arange(length) for length in lengths]
    seen = sum(int((np.abs(p - p[:, None]) <= 4).sum()) for p in places)
    everything = int((lengths**2).sum())
    c, tokens = 16, int(lengths.sum())
    config = TranslitModernBERTConfig(
        encoder_layers=4,
        encoder_embed_dim=c,
        encoder_ffn_embed_dim=24,
        encoder_attention_heads=2,
        local_attention=8,
        max_positions=64,
    )
    model = TranslitModernBERT(config, 90)
    windows = model.encoder.sentence_encoder.windows
    products = 4 * (2 * tokens * (4 * c * c + 3 * c * 24)) + 4 * c * (2 * everything + 2 * seen)
    assert model.flops(lengths, 0, [4]) == 3 * products
    assert estimate_flops(Products(4, c, 24, 90, 3, windows), lengths, 0, False) == 3 * products
