"""Hits that are near the query and differ from each other: maximal marginal relevance."""

from __future__ import annotations

import numpy as np

from vecsearch.common.arrays import Positions
from vecsearch.index.scorer import VectorScorer
from vecsearch.query.paths import Found
from vecsearch.types import Metric

LEAST_POOL, POOL = 100, 4  # hits that are chosen from: at least, and for each that is wanted


def pool_for(k: int) -> int:
    """How many hits k diverse ones are chosen from."""
    return max(LEAST_POOL, POOL * k)


def diverse(pool: Found, k: int, diversity: float, scorer: VectorScorer) -> Positions:
    """Which k of the hits to take, in the order in which they are chosen.

    Each time the hit with the greatest (1 - diversity) * score - diversity * (its greatest
    similarity to a hit that is chosen already), where similarity is the score of the collection's
    metric between two hits (Carbonell and Goldstein, "The Use of MMR", SIGIR 1998). Of equal ones
    the earlier is taken.
    """
    count = len(pool.positions)
    vectors = scorer.snapshot.stored_vectors(pool.positions).astype(np.float64)
    relevance = (1.0 - diversity) * pool.scores.astype(np.float64)
    nearest = np.zeros(count)
    left = np.ones(count, bool)
    chosen: list[int] = []
    while len(chosen) < min(k, count):
        best = int(np.argmax(np.where(left, relevance - diversity * nearest, -np.inf)))
        similar = _scores(vectors, vectors[best], scorer.metric)
        nearest = np.maximum(nearest, similar) if chosen else similar
        left[best] = False
        chosen.append(best)
    return np.array(chosen, np.int64)


def _scores(vectors: np.ndarray, vector: np.ndarray, metric: Metric) -> np.ndarray:
    """The similarity of vectors to one of them, in float64."""
    if metric is Metric.L2:
        differences = vectors - vector
        return np.asarray(-np.vecdot(differences, differences))
    products = vectors @ vector
    if metric is Metric.COSINE:  # stored vectors have unit length up to their rounding
        lengths = np.linalg.norm(vectors, axis=1)
        products = products / (lengths * np.linalg.norm(vector))
    return np.asarray(products)
