"""Regions of the data: clusters by k-means, to measure recall in each of them."""

from __future__ import annotations

import faiss
import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Vectors
from vecsearch.index.faiss.sound import require_finite

ROUNDS = 20


def regions_of(vectors: Vectors, queries: Vectors, count: int, seed: int) -> npt.NDArray[np.int64]:
    """The region of each query: the nearest of `count` centers of the data.

    Args:
        vectors: float32 (rows, dim), a sample of the data, at least `count` rows.
        queries: float32 (nq, dim).
        count: Regions to divide the data into.
        seed: Seed of the clustering.

    Returns:
        int64 (nq,), from 0 to count - 1.

    Raises:
        CorruptedError: A vector is not of finite numbers, or is too long for float32.
    """
    require_finite(vectors)
    means = faiss.Kmeans(
        vectors.shape[1], count, niter=ROUNDS, seed=seed, min_points_per_centroid=1
    )
    means.train(np.ascontiguousarray(vectors, np.float32))
    regions: npt.NDArray[np.int64] = means.index.search(queries, 1)[1][:, 0]
    return regions
