"""The table of names: both directions, what is left out knowingly, what is refused."""

import pytest
import torch
from safetensors.torch import load_file

from ppa_plugin.commandline import UserError
from ppa_plugin.model import names
from ppa_plugin.model.families.xlmr import EMBED_TOKEN_TYPES, XLMR


@pytest.fixture
def state(tiny_hf_directory):
    """The tiny model's state dict, as Transformers saved it."""
    return load_file(tiny_hf_directory / "model.safetensors")


def test_table_names_every_parameter_of_transformers_model(state):
    table = XLMR.names.table(layers=3)
    assert set(table) == set(state)
    assert len(set(table.values())) == len(table)


def test_fairseq_names_are_fairseqs_own():
    """Against the names that fairseq's own RobertaModel has, but for the token-type row."""
    from argparse import Namespace

    from fairseq.data import Dictionary
    from fairseq.models.roberta.model import RobertaEncoder

    args = Namespace(encoder_layers=3, encoder_embed_dim=16, encoder_ffn_embed_dim=24, encoder_attention_heads=2)
    fairseq_names = {f"encoder.{name}" for name, _ in RobertaEncoder(args, Dictionary()).state_dict().items()}
    ours = set(XLMR.names.table(layers=3).values()) | {names.TIED_OUTPUT}
    assert ours - fairseq_names == {EMBED_TOKEN_TYPES}
    ignored = {name for name in fairseq_names - ours if names._FAIRSEQ_IGNORED.fullmatch(name)}
    assert fairseq_names - ours == ignored


def test_round_trip_returns_the_same_tensors(state):
    back = names.to_hugging_face(names.to_fairseq(state, "here"), "here")
    assert set(back) == set(state)
    assert all(back[name] is state[name] for name in state)


def test_duplicates_buffers_and_pooler_are_left_out(state):
    words = state["roberta.embeddings.word_embeddings.weight"]
    extra = {
        "lm_head.decoder.weight": words.clone(),
        "lm_head.decoder.bias": state["lm_head.bias"].clone(),
        "roberta.embeddings.position_ids": torch.arange(5),
        "roberta.pooler.dense.weight": torch.zeros(16, 16),
    }
    assert set(names.to_fairseq({**state, **extra}, "here")) == set(names.to_fairseq(state, "here"))


def test_fairseqs_leftovers_are_left_out_and_a_missing_token_type_row_is_zero(state):
    state = names.to_fairseq(state, "here")
    del state[EMBED_TOKEN_TYPES]
    state["encoder.sentence_encoder.version"] = torch.ones(1)
    state["classification_heads.topic.dense.weight"] = torch.ones(1)
    back = names.to_hugging_face(state, "here")
    row = back["roberta.embeddings.token_type_embeddings.weight"]
    assert row.shape == (1, 16)
    assert not row.any()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"lm_head.decoder.weight": torch.ones(2, 2)}, "lm_head.decoder.weight differs from"),
        (
            {"roberta.encoder.layer.1.gate.weight": torch.ones(1)},
            "unknown parameter roberta.encoder.layer.1.gate.weight",
        ),
        ({"roberta.encoder.layer.3.output.dense.bias": torch.ones(1)}, "and 14 more missing"),
    ],
)
def test_another_model_is_refused_by_name(state, change, says):
    with pytest.raises(UserError, match=says):
        names.to_fairseq({**state, **change}, "here")


def test_an_untied_output_layer_is_refused(state):
    state = names.to_fairseq(state, "here")
    state[names.TIED_OUTPUT] = state[names.TIED_OUTPUT] + 1
    with pytest.raises(UserError, match="tied output layer"):
        names.to_hugging_face(state, "here")
