"""The fused AdamW against fairseq's formula in float64, and each resuming from the other."""

import copy
import io
import math

import pytest
import torch
from fairseq.optim import OPTIMIZER_REGISTRY
from fairseq.optim.adam import Adam
from hypothesis import given, settings
from hypothesis import strategies as st

from ppa_plugin.optim.adamw import FusedAdamW
from ppa_plugin.optim.fused_adam import FusedAdamWConfig

SHAPES = ((7, 5), (11,), ())


def gradients(step):
    generator = torch.Generator().manual_seed(step)
    # of very different sizes: epsilon counts for the small ones, at the first steps above all
    return [torch.randn(shape, generator=generator) * 10.0**e for shape, e in zip(SHAPES, (-1, -7, -4), strict=True)]


def parameters():
    generator = torch.Generator().manual_seed(100)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


def update(optimizer, step, lr=1e-2, **options):
    (group,) = optimizer.param_groups
    group["lr"] = lr / (1 + step)  # a schedule
    for parameter, gradient in zip(group["params"], gradients(step), strict=True):
        parameter.grad = gradient * options.get("scale", 1.0)
    optimizer.step(**options)


def formula(steps, lr, betas, eps, weight_decay):
    """Kingma and Ba's algorithm 1 with epsilon before the correction ("epsilon hat"), and decoupled weight decay."""
    values = [parameter.detach().double() for parameter in parameters()]
    moments = [[torch.zeros_like(value), torch.zeros_like(value)] for value in values]
    for step in range(steps):
        rate = lr / (1 + step)
        corrected = math.sqrt(1 - betas[1] ** (step + 1)) / (1 - betas[0] ** (step + 1))
        for value, (first, second), gradient in zip(values, moments, gradients(step), strict=True):
            gradient = gradient.double()
            first.mul_(betas[0]).add_((1 - betas[0]) * gradient)
            second.mul_(betas[1]).add_((1 - betas[1]) * gradient**2)
            value.mul_(1 - rate * weight_decay)
            value.sub_(rate * corrected * first / (second.sqrt() + eps))
    return values


@settings(max_examples=20)
@given(
    st.integers(1, 12),
    st.sampled_from([(0.9, 0.999), (0.9, 0.98), (0.0, 0.5)]),
    st.sampled_from([1e-8, 1e-6, 1e-2]),
    st.sampled_from([0.0, 0.01, 0.5]),
    st.sampled_from([1.0, 128.0, torch.tensor(2.0**-7)]),
)
def test_it_is_fairseqs_formula_whatever_the_gradients_scale(steps, betas, eps, weight_decay, scale):
    options = {"lr": 1e-2, "betas": betas, "eps": eps, "weight_decay": weight_decay}
    optimizer = FusedAdamW(parameters(), **options)
    for step in range(steps):
        update(optimizer, step, scale=scale)
    (group,) = optimizer.param_groups
    assert group["eps"] == eps
    for found, expected in zip(group["params"], formula(steps, **options), strict=True):
        torch.testing.assert_close(found.double(), expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("clipped", [False, True])
def test_under_a_gradient_scaler_it_divides_once_and_counts_no_step_that_is_left_out(clipped):
    """`clipped`: the gradients are divided before the step, as where they are clipped."""
    options = {"lr": 1e-2, "betas": (0.9, 0.999), "eps": 1e-6, "weight_decay": 0.1}
    optimizer = FusedAdamW(parameters(), **options)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**7)
    (group,) = optimizer.param_groups
    for step in (0, None, 1, 2, None, 3):
        group["lr"] = options["lr"] / (1 + (step or 0))
        for parameter, gradient in zip(group["params"], gradients(step or 0), strict=True):
            parameter.grad = scaler.scale(gradient if step is not None else gradient * math.inf)
        if clipped:
            scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
    for found, expected in zip(group["params"], formula(4, **options), strict=True):
        torch.testing.assert_close(found.double(), expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize(("before", "after"), [(Adam, FusedAdamW), (FusedAdamW, Adam), (FusedAdamW, FusedAdamW)])
def test_either_resumes_from_the_other(before, after):
    options = {"lr": 1e-2, "betas": (0.9, 0.98), "eps": 1e-6, "weight_decay": 0.1}
    first = before(parameters(), **options)
    for step in range(4):
        update(first, step)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = after(copy.deepcopy(first.param_groups[0]["params"]), **options)
    second.load_state_dict(torch.load(file, weights_only=True))
    for step in range(4, 9):
        update(second, step)
    for found, expected in zip(second.param_groups[0]["params"], formula(9, **options), strict=True):
        torch.testing.assert_close(found.double(), expected, rtol=2e-6, atol=2e-6)
    assert {kept["step"] for kept in second.state_dict()["state"].values()} == {9}


@pytest.mark.parametrize(("dtype", "kind"), [(torch.float32, FusedAdamW), (torch.float16, Adam)])
def test_moments_are_in_full_precision_whatever_the_parameters_are_in(dtype, kind):
    cfg = FusedAdamWConfig(adam_betas="(0.9, 0.98)", lr=[1e-3])
    parameter = torch.nn.Parameter(torch.ones(3, dtype=dtype))
    optimizer = OPTIMIZER_REGISTRY["fused_adamw"](cfg, [parameter])
    assert type(optimizer.optimizer) is kind
    parameter.grad = torch.full_like(parameter, 1e-4)  # its square is none in half precision
    optimizer.step()
    assert optimizer.optimizer.state[parameter]["exp_avg_sq"].dtype == torch.float32
    assert optimizer.optimizer.param_groups[0]["betas"] == (0.9, 0.98)
