"""The calibration of an index: operating points, and what they say about recall and cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


def merge_calibrations(
    before: Sequence[OperatingPoint], now: Sequence[OperatingPoint]
) -> list[OperatingPoint]:
    """The surface that holds for queries like those of either measurement: what was added may be easier to find than the rest.

    More effort and more candidates never find less, so for each recall that both reach it takes the larger of the two.
    """
    points = []
    for k in sorted({point.k for point in before} & {point.k for point in now}):
        some = []
        for low in sorted({point.low for point in (*before, *now) if point.k == k}):
            pair = [
                min(
                    (point for point in surface_ if point.k == k and point.low >= low),
                    key=lambda point: point.micros,
                    default=None,
                )
                for surface_ in (before, now)
            ]
            one, other = pair
            if one is not None and other is not None:
                effort, depth = max(one.effort, other.effort), max(one.depth, other.depth)
                recall, least = min(one.recall, other.recall), min(one.low, other.low)
                cost, latency = max(one.micros, other.micros), max(one.latency, other.latency)
                some.append(OperatingPoint(effort, depth, k, recall, least, cost, latency))
        points += frontier(some)
    return points


def describe_recall(points: list[OperatingPoint], target: float) -> str:
    """What was reached for k=10, in words."""
    usable = [point for point in points if point.k == 10 and point.low >= target]
    if not usable:
        return f"no effort of this index reached recall {target:g} at k=10: such searches are exact; try another recipe"
    best = min(usable, key=lambda point: point.micros)
    return f"recall@10 of {best.recall:.3f} (at least {best.low:.3f}) in about {best.latency or best.micros:,.0f} µs a query"


def frontier(points: list[OperatingPoint]) -> list[OperatingPoint]:
    """The points of one k that no other beats in both cost and recall, cheapest first."""
    best: list[OperatingPoint] = []
    for point in sorted(points, key=lambda item: (item.micros, -item.low)):
        if not best or point.low > best[-1].low:
            best.append(point)
    return best


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """One calibrated operating point: with this effort and depth the k best are found with this recall (`low`: its lower
    confidence bound) at this cost, estimated from what is compared; `latency` was measured. Both in microseconds."""

    effort: int
    depth: int
    k: int
    recall: float
    low: float
    micros: float
    latency: float = 0.0


def operating_points(calibration: Mapping[str, Any]) -> tuple[OperatingPoint, ...]:
    """The operating surface stored with an index."""
    return tuple(OperatingPoint(*row) for row in calibration.get("surface", ()))
