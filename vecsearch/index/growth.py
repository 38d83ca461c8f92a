"""What changed since an index was built, and whether it can be extended."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from vecsearch.index.attached import attach
from vecsearch.index.recipe import IndexRecipe
from vecsearch.storage.manifest import IndexEntry
from vecsearch.storage.snapshot import Snapshot

FEWEST_NEW = 400  # rows added since a build, to calibrate its extension on some of them
FEW_SHARE = 0.05  # fewer, but more than this share of those indexed: the surface measured before no longer stands for them
NEW_SHARE = 0.5  # more rows than this, of those indexed, pay for building anew: the projection was fitted without them
GONE_SHARE = 0.3  # deleted rows still cost steps of a search


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
    unindexed = attach(snapshot).unindexed_rows
    new = len(unindexed) if live.mask is None else int(np.count_nonzero(live.mask[unindexed]))
    entry = attach(snapshot).entry
    indexed = entry.rows if entry else 0
    return Growth(indexed, new, indexed - (live.count - new))
