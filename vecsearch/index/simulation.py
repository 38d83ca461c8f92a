"""Simulates searches that go on from one effort to another, from what each effort was measured to
find: recall, cost, and the operating point of such a search.

A query stops at the first effort at which its contrast is large enough and few hits are expected
among the candidates that were not scored. Who stops at none is searched exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vecsearch.index.calibration import OperatingPoint
from vecsearch.index.kernels.misses import allowed_misses
from vecsearch.index.outcomes import Outcome
from vecsearch.index.ruler import Wide
from vecsearch.index.unlike import MOST

ONE_SIDED_99 = 2.326  # quantile of the normal distribution, for the lower bound
# Of many ladders the cheapest that reaches the aim is taken, so that its recall is flattered. Made
# queries are few, and have to reach as much more as this part of their standard error at most.
MADE_ERRORS = 0.4
# A region of the data may get so much less than the aim, where there are so many queries of it.
REGION_LESS, REGION_QUERIES = 0.01, 80
# Made queries of a kind are fewer, and the mean of those in a region is partly chance. So many more
# with the mean of their kind count beside them (the estimate of James and Stein, 1961). Where fewer
# rows are to be found, the recall of a query says too little even so.
MADE_BESIDE, MADE_LEAST_K = 40, 10
STEP_MICROS = 2.0  # cost of going on with another effort
# Of the queries of which recall is promised, the share that may be taken for far ones, and the part
# of a search's mean cost that their exact searches may take.
FEW_FAR, FAR_COST = 0.001, 0.05
MOST_CONTRAST = 1e3  # standard deviations; larger ones are not told apart
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the queries of a calibration are, and what they cost.

    Attributes:
        kinds: int64 (nq,): 0 for those of which recall is promised, other numbers for each kind of
            made queries.
        regions: int64 (nq,): the region of the data that each is in.
        row_micros: Cost of scoring a candidate.
        whole_micros: Cost of an exact search.
    """

    kinds: npt.NDArray[np.int64]
    regions: npt.NDArray[np.int64]
    row_micros: float
    whole_micros: float


@dataclass(frozen=True, slots=True)
class Run:
    """A simulated search: the effort it starts with, what it finds, and its cost."""

    start: int
    least: Sequence[float]  # the contrast that each effort needs
    recall: float
    low: float
    made: float  # the least mean recall of a kind of made queries
    all_reach: float  # the aim that all kinds and regions are near enough to
    depth: int
    micros: float


