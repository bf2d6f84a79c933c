"""Pairs, their packed batches, and how they are cut into micro-batches."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import Rows, make_dataset

from ppa_plugin.data.masking import BOS, EOS, STREAMS, Masking
from ppa_plugin.data.paired_dataset import PairedDataset

LENGTHS = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=12)


@given(
    lengths=LENGTHS, max_positions=st.integers(8, 40), streams=st.sampled_from([STREAMS, ("orig", "latn"), ("tlm",)])
)
@settings(deadline=None)
def test_packed_batch_holds_every_stream_of_every_pair(lengths, max_positions, streams):
    dataset = make_dataset(*zip(*lengths, strict=True), max_positions=max_positions, streams=streams)
    samples = [dataset[i] for i in range(len(dataset))]
    batch = dataset.collater(samples)
    net_input, bounds = batch["net_input"], batch["net_input"]["cu_seqlens"].tolist()
    assert net_input["lengths"].tolist() == np.diff(bounds).tolist() == sorted(np.diff(bounds), reverse=True)
    assert batch["ntokens"] == len(net_input["tokens"]) == dataset.sizes.sum() == bounds[-1]
    seen = []
    for stream in streams:
        masked = batch["masked"][stream]
        expected_rows, expected_targets = [], []
        for sample, number in zip(samples, batch["sequence"][stream].tolist(), strict=True):
            start, end = bounds[number : number + 2]
            assert net_input["tokens"][start:end].tolist() == sample[stream][0].tolist()
            assert net_input["positions"][start:end].tolist() == list(range(end - start))
            expected_rows += (start + sample[stream][1]).tolist()
            expected_targets += sample[stream][2].tolist()
            seen.append(number)
        assert masked["rows"].tolist() == expected_rows
        assert masked["targets"].tolist() == expected_targets
    assert sorted(seen) == list(range(len(bounds) - 1))


def test_content_is_what_is_not_special_of_the_two_sides():
    dataset = make_dataset([3, 9], [5, 2])
    batch = dataset.collater([dataset[0], dataset[1]])
    tokens, bounds = batch["net_input"]["tokens"], batch["net_input"]["cu_seqlens"].tolist()
    expected = []
    for number in torch.cat([batch["sequence"]["orig"], batch["sequence"]["latn"]]).tolist():
        rows = range(bounds[number], bounds[number + 1])
        expected += [(row, number) for row in rows if tokens[row] not in (BOS, EOS)]
    found = zip(batch["content"].tolist(), batch["content_sequence"].tolist(), strict=True)
    assert sorted(expected) == sorted(found)
    assert len(expected) == 3 + 9 + 5 + 2


def test_an_item_depends_on_seed_epoch_and_index_alone():
    dataset = make_dataset([30] * 8, [25] * 8)
    dataset.set_epoch(3)
    before = [dataset[i] for i in range(8)]
    dataset.set_epoch(4)
    assert any((dataset[i]["orig"][0] != before[i]["orig"][0]).any() for i in range(8))
    dataset.set_epoch(3)
    for i in reversed(range(8)):
        for stream in STREAMS:
            assert all((a == b).all() for a, b in zip(dataset[i][stream], before[i][stream], strict=True))


def test_shuffled_pairs_are_those_of_the_romanizations_in_another_order():
    partners = np.array([2, 0, 3, 1])
    dataset = make_dataset([30, 4, 9, 21], [25, 6, 12, 40], max_positions=24, hash_texts=True, partners=partners)
    latn = Rows(dataset.latn[row] for row in partners)
    expected = PairedDataset(dataset.orig, latn, dataset.masking, max_positions=24, hash_texts=True)
    assert dataset.sizes.tolist() == expected.sizes.tolist()
    for i in range(4):
        assert dataset[i]["texts"].tolist() == expected[i]["texts"].tolist()
        for stream in STREAMS:
            assert all((a == b).all() for a, b in zip(dataset[i][stream], expected[i][stream], strict=True))


def test_validation_draws_once():
    dataset = make_dataset([30] * 3, [25] * 3, fixed=True)
    before = [dataset[i]["tlm"][0] for i in range(3)]
    dataset.set_epoch(9)
    assert all((dataset[i]["tlm"][0] == before[i]).all() for i in range(3))


@given(lengths=LENGTHS, ranks=st.integers(1, 4), pairs=st.integers(1, 5), tokens=st.integers(20, 300) | st.none())
@settings(deadline=None)
def test_micro_batches_hold_every_pair_once_within_bounds(lengths, ranks, pairs, tokens):
    dataset = make_dataset(*zip(*lengths, strict=True))
    dataset.batch_count_multiple = ranks
    indices = dataset.ordered_indices()
    if len(lengths) < ranks:
        with pytest.raises(ValueError, match="cannot be shared"):
            dataset.batch_by_size(indices, tokens, pairs)
        return
    batches = dataset.batch_by_size(indices, tokens, pairs)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(dataset)))
    assert len(batches) % ranks == 0
    if len(batches) + ranks > len(lengths):
        return  # too few pairs to halve: a bound may have given way
    for batch in batches:
        assert 1 <= len(batch) <= pairs
        assert tokens is None or len(batch) == 1 or dataset.sizes[batch].sum() <= tokens


def test_batches_are_random_or_of_similar_length():
    lengths = np.random.default_rng(0).integers(1, 60, 200)
    random, by_length = (make_dataset(lengths, lengths, batch_order=order) for order in ("random", "length"))

    def spread(dataset):
        np.random.seed(1)
        batches = dataset.batch_by_size(dataset.ordered_indices(), max_sentences=8)
        return np.mean([np.ptp(dataset.sizes[batch]) for batch in batches])

    assert spread(by_length) < spread(random) / 5


def test_sides_of_different_length_are_refused():
    with pytest.raises(ValueError, match="3 original and 2 romanized"):
        make_dataset([1, 2, 3], [1, 2])


TEXT = st.lists(st.integers(4, 6), min_size=1, max_size=8)


@given(texts=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=10), kind=st.sampled_from([np.uint16, np.int32]))
def test_texts_hash_alike_where_their_tokens_before_masking_are_equal_after_cutting(texts, kind):
    rows = [Rows(np.array([*pair[side], EOS], dtype=kind) for pair in texts) for side in (0, 1)]
    dataset = PairedDataset(*rows, Masking(8, prob=0.5), ("orig", "latn"), max_positions=7, hash_texts=True)
    batch = dataset.collater([dataset[i] for i in range(len(texts))])
    assert batch["texts"].shape == (len(texts), 2)
    assert batch["texts"].dtype == torch.int64
    seen = {}
    for hashes, pair in zip(batch["texts"].tolist(), texts, strict=True):
        for value, text in zip(hashes, pair, strict=True):
            assert seen.setdefault(tuple(text[:5]), value) == value
    assert len(set(seen.values())) == len(seen)


def test_a_hash_is_the_same_in_every_process():
    rows = Rows([torch.tensor([4, 70000, EOS])])
    dataset = PairedDataset(rows, rows, Masking(80000), ("orig",), hash_texts=True)
    assert dataset[0]["texts"].tolist() == [8553325883475625272] * 2


def test_texts_are_not_hashed_unless_asked_for():
    dataset = make_dataset([3], [4])
    assert "texts" not in dataset[0]
    assert "texts" not in dataset.collater([dataset[0]])
