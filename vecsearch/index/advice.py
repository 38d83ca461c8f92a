"""Whether rebuilding the index is worthwhile: what changed since the build, and its cost."""

from __future__ import annotations

from typing import Literal

from vecsearch.index.attached import attach
from vecsearch.index.auto import EXACT_BELOW
from vecsearch.index.calibration import Calibration
from vecsearch.index.costs import exact_micros, window_for
from vecsearch.index.growth import (
    DELETED_SHARE,
    UP_TO_DATE,
    Growth,
    growth,
    unusual_rows,
)
from vecsearch.index.outside import has_codes
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import IndexAdvice, counted

WORTHWHILE = 1.25  # a search now costs at least this many times what it would after building
TYPICAL_K = 10

Action = Literal["extend", "rebuild", "none"]


def advise(snapshot: Snapshot) -> IndexAdvice:
    """Whether building is worthwhile, judged by a search for 10 rows without a filter."""
    attached, changes = attach(snapshot), growth(snapshot)
    if attached.entry is None:
        return _without_index(changes)
    unusual = unusual_rows(snapshot) if changes.new else 0
    added = changes.new - unusual
    action: Action = "rebuild" if changes.outgrown() else "extend" if added else "none"
    calibration = attached.calibration
    before, rebuilt = _index_micros(calibration, snapshot.manifest.recall, changes)
    parts = attach(snapshot)
    outside = snapshot.live.count_in(parts.unindexed_rows)
    micros = before * (1 + len(parts.tails)) + outside * _outside_micros(snapshot, calibration)
    after = rebuilt if action == "rebuild" else before
    many_deleted = changes.deleted > DELETED_SHARE * changes.indexed
    worthwhile = action != "none" and (micros > WORTHWHILE * after or many_deleted)
    reason = _describe(changes, unusual, action, micros, after)
    return IndexAdvice(
        action, worthwhile, reason, changes.indexed, changes.new, changes.deleted, micros, after
    )


def _without_index(changes: Growth) -> IndexAdvice:
    rows = f"{counted(changes.new, 'row')} and no index"
    if changes.new < EXACT_BELOW:
        reason = f"{rows}, which pays from {EXACT_BELOW:,} rows on"
        return IndexAdvice("none", False, reason, 0, changes.new, 0)
    return IndexAdvice("build", True, f"{rows}: every search scores all of them", 0, changes.new, 0)


def _index_micros(calibration: Calibration, target: float, changes: Growth) -> tuple[float, float]:
    """Cost of finding 10 rows by index at the target, with the deleted rows and without them.

    That of exact search where the index was not measured to reach the target.
    """
    remaining = changes.indexed - changes.deleted
    exact = exact_micros(remaining, calibration.exact_micros_per_row)
    window = window_for(TYPICAL_K, remaining, changes.indexed) if remaining else changes.indexed
    costs = [
        min(point.micros if point else exact, exact)
        for point in (calibration.cheapest(k, target) for k in (window, TYPICAL_K))
    ]
    return costs[0], costs[1]


def _outside_micros(snapshot: Snapshot, calibration: Calibration) -> float:
    """Cost of comparing a row outside the indexes."""
    if has_codes(snapshot.manifest, attach(snapshot).entry):
        return calibration.code_micros_per_row
    return calibration.exact_micros_per_row


def _describe(changes: Growth, unusual: int, action: Action, micros: float, after: float) -> str:
    if changes.deleted <= unusual and action == "none":
        if not unusual:
            return UP_TO_DATE
        are = "vector is" if unusual == 1 else "vectors are"
        return f"{UP_TO_DATE} ({unusual:,} unusual {are} compared one by one)"
    parts = [
        f"{counted(changes.new, 'new row')} outside the main index, "
        f"{changes.deleted:,} of its {counted(changes.indexed, 'row')} deleted",
        f"a search takes about {micros:,.0f} µs, and about {after:,.0f} µs after building",
    ]
    if action == "rebuild":
        parts.append(changes.outgrown())
    return "; ".join(parts)