class Simulation:
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
        self.outcomes, self._k, self.aim = outcomes, k, aim
        self._ranked = outcomes if ranked is None else ranked
        self.margin = float(MADE_ERRORS * np.sqrt(aim * (1 - aim) / MOST))
        self._row_micros, self._whole = asked.row_micros, asked.whole_micros
        queries = len(outcomes[0].kth)
        self.kinds = asked.kinds[:queries]
        self._farthest = self._ranked[0].farthest(self.kinds)
        self._live = self._ranked[0].kth >= self._farthest  # as near to the rows as a real query
        tried = [one.tried for one in outcomes]
        self._micros = np.array([one.micros for one in tried])
        self._latencies = np.array([one.latency for one in tried])
        self._per_candidate = np.array([one.candidate_latency for one in tried])
        # Queries in parts that follow each other: those of which recall is promised, by their
        # regions, then each kind of made ones, likewise.
        regions = asked.regions[:queries]
        order = np.lexsort((regions, self.kinds))
        kinds, regions = self.kinds[order], regions[order]
        changes = (np.diff(kinds) != 0) | (np.diff(regions) != 0)
        self._parts = np.append(0, 1 + np.flatnonzero(changes))
        self._sizes = np.diff(np.append(self._parts, queries))
        self._kind_parts = np.append(0, np.flatnonzero(np.diff(kinds[self._parts])) + 1)
        self._kind_sizes = np.add.reduceat(self._sizes, self._kind_parts)
        made = kinds[self._parts] > 0
        self._kind_of = np.searchsorted(self._kind_parts, np.arange(len(made)), "right") - 1
        self._own_share = np.where(made, self._sizes / (self._sizes + MADE_BESIDE), 1.0)
        judged = np.where(made, k >= MADE_LEAST_K, self._sizes >= REGION_QUERIES)
        self._less = np.where(judged, REGION_LESS, 1.0)
        self._real = int(np.count_nonzero(kinds == 0))
        self._contrasts, self._ends, known = self._tables(order, allowed_misses(k, aim))
        exact = np.ones(queries), self._micros[-1] + self._whole, 0.0, known
        self._exact = np.stack(np.broadcast_arrays(*exact))

    def _tables(
        self, order: npt.NDArray[np.int64], allowed: float
    ) -> tuple[Wide, Wide, npt.NDArray[np.int64]]:
        """What each query gets that stops at an effort.

        Returns:
            The contrast (efforts, nq), -inf where it may not stop, as none does that is too far;
            recall, cost, scored candidates, and the query that was measured (efforts, 4, nq); and
            the latter of the last effort (nq,).
        """
        queries = len(order)
        contrasts, ends = (np.empty((len(self.outcomes), *shape, queries)) for shape in ((), (4,)))
        contrast, before = np.zeros(queries), np.zeros(queries, bool)
        known = np.arange(queries)  # the query that was measured
        for place, (one, at_rank) in enumerate(zip(self.outcomes, self._ranked, strict=True)):
            here = len(one.kth)
            if here < queries:
                known[here:] = self._stand_ins(here, contrast, before)
            contrast[:here] = 0.0 if at_rank.contrast is None else at_rank.contrast
            contrast[here:] = contrast[known[here:]]
            stops = one.stops(allowed)[known]
            before = (stops >= 0) & (contrast > -np.inf)
            contrasts[place] = np.where(before & self._live, contrast, -np.inf)[order]
            ends[place, 0] = one.recalls[known, stops][order]
            ends[place, 1] = self._micros[place]
            ends[place, 2] = one.depths[stops][order]
            ends[place, 3] = known[order]
        return contrasts, ends, known[order]

    def _stand_ins(self, here: int, contrast: Wide, stops: Mask) -> npt.NDArray[np.int64]:
        """Which of the first `here` queries stand for each of the others.

        Those of the same kind that may stop, or may not, with the effort before alike, and whose
        contrast there is nearest. Where no such query was measured, others do.
        """
        likeness = np.clip(contrast, -MOST_CONTRAST, MOST_CONTRAST)
        groups: tuple[npt.NDArray[Any], ...] = stops, self.kinds, ~self._live
        for apart, group in enumerate(groups, start=1):
            likeness = likeness + group * (10 * MOST_CONTRAST) ** apart
        order = np.argsort(likeness[:here], kind="stable")
        known, wanted = likeness[order], likeness[here:]
        above = np.searchsorted(known, wanted).clip(1, here - 1)
        nearer = wanted - known[above - 1] <= known[above] - wanted
        stand_ins: npt.NDArray[np.int64] = order[above - nearer]
        return stand_ins

    def run(self, start: int, least: Sequence[float]) -> Run:
        """Search with all efforts from one on. Who stops at none is searched exactly."""
        return self.run_with(start, least, self.rests(least)[start + 1])

    def rests(self, least: Sequence[float]) -> list[Wide]:
        """What each query finds and costs if it continues to an effort; last of all, exactly."""
        rests = [self._exact]
        for contrasts, ends, enough in zip(
            self._contrasts[::-1], self._ends[::-1], least[::-1], strict=True
        ):
            rests.append(np.where(contrasts >= enough, ends, rests[-1]))
        return rests[::-1]

    def run_with(self, start: int, least: Sequence[float], rest: Wide) -> Run:
        """Search from an effort on; `rest` is what those get that do not stop there."""
        stop, real = self._contrasts[start] >= least[start], self._real
        recalls, micros, depths, measured = np.where(stop, self._ends[start], rest)
        sums = np.add.reduceat(recalls, self._parts)
        mean, low = promise(recalls[:real], measured[:real].astype(np.int64))
        by_kind = np.add.reduceat(sums, self._kind_parts) / self._kind_sizes
        made = float(by_kind[1:].min(initial=1.0))
        own = self._own_share
        regions = own * (sums / self._sizes) + (1 - own) * by_kind[self._kind_of]
        all_reach = min(made - self.margin, float((regions + self._less).min()))
        depth = max(self._k, round(_mean(depths[:real])))
        going_on = 0 if start == len(self._micros) - 1 else np.count_nonzero(~stop[:real])
        more = going_on * self._of_going_on(self._micros, start) / real
        cost = _mean(micros[:real]) + more + self._row_micros * depth
        return Run(start, least, mean, low, made, all_reach, depth, round(cost, 2))

    def _of_going_on(self, micros: Wide, start: int) -> float:
        """What a search takes that begins with an effort and ends with another, beside the last."""
        begun = float(micros[start]) if self.outcomes[start].tried.starts_over else 0.0
        return STEP_MICROS + begun

    def _knows_far(self, run: Run) -> int:
        """The least effort that tells queries that are too far from others; the last if none does.

        An effort that misses many of the best rows has a candidate of rank k that scores lower than
        the k-th best row. Where exact search takes long, few such mistakes cost more than all else.
        """
        later, last = self._ranked[run.start + 1 :], self._ranked[-1]
        few = min(FEW_FAR, FAR_COST * run.micros / self._whole) if self._whole else FEW_FAR
        knowing = (one for one in later if one.knows_far(self.kinds, self._farthest, few))
        return next(knowing, last).tried.effort

    def point(self, run: Run) -> OperatingPoint:
        """The operating point of a run."""
        start, last, real = run.start, len(self._micros) - 1, self._real
        stops = self._contrasts[start:, :real] >= np.array(run.least[start:])[:, None]
        stopped = stops.any(axis=0)
        end = np.where(stopped, start + stops.argmax(axis=0), last)
        depths = np.where(stopped, self._ends[end, 2, np.arange(real)], 0.0)
        more = self._of_going_on(self._latencies, start) * (end > start)
        latencies = self._latencies[end] + more + self._per_candidate[end] * depths
        steps = [
            (one.tried.effort, round(contrast, 3))
            for one, contrast in zip(self.outcomes[start:], run.least[start:], strict=True)
        ]
        return OperatingPoint(
            effort=self.outcomes[start].tried.effort,
            depth=min(run.depth, int(self.outcomes[start].depths[-1])),
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
