"""Every kernel of attention that runs here, against attention of each sequence alone."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from ppa_plugin.model.attention import KERNELS, Packing, choose_kernel

HEADS, WIDTH = 2, 8


def alone(projected, lengths):
    """Softmax attention written out, sequence by sequence, in float64."""
    parts = []
    for part in projected.double().split(lengths):
        query, key, value = part.permute(1, 2, 0, 3)
        scores = query @ key.transpose(1, 2) / WIDTH**0.5
        parts.append((torch.softmax(scores, -1) @ value).transpose(0, 1))
    return torch.cat(parts)


@pytest.mark.parametrize("kernel", ["runs", "nested"])
@settings(max_examples=25)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=9))
def test_kernels_agree_with_each_sequence_alone_forward_and_backward(kernel, lengths):
    lengths.sort(reverse=True)
    generator = torch.Generator().manual_seed(sum(lengths))
    projected = torch.randn(sum(lengths), 3, HEADS, WIDTH, generator=generator).requires_grad_()
    weights = torch.randn(sum(lengths), HEADS, WIDTH, generator=generator)
    packing = Packing(np.array(lengths), None, kernel, torch.device("cpu"))
    ours, expected = KERNELS[kernel](projected, packing, 0.0), alone(projected, lengths)
    torch.testing.assert_close(ours, expected.float(), rtol=1e-5, atol=1e-5)
    (gradient,) = torch.autograd.grad((ours * weights).sum(), [projected])
    (reference,) = torch.autograd.grad((expected * weights).sum(), [projected])
    torch.testing.assert_close(gradient, reference, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kernel", ["runs", "nested"])
def test_dropout_keeps_the_expected_weight(kernel):
    lengths = np.array([40] * 50 + [37] * 20)
    projected = torch.zeros(int(lengths.sum()), 3, HEADS, WIDTH)
    projected[:, 2] = 1.0  # equal weights on values of one: the result is the share of weights that stay, scaled
    torch.manual_seed(1)
    dropped = KERNELS[kernel](projected, Packing(lengths, None, kernel, torch.device("cpu")), 0.25)
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.01)
    assert dropped.std().item() > 0.05


def test_the_kernel_follows_device_and_precision(monkeypatch):
    cuda, cpu = torch.device("cuda"), torch.device("cpu")
    installed = {"flash_attn": None}
    monkeypatch.setattr("importlib.util.find_spec", lambda name: installed[name])
    assert choose_kernel("auto", cpu, torch.float32) == "runs"
    assert choose_kernel("auto", cuda, torch.float16) == "nested"
    installed["flash_attn"] = "found"
    assert choose_kernel("auto", cuda, torch.float16) == "flash-attn"
    assert choose_kernel("auto", cuda, torch.float32) == "nested"
    assert choose_kernel("runs", cuda, torch.float16) == "runs"


def test_a_kernel_without_padding_reports_none():
    lengths = np.array([8, 7, 1])
    assert Packing(lengths, None, "nested", torch.device("cpu")).padded_share == 0
    assert Packing(lengths, None, "runs", torch.device("cpu")).padded_share == pytest.approx(1 - 16 / 17)


def test_bounds_are_those_of_the_lengths():
    packing = Packing(np.array([5, 2, 9]), None, "nested", torch.device("cpu"))
    assert packing.cu_seqlens.tolist() == [0, 5, 7, 16]
    assert F.pad(torch.tensor([5, 2, 9]).cumsum(0), (1, 0)).tolist() == packing.cu_seqlens.tolist()


@pytest.mark.gpu
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float16, 5e-3)])
def test_kernels_agree_on_a_gpu(dtype, tolerance):
    lengths = [200, 130, 61, 60, 7, 1]
    generator = torch.Generator().manual_seed(0)
    projected = torch.randn(sum(lengths), 3, HEADS, 64, generator=generator).to("cuda", dtype)
    results, gradients = {}, {}
    kernels = ["runs", "nested"]
    if choose_kernel("auto", projected.device, dtype) == "flash-attn":
        kernels.append("flash-attn")
    for kernel in kernels:
        leaf = projected.clone().requires_grad_()
        results[kernel] = KERNELS[kernel](leaf, Packing(np.array(lengths), None, kernel, leaf.device), 0.0)
        (gradients[kernel],) = torch.autograd.grad(results[kernel].square().sum(), [leaf])
    for kernel in kernels[1:]:
        torch.testing.assert_close(results[kernel], results["runs"], rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(gradients[kernel], gradients["runs"], rtol=10 * tolerance, atol=10 * tolerance)
