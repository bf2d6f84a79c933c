"""Each family's packed model against Transformers' padded one: layers, logits, gradients, names, sizes."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from running import kept_for_backward
from tiny_families import ALL, GTE, LAYERS, MODERNBERT, Tiny, as_in_a_file, ours_of, packed, padded, random_model
from torch.utils.flop_counter import FlopCounterMode

from ppa_plugin.commandline import UserError
from ppa_plugin.model.architectures import PackedModel
from ppa_plugin.model.names import to_fairseq, to_hugging_face
from ppa_plugin.model.sizes import Sizes
from ppa_plugin.objectives.masked_lm import masked_lm_loss
from ppa_plugin.training import plan

# around the windows of 4 to either side, far beyond them, and in runs of equal and of unequal lengths
LENGTHS = [300, 41, 40, 40, 10, 9, 8, 5, 4, 1]
SIZES = {"encoder_layers": 4, "encoder_embed_dim": 16, "encoder_ffn_embed_dim": 24, "encoder_attention_heads": 2}
# what a model is that no checkpoint decides about: both families, whatever Transformers has
of_ours = pytest.mark.parametrize("tiny", [MODERNBERT, GTE], ids=["modernbert", "gte"])


@pytest.fixture(scope="module", params=ALL)
def tiny(request):
    return request.param


@pytest.fixture(scope="module")
def theirs(tiny):
    return random_model(tiny.config())


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
    gradients = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    of_theirs = to_fairseq(as_in_a_file(gradients), "the gradients")
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
    assert "encoder.sentence_encoder.embed_tokens.weight" in trained
    assert ("encoder.sentence_encoder.layers.3.fc1.weight" in trained) == (layer == LAYERS)


def test_names_go_there_and_back_and_are_transformers(theirs, ours):
    back = to_hugging_face(ours.state_dict(), "our model")
    own = as_in_a_file(dict(theirs.named_parameters()))
    assert back.keys() == own.keys()
    assert all(torch.equal(back[name], own[name]) for name in own)
    prefix = ours.family.names.prefix
    encoder = {name.removeprefix(prefix): tensor for name, tensor in own.items() if name.startswith(prefix)}
    assert to_fairseq(encoder, "an encoder").keys() == {n for n in ours.state_dict() if "lm_head" not in n}


def test_a_config_of_weights_alone_is_that_of_the_model(theirs, ours):
    state = to_hugging_face(ours.state_dict(), "our model")
    settings = ours.family.settings(theirs.config.to_dict())
    derived = ours.family.derive_config(state, 2, settings)
    assert ours.family.settings(derived) == settings
    assert all(derived[key] == getattr(theirs.config, key) for key in ours.family.size_keys)


def built(tiny: Tiny, entries: int = 90, **settings) -> PackedModel:
    return tiny.model(tiny.settings(**(SIZES | {"max_positions": 64} | settings)), entries).train()


@of_ours
def test_heads_of_odd_width_are_refused(tiny):
    with pytest.raises(UserError, match="a head cannot be of odd width"):
        built(tiny, encoder_embed_dim=30)


@of_ours
def test_the_estimated_arithmetic_is_what_runs_where_no_window_cuts(tiny):
    batch, rows = packed([11] * 4), torch.tensor([0, 3, 12, 40])
    model = built(tiny, attention_dropout=0.1)  # without, torch's counter does not know the kernel of a CPU
    with FlopCounterMode(display=False) as counter:
        output = model(**batch, head_rows=rows)
        masked_lm_loss(output.head, batch["tokens"][rows], output.weight, output.bias, tied=output.tied).backward()
    assert output.flops == counter.get_total_flops()


@of_ours
def test_the_parameter_count_is_that_of_the_model(tiny):
    for arch in tiny.architectures:
        sizes = plan.architecture_sizes(arch, tiny.entries, 8192)
        flags = dict(zip(SIZES, sizes[:4], strict=True))
        with torch.device("meta"):
            model = built(tiny, sizes.vocabulary, **flags)
        assert plan.parameter_count(sizes) == sum(parameter.numel() for parameter in model.parameters())


@of_ours
def test_estimated_activations_are_near_those_that_are_kept(tiny):
    """Sequences of one length, for which a CPU pads nothing, and windows that cut none."""
    sizes = Sizes(4, 16, 24, 2, 90, 64, tiny.family.model)
    batch, model = packed([30] * 8), built(tiny)
    with kept_for_backward(model) as kept:
        model(**batch, layers=[4])
    estimated = plan.activation_bytes(sizes, 240, 0, value_bytes=4)
    assert estimated == pytest.approx(sum(kept.values()), rel=0.25)
