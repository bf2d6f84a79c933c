"""Sentence vectors in two dimensions, by principal components."""

import numpy as np


def principal_components(vectors: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """The first two principal components of N x C vectors, N and C at least 2: N x 2, and each one's share of variance.

    A component's sign, which is free, is such that its largest loading by size is positive, so that a run repeated
    gives the same picture. Shares are 0 where all vectors are the same.
    """
    from sklearn.decomposition import PCA

    pca = PCA(2, svd_solver="full")
    with np.errstate(invalid="ignore"):  # no variance has no shares
        points = pca.fit_transform(vectors.astype(np.float64))
    return points, np.nan_to_num(pca.explained_variance_ratio_).tolist()
