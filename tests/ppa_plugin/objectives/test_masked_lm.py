"""The chunked projection and cross-entropy against the plain form."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from ppa_plugin.model.tied_embedding import TiedGradient, look_up
from ppa_plugin.objectives import masked_lm as module
from ppa_plugin.objectives.masked_lm import masked_lm_loss


def inputs(rows, vocabulary=23, width=6, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(rows, width, generator=generator, dtype=torch.float64).to(dtype)
    weight = torch.randn(vocabulary, width, generator=generator, dtype=torch.float64).to(dtype)
    bias = torch.randn(vocabulary, generator=generator, dtype=torch.float64).to(dtype)
    targets = torch.randint(vocabulary, (rows,), generator=generator)
    return hidden.requires_grad_(), targets, weight.requires_grad_(), bias.requires_grad_()


def plain(hidden, targets, weight, bias, counts):
    """The mean of each segment, by log-softmax in float64."""
    log_probabilities = torch.log_softmax(hidden.double() @ weight.double().T + bias.double(), 1)
    losses = -log_probabilities[torch.arange(len(targets)), targets]
    return torch.stack([part.sum() / max(len(part), 1) for part in losses.split(counts)])


@pytest.fixture(params=["kept", "made again"])
def small_chunks(request, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 7)  # 23 entries: three whole chunks and a part
    if request.param == "made again":
        monkeypatch.setattr(module, "_KEPT_BYTES", 0)


@pytest.mark.parametrize("counts", [[9], [4, 0, 5], [0, 9], [1] * 9])
def test_losses_and_gradients_equal_the_plain_form(small_chunks, counts):
    tensors = inputs(9)
    weights = torch.arange(1.0, len(counts) + 1, dtype=torch.float64)
    ours, reference = masked_lm_loss(*tensors, counts), plain(*tensors, counts)
    torch.testing.assert_close(ours, reference)
    wanted = [tensors[0], tensors[2], tensors[3]]
    gradients = torch.autograd.grad(ours @ weights, wanted)
    for gradient, expected in zip(gradients, torch.autograd.grad(reference @ weights, wanted), strict=True):
        torch.testing.assert_close(gradient, expected)


def test_no_rows_give_zero_and_zero_gradients(small_chunks):
    tensors = inputs(0)
    loss = masked_lm_loss(*tensors, [0, 0]).sum()
    assert loss.item() == 0
    for gradient in torch.autograd.grad(loss, [tensors[0], tensors[2], tensors[3]]):
        assert not gradient.any()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 2e-3), (torch.bfloat16, 2e-2)])
def test_half_precision_has_its_softmax_in_full(small_chunks, dtype, tolerance):
    tensors = inputs(9, dtype=dtype)
    ours, reference = masked_lm_loss(*tensors), plain(*tensors, [9])[0]
    assert ours.dtype == torch.float32
    # the logits are rounded to half precision, as a projection's result always is; nothing after them is
    assert ours.item() == pytest.approx(reference.item(), rel=tolerance)
    wanted = [tensors[0], tensors[2], tensors[3]]
    gradients = torch.autograd.grad(ours, wanted)
    for gradient, expected in zip(gradients, torch.autograd.grad(reference, wanted), strict=True):
        assert gradient.dtype == dtype
        torch.testing.assert_close(gradient, expected.to(dtype), rtol=10 * tolerance, atol=tolerance)


def test_a_large_loss_scale_reaches_the_gradient_before_it_is_rounded(small_chunks):
    """1e-4 x 2^14 survives FP16, 1e-4 / 50 rows would be lost if rounded first."""
    tensors = inputs(50, dtype=torch.float16)
    (gradient,) = torch.autograd.grad(masked_lm_loss(*tensors) * 2.0**14, [tensors[2]])
    (expected,) = torch.autograd.grad(plain(*tensors, [50])[0] * 2.0**14, [tensors[2]])
    torch.testing.assert_close(gradient, expected.half(), rtol=2e-2, atol=0.5)


def test_autocast_computes_the_products_in_half_precision():
    tensors = inputs(9, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        loss = masked_lm_loss(*tensors)
    assert loss.dtype == torch.float32
    assert loss.item() != masked_lm_loss(*tensors).item()
    assert loss.item() == pytest.approx(plain(*tensors, [9])[0].item(), rel=2e-2)
    (gradient,) = torch.autograd.grad(loss, [tensors[2]])
    assert gradient.dtype == torch.float32


def test_a_frozen_projection_gets_no_gradient(small_chunks):
    hidden, targets, weight, bias = inputs(5)
    weight.requires_grad_(False)
    bias.requires_grad_(False)
    masked_lm_loss(hidden, targets, weight, bias).backward()
    assert weight.grad is None
    assert hidden.grad.any()


@given(st.lists(st.integers(0, 22), min_size=1, max_size=12), st.sampled_from([torch.float64, torch.float32]))
def test_one_gradient_of_the_tied_weight_equals_autograds_sum_of_two(tokens, dtype):
    tokens = torch.tensor(tokens)
    _, targets, weight, bias = inputs(len(tokens), dtype=dtype)

    def loss(tied):
        hidden = torch.tanh(look_up(weight, tokens, tied))
        return masked_lm_loss(hidden, targets, weight, bias, tied=tied)

    gradients = [torch.autograd.grad(loss(tied), [weight, bias]) for tied in (TiedGradient(), None)]
    for ours, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, expected)


def test_a_token_seen_often_is_added_up_in_full_precision():
    """2,049 and more cannot be counted in FP16 by adding ones."""
    weight = torch.zeros(5, 3, dtype=torch.float16, requires_grad=True)
    tokens = torch.tensor([1, 3, 1] + [2] * 4097)
    look_up(weight, tokens, TiedGradient()).backward(torch.ones(len(tokens), 3, dtype=torch.float16))
    assert weight.grad[:, 0].tolist() == [0, 2, 4096, 1, 0]


def test_a_lookup_without_a_projection_has_its_own_gradient():
    weight = torch.randn(5, 3, requires_grad=True)
    tokens = torch.tensor([1, 3, 1])
    (ours,) = torch.autograd.grad(look_up(weight, tokens, TiedGradient()).square().sum(), [weight])
    (expected,) = torch.autograd.grad(F.embedding(tokens, weight).square().sum(), [weight])
    torch.testing.assert_close(ours, expected)


def test_few_rows_on_a_gpu_take_few_chunks():
    assert module.chunk_entries(441, on_gpu=False) == module.chunk_entries(14_000, on_gpu=True) == module.CHUNK
    assert module.chunk_entries(441, on_gpu=True) * 441 == pytest.approx(module.GPU_LOGITS, rel=0.01)
    assert module.chunk_entries(0, on_gpu=True) == module.GPU_LOGITS
