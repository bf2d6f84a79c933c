"""TOK against float64, pair by pair and block by block, without packing; and which blocks it takes."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fairseq.utils import apply_to_sample
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationKeyError
from pairs import make_dataset, to_fake
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from ppa_plugin.commandline import UserError
from ppa_plugin.configuration import (
    TranslitAlignmentConfig,
    TranslitAlignmentCriterionConfig,
    fill_in_later_flags,
    needed_streams,
)
from ppa_plugin.criterion import TranslitAlignmentCriterion
from ppa_plugin.data.blocks import whole_blocks
from ppa_plugin.data.training_blocks import TrainingBlocks, block_hashes, lettered
from ppa_plugin.model.architectures import TranslitXLMR, TranslitXLMRConfig
from ppa_plugin.objectives import block_distance, block_info_nce

VOCABULARY = 24
LETTERED = np.array([False] * 4 + [index % 4 > 0 for index in range(4, VOCABULARY - 1)] + [False])
TASK = SimpleNamespace(model_depth=3)
ONLY = {"mlm_weight": 0.0, "tlm_weight": 0.0, "seq_weight": 0.0, "tok_weight": 1.0}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    sizes = {"encoder_layers": 3, "encoder_embed_dim": 16, "encoder_ffn_embed_dim": 24, "encoder_attention_heads": 2}
    model = TranslitXLMR(TranslitXLMRConfig(**sizes, max_positions=64), VOCABULARY).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3)
    return model


def random_blocks(generator, orig, latn):
    """Blocks that tile both sides; a pair in five has none."""
    if generator.random() < 0.2:
        return np.zeros(1, dtype=np.int64)
    most = min(orig, latn)
    number = int(generator.integers(1, most + 1))
    cuts = [np.sort(generator.choice(np.arange(1, side), number - 1, replace=False)) for side in (orig, latn)]
    sizes = [np.diff([0, *cut, side]) for cut, side in zip(cuts, (orig, latn), strict=True)]
    return np.stack(sizes, axis=1).flatten()


def dataset_of(pairs, group, seed=0, max_positions=64, streams=("orig", "latn", "tlm")):
    generator = np.random.default_rng(seed)
    lengths = generator.integers(1, 15, (2, pairs)).tolist()
    dataset = make_dataset(*lengths, VOCABULARY, max_positions=max_positions, streams=streams)
    for i in range(0, pairs, 3):  # what is alike, from the start on
        same = min(lengths[0][i], lengths[1][i]) // 2
        dataset.latn[i][:same] = dataset.orig[i][:same]
    rows = [random_blocks(generator, *of_pair) for of_pair in zip(*lengths, strict=True)]
    dataset.blocks = TrainingBlocks(rows, LETTERED, group)
    return dataset


def kept_blocks(dataset, index):
    """Spans and tokens of a pair's blocks, by the rules of DESIGN written out."""
    tokens = [side[index][:-1].tolist() for side in (dataset.orig, dataset.latn)]
    found, at = [], [0, 0]
    row = dataset.blocks.rows[index].tolist()
    for sizes in zip(row[::2], row[1::2], strict=False):
        spans = [(start, start + size) for start, size in zip(at, sizes, strict=True)]
        at = [stop for _, stop in spans]
        texts = [side[start:stop] for side, (start, stop) in zip(tokens, spans, strict=True)]
        seen = all(stop <= dataset.max_positions - 2 for stop in at)
        if seen and texts[0] != texts[1] and all(any(LETTERED[token] for token in text) for text in texts):
            found.append((spans, texts))
    return found


