"""The composite loss against a float64 reference that is written out here, and what each switch leaves out."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fairseq.utils import move_to_cuda
from pairs import make_dataset, to_fake
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException, FakeTensorMode

from ppa_plugin.commandline import UserError
from ppa_plugin.configuration import needed_streams
from ppa_plugin.criterion import TranslitAlignmentCriterion, TranslitAlignmentCriterionConfig
from ppa_plugin.model.architectures import TranslitXLMR, TranslitXLMRConfig
from ppa_plugin.model.sizes import default_layer

VOCABULARY, DEPTH = 40, 3
TASK = SimpleNamespace(model_depth=DEPTH, target_dictionary=None)


@pytest.fixture
def model():
    torch.manual_seed(0)
    config = TranslitXLMRConfig(
        encoder_layers=DEPTH, encoder_embed_dim=8, encoder_ffn_embed_dim=12, encoder_attention_heads=2, max_positions=64
    )
    model = TranslitXLMR(config, VOCABULARY)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model.double().eval()


def make_batch(**flags):
    config = TranslitAlignmentCriterionConfig(**flags)
    streams = needed_streams(config)
    dataset = make_dataset([3, 12, 7, 30], [5, 11, 9, 25], VOCABULARY, streams=streams, max_positions=64)
    return config, dataset.collater([dataset[i] for i in range(4)]), dataset


def run(model, config, batch):
    return TranslitAlignmentCriterion(config, TASK)(model, batch)


def reference_terms(model, dataset, layer, temperature=1.0, no_negatives=()):
    """Every term in float64, sequence by sequence, without packing; pairs in `no_negatives` do not contrast."""
    head = model.encoder.lm_head
    terms, vectors = {}, {"orig": [], "latn": []}
    for stream in dataset.streams:
        losses = []
        for i in range(len(dataset)):
            masked, chosen, targets = dataset[i][stream]
            tokens = torch.from_numpy(masked)
            everything, length = torch.arange(len(tokens)), np.array([len(tokens)])
            output = model(tokens, everything, length, head_rows=everything, layers=[layer])
            logits = output.head @ head.weight.T + head.bias
            log_probabilities = torch.log_softmax(logits, 1)
            losses += [-log_probabilities[p, t] for p, t in zip(chosen.tolist(), targets.tolist(), strict=True)]
            if stream != "tlm":
                content = (tokens > 2) | (tokens == VOCABULARY - 1)
                vectors[stream].append(output.layers[layer][content].mean(0))
        terms[stream] = torch.stack(losses).mean()
    if vectors["orig"]:
        every = torch.stack(vectors["orig"] + vectors["latn"])
        scores = every @ every.T / temperature
        scores.fill_diagonal_(float("-inf"))
        pairs = len(dataset)
        for one, other in no_negatives:
            for first, second in ((one, other), (other, one)):
                scores[first::pairs, second::pairs] = float("-inf")
        partners = torch.arange(len(every)).roll(len(every) // 2)
        terms["seq"] = -torch.log_softmax(scores, 1)[torch.arange(len(every)), partners].mean()
    return terms


@pytest.mark.parametrize(
    "flags",
    [
        {},
        {"mlm_weight": 0.7, "seq_weight": 0.5, "tlm_weight": 2.0, "seq_temperature": 0.5},
        {"seq_weight": 0.0, "tlm_weight": 0.0},
        {"mlm_sides": "orig", "seq_weight": 0.0, "tlm_weight": 0.0},
        {"mlm_weight": 0.0, "tlm_weight": 0.0, "seq_layer": 1},
        {"seq_weight": 0.0},
        {"tlm_weight": 0.0},
    ],
)
def test_loss_and_gradient_equal_the_reference(model, flags):
    config, batch, dataset = make_batch(**flags)
    loss, pairs, log = run(model, config, batch)
    layer = 2 if config.seq_layer is None else config.seq_layer
    terms = reference_terms(model, dataset, layer, config.seq_temperature)
    sides = config.mlm_sides.split(",") if config.mlm_weight else []
    expected = sum((config.mlm_weight * terms[side] for side in sides), torch.zeros((), dtype=torch.double))
    if config.tlm_weight:
        expected = expected + config.tlm_weight * terms["tlm"]
    if config.seq_weight:
        expected = expected + config.seq_weight * terms["seq"]
        assert log["seq"].item() == pytest.approx(4 * terms["seq"].item(), rel=1e-5)
    assert pairs == 4
    assert loss.item() == pytest.approx(4 * expected.item(), rel=1e-5)
    for side in sides:
        assert log[f"mlm_{side}"].item() == pytest.approx(4 * terms[side].item(), rel=1e-5)
    assert ("tlm" in log, "seq" in log) == (config.tlm_weight > 0, config.seq_weight > 0)
    parameters = list(model.parameters())
    ours = torch.autograd.grad(loss, parameters, allow_unused=True)
    theirs = torch.autograd.grad(4 * expected, parameters, allow_unused=True)
    for one, two in zip(ours, theirs, strict=True):
        one, two = (torch.zeros(1) if g is None else g for g in (one, two))
        torch.testing.assert_close(*torch.broadcast_tensors(one.double(), two.double()), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("on", [True, False])
def test_pairs_with_a_text_in_common_do_not_contrast(model, on):
    dataset = make_dataset([3, 12, 7, 30, 5], [5, 11, 9, 25, 6], VOCABULARY, max_positions=64, hash_texts=True)
    dataset.orig[3] = dataset.orig[0]
    dataset.latn[4] = dataset.latn[1]
    config = TranslitAlignmentCriterionConfig(seq_ignore_duplicates=on)
    loss, _, log = run(model, config, dataset.collater([dataset[i] for i in range(5)]))
    terms = reference_terms(model, dataset, 2, no_negatives=[(0, 3), (1, 4)] if on else [])
    assert log["seq"].item() == pytest.approx(5 * terms["seq"].item(), rel=1e-5)
    assert ("seq_equal" in log) is on
    assert float(log.get("seq_equal", 0)) == pytest.approx(4 * on, rel=1e-6)  # over pairs: four have one equal each
    ours, theirs = (torch.autograd.grad(each, list(model.parameters())) for each in (loss, 5 * sum(terms.values())))
    for one, two in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-5)


# in float64 to what torch's attention on a CPU gives; SEQ is computed in FP32
@pytest.mark.parametrize(("seq_weight", "tolerance"), [(0.0, 1e-8), (1.0, 1e-5)])
def test_groups_of_one_large_micro_batch_train_as_micro_batches_of_that_size_do(model, seq_weight, tolerance):
    dataset = make_dataset([3, 12, 7, 30, 5, 9, 2], [5, 11, 9, 25, 6, 8, 3], VOCABULARY, max_positions=64)
    items = [dataset[i] for i in range(7)]
    grouped = TranslitAlignmentCriterionConfig(mlm_group=3, seq_negatives=3, seq_weight=seq_weight)
    whole, pairs, log = run(model, grouped, dataset.collater(items))
    plain = TranslitAlignmentCriterionConfig(seq_weight=seq_weight)
    parts = [run(model, plain, dataset.collater(items[first : first + 3])) for first in (0, 3, 6)]
    assert pairs == sum(part[1] for part in parts)
    total = sum(part[0] for part in parts)
    assert whole.item() == pytest.approx(total.item(), rel=1e-6)
    for name in ("mlm_orig", "mlm_latn", "tlm"):
        assert log[name].item() == pytest.approx(sum(part[2][name].item() for part in parts), rel=1e-6)
    ours, theirs = (torch.autograd.grad(each, list(model.parameters())) for each in (whole, total))
    for one, two in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, two, rtol=tolerance, atol=tolerance)


def test_cosine_and_cls(model):
    config, batch, _ = make_batch(mlm_weight=0.0, tlm_weight=0.0, seq_similarity="cosine", seq_pooling="cls")
    loss, _, log = run(model, config, batch)
    hidden = model(**batch["net_input"], layers=[2]).layers[2]
    starts = batch["net_input"]["cu_seqlens"][:-1].long()
    order = torch.cat([batch["sequence"]["orig"], batch["sequence"]["latn"]])
    vectors = hidden[starts[order]].float()
    vectors = vectors / vectors.norm(dim=1, keepdim=True)
    scores = (vectors @ vectors.T).fill_diagonal_(float("-inf"))
    expected = -torch.log_softmax(scores, 1)[torch.arange(8), torch.arange(8).roll(4)].mean()
    assert loss.item() / 4 == pytest.approx(expected.item(), rel=1e-5)
    assert log["seq_acc"].item() / 4 == pytest.approx(
        (scores.argmax(1) == torch.arange(8).roll(4)).float().mean().item()
    )


def test_a_term_that_is_off_is_not_computed(model):
    config, batch, _ = make_batch(mlm_weight=0.0, tlm_weight=0.0)
    called = []
    model.encoder.lm_head.register_forward_hook(lambda *_: called.append("head"))
    model.encoder.sentence_encoder.layers[2].register_forward_hook(lambda *_: called.append("block 3"))
    run(model, config, batch)
    assert called == []
    assert set(batch["sequence"]) == {"orig", "latn"}
    assert set(make_batch(mlm_sides="orig", seq_weight=0.0, tlm_weight=0.0)[1]["sequence"]) == {"orig"}


@pytest.mark.parametrize("flags", [{}, {"seq_negatives": 2, "mlm_group": 2}, {"seq_ignore_duplicates": True}])
def test_nothing_in_a_step_reads_a_value_back_from_the_device(model, flags):
    """A tensor without values raises where one is asked for: by item, nonzero, a mask as an index, a comparison."""
    config, batch, _ = make_batch(**flags)
    batch["texts"] = torch.arange(8).view(4, 2)
    model.train()
    with FakeTensorMode(allow_non_fake_inputs=True) as fake:
        total, _, log = run(copy.deepcopy(model), config, to_fake(batch, fake))
        total.backward()
        with pytest.raises(DataDependentOutputException):
            total.item()
        with pytest.raises(DynamicOutputShapeException):
            log["seq"].unsqueeze(0).nonzero()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_step_on_a_gpu_waits_for_nothing():
    """Once its kernels are made, any synchronisation raises."""
    config = TranslitAlignmentCriterionConfig(seq_negatives=4, mlm_group=4)
    criterion = TranslitAlignmentCriterion(config, SimpleNamespace(model_depth=2))
    sizes = {"encoder_layers": 2, "encoder_embed_dim": 64, "encoder_ffn_embed_dim": 128, "encoder_attention_heads": 2}
    model = TranslitXLMR(TranslitXLMRConfig(**sizes, max_positions=64), vocabulary=9000).to("cuda", torch.float16)
    dataset = make_dataset([3, 12, 7, 30, 9, 22, 5, 40], [5, 11, 9, 25, 8, 31, 6, 44], 9000, max_positions=64)
    batch = move_to_cuda(dataset.collater([dataset[i] for i in range(len(dataset))]))
    for mode in ("default", "error"):
        torch.cuda.set_sync_debug_mode(mode)
        try:
            loss, pairs, _ = criterion(model, batch)
            (loss * (128 / pairs)).backward()
        finally:
            torch.cuda.set_sync_debug_mode("default")
        assert torch.isfinite(loss)


def test_counts_are_logged(model):
    config, batch, dataset = make_batch()
    _, _, log = run(model, config, batch)
    assert log["nsentences"] == 4
    assert log["ntokens"] == sum(len(dataset[i][s][0]) for i in range(4) for s in dataset.streams)
    assert log["masked"] == sum(len(dataset[i][s][1]) for i in range(4) for s in dataset.streams)


def test_a_batch_without_masked_tokens_trains_on_nothing_but_seq(model):
    config = TranslitAlignmentCriterionConfig(seq_weight=0.0)
    dataset = make_dataset([3], [4], VOCABULARY)
    dataset.masking = type(dataset.masking)(VOCABULARY, prob=0.0)
    loss, _, _ = run(model, config, dataset.collater([dataset[0]]))
    gradients = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
    assert loss.item() == 0
    assert all(g is None or not g.any() for g in gradients)


@pytest.fixture
def process_group(tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("frozen", [True, False])
def test_distributed_data_parallel_accepts_seq_alone_once_the_rest_is_frozen(model, process_group, frozen):
    config, batch, _ = make_batch(mlm_weight=0.0, tlm_weight=0.0)
    if frozen:
        model.freeze_above(2)
    parallel = torch.nn.parallel.DistributedDataParallel(model)
    run(parallel, config, batch)[0].backward()
    if frozen:
        run(parallel, config, batch)[0].backward()
    else:
        with pytest.raises(RuntimeError, match="Expected to have finished reduction"):
            run(parallel, config, batch)


@pytest.mark.parametrize(
    "flags", [{}, {"tlm_weight": 0.0}, {"seq_weight": 0.0}, {"mlm_sides": "orig", "seq_weight": 0.0}]
)
def test_distributed_data_parallel_finds_every_gradient(model, process_group, flags):
    config, batch, dataset = make_batch(**flags)
    parallel = torch.nn.parallel.DistributedDataParallel(model)
    dataset.masking = type(dataset.masking)(VOCABULARY, prob=0.0)
    without_masked_tokens = dataset.collater([dataset[i] for i in range(4)])
    for each in (batch, without_masked_tokens, batch):
        run(parallel, config, each)[0].backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(("depth", "layer"), [(12, 8), (4, 3), (24, 16), (6, 4), (1, 1)])
def test_default_layer_is_two_thirds_up(depth, layer):
    assert default_layer(depth) == layer


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"seq_layer": 4}, "--seq-layer 4 is beyond the model's depth, 3 blocks"),
        ({"seq_layer": -1}, "--seq-layer -1"),
        ({"mlm_sides": "orig,latin"}, "--mlm-sides orig,latin: the sides are orig and latn"),
    ],
)
def test_bad_flags_are_named(flags, sentence):
    with pytest.raises(UserError, match=sentence):
        TranslitAlignmentCriterion(TranslitAlignmentCriterionConfig(**flags), TASK)


def test_nothing_to_train_is_refused():
    with pytest.raises(UserError, match="are all 0"):
        needed_streams(TranslitAlignmentCriterionConfig(mlm_weight=0, seq_weight=0, tlm_weight=0))


def test_one_pair_has_nothing_to_contrast_with():
    with pytest.raises(UserError, match="--seq-negatives 1: a pair needs another one"):
        TranslitAlignmentCriterion(TranslitAlignmentCriterionConfig(seq_negatives=1), TASK)
