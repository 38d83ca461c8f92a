"""Merges of many bytes, on a thread beside the callers whose changes made them due.

The thread writes the merged segment without the writer's lock and commits it as a version of its
own. What others delete of its parts meanwhile is deleted in it, too. If they did anything else to
the parts, the merge is given up, and a later change begins it again. If it fails, later changes
merge everything themselves, so that whoever calls them gets the error.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Protocol

import numpy as np

from vecsearch.common.fork import Lock
from vecsearch.common.memory import trim_heap
from vecsearch.errors import LockTimeoutError, VecsearchError
from vecsearch.storage.manifest import Manifest, SegmentEntry, replace
from vecsearch.storage.merge import (
    MANY,
    Beside,
    count_small,
    large_run,
    merge_segments,
    place_of,
)
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.staging import Staging

MOST_SMALL = 2 * MANY  # with more small segments, changes leave nothing to the thread
LOCK_SECONDS = 5.0  # a merge waits at most so long for other writers, and is given up then


class Commits(Protocol):
    """What merges need of a `storage.store.Store`."""

    large_merges: LargeMerges

    def snapshot(self, version: int | None = None, *, pulled: bool = False) -> Snapshot:
        """A version; the latest without a number."""

    def staging(self) -> AbstractContextManager[Staging]:
        """Where new files are written."""

    def locked(self, most: float = ...) -> AbstractContextManager[Snapshot]:
        """Hold the writer's lock for so many seconds at most of waiting; the latest version."""

    def commit(self, staging: Staging | None, version: Manifest) -> None:
        """Make a version the latest."""


class LargeMerges:
    """The thread that merges for one open collection. A forked child has none.

    Attributes:
        inline: Whether changes merge everything themselves.
    """

    def __init__(self, *, inline: bool) -> None:
        self.inline = inline
        self._lock = Lock()
        self._parts: frozenset[str] = frozenset()
        self._thread: threading.Thread | None = None

    def beside(self, version: Manifest) -> Beside:
        """What is left to the thread by a change of this version.

        Whoever adds faster than it merges gets a share of the work, so that segments stay few.
        """
        parts = frozenset[str]() if self._running() is None else self._parts
        return Beside(parts, not self.inline and count_small(version) <= MOST_SMALL)

    def take(self, parts: Sequence[SegmentEntry]) -> None:
        """Say which segments the thread merges now."""
        self._parts = frozenset(part.name for part in parts)

    def start(self, store: Commits) -> None:
        """Merge what is due on a thread, unless one is at it."""
        with self._lock:
            if self._running() is None and not self.inline:
                self._parts = frozenset()
                work = partial(merge_large, store)
                self._thread = threading.Thread(target=work, name="vecsearch merges")
                try:
                    self._thread.start()
                except RuntimeError:  # the interpreter ends, or there are too many threads
                    self.inline = True

    def wait(self) -> None:
        """Wait until no merge is under way."""
        thread = self._running()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _running(self) -> threading.Thread | None:
        thread = self._thread
        return thread if thread is not None and thread.is_alive() else None


def merge_large(store: Commits) -> None:
    """Merge and commit large runs of segments until none is due."""
    try:
        while merge_one(store):
            pass
    except LockTimeoutError:
        pass  # others write for long: a later change begins again
    except (VecsearchError, OSError, MemoryError):
        store.large_merges.inline = True
    trim_heap()


def merge_one(store: Commits) -> bool:
    """Merge one run. Returns whether that was committed."""
    base = store.snapshot(pulled=True)
    run = large_run(base.manifest)
    if run is None:
        return False
    store.large_merges.take(base.manifest.segments[run])
    numbers = range(len(base.manifest.segments))[run]
    with store.staging() as staging:
        merged = merge_segments(base, numbers, staging)
        with store.locked(LOCK_SECONDS) as latest:
            version = _merged_version(base, numbers, merged, latest, staging)
            if version is not None:
                store.commit(staging, version)
    return version is not None


def _merged_version(
    base: Snapshot,
    run: Sequence[int],
    merged: SegmentEntry | None,
    latest: Snapshot,
    staging: Staging,
) -> Manifest | None:
    """The latest version with the merged segment in place of its parts.

    None if something else than deleting was done to one of them, or an index was put over it.
    """
    before, now = base.manifest, latest.manifest
    parts = [before.segments[number] for number in run]
    at = place_of([_undeleted(part) for part in parts], list(map(_undeleted, now.segments)))
    if at is None or before.schema != now.schema or any(p.name in now.covered for p in parts):
        return None
    after = now.segments[at : at + len(parts)]
    deleted, start = [np.empty(0, np.int64)], 0
    for part, part_now in zip(parts, after, strict=True):
        old, new = base.files.tombstones(part), latest.files.tombstones(part_now)
        if not np.isin(old, new).all():  # a rollback brought rows back
            return None
        added = np.setdiff1d(new, old)
        deleted.append(start + added - np.searchsorted(old, added))
        start += part.live
    rows = np.concatenate(deleted)
    if merged is not None and len(rows):
        merged = staging.add_tombstones(merged, staging.open_segment(merged), rows)
    kept = () if merged is None or not merged.live else (merged,)
    segments = (*now.segments[:at], *kept, *now.segments[at + len(parts) :])
    return now.next("merge", segments=segments)


def _undeleted(entry: SegmentEntry) -> SegmentEntry:
    """The segment whatever is deleted of it."""
    return replace(entry, tombstones=None, deleted=0, documents=0)
