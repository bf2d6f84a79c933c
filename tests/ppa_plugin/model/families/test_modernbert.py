"""The packed ModernBERT against Transformers' padded one: layers, logits, gradients, names, sizes, configs."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from running import kept_for_backward
from tiny_modernbert import FAMILY, LAYERS, ours_of, packed, padded, random_model, tiny_config
from torch.utils.flop_counter import FlopCounterMode

from ppa_plugin.commandline import UserError
from ppa_plugin.model.architectures import TranslitModernBERT, TranslitModernBERTConfig
from ppa_plugin.model.names import to_fairseq, to_hugging_face
from ppa_plugin.model.sizes import Sizes, estimate_flops
from ppa_plugin.objectives.masked_lm import masked_lm_loss
from ppa_plugin.training import plan

# around the windows of 4 to either side, far beyond them, and in runs of equal and of unequal lengths
LENGTHS = [300, 41, 40, 40, 10, 9, 8, 5, 4, 1]


@pytest.fixture(scope="module")
def theirs():
    return random_model(tiny_config())


@pytest.fixture
def ours(theirs):
    theirs.zero_grad()
    return ours_of(theirs)


@pytest.mark.parametrize("kernel", ["runs", "nested"])
def test_logits_and_layers_equal_transformers(theirs, kernel):
    batch = packed(LENGTHS)
    ids, real = padded(batch)
    with torch.no_grad():
        expected = theirs(input_ids=ids, attention_mask=real.long(), output_hidden_states=True)
        model = ours_of(theirs, attention=kernel)
        for layer in range(LAYERS + 1):
            output = model(**batch, head_rows=torch.arange(sum(LENGTHS)), layers=[layer])
            torch.testing.assert_close(output.layers[layer], expected.hidden_states[layer][real], rtol=0, atol=1e-5)
        logits = output.head @ output.weight.T + output.bias
    torch.testing.assert_close(logits, expected.logits[real], rtol=1e-5, atol=1e-5)


def test_gradients_equal_the_padded_forms(theirs, ours):
    batch = packed(LENGTHS)
    ids, real = padded(batch)
    rows = torch.arange(0, sum(LENGTHS), 7)
    targets = batch["tokens"][rows]
    output = ours(**batch, head_rows=rows, layers=[2])
    loss = masked_lm_loss(output.head, targets, output.weight, output.bias, tied=output.tied)
    (loss + output.layers[2].square().mean()).backward()
    expected = theirs(input_ids=ids, attention_mask=real.long(), output_hidden_states=True)
    loss = torch.nn.functional.cross_entropy(expected.logits[real][rows], targets)
    (loss + expected.hidden_states[2][real].square().mean()).backward()
    of_theirs = to_fairseq({name: p.grad for name, p in theirs.named_parameters()}, "the gradients")
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(
            parameter.grad, of_theirs[name], rtol=1e-4, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}"
        )


def test_packed_equals_one_sequence_at_a_time(ours):
    batch = packed(LENGTHS)
    bounds = np.concatenate(([0], np.cumsum(LENGTHS)))
    with torch.no_grad():
        together = ours(**batch, layers=[LAYERS]).layers[LAYERS]
        for start, end in pairwise(bounds):
            alone = ours(
                batch["tokens"][start:end], torch.arange(end - start), np.array([end - start]), layers=[LAYERS]
            )
            torch.testing.assert_close(together[start:end], alone.layers[LAYERS], rtol=0, atol=1e-5)


def test_only_wanted_rows_of_the_top_block_are_the_same(ours):
    batch, rows = packed(LENGTHS), torch.tensor([0, 5, 299, 457])
    with torch.no_grad():
        narrow = ours(**batch, head_rows=rows).head
        whole = ours(**batch, head_rows=rows, layers=[LAYERS]).head
    torch.testing.assert_close(narrow, whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize("layer", [0, 2, LAYERS])
def test_what_a_layer_does_not_depend_on_is_frozen(theirs, layer):
    """Else DistributedDataParallel waits for gradients that never come: of the last LayerNorm too."""
    model = ours_of(theirs)
    model.freeze_above(layer)
    model(**packed([9, 4]), layers=[layer]).layers[layer].square().sum().backward()
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained == {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert ("encoder.sentence_encoder.layer_norm.weight" in trained) == (layer == LAYERS)


def test_windows_and_thetas_matter(theirs):
    batch = packed([40])
    changes = ({"local_attention": 6}, {"local_rope_theta": 1000.0}, {"global_attn_every_n_layers": 2})
    with torch.no_grad():
        expected = ours_of(theirs)(**batch, layers=[LAYERS]).layers[LAYERS]
        for change in changes:
            other = ours_of(theirs, **change)(**batch, layers=[LAYERS]).layers[LAYERS]
            assert (other - expected).abs().max() > 1e-3, change


def test_names_go_there_and_back_and_are_transformers(theirs, ours):
    back = to_hugging_face(ours.state_dict(), "our model")
    own = dict(theirs.named_parameters())
    assert back.keys() == own.keys()
    assert all(torch.equal(back[name], own[name]) for name in own)
    encoder = {name.removeprefix("model."): t for name, t in theirs.model.state_dict().items()}
    assert to_fairseq(encoder, "an encoder").keys() == {n for n in ours.state_dict() if "lm_head" not in n}


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
    new = tiny_config(local_rope_theta=160_000.0).to_dict()
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
        FAMILY.check_config(tiny_config().to_dict() | change, "here")


def test_a_config_of_weights_alone_is_that_of_the_model(theirs, ours):
    state = to_hugging_face(ours.state_dict(), "our model")
    settings = FAMILY.settings(theirs.config.to_dict())
    derived = FAMILY.derive_config(state, 2, settings)
    assert FAMILY.settings(derived) == settings
    assert all(derived[key] == getattr(theirs.config, key) for key in FAMILY.size_keys)


def test_heads_of_odd_width_are_refused():
    with pytest.raises(UserError, match="a head cannot be of odd width"):
        TranslitModernBERT(TranslitModernBERTConfig(encoder_embed_dim=30, encoder_attention_heads=2), 90)


def small(windows: int, attention_dropout: float = 0.0) -> TranslitModernBERT:
    config = TranslitModernBERTConfig(
        encoder_layers=4,
        encoder_embed_dim=16,
        encoder_ffn_embed_dim=24,
        encoder_attention_heads=2,
        local_attention=windows,
        attention_dropout=attention_dropout,
        max_positions=64,
    )
    return TranslitModernBERT(config, 90).train()


def test_the_estimated_arithmetic_is_what_runs_where_no_window_cuts():
    batch, rows = packed([11] * 4), torch.tensor([0, 3, 12, 40])
    model = small(64, attention_dropout=0.1)  # without, torch's counter does not know the kernel of a CPU
    with FlopCounterMode(display=False) as counter:
        output = model(**batch, head_rows=rows)
        masked_lm_loss(output.head, batch["tokens"][rows], output.weight, output.bias, tied=output.tied).backward()
    assert output.flops == counter.get_total_flops()


def test_the_estimated_arithmetic_counts_what_windows_let_see():
    lengths = np.array([1, 4, 5, 6, 30])
    places = [np.arange(length) for length in lengths]
    seen = sum(int((np.abs(p - p[:, None]) <= 4).sum()) for p in places)
    everything = int((lengths**2).sum())
    model, c, tokens = small(8), 16, int(lengths.sum())
    windows = model.encoder.sentence_encoder.windows
    products = 4 * (2 * tokens * (4 * c * c + 3 * c * 24)) + 4 * c * (2 * everything + 2 * seen)
    assert model.flops(lengths, 0, [4]) == 3 * products
    assert estimate_flops(4, c, 24, 90, lengths, 0, False, ffn_matrices=3, windows=windows) == 3 * products


@pytest.mark.parametrize("arch", ["mmbert_base", "mmbert_small"])
def test_the_parameter_count_is_that_of_the_model(arch):
    sizes = plan.architecture_sizes(arch, 256_000, 8192)
    config = TranslitModernBERTConfig(
        encoder_layers=sizes.layers,
        encoder_embed_dim=sizes.embed_dim,
        encoder_ffn_embed_dim=sizes.ffn_dim,
        encoder_attention_heads=sizes.heads,
    )
    with torch.device("meta"):
        model = TranslitModernBERT(config, sizes.vocabulary)
    assert plan.parameter_count(sizes) == sum(parameter.numel() for parameter in model.parameters())


def test_estimated_activations_are_near_those_that_are_kept():
    """Sequences of one length, for which a CPU pads nothing, and windows that cut none."""
    sizes = Sizes(4, 16, 24, 2, 90, 64, "translit_modernbert")
    batch, model = packed([30] * 8), small(64)
    with kept_for_backward(model) as kept:
        model(**batch, layers=[4])
    estimated = plan.activation_bytes(sizes, 240, 0, value_bytes=4)
    assert estimated == pytest.approx(sum(kept.values()), rel=0.25)
