"""Measures recall and cost of an index on the collection's own data.

Recall is |found ∩ exact| / min(k, matching rows), by the rule of `ruler.py`. Queries
are rows held out of the index while it is measured (so that no query finds itself in the index),
or better the user's own. An operating point promises the lower end of a one-sided 99% confidence
interval of its mean recall.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vecsearch.common.arrays import Positions, Vectors
from vecsearch.index.calibration import OperatingPoint, frontier
from vecsearch.index.costs import exact_micros
from vecsearch.index.faiss import FaissIndex
from vecsearch.index.ruler import Truth, Wide, found_within

# A search for another k uses the next larger one. 12 and 15 serve k=10 if a filter drops few rows,
# or if few were deleted, and 1250 so serves k=1000.
KS = (
    *(1, 2, 3, 5, 7, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80),
    *(100, 120, 150, 200, 300, 500, 700, 1000, 1250),
)
COMMON_K = 100  # all queries take part up to this k; the best 1,250 of all rows take far longer
DEPTHS = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 12.0)  # candidates, as multiples of k
ONE_SIDED_99 = 2.326  # quantile of the normal distribution, for the lower bound
FEW_CANDIDATES = 8  # re-scored to separate the cost of a candidate from that of finding it
TIMED_QUERIES = 50  # queries run one at a time to time an effort, or
TIMED_CANDIDATES = 10_000  # fewer, if together they have this many candidates
MIN_TIMED = 5
MAX_CANDIDATES = 300_000  # re-scored for each effort: high efforts are measured with fewer queries
CODE_CANDIDATES = 400  # candidates of a query, to measure a scan of all codes
CODE_QUERIES = 400  # queries for that
WIDE_QUERIES = 200  # queries for k above COMMON_K; each looks for hundreds of rows
ENOUGH = 0.999  # no higher effort is tried once every k reaches this recall,
WORTH = 0.5  # nor one that costs more than this share of an exact search
ScoreLists = Callable[[Vectors, Positions], Wide]
Exact = Callable[[Vectors, int], Truth]
TimedSearch = Callable[[Vectors, int, int], object]


@dataclass(frozen=True, slots=True)
class Answers:
    """The exact answers of each query over the rows in the index.

    Args:
        common: The `COMMON_K` best of all queries.
        wide: As many as the largest k, of the first `WIDE_QUERIES` queries only.
    """

    common: Truth
    wide: Truth

    @staticmethod
    def of(queries: Vectors, rows: int, exact: Exact) -> Answers:
        """Search exactly.

        Args:
            queries: float32 (nq, dim).
            rows: Rows in the index.
            exact: Maps queries and k to the k best rows of each query.
        """
        wide = exact(queries[:WIDE_QUERIES], min(max(KS), rows))
        common = min(COMMON_K, rows)
        first = wide.first(WIDE_QUERIES, common)
        if len(queries) > WIDE_QUERIES:
            first = first.followed_by(exact(queries[WIDE_QUERIES:], common))
        return Answers(first, wide)

    def at(self, k: int, queries: int) -> Truth:
        """The k best, for as many of the first `queries` queries as they are known of."""
        known = self.common if k <= self.common.rows.shape[1] else self.wide
        return known.first(queries, k)


def calibrate_index(
    index: FaissIndex,
    queries: Vectors,
    truth: Answers,
    score: ScoreLists,
    rows: int,
    row_micros: float,
    threads: int,
    timed_search: TimedSearch | None = None,
) -> list[OperatingPoint]:
    """Measure an index at every effort worth using.

    Args:
        index: The index to measure.
        queries: float32 (nq, dim).
        truth: The exact answers of these queries.
        score: Maps queries and labels (nq, width) to the final scores, float64 (nq, width), of
            each query's own labels; -inf for the label -1.
        rows: Rows in the index.
        row_micros: Estimated cost of scoring a row, in microseconds.
        threads: Threads to measure recall with. Time is measured on one.
        timed_search: A whole search by query, depth and effort, to be timed; None if FAISS
            will search.

    Returns:
        For each k the points that no other beats in both cost and recall, cheapest first.
    """
    points: list[OperatingPoint] = []
    ks = [k for k in KS if k <= truth.wide.rows.shape[1]]
    for effort in index.efforts():
        depth = min(max(effort, 8), index.n)
        part = queries[: max(WIDE_QUERIES, MAX_CANDIDATES // depth)]
        labels, cost = index.estimated(part, depth, effort, threads)
        if cost > WORTH * exact_micros(rows, row_micros) and points:
            break
        latency, candidate_latency = _latency(index, queries, depth, effort, score, timed_search)
        scores = score(part, labels)
        done = True
        for k in (k for k in ks if k <= depth):
            for width, mean, low in _recalls(scores, truth.at(k, len(part)), k):
                micros, seen = cost + row_micros * width, latency + candidate_latency * width
                points.append(
                    OperatingPoint(effort, width, k, mean, low, round(micros, 2), round(seen, 1))
                )
            done &= mean >= ENOUGH
        if done and max(ks) <= depth:
            break
    return _frontiers(points)


def calibrate_codes(
    index: FaissIndex, queries: Vectors, truth: Answers, score: ScoreLists, threads: int
) -> list[OperatingPoint]:
    """Measure a scan of all codes: the recall of each number of candidates.

    A filter leaves fewer rows, which mostly lie farther apart: its k best are as easy to tell.
    The arguments are those of `calibrate_index`.

    Returns:
        For each k the points, fewest candidates first; none for kinds without such a scan.
    """
    part = queries[:CODE_QUERIES]
    labels = index.by_codes(part, CODE_CANDIDATES, threads)
    if labels is None:
        return []
    scores = score(part, labels)
    most = min(COMMON_K, truth.common.rows.shape[1], labels.shape[1])
    points = [
        OperatingPoint(0, width, k, mean, low, float(width))
        for k in KS
        if k <= most
        for width, mean, low in _recalls(scores, truth.at(k, len(part)), k)
    ]
    return _frontiers(points)


def _frontiers(points: list[OperatingPoint]) -> list[OperatingPoint]:
    return [point for k in KS for point in frontier(point for point in points if point.k == k)]


def _recalls(scores: Wide, truth: Truth, k: int) -> list[tuple[int, float, float]]:
    """Recall@k of re-scoring only the first candidates, for several numbers of them.

    Args:
        scores: float64 (nq, depth), final scores of each query's candidates.
        truth: The k best of the first queries.
        k: Rows to find.

    Returns:
        For each number of candidates: that number, the mean recall, and its lower bound.
    """
    widths = sorted({min(scores.shape[1], max(k, round(k * factor))) for factor in DEPTHS})
    recalls = found_within(scores[: len(truth.rows)], truth, k, widths) / k
    means, spreads = recalls.mean(axis=0), recalls.std(axis=0)
    lows = means - ONE_SIDED_99 * spreads / len(recalls) ** 0.5
    return [
        (width, round(float(mean), 5), round(float(low), 5))
        for width, mean, low in zip(widths, means, lows, strict=True)
    ]


def _latency(
    index: FaissIndex,
    queries: Vectors,
    depth: int,
    effort: int,
    score: ScoreLists,
    timed_search: TimedSearch | None,
) -> tuple[float, float]:
    """Measured microseconds of finding a query's candidates, and of re-scoring one of them.

    Medians on one thread.
    """
    timed = queries[: min(TIMED_QUERIES, max(MIN_TIMED, TIMED_CANDIDATES // depth))]
    if timed_search is not None:
        few = min(FEW_CANDIDATES, depth)
        least, most = (
            _median([_timed(timed_search, query, width, effort) for query in timed])
            for width in (few, depth)
        )
        per_candidate = max(0.0, most - least) / max(1, depth - few)
        return least - per_candidate * few, per_candidate
    found = [index.candidates(query[None], depth, effort)[0] for query in timed]
    searching = _median([_timed(index.candidates, query[None], depth, effort) for query in timed])
    rescoring = _median(
        [_timed(score, query[None], labels) for query, labels in zip(timed, found, strict=True)]
    )
    return searching, rescoring / depth


def _timed(work: Callable[..., object], *arguments: object) -> float:
    start = time.perf_counter()
    work(*arguments)
    return (time.perf_counter() - start) * 1e6


def _median(values: list[float]) -> float:
    return float(np.median(values))
