"""Rebuild derived files, and go back to the newest readable version."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vecsearch.common.gate import gated
from vecsearch.common.show import shown
from vecsearch.display import Shown
from vecsearch.errors import CorruptedError, InvalidInputError, VecsearchError
from vecsearch.index.build import build_index
from vecsearch.index.derived import DERIVED
from vecsearch.index.named import NamedStore
from vecsearch.index.recipe import stored_recipe
from vecsearch.maintenance.check import (
    Damage,
    HeldVersions,
    find_damage,
    held_versions,
    look_for_damage,
)
from vecsearch.storage import disk, locks, log
from vecsearch.storage.folders import folder_path
from vecsearch.storage.layout import DAMAGED, INDEXES, MANIFESTS, MODELS, SEGMENTS, place_of
from vecsearch.storage.limits import Limits
from vecsearch.storage.manifest import IndexEntry, Manifest, replace
from vecsearch.storage.objects.places import is_url
from vecsearch.storage.staging import Staging
from vecsearch.storage.store import Store

LOCK_TIMEOUT = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Repair(Shown):
    """The result of `repair`.

    Attributes:
        done: What was repaired, one sentence each.
        left: The damage that is left.
        version: The latest version afterwards.

    Example:
        >>> import vecsearch as vs
        >>> vs.create("c.vs", dim=2).close()
        >>> vs.repair("c.vs")
        Repair(done=(), left=(), version=1)
    """

    done: tuple[str, ...]
    left: tuple[Damage, ...]
    version: int


@gated
def repair(path: str | os.PathLike[str], lock_timeout: float = LOCK_TIMEOUT) -> Repair:
    """Rebuild damaged ids and indexes, and go back to the newest readable version.

    Damaged manifests, and files that only they may name, are moved to the folder "damaged", where
    they stay until a purge. Damaged segments and tombstones stay as they are and are reported.

    Args:
        path: The collection.
        lock_timeout: Seconds to wait for another writer.

    Raises:
        CollectionNotFoundError: There is no collection at `path`.
        CorruptedError: No version can be read.
        LockTimeoutError: Another writer held the lock for too long.
        StorageError: Reading or writing failed.

    Example:
        >>> import tempfile, vecsearch
        >>> path = f"{tempfile.mkdtemp()}/papers.vs"
        >>> vecsearch.create(path, dim=4).close()
        >>> vecsearch.repair(path).done
        ()
    """
    if is_url(path):
        raise InvalidInputError(
            f"{shown(path)} is in object storage, where nothing is repaired",
            hint="make a copy with vecsearch.restore, or with a file tool, and repair that",
            command_hint="make a copy with `vecsearch restore` and repair that",
        )
    root = folder_path(path)
    store = Store(root, lock_timeout, Limits(smallest_index_rows=1))  # rebuild a small index too
    log.required_versions(root)
    with locks.lock_exclusive(root / "LOCK", store.lock_timeout), held_versions(root) as held:
        if not held.good:
            raise CorruptedError(f"no version of {root} can be read: restore a backup")
        done = _go_back(root, held)
        before = log.load(root)
        with store.staging() as staging:
            after, repaired = _repair_derived(root, staging, held.good, before)
            listed = [index for _, index in before.located_indexes()]
            seeds = {index.name: _seed_of(store, index) for index in listed}
            if after is not before:
                store.commit(staging, after.next("repair"))
    remaining = {index.name for _, index in after.located_indexes()}
    done += repaired
    for name, group in {"": before.indexes, **before.vector_indexes}.items():
        dropped = [index for index in group if index.name not in remaining]
        done += _rebuild(NamedStore(store, name) if name else store, dropped, seeds)
    return Repair(tuple(done), tuple(find_damage(root)), log.load(root).version)


def _repair_derived(
    root: Path, staging: Staging, good: Mapping[int, Manifest], latest: Manifest
) -> tuple[Manifest, list[str]]:
    """The latest version with whole derived files (or `latest` itself), and what was done."""
    versions = {**good, latest.version: latest}
    damaged = {finding.file for finding in look_for_damage(root, versions)}
    version, done = latest, []
    for derived in DERIVED:
        version, repaired = derived.repair(root, versions, version, damaged, staging)
        done += repaired
    return version, done


def _go_back(root: Path, held: HeldVersions) -> list[str]:
    """Make the newest readable version the latest, and move the unreadable ones out of the way."""
    if not held.bad:
        return []
    done = []
    newest, last = max(held.good), max(held.bad)
    if last > newest:
        version = replace(held.good[newest], version=last)
        log.commit(root, version.next(f"repair: version {newest} again"))
        done.append(
            f"version {last} cannot be read: version {newest} is the latest again, "
            f"as version {last + 1}"
        )
    return [*done, _set_aside(root, held)]


def _set_aside(root: Path, held: HeldVersions) -> str:
    """Move unreadable manifests to the folder "damaged", with the files that only they may name."""
    needed = {place_of(ref) for manifest in held.good.values() for ref in manifest.files()}
    found = [
        path for place in (SEGMENTS, INDEXES, MODELS) for path in sorted((root / place).glob("*"))
    ]
    aside = [path for path in found if f"{path.parent.name}/{path.name}" not in needed]
    aside += [log.path_of(root, number) for number in held.bad]
    with disk.storage_errors("creating", root / DAMAGED):
        (root / DAMAGED).mkdir(exist_ok=True)
    for path in aside:
        disk.move(path, root / DAMAGED / path.name)
    changed = [DAMAGED, SEGMENTS, INDEXES, MANIFESTS, "."]
    for folder in [*changed, *([MODELS] if (root / MODELS).exists() else [])]:
        disk.sync_folder(root / folder)
    return f"moved to {DAMAGED}: {', '.join(path.name for path in aside)}"


def _seed_of(store: Store, entry: IndexEntry) -> int:
    """The seed an index was built with; 0 if its calibration is damaged."""
    try:
        return int(store.files.calibration(entry).get("seed", 0))
    except CorruptedError:
        return 0


def _rebuild(store: Store, dropped: Sequence[IndexEntry], seeds: Mapping[str, int]) -> list[str]:
    """Index the rows of indexes that were dropped; what was done with each."""
    if not dropped:
        return []
    try:
        build_index(
            store,
            stored_recipe(dropped[0].recipe),
            recall=None,
            memory=None,
            queries=None,
            seed=seeds[dropped[0].name],
            threads=None,
        )
    except VecsearchError as error:
        done = f"is damaged and was dropped; building it again failed: {error}"
    else:
        done = "was damaged and dropped, and built again"
    return [f"{entry.name} {done}" for entry in dropped]
