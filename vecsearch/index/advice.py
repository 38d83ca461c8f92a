"""When building again pays: what came and went since an index was built, and what that costs a search."""

from __future__ import annotations

from typing import Literal

from vecsearch.index.attached import attach
from vecsearch.index.auto import EXACT_BELOW
from vecsearch.index.calibration import operating_points
from vecsearch.index.costs import exact_micros, window_for
from vecsearch.index.growth import GONE_SHARE, growth
from vecsearch.storage.manifest import IndexEntry
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import IndexAdvice

PAYS = 1.25  # a search that costs this many times what it would after building
TYPICAL_K = 10


def advise(snapshot: Snapshot) -> IndexAdvice:
    """Whether building (again) pays, judged by a search for 10 rows without a filter."""
    entry, now = attach(snapshot).entry, growth(snapshot)
    if entry is None:
        few = snapshot.live.count < EXACT_BELOW
        size = f"{snapshot.live.count:,} rows and no index"
        reason = (
            f"{size}: exact search is fastest for so few"
            if few
            else f"{size}: every search scores all of them"
        )
        return IndexAdvice("none" if few else "build", not few, reason, now.indexed, now.new, 0)
    action: Literal["extend", "rebuild", "none"] = (
        "rebuild" if now.outgrown() else "extend" if now.new else "none"
    )
    per_row = float(entry.calibration.get("exact_micros_per_row", 0.25))
    kept = now.indexed - now.gone
    before = _index_micros(
        entry,
        snapshot.manifest.recall,
        window_for(TYPICAL_K, kept, now.indexed),
        exact_micros(kept, per_row),
    )
    after = _index_micros(entry, snapshot.manifest.recall, TYPICAL_K, exact_micros(kept, per_row))
    micros = before + now.new * per_row
    after = after if action == "rebuild" else before
    pays = action != "none" and (micros > PAYS * after or now.gone > GONE_SHARE * now.indexed)
    changes = f"{now.new:,} new rows outside the index, {now.gone:,} of {now.indexed:,} in it gone"
    cost = f"a search takes about {micros:,.0f} µs, after building about {after:,.0f}"
    detail = now.outgrown() if action == "rebuild" else ""
    reason = (
        "; ".join(part for part in (changes, cost, detail) if part)
        if now.new or now.gone
        else "the index holds every row"
    )
    return IndexAdvice(action, pays, reason, now.indexed, now.new, now.gone, micros, after)


def _index_micros(entry: IndexEntry, target: float, candidate_window: int, exact: float) -> float:
    """What finding so many rows by index costs at the target; exact search where it was not measured to reach that."""
    usable = [
        point.micros
        for point in operating_points(entry.calibration)
        if point.k >= candidate_window and point.low >= target
    ]
    return min([*usable, exact])
