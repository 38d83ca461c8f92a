"""Measures recall and cost of an index on the collection's own data.

Recall is |found ∩ exact| / min(k, matching rows), by the rule of `ruler.py`. Queries
are rows held out of the index while it is measured (so that no query finds itself in the index),
or better the user's own, and beside them queries made to be unlike the rows. An operating point
promises the lower end of a one-sided 99% confidence interval of the mean recall of the former.

Each effort is measured once, for all queries. `adaptive.py` then works out what searches would find
that stop at the effort which each query needs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from vecsearch.common.arrays import Positions, Vectors
from vecsearch.common.engines import engine_for
from vecsearch.index.adaptive import AIMS, best_point, lent_point
from vecsearch.index.calibration import OperatingPoint, frontier, points_for
from vecsearch.index.costs import exact_micros
from vecsearch.index.faiss import FaissIndex
from vecsearch.index.faiss.regions import regions_of
from vecsearch.index.outcomes import Outcome, Tried, outcome_of
from vecsearch.index.ruler import Truth, Wide
from vecsearch.index.simulation import REGION_QUERIES, Asked

# A search for another k uses the next larger one. 12 and 15 serve k=10 if a filter drops few rows,
# or if few were deleted, and 1250 so serves k=1000.
KS = (
    *(1, 2, 3, 5, 7, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80),
    *(100, 120, 150, 200, 300, 500, 700, 1000, 1250),
)
LENT = 8  # next larger numbers of hits whose ladders are tried for fewer hits,
CHEAPER = 0.9  # where they cost at most this part of what the same aim costs otherwise
REPRESENTATIVE = 500  # queries in front that stand for all; those after them may be the hard ones
REGIONS = 10  # of the data; recall is promised of each
# All queries take part up to this k, which serves k=100 if a fifth of the rows is deleted. The best
# 1,250 of all rows take far longer.
COMMON_K = 150
FEW_CANDIDATES = 8  # re-scored to separate the cost of a candidate from that of finding it
TIMED_QUERIES = 50  # queries run one at a time to time an effort, or
TIMED_CANDIDATES = 10_000  # fewer, if together they have this many candidates
MIN_TIMED = 5
MAX_CANDIDATES = 700_000  # scored for each effort: high efforts are measured with fewer queries
HARD_RANK = 10  # the rank of the candidate whose contrast tells which queries are hard
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
        most = min(max(KS), rows)
        wide, common = exact(queries[:WIDE_QUERIES], most), min(COMMON_K, most)
        first = wide.first(WIDE_QUERIES, common)
        if len(queries) > WIDE_QUERIES:
            first = first.followed_by(exact(queries[WIDE_QUERIES:], common))
        return Answers(first, wide)

    def reordered(self, order: Positions) -> Answers:
        """The answers of the queries in another order, which begins with the same."""
        return Answers(self.common.taken(order), self.wide)

    def at(self, k: int, queries: int) -> Truth:
        """The k best, for as many of the first `queries` queries as they are known of."""
        known = self.common if k <= self.common.rows.shape[1] else self.wide
        return known.first(queries, k)


@dataclass(frozen=True, slots=True)
class Sample:
    """The queries that an index is measured with.

    Args:
        queries: float32 (nq, dim), in an order that mixes their kinds.
        kinds: int64 (nq,): 0 for the queries of which recall is promised, other numbers for each
            kind of made queries.
        regions: int64 (nq,), the region of the data that each query is in; see `query_regions`.
        answers: The exact answers of these queries.
    """

    queries: Vectors
    kinds: Positions
    regions: Positions
    answers: Answers

    def reordered(self, order: Positions) -> Sample:
        """The queries in another order, which begins with the same."""
        parts = self.queries[order], self.kinds[order], self.regions[order]
        return Sample(*parts, self.answers.reordered(order))


def query_regions(queries: Vectors, kinds: Positions) -> Positions:
    """The region of the data that each query is in, int64 (nq,).

    Clusters of the queries of which recall is promised stand for those of the data.
    """
    promised = queries[kinds == 0]
    count = min(REGIONS, len(promised) // REGION_QUERIES)
    if count < 2:
        return np.zeros(len(queries), np.int64)
    return regions_of(promised, queries, count, seed=0)


def calibrate_index(
    index: FaissIndex,
    sample: Sample,
    score: ScoreLists,
    *,
    rows: int,
    row_micros: float,
    threads: int,
    timed_search: TimedSearch | None = None,
) -> list[OperatingPoint]:
    """Measure an index at every effort worth using.

    Args:
        index: The index to measure.
        sample: The queries.
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
    ks = [k for k in KS if k <= sample.answers.wide.rows.shape[1]]
    outcomes: dict[int, list[Outcome]] = {k: [] for k in ks}
    whole = exact_micros(rows, row_micros)
    sample = sample.reordered(_hard_ones_first(index, sample.queries, score, threads))
    queries = sample.queries
    asked = Asked(sample.kinds, sample.regions, row_micros, whole)
    at_large = index.scores_at_large(queries)
    side_by_side = engine_for(threads)
    for effort in index.efforts():
        pool = max(index.pool(effort), min(8, index.n))
        part = queries[: max(WIDE_QUERIES, MAX_CANDIDATES // pool)]
        labels, near, cost = index.estimated(part, pool, effort, threads)
        if cost > WORTH * whole and any(outcomes.values()):
            break
        latency = _latency(index, queries, pool, effort, score, timed_search)
        scores = score(part, labels)
        tried = Tried(effort, cost, *latency, near, scores, pool == index.n, index.starts_over)
        within = [k for k in ks if k <= pool]
        measured = partial(_outcome, tried, sample.answers, at_large)
        for k, outcome in zip(within, side_by_side.map(measured, within), strict=True):
            outcomes[k].append(outcome)
        done = all(outcomes[k][-1].mean >= ENOUGH for k in within)
        tried.let_go()
        if done and max(ks) <= pool:
            break
    points = _frontiers(
        point
        for k in ks
        for aim in AIMS
        if (point := best_point(outcomes[k], asked, k, aim)) is not None
    )
    lent = [
        lent_point(point, outcomes[k], outcomes[point.k], asked, k)
        for k in ks
        for point in _cheaper(points, k)
    ]
    return _frontiers([*points, *lent])


def _outcome(tried: Tried, truth: Answers, at_large: tuple[Wide, Wide] | None, k: int) -> Outcome:
    """What an effort finds of the k best; `at_large` is that of the index for all queries."""
    count, contrast = len(tried.scores), None
    if at_large is not None:
        contrast = (tried.scores[:, k - 1] - at_large[0][:count]) / at_large[1][:count]
    return outcome_of(tried, truth.at(k, count), k, contrast)


def _cheaper(points: Sequence[OperatingPoint], k: int) -> Iterator[OperatingPoint]:
    """Points for more than k rows that cost clearly less than those for k with the same aim.

    Only up to `COMMON_K`: those were measured with the same queries.
    """
    own = points_for(points, k)
    for more in [one for one in KS if k < one <= COMMON_K][:LENT]:
        for point in points:
            if point.k == more:
                least = min((one.micros for one in own if one.aim >= point.aim), default=np.inf)
                if point.micros < CHEAPER * least:
                    yield point


def calibrate_codes(
    index: FaissIndex, queries: Vectors, truth: Answers, score: ScoreLists, threads: int
) -> list[OperatingPoint]:
    """Measure a scan of all codes.

    A query whose first `CODE_CANDIDATES` candidates do not settle it is searched exactly here.
    The arguments are those of `calibrate_index`.

    Returns:
        For each k the points, fewest candidates first; none for kinds without such a scan.
    """
    part = queries[:CODE_QUERIES]
    found = index.by_codes(part, CODE_CANDIDATES, threads)
    if found is None:
        return []
    labels, near = found
    pool = labels.shape[1]
    tried = Tried(pool, 0.0, 0.0, 0.0, near, score(part, labels), pool == index.n)
    most = min(COMMON_K, truth.common.rows.shape[1], pool)
    points = []
    for k in (k for k in KS if k <= most):
        outcomes = [outcome_of(tried, truth.at(k, len(part)), k, None)]
        alike = np.zeros(len(part), np.int64)
        for aim in AIMS:
            point = best_point(outcomes, Asked(alike, alike, 1.0, 0.0), k, aim)
            points += [] if point is None else [point]
    return _frontiers(points)


def _hard_ones_first(
    index: FaissIndex, queries: Vectors, score: ScoreLists, threads: int
) -> Positions:
    """An order of the queries in which those that need a large effort are measured with it.

    Large efforts are measured with fewer queries. The first `REPRESENTATIVE` stay in front, as they
    stand for all; then come those whose candidates stand out least.
    """
    order = np.arange(len(queries))
    at_large = index.scores_at_large(queries)
    if at_large is None or len(queries) <= REPRESENTATIVE:
        return order
    effort = next((one for one in index.efforts() if index.pool(one) >= HARD_RANK), None)
    pool = min(HARD_RANK, index.n)
    if effort is None:
        return order
    labels, _, _ = index.estimated(queries, pool, effort, threads)
    contrast = (score(queries, labels)[:, -1] - at_large[0]) / at_large[1]
    rest = order[REPRESENTATIVE:]
    return np.concatenate([order[:REPRESENTATIVE], rest[np.argsort(contrast[rest], kind="stable")]])


def _frontiers(points: Iterable[OperatingPoint]) -> list[OperatingPoint]:
    found = list(points)
    return [point for k in KS for point in frontier(point for point in found if point.k == k)]


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


def _median(values: Sequence[float]) -> float:
    return float(np.median(values))
