"""The masking rule, its statistics, and what the draw depends on."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppa_plugin.data.masking import (
    BOS,
    EOS,
    FIRST_PIECE,
    PAD,
    STREAMS,
    UNK,
    Masking,
    Specials,
    concatenate_pair,
    mask_tokens,
    share_positions,
    stream_generator,
    stream_lengths,
    wrap,
)

VOCABULARY = 1000
MASKING = Masking(VOCABULARY)
SPECIALS = Specials.xlmr(VOCABULARY)
GEMMAS = Specials(bos=2, pad=0, eos=1, unk=3, mask=4)


def test_statistics_on_100k_tokens():
    tokens = np.random.default_rng(0).integers(FIRST_PIECE, MASKING.mask, 100_000)
    masked, chosen = mask_tokens(tokens, MASKING, stream_generator(1, 1, 0, "orig"))
    replaced = masked[chosen]
    is_mask, stays = replaced == MASKING.mask, replaced == tokens[chosen]
    # four standard deviations of a binomial
    assert len(chosen) == pytest.approx(15_000, abs=4 * np.sqrt(100_000 * 0.15 * 0.85))
    assert is_mask.sum() == pytest.approx(0.8 * len(chosen), abs=4 * np.sqrt(len(chosen) * 0.16))
    assert stays.sum() == pytest.approx(0.1 * len(chosen), abs=4 * np.sqrt(len(chosen) * 0.09) + 2)
    random = replaced[~is_mask & ~stays]
    assert random.min() >= FIRST_PIECE
    assert random.max() < MASKING.mask
    assert random.mean() == pytest.approx((FIRST_PIECE + MASKING.mask - 1) / 2, rel=0.05)
    untouched = np.delete(np.arange(len(tokens)), chosen)
    assert (masked[untouched] == tokens[untouched]).all()


@given(
    tokens=st.lists(st.sampled_from([BOS, PAD, EOS, UNK, 4, 5, VOCABULARY - 2, VOCABULARY - 1]), max_size=60),
    prob=st.sampled_from([0.0, 0.15, 1.0]),
    keep=st.sampled_from([0.0, 0.1, 0.5]),
    random=st.sampled_from([0.0, 0.1, 0.5]),
    sample=st.integers(0, 2**40),
)
def test_specials_are_never_chosen_and_never_drawn(tokens, prob, keep, random, sample):
    masking = Masking(VOCABULARY, prob, keep, random)
    tokens = np.array(tokens, dtype=np.int64)
    masked, chosen = mask_tokens(tokens, masking, stream_generator(1, 1, sample, "latn"))
    special = np.isin(tokens, [BOS, PAD, EOS, VOCABULARY - 1])
    assert not special[chosen].any()
    if prob == 1.0:
        assert len(chosen) == (~special).sum()  # <unk> is chosen too
    changed = np.flatnonzero(masked != tokens)
    assert set(changed) <= set(chosen)
    assert not np.isin(masked[changed], [BOS, PAD, EOS, UNK]).any()


@given(sample=st.integers(0, 2**40))
def test_random_tokens_are_the_numbers_that_xlmrs_layout_gives(sample):
    """Pieces from 4 to the one before <mask>, by one draw a token."""
    ours, plain = (stream_generator(1, 1, sample, "orig") for _ in range(2))
    assert (MASKING.draw(50, ours) == plain.integers(FIRST_PIECE, VOCABULARY - 1, 50)).all()


@pytest.mark.parametrize("specials", [GEMMAS, Specials(bos=7, pad=3, eos=9, unk=-1, mask=0)])
def test_specials_of_any_layout_are_never_chosen_and_never_drawn(specials):
    masking = Masking(12, prob=1.0, keep=0.0, random=1.0, specials=specials)
    tokens = np.tile(np.arange(12), 200)
    masked, chosen = mask_tokens(tokens, masking, stream_generator(1, 1, 0, "latn"))
    special = {index for index in specials if index >= 0}
    assert set(tokens[chosen]) == set(range(12)) - (special - {specials.unk})
    assert set(masked[chosen]) == set(range(12)) - special
    masked, chosen = mask_tokens(tokens, Masking(12, 1.0, 0, 0, specials), stream_generator(1, 1, 0, "latn"))
    assert set(masked[chosen]) == {specials.mask}
    assert wrap(np.array([5]), 512, specials).tolist() == [specials.bos, 5, specials.eos]
    both = concatenate_pair(np.array([5]), np.array([6]), 512, "both", False, specials)
    assert both.tolist() == [specials.bos, 5, specials.eos, 6, specials.eos]


def test_draws_repeat_and_differ_between_streams_epochs_samples_and_seeds():
    tokens = np.arange(FIRST_PIECE, 300)
    draws = {
        key: mask_tokens(tokens, MASKING, stream_generator(*key))[0].tobytes()
        for key in itertools.product([1, 2], [0, 1, 2], [0, 1, 7], STREAMS)
    }
    assert len(set(draws.values())) == len(draws)
    for key, masked in draws.items():
        assert mask_tokens(tokens, MASKING, stream_generator(*key))[0].tobytes() == masked


@given(orig=st.integers(1, 3000), latn=st.integers(1, 3000), available=st.integers(2, 600))
def test_both_sides_keep_their_share(orig, latn, available):
    kept_orig, kept_latn = share_positions(orig, latn, available)
    assert 1 <= kept_orig <= orig
    assert 1 <= kept_latn <= latn
    assert kept_orig + kept_latn == min(available, orig + latn)
    if min(orig, latn) >= available:  # both are cut: in proportion, up to rounding
        assert kept_orig == pytest.approx(available * orig / (orig + latn), abs=1)


@given(orig=st.integers(1, 60), latn=st.integers(1, 60), swap=st.booleans(), positions=st.integers(5, 40))
def test_tlm_sequence_keeps_both_sides_and_the_final_eos(orig, latn, swap, positions):
    a, b = np.full(orig, 10), np.full(latn, 20)
    sequence = concatenate_pair(a, b, positions, "both", swap, SPECIALS)
    assert len(sequence) == min(positions, orig + latn + 3)
    assert sequence[0] == BOS
    assert sequence[-1] == EOS
    assert (sequence == EOS).sum() == 2
    first, second = (20, 10) if swap else (10, 20)
    middle = int(np.flatnonzero(sequence == EOS)[0])
    assert set(sequence[1:middle]) == {first}
    assert set(sequence[middle + 1 : -1]) == {second}


def test_released_truncation_cuts_from_the_right():
    a, b = np.full(600, 10), np.full(600, 20)
    sequence = concatenate_pair(a, b, 512, "right", swap=False, specials=SPECIALS)
    assert sequence.tolist() == [BOS] + [10] * 510 + [EOS]
    short = concatenate_pair(a[:3], b[:2], 512, "right", swap=True, specials=SPECIALS)
    assert short.tolist() == [BOS, 20, 20, EOS, 10, 10, 10, EOS]


def test_sides_are_cut_with_their_specials():
    assert wrap(np.arange(10, 700), 512, SPECIALS).tolist() == [BOS, *range(10, 520), EOS]
    assert wrap(np.array([7]), 512, SPECIALS).tolist() == [BOS, 7, EOS]


@given(
    orig=st.integers(0, 40),
    latn=st.integers(0, 40),
    positions=st.integers(5, 40),
    truncation=st.sampled_from(["both", "right"]),
    swap=st.booleans(),
)
def test_lengths_of_streams_are_those_of_the_sequences(orig, latn, positions, truncation, swap):
    if truncation == "both" and not (orig and latn):
        return  # preprocessing leaves pairs with an empty side out
    sides = {"orig": np.full(orig, 7), "latn": np.full(latn, 8)}
    made = {side: wrap(tokens, positions, SPECIALS) for side, tokens in sides.items()}
    made["tlm"] = concatenate_pair(*sides.values(), positions, truncation, swap, SPECIALS)
    counted = stream_lengths(np.array([orig + 1]), np.array([latn + 1]), positions)  # as binarized, with </s>
    assert {stream: len(tokens) for stream, tokens in made.items()} == {s: n.item() for s, n in counted.items()}