def reference(model, dataset, layer, group, kind):
    """(loss, hits, blocks): the mean over pairs of the mean over their blocks, in float64."""
    blocks = []
    for index in range(len(dataset)):
        hidden = []
        for side in ("orig", "latn"):
            tokens = torch.from_numpy(dataset[index][side][0])
            output = model(tokens, torch.arange(len(tokens)), np.array([len(tokens)]), layers=[layer])
            hidden.append(output.layers[layer][1:])
        for spans, texts in kept_blocks(dataset, index):
            vectors = [h[start:stop].mean(0) for h, (start, stop) in zip(hidden, spans, strict=True)]
            blocks.append((index, vectors, texts))
    total, hits = torch.zeros((), dtype=torch.double), 0
    for number, (index, vectors, texts) in enumerate(blocks):
        mates = [b for b in range(len(blocks)) if blocks[b][0] // group == index // group]
        same_text = lambda b: any(one == other for one, other in zip(blocks[b][2], texts, strict=True))  # noqa: B023, E731
        negatives = [b for b in mates if b != number and not same_text(b)]
        others = [vector for b in negatives for vector in blocks[b][1]]
        share = sum(b[0] == index for b in blocks)
        for anchor, partner in (vectors, vectors[::-1]):
            if kind == "l2":
                scores = torch.stack([-(anchor - other).square().sum() for other in (partner, *others)])
                loss = -scores[0]
            else:
                scores = torch.stack([anchor @ other for other in (partner, *others)])
                loss = -torch.log_softmax(scores, 0)[0]
            total = total + loss / 2 / share
            hits += (scores[1:] < scores[0]).all().item() / 2
    return total / len(dataset), hits, len(blocks)


def run(model, dataset, **flags):
    criterion = TranslitAlignmentCriterion(TranslitAlignmentCriterionConfig(**ONLY | flags), TASK)
    return criterion(model, dataset.collater([dataset[i] for i in range(len(dataset))]))


@pytest.mark.parametrize("kind", ["contrastive", "l2"])
@pytest.mark.parametrize(("group", "layer", "positions"), [(3, 2, 64), (1, 0, 64), (8, 3, 9), (100, 1, 64)])
def test_loss_and_gradient_equal_the_reference(model, kind, group, layer, positions):
    dataset = dataset_of(11, group, max_positions=positions)
    loss, pairs, log = run(model, dataset, tok_loss=kind, tok_negatives=group, tok_layer=layer, tok_weight=0.5)
    expected, hits, blocks = reference(model, dataset, layer, group, kind)
    assert blocks > 5
    assert pairs == 11
    assert loss.item() == pytest.approx(11 * 0.5 * expected.item(), rel=1e-5)
    assert log["tok"].item() == pytest.approx(11 * expected.item(), rel=1e-5)
    assert log["tok_acc"].item() == pytest.approx(hits)
    assert log["tok_blocks"].item() == pytest.approx(blocks)
    parameters = list(model.parameters())
    ours = torch.autograd.grad(loss, parameters, allow_unused=True)
    theirs = torch.autograd.grad(11 * 0.5 * expected, parameters, allow_unused=True)
    for one, two in zip(ours, theirs, strict=True):
        one, two = (torch.zeros(1) if g is None else g for g in (one, two))
        torch.testing.assert_close(*torch.broadcast_tensors(one.double(), two.double()), rtol=1e-3, atol=1e-5)
    logged = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "ppa_plugin.criterion.metrics.log_scalar", lambda key, value, *_, **__: logged.update({key: value})
        )
        TranslitAlignmentCriterion.reduce_metrics([log, log])
    assert logged["tok_acc"] == pytest.approx(hits / blocks)
    assert logged["tok_blocks"] == pytest.approx(blocks / 11)


def test_all_terms_come_from_one_forward(model):
    """The sum with TOK is that without it and TOK alone; the model runs once."""
    dataset = dataset_of(8, 4)
    calls = []
    handle = model.encoder.sentence_encoder.layers[0].register_forward_hook(lambda *_: calls.append(1))
    both = run(model, dataset, mlm_weight=1.0, tlm_weight=1.0, seq_weight=1.0)
    handle.remove()
    assert len(calls) == 1
    alone = run(model, dataset)
    without = run(model, dataset, mlm_weight=1.0, tlm_weight=1.0, seq_weight=1.0, tok_weight=0.0)
    assert both[0].item() == pytest.approx(alone[0].item() + without[0].item(), rel=1e-6)
    assert {"tok", "tok_acc", "tok_blocks"} == both[2].keys() - without[2].keys()


