"""The paired bootstrap against every resample written out, and known cases."""

from itertools import product

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_results import result

from ppa_plugin.evaluation.report.groups import EVERYTHING
from ppa_plugin.evaluation.report.measured import Column, Measured
from ppa_plugin.evaluation.report.paper_tables import average_table, main_blocks, paired_differences
from ppa_plugin.evaluation.report.significance import mark, paired_bootstrap

COLUMN = Column("bible", "top10", "eng_Latn")


def exact_shares(differences: numpy.ndarray) -> tuple[float, float]:
    """Shares of all equally likely resamples whose mean is at most and at least 0."""
    targets, seeds = differences.shape
    means = [
        round(differences[numpy.ix_(rows, columns)].mean(), 12)
        for rows in product(range(targets), repeat=targets)
        for columns in product(range(seeds), repeat=seeds)
    ]
    return sum(m <= 0 for m in means) / len(means), sum(m >= 0 for m in means) / len(means)


@pytest.mark.parametrize(
    "differences",
    [
        [[0.3], [-0.1], [0.1], [-0.2]],
        [[0.1, -0.2, 0.05]],
        [[0.1, -0.1], [0.2, -0.05], [-0.3, 0.15]],
        [[0.2, 0.1, 0.0], [-0.1, 0.1, -0.05]],
    ],
)
def test_equal_to_the_enumeration(differences):
    differences = numpy.array(differences)
    expected = min(1.0, 2 * min(exact_shares(differences)))
    resamples = 200_000
    # four standard errors of a share of as many draws
    tolerance = 2 * 4 * 0.5 / resamples**0.5
    assert expected > 0.05
    assert paired_bootstrap(differences, resamples) == pytest.approx(expected, abs=tolerance)


def test_identical_models_never_differ():
    assert paired_bootstrap(numpy.zeros((9, 5))) == 1.0
    assert mark(numpy.zeros((9, 5))) == ""


@given(st.integers(1, 12), st.integers(1, 6), st.floats(0.01, 1.0), st.sampled_from([-1, 1]))
@settings(max_examples=20, deadline=None)
def test_a_constant_gain_always_differs(targets, seeds, gain, sign):
    differences = numpy.full((targets, seeds), sign * gain)
    assert paired_bootstrap(differences) == 2 / 10_001
    # no more than a sign test of as many pairs can say: 2 / 2**6 is below 5%, 2 / 2**8 below 1%
    pairs = targets * seeds
    assert mark(differences) == ("‡" if pairs >= 8 else "†" if pairs >= 6 else "")


@given(st.lists(st.lists(st.integers(-9, 9), min_size=3, max_size=3), min_size=2, max_size=8))
@settings(max_examples=20, deadline=None)
def test_symmetric_in_sign_and_seeded(rows):
    differences = numpy.array(rows) / 100
    p = paired_bootstrap(differences, 500)
    assert paired_bootstrap(-differences, 500) == p
    assert paired_bootstrap(differences, 500) == p
    assert 2 / 501 <= p <= 1


def test_another_seed_gives_other_resamples():
    differences = numpy.array([[0.3], [-0.1], [0.1], [-0.2], [0.02]])
    assert len({paired_bootstrap(differences, 500, seed) for seed in range(8)}) > 1


def test_marks_by_p():
    few = numpy.array([[0.1], [0.2], [0.15], [0.1], [0.1], [0.3], [0.2], [-0.2]])
    p = paired_bootstrap(few)
    assert 0.01 < p < 0.05
    assert mark(few) == "†"


def paired(ours: dict, theirs: dict, targets=("fas_Arab", "tur_Latn")) -> numpy.ndarray:
    results = [
        result(model, target, value, seed=seed)
        for model, values in (("aligned", ours), ("base", theirs))
        for (target, seed), value in values.items()
    ]
    return paired_differences(Measured(results), "aligned", "base", COLUMN, list(targets))


def test_differences_are_paired_by_target_and_seed():
    ours = {("fas_Arab", 1): 0.5, ("fas_Arab", 2): 0.7, ("tur_Latn", 1): 0.1, ("tur_Latn", 2): 0.2}
    theirs = {("tur_Latn", 2): 0.3, ("tur_Latn", 1): 0.0, ("fas_Arab", 2): 0.3, ("fas_Arab", 1): 0.1}
    assert paired(ours, theirs) == pytest.approx(numpy.array([[0.4, 0.4], [0.1, -0.1]]))
    # a seed that one of them lacks on one target pairs nothing
    del theirs["tur_Latn", 2]
    assert paired(ours, theirs) == pytest.approx(numpy.array([[0.4], [0.1]]))
    # without a seed in common the means over seeds are compared
    theirs = {("fas_Arab", 3): 0.1, ("tur_Latn", 3): 0.05}
    assert paired(ours, theirs) == pytest.approx(numpy.array([[0.5], [0.1]]))


def test_marks_stand_in_the_averages_against_the_baseline_alone():
    targets = ["fas_Arab", "ell_Grek", "heb_Hebr", "tur_Latn", "kor_Hang", "tha_Thai", "lao_Laoo", "mya_Mymr"]
    gains = {"base": 0.0, "same": 0.0, "aligned": 0.3}
    results = [
        result(model, target, 0.4 + place / 100 + gain)
        for model, gain in gains.items()
        for place, target in enumerate(targets)
    ]
    measured = Measured(results, "base")
    (block,) = main_blocks(measured, EVERYTHING, [EVERYTHING])
    marks = {row.labels[1]: row.cells[0].mark for row in average_table(measured, block, "base").rows}
    assert marks == {"base": "", "same": "", "aligned": "‡", "targets": ""}
    unmarked = average_table(measured, block, None)
    assert not any(cell.mark for row in unmarked.rows for cell in row.cells)
    assert not any("bootstrap" in note for note in unmarked.notes)
