"""What is GTE's alone: its rotary positions, epsilon and token type, in its model, its config and its names."""

import json
import re
from pathlib import Path

import pytest
import torch
from tiny_families import GTE, LAYERS, as_in_a_file, gte_config, needs_gte, ours_of, packed, random_model

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.encoder.loading import import_transformers
from ppa_plugin.model.names import to_fairseq, to_hugging_face
from ppa_plugin.model.rotary import Rotation

PAGE = Path(__file__).parents[4] / "docs" / "conversion.md"
FAMILY = GTE.family
CONFIG = {
    **{"model_type": "gte", "vocab_size": 90, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 4},
    **{"num_attention_heads": 2, "max_position_embeddings": 512},
}


@pytest.fixture(scope="module")
def theirs():
    return random_model(gte_config())


@needs_gte
def test_theta_factor_epsilon_and_token_type_matter(theirs):
    batch = packed([40])
    with torch.no_grad():
        expected = ours_of(theirs)(**batch, layers=[LAYERS]).layers[LAYERS]
        for change in ({"rope_theta": 1000.0}, {"rope_factor": 1.0}, {"layer_norm_eps": 1e-1}):
            other = ours_of(theirs, **change)(**batch, layers=[LAYERS]).layers[LAYERS]
            assert (other - expected).abs().max() > 1e-3, change
        model = ours_of(theirs)
        model.encoder.sentence_encoder.embed_token_types.weight.zero_()
        assert (model(**batch, layers=[LAYERS]).layers[LAYERS] - expected).abs().max() > 1e-2


@needs_gte
@pytest.mark.parametrize(
    "said",
    [
        {},
        {"rope_theta": 20_000},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 1000.0}},
        {"rope_parameters": {"rope_type": "linear", "rope_theta": 1000.0, "factor": 8}},
        {"rope_theta": 20_000, "rope_scaling": {"type": "linear", "factor": 1.5}},
        {"rope_parameters": None, "rope_scaling": None},
    ],
)
def test_the_angles_are_transformers_however_a_config_says_them(said):
    transformers = import_transformers()
    theirs = transformers.GteModel(transformers.GteConfig(**(CONFIG | said)))
    found = FAMILY.settings(CONFIG | said)
    FAMILY.check_config(CONFIG | said, "here")
    angles = 1.0 / found["rope_theta"] ** (torch.arange(0, 8, 2).float() / 8) / found["rope_factor"]
    torch.testing.assert_close(theirs.rotary_emb.inv_freq, angles, rtol=1e-6, atol=0)


def test_the_authors_scaled_angles_are_what_the_page_calls_linear():
    """Their class: base B F, frequencies divided by F^(2 / D); B = 20,000, F = 8, D = 64."""
    said = json.loads("{" + re.search(r'"rope_parameters": .*}', PAGE.read_text(encoding="utf-8")).group() + "}")
    settings = FAMILY.settings(CONFIG | said)
    rotation = Rotation(torch.arange(512), 64, settings["rope_theta"], settings["rope_factor"])
    frequencies = 1.0 / 160_000.0 ** (torch.arange(0, 64, 2).double() / 64) / 8 ** (2 / 64)
    angles = torch.arange(512).double()[:, None, None] * frequencies
    torch.testing.assert_close(rotation.cos.double(), angles.cos(), rtol=0, atol=1e-4)
    torch.testing.assert_close(rotation.sin.double(), angles.sin(), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"type_vocab_size": 0}, "type_vocab_size is 0; only 1"),
        ({"hidden_act": "silu"}, "hidden_act is 'silu'"),
        ({"rope_theta": 20_000, "rope_scaling": {"type": "ntk", "factor": 8.0}}, "rotary positions are .*'ntk'"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "rotary positions are"),
        ({"rope_parameters": {"rope_type": "linear"}}, "rotary positions are"),
        ({"rope_parameters": {"partial_rotary_factor": 0.5}}, "rotary positions are"),
        ({"rope_parameters": 8}, "rotary positions are"),
        ({"rope_theta": 10**400}, "rotary positions are"),
        ({"rope_theta": "x"}, "rotary positions are"),
        ({"layer_norm_eps": "x"}, "layer_norm_eps is 'x'"),
        ({"logn_attention_scale": True}, "logn_attention_scale is True"),
        ({"vocab_size": None}, "vocab_size is None"),
    ],
)
def test_a_config_that_is_computed_otherwise_is_refused(change, sentence):
    with pytest.raises(UserError, match=sentence):
        FAMILY.check_config(CONFIG | change, "here")


@needs_gte
def test_the_authors_own_prefix_is_read(theirs):
    state = as_in_a_file(theirs.state_dict())
    earlier = {name.replace("gte.", "new.", 1): tensor for name, tensor in state.items()}
    found, expected = to_fairseq(earlier, "here"), to_fairseq(state, "here")
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)


@needs_gte
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"gte.encoder.layer.2.mlp.up_gate_proj.bias": torch.ones(48)}, "unknown parameter gte.encoder.layer.2.mlp.up"),
        ({"gte.encoder.layer.1.mlp_ln.bias": None}, "mlp_ln.bias missing; this is not a whole GTE"),
        ({"lm_head.decoder.weight": torch.ones(90, 16)}, "only models with a tied output layer"),
        ({"gte.layers.0.self_attn.q_proj.weight": torch.ones(16, 16)}, "unknown parameter gte.layers.0.self_attn.q_p"),
    ],
)
def test_what_is_not_the_model_is_refused_by_name(theirs, change, sentence):
    state = as_in_a_file(theirs.state_dict()) | change
    with pytest.raises(UserError, match=sentence):
        to_fairseq({name: tensor for name, tensor in state.items() if tensor is not None}, "here")


@needs_gte
@pytest.mark.parametrize("factor", [1.0, 1.25])
def test_a_config_of_weights_alone_says_what_the_positions_are_divided_by(theirs, factor):
    state = to_hugging_face(ours_of(theirs).state_dict(), "our model")
    settings = FAMILY.settings(theirs.config.to_dict()) | {"rope_factor": factor}
    assert FAMILY.settings(FAMILY.derive_config(state, 2, settings)) == settings
