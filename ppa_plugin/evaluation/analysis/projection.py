"""Sentence vectors in two dimensions, by principal components."""

import numpy as np


def principal_components(vectors: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """The first two principal components of N x C vectors, N and C at least 2: N x 2, and each one's share of variance.

    A component's sign, which is free, is such that its largest loading by size is positive, so that a run repeated
    gives the same picture. Shares are 0 where all vectors are the same.
    """
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    _, values, components = np.linalg.svd(centred, full_matrices=False)
    components = components[:2]
    largest = np.abs(components).argmax(axis=1)
    signs = np.where(components[np.arange(2), largest] < 0, -1.0, 1.0)
    variance = values**2
    total = variance.sum()
    shares = (variance[:2] / total if total > 0 else np.zeros(2)).tolist()
    return centred @ (components * signs[:, None]).T, shares
