"""Where batches are full, against the rule spelled out."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from ppa_plugin.data.bounds import bounded


@given(
    lengths=st.lists(st.integers(0, 20), max_size=30),
    most=st.none() | st.integers(1, 8),
    most_tokens=st.none() | st.integers(1, 60),
    padded=st.booleans(),
)
def test_batches_are_as_long_as_the_bounds_let_them_be(lengths, most, most_tokens, padded):
    def fits(batch):
        tokens = len(batch) * max(batch) if padded else sum(batch)
        return len(batch) == 1 or (len(batch) <= (most or 99) and tokens <= (most_tokens or 10_000))

    batches = [lengths[places] for places in bounded(lengths, most, most_tokens, padded)]
    assert [length for batch in batches for length in batch] == lengths
    assert all(batch and fits(batch) for batch in batches)
    for batch, after in itertools.pairwise(batches):
        assert not fits([*batch, after[0]])


def test_nothing_gives_no_batch():
    assert list(bounded([], 4, 100)) == []
