"""Reading a recall/QPS curve at a given recall. Pure functions over (recall, QPS) points."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise

Point = tuple[float, float]
"""(recall, queries per second)"""


def frontier(points: Iterable[Point]) -> list[Point]:
    """The points that no other beats in both recall and QPS, by rising recall (and so by falling
    QPS).
    """
    kept: list[Point] = []
    for recall, qps in sorted(points, key=lambda point: (-point[0], -point[1])):
        if not kept or qps > kept[-1][1]:
            kept.append((recall, qps))
    return kept[::-1]


def qps_at(points: Iterable[Point], recall: float) -> float | None:
    """QPS at `recall`: on the frontier, log QPS taken as linear in recall between the two
    neighbouring points.

    Where even the cheapest setting has more recall than asked, its QPS, which the curve certainly
    reaches. Where the curve ends below `recall`, None: nothing is extrapolated.
    """
    curve = frontier(points)
    if not curve or recall > curve[-1][0]:
        return None
    if recall <= curve[0][0]:
        return curve[0][1]
    for (low, fast), (high, slow) in pairwise(curve):
        if low <= recall <= high:
            share = (recall - low) / (high - low)
            return math.exp((1 - share) * math.log(fast) + share * math.log(slow))
    return None
