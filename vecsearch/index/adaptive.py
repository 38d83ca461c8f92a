"""Works out what searches find that stop at the effort which each query needs.

An operating point is a ladder of efforts. A query stops at the first one where two things hold:

* its k-th candidate stands out from the rows at large (its contrast, `kernels/contrast.py`) by as
  much as that effort needs. Queries whose hits stand out less are missed more often: the share that
  a search misses falls with the contrast like a logistic function, fitted for each effort.
* few hits are expected among the candidates that were not scored (`kernels/misses.py`).

A query whose hits score lower than those of any query of calibration is searched exactly. For one
that the largest effort does not settle the codes of all rows are compared, then all rows scored.
That effort follows from each query's own distances is the idea of DARTH (arXiv:2505.19001) and of
Ada-ef (arXiv:2512.06636).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from vecsearch.common.lazy import lazy
from vecsearch.index.calibration import OperatingPoint
from vecsearch.index.kernels.misses import (
    LEAST,
    allowed_misses,
    crowding,
    expected_misses,
    first_depth,
    next_depth,
)
from vecsearch.index.ruler import Truth, Wide, found_within
from vecsearch.index.unlike import MOST

AIMS = (0.8, 0.85, 0.9, 0.93, 0.95, 0.965, 0.98, 0.99, 0.995, 0.999)
ONE_SIDED_99 = 2.326  # quantile of the normal distribution, for the lower bound
# Of the share that the aim allows to miss, the part that a query may be expected to miss: the first
# with which the mean reaches the aim. Some queries miss more than others, so the mean misses less.
TOLERANCES = (1.4, 1.0, 0.7, 0.5, 0.35, 0.25)
# Of many ladders the cheapest that reaches the aim is taken, so that its recall is flattered. Made
# queries are few, and have to reach as much more as this part of their standard error at most.
MADE_ERRORS = 0.4
# By how much more a query may be expected to miss that stops at the first effort, where many stop.
# What reaches the mean of ordinary queries so costs them less than one tolerance for all efforts,
# which queries unlike the rows keep low.
FIRST_TIMES = (1.0, 1.4, 2.0, 2.8)
FIRST_MOST = 2.4  # but no query stops that is expected to miss more than this part of what may be
REPRESENTATIVE = 500  # queries in front that stand for all; those after them may be the hard ones
STARTS = 6  # efforts that reach the aim as the first one, of which the cheapest is taken
MANY_DEEP, DEEP = 6, 64  # the largest depth apart from the whole pool: 6 k + 64
BIN = 0.5  # width of the bins of contrast by which queries are weighted in a fit
STEP_MICROS = 2.0  # cost of going on with another effort
ANY_CONTRAST = -1e9  # of an effort that every query may stop at
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Tried:
    """All queries searched with one effort.

    Attributes:
        effort: The effort.
        micros: Estimated cost of finding the candidates of a query.
        latency: Measured microseconds for that,
        candidate_latency: and for scoring one of them.
        distances: Of the candidates' codes, nearest first, float64 (nq, pool).
        scores: Their final scores, float64 (nq, pool), -inf for none.
        complete: Whether the candidates are all rows.
    """

    effort: int
    micros: float
    latency: float
    candidate_latency: float
    distances: Wide
    scores: Wide
    complete: bool

    @lazy
    def first(self) -> Wide:
        """The score of the first candidate that has one, float64 (nq, 1); 0 if none has."""
        has = np.isfinite(self.scores)
        first = np.take_along_axis(self.scores, has.argmax(axis=1)[:, None], axis=1)
        return np.where(np.isfinite(first), first, 0.0)

    @lazy
    def sums(self) -> tuple[Wide, ...]:
        """What `expected_misses` takes, for each number of candidates: float64 (nq, pool)."""
        near = self.distances - self.distances[:, :1]
        high = np.where(np.isfinite(self.scores), self.scores, self.first) - self.first
        return tuple(
            np.cumsum(part, axis=1) for part in (near, high, near * near, near * high, high * high)
        )


@dataclass
class Outcome:
    """What one effort finds of the k best, for each query and number of candidates.

    Attributes:
        tried: The effort.
        kth: Score of the k-th best row, float64 (nq,).
        contrast: Its contrast, float64 (nq,); None if it is not known.
        depths: Numbers of candidates, ascending; the last is all of them.
        recalls: Recall of scoring so many, float64 (nq, depths).
        misses: Hits expected among the others, float64 (nq, depths).
    """

    tried: Tried
    kth: Wide
    contrast: Wide | None
    depths: npt.NDArray[np.int64]
    recalls: Wide
    misses: Wide
    _curve: tuple[float, float] | None = None

    @property
    def mean(self) -> float:
        """Mean recall if all candidates are scored."""
        return float(self.recalls[:, -1].mean())

    def farthest(self, kinds: npt.NDArray[np.int64]) -> float:
        """The lowest score of the k-th best row of a query of which recall is promised."""
        return float(self.kth[kinds[: len(self.kth)] == 0].min(initial=np.inf))

    def curve(self, kinds: npt.NDArray[np.int64]) -> tuple[float, float]:
        """Level and slope by which the share that is missed falls with the contrast."""
        if self._curve is None:
            assert self.contrast is not None
            near = (self.kth >= self.farthest(kinds)) & np.isfinite(self.contrast)
            if near.any():
                self._curve = _fit_logistic(self.contrast[near], 1 - self.recalls[near, -1])
            else:  # this effort finds fewer than k rows, and no query stops at it
                self._curve = 0.0, 1.0
        return self._curve

    def stops(self, allowed: float) -> npt.NDArray[np.int64]:
        """At which of the depths each query stops; -1 if at none."""
        enough = self.misses <= allowed
        if self.tried.complete:
            enough[:, -1] = True
        return np.where(enough.any(axis=1), enough.argmax(axis=1), -1)


def outcome_of(tried: Tried, truth: Truth, k: int, contrast: Wide | None) -> Outcome:
    """Work out what an effort finds.

    Args:
        tried: The effort, at least k candidates.
        truth: The k best of the first queries.
        k: Rows to find.
        contrast: Of each query's k-th candidate.
    """
    count = len(truth.rows)
    scores = tried.scores[:count]
    depths = list(_depths(k, scores.shape[1]))
    return Outcome(
        tried,
        truth.scores[:, k - 1],
        None if contrast is None else contrast[:count],
        np.array(depths),
        found_within(scores, truth, k, depths) / k,
        _expected(tried, count, k, depths),
    )


def _depths(k: int, pool: int) -> Iterator[int]:
    """Numbers of candidates to look at. A search looks at more of them where few do not suffice."""
    depth = first_depth(k)
    while depth < min(pool, MANY_DEEP * k + DEEP):
        yield depth
        depth = next_depth(depth)
    yield pool


def _expected(tried: Tried, count: int, k: int, depths: Sequence[int]) -> Wide:
    """Hits expected among the candidates behind each number of them, (nq, depths)."""
    distances, scores = tried.distances[:count], tried.scores[:count]
    first = tried.first[:count, 0]
    expected = np.full((count, len(depths)), np.inf)
    for place, depth in enumerate(depths):
        if depth < max(k, LEAST):
            continue
        last = depth - 1
        kth = np.partition(scores[:, :depth], depth - k, axis=1)[:, depth - k] - first
        x, y, xx, xy, yy = (part[:count, last] for part in tried.sums)
        end = distances[:, last] - distances[:, 0]
        found = expected_misses(depth, x, y, xx, xy, yy, end, crowding(distances.T, depth), kth)
        expected[:, place] = np.where(np.isfinite(scores[:, last]), found, np.inf)
    return expected


def best_point(
    outcomes: Sequence[Outcome],
    kinds: npt.NDArray[np.int64],
    k: int,
    aim: float,
    row_micros: float,
    whole_micros: float,
) -> OperatingPoint | None:
    """The cheapest ladder of efforts whose mean recall reaches `aim` by its lower bound.

    Made queries are to reach it too, each kind on average. If no ladder does, the most careful one.

    Args:
        outcomes: Of each effort, ascending; later ones may be of fewer queries, of which only the
            first `REPRESENTATIVE` then stand for all.
        kinds: What each query is, 0 for those of which recall is promised.
        k: Rows to find.
        aim: The recall to reach, 0 to 1.
        row_micros: Cost of scoring a candidate.
        whole_micros: Cost of an exact search.
    """
    if not outcomes:
        return None
    ladder = _Ladder(outcomes, kinds, k, aim, row_micros, whole_micros)
    runs: list[_Run] = []
    good: list[_Run] = []
    margin = _made_margin(aim)
    cheapest, in_vain = np.inf, 0
    for tolerance in TOLERANCES:
        runs += ladder.runs(tolerance, cheapest)
        reached = [run for run in runs if run.low >= aim]
        good = [run for run in reached if run.made >= aim + margin]
        least = min(map(_run_micros, good), default=np.inf)
        cheapest, in_vain = least, in_vain + 1 if good and least == cheapest else 0
        if in_vain == 2:  # more careful ones cost more
            break
    if good:
        return _promised(ladder, min(good, key=_run_micros), aim)
    if reached:
        enough = max(run.made for run in reached) - margin
        usable = (run for run in reached if run.made >= enough)
        return _promised(ladder, min(usable, key=_run_micros), aim)
    return ladder.point(max(runs, key=lambda run: run.low))


def _promised(ladder: _Ladder, run: _Run, aim: float) -> OperatingPoint:
    """A point that promises more than its aim only if made queries reach that, too."""
    low = min(run.low, max(aim, round(run.made - _made_margin(aim), 5)))
    return replace(ladder.point(run), low=low)


def _made_margin(aim: float) -> float:
    return float(MADE_ERRORS * np.sqrt(aim * (1 - aim) / MOST))


@dataclass(frozen=True, slots=True)
class _Run:
    """A simulated search: the effort it starts with, what it finds, and its cost."""

    start: int
    least: Sequence[float]  # the contrast that each effort needs
    recall: float
    low: float
    made: float  # the least mean recall of a kind of made queries
    depth: int
    micros: float


def _run_micros(run: _Run) -> float:
    return run.micros


@dataclass(frozen=True, slots=True)
class _Asked:
    """The queries that a simulation takes, and what is the same for all of its runs."""

    count: int
    each: npt.NDArray[np.int64]
    real: npt.NDArray[np.int64]  # the places of those of which recall is promised,
    made: tuple[npt.NDArray[np.int64], ...]  # and of each kind of made ones
    live: Mask  # whether the best rows score as high as those of a real query
    last: npt.NDArray[np.int64]
    unmeasured: Mask  # whether larger efforts were not measured with it

    @staticmethod
    def of(
        kinds: npt.NDArray[np.int64], live: Mask, last: npt.NDArray[np.int64], efforts: int
    ) -> _Asked:
        return _Asked(
            len(kinds),
            np.arange(len(kinds)),
            np.flatnonzero(kinds == 0),
            tuple(np.flatnonzero(kinds == kind) for kind in np.unique(kinds[kinds > 0])),
            live,
            last,
            live & (last < efforts - 1),
        )


class _Ladder:
    """Simulates searches for k rows with one aim."""

    def __init__(
        self,
        outcomes: Sequence[Outcome],
        kinds: npt.NDArray[np.int64],
        k: int,
        aim: float,
        row_micros: float,
        whole: float,
    ) -> None:
        self._outcomes, self._k, self._aim = outcomes, k, aim
        self._row_micros, self._whole = row_micros, whole
        queries = len(outcomes[0].kth)
        self._kinds = kinds[:queries]
        shape, allowed = (len(outcomes), queries), allowed_misses(k, aim)
        # Of each effort and query: the contrast, -inf where it may not stop; what it then finds,
        # and how many candidates are scored.
        self._contrasts, self._found, self._depths = (np.full(shape, -np.inf) for _ in range(3))
        self._last = np.zeros(queries, np.int64)  # the largest effort that each was measured with,
        self._at_least = np.zeros(queries)  # and what that finds
        for place, one in enumerate(outcomes):
            here, stops = len(one.kth), one.stops(allowed)
            contrast = np.zeros(here) if one.contrast is None else one.contrast
            self._contrasts[place, :here] = np.where(stops >= 0, contrast, -np.inf)
            self._found[place, :here] = one.recalls[np.arange(here), stops]
            self._depths[place, :here] = one.depths[stops]
            self._last[:here] = place
            self._at_least[:here] = one.recalls[:, -1]
        tried = [one.tried for one in outcomes]
        self._micros = np.array([one.micros for one in tried])
        self._latencies = np.array([one.latency for one in tried])
        self._per_candidate = np.array([one.candidate_latency for one in tried])
        self._farthest = outcomes[0].farthest(self._kinds)
        self._live = outcomes[0].kth >= self._farthest
        self._asked: dict[int, _Asked] = {}

    def runs(self, tolerance: float, most: float) -> list[_Run]:
        """The best search from each effort on that may cost less than `most`."""
        least: list[float] = []
        for one in self._outcomes:  # what suffices for an effort suffices for a larger one
            least.append(min(self._contrast(one, tolerance), *least[-1:], np.inf))
        found: list[_Run] = []
        cheapest, reached = most, 0
        for start, one in enumerate(self._outcomes):
            if one.tried.micros >= cheapest or reached == STARTS:
                break
            found.append(self._from(start, least, tolerance))
            if found[-1].low >= self._aim:
                cheapest, reached = min(cheapest, found[-1].micros), reached + 1
        return found

    def _from(self, start: int, least: Sequence[float], tolerance: float) -> _Run:
        """The cheapest search from an effort on that reaches the aim; if none does, the best."""
        kept = self.run(start, least)
        if kept.low < self._aim:
            return kept
        made = min(kept.made, self._aim + _made_margin(self._aim))
        low, high = 0, len(FIRST_TIMES)
        while high - low > 1:
            middle = (low + high) // 2
            allowed = min(tolerance * FIRST_TIMES[middle], FIRST_MOST)
            first = self._contrast(self._outcomes[start], allowed)
            run = self.run(start, [*least[:start], first, *least[start + 1 :]])
            if run.low >= self._aim and run.made >= made:
                low, kept = middle, run
            else:
                high = middle
        return kept

    def _contrast(self, one: Outcome, tolerance: float) -> float:
        """The least contrast at which so few are missed by an effort."""
        if one.contrast is None:
            return ANY_CONTRAST
        level, slope = one.curve(self._kinds)
        share = min(tolerance * (1 - self._aim), 0.9)
        return float((level - np.log(share / (1 - share))) / slope)

    def _queries(self, start: int) -> _Asked:
        """The queries that were measured with an effort."""
        measured, count = len(self._outcomes[start].kth), len(self._kinds)
        if measured < count:
            count = min(measured, REPRESENTATIVE)
        if count not in self._asked:
            self._asked[count] = _Asked.of(
                self._kinds[:count], self._live[:count], self._last[:count], len(self._outcomes)
            )
        return self._asked[count]

    def _ends(
        self, asked: _Asked, start: int, least: Sequence[float]
    ) -> tuple[npt.NDArray[np.int64], Mask, Mask]:
        """Where each query ends: the effort, whether it stops there, whether that is unknown."""
        fine = self._contrasts[start:, : asked.count] >= np.array(least[start:])[:, None]
        place = fine.argmax(axis=0)
        stopped = asked.live & fine[place, asked.each]
        end = np.where(
            stopped, place + start, np.where(asked.live, np.maximum(asked.last, start), start)
        )
        return end, stopped, asked.unmeasured & ~stopped

    def run(self, start: int, least: Sequence[float]) -> _Run:
        """Search with all efforts from one on."""
        asked = self._queries(start)
        end, stopped, late = self._ends(asked, start, least)
        recalls = np.where(stopped, self._found[end, asked.each], 1.0)
        recalls[late] = self._at_least[: asked.count][late]
        end, stopped, late = end[asked.real], stopped[asked.real], late[asked.real]
        depths = np.where(stopped, self._depths[end, asked.real], 0.0)
        more = STEP_MICROS * (end > start)
        micros = self._micros[end] + more + self._whole * ~(stopped | late)
        mean, low = promise(recalls[asked.real])
        made = min((float(recalls[places].mean()) for places in asked.made), default=1.0)
        depth = max(self._k, round(float(depths.mean())))
        cost = float(micros.mean()) + self._row_micros * depth
        return _Run(start, least, mean, low, made, depth, round(cost, 2))

    def point(self, run: _Run) -> OperatingPoint:
        """The operating point of a run."""
        start, asked = run.start, self._queries(run.start)
        end, stopped, _ = (part[asked.real] for part in self._ends(asked, start, run.least))
        depths = np.where(stopped, self._depths[end, asked.real], 0.0)
        more = STEP_MICROS * (end > start)
        latencies = self._latencies[end] + more + self._per_candidate[end] * depths
        steps = [
            (one.tried.effort, round(contrast, 3))
            for one, contrast in zip(self._outcomes[start:], run.least[start:], strict=True)
        ]
        return OperatingPoint(
            effort=self._outcomes[start].tried.effort,
            depth=min(run.depth, int(self._outcomes[start].depths[-1])),
            k=self._k,
            recall=run.recall,
            low=run.low,
            micros=run.micros,
            latency=round(float(latencies.mean()), 1),
            aim=self._aim,
            farthest=self._farthest,
            steps=tuple(steps),
        )


def promise(recalls: Wide) -> tuple[float, float]:
    """Mean recall of some queries, and the lower end of its one-sided 99% confidence interval."""
    mean = float(recalls.mean())
    low = mean - ONE_SIDED_99 * float(recalls.std()) / len(recalls) ** 0.5
    return round(mean, 5), round(low, 5)


def _fit_logistic(contrast: Wide, missed: Wide) -> tuple[float, float]:
    """Level and slope of the share that is missed: 1 / (1 + exp(slope * contrast - level)).

    Logistic regression by Newton's method with halved steps, held to a slope of at least a tenth.
    Rare contrasts count for more than their number, so that the fit also holds where few queries
    are.
    """
    bins = np.floor(contrast / BIN).astype(np.int64)
    _, inverse, counts = np.unique(bins, return_inverse=True, return_counts=True)
    weights = 1 / np.sqrt(counts[inverse])
    weights *= len(contrast) / weights.sum()
    middle = float(np.average(contrast, weights=weights))
    columns = np.stack([np.ones_like(contrast), middle - contrast], axis=1)
    prior = np.array([1e-3, 1e-2])

    def cost(at: Wide) -> float:
        exponents = columns @ at
        losses = np.logaddexp(0, exponents) - missed * exponents
        return float(weights @ losses + 0.5 * prior @ np.square(at - start))

    share = float(np.clip(np.average(missed, weights=weights), 1e-4, 1 - 1e-4))
    start = np.array([np.log(share / (1 - share)), 1.0])
    fitted, now = start, cost(start)
    for _ in range(30):
        shares = 1 / (1 + np.exp(-np.clip(columns @ fitted, -30, 30)))
        curvature = weights * shares * (1 - shares)
        gradient = columns.T @ (weights * (missed - shares)) - prior * (fitted - start)
        step = np.linalg.solve(
            columns.T @ (columns * curvature[:, None]) + np.diag(prior), gradient
        )
        while (after := cost(fitted + step)) > now and np.abs(step).max() > 1e-6:
            step = step / 2
        fitted, now = fitted + step, after
        if np.abs(step).max() < 1e-4:
            break
    slope = max(float(fitted[1]), 0.1)
    return float(fitted[0]) + slope * middle, slope
