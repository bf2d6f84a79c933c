"""The script barrier of one model: a probe at each layer, and pictures of the sentence vectors."""

import numpy as np

from ppa_plugin.commandline import align
from ppa_plugin.evaluation.analysis import probe
from ppa_plugin.evaluation.analysis.records import Record
from ppa_plugin.evaluation.analysis.sentence_sample import Sample

MOST_POINTS = 100  # of a language in a projection, so that a report stays small


def probe_values(layer: int, vectors: np.ndarray, balanced: probe.Balanced, seed: int) -> Record:
    """What a `scripts` record says of a layer; `by_script` is the accuracy on the vectors of each script."""
    probed = probe.accuracy(vectors[balanced.rows], balanced, seed)
    return {
        "layer": layer,
        "accuracy": probed.accuracy,
        "chance": balanced.chance,
        "scripts": balanced.counts,
        "by_script": probed.by_script,
        "folds": probe.FOLDS,
        "seed": seed,
        "converged": probed.converged,
    }


def projection_values(layer: int, vectors: np.ndarray, samples: list[Sample]) -> Record:
    """What a `projection` record says of a layer: of each language the first `MOST_POINTS` sentences."""
    places = [(sample.language, place) for sample in samples for place in range(len(sample.sentences))]
    rows = [row for row, (_, place) in enumerate(places) if place < MOST_POINTS]
    points, shares = principal_components(vectors[rows])
    rounded = [[round(float(x), 4) for x in point] for point in points]
    return {
        "layer": layer,
        "method": "pca",
        "points": rounded,
        "labels": [places[row][0] for row in rows],
        "explained": [round(share, 4) for share in shares],
    }


def principal_components(vectors: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """The first two principal components of N x C vectors, N and C at least 2: N x 2, and each one's share of variance.

    A component's sign, which is free, is such that its largest loading by size is positive, so that a run repeated
    gives the same picture. Shares are 0 where all vectors are the same.
    """
    from sklearn.decomposition import PCA

    components = PCA(2, svd_solver="full")
    with np.errstate(invalid="ignore"):  # of no variance a share is 0 / 0
        points = components.fit_transform(vectors.astype(np.float64))
    return points, np.nan_to_num(components.explained_variance_ratio_).tolist()


def summary(records: list[Record], depth: int) -> str:
    """`scripts` and `projection` records of one run as text: a layer a row, accuracies and shares in percent."""
    probed = [entry for entry in records if entry["kind"] == "scripts"]
    first = probed[0]
    scripts = list(first["scripts"])
    rows = [["layer", "accuracy", "chance", *scripts]]
    for entry in probed:
        shares = [entry["accuracy"], entry["chance"], *(entry["by_script"][script] for script in scripts)]
        rows.append([str(entry["layer"]), *(f"{100 * share:.1f}" for share in shares)])
    title = f"{first['model']}: {first['task']}, {depth} layers, pool {first['pool']}, "
    lines = [title + f"{first['scripts'][scripts[0]]} sentences a script, {first['folds']} folds; percent"]
    lines += align(rows)
    slow = [str(entry["layer"]) for entry in probed if not entry["converged"]]
    if slow:
        lines.append(f"note: the probe's fit had not converged at layer {', '.join(slow)} when it was ended")
    for entry in records:
        if entry["kind"] == "projection":
            one, two = (f"{100 * share:.1f}" for share in entry["explained"])
            points = len(entry["points"])
            lines.append(f"layer {entry['layer']} in 2-D: {points} points, {one} and {two} percent of the variance")
    return "\n".join(lines) + "\n"
