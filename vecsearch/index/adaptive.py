"""Works out what searches find that stop at the effort which each query needs.

An operating point is a ladder of efforts. A query stops at the first one where two things hold:

* its k-th candidate stands out from the rows at large (its contrast, `kernels/contrast.py`) by as
  much as that effort needs. Queries whose hits stand out less are missed more often: the share that
  a search misses falls with the contrast like a logistic function, fitted for each effort.
* few hits are expected among the candidates that were not scored (`kernels/misses.py`).

A query whose hits score lower than those of any query of calibration is searched exactly. For one
that the largest effort does not settle the codes of all rows are compared, then all rows scored.
Each kind of made queries has to reach the aim on average, and each region of the rows nearly.
That effort follows from each query's own distances is the idea of DARTH (arXiv:2505.19001) and of
Ada-ef (arXiv:2512.06636).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from vecsearch.index.calibration import OperatingPoint
from vecsearch.index.kernels.misses import allowed_misses
from vecsearch.index.outcomes import Outcome
from vecsearch.index.ruler import Wide
from vecsearch.index.unlike import MOST

AIMS = (0.8, 0.85, 0.9, 0.93, 0.95, 0.965, 0.98, 0.99, 0.995, 0.999)
ONE_SIDED_99 = 2.326  # quantile of the normal distribution, for the lower bound
# Of the share that the aim allows to miss, the part that a query may be expected to miss: the first
# with which the mean reaches the aim. Some queries miss more than others, so the mean misses less.
TOLERANCES = (1.4, 1.0, 0.7, 0.5, 0.35, 0.25)
# Of many ladders the cheapest that reaches the aim is taken, so that its recall is flattered. Made
# queries are few, and have to reach as much more as this part of their standard error at most.
MADE_ERRORS = 0.4
# A region of the data may get so much less than the aim, where it has so many queries.
REGION_LESS, REGION_QUERIES = 0.01, 80
# By how much more a query may be expected to miss that stops at the first effort, where many stop.
# What reaches the mean of ordinary queries so costs them less than one tolerance for all efforts,
# which queries unlike the rows keep low.
FIRST_TIMES = (1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 11.0, 16.0)
FIRST_MOST = 5.0  # but no query stops that is expected to miss more than this part of what may be
STARTS = 6  # efforts that reach the aim as the first one, of which the cheapest is taken
STEP_MICROS = 2.0  # cost of going on with another effort
# Of the queries of which recall is promised, the share that may be taken for far ones, and the part
# of a search's mean cost that their exact searches may take.
FEW_FAR, FAR_COST = 0.001, 0.05
ANY_CONTRAST = -1e9  # of an effort that every query may stop at
MOST_CONTRAST = 1e3  # standard deviations; larger ones are not told apart
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the queries of a calibration are, and what they cost.

    Attributes:
        kinds: int64 (nq,): 0 for those of which recall is promised, other numbers for each kind of
            made queries.
        regions: int64 (nq,): the region of the data that each of the former is in.
        row_micros: Cost of scoring a candidate.
        whole_micros: Cost of an exact search.
    """

    kinds: npt.NDArray[np.int64]
    regions: npt.NDArray[np.int64]
    row_micros: float
    whole_micros: float

    def of_regions(self, count: int) -> list[npt.NDArray[np.int64]]:
        """The places of the first `count` queries of each region that has enough of them."""
        regions = np.where(self.kinds[:count] == 0, self.regions[:count], -1)
        places = (np.flatnonzero(regions == region) for region in np.unique(self.regions))
        return [part for part in places if len(part) >= REGION_QUERIES]


