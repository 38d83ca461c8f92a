"""What was measured of an index: its operating points, and the recall and cost they promise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

from vecsearch.types import Ladder

DEFAULT_ROW_MICROS = 0.25  # used where a manifest names no cost
DEFAULT_CODE_MICROS = 0.02
STEPS = 9  # the place of the steps in a point as it is stored,
MADE = 10  # and of what was added later: the recall of made queries, and what follows it
POINTS_KEY = "surface"  # the key of the operating points in a manifest


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """One measured way to search an index.

    Args:
        effort: efSearch of a graph, nprobe of an inverted file; 0 for a scan of all codes.
        depth: Candidates that are re-scored with their full vectors.
        k: The measurement holds for the k best rows.
        recall: Mean recall over the queries, 0 to 1.
        low: Lower end of a one-sided 99% confidence interval of the recall.
        micros: Cost of a query in microseconds, estimated from what is compared.
        latency: Measured time of a query in microseconds; 0 if it was not measured.
        aim: The recall that hard queries are searched on for, 0 to 1; 0 in older versions, where
            all queries are searched alike.
        farthest: Lowest score of the k-th best row, over the queries it was measured with.
        steps: Efforts that hard queries go on to, ascending from `effort`, each with the least
            contrast of a query that may stop there.
        made: Mean recall of the kind of made queries that reaches least, 0 to 1; 0 if not stored.
        far: The least effort that tells whether a query is farther than `farthest`; 0 in older
            versions, where the second one does.
        rank: The rank of the candidate whose contrast and score tell when to stop; 0 for k.

    `effort` and `depth` are what a query gets at least; `depth`, `micros` and `latency` are means.
    """

    effort: int
    depth: int
    k: int
    recall: float
    low: float
    micros: float
    latency: float = 0.0
    aim: float = 0.0
    farthest: float = 0.0
    steps: tuple[tuple[int, float], ...] = ()
    made: float = 0.0
    far: int = 0
    rank: int = 0

    @property
    def ladder(self) -> Ladder | None:
        """How far a search goes on for one query; None in older versions."""
        if not self.steps:
            return None
        efforts, contrasts = zip(*self.steps, strict=True)
        smaller = sum(effort < self.far for effort in efforts)
        return Ladder(efforts, contrasts, self.stop_rank, self.farthest, self.aim, max(1, smaller))

    @property
    def stop_rank(self) -> int:
        """The rank of the candidate that tells where a query stops."""
        return self.rank or self.k


@dataclass(frozen=True, slots=True)
class Calibration:
    """The calibration of one index, as its manifest stores it.

    Args:
        points: Operating points of the index, cheapest first for each k.
        exact_micros_per_row: Estimated cost of scoring one row with its full vector.
        code_points: The same for a scan of all codes; empty if the kind has none.
        code_micros_per_row: Estimated cost of comparing one code.
        target: The recall the index was built for, 0 to 1.
        calibrated_on: Which queries it was measured with, in words.
        queries: How many queries that were.
        memory_bytes: Bytes the index takes in memory.
        threads: Threads it was built with.
        seed: Seed of the build.
    """

    points: tuple[OperatingPoint, ...] = ()
    exact_micros_per_row: float = DEFAULT_ROW_MICROS
    code_points: tuple[OperatingPoint, ...] = ()
    code_micros_per_row: float = DEFAULT_CODE_MICROS
    target: float = 0.0
    calibrated_on: str = ""
    queries: int = 0
    memory_bytes: int = 0
    threads: int = 0
    seed: int = 0

    @staticmethod
    def from_mapping(stored: Mapping[str, Any]) -> Calibration:
        """Read the mapping of a manifest. A key that is missing takes its default."""
        codes = stored.get("codes", {})
        return Calibration(
            points=_read_points(stored),
            exact_micros_per_row=stored.get("exact_micros_per_row", DEFAULT_ROW_MICROS),
            code_points=_read_points(codes),
            code_micros_per_row=codes.get("micros_per_row", DEFAULT_CODE_MICROS),
            **{name: stored[name] for name in _SAME_NAME if name in stored},
        )

    def to_mapping(self) -> dict[str, Any]:
        """The mapping that a manifest stores; `from_mapping` reads it."""
        return {name: getattr(self, name) for name in _SAME_NAME} | {
            POINTS_KEY: [list(astuple(point)) for point in self.points],
            "exact_micros_per_row": self.exact_micros_per_row,
            "codes": {
                POINTS_KEY: [list(astuple(point)) for point in self.code_points],
                "micros_per_row": self.code_micros_per_row,
            },
        }

    def cheapest(self, k: int, recall: float) -> OperatingPoint | None:
        """The cheapest point that promises this recall of the k best; None if none does."""
        return _cheapest(points_for(self.points, k), recall)

    def merged_with(self, previous: Calibration) -> Calibration:
        """This calibration, weakened to what `previous` promises too."""
        return replace(
            self,
            points=merge_points(previous.points, self.points),
            code_points=merge_points(previous.code_points, self.code_points),
        )


_SAME_NAME = ("target", "calibrated_on", "queries", "memory_bytes", "threads", "seed")


def points_for(points: Sequence[OperatingPoint], k: int) -> list[OperatingPoint]:
    """The points that were measured for k rows, or the next number above that.

    Those for more rows say less of the k best: see `adaptive.lent_point`.
    """
    nearest = min((point.k for point in points if point.k >= k), default=0)
    return [point for point in points if point.k == nearest]


def point_within(
    points: Sequence[OperatingPoint], k: int, most: int, recall: float
) -> OperatingPoint | None:
    """The cheapest point for k rows whose searches look at `most` candidates or more.

    For searches with a filter. When to stop is decided by the contrasts measured for k rows: those
    measured for `most` rows would stop such a search too early. None if no point reaches this
    recall of the k best rows, or none that of the `most` best.
    """
    point = _cheapest(points_for(points, k), recall)
    wider = point and _cheapest(points_for(points, most), recall)
    if point is None or wider is None or wider is point:
        return wider
    effort, depth = max(point.effort, wider.effort), max(point.depth, wider.depth)
    steps = tuple(step for step in point.steps if step[0] >= effort)
    if point.steps and not steps:
        steps = ((effort, point.steps[-1][1]),)
    later = point.effort < effort  # what may stop at once is careful then: dearer than measured
    micros = point.micros + wider.micros if later else max(point.micros, wider.micros)
    low = min(point.low, wider.low)
    return replace(point, effort=effort, depth=depth, steps=steps, low=low, micros=micros)


def merge_points(
    before: Sequence[OperatingPoint], now: Sequence[OperatingPoint]
) -> tuple[OperatingPoint, ...]:
    """Merge two calibrations of an index conservatively.

    Rows added later may be easier to find than the others. More effort and more candidates never
    find less, so each recall that both reached takes the larger effort and depth of the two.
    """
    merged: list[OperatingPoint] = []
    for k in sorted({point.k for point in before} & {point.k for point in now}):
        old = [point for point in before if point.k == k]
        new = [point for point in now if point.k == k]
        pairs = [
            (_cheapest(old, low), _cheapest(new, low))
            for low in sorted({point.low for point in (*old, *new)})
        ]
        merged += frontier(_safer(one, other) for one, other in pairs if one and other)
    return tuple(merged)


def frontier(points: Iterable[OperatingPoint]) -> list[OperatingPoint]:
    """The points of one k that no other beats in both cost and recall, cheapest first."""
    best: list[OperatingPoint] = []
    for point in sorted(points, key=lambda point: (point.micros, -point.low)):
        if not best or point.low > best[-1].low:
            best.append(point)
    return best


def describe_recall(calibration: Calibration) -> str:
    """The recall and cost promised for k=10, in words."""
    target = calibration.target
    usable = [point for point in calibration.points if point.k == 10 and point.low >= target]
    if not usable:
        return (
            f"this index did not reach recall {target:g} at k=10, so such searches are exact; "
            "try another recipe"
        )
    point = min(usable, key=_micros)
    return (
        f"recall@10 of {point.recall:.3f} (at least {point.low:.3f}) "
        f"in about {point.latency or point.micros:,.0f} µs a query"
    )


def _read_points(stored: Mapping[str, Any]) -> tuple[OperatingPoint, ...]:
    return tuple(_read_point(row) for row in stored.get(POINTS_KEY, ()))


def _read_point(row: Sequence[Any]) -> OperatingPoint:
    point = OperatingPoint(*row[:STEPS])
    if len(row) <= STEPS:
        return point
    steps = tuple((effort, least) for effort, least in row[STEPS])
    later = dict(zip(("made", "far", "rank"), row[MADE:], strict=False))
    return replace(point, steps=steps, **later)


def _cheapest(points: Sequence[OperatingPoint], low: float) -> OperatingPoint | None:
    return min((point for point in points if point.low >= low), key=_micros, default=None)


def _safer(one: OperatingPoint, other: OperatingPoint) -> OperatingPoint:
    """The larger effort, depth, contrasts and cost of two points of one k, the smaller recall."""
    effort = max(one.effort, other.effort)
    steps: tuple[tuple[int, float], ...] = ()
    if one.steps and other.steps:
        efforts = sorted({step for step, _ in (*one.steps, *other.steps) if step >= effort})
        steps = tuple((step, max(_contrast(one, step), _contrast(other, step))) for step in efforts)
    return OperatingPoint(
        effort=effort,
        depth=max(one.depth, other.depth),
        k=one.k,
        recall=min(one.recall, other.recall),
        low=min(one.low, other.low),
        micros=max(one.micros, other.micros),
        latency=max(one.latency, other.latency),
        aim=max(one.aim, other.aim),
        farthest=min(one.farthest, other.farthest),
        steps=steps,
        made=min(one.made, other.made),
        far=max(one.far, other.far),
        rank=max(one.rank, other.rank),
    )


def _contrast(point: OperatingPoint, effort: int) -> float:
    """The least contrast at which a query may stop at an effort of the point or a larger one."""
    return [least for step, least in point.steps if step <= effort][-1]


def _micros(point: OperatingPoint) -> float:
    return point.micros
