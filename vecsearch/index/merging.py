"""Merges the newest segments before they are indexed, so that indexed rows lie in few segments.

Segments that an index covers are left alone by adds (`storage/merge.py`). Here the labels of the
indexes follow. The newest segments are taken as long as each is at most as large as those taken so
far together: each row is copied O(log n) times, and the sizes of the rest grow geometrically.
"""

from __future__ import annotations

from collections.abc import Sequence

from vecsearch.index.derived import DERIVED
from vecsearch.storage.manifest import SegmentEntry
from vecsearch.storage.merge import merge_segments
from vecsearch.storage.store import Store

SMALL_ROWS = 1024  # a segment of so few rows is always taken
MOST_ROWS = 262_144  # in a merged segment
MOST_BYTES = 512 * 1024 * 1024


def merge_newest(store: Store) -> None:
    """Merge the newest segments of the latest version, if there are several small ones."""
    with store.locked() as latest, store.staging() as staging:
        manifest = latest.manifest
        first = newest_run(manifest.segments)
        if len(manifest.segments) - first < 2:
            return
        merged = merge_segments(latest, range(first, len(manifest.segments)), staging)
        segments = (*manifest.segments[:first], *([merged] if merged else []))
        version = manifest.next("merge", segments=segments)
        for derived in DERIVED:
            version = derived.merge(latest, version, staging, purge=False)
        store.commit(staging, version)


def newest_run(segments: Sequence[SegmentEntry]) -> int:
    """The number of the first of the newest segments that are merged."""
    first, rows, size = len(segments), 0, 0
    while first:
        entry = segments[first - 1]
        rows, size = rows + entry.live, size + entry.file.bytes
        is_large = entry.live > max(rows - entry.live, SMALL_ROWS) and first < len(segments)
        if is_large or rows > MOST_ROWS or size > MOST_BYTES:
            break
        first -= 1
    return first
