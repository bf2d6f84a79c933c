"""Whether two models differ: a paired bootstrap over targets and seeds."""

import numpy

RESAMPLES = 10_000
SEED = 20240628  # any; fixed, so that the same results get the same marks
# A sign test, too, can call 6 pairs of one sign different at 5% (2 / 2**6), fewer it cannot; the bootstrap alone would.
FEWEST_PAIRS = 6
FEWEST_PAIRS_AT_1_PERCENT = 8  # likewise, 2 / 2**8
# p below -> mark, smallest first
MARKS = ((0.01, "‡"), (0.05, "†"))


def paired_bootstrap(differences: numpy.ndarray, resamples: int = RESAMPLES, seed: int = SEED) -> float:
    """Two-sided p of "the mean difference is 0", at least 2 / (resamples + 1).

    `differences`: (targets, seeds), model minus baseline on the same target with the same seed. Targets and seeds are
    drawn with replacement, independently of each other, since a seed's luck is shared by all targets of its
    fine-tuning; p is twice the smaller share of resampled means at or beyond 0, with one added to count and number.
    """
    targets, seeds = differences.shape
    generator = numpy.random.default_rng(seed)
    of_targets = generator.multinomial(targets, numpy.full(targets, 1 / targets), size=resamples)
    of_seeds = generator.multinomial(seeds, numpy.full(seeds, 1 / seeds), size=resamples)
    means = ((of_targets @ differences) * of_seeds).sum(axis=1) / (targets * seeds)
    means = means.round(12)  # differences that cancel are 0, whatever the order of the sum
    at_most, at_least = int((means <= 0).sum()), int((means >= 0).sum())
    return min(1.0, 2 * (min(at_most, at_least) + 1) / (resamples + 1))


def mark(differences: numpy.ndarray | None) -> str:
    """The mark of a difference, empty where it is none, there are no pairs (None) or too few to tell."""
    if differences is None or differences.size < FEWEST_PAIRS:
        return ""
    p = max(paired_bootstrap(differences), 2 * 0.5**differences.size)
    return next((sign for threshold, sign in MARKS if p < threshold), "")
