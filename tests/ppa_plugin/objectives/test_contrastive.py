"""Losses against plain float64 versions that are written out here, values and gradients."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ppa_plugin.objectives import masked_lm_loss
from ppa_plugin.objectives.contrastive import (
    info_nce,
    info_nce_of_anchors,
    mean_pool,
    packed_mean_pool,
    pairs_with_equal_texts,
)


def reference_info_nce(orig, latn, temperature, texts=None):
    """Equation 2 of the paper, anchor by anchor, in float64; `texts` are the two texts of each pair, as tuples.

    Two pairs with a text in common are no negatives of one another.
    """
    vectors = torch.cat([orig, latn]).double()
    pairs = len(orig)
    losses = []
    for anchor in range(2 * pairs):
        partner = (anchor + pairs) % (2 * pairs)
        others = [other for other in range(2 * pairs) if other != anchor]
        if texts is not None:
            mine = set(texts[anchor % pairs])
            others = [other for other in others if other == partner or not mine & set(texts[other % pairs])]
        scores = [vectors[anchor] @ vectors[other] / temperature for other in others]
        positive = vectors[anchor] @ vectors[partner] / temperature
        losses.append(torch.logsumexp(torch.stack(scores), 0) - positive)
    return torch.stack(losses).mean()


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("temperature", [1.0, 0.1])
def test_info_nce_equals_the_equation(temperature):
    orig, latn = random(5, 7, seed=1).requires_grad_(), random(5, 7, seed=2).requires_grad_()
    loss = info_nce(orig, latn, temperature)
    reference = reference_info_nce(orig, latn, temperature)
    assert loss.item() == pytest.approx(reference.item(), rel=1e-5)
    for ours, theirs in zip(
        torch.autograd.grad(loss, [orig, latn]), torch.autograd.grad(reference, [orig, latn]), strict=True
    ):
        torch.testing.assert_close(ours, theirs.float(), rtol=1e-4, atol=1e-5)


TEXTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=7)


@given(texts=TEXTS)
def test_pairs_with_equal_texts_share_one_on_either_side(texts):
    expected = [[bool(set(one) & set(other)) for other in texts] for one in texts]
    hashes = torch.tensor(texts) * 2**60 - 7  # beyond what a float holds
    assert pairs_with_equal_texts(hashes[:3], hashes).tolist() == expected[:3]


@given(texts=TEXTS, temperature=st.sampled_from([1.0, 0.2]))
def test_equal_texts_are_no_negatives(texts, temperature):
    orig, latn = (random(len(texts), 6, seed=s).requires_grad_() for s in (1, 2))
    hashes = torch.tensor(texts)
    loss = info_nce(orig, latn, temperature, pairs_with_equal_texts(hashes, hashes))
    reference = reference_info_nce(orig, latn, temperature, texts)
    assert loss.item() == pytest.approx(reference.item(), rel=1e-5, abs=1e-6)
    ours, theirs = (torch.autograd.grad(value, [orig, latn]) for value in (loss, reference))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other.float(), rtol=1e-4, atol=1e-5)


def test_texts_that_all_differ_change_no_bit():
    orig, latn = random(6, 5, seed=1), random(6, 5, seed=2)
    assert torch.equal(info_nce(orig, latn, 0.3, torch.eye(6, dtype=torch.bool)), info_nce(orig, latn, 0.3))


def test_texts_that_are_all_equal_leave_nothing_to_contrast():
    orig, latn = random(4, 5, seed=1), random(4, 5, seed=2)
    loss, accuracy = contrast(orig, latn, torch.arange(4), None, None, 1.0, torch.ones(4, 4, dtype=torch.bool))
    assert (loss.item(), accuracy.item()) == (0, 1)


def test_info_nce_of_one_pair_is_zero_with_zero_gradient():
    orig, latn = random(1, 4, seed=1).requires_grad_(), random(1, 4, seed=2).requires_grad_()
    loss = info_nce(orig, latn)
    assert loss.item() == 0
    assert all(not g.any() for g in torch.autograd.grad(loss, [orig, latn]))


def test_anchors_of_ranks_average_to_the_whole():
    orig, latn = random(5, 6, seed=3), random(5, 6, seed=4)
    parts = [contrast(orig, latn, torch.arange(a, b))[0] * (b - a) for a, b in [(0, 2), (2, 5)]]
    assert sum(parts).item() / 5 == pytest.approx(info_nce(orig, latn).item(), rel=1e-6)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=4).filter(any), st.integers(2, 6), st.integers(0, 3))
def test_groups_of_negatives_equal_a_pair_weighted_mean_of_groups(shares, negatives, spare):
    """Ranks of `shares` pairs, each filled up with zeros; groups of `negatives` real ones, in rank order."""
    pairs, most = sum(shares), max(shares) + spare
    orig, latn = random(pairs, 6, seed=3), random(pairs, 6, seed=4)
    groups = [slice(start, start + negatives) for start in range(0, pairs, negatives)]
    expected = sum(len(orig[g]) * reference_info_nce(orig[g], latn[g], 1.0).item() for g in groups) / pairs
    real = torch.cat([torch.arange(most) < share for share in shares])
    filled = [torch.zeros(len(real), 6).index_copy(0, real.nonzero().squeeze(1), side) for side in (orig, latn)]
    total = 0.0
    for rank, share in enumerate(shares):
        if share:
            own = rank * most + torch.arange(share)
            loss, _ = contrast(*filled, own, real, negatives)
            total += share * loss.item()
    assert total / pairs == pytest.approx(expected, rel=1e-5, abs=1e-6)


@given(
    shares=st.lists(st.integers(0, 5), min_size=1, max_size=4).filter(any),
    negatives=st.integers(2, 6) | st.none(),
    seed=st.integers(0, 99),
)
def test_equal_texts_in_groups_and_on_other_ranks_are_no_negatives(shares, negatives, seed):
    pairs, most = sum(shares), max(shares) + 1
    orig, latn = random(pairs, 6, seed=3), random(pairs, 6, seed=4)
    texts = torch.randint(0, 6, (pairs, 2), generator=torch.Generator().manual_seed(seed))
    groups = [slice(start, start + (negatives or pairs)) for start in range(0, pairs, negatives or pairs)]
    references = [reference_info_nce(orig[g], latn[g], 1.0, texts[g].tolist()).item() for g in groups]
    expected = sum(len(orig[g]) * loss for g, loss in zip(groups, references, strict=True)) / pairs
    real = torch.cat([torch.arange(most) < share for share in shares])
    place = real.nonzero().squeeze(1)
    filled = [torch.zeros(len(real), 6).index_copy(0, place, side) for side in (orig, latn)]
    # what fills a share up has a text of 0, as some pairs here have
    hashes = torch.zeros(len(real), 2, dtype=torch.long).index_copy(0, place, texts)
    total = 0.0
    for rank, share in enumerate(shares):
        if share:
            own = rank * most + torch.arange(share)
            equal = pairs_with_equal_texts(hashes[own], hashes)
            total += share * contrast(*filled, own, real, negatives, 1.0, equal)[0].item()
    assert total / pairs == pytest.approx(expected, rel=1e-5, abs=1e-6)


def contrast(orig, latn, own, *more):
    return info_nce_of_anchors(torch.cat([orig[own], latn[own]]), orig, latn, own, *more)


def test_accuracy_counts_partners_that_rank_first_and_ties_as_misses():
    eye = torch.eye(3)
    assert contrast(eye, eye, torch.arange(3))[1] == 1
    same = torch.ones(3, 2)
    assert contrast(same, same, torch.arange(3))[1] == 0
    # pairs 0 and 1 swapped on one side: only pair 2 finds its partner, from both of its anchors
    swapped = eye[[1, 0, 2]]
    assert contrast(eye, swapped, torch.arange(3))[1].item() == pytest.approx(1 / 3)


def test_info_nce_of_half_precision_is_computed_in_full():
    orig, latn = (300 * random(4, 8, seed=5)).half(), (300 * random(4, 8, seed=6)).half()
    loss = info_nce(orig, latn)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(reference_info_nce(orig, latn, 1.0).item(), rel=1e-5)


def test_masked_lm_loss_equals_the_plain_form():
    hidden, weight, bias = random(6, 5, seed=1), random(11, 5, seed=2), random(11, seed=3)
    targets = torch.tensor([0, 10, 4, 4, 7, 2])
    inputs = [hidden.requires_grad_(), weight.requires_grad_(), bias.requires_grad_()]
    loss = masked_lm_loss(hidden, targets, weight, bias)
    logits = hidden.double() @ weight.double().T + bias.double()
    picked = logits[torch.arange(6), targets]
    reference = (torch.log(torch.exp(logits).sum(1)) - picked).mean()
    assert loss.item() == pytest.approx(reference.item(), rel=1e-6)
    for ours, theirs in zip(torch.autograd.grad(loss, inputs), torch.autograd.grad(reference, inputs), strict=True):
        torch.testing.assert_close(ours, theirs.float(), rtol=1e-4, atol=1e-6)


def test_masked_lm_loss_without_masked_positions_is_zero_with_zero_gradient():
    hidden, weight, bias = random(0, 5).requires_grad_(), random(11, 5).requires_grad_(), random(11)
    loss = masked_lm_loss(hidden, torch.empty(0, dtype=torch.long), weight, bias)
    (gradient,) = torch.autograd.grad(loss, [hidden])
    assert loss.item() == 0
    assert gradient.shape == (0, 5)


def test_mean_pool_is_the_mean_over_kept_positions():
    hidden, keep = random(2, 4, 3), torch.tensor([[0, 1, 1, 0], [1, 0, 0, 0]], dtype=torch.bool)
    expected = torch.stack([hidden[0, 1:3].double().mean(0), hidden[1, 0].double()]).float()
    torch.testing.assert_close(mean_pool(hidden, keep), expected)
    assert not mean_pool(hidden, torch.zeros_like(keep)).any()


def test_packed_mean_pool_equals_mean_pool():
    hidden, keep = random(3, 5, 4), torch.rand(3, 5, generator=torch.Generator().manual_seed(1)) > 0.4
    keep[2] = False
    rows = keep.flatten().nonzero().squeeze(1)
    packed = packed_mean_pool(hidden.flatten(0, 1), rows, rows // 5, 3)
    torch.testing.assert_close(packed, mean_pool(hidden, keep))
    assert math.isfinite(packed.sum().item())
