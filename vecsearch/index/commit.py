"""Makes a built index part of a collection, on whatever is the latest version by then."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vecsearch.common.arrays import Positions
from vecsearch.errors import ConflictError
from vecsearch.index.calibration import Calibration
from vecsearch.index.faiss import FaissIndex, read_index
from vecsearch.index.labels import within_segments
from vecsearch.index.recipe import IndexRecipe
from vecsearch.storage.calibration_file import SUFFIX as CALIBRATION_SUFFIX
from vecsearch.storage.calibration_file import write_calibration
from vecsearch.storage.disk import FileRef, require_space
from vecsearch.storage.layout import INDEXES, NO_INDEX_SETTING
from vecsearch.storage.manifest import IndexEntry, Manifest
from vecsearch.storage.rebase import rebase_positions
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.staging import Staging
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
    """Write an index of all rows, built on `snapshot`, and commit it as the only one.

    Rows that were moved since are found again; rows added since stay outside the index.

    Returns:
        The entry in the manifest, and the number of the new version.

    Raises:
        ConflictError: If the collection was moved to another model meanwhile.
        StorageError: If the disk is full or cannot be written.
        LockTimeoutError: If another process holds the lock for too long.
    """
    with store.staging() as staging:
        files = _written(staging, built)
        with store.locked() as latest:
            entry = _entry(staging, snapshot, latest, built, files)
            following = latest.manifest.next(
                "build_index",
                indexes=(entry,),
                recall=built.calibration.target,
                settings=without_setting(latest.manifest, NO_INDEX_SETTING),
            )
            store.commit(staging, following)
    return entry, following.version


def commit_part(
    store: Store, snapshot: Snapshot, built: BuiltIndex, replaced: Collection[str], *, first: bool
) -> tuple[IndexEntry, int] | None:
    """Write an index, built on `snapshot`, and commit it in the place of others.

    Args:
        store: The collection.
        snapshot: What it was built on.
        built: The index.
        replaced: Names of the indexes that it takes the place of.
        first: Whether it is the main index, which stands first.

    Returns:
        The entry in the manifest, and the number of the new version; None if another writer changed
        the indexes meanwhile: then nothing is committed.
    """
    with store.staging() as staging:
        files = _written(staging, built)
        with store.locked() as latest:
            before = [index.name for index in snapshot.manifest.indexes]
            if [index.name for index in latest.manifest.indexes] != before:
                return None
            entry = _entry(staging, snapshot, latest, built, files)
            kept = [index for index in latest.manifest.indexes if index.name not in replaced]
            indexes = (entry, *kept) if first else (*kept, entry)
            following = latest.manifest.next("index", indexes=indexes)
            store.commit(staging, following)
    return entry, following.version


class IndexFiles(NamedTuple):
    """The written files of an index."""

    graph: FileRef
    calibration: FileRef


def _written(staging: Staging, built: BuiltIndex) -> IndexFiles:
    require_space(staging.folder, built.index.memory_bytes())
    return _with_calibration(staging, built.index.write, built.calibration.to_mapping())


def adopt_index(staging: Staging, path: Path, measured: Mapping[str, Any]) -> IndexFiles:
    """Take the file of an index, in the same file system, into staging; `measured` is of it."""

    def take(target: Path) -> None:
        path.rename(target)

    return _with_calibration(staging, take, measured)


def _with_calibration(
    staging: Staging, write: Callable[[Path], None], measured: Mapping[str, Any]
) -> IndexFiles:
    file = staging.write(INDEXES, ".faiss", write)
    calibration = staging.write(
        INDEXES, CALIBRATION_SUFFIX, lambda path: write_calibration(path, measured)
    )
    read_index(staging.path_of(file))  # what a search will check, before it is published
    return IndexFiles(file, calibration)


def _entry(
    staging: Staging, snapshot: Snapshot, latest: Snapshot, built: BuiltIndex, files: IndexFiles
) -> IndexEntry:
    """The manifest's entry of an index, with labels for the latest version."""
    labels = built.labels.copy()
    labels[built.index.out_of_range] = -1  # searched exactly, like rows added since
    return entry_of_rows(staging, snapshot, latest, labels, built.recipe, files)


def entry_of_rows(
    staging: Staging,
    snapshot: Snapshot,
    latest: Snapshot,
    labels: Positions,
    recipe: IndexRecipe,
    files: IndexFiles,
) -> IndexEntry:
    """The manifest's entry of an index that is written.

    Args:
        staging: Where its labels are written.
        snapshot: What it was built on.
        latest: The version that it becomes part of.
        labels: Position in `snapshot` of each label, -1 for none.
        recipe: What was built.
        files: Its files.

    Raises:
        ConflictError: The collection was moved to another model meanwhile.
    """
    _require_same_model(snapshot, latest)
    labels = rebase_positions(snapshot, latest, labels)
    covers, labels = within_segments(latest.manifest, labels)
    in_order = np.array_equal(labels, np.arange(len(labels)))
    return IndexEntry(
        name=files.graph.name,
        files=(files.graph,),
        covers=covers,
        rows=len(labels),
        recipe=recipe.to_mapping(),
        labels=None if in_order else staging.write_rows(INDEXES, ".labels.arrow", labels),
        calibration=files.calibration,
    )


def commit_without_index(store: Store, target: float, *, wanted: bool) -> int:
    """Drop the collection's indexes, if it has any, and set its target recall.

    wanted: whether the user asked for exact search: then later changes make no index.

    Returns:
        The number of the latest version.
    """
    with store.locked() as latest:
        settings = without_setting(latest.manifest, NO_INDEX_SETTING)
        if wanted:
            settings[NO_INDEX_SETTING] = True
        before = latest.manifest
        if (before.indexes, before.recall, dict(before.settings)) == ((), target, settings):
            return before.version
        following = before.next("build_index", indexes=(), recall=target, settings=settings)
        store.commit(None, following)
        return following.version


def without_setting(manifest: Manifest, name: str) -> dict[str, Any]:
    """The settings of a collection but one."""
    return {key: value for key, value in manifest.settings.items() if key != name}


def _require_same_model(snapshot: Snapshot, latest: Snapshot) -> None:
    before, now = snapshot.manifest, latest.manifest
    if (now.embedder, now.dim) != (before.embedder, before.dim):
        raise ConflictError(
            "the collection was moved to another model while the index was being built: "
            "build it again"
        )
