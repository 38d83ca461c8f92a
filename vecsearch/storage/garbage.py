"""Remove what no version of a collection needs.

Garbage collection leaves alone what somebody uses: a version that a reader holds, and a staging
folder whose writer is alive. The writer's lock is held while it runs.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path

from vecsearch.errors import StorageError
from vecsearch.storage import disk, locks, log
from vecsearch.storage.layout import (
    BUILD_CACHE,
    BUILD_INFO,
    DAMAGED,
    INDEXES,
    MANIFESTS,
    MODELS,
    QUERIES,
    SEGMENTS,
    STAGING,
    VECTOR_CACHE,
    place_of,
)
from vecsearch.storage.manifest import Manifest
from vecsearch.storage.open_files import OpenFiles
from vecsearch.storage.origins import origin_of
from vecsearch.storage.own_files import Removal, own, require_real_folders
from vecsearch.storage.shards import part_of

QUERIES_LOCK_TIMEOUT = 10.0  # seconds


def collect(
    root: Path, files: OpenFiles, keep_versions: int, removal: Removal | None = None
) -> list[int]:
    """Remove old versions, and the files that no remaining version names.

    Args:
        root: The collection.
        files: The files this process has open; those that are removed are closed.
        keep_versions: How many versions stay.
        removal: Removes, and notes what it cannot remove.

    Returns:
        Older versions that stay because readers hold them.
    """
    removal = removal or Removal()
    require_real_folders(root)
    origin = origin_of(root)
    if origin is not None:
        held = origin.collect(keep_versions)
    else:
        held = _remove_versions(root, log.versions(root)[:-keep_versions], removal)
    remaining = [log.load(root, version) for version in log.versions(root)]
    # First: the last one who lets go of a large file waits until its memory is given back, and
    # Python's own threads wait with the one that unmaps it, but not with the one that removes it.
    files.keep_only(remaining)
    remove_files(root, remaining, removal)
    for path in own(root, MANIFESTS):
        if path.suffix == ".tmp":
            removal.remove(path)
    remove_dead_work(root, removal)
    row_states = _row_states(remaining[-1]) if remaining else []
    for folder in own(root, STAGING):
        # a build of these rows can still resume
        if folder.name.startswith(BUILD_CACHE) and _rows_of_build(folder) not in row_states:
            _remove_abandoned(folder, removal)
    return held


def purge(root: Path, files: OpenFiles) -> list[int]:
    """Remove every version but the latest, interrupted work, and whatever only they needed.

    Returns:
        Older versions that stay because readers hold them.

    Raises:
        StorageError: Something could not be removed; the message names it.
    """
    require_real_folders(root)
    removal = Removal()
    for folder in own(root, STAGING):
        if folder.name.startswith(VECTOR_CACHE):
            removal.remove(folder)
    remove_build_checkpoints(root, removal)
    remove_query_sample(root)
    held = collect(root, files, 1, removal)
    for path in own(root, DAMAGED):
        removal.remove(path)
    with contextlib.suppress(OSError):  # absent, or with somebody else's files in it
        (root / DAMAGED).rmdir()
    _require_purged(root, removal)
    for place in (SEGMENTS, INDEXES, STAGING, MODELS):
        if place != MODELS or (root / place).exists():
            disk.sync_folder(root / place)
    return held


def _require_purged(root: Path, removal: Removal) -> None:
    """Compare what is on disk with what the versions name. Raises StorageError."""
    needed = {
        place_of(ref) for version in log.versions(root) for ref in log.load(root, version).files()
    }
    left = [
        str(path)
        for place in (SEGMENTS, INDEXES, MODELS, DAMAGED)
        for path in own(root, place)
        if f"{place}/{path.name}" not in needed
    ]
    if removal.failures or left:
        raise StorageError(
            None, f"the purge could not remove {'; '.join(removal.failures or left)}"
        )


def remove_dead_work(root: Path, removal: Removal) -> None:
    """Remove what killed writers left in staging; that of a living writer is locked."""
    for folder in own(root, STAGING):
        if folder.name.startswith("work-"):
            _remove_abandoned(folder, removal)


def remove_build_checkpoints(root: Path, removal: Removal) -> None:
    """Remove what interrupted index builds left; a running build keeps its own."""
    for folder in own(root, STAGING):
        if folder.name.startswith(BUILD_CACHE):
            _remove_abandoned(folder, removal)


def remove_query_sample(root: Path) -> None:
    """Remove the sample of queries. Its LOCK stays: another process may be waiting for it."""
    folder = root / QUERIES
    require_real_folders(root)
    if not folder.is_dir():
        return
    with locks.lock_exclusive(folder / "LOCK", QUERIES_LOCK_TIMEOUT):
        for path in own(root, QUERIES):
            disk.remove(path)
        disk.sync_folder(folder)


def _remove_versions(root: Path, versions: Sequence[int], removal: Removal) -> list[int]:
    """Remove manifests that no reader holds; the versions that are held."""
    held = []
    for version in versions:
        path = log.path_of(root, version)
        lock = locks.try_lock_exclusive(path)
        if lock is None:
            held.append(version)
            continue
        with lock:
            removal.remove(path)
    # Otherwise a power loss could bring back a version whose files are removed next.
    disk.sync_folder(root / MANIFESTS)
    return held


def remove_files(root: Path, versions: Sequence[Manifest], removal: Removal) -> None:
    """Remove the files and models that none of these versions names."""
    needed = {place_of(ref) for version in versions for ref in version.files()}
    for place in (SEGMENTS, INDEXES, MODELS):
        for path in own(root, place):
            if f"{place}/{path.name}" not in needed:
                removal.remove(path)


def _row_states(latest: Manifest) -> list[list[list[str | None]]]:
    """What builds of all rows, or of the rows of a shard, begin with."""
    if latest.shards == 1:
        return [latest.row_state]
    return [part_of(latest, [shard]).row_state for shard in range(latest.shards)]


def _rows_of_build(folder: Path) -> object:
    """The row state an interrupted build began with; None if it cannot be read."""
    try:
        return json.loads((folder / BUILD_INFO).read_text(encoding="utf-8"))["segments"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remove_abandoned(folder: Path, removal: Removal) -> None:
    """Remove a staging folder unless its writer is alive and holds its lock."""
    try:
        lock = locks.try_lock_exclusive(folder / "LOCK", create=True)
    except FileNotFoundError:
        return  # its writer removed it just now
    except OSError as error:
        removal.failures.append(f"{folder}: {error.strerror or error}")
        return
    if lock is not None:
        with lock:
            removal.remove(folder)
