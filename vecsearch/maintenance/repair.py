"""Rebuild what is derived from documents, and go back to the newest readable version."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from vecsearch.errors import CorruptedError, VecsearchError
from vecsearch.index.build import build_index
from vecsearch.index.recipe import stored_recipe
from vecsearch.maintenance.check import (
    LOCK_TIMEOUT,
    Damage,
    HeldVersions,
    find_damage,
    held_versions,
    index_files,
    look_for_damage,
)
from vecsearch.storage import disk, locks, log
from vecsearch.storage.disk import FileRef
from vecsearch.storage.folders import folder_path
from vecsearch.storage.ids import write_ids
from vecsearch.storage.layout import DAMAGED, INDEXES, MANIFESTS, MODELS, SEGMENTS
from vecsearch.storage.manifest import IndexEntry, Manifest, SegmentEntry
from vecsearch.storage.segment import Segment
from vecsearch.storage.staging import Staging, place_of
from vecsearch.storage.store import Store
from vecsearch.types import ID


@dataclass(frozen=True, slots=True)
class Repair:
    """What `repair` did, the damage it could not mend, and the latest version afterwards."""

    done: tuple[str, ...]
    left: tuple[Damage, ...]
    version: int


def repair(path: str | os.PathLike[str], lock_timeout: float = LOCK_TIMEOUT) -> Repair:
    """Mend what is derived: write id files again, build damaged indexes again, go back to the newest version that can be read.

    Damaged manifests, and files that only they may name, are moved to the folder "damaged", until a purge. Damaged segments
    and tombstones stay as they are and are reported. Raises CollectionNotFoundError, CorruptedError when no version can be
    read, LockTimeoutError, StorageError.
    """
    root = folder_path(path)
    store = Store(root, lock_timeout)
    log.required_versions(root)
    with locks.lock_exclusive(root / "LOCK", lock_timeout), held_versions(root) as kept:
        if not kept.good:
            raise CorruptedError(f"no version of {root} can be read: restore a backup")
        done = _set_aside(root, kept)
        latest = log.load(root)
        with store.staging() as staging:
            following, mended = _mended(root, staging, kept.good, latest)
            if following is not None:
                store.commit(staging, following)
    remaining = (
        {index.name for index in following.indexes}
        if following
        else {index.name for index in latest.indexes}
    )
    done += mended + [
        _build_again(store, index) for index in latest.indexes if index.name not in remaining
    ]
    return Repair(tuple(done), tuple(find_damage(root)), log.load(root).version)


def _mended(
    root: Path, staging: Staging, good: dict[int, Manifest], latest: Manifest
) -> tuple[Manifest | None, list[str]]:
    """The version that follows `latest` with whole id files and without damaged indexes (None: nothing to change), and what
    was done for it."""
    wrong = look_for_damage(root, good | {latest.version: latest})
    entries = {entry.ids.name: entry for manifest in good.values() for entry in manifest.segments}
    broken = {item.file for item in wrong if item.kind == "segment"}
    damaged = [
        entries[item.file]
        for item in wrong
        if item.kind == "ids" and entries[item.file].name not in broken
    ]
    fresh = {entry.ids: _rebuild_ids(root, staging, entry) for entry in damaged}
    done = [f"{old.name} written again" for old in fresh]
    segments = tuple(
        replace(entry, ids=fresh.get(entry.ids, entry.ids)) for entry in latest.segments
    )
    bad = {item.file for item in wrong if item.kind == "index"}
    indexes = tuple(
        index for index in latest.indexes if not bad & {ref.name for ref in index_files(index)}
    )
    if (segments, indexes) == (latest.segments, latest.indexes):
        return None, done
    return latest.next("repair", segments=segments, indexes=indexes), done


# -- mending ---------------------------------------------------------------------------------------------------------------


def _set_aside(root: Path, kept: HeldVersions) -> list[str]:
    """Go back to the newest version that can be read, and put away manifests that cannot, with the files they may name."""
    if not kept.bad:
        return []
    done = []
    newest, last = max(kept.good), max(kept.bad)
    if last > newest:
        log.commit(
            root, replace(kept.good[newest], version=last).next(f"repair: version {newest} again")
        )
        done.append(
            f"version {last} cannot be read: version {newest} is the latest again, as version {last + 1}"
        )
    needed = {place_of(ref) for manifest in kept.good.values() for ref in manifest.files()}
    found = [
        path for place in (SEGMENTS, INDEXES, MODELS) for path in sorted((root / place).glob("*"))
    ]
    aside = [path for path in found if f"{path.parent.name}/{path.name}" not in needed]
    aside += [log.path_of(root, number) for number in kept.bad]
    with disk.storage_errors("creating", root / DAMAGED):
        (root / DAMAGED).mkdir(exist_ok=True)
    for path in aside:
        disk.move(path, root / DAMAGED / path.name)
    for folder in (
        DAMAGED,
        SEGMENTS,
        INDEXES,
        MANIFESTS,
        *((MODELS,) if (root / MODELS).exists() else ()),
        ".",
    ):
        disk.sync_folder(root / folder)
    done.append(f"moved to {DAMAGED}: {', '.join(path.name for path in aside)}")
    return done


def _rebuild_ids(root: Path, staging: Staging, entry: SegmentEntry) -> FileRef:
    """Write a segment's id file again: where it was when the bytes are the same, else as a new file."""
    ids = Segment(root, entry.file, entry.rows).column(ID)
    made = staging.write(SEGMENTS, ".ids.arrow", lambda path: write_ids(path, ids))
    if (made.bytes, made.crc32) != (entry.ids.bytes, entry.ids.crc32):
        return made
    disk.move(staging.path_of(made), root / entry.ids.name)
    disk.sync_folder(root / SEGMENTS)
    return entry.ids


def _build_again(store: Store, entry: IndexEntry) -> str:
    try:
        build_index(
            store,
            stored_recipe(entry.recipe),
            recall=None,
            memory=None,
            queries=None,
            seed=int(entry.calibration.get("seed", 0)),
            threads=None,
        )
    except VecsearchError as error:
        return f"{entry.name} dropped, for it is damaged; building it again failed: {error}"
    return f"{entry.name} dropped, for it is damaged, and built again"
