"""Whether a calibration still holds for an index that grew, checked with a few queries.

Measuring an index for all k and recalls takes seconds. A check works out what searches that are
used most would find, as calibration does, and compares that with exact search. It fails if the
recall is below what the calibration promises by more than chance explains, or if more queries than
a few, chance aside, would be searched exactly because they are farther from the rows than those of
calibration.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from vecsearch.common.arrays import Positions, Vectors
from vecsearch.index.calibrate import CODE_CANDIDATES, COMMON_K, MAX_CANDIDATES, WIDE_QUERIES
from vecsearch.index.calibration import Calibration, OperatingPoint, points_for
from vecsearch.index.faiss import FaissIndex
from vecsearch.index.kernels.misses import allowed_misses
from vecsearch.index.outcomes import Outcome, Tried, outcome_of
from vecsearch.index.ruler import Truth, Wide, found_within
from vecsearch.index.scorer import VectorScorer
from vecsearch.index.simulation import promise
from vecsearch.storage.selection import RowSelection

CHECKED_KS = (1, 10, 100)
CHECKED_RECALLS = (0.9, 0.99)  # and the collection's own target
FEW_FAR = 0.02  # share of the queries that may be farther than those of calibration, chance aside:
FAR_BY_CHANCE = 4.6  # / n is more than the share that lies beyond all of n others, 99 times of 100
MADE_QUERIES = 400  # are checked of each kind of made ones,
MADE_LESS = 0.012  # whose mean recall may be so far below what it was, chance aside
FEW_LEFT = 0.02  # share of the queries that count as they are at one effort, and might go on
BY_CODES = 150  # queries are checked, each of which compares the codes of all rows


def still_holds(
    scorer: VectorScorer,
    index: FaissIndex,
    labels: Positions,
    queries: Vectors,
    calibration: Calibration,
    target: float,
    threads: int,
    made: Sequence[Vectors] = (),
) -> bool:
    """Whether searches of an index reach what a calibration promises.

    Args:
        scorer: Of the snapshot.
        index: The index.
        labels: The position of each of its labels, -1 for a deleted row.
        queries: float32 (nq, dim), not in the index.
        calibration: Of the index before it grew, or of one with the same codes.
        target: The collection's target recall, 0 to 1.
        threads: Threads to search with.
        made: Queries of other kinds, float32 (n, dim) each, that are to reach it as well.
    """
    mask = np.zeros(scorer.snapshot.rows, bool)
    mask[labels[labels >= 0]] = True
    selection = RowSelection(mask, int(np.count_nonzero(mask)))
    check = _Check(scorer, index, labels, queries, threads)
    points = list(_in_use(calibration.points, target, selection.count))
    by_codes = list(_in_use(calibration.code_points, target, selection.count))
    most = max((point.stop_rank for point in (*points, *by_codes)), default=1)
    truth = scorer.truth(queries, most, selection, threads)
    measured = max(calibration.queries, 1)
    measured_wide = max(WIDE_QUERIES * measured // (measured + sum(map(len, made))), 1)

    def holds(point: OperatingPoint, search: Callable[[int, int], Tried]) -> bool:
        few = FEW_FAR + FAR_BY_CHANCE / (measured if point.k <= COMMON_K else measured_wide)
        return check.holds(point, truth, search, few)

    if not all(
        holds(point, search)
        for some, search in ((points, check.graph), (by_codes, check.codes))
        for point in some
    ):
        return False
    most = max((point.stop_rank for point in points), default=1)
    for group in made:
        others = _Check(scorer, index, labels, group[:MADE_QUERIES], threads)
        best = scorer.truth(group[:MADE_QUERIES], most, selection, threads)
        if not all(others.reaches(point, best) for point in points):
            return False
    return True


class _Check:
    """Searches an index for some queries, each effort once."""

    def __init__(
        self,
        scorer: VectorScorer,
        index: FaissIndex,
        labels: Positions,
        queries: Vectors,
        threads: int,
    ) -> None:
        self._scorer, self._index, self._queries = scorer, index, queries
        self._row_map = np.append(labels, -1)
        self._threads = threads
        self._tried: dict[tuple[int, int], Tried] = {}
        self._at_large = index.scores_at_large(queries)

    def holds(
        self,
        point: OperatingPoint,
        truth: Truth,
        search: Callable[[int, int], Tried],
        few_far: float,
    ) -> bool:
        """Whether the queries reach what a point promises, and no larger share is too far."""
        recalls, far = self._recalls(point, truth, search)
        mean, low = promise(recalls)
        return mean + (mean - low) >= point.low and far <= few_far

    def reaches(self, point: OperatingPoint, truth: Truth) -> bool:
        """Whether made queries reach what they did before, nearly, or as far as chance tells.

        Those of some points reach less than is promised of others; older versions did not say so.
        """
        recalls, _ = self._recalls(point, truth, self.graph)
        mean, low = promise(recalls)
        return mean + max(MADE_LESS, mean - low) >= min(point.low, point.made or point.low)

    def _recalls(
        self, point: OperatingPoint, truth: Truth, search: Callable[[int, int], Tried]
    ) -> tuple[Wide, float]:
        """Recall of each query, and the share of those that are too far."""
        if not point.steps:  # of an older version: all queries are searched alike
            scores = search(point.effort, point.depth).scores
            count = len(scores)
            found = found_within(scores, truth.first(count, point.k), point.k, [point.depth])
            return found[:, 0] / point.k, 0.0
        near = truth.scores[:, point.stop_rank - 1] >= point.farthest
        recalls, live, outcome, held = np.ones(len(near)), near.copy(), None, 0
        for effort, least in point.steps:
            pool = max(self._index.pool(effort), min(point.stop_rank, self._index.n))
            if outcome is not None and (live.mean() <= FEW_LEFT or pool < held):
                break
            outcome, held = self._outcome(search(effort, pool), truth, point), pool
            count = len(outcome.kth)  # a larger effort is tried for fewer queries
            recalls, live = recalls[:count], live[:count]
            stops = outcome.stops(allowed_misses(point.k, point.aim))
            stop = live & (stops >= 0)
            if outcome.contrast is not None:
                stop &= outcome.contrast >= least
            recalls[stop] = outcome.recalls[np.arange(count), stops][stop]
            live &= ~stop
        if outcome is not None:
            recalls[live] = outcome.recalls[live, -1]
        return recalls, 1 - float(near.mean())

    def _outcome(self, tried: Tried, truth: Truth, point: OperatingPoint) -> Outcome:
        contrast, count, k = None, len(tried.scores), point.k
        if self._at_large is not None:
            mean, deviation = (part[:count] for part in self._at_large)
            contrast = (tried.scores[:, point.stop_rank - 1] - mean) / deviation
        return outcome_of(tried, truth.first(count, k), k, contrast)

    def graph(self, effort: int, depth: int) -> Tried:
        """The search with an effort."""
        if (effort, depth) not in self._tried:
            part = self._queries[: max(WIDE_QUERIES, MAX_CANDIDATES // depth)]
            labels, near, cost = self._index.estimated(part, depth, effort, self._threads)
            self._tried[effort, depth] = self._scored(effort, part, labels, near, cost)
        return self._tried[effort, depth]

    def codes(self, effort: int, depth: int) -> Tried:
        """A scan of all codes."""
        if (0, 0) not in self._tried:
            part = self._queries[:BY_CODES]
            found = self._index.by_codes(part, max(CODE_CANDIDATES, depth), self._threads)
            assert found is not None
            self._tried[0, 0] = self._scored(effort, part, *found, 0.0)
        return self._tried[0, 0]

    def _scored(
        self, effort: int, queries: Vectors, labels: Positions, near: Wide, cost: float
    ) -> Tried:
        scores = self._scorer.final_scores(queries, self._row_map[labels], self._threads)
        return Tried(effort, cost, 0.0, 0.0, near, scores, labels.shape[1] == self._index.n)


def _in_use(
    points: tuple[OperatingPoint, ...], target: float, rows: int
) -> dict[OperatingPoint, None]:
    """The points that the checked searches would use."""
    used: dict[OperatingPoint, None] = {}
    for k in CHECKED_KS:
        for recall in (target, *CHECKED_RECALLS):
            usable = (item for item in points_for(points, k) if item.low >= recall)
            point = min(usable, key=lambda item: (item.micros, item.depth), default=None)
            if point is not None and point.stop_rank <= rows and point.depth <= rows:
                used[point] = None
    return used
