"""Remove what no version of a collection needs.

Garbage collection leaves alone what somebody uses: a version that a reader holds, and a staging
folder whose writer is alive. The writer's lock is held while it runs.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

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

QUERIES_LOCK_TIMEOUT = 10.0  # seconds


def collect(root: Path, files: OpenFiles, keep_versions: int) -> list[int]:
    """Remove old versions, and the files that no remaining version names.

    Args:
        root: The collection.
        files: The files this process has open; those that are removed are closed.
        keep_versions: How many versions stay.

    Returns:
        Older versions that stay because readers hold them.
    """
    held = _remove_versions(root, log.versions(root)[:-keep_versions])
    remaining = [log.load(root, version) for version in log.versions(root)]
    _remove_files(root, remaining)
    for path in (root / MANIFESTS).glob(".*.tmp"):
        disk.remove(path)
    for folder in (root / STAGING).glob("work-*"):
        _remove_abandoned(folder)
    row_state = remaining[-1].row_state if remaining else []
    for folder in (root / STAGING).glob(f"{BUILD_CACHE}*"):
        if _rows_of_build(folder) != row_state:  # a build of these rows can still resume
            _remove_abandoned(folder)
    files.keep_only(remaining)
    return held


def purge(root: Path, files: OpenFiles) -> list[int]:
    """Remove every version but the latest, interrupted work, and whatever only they needed.

    Returns:
        Older versions that stay because readers hold them.
    """
    for folder in (root / STAGING).glob(f"{VECTOR_CACHE}*"):
        shutil.rmtree(folder, ignore_errors=True)
    remove_build_checkpoints(root)
    remove_query_sample(root)
    held = collect(root, files, 1)
    shutil.rmtree(root / DAMAGED, ignore_errors=True)
    for place in (SEGMENTS, INDEXES, STAGING, MODELS):
        if place != MODELS or (root / place).exists():
            disk.sync_folder(root / place)
    return held


def remove_build_checkpoints(root: Path) -> None:
    """Remove what interrupted index builds left; a running build keeps its own."""
    for folder in (root / STAGING).glob(f"{BUILD_CACHE}*"):
        _remove_abandoned(folder)


def remove_query_sample(root: Path) -> None:
    """Remove the sample of queries. Its LOCK stays: another process may be waiting for it."""
    folder = root / QUERIES
    if not folder.is_dir():
        return
    with locks.lock_exclusive(folder / "LOCK", QUERIES_LOCK_TIMEOUT):
        for path in folder.iterdir():
            if path.name != "LOCK":
                disk.remove(path)
        disk.sync_folder(folder)


def _remove_versions(root: Path, versions: Sequence[int]) -> list[int]:
    """Remove manifests that no reader holds; the versions that are held."""
    held = []
    for version in versions:
        path = log.path_of(root, version)
        lock = locks.try_lock_exclusive(path)
        if lock is None:
            held.append(version)
            continue
        with lock:
            disk.remove(path)
    # Otherwise a power loss could bring back a version whose files are removed next.
    disk.sync_folder(root / MANIFESTS)
    return held


def _remove_files(root: Path, versions: Sequence[Manifest]) -> None:
    """Remove the files and models that none of these versions names."""
    needed = {place_of(ref) for version in versions for ref in version.files()}
    for place in (SEGMENTS, INDEXES):
        for path in (root / place).iterdir():
            if f"{place}/{path.name}" not in needed:
                disk.remove(path)
    for path in (root / MODELS).glob("*"):
        if f"{MODELS}/{path.name}" not in needed:
            with disk.storage_errors("removing", path):
                shutil.rmtree(path)


def _rows_of_build(folder: Path) -> object:
    """The row state an interrupted build began with; None if it cannot be read."""
    try:
        return json.loads((folder / BUILD_INFO).read_text(encoding="utf-8"))["segments"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remove_abandoned(folder: Path) -> None:
    """Remove a staging folder unless its writer is alive and holds its lock."""
    try:
        lock = locks.try_lock_exclusive(folder / "LOCK", create=True)
    except FileNotFoundError:
        return  # its writer removed it just now
    if lock is not None:
        with lock:
            shutil.rmtree(folder, ignore_errors=True)
