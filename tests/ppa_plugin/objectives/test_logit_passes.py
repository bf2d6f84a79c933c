"""The passes over the logits, compiled and written out, against float64; what cannot be compiled, and what is said."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ppa_plugin.objectives import logit_passes, masked_lm
from ppa_plugin.objectives.logit_passes import WRITTEN_OUT, Passes, choose_passes, compiled_passes

CPU = torch.device("cpu")


def a_chunk(rows, entries, dtype, seed=0):
    """Logits, the targets' places and whether they are in the chunk, the normaliser of some vocabulary, scales."""
    generator = torch.Generator().manual_seed(seed)
    logits = (4 * torch.randn(rows, entries, generator=generator)).to(dtype)
    targets = torch.randint(-entries, 2 * entries, (rows, 1), generator=generator)
    inside = (targets >= 0) & (targets < entries)
    normaliser = logits.double().logsumexp(1, keepdim=True) + torch.rand(rows, 1, generator=generator)
    scale = 100 * torch.randn(rows, 1, generator=generator)
    return logits, targets * inside, inside, normaliser.to(logit_passes.wide(dtype)), scale.to(logit_passes.wide(dtype))


def in_float64(logits, local, inside, normaliser, scale):
    one_hot = torch.zeros_like(logits, dtype=torch.float64).scatter_(1, local, inside.double())
    of_logits = ((logits.double() - normaliser.double()).exp() - one_hot) * scale.double()
    picked = torch.where(inside, logits.double().gather(1, local), 0)
    return logits.double().logsumexp(1, keepdim=True), picked, of_logits, of_logits.sum(0)


def check(passes, logits, local, inside, normaliser, scale):
    expected = in_float64(logits, local, inside, normaliser, scale)
    with torch.no_grad():
        of_chunk, picked = passes.reduce(logits, local, inside)
        of_logits, of_bias = passes.differentiate(logits, local, inside, normaliser, scale)
    assert of_logits.dtype == logits.dtype
    rounding = max(torch.finfo(logits.dtype).eps, 2e-6)
    for found, reference, tolerance in zip(
        (of_chunk, picked, of_logits, of_bias), expected, (2e-6, 2e-6, rounding, 2e-6), strict=True
    ):
        error = (found.double() - reference).abs().max() / reference.abs().max().clamp(min=1e-3)
        assert error < tolerance


in_place = Passes(
    logit_passes._reduce, lambda logits, *rest: (logits, logit_passes._differentiate_in_place(logits, *rest))
)


@settings(max_examples=40)
@given(
    st.integers(2, 9),
    st.integers(1, 12),
    st.sampled_from([torch.float16, torch.bfloat16, torch.float32]),
    st.sampled_from([WRITTEN_OUT, in_place]),
    st.integers(0, 2**20),
)
def test_both_forms_are_the_softmaxs_gradient(rows, entries, dtype, passes, seed):
    check(passes, *a_chunk(rows, entries, dtype, seed))


@pytest.fixture(scope="module")
def compiled():
    """The compiled passes, after a first call at the sizes that they are made for."""
    passes = compiled_passes()
    assert logit_passes._failure(passes, CPU, torch.float16, (64, 8192)) is None
    return passes


def test_other_sizes_are_compiled_for_no_second_time(compiled, monkeypatch):
    monkeypatch.setattr(torch._dynamo.config, "error_on_recompile", True)
    for rows, entries in ((7, 8192), (2, 5001), (300, 7929)):
        check(compiled, *a_chunk(rows, entries, torch.float16, rows))


def test_the_largest_vocabulary_in_half_precision(compiled, monkeypatch):
    """Glot500's 401,145 entries: gradients of single entries are small, and sums long."""
    monkeypatch.setattr(masked_lm, "choose_passes", lambda *_: compiled)
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(8, 16, generator=generator).half().requires_grad_()
    weight = (0.2 * torch.randn(401_145, 16, generator=generator)).half().requires_grad_()
    bias = (0.1 * torch.randn(401_145, generator=generator)).half().requires_grad_()
    targets = torch.randint(401_145, (8,), generator=generator)
    wanted, scale = [hidden, weight, bias], 2.0**12  # FP16's loss scale
    loss = masked_lm.masked_lm_loss(hidden, targets, weight, bias)
    found = torch.autograd.grad(loss * scale, wanted)
    expected = torch.nn.functional.cross_entropy(hidden.double() @ weight.double().T + bias.double(), targets)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)  # the logits themselves are in half precision
    for gradient, reference in zip(found, torch.autograd.grad(expected * scale, wanted), strict=True):
        assert (gradient.double() - reference.double()).norm() < 3e-3 * reference.double().norm()


def test_a_cpu_and_a_single_row_are_written_out(monkeypatch):
    monkeypatch.setattr(logit_passes, "_fastest", lambda *_: pytest.fail("compiled"))
    assert choose_passes(CPU, torch.float32, 7) is WRITTEN_OUT
    assert choose_passes(torch.device("cuda"), torch.float16, 1) is WRITTEN_OUT


def cannot(*_):
    raise RuntimeError("no compiler\nand more")


@pytest.mark.parametrize(
    ("passes", "reason"),
    [
        (Passes(cannot, cannot), "RuntimeError: no compiler"),
        (WRITTEN_OUT._replace(reduce=lambda logits, *_: (logits[:, :1].float(),) * 2), "AssertionError"),
    ],
)
def test_what_cannot_be_compiled_or_differs_is_written_out_and_said_once(monkeypatch, caplog, passes, reason):
    monkeypatch.setattr(logit_passes, "compiled_passes", lambda: passes)
    logit_passes._fastest.cache_clear()
    try:
        for _ in range(2):
            assert logit_passes._fastest(CPU, torch.float16) is WRITTEN_OUT
    finally:
        logit_passes._fastest.cache_clear()
    (said,) = [record.getMessage() for record in caplog.records]
    assert reason in said
    assert "\n" not in said
