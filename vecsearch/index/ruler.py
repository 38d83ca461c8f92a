"""The one rule by which a row counts as found: calibration, measuring and benchmarks use it.

The truth is exact search in float64 over the stored vectors. Scores closer to the k-th best than
float32 itself can tell apart are ties with it. A vector that becomes float32 moves by at most
u = 2^-24 of its length, about 6e-8, so of two vectors q and x, d apart,

    the inner product moves by at most 2u |q| |x|, and
    the squared distance by at most 2u d (|q| + |x|),

and rounding the score adds u of the score. With some room that is

    cosine          2e-7
    inner product   2e-7 |q| |x|
    l2              2e-7 (d² + 2 d (|q| + |x|))

where x is the k-th best row. Ties fill only the ranks that ties have in the exact answer: rows that
score like the k-th do not make up for a better row that was missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vecsearch.types import Metric

TOLERANCE = 2e-7
Wide = npt.NDArray[np.float64]
Lines = npt.NDArray[np.int64]


class Truth(NamedTuple):
    """Exact answers of some queries, best first, and how near a score must come to each.

    Attributes:
        rows: int64 (nq, k), -1 for none.
        scores: float64 (nq, k), -inf for none.
        tolerances: float64 (nq, k): scores this far below are ties, if that row is the k-th best.
    """

    rows: Lines
    scores: Wide
    tolerances: Wide

    def first(self, queries: int, k: int) -> Truth:
        """The k best of the first queries."""
        part = slice(queries), slice(k)
        return Truth(self.rows[part], self.scores[part], self.tolerances[part])

    def taken(self, queries: Lines) -> Truth:
        """Those of some queries, by number."""
        return Truth(self.rows[queries], self.scores[queries], self.tolerances[queries])

    def followed_by(self, other: Truth) -> Truth:
        """These queries, then others."""
        return Truth(
            np.concatenate([self.rows, other.rows]),
            np.concatenate([self.scores, other.scores]),
            np.concatenate([self.tolerances, other.tolerances]),
        )


def tolerances(
    metric: Metric, scores: Wide, lengths: Wide | None = None, query_lengths: Wide | None = None
) -> Wide:
    """How far below each score another is a tie with it; see the head of this module.

    Args:
        metric: What the scores are.
        scores: float64 (nq, k), larger is better.
        lengths: float64 (nq, k), the lengths of those rows; not needed for cosine.
        query_lengths: float64 (nq,); not needed for cosine.

    Returns:
        float64 (nq, k).
    """
    if metric is Metric.COSINE:
        return np.full(scores.shape, TOLERANCE)
    assert lengths is not None and query_lengths is not None
    queries = query_lengths[:, None]
    if metric is Metric.IP:
        return np.asarray(TOLERANCE * queries * lengths)
    squared = np.where(np.isfinite(scores), np.maximum(-scores, 0.0), 0.0)
    return np.asarray(TOLERANCE * (squared + 2 * np.sqrt(squared) * (queries + lengths)))


def found_within(scores: Wide, truth: Truth, k: int, widths: Sequence[int]) -> Lines:
    """How many of the k best each query found among its first candidates.

    Args:
        scores: float64 (nq, width), exact scores of different candidates, -inf for none.
        truth: Of these queries, at least k wide.
        k: Rows to find; no more than there are.
        widths: How many candidates are looked at, ascending, from 1 to width.

    Returns:
        int64 (nq, number of widths).
    """
    scores = scores[:, : widths[-1]]
    kth, slack = truth.scores[:, k - 1 : k], truth.tolerances[:, k - 1 : k]
    starts = [0, *widths[:-1]]
    better, all_found = (
        np.cumsum(np.add.reduceat(hits, starts, axis=1, dtype=np.int64), axis=1)
        for hits in (scores > kth + slack, scores >= kth - slack)
    )
    needed = k - np.count_nonzero(truth.scores[:, :k] > kth + slack, axis=1)[:, None]
    return np.asarray(better + np.minimum(all_found - better, needed))
