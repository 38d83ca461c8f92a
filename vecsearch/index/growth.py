"""What changed since an index was built, and whether the index can be extended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from vecsearch.common.arrays import Positions, Vectors
from vecsearch.errors import RecipeError
from vecsearch.index.attached import attach
from vecsearch.index.calibration import Calibration
from vecsearch.index.faiss import FaissIndex, read_index
from vecsearch.index.recipe import IndexRecipe, stored_recipe
from vecsearch.storage.manifest import IndexEntry
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import counted, were

UP_TO_DATE = "up to date"
MIN_NEW = 400  # new rows needed to calibrate an extension on some of them
FEW_SHARE = 0.05  # with fewer new rows than that, and than this share, the old calibration holds
NEW_SHARE = 0.5  # more new rows than this share need an index that is trained on them
DELETED_SHARE = 0.3  # more deleted rows than this share slow down searches too much


@dataclass(frozen=True)
class Growth:
    """Row counts that say how far an index is out of date.

    Args:
        indexed: Rows the index was built over.
        new: Live rows outside the main index: in its tails, or in none.
        deleted: Rows of the index that were deleted.
    """

    indexed: int
    new: int
    deleted: int

    def why_rebuild(
        self, entry: IndexEntry, calibration: Calibration, recipe: IndexRecipe, seed: int
    ) -> str:
        """Why an index is rebuilt instead of extended; "" if it is extended."""
        if _comparable(entry) != replace(recipe, description=""):
            return "the recipe differs from that of the existing index"
        if calibration.seed != seed:
            return "the seed differs from that of the existing index"
        if not self.new:
            return self.outgrown() or "no rows were added since the last build"
        return self.outgrown()

    def outgrown(self) -> str:
        """Why the changes are too many to extend the index; "" if they are not."""
        indexed = counted(self.indexed, "indexed row")
        added = f"{counted(self.new, 'row')} {were(self.new)} added to {indexed}"
        if self.deleted > DELETED_SHARE * self.indexed:
            return (
                f"{self.deleted:,} of {indexed} {were(self.deleted)} deleted, "
                "and deleted rows still slow down every search"
            )
        if self.new > NEW_SHARE * self.indexed:
            return f"{added}: too many for an index that was trained without them"
        if FEW_SHARE * self.indexed < self.new < MIN_NEW:
            return f"{added}: too many for the old calibration, too few to calibrate on"
        return ""


def growth(snapshot: Snapshot) -> Growth:
    """Count what changed since the main index was built; without an index all is new.

    Rows that the index was not fitted to count as both new and deleted if it was built with them.
    """
    live = snapshot.live
    new = live.count_in(attach(snapshot).later_rows)
    entry = attach(snapshot).entry
    indexed = entry.rows if entry else 0
    return Growth(indexed, new, indexed - (live.count - new))


def unusual_rows(snapshot: Snapshot, most: int = 10_000) -> int:
    """How many rows are outside the index because it was not fitted to vectors like theirs.

    More than `most` rows outside are not looked at: 0.
    """
    attached = attach(snapshot)
    live, outside = snapshot.live, attached.later_rows
    outside = outside if live.mask is None else outside[live.mask[outside]]
    if attached.index is None or not 0 < len(outside) <= most:
        return 0
    return int(np.count_nonzero(~attached.index.covers(snapshot.stored_vectors(outside))))


def is_up_to_date(
    snapshot: Snapshot, recipe: IndexRecipe, seed: int, target: float, source: str
) -> bool:
    """Whether building would give the index that is there: nothing changed since it was built.

    Args:
        snapshot: The rows, and their index.
        recipe: What is to be built.
        seed: Seed of the build.
        target: The recall to reach.
        source: What the index is to be measured with first of all, in words.
    """
    attached = attach(snapshot)
    entry, calibration = attached.entry, attached.calibration
    if entry is None or _comparable(entry) != replace(recipe, description=""):
        return False
    measured = calibration.seed == seed and calibration.target == target
    # Indexes of older versions have no steps: they are made again.
    measured = measured and calibration.calibrated_on.startswith(source)
    if not measured or not any(point.steps for point in calibration.points):
        return False
    changes, unusual = growth(snapshot), unusual_rows(snapshot)
    return changes.new == unusual and changes.deleted <= unusual


@dataclass(frozen=True)
class Extension:
    """An existing index, read into memory, and the positions of the rows to add to it."""

    entry: IndexEntry
    index: FaissIndex
    new_rows: Positions


@dataclass(frozen=True)
class ExtendDecision:
    """Whether a build extends the existing index, and why.

    Args:
        reason: Why the index is extended, or why it is built from scratch.
        extension: What to extend, and with which rows; None to build from scratch.
    """

    reason: str
    extension: Extension | None = None


def decide_extension(
    snapshot: Snapshot,
    rows: Positions,
    recipe: IndexRecipe,
    seed: int,
    batches: Callable[[Positions], Iterator[Vectors]],
) -> ExtendDecision:
    """Decide whether the index of a snapshot can be extended to hold `rows`.

    Args:
        snapshot: The rows, and the index to extend.
        rows: Positions of the rows that the index is to hold.
        recipe: What is to be built; another recipe needs another index.
        seed: Seed of the build; another seed needs another index.
        batches: Yields the stored vectors of some rows, a batch at a time.
    """
    attached = attach(snapshot)
    entry = attached.entry
    if entry is None:
        return ExtendDecision("there was no index")
    changes = growth(snapshot)
    why = changes.why_rebuild(entry, attached.calibration, recipe, seed)
    if why:
        return ExtendDecision(why)
    index = read_index(snapshot.root / entry.files[0].name, mmap=False)
    if not index.can_extend:
        return ExtendDecision("an index of this kind cannot be extended")
    later = np.intersect1d(attached.later_rows, rows)
    covered = [index.covers(batch) for batch in batches(later)]
    new_rows = later[np.concatenate(covered)]  # the others stay outside the index
    if not len(new_rows):
        return ExtendDecision(
            f"what is outside the index, {counted(changes.new, 'row')}, is unlike what it was "
            "trained on"
        )
    added = counted(len(new_rows), "new row")
    reason = f"{added} {were(len(new_rows))} added to the existing index"
    return ExtendDecision(reason, Extension(entry, index, new_rows))


def _comparable(entry: IndexEntry) -> IndexRecipe | None:
    """The recipe of an index without its description; None if this version cannot read it."""
    try:
        return replace(stored_recipe(entry.recipe), description="")
    except RecipeError:
        return None
