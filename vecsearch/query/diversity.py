"""Hits that are near the query and differ from each other: maximal marginal relevance."""

from __future__ import annotations

import numpy as np

from vecsearch.common.arrays import Positions
from vecsearch.index.scorer import VectorScorer
from vecsearch.query.paths import Found
from vecsearch.types import Metric

TINY = 1e-300  # instead of a division by zero
LEAST_POOL, POOL = 100, 4  # hits that are chosen from: at least, and for each that is wanted


def pool_for(k: int) -> int:
    """How many hits k diverse ones are chosen from."""
    return max(LEAST_POOL, POOL * k)


def diverse(
    pool: Found, k: int, diversity: float, scorer: VectorScorer, *, scaled: bool = False
) -> Positions:
    """Which k of the hits to take, in the order in which they are chosen.

    Each time the hit with the greatest (1 - diversity) * score - diversity * (its greatest
    similarity to a hit that is chosen already), where similarity is the score of the collection's
    metric between two hits (Carbonell and Goldstein, "The Use of MMR", SIGIR 1998). Of equal ones
    the earlier is taken.

    Args:
        pool: The hits, best first.
        k: How many to take.
        diversity: From 0 to 1.
        scorer: Of the collection.
        scaled: Whether scores are not those of the metric, as in searches by words. They are then
            put on a scale from 0 for the last of the first 100 hits to 1 for the first, and
            similarity is the cosine.
    """
    metric = Metric.COSINE if scaled else scorer.metric
    count = len(pool.positions)
    vectors = scorer.snapshot.stored_vectors(pool.positions).astype(np.float64)
    scores = pool.scores.astype(np.float64)
    if scaled and count:
        worst = scores[min(count, LEAST_POOL) - 1]
        scores = (scores - worst) / max(scores[0] - worst, TINY)
    relevance = (1.0 - diversity) * scores
    nearest = np.zeros(count)
    left = np.ones(count, bool)
    chosen: list[int] = []
    while len(chosen) < min(k, count):
        best = int(np.argmax(np.where(left, relevance - diversity * nearest, -np.inf)))
        similar = _scores(vectors, vectors[best], metric)
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
        products = products / np.maximum(lengths * np.linalg.norm(vector), TINY)
    return np.asarray(products)
