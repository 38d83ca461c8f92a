"""Measure what an index reaches on the user's own data: recall and cost over efforts, candidates and k.

The promise. Recall is |found ∩ exact| / min(k, rows that match), ties at the k-th score counting as found. Queries are
rows held out of the index while it is measured (so that no query meets itself in the graph), or better the user's own. A
point promises the lower end of a one-sided 99% confidence interval of its mean recall.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vecsearch.common.arrays import Positions, Scores, Vectors
from vecsearch.index.calibration import OperatingPoint, frontier
from vecsearch.index.costs import exact_micros
from vecsearch.index.faiss import FaissIndex

# A search between two of these uses the larger: a filter that drops one row in a thousand asks for 11 of 10, so 12 is there.
KS = (
    1,
    2,
    3,
    5,
    7,
    10,
    12,
    15,
    20,
    25,
    30,
    40,
    50,
    60,
    80,
    100,
    120,
    150,
    200,
    300,
    500,
    700,
    1000,
)
COMMON_K = 100  # up to this k all queries take part; finding the best 1,000 of all rows takes several times as long
DEPTHS = (
    1.0,
    1.2,
    1.5,
    2.0,
    2.5,
    3.0,
    4.0,
    5.0,
    6.0,
    8.0,
    12.0,
)  # candidates re-scored, as a multiple of k
ONE_SIDED_99 = 2.326  # normal quantile of the lower bound
FEW_CANDIDATES = 8  # re-scored, to tell the cost of a candidate from that of finding it
TIMED_QUERIES = 50  # queries run one at a time to time an effort, or
TIMED_CANDIDATES = 10_000  # fewer, where they look at so many candidates
FEWEST_TIMED = 5
MANY_CANDIDATES = (
    300_000  # candidates re-scored an effort at most: high efforts are measured with fewer queries
)
CODE_CANDIDATES = 400  # looked at to learn what comparing codes reaches
CODE_QUERIES = 400  # asked for that
FEWEST_QUERIES = 200  # of which each counts for more: it looks for hundreds of rows
ENOUGH = 0.999  # no higher effort is tried once every k reaches this
WORTH = 0.5  # nor one that costs more than this share of an exact search
TIE_TOLERANCE = 1e-5  # relative: two kernels may sum in another order
ScoreLists = Callable[[Scores, Positions], Scores]
ExactScores = Callable[[Scores, int], Scores]
Ask = Callable[[Scores, int, int], object]


@dataclass(frozen=True, slots=True)
class Truth:
    """The best true scores of each query over the rows in the index, descending: of all queries the `COMMON_K` best (float32
    (nq, m)), and of the first `FEWEST_QUERIES` as many as the largest k."""

    common: Scores
    wide: Scores

    @staticmethod
    def of(queries: Vectors, rows: int, exact: ExactScores) -> Truth:
        """exact(queries, k): the k best scores of each query. rows: how many there are to find."""
        wide = exact(queries[:FEWEST_QUERIES], min(max(KS), rows))
        common = min(COMMON_K, rows)
        rest = exact(queries[FEWEST_QUERIES:], common)
        return Truth(np.concatenate([wide[:, :common], rest]), wide)

    def thresholds(self, k: int, queries: int) -> Scores:
        """What a row must score to be among the k best: float32, for as many of the first `queries` as are known."""
        kth = (self.common if k <= self.common.shape[1] else self.wide)[:queries, k - 1]
        return np.asarray(kth - TIE_TOLERANCE * np.maximum(np.abs(kth), 1e-6), np.float32)


def calibrate_index(
    index: FaissIndex,
    queries: Vectors,
    truth: Truth,
    score: ScoreLists,
    rows: int,
    row_micros: float,
    threads: int,
    ask: Ask | None = None,
) -> list[OperatingPoint]:
    """The operating surface: for each k and effort the points worth using, cheapest first.

    queries: float32 (nq, dim). score(queries, labels): true scores, float32 (nq, width), of each query's own labels, -inf
    where a label is -1. rows: rows in the index; row_micros: what scoring one costs. ask(query, depth, effort): a whole
    search, to be timed, where it is not FAISS that will search.
    """
    exact_cost = exact_micros(rows, row_micros)
    points: list[OperatingPoint] = []
    ks = [k for k in KS if k <= truth.wide.shape[1]]
    for effort in index.efforts():
        depth = min(max(effort, 8), index.n)
        asked = queries[: max(FEWEST_QUERIES, MANY_CANDIDATES // depth)]
        labels, cost = index.estimated(asked, depth, effort, threads)
        if cost > WORTH * exact_cost and points:
            break
        latency, candidate_latency = _latency(index, queries, depth, effort, score, ask)
        scores = score(asked, labels)
        done = True
        for k in (k for k in ks if k <= depth):
            for width, mean, low in _recalls(scores, truth.thresholds(k, len(asked)), k):
                micros, seen = cost + row_micros * width, latency + candidate_latency * width
                points.append(
                    OperatingPoint(effort, width, k, mean, low, round(micros, 2), round(seen, 1))
                )
            done &= mean >= ENOUGH
        if done and max(ks) <= depth:
            break
    return [point for k in ks for point in frontier([item for item in points if item.k == k])]


def calibrate_codes(
    index: FaissIndex, queries: Vectors, truth: Truth, score: ScoreLists, threads: int
) -> list[OperatingPoint]:
    """What comparing all codes reaches for each k and number of candidates, the least first; none for kinds without it.

    Arguments as for `surface`. A filter leaves fewer rows, farther apart mostly: its k best are no harder to tell.
    """
    asked = queries[:CODE_QUERIES]
    labels = index.by_codes(asked, CODE_CANDIDATES, threads)
    if labels is None:
        return []
    scores = score(asked, labels)
    points = []
    for k in (k for k in KS if k <= min(COMMON_K, truth.common.shape[1], labels.shape[1])):
        for width, mean, low in _recalls(scores, truth.thresholds(k, len(asked)), k):
            points.append(OperatingPoint(0, width, k, mean, low, float(width)))
    return [point for k in KS for point in frontier([item for item in points if item.k == k])]


def _recalls(scores: Scores, thresholds: Scores, k: int) -> list[tuple[int, float, float]]:
    """The recall@k that re-scoring the first candidates reaches, for several numbers of them: the number, the mean recall and
    its lower bound. scores: true scores of each query's candidates, (nq, depth); thresholds: for the first queries."""
    reached = np.cumsum(scores[: len(thresholds)] >= thresholds[:, None], axis=1, dtype=np.int32)
    found = []
    for width in sorted({min(scores.shape[1], max(k, round(k * factor))) for factor in DEPTHS}):
        recalls = np.minimum(reached[:, width - 1], k) / k
        mean = float(recalls.mean())
        low = mean - ONE_SIDED_99 * float(recalls.std()) / len(recalls) ** 0.5
        found.append((width, round(mean, 5), round(low, 5)))
    return found


def _latency(
    index: FaissIndex, queries: Vectors, depth: int, effort: int, score: ScoreLists, ask: Ask | None
) -> tuple[float, float]:
    """Median microseconds measured for one query's candidates on one thread, and for re-scoring one candidate."""
    some = queries[: min(TIMED_QUERIES, max(FEWEST_TIMED, TIMED_CANDIDATES // depth))]
    if ask is not None:
        few = min(FEW_CANDIDATES, depth)
        least, most = (
            _median([_timed(ask, query, width, effort) for query in some]) for width in (few, depth)
        )
        per_candidate = max(0.0, most - least) / max(1, depth - few)
        return least - per_candidate * few, per_candidate
    found = [index.candidates(query[None], depth, effort)[0] for query in some]
    searching = _median([_timed(index.candidates, query[None], depth, effort) for query in some])
    rescoring = _median(
        [_timed(score, query[None], labels) for query, labels in zip(some, found, strict=True)]
    )
    return searching, rescoring / depth


def _timed(work: Callable[..., object], *arguments: object) -> float:
    start = time.perf_counter()
    work(*arguments)
    return (time.perf_counter() - start) * 1e6


def _median(values: list[float]) -> float:
    return float(np.median(values))
