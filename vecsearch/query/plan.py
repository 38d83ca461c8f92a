"""Query planning: a pure function from a request and statistics to a `Plan`.

Without a filter the plan is the cheapest calibrated operating point whose recall reaches the target
by its lower confidence bound.

A filter selects a share of the rows; deleted rows count as filtered out. If the filter is
independent of the query, the k best selected rows are very likely among the first
`candidate_window` rows of the unfiltered ranking. So an index search looks at that many candidates.
Its effort for each query is the one measured for a smaller number of rows, `first_for`, which are
found as often as the selected ones. This recall holds if k candidates in the window are selected.
The search checks that; a filter that depends on the query fails the check, and every selected
row is scored instead. So a new filter needs no calibration, and it costs at most one index
search more than exact search.

If few rows are selected, comparing the codes of all of them ("scan") may be cheaper than both. It
assumes nothing about the filter.

Costs are estimates from the number of comparisons (`costs`), never timings, so that the same index
is searched in the same way everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from vecsearch.index.auto import EXACT_BELOW
from vecsearch.index.calibration import OperatingPoint, point_within, points_for
from vecsearch.index.costs import exact_micros, first_for, window_for
from vecsearch.types import Ladder, Plan

# Filtered-out rows expected among the first k of a query, up to which they are ignored.
FEW_MISSING = 0.01
# A filtered scan looks through more candidates than were scored without a filter, because rows far
# from the query differ less. How many are scored follows from each query.
CODES_MARGIN, CODES_EXTRA = 4, 64
CODES_STEP = 8  # times as many where these do not suffice
CODES_MARGIN_OF_OLD, CODES_EXTRA_OF_OLD = 2.5, 8  # where the number is the same for all queries


@dataclass(frozen=True, slots=True)
class Stats:
    """What a plan rests on, for one snapshot and filter.

    Attributes:
        kept: Selected rows.
        indexed_rows: Rows in the index.
        indexed_kept: Selected rows in the index.
        points: Calibrated recall of index searches.
        exact_micros_per_row: Cost of scoring a row.
        codes: Calibrated recall of a scan over the codes; empty if the index does not support it.
        code_micros_per_row: Cost of comparing a code.
    """

    kept: int
    indexed_rows: int = 0
    indexed_kept: int = 0
    points: Sequence[OperatingPoint] = ()
    exact_micros_per_row: float = 0.25
    codes: Sequence[OperatingPoint] = ()
    code_micros_per_row: float = 0.02

    @property
    def unindexed(self) -> int:
        return self.kept - self.indexed_kept


def plan(k: int, recall: float, exact: bool, stats: Stats) -> Plan:
    """Choose how to search.

    Args:
        k: How many rows to find.
        recall: The target in 0..1.
        exact: Whether every selected row is to be scored.
        stats: What is known of the selected rows and the index.
    """
    if not stats.kept:
        return Plan("empty", "no row matches", 0)
    if exact or recall >= 1:
        return exact_plan(stats, "it was asked for")
    if not stats.points:
        few = stats.kept < EXACT_BELOW
        why = f"an index pays from {EXACT_BELOW:,} rows on" if few else "there is no index"
        return exact_plan(stats, why)
    if not stats.indexed_kept:
        return exact_plan(stats, "no matching row is in the index")
    counts = k, stats.indexed_kept, stats.indexed_rows
    candidate_window = window_for(*counts)
    # So few rows are filtered out that at most 1 query in 100 has one in its true top k: use the
    # recall measured for k.
    few_missing = k * (stats.indexed_rows - stats.indexed_kept) <= FEW_MISSING * stats.indexed_kept
    needed = k if few_missing else candidate_window
    first = k if few_missing else min(needed, first_for(*counts))
    by_index = point_within(stats.points, first, needed, recall)
    index_cost = by_index.micros if by_index else math.inf
    exact_cost = exact_micros(stats.indexed_kept, stats.exact_micros_per_row)
    by_codes = _cheapest_scan(k, recall, stats)
    if by_codes is not None and _scan_micros(by_codes, stats) < min(exact_cost, index_cost):
        reason = f"cheaper here than the graph, and measured to reach recall {recall:g}"
        return _scan(by_codes, k, recall, stats, reason + _share(stats))
    if by_index is None:
        return exact_plan(
            stats, _unmeasured(k, recall, needed, max(point.k for point in stats.points))
        )
    if index_cost >= exact_cost:
        return exact_plan(
            stats,
            f"cheaper here than the index (about {exact_cost:,.0f} µs for the matching rows, "
            f"{index_cost:,.0f} µs by index)",
        )
    return Plan(
        "index",
        f"the cheapest effort measured to reach recall {recall:g}{_share(stats)}",
        stats.kept,
        expected_recall=by_index.low,
        effort=by_index.effort,
        depth=by_index.depth,
        candidate_window=(
            candidate_window if by_index.steps else min(candidate_window, by_index.depth)
        ),
        unindexed_rows=stats.unindexed,
        ladder=_aimed(by_index.ladder, recall),
    )


def _aimed(ladder: Ladder | None, recall: float) -> Ladder | None:
    """A ladder measured for a larger k may have aimed at less than is asked of this one."""
    return ladder and ladder._replace(recall=max(ladder.recall, recall))


def scan_plan(k: int, recall: float, stats: Stats, reason: str) -> Plan | None:
    """A scan of all codes, for a query that the graph does not serve.

    None if the index has no such scan, or if it costs more than exact search.
    """
    point = _cheapest_scan(k, recall, stats)
    exact_cost = exact_micros(stats.indexed_kept, stats.exact_micros_per_row)
    if point is None or not point.steps or _scan_micros(point, stats) >= exact_cost:
        return None
    return _scan(point, k, recall, stats, reason)


def _cheapest_scan(k: int, recall: float, stats: Stats) -> OperatingPoint | None:
    usable = (point for point in points_for(stats.codes, k) if point.low >= recall)
    return min(usable, key=_depth, default=None)


def _scan(point: OperatingPoint, k: int, recall: float, stats: Stats, reason: str) -> Plan:
    depth, ladder = _scan_depth(point, stats.indexed_kept)
    return Plan(
        "scan",
        reason,
        stats.kept,
        point.low,
        depth=depth,
        candidate_window=k,
        unindexed_rows=stats.unindexed,
        ladder=_aimed(ladder, recall),
    )


def _scan_micros(point: OperatingPoint, stats: Stats) -> float:
    depth, _ = _scan_depth(point, stats.indexed_kept)
    compared = exact_micros(stats.indexed_kept, stats.code_micros_per_row)
    return compared + depth * stats.exact_micros_per_row


def _scan_depth(point: OperatingPoint, rows: int) -> tuple[int, Ladder | None]:
    """Candidates that a scan is expected to score, and how many it looks through."""
    if not point.steps:
        return min(math.ceil(point.depth * CODES_MARGIN_OF_OLD) + CODES_EXTRA_OF_OLD, rows), None
    few = min(point.depth * CODES_MARGIN + CODES_EXTRA, rows)
    pools = tuple(sorted({few, min(few * CODES_STEP, rows)}))
    return min(point.depth, rows), Ladder(pools, (-math.inf,) * len(pools), 1, -math.inf, point.aim)


def _depth(point: OperatingPoint) -> int:
    return point.depth


def _share(stats: Stats) -> str:
    if stats.indexed_kept == stats.indexed_rows:
        return ""
    return f", {stats.indexed_kept / stats.indexed_rows:.2%} of the indexed rows match"


def _unmeasured(k: int, recall: float, candidate_window: int, most: int) -> str:
    """Why no calibrated point serves; `most` is the largest k the index was measured for."""
    if k > most:
        return f"k={k:,} is more than the {most:,} the index was measured for"
    if candidate_window > most:
        return (
            f"{k:,} matching rows may lie among the first {candidate_window:,}, "
            f"and the index was measured for {most:,}"
        )
    return (
        f"the index was not measured to reach recall {recall:g} "
        f"among the first {candidate_window:,} rows"
    )


def exact_plan(stats: Stats, reason: str) -> Plan:
    return Plan("exact", reason, stats.kept)
