"""Chooses how far searches go on for each query, so that their recall reaches an aim.

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
from dataclasses import replace

import numpy as np

from vecsearch.index.calibration import OperatingPoint
from vecsearch.index.outcomes import Outcome
from vecsearch.index.ruler import Wide
from vecsearch.index.simulation import Asked, Run, Simulation

AIMS = (0.8, 0.85, 0.9, 0.93, 0.95, 0.965, 0.98, 0.99, 0.995, 0.999)
# Of the share that the aim allows to miss, the part that a query may be expected to miss: the first
# with which the mean reaches the aim. Some queries miss more than others, so the mean misses less.
TOLERANCES = (1.4, 1.0, 0.7, 0.5, 0.35, 0.25)
# By how much more a query may be expected to miss that stops at the first effort, where many stop.
# What reaches the mean of ordinary queries so costs them less than one tolerance for all efforts,
# which queries unlike the rows keep low.
FIRST_TIMES = (1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 11.0, 16.0)
FIRST_MOST = 5.0  # but no query stops that is expected to miss more than this part of what may be
STARTS = 6  # efforts that reach the aim as the first one, of which the cheapest is taken
ANY_CONTRAST = -1e9  # of an effort that every query may stop at


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
    simulation = Simulation(outcomes, asked, k, aim)
    runs: list[Run] = []
    good: list[Run] = []
    cheapest, in_vain = np.inf, 0
    for tolerance in TOLERANCES:
        runs += _runs(simulation, tolerance, cheapest)
        reached = [run for run in runs if run.low >= aim]
        good = [run for run in reached if run.all_reach >= aim]
        least = min(map(_run_micros, good), default=np.inf)
        cheapest, in_vain = least, in_vain + 1 if good and least == cheapest else 0
        if in_vain == 2:  # more careful ones cost more
            break
    if good:
        return _promised(simulation, min(good, key=_run_micros), aim)
    if reached:
        enough = max(run.all_reach for run in reached) - simulation.margin
        usable = (run for run in reached if run.all_reach >= enough)
        return _promised(simulation, min(usable, key=_run_micros), aim)
    return simulation.point(max(runs, key=lambda run: run.low))


def _promised(simulation: Simulation, run: Run, least: float) -> OperatingPoint:
    """A point that promises more than `least` only if made queries and regions reach that, too."""
    low = min(run.low, max(least, round(run.all_reach, 5)))
    return replace(simulation.point(run), low=low)


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
    simulation = Simulation(same, asked, k, point.aim, ranked)
    start = len(ranked) - len(point.steps)
    least = [np.inf] * start + [contrast for _, contrast in point.steps]
    return replace(_promised(simulation, simulation.run(start, least), 0.0), rank=point.k)


def _run_micros(run: Run) -> float:
    return run.micros


def _runs(simulation: Simulation, tolerance: float, most: float) -> list[Run]:
    """The best search from each effort on that may cost less than `most`."""
    least: list[float] = []
    for one in simulation.outcomes:  # what suffices for an effort suffices for a larger one
        least.append(min(_contrast(simulation, one, tolerance), *least[-1:], np.inf))
    rests = simulation.rests(least)
    found: list[Run] = []
    cheapest, reached = most, 0
    for start, one in enumerate(simulation.outcomes):
        if one.tried.micros >= cheapest or reached == STARTS:
            break
        found.append(_from(simulation, start, least, rests[start + 1], tolerance))
        if found[-1].low >= simulation.aim:
            cheapest, reached = min(cheapest, found[-1].micros), reached + 1
    return found


def _from(
    simulation: Simulation, start: int, least: Sequence[float], rest: Wide, tolerance: float
) -> Run:
    """The cheapest search from an effort on that reaches the aim; if none does, the best."""
    kept = simulation.run_with(start, least, rest)
    if kept.low < simulation.aim:
        return kept
    reach = min(kept.all_reach, simulation.aim)
    low, high = 0, len(FIRST_TIMES)
    while high - low > 1:
        middle = (low + high) // 2
        allowed = min(tolerance * FIRST_TIMES[middle], FIRST_MOST)
        first = _contrast(simulation, simulation.outcomes[start], allowed)
        run = simulation.run_with(start, [*least[:start], first, *least[start + 1 :]], rest)
        if run.low >= simulation.aim and run.all_reach >= reach:
            low, kept = middle, run
        else:
            high = middle
    return kept


def _contrast(simulation: Simulation, one: Outcome, tolerance: float) -> float:
    """The least contrast at which so few are missed by an effort."""
    if one.contrast is None:
        return ANY_CONTRAST
    level, slope = one.curve(simulation.kinds)
    share = min(tolerance * (1 - simulation.aim), 0.9)
    return float((level - np.log(share / (1 - share))) / slope)
