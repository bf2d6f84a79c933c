"""The arithmetic of an update against what torch counts while one runs."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from ppa_plugin.model.architectures import TranslitXLMR, TranslitXLMRConfig
from ppa_plugin.model.sizes import Products, estimate_flops
from ppa_plugin.objectives.masked_lm import masked_lm_loss
from ppa_plugin.training.peak import measure_peak

LAYERS, WIDTH, FFN, VOCABULARY = 3, 16, 40, 90
SIZES = Products(LAYERS, WIDTH, FFN, VOCABULARY)


@pytest.mark.parametrize(("seq_layer", "frozen"), [(None, False), (2, False), (LAYERS, False), (None, True)])
def test_estimate_equals_what_runs_on_sequences_of_one_length(seq_layer, frozen):
    """Without padding and without logits made twice, nothing runs but what the objective asks for."""
    config = TranslitXLMRConfig(
        encoder_layers=LAYERS,
        encoder_embed_dim=WIDTH,
        encoder_ffn_embed_dim=FFN,
        encoder_attention_heads=2,
        max_positions=64,
    )
    model = TranslitXLMR(config, VOCABULARY).train()
    if frozen:
        model.freeze_encoder()
    lengths, rows = np.array([11] * 4), torch.tensor([0, 3, 12, 40, 41])
    tokens = torch.randint(4, VOCABULARY, (44,))
    positions = torch.arange(11).repeat(4)
    with FlopCounterMode(display=False) as counter:
        output = model(tokens, positions, lengths, head_rows=rows, layers=[] if seq_layer is None else [seq_layer])
        loss = masked_lm_loss(output.head, tokens[rows], output.weight, output.bias, tied=output.tied)
        if seq_layer is not None:
            loss = loss + output.layers[seq_layer].square().mean()
        loss.backward()
    assert output.flops == counter.get_total_flops()
    narrow = seq_layer != LAYERS
    assert output.flops == estimate_flops(SIZES, lengths, len(rows), narrow, frozen)


def test_estimate_of_a_token_is_the_one_of_the_papers_model():
    """6 x 85M in the encoder, 6 x 308M x 0.15 in the head, but for attention's own products."""
    one = estimate_flops(Products(12, 768, 3072, 401_145), np.full(1000, 1), 150, narrow_top=False) / 1000
    assert one == pytest.approx(6 * 85e6 + 6 * 308e6 * 0.15, rel=0.01)


def test_blocks_above_the_pooled_layer_are_not_counted_without_a_head():
    lengths = np.array([7, 3])
    whole = estimate_flops(SIZES, lengths, 0, narrow_top=False)
    assert estimate_flops(replace(SIZES, layers=1), lengths, 0, narrow_top=False) * LAYERS == whole


def test_the_peak_is_a_rate():
    assert measure_peak(torch.device("cpu"), torch.float16) > 1e8
