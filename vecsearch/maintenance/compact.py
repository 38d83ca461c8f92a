"""Merge segments and drop deleted rows."""

from __future__ import annotations

from vecsearch.index.derived import DERIVED
from vecsearch.storage.limits import Limits
from vecsearch.storage.manifest import Manifest, SegmentEntry
from vecsearch.storage.merge import merge_segments
from vecsearch.storage.segment import WidenedSegment
from vecsearch.storage.store import Store


def compact(store: Store, purge: bool) -> int:
    """Merge neighboring segments and drop deleted rows.

    Args:
        store: The collection.
        purge: Also drop an index that was built over deleted rows, because it still holds their
            codes. `Store.purge` then removes the files of older versions.

    Returns:
        The version committed, or the latest version if there was nothing to do.
    """
    with store.locked() as latest, store.staging() as staging:
        manifest = latest.manifest
        segments: list[SegmentEntry] = []
        for run in _runs(manifest, store.limits):
            first = manifest.segments[run[0]]
            is_older = isinstance(latest.segments[run[0]], WidenedSegment) or first.columns
            if len(run) == 1 and not first.deleted and not is_older:
                segments.append(first)
            else:
                merged = merge_segments(latest, run, staging)
                segments += [merged] if merged else []
        if segments == list(manifest.segments) and not purge:
            return manifest.version
        version = manifest.next("compact", segments=tuple(segments))
        for derived in DERIVED:
            version = derived.merge(latest, version, staging, purge=purge)
        store.commit(staging, version)
        return version.version


def _runs(manifest: Manifest, limits: Limits) -> list[list[int]]:
    """Neighboring segments of one shard that fit into one, by number.

    Their bytes count as they will be without deleted rows, so that what is compact stays as it is.
    """
    runs: list[list[int]] = []
    rows = size = 0
    for number, entry in enumerate(manifest.segments):
        live_bytes = entry.file.bytes * entry.live // max(entry.rows, 1)
        full = rows + entry.live > limits.compact_rows
        full = full or (number > 0 and entry.shard != manifest.segments[number - 1].shard)
        if not runs or full or size + live_bytes > limits.compact_bytes:
            runs.append([])
            rows = size = 0
        runs[-1].append(number)
        rows += entry.live
        size += live_bytes
    return runs
