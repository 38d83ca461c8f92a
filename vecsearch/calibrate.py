"""Measure what an index reaches on the user's own data: recall and cost over efforts, candidates and k.

The promise. Recall is |found ∩ exact| / min(k, rows that match), ties at the k-th score counting as found. Queries are
rows held out of the index while it is measured (so that no query meets itself in the graph), or better the user's own. A
point promises the lower end of a one-sided 99% confidence interval of its mean recall.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from vecsearch.exact import Scores
from vecsearch.faiss_index import FaissIndex
from vecsearch.plan import Point

KS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
DEPTHS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)  # candidates re-scored, as a multiple of k
ONE_SIDED_99 = 2.326  # normal quantile of the lower bound
TIMED_QUERIES = 100  # queries run one at a time to time an effort
MANY_CANDIDATES = 500_000  # candidates re-scored an effort at most: high efforts are measured with fewer queries
FEWEST_QUERIES = 400
ENOUGH = 0.999  # no higher effort is tried once every k reaches this
TIE_TOLERANCE = 1e-5  # relative: two kernels may sum in another order

ScoreRows = Callable[[Scores, npt.NDArray[np.int64]], Scores]


def surface(
    index: FaissIndex, queries: Scores, exact_scores: Scores, score: ScoreRows, ceiling_micros: float, threads: int
) -> list[Point]:
    """The operating surface: for each k and effort the points worth using, cheapest first.

    queries: float32 (nq, dim). exact_scores: float32 (nq, m), the m best true scores of each over the rows in the index,
    descending. score(query, labels): true scores of listed labels. Efforts that cost more than `ceiling_micros`, what exact
    search costs, are not tried.
    """
    points: list[Point] = []
    ks = [k for k in KS if k <= exact_scores.shape[1]]
    for effort in index.efforts():
        depth = min(max(effort, 8), index.n)
        cost, per_candidate = _cost(index, queries, depth, effort, score)
        if cost > ceiling_micros and points:
            break
        asked = queries[: max(FEWEST_QUERIES, MANY_CANDIDATES // depth)]
        labels, _ = index.candidates(asked, depth, effort, threads)
        scores = np.full(labels.shape, -np.inf, np.float32)
        for row, (query, found) in enumerate(zip(asked, labels, strict=True)):
            valid = found >= 0
            scores[row, valid] = score(query, found[valid])
        done = True
        for k in (k for k in ks if k <= depth):
            hit = scores >= _threshold(exact_scores[: len(asked), k - 1])[:, None]
            reached = np.minimum(np.cumsum(hit, axis=1), k)
            for width in sorted({min(depth, max(k, round(k * factor))) for factor in DEPTHS}):
                recalls = reached[:, width - 1] / k
                mean = float(recalls.mean())
                low = mean - ONE_SIDED_99 * float(recalls.std()) / len(recalls) ** 0.5
                points.append(Point(effort, width, k, mean, low, cost + per_candidate * width))
            done &= mean >= ENOUGH
        if done and max(ks) <= depth:
            break
    return [point for k in ks for point in frontier([item for item in points if item.k == k])]


def frontier(points: list[Point]) -> list[Point]:
    """The points of one k that no other beats in both cost and recall, cheapest first."""
    best: list[Point] = []
    for point in sorted(points, key=lambda item: (item.micros, -item.low)):
        if not best or point.low > best[-1].low:
            best.append(point)
    return best


def _threshold(kth: Scores) -> Scores:
    return np.asarray(kth - TIE_TOLERANCE * np.maximum(np.abs(kth), 1e-6), np.float32)


def _cost(index: FaissIndex, queries: Scores, depth: int, effort: int, score: ScoreRows) -> tuple[float, float]:
    """Median microseconds of one query's candidates on one thread, and of re-scoring one candidate."""
    some = queries[: min(TIMED_QUERIES, len(queries))]
    seconds, rescoring = [], []
    for query in some:
        start = time.perf_counter()
        labels, _ = index.candidates(query[None], depth, effort)
        middle = time.perf_counter()
        score(query, labels[0][labels[0] >= 0])
        seconds.append(middle - start)
        rescoring.append(time.perf_counter() - middle)
    return float(np.median(seconds)) * 1e6, float(np.median(rescoring)) * 1e6 / depth
