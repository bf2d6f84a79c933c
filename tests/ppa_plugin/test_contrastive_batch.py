"""What the log says of the pairs that contrast with one another."""

import pytest

from ppa_plugin.task import groups_of


@pytest.mark.parametrize(
    ("pairs", "negatives", "says"),
    [
        (256, None, ""),
        (256, 64, ", in groups of 64"),
        (64, 64, ""),
        (8, 64, ", fewer than --seq-negatives 64"),
    ],
)
def test_a_batch_smaller_than_its_groups_is_not_called_groups(pairs, negatives, says):
    assert groups_of(pairs, negatives) == says