def best_point(
    outcomes: Sequence[Outcome], asked: Asked, k: int, aim: float
) -> OperatingPoint | None:
    """The cheapest ladder of efforts whose mean recall reaches `aim` by its lower bound.

    Made queries are to reach it too, each kind on average, and each region nearly. If no ladder
    does, the most careful one.

    Args:
        outcomes: Of each effort, ascending; later ones may be of fewer queries, some of them drawn
            at random and the others the hard ones.
        asked: The queries.
        k: Rows to find.
        aim: The recall to reach, 0 to 1.
    """
    if not outcomes:
        return None
    ladder = _Ladder(outcomes, asked, k, aim)
    runs: list[_Run] = []
    good: list[_Run] = []
    cheapest, in_vain = np.inf, 0
    for tolerance in TOLERANCES:
        runs += ladder.runs(tolerance, cheapest)
        reached = [run for run in runs if run.low >= aim]
        good = [run for run in reached if run.all_reach >= aim]
        least = min(map(_run_micros, good), default=np.inf)
        cheapest, in_vain = least, in_vain + 1 if good and least == cheapest else 0
        if in_vain == 2:  # more careful ones cost more
            break
    if good:
        return _promised(ladder, min(good, key=_run_micros), aim)
    if reached:
        enough = max(run.all_reach for run in reached) - ladder.margin
        usable = (run for run in reached if run.all_reach >= enough)
        return _promised(ladder, min(usable, key=_run_micros), aim)
    return ladder.point(max(runs, key=lambda run: run.low))


def _promised(ladder: _Ladder, run: _Run, least: float) -> OperatingPoint:
    """A point that promises more than `least` only if made queries and regions reach that, too."""
    low = min(run.low, max(least, round(run.all_reach, 5)))
    return replace(ladder.point(run), low=low)


def lent_point(
    point: OperatingPoint,
    outcomes: Sequence[Outcome],
    ranked: Sequence[Outcome],
    asked: Asked,
    k: int,
) -> OperatingPoint:
    """What the ladder of a point for more rows finds of the k best.

    They are not found as often as all of its rows: of means of five rows, in a mixture of normal
    clusters, .975 of the 10 best were found where .985 of the 30 best were.

    Args:
        point: Of `best_point`, for more than k rows.
        outcomes: Of each effort, for k rows,
        ranked: and for the rows of the point, of the same queries.
        asked: The queries.
        k: Rows to find.
    """
    efforts = {one.tried.effort for one in ranked}
    same = [one for one in outcomes if one.tried.effort in efforts]
    ladder = _Ladder(same, asked, k, point.aim, ranked)
    start = len(ranked) - len(point.steps)
    least = [np.inf] * start + [contrast for _, contrast in point.steps]
    return replace(_promised(ladder, ladder.run(start, least), 0.0), rank=point.k)


@dataclass(frozen=True, slots=True)
class _Run:
    """A simulated search: the effort it starts with, what it finds, and its cost."""

    start: int
    least: Sequence[float]  # the contrast that each effort needs
    recall: float
    low: float
    made: float  # the least mean recall of a kind of made queries
    all_reach: float  # the aim that all kinds and regions are near enough to
    depth: int
    micros: float


def _run_micros(run: _Run) -> float:
    return run.micros


