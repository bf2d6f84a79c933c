"""Shares of languages in an epoch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppa_plugin.data.sampling import other_partners, sample_languages


@given(
    sizes=st.lists(st.integers(1, 300), min_size=1, max_size=6),
    alpha=st.floats(0, 1.5),
    seed=st.integers(0, 2**32 - 1),
)
def test_as_many_pairs_with_the_wanted_shares_each_as_often_as_its_neighbours(sizes, alpha, seed):
    drawn = sample_languages(sizes, alpha, np.random.RandomState(seed))
    assert len(drawn) == sum(sizes)
    weights = np.array(sizes) ** alpha
    seen = np.bincount(drawn, minlength=sum(sizes))
    start = 0
    for size, share in zip(sizes, weights / weights.sum(), strict=True):
        of_language = seen[start : start + size]
        assert of_language.sum() == pytest.approx(share * sum(sizes), abs=1)
        assert np.ptp(of_language) <= 1
        start += size


def test_alpha_of_one_takes_every_pair_once():
    drawn = sample_languages([5, 90, 13], 1.0, np.random.RandomState(0))
    assert sorted(drawn.tolist()) == list(range(108))


def test_small_languages_gain_below_one():
    sizes = [1000, 10]
    counts = [(sample_languages(sizes, alpha, np.random.RandomState(0)) >= 1000).sum() for alpha in (1.0, 0.7, 0.3, 0)]
    assert counts == sorted(counts)
    assert counts[-1] == 505


@given(sizes=st.lists(st.integers(0, 60), min_size=1, max_size=6), seed=st.integers(0, 2**32 - 1))
def test_no_pair_keeps_its_partner_and_none_leaves_its_language(sizes, seed):
    partners = other_partners(sizes, seed)
    assert sorted(partners) == list(range(sum(sizes)))
    language = np.repeat(np.arange(len(sizes)), sizes)
    assert (language[partners] == language).all()
    alone = np.repeat(np.array(sizes) == 1, sizes)
    assert ((partners == np.arange(sum(sizes))) == alone).all()


def test_partners_are_drawn_for_each_seed_and_language():
    one, two = other_partners([500, 500], 1), other_partners([500, 500], 2)
    assert (one == other_partners([500, 500], 1)).all()
    assert np.mean(one == two) < 0.05
    assert np.mean(one[500:] - 500 == one[:500]) < 0.05
    # of two romanizers, line i and line i + n / 2 are the same sentence
    assert np.mean(one[:250] == np.arange(250) + 250) < 0.05
