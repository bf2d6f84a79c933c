"""Dropout of 16 bits an element."""

import pytest
import torch

from ppa_plugin.model.dropout import dropout


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_share_scale_and_gradient(probability):
    torch.manual_seed(0)
    hidden = torch.rand(1000, 301).add_(1).requires_grad_()
    dropped = dropout(hidden, probability, training=True)
    kept = dropped != 0
    assert kept.float().mean().item() == pytest.approx(1 - probability, abs=5 * (0.25 / hidden.numel()) ** 0.5)
    torch.testing.assert_close(dropped[kept], hidden[kept] / (1 - probability), rtol=1e-4, atol=0)
    dropped.sum().backward()
    torch.testing.assert_close(hidden.grad, kept / (1 - probability), rtol=1e-4, atol=0)


def test_neighbours_that_share_a_draw_are_dropped_independently():
    torch.manual_seed(0)
    kept = (dropout(torch.ones(200_000), 0.5, training=True) != 0).float().view(-1, 4)
    correlation = torch.corrcoef(kept.T) - torch.eye(4)
    assert correlation.abs().max() < 5 / len(kept) ** 0.5


def test_the_generator_decides():
    hidden = torch.ones(77)
    draws = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws.append(dropout(hidden, 0.3, training=True))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_nothing_is_dropped_outside_training_or_at_probability_zero():
    hidden = torch.ones(5)
    assert dropout(hidden, 0.5, training=False) is hidden
    assert dropout(hidden, 0.0, training=True) is hidden


def test_everything_is_dropped_at_probability_one():
    assert not dropout(torch.ones(100), 1.0, training=True).any()