class _Ladder:
    """Simulates searches for k rows with one aim.

    Large efforts are measured with fewer queries. One that was not measured with an effort counts
    as one of its kind that was, the one most like it with the effort before (`_stand_ins`).
    """

    def __init__(
        self,
        outcomes: Sequence[Outcome],
        asked: Asked,
        k: int,
        aim: float,
        ranked: Sequence[Outcome] | None = None,
    ) -> None:
        """ranked: for the rank whose candidate tells when to stop, if that is not k."""
        self._outcomes, self._k, self.aim = outcomes, k, aim
        self._ranked = outcomes if ranked is None else ranked
        self.margin = float(MADE_ERRORS * np.sqrt(aim * (1 - aim) / MOST))
        self._row_micros, self._whole = asked.row_micros, asked.whole_micros
        queries = len(outcomes[0].kth)
        self._kinds = asked.kinds[:queries]
        self._regions = asked.of_regions(queries)
        shape, allowed = (len(outcomes), queries), allowed_misses(k, aim)
        self._farthest = self._ranked[0].farthest(self._kinds)
        self._live = self._ranked[0].kth >= self._farthest  # as near to the rows as a real query
        self._living = np.flatnonzero(self._live)
        self._real = np.flatnonzero(self._kinds == 0)  # those of which recall is promised,
        made = np.unique(self._kinds[self._kinds > 0])
        self._made = tuple(np.flatnonzero(self._kinds == kind) for kind in made)
        # Of each effort and query: the contrast, -inf where it may not stop; what it then finds,
        # how many candidates are scored, and which query was measured.
        self._contrasts, self._found, self._depths = (np.full(shape, -np.inf) for _ in range(3))
        self._measured = np.tile(np.arange(queries), (len(outcomes), 1))
        contrast = np.zeros(queries)
        for place, (one, at_rank) in enumerate(zip(outcomes, self._ranked, strict=True)):
            here, stops = len(one.kth), one.stops(allowed)
            self._measured[place, here:] = self._stand_ins(here, contrast, place)
            contrast[:here] = 0.0 if at_rank.contrast is None else at_rank.contrast
            self._contrasts[place, :here] = np.where(stops >= 0, contrast[:here], -np.inf)
            self._found[place, :here] = one.recalls[np.arange(here), stops]
            self._depths[place, :here] = one.depths[stops]
            others = self._measured[place, here:]
            contrast[here:] = contrast[others]
            for table in (self._contrasts, self._found, self._depths):
                table[place, here:] = table[place, others]
        tried = [one.tried for one in outcomes]
        self._micros = np.array([one.micros for one in tried])
        self._latencies = np.array([one.latency for one in tried])
        self._per_candidate = np.array([one.candidate_latency for one in tried])

    def _stand_ins(self, here: int, contrast: Wide, place: int) -> npt.NDArray[np.int64]:
        """Which of the first `here` queries stand for each of the others.

        Those of the same kind that may stop, or may not, with the effort before alike, and whose
        contrast there is nearest. Where no such query was measured, others do.
        """
        if here == len(contrast):
            return np.empty(0, np.int64)
        stops = self._contrasts[place - 1] > -np.inf
        likeness = np.clip(contrast, -MOST_CONTRAST, MOST_CONTRAST)
        for apart, group in enumerate((stops, self._kinds, ~self._live), start=1):
            likeness = likeness + group * (10 * MOST_CONTRAST) ** apart
        order = np.argsort(likeness[:here], kind="stable")
        known, wanted = likeness[order], likeness[here:]
        above = np.searchsorted(known, wanted).clip(1, here - 1)
        nearer = wanted - known[above - 1] <= known[above] - wanted
        stand_ins: npt.NDArray[np.int64] = order[above - nearer]
        return stand_ins

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
            if found[-1].low >= self.aim:
                cheapest, reached = min(cheapest, found[-1].micros), reached + 1
        return found

    def _from(self, start: int, least: Sequence[float], tolerance: float) -> _Run:
        """The cheapest search from an effort on that reaches the aim; if none does, the best."""
        kept = self.run(start, least)
        if kept.low < self.aim:
            return kept
        reach = min(kept.all_reach, self.aim)
        low, high = 0, len(FIRST_TIMES)
        while high - low > 1:
            middle = (low + high) // 2
            allowed = min(tolerance * FIRST_TIMES[middle], FIRST_MOST)
            first = self._contrast(self._outcomes[start], allowed)
            run = self.run(start, [*least[:start], first, *least[start + 1 :]])
            if run.low >= self.aim and run.all_reach >= reach:
                low, kept = middle, run
            else:
                high = middle
        return kept

    def _contrast(self, one: Outcome, tolerance: float) -> float:
        """The least contrast at which so few are missed by an effort."""
        if one.contrast is None:
            return ANY_CONTRAST
        level, slope = one.curve(self._kinds)
        share = min(tolerance * (1 - self.aim), 0.9)
        return float((level - np.log(share / (1 - share))) / slope)

    def _ends(self, start: int, least: Sequence[float]) -> tuple[npt.NDArray[np.int64], Mask]:
        """Where each query ends: the effort, and whether it stops there."""
        fine = self._contrasts[start:] >= np.array(least[start:])[:, None]
        place = fine.argmax(axis=0)
        stopped = self._live & fine[place, np.arange(len(place))]
        most = np.where(self._live, len(self._outcomes) - 1, start)
        return np.where(stopped, place + start, most), stopped

    def run(self, start: int, least: Sequence[float]) -> _Run:
        """Search with all efforts from one on. Who stops at none is searched exactly."""
        count = len(self._kinds)
        recalls, depths, living = np.ones(count), np.zeros(count), self._living
        measured = self._measured[-1].copy()
        more = self._of_going_on(self._micros, start)
        going_on = more if start < len(self._outcomes) - 1 else 0.0
        micros = (
            np.where(self._live, self._micros[-1] + going_on, self._micros[start]) + self._whole
        )
        for place in range(start, len(self._outcomes)):
            fine = self._contrasts[place][living] >= least[place]
            done = living[fine]
            recalls[done] = self._found[place][done]
            depths[done] = self._depths[place][done]
            measured[done] = self._measured[place][done]
            micros[done] = self._micros[place] + more * (place > start)
            living = living[~fine]
            if not len(living):
                break
        mean, low = promise(recalls[self._real], measured[self._real])
        made = min((_mean(recalls[places]) for places in self._made), default=1.0)
        regional = min((_mean(recalls[places]) for places in self._regions), default=1.0)
        all_reach = min(made - self.margin, regional + REGION_LESS)
        depth = max(self._k, round(_mean(depths[self._real])))
        cost = _mean(micros[self._real]) + self._row_micros * depth
        return _Run(start, least, mean, low, made, all_reach, depth, round(cost, 2))

    def _of_going_on(self, micros: Wide, start: int) -> float:
        """What a search takes that begins with an effort and ends with another, beside the last."""
        begun = float(micros[start]) if self._outcomes[start].tried.starts_over else 0.0
        return STEP_MICROS + begun

    def _knows_far(self, run: _Run) -> int:
        """The least effort that tells queries that are too far from others; the last if none does.

        An effort that misses many of the best rows has a candidate of rank k that scores lower than
        the k-th best row. Where exact search takes long, few such mistakes cost more than all else.
        """
        later, last = self._ranked[run.start + 1 :], self._ranked[-1]
        few = min(FEW_FAR, FAR_COST * run.micros / self._whole) if self._whole else FEW_FAR
        knowing = (one for one in later if one.knows_far(self._kinds, self._farthest, few))
        return next(knowing, last).tried.effort

    def point(self, run: _Run) -> OperatingPoint:
        """The operating point of a run."""
        start = run.start
        end, stopped = (part[self._real] for part in self._ends(start, run.least))
        depths = np.where(stopped, self._depths[end, self._real], 0.0)
        more = self._of_going_on(self._latencies, start) * (end > start)
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
            aim=self.aim,
            farthest=self._farthest,
            far=self._knows_far(run),
            steps=tuple(steps),
            made=round(run.made, 5),
        )


def promise(recalls: Wide, measured: npt.NDArray[np.int64] | None = None) -> tuple[float, float]:
    """Mean recall of some queries, and the lower end of its one-sided 99% confidence interval.

    Args:
        recalls: Of each query.
        measured: int64, which query each was measured with, where some stand for others; the
            variance of the mean is that of clusters of equal ones.
    """
    mean = _mean(recalls)
    apart: Wide = recalls - mean
    if measured is not None:
        apart = np.bincount(measured, apart).astype(np.float64)
    deviation = float(np.square(apart).sum()) ** 0.5 / len(recalls)
    return round(mean, 5), round(mean - ONE_SIDED_99 * deviation, 5)


def _mean(values: Wide) -> float:
    """The mean, without what `numpy.mean` does beside: it is called so often."""
    return float(np.add.reduce(values)) / len(values)
