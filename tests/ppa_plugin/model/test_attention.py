"""Every kernel of attention that runs here, against attention of each sequence alone."""

import importlib.util

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from ppa_plugin.model import attention
from ppa_plugin.model.attention import KERNELS, Packing, choose_kernel

HEADS, WIDTH = 2, 8


def alone(projected, lengths, window=None):
    """Softmax attention written out, sequence by sequence, in float64; with `window`, to either side."""
    parts = []
    for part in projected.double().split(lengths):
        query, key, value = part.permute(1, 2, 0, 3)
        scores = query @ key.transpose(1, 2) / WIDTH**0.5
        if window is not None:
            places = torch.arange(len(part))
            scores = scores.masked_fill((places - places[:, None]).abs() > window, float("-inf"))
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


@pytest.mark.parametrize("kernel", ["runs", "nested", "efficient"])
@settings(max_examples=25)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=9), st.integers(1, 12))
def test_windows_agree_with_each_sequence_alone_forward_and_backward(kernel, lengths, window):
    lengths.sort(reverse=True)
    generator = torch.Generator().manual_seed(sum(lengths))
    projected = torch.randn(sum(lengths), 3, HEADS, WIDTH, generator=generator).requires_grad_()
    weights = torch.randn(sum(lengths), HEADS, WIDTH, generator=generator)
    packing = Packing(np.array(lengths), None, kernel, torch.device("cpu")).within(window)
    if packing.window is None:
        assert max(lengths) - 1 <= window
        return
    assert packing.kernel == "runs"  # the one of the three that knows of windows
    ours, expected = KERNELS[packing.kernel](projected, packing, 0.0), alone(projected, lengths, window)
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


@pytest.fixture
def unable(monkeypatch):
    """The kernels that cannot run, for a GPU that is not there; and nothing remembered from one test to the next."""
    kernels = set()
    monkeypatch.setattr(attention, "_failure", lambda kernel, *_: "out of order" if kernel in kernels else None)
    attention._fastest.cache_clear()
    yield kernels
    attention._fastest.cache_clear()


@pytest.mark.parametrize(
    ("dtype", "cannot", "expected"),
    [
        (torch.float16, (), "flash"),
        (torch.bfloat16, (), "flash"),
        (torch.float32, (), "efficient"),
        (torch.float16, ("flash",), "efficient"),
        (torch.float16, ("flash", "efficient"), "nested"),
        (torch.float32, ("efficient",), "nested"),
    ],
)
def test_on_a_gpu_the_fastest_kernel_that_runs_is_taken_and_the_log_says_which_do_not(
    unable, caplog, dtype, cannot, expected
):
    unable |= set(cannot)
    for _ in range(3):
        assert choose_kernel("auto", torch.device("cuda"), dtype, 64) == expected
    assert [record.getMessage() for record in caplog.records] == [
        f"attention: the kernel {kernel} cannot run here (out of order); one that takes longer does"
        for kernel in cannot
    ]


def test_a_cpu_takes_runs_and_a_kernel_that_is_named_is_taken(unable):
    assert choose_kernel("auto", torch.device("cpu"), torch.float32, 64) == "runs"
    assert choose_kernel("nested", torch.device("cuda"), torch.float16, 64) == "nested"


def test_whether_a_kernel_runs_is_tried_and_no_random_number_is_drawn():
    cpu = torch.device("cpu")
    before = torch.random.get_rng_state()
    assert attention._failure("runs", cpu, torch.float32, 8) is None
    assert torch.equal(torch.random.get_rng_state(), before)
    for kernel in ("flash", "efficient"):
        assert "CPU" in attention._failure(kernel, cpu, torch.float32, 8)


@pytest.mark.parametrize(("kernel", "operator"), [("flash", "flash"), ("efficient", "efficient")])
def test_the_operators_get_the_packed_tensors_and_their_bounds(monkeypatch, kernel, operator):
    """Shapes, bounds and dropout as their schemas name them; what they compute, the test on a GPU says."""
    schema = getattr(torch.ops.aten, f"_{operator}_attention_forward").default._schema
    seen = {}

    def record(*given, **named):
        seen.update(zip((argument.name for argument in schema.arguments), given, strict=False))
        assert named.keys() <= {argument.name for argument in schema.arguments}
        seen.update(named)
        return (given[0],)

    monkeypatch.setattr(attention, f"_{operator}_attention", record)
    projected = torch.randn(7, 3, HEADS, WIDTH).requires_grad_()
    out = KERNELS[kernel](projected, Packing(np.array([4, 3]), None, kernel, torch.device("cpu")), 0.25)
    assert out.shape == (7, HEADS, WIDTH)
    torch.testing.assert_close(seen["value"].reshape(7, HEADS, WIDTH), projected[:, 2])
    bounds = [value.tolist() for name, value in seen.items() if name.startswith(("cum_seq", "cu_seqlens"))]
    assert bounds == [[0, 4, 7], [0, 4, 7]]
    assert [value for name, value in seen.items() if name.startswith("max_")] == [4, 4]
    assert seen["dropout_p"] == 0.25
    assert not any(name.startswith("window") for name in seen)
    windowed = Packing(np.array([4, 3]), None, kernel, torch.device("cpu")).within(2)
    KERNELS[windowed.kernel](projected, windowed, 0.25)
    assert (seen.get("window_size_left"), seen.get("window_size_right")) == (
        (2, 2) if kernel == "flash" else (None, None)
    )
    assert not seen.get("is_causal", seen.get("custom_mask_type"))
    assert seen.get("compute_log_sumexp", True)


def test_a_kernel_without_padding_reports_none():
    lengths = np.array([8, 7, 1])
    assert Packing(lengths, None, "nested", torch.device("cpu")).padded_share() == 0
    assert Packing(lengths, None, "runs", torch.device("cpu")).padded_share() == pytest.approx(1 - 16 / 17)


def test_padding_of_windows_that_fall_back_to_runs_is_counted():
    lengths = np.array([8, 7, 1])
    for kernel, of_the_window in (("nested", 17), ("efficient", 17), ("runs", 17), ("flash", 16), ("flash-attn", 16)):
        packing = Packing(lengths, None, kernel, torch.device("cpu"))
        whole = 17 if kernel == "runs" else 16
        expected = pytest.approx(1 - 3 * 16 / (whole + 2 * of_the_window))
        assert packing.padded_share([None, 2, 2]) == expected
        assert packing.padded_share([None, 7]) == packing.padded_share()  # which sees everything
        assert packing.padded_share([]) == 0


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
    half = dtype != torch.float32
    kernels = ["runs", "nested", "efficient", *["flash"] * half]
    kernels += ["flash-attn"] * (half and importlib.util.find_spec("flash_attn") is not None)
    assert choose_kernel("auto", projected.device, dtype, 64) == ("flash" if half else "efficient")
    for kernel in kernels:
        leaf = projected.clone().requires_grad_()
        results[kernel] = KERNELS[kernel](leaf, Packing(np.array(lengths), None, kernel, leaf.device), 0.0)
        (gradients[kernel],) = torch.autograd.grad(results[kernel].square().sum(), [leaf])
    for kernel in kernels[1:]:
        torch.testing.assert_close(results[kernel], results["runs"], rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(gradients[kernel], gradients["runs"], rtol=10 * tolerance, atol=10 * tolerance)
