"""Makes a built index part of a collection, on whatever is the latest version by then."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from vecsearch.common.arrays import Positions
from vecsearch.errors import ConflictError
from vecsearch.index.calibration import Calibration
from vecsearch.index.faiss import FaissIndex, read_index
from vecsearch.index.recipe import IndexRecipe
from vecsearch.storage.calibration_file import SUFFIX as CALIBRATION_SUFFIX
from vecsearch.storage.calibration_file import write_calibration
from vecsearch.storage.disk import require_space
from vecsearch.storage.layout import INDEXES
from vecsearch.storage.manifest import IndexEntry
from vecsearch.storage.rebase import rebase_positions
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.store import Store


@dataclass(frozen=True)
class BuiltIndex:
    """A trained, filled and calibrated index that is not committed yet.

    Args:
        index: The index itself.
        labels: Position of the row of each label in the snapshot it was built on; -1 for deleted.
        recipe: What was built.
        calibration: What was measured of it.
        extended: Whether an existing index was extended, not built from scratch.
        reason: Why it was extended or built from scratch, in words.
    """

    index: FaissIndex
    labels: Positions
    recipe: IndexRecipe
    calibration: Calibration
    extended: bool = False
    reason: str = ""


def commit_index(store: Store, snapshot: Snapshot, built: BuiltIndex) -> tuple[IndexEntry, int]:
    """Write an index built on `snapshot` and commit it.

    Rows that were moved since are found again; rows added since stay outside the index.

    Returns:
        The entry in the manifest, and the number of the new version.

    Raises:
        ConflictError: If the collection was moved to another model meanwhile.
        StorageError: If the disk is full or cannot be written.
        LockTimeoutError: If another process holds the lock for too long.
    """
    with store.staging() as staging:
        require_space(staging.folder, built.index.memory_bytes())
        file = staging.write(INDEXES, ".faiss", built.index.write)
        measured = built.calibration.to_mapping()
        calibration = staging.write(
            INDEXES, CALIBRATION_SUFFIX, lambda path: write_calibration(path, measured)
        )
        read_index(staging.path_of(file))  # what a search will check, before it is published
        with store.locked() as latest:
            _require_same_model(snapshot, latest)
            labels = rebase_positions(snapshot, latest, built.labels)
            labels[built.index.out_of_range] = -1  # searched exactly, like rows added since
            in_order = np.array_equal(labels, np.arange(len(labels)))
            entry = IndexEntry(
                name=file.name,
                files=(file,),
                covers=tuple(item.name for item in latest.manifest.segments),
                rows=len(labels),
                recipe=asdict(built.recipe),
                labels=None if in_order else staging.write_rows(INDEXES, ".labels.arrow", labels),
                calibration=calibration,
            )
            following = latest.manifest.next(
                "build_index", indexes=(entry,), recall=built.calibration.target
            )
            store.commit(staging, following)
    return entry, following.version


def commit_without_index(store: Store, target: float) -> int:
    """Drop the collection's index, if it has one, and set its target recall.

    Returns:
        The number of the latest version.
    """
    with store.locked() as latest:
        if not latest.manifest.indexes and latest.manifest.recall == target:
            return latest.manifest.version
        following = latest.manifest.next("build_index", indexes=(), recall=target)
        store.commit(None, following)
        return following.version


def _require_same_model(snapshot: Snapshot, latest: Snapshot) -> None:
    before, now = snapshot.manifest, latest.manifest
    if (now.embedder, now.dim) != (before.embedder, before.dim):
        raise ConflictError(
            "the collection was moved to another model while the index was being built: "
            "build it again"
        )
