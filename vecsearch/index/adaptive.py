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
# By how much more a query may be expected to miss that stops at the first effort, where many stop.
# What reaches the mean of ordinary queries so costs them less than one tolerance for all efforts,
# which queries unlike the rows keep low.
FIRST_TIMES = (1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 11.0, 16.0)
FIRST_MOST = 5.0  # but no query stops that is expected to miss more than this part of what may be
REPRESENTATIVE = 500  # queries in front that stand for all; those after them may be the hard ones
STARTS = 6  # efforts that reach the aim as the first one, of which the cheapest is taken
STEP_MICROS = 2.0  # cost of going on with another effort
ANY_CONTRAST = -1e9  # of an effort that every query may stop at
Mask = npt.NDArray[np.bool_]


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
    living: npt.NDArray[np.int64]  # the places of these
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
            np.flatnonzero(live),
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
        self._unstopped: dict[int, tuple[Wide, Wide]] = {}

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
        recalls, micros = (part.copy() for part in self._without_stops(start, asked))
        depths, living = np.zeros(asked.count), asked.living
        more = 0.0
        for place in range(start, len(self._outcomes)):
            fine = self._contrasts[place][living] >= least[place]
            done = living[fine]
            recalls[done] = self._found[place][done]
            depths[done] = self._depths[place][done]
            micros[done] = self._micros[place] + more
            living = living[~fine]
            if not len(living):
                break
            more = self._of_going_on(self._micros, start)
        mean, low = promise(recalls[asked.real])
        made = min((_mean(recalls[places]) for places in asked.made), default=1.0)
        depth = max(self._k, round(_mean(depths[asked.real])))
        cost = _mean(micros[asked.real]) + self._row_micros * depth
        return _Run(start, least, mean, low, made, depth, round(cost, 2))

    def _without_stops(self, start: int, asked: _Asked) -> tuple[Wide, Wide]:
        """Recall and cost of each query if it stops at no effort from one on.

        It is searched exactly then; but one that was not measured with larger efforts counts as it
        was with the largest of its own.
        """
        if start not in self._unstopped:
            end = np.where(asked.live, np.maximum(asked.last, start), start)
            recalls = np.where(asked.unmeasured, self._at_least[: asked.count], 1.0)
            more = self._of_going_on(self._micros, start) * (end > start)
            micros = self._micros[end] + more + self._whole * ~asked.unmeasured
            self._unstopped[start] = recalls, micros
        return self._unstopped[start]

    def _of_going_on(self, micros: Wide, start: int) -> float:
        """What a search takes that begins with an effort and ends with another, beside the last."""
        begun = float(micros[start]) if self._outcomes[start].tried.starts_over else 0.0
        return STEP_MICROS + begun

    def _knows_far(self, start: int) -> int:
        """The least effort that tells queries that are too far from others; the last if none does.

        An effort that misses many of the best rows has a candidate of rank k that scores lower than
        the k-th best row. Where exact search takes long, few such mistakes cost more than all else.
        """
        later, last = self._outcomes[start + 1 :], self._outcomes[-1]
        knowing = (one for one in later if one.knows_far(self._kinds, self._farthest))
        return next(knowing, last).tried.effort

    def point(self, run: _Run) -> OperatingPoint:
        """The operating point of a run."""
        start, asked = run.start, self._queries(run.start)
        end, stopped, _ = (part[asked.real] for part in self._ends(asked, start, run.least))
        depths = np.where(stopped, self._depths[end, asked.real], 0.0)
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
            aim=self._aim,
            farthest=self._farthest,
            far=self._knows_far(start),
            steps=tuple(steps),
            made=round(run.made, 5),
        )


def promise(recalls: Wide) -> tuple[float, float]:
    """Mean recall of some queries, and the lower end of its one-sided 99% confidence interval."""
    mean = _mean(recalls)
    deviation = _mean(np.square(recalls - mean)) ** 0.5
    low = mean - ONE_SIDED_99 * deviation / len(recalls) ** 0.5
    return round(mean, 5), round(low, 5)


def _mean(values: Wide) -> float:
    """The mean, without what `numpy.mean` does beside: it is called so often."""
    return float(np.add.reduce(values)) / len(values)
