"""The scores that users see, in numpy: the same numbers as `numba_scores.py`, bit by bit.

Scores are computed in float64, each row by itself. A sum in floating point depends on the order of
its terms, so the order is fixed: term i goes to partial sum i mod LANES, each partial sum adds its
terms in order, then the first half of the partial sums is added to the second half until one number
is left. Thus a row has one score, whatever found it and whatever computed it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import StoredVectors, Vectors
from vecsearch.index.kernels.arguments import COSINE, EUCLIDEAN, LANES

LARGEST = float(np.finfo(np.float32).max)
TINY = float(np.finfo(np.float64).tiny)
PART_BYTES = 4 * 1024 * 1024  # of float64 vectors that are scored together
Wide = npt.NDArray[np.float64]


def final_scores(vectors: StoredVectors, query: Vectors, metric: int) -> Wide:
    """The scores of some vectors for one query, before they are rounded to float32.

    A cosine is divided by both lengths, which are near 1, and never exceeds 1. A score too large
    for float32 is infinite.

    Args:
        vectors: float32 or float16 (rows, dim).
        query: float32 (dim,).
        metric: INNER_PRODUCT, COSINE or EUCLIDEAN.

    Returns:
        float64 (rows,).
    """
    step = max(1, PART_BYTES // (8 * len(query)))
    parts = [
        _scores(vectors[first : first + step], query, metric)
        for first in range(0, len(vectors), step)
    ]
    return parts[0] if len(parts) == 1 else np.concatenate(parts or [np.empty(0)])


def squares(vectors: Vectors) -> Wide:
    """The square of the length of each vector, float32 (n, dim): float64 (n,)."""
    step = max(1, PART_BYTES // (8 * vectors.shape[1]))
    parts = [_in_lanes(vectors[first : first + step]) for first in range(0, len(vectors), step)]
    return np.concatenate([_sums(np.multiply(part, part, out=part)) for part in parts])


def _scores(vectors: StoredVectors, query: Vectors, metric: int) -> Wide:
    wide = _in_lanes(np.concatenate([vectors, query[None]]))  # the query last: for its own length
    terms, rows, _ = wide.shape
    if metric == COSINE:
        both = np.empty((terms, 2 * rows, LANES))
        np.multiply(wide, wide[:, -1:], out=both[:, :rows])
        np.multiply(wide, wide, out=both[:, rows:])
        sums = _sums(both)
        lengths = np.sqrt(sums[rows:-1] * sums[-1])
        scores = sums[: rows - 1] / np.maximum(lengths, TINY, out=lengths)
        return np.asarray(np.clip(scores, -1.0, 1.0))
    if metric == EUCLIDEAN:
        wide -= wide[:, -1:].copy()
        scores = 0.0 - _sums(np.multiply(wide, wide, out=wide))[:-1]  # 0.0 rather than -0.0
    else:
        scores = _sums(wide * wide[:, -1:])[:-1]
    scores[np.abs(scores) > LARGEST] *= np.inf
    return scores


def _in_lanes(vectors: StoredVectors) -> Wide:
    """Vectors (n, dim) as float64 (terms of a partial sum, n, LANES), padded with zeros."""
    count, dim = vectors.shape
    terms = -(-dim // LANES)
    if dim != terms * LANES:
        padded = np.zeros((count, terms * LANES), vectors.dtype)
        padded[:, :dim] = vectors
        vectors = padded
    by_term = vectors.reshape(count, terms, LANES).transpose(1, 0, 2)
    return by_term.astype(np.float64, order="C")


def _sums(terms: Wide) -> Wide:
    """Sums of terms (terms of a partial sum, n, LANES): (n,). numpy adds along axis 0 in order."""
    lanes = np.add.reduce(terms, axis=0)
    half = LANES
    while half > 1:
        half //= 2
        lanes = lanes[:, :half] + lanes[:, half:]
    return np.asarray(lanes[:, 0])
