"""How well a linear probe on sentence vectors tells scripts apart: the script barrier as a number."""

import warnings
from collections import Counter
from dataclasses import dataclass

import numpy as np

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.analysis.sentence_sample import Sample

FOLDS = 5
_MOST_ITERATIONS = 1000


@dataclass(frozen=True)
class Balanced:
    """Which vectors the probe is given: as many of every script.

    `rows` index the vectors of all samples, one sample after the other; `scripts[i]` and `numbers[i]` are the script
    and the sentence number of row i.
    """

    rows: np.ndarray
    scripts: np.ndarray
    numbers: np.ndarray

    @property
    def counts(self) -> dict[str, int]:
        """How many vectors each script has, by name."""
        return dict(sorted(Counter(self.scripts.tolist()).items()))

    @property
    def chance(self) -> float:
        """The accuracy of always saying the most frequent script."""
        return max(self.counts.values()) / len(self.rows)


@dataclass(frozen=True)
class Probed:
    """Held-out accuracy over all vectors, and by script; `converged` is whether every fit did."""

    accuracy: float
    by_script: dict[str, float]
    converged: bool


def balance(samples: list[Sample]) -> Balanced:
    """As many vectors of every script, each sentence number once a script, the languages of a script in turn.

    Where all languages have the same numbers, so have all scripts: what a sentence says tells a probe nothing then.
    """
    rows_by_script: dict[str, list[dict[int, int]]] = {}
    start = 0
    for sample in samples:
        rows = {number: row for row, number in enumerate(sample.numbers, start)}
        rows_by_script.setdefault(sample.script, []).append(rows)
        start += len(rows)
    in_turn = {script: _in_turn(languages) for script, languages in sorted(rows_by_script.items())}
    fewest = min(map(len, in_turn.values()))
    chosen = [(row, script, number) for script, given in in_turn.items() for number, row in given[:fewest]]
    rows, scripts, numbers = zip(*chosen, strict=True)
    return Balanced(np.array(rows), np.array(scripts), np.array(numbers))


def _in_turn(languages: list[dict[int, int]]) -> list[tuple[int, int]]:
    """(number, row) of every number of a script: its languages in turn give their next one that was not given yet."""
    given: dict[int, int] = {}
    waiting = [iter(rows.items()) for rows in languages]
    while waiting:
        for numbers in list(waiting):
            following = next(((number, row) for number, row in numbers if number not in given), None)
            if following:
                given[following[0]] = following[1]
            else:
                waiting.remove(numbers)
    return list(given.items())


def folds_of(numbers: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """The fold, 0 to folds - 1, of every vector: equal numbers are in one fold, which fold is drawn with `seed`."""
    distinct, place = np.unique(numbers, return_inverse=True)
    shuffled = np.random.default_rng(seed).permutation(len(distinct))
    return shuffled[place] % folds


def accuracy(vectors: np.ndarray, balanced: Balanced, seed: int) -> Probed:
    """Cross-validated accuracy of a logistic regression on standardised vectors; vectors N x C of `balanced.rows`.

    Every vector is judged once, by a probe that saw no translation of its sentence; means and deviations, too, are
    those of the training part. Raises `UserError` where there are too few sentences to train on all scripts.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import PredefinedSplit, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    folds, scripts = folds_of(balanced.numbers, FOLDS, seed), balanced.scripts
    if len(set(folds)) < FOLDS or any(set(scripts[folds != fold]) != set(scripts) for fold in range(FOLDS)):
        raise UserError(
            f"{min(balanced.counts.values())} sentences a script are too few to cross-validate in {FOLDS} folds; "
            "raise --sentences, or leave out with --languages what has so few"
        )
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=_MOST_ITERATIONS))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", ConvergenceWarning)
        right = cross_val_predict(probe, vectors, scripts, cv=PredefinedSplit(folds)) == scripts
    converged = not any(issubclass(warning.category, ConvergenceWarning) for warning in said)
    by_script = {script: float(right[scripts == script].mean()) for script in balanced.counts}
    return Probed(float(right.mean()), by_script, converged)