@pytest.mark.parametrize("kind", ["contrastive", "l2"])
def test_groups_train_as_batches_of_their_own(model, kind):
    """So W ranks with N / W pairs train as one with N: the loss is summed over ranks and divided by all pairs."""
    dataset = dataset_of(12, 4)
    whole, pairs, log = run(model, dataset, tok_loss=kind, tok_negatives=4)
    criterion = TranslitAlignmentCriterion(
        TranslitAlignmentCriterionConfig(**ONLY, tok_loss=kind, tok_negatives=4), TASK
    )
    ranks = [criterion(model, dataset.collater([dataset[i] for i in part])) for part in (range(8), range(8, 12))]
    assert pairs == sum(rank[1] for rank in ranks)
    assert whole.item() == pytest.approx(sum(rank[0].item() for rank in ranks), rel=1e-6)
    for name in ("tok", "tok_acc", "tok_blocks"):
        assert log[name].item() == pytest.approx(sum(rank[2][name].item() for rank in ranks), rel=1e-6)
    ours, theirs = (
        torch.autograd.grad(each, list(model.encoder.sentence_encoder.layers[0].parameters()))
        for each in (whole, sum(rank[0] for rank in ranks))
    )
    for one, two in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", ["contrastive", "l2"])
def test_a_batch_without_blocks_gives_zero(model, kind):
    dataset = dataset_of(3, 2)
    dataset.blocks = TrainingBlocks([np.zeros(1, dtype=np.int64)] * 3, LETTERED, 2)
    loss, _, log = run(model, dataset, tok_loss=kind)
    assert loss.item() == log["tok_blocks"].item() == 0
    gradients = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
    assert all(g is None or (g.isfinite().all() and not g.any()) for g in gradients)


def test_empty_places_give_no_gradient_that_is_not_finite():
    """Groups differ in blocks: what fills the others up reaches nothing."""
    torch.manual_seed(0)
    vectors = torch.randn(2, 3, 4, 5, requires_grad=True)
    real = torch.tensor([[1, 1, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0]], dtype=torch.bool)
    texts = torch.arange(24).view(3, 4, 2)
    for term in (block_info_nce, block_distance):
        losses, hits = term(*vectors, real, texts)
        assert losses.isfinite().all()
        assert 0 <= hits.min() <= hits.max() <= 1
        (gradient,) = torch.autograd.grad((losses * real).sum(), vectors)
        assert gradient.isfinite().all()
        assert not gradient[:, ~real].any()
    losses, hits = block_info_nce(*vectors, real, texts)
    assert losses[1, 0] == 0  # nothing to contrast with
    assert hits[1, 0] == 1


@pytest.mark.parametrize("kind", ["contrastive", "l2"])
def test_nothing_in_a_step_reads_a_value_back_from_the_device(model, kind):
    dataset = dataset_of(5, 2)
    criterion = TranslitAlignmentCriterion(
        TranslitAlignmentCriterionConfig(**ONLY, tok_loss=kind, tok_negatives=2), TASK
    )
    batch = dataset.collater([dataset[i] for i in range(5)])
    with FakeTensorMode(allow_non_fake_inputs=True) as fake:
        total, _, _ = criterion(copy.deepcopy(model).train(), to_fake(batch, fake))
        total.backward()
        with pytest.raises(DataDependentOutputException):
            total.item()


def test_a_batch_has_nothing_that_fairseq_rounds_to_half_precision():
    dataset = dataset_of(5, 2)
    batch = dataset.collater([dataset[i] for i in range(5)])
    halved = apply_to_sample(lambda tensor: tensor.half() if tensor.dtype is torch.float32 else tensor, batch)
    torch.testing.assert_close(halved["blocks"], batch["blocks"], rtol=0, atol=0)
    types = set()
    apply_to_sample(lambda tensor: types.add(tensor.dtype), batch)
    assert not any(dtype.is_floating_point for dtype in types)


