"""When building again pays: what came and went since an index was built, and what that costs a search."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np

from vecsearch.index.attached import attach
from vecsearch.index.auto import EXACT_BELOW
from vecsearch.index.calibration import operating_points
from vecsearch.index.costs import exact_micros, window_for
from vecsearch.index.recipe import IndexRecipe
from vecsearch.storage.manifest import IndexEntry
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import IndexAdvice

FEWEST_NEW = 400  # rows added since a build, to calibrate its extension on some of them
FEW_SHARE = 0.05  # fewer, but more than this share of those indexed: the surface measured before no longer stands for them
NEW_SHARE = 0.5  # more rows than this, of those indexed, pay for building anew: the projection was fitted without them
GONE_SHARE = 0.3  # deleted rows still cost steps of a search
PAYS = 1.25  # a search that costs this many times what it would after building
TYPICAL_K = 10


@dataclass(frozen=True)
class Growth:
    """Rows an index was built over, live rows outside it, and rows of it that are gone."""

    indexed: int
    new: int
    gone: int

    def anew(self, entry: IndexEntry, recipe: IndexRecipe, seed: int) -> str:
        """Why an index is built anew instead of extended; "" where it is extended."""
        if entry.recipe != asdict(recipe):
            return "another recipe than that of the index there was"
        if entry.calibration.get("seed") != seed:
            return "another seed than that of the index there was"
        return self.outgrown() or ("" if self.new else "no rows came since, so it was asked for")

    def outgrown(self) -> str:
        """Why extending would not do."""
        if self.gone > GONE_SHARE * self.indexed:
            return f"{self.gone:,} of {self.indexed:,} indexed rows are gone, and still cost steps of every search"
        if self.new > NEW_SHARE * self.indexed:
            return f"{self.new:,} rows came to {self.indexed:,} indexed ones: too many that the index was not fitted to"
        if FEW_SHARE * self.indexed < self.new < FEWEST_NEW:
            return f"{self.new:,} rows came to {self.indexed:,} indexed ones: too many for the old calibration, too few for one"
        return ""


def growth(snapshot: Snapshot) -> Growth:
    """What changed since the index of a snapshot was built; all rows are new where there is none."""
    live = snapshot.live
    fresh = attach(snapshot).unindexed_rows
    new = len(fresh) if live.mask is None else int(np.count_nonzero(live.mask[fresh]))
    entry = attach(snapshot).entry
    indexed = entry.rows if entry else 0
    return Growth(indexed, new, indexed - (live.count - new))


def advise(snapshot: Snapshot) -> IndexAdvice:
    """Whether building (again) pays, judged by a search for 10 rows without a filter."""
    entry, now = attach(snapshot).entry, growth(snapshot)
    if entry is None:
        few = snapshot.live.count < EXACT_BELOW
        size = f"{snapshot.live.count:,} rows and no index"
        reason = f"{size}: exact search is fastest for so few" if few else f"{size}: every search scores all of them"
        return IndexAdvice("none" if few else "build", not few, reason, now.indexed, now.new, 0)
    action: Literal["extend", "rebuild", "none"] = "rebuild" if now.outgrown() else "extend" if now.new else "none"
    per_row = float(entry.calibration.get("exact_micros_per_row", 0.25))
    kept = now.indexed - now.gone
    before = _index_micros(
        entry, snapshot.manifest.recall, window_for(TYPICAL_K, kept, now.indexed), exact_micros(kept, per_row)
    )
    after = _index_micros(entry, snapshot.manifest.recall, TYPICAL_K, exact_micros(kept, per_row))
    micros = before + now.new * per_row
    after = after if action == "rebuild" else before
    pays = action != "none" and (micros > PAYS * after or now.gone > GONE_SHARE * now.indexed)
    changes = f"{now.new:,} new rows outside the index, {now.gone:,} of {now.indexed:,} in it gone"
    cost = f"a search takes about {micros:,.0f} µs, after building about {after:,.0f}"
    detail = now.outgrown() if action == "rebuild" else ""
    reason = "; ".join(part for part in (changes, cost, detail) if part) if now.new or now.gone else "the index holds every row"
    return IndexAdvice(action, pays, reason, now.indexed, now.new, now.gone, micros, after)


def _index_micros(entry: IndexEntry, target: float, reach: int, exact: float) -> float:
    """What finding so many rows by index costs at the target; exact search where it was not measured to reach that."""
    usable = [point.micros for point in operating_points(entry.calibration) if point.k >= reach and point.low >= target]
    return min([*usable, exact])