def test_off_it_is_not_computed_and_takes_data_without_blocks(model):
    dataset = dataset_of(4, 2)
    dataset.blocks = None
    item = dataset[0]
    assert item.keys() == {"id", "orig", "latn", "tlm"}
    batch = dataset.collater([dataset[i] for i in range(4)])
    assert "blocks" not in batch
    criterion = TranslitAlignmentCriterion(TranslitAlignmentCriterionConfig(), TASK)
    assert [type(term).__name__ for term in criterion.terms] == ["MaskedLM", "Contrastive"]
    assert "tok" not in criterion(model, batch)[2]
    assert TranslitAlignmentCriterionConfig().tok_weight == 0


def test_layer_and_streams():
    config = TranslitAlignmentCriterionConfig
    layers = {
        TranslitAlignmentCriterion(config(**flags, tok_weight=1.0), TASK).layers
        for flags in ({"seq_layer": 1}, {"seq_layer": 1, "tok_layer": 3}, {}, {"tok_layer": 0})
    }
    assert layers == {(1,), (1, 3), (2,), (0, 2)}
    assert needed_streams(config(**ONLY)) == ("orig", "latn")
    with pytest.raises(UserError, match="--tok-layer 4 is beyond the model's depth, 3 blocks"):
        TranslitAlignmentCriterion(config(tok_weight=1.0, tok_layer=4), TASK)


def test_checkpoints_from_before_the_term_are_read_without_it():
    """Their settings have neither its flags nor what the task's would follow."""
    cfg = OmegaConf.create({"task": OmegaConf.structured(TranslitAlignmentConfig), "criterion": {"seq_weight": 0.5}})
    with pytest.raises(InterpolationKeyError):
        _ = cfg.task.tok_weight
    fill_in_later_flags(cfg.task)
    assert (cfg.task.tok_weight, cfg.task.tok_negatives, cfg.task.seq_weight) == (0, 8, 0.5)


@settings(max_examples=60)
@given(st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=4), min_size=1, max_size=8))
def test_hashes_are_equal_where_tokens_are(blocks):
    counts = np.array([len(block) for block in blocks])
    tokens = np.array([token for block in blocks for token in block])
    hashes = block_hashes(np.append(tokens, 77), np.cumsum(counts) - counts, counts)
    assert len(set(hashes.tolist())) == len(set(map(tuple, blocks)))
    assert {h: tuple(b) for h, b in zip(hashes.tolist(), blocks, strict=True)} == dict(
        zip(hashes.tolist(), map(tuple, blocks), strict=True)
    )
    assert block_hashes(tokens, np.zeros(0, int), np.zeros(0, int)).shape == (0,)


@settings(max_examples=40)
@given(st.integers(0, 1000), st.integers(3, 17))
def test_which_blocks_are_taken(seed, positions):
    """As the rules say it, one by one: whole within the positions, not alike, a letter on either side."""
    dataset = dataset_of(6, 2, seed, positions, streams=("orig", "latn"))
    for index in range(6):
        item = dataset[index]
        expected = kept_blocks(dataset, index)
        assert item["blocks"].tolist() == [[list(span) for span in spans] for spans, _ in expected]
        assert len(item["block_texts"]) == len(expected)
        assert len(expected) <= len(whole_blocks(dataset.blocks.rows[index][: 1 << 10].repeat(2).reshape(-1, 2), 10**6))


def test_what_has_letters():
    symbols = [
        "<s>",
        "<pad>",
        "</s>",
        "<unk>",
        "▁the",
        "▁",
        ",",
        "▁12",
        "½",
        "の",
        "์",
        "٣",
        "<id:97636>",
        "<<id:9>>",
        "<mask>",
    ]
    assert [s for s, known in zip(symbols, lettered(symbols), strict=True) if known] == ["▁the", "の", "์"]
