"""Merge small segments and drop deleted rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vecsearch.index.attached import attach
from vecsearch.storage.layout import INDEXES
from vecsearch.storage.manifest import IndexEntry, Manifest, SegmentEntry
from vecsearch.storage.merge import merge_segments
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.staging import Staging
from vecsearch.storage.store import Store

COMPACT_ROWS = 1_048_576  # a compacted segment ends at this many rows or
COMPACT_BYTES = 512 * 1024 * 1024  # this many bytes, which bounds the memory of a compaction


def compact(store: Store, purge: bool) -> int:
    """Run segments together and drop deleted rows; the version committed. Indexes go on: their labels are mapped.

    With `purge` indexes built over deleted rows are dropped, for their codes still hold them; `Store.purge` then removes the
    files of older versions.
    """
    with store.locked() as latest, store.staging() as staging:
        manifest = latest.manifest
        segments: list[SegmentEntry] = []
        for run in _runs(manifest):
            if len(run) == 1 and not manifest.segments[run[0]].deleted:
                segments.append(manifest.segments[run[0]])
            else:
                merged = merge_segments(latest, run, staging)
                segments += [merged] if merged else []
        version = manifest.next("compact", segments=tuple(segments), indexes=())
        index = attach(latest).entry
        if index is not None and not (purge and _holds_deleted(latest)):
            version = replace(version, indexes=(_relabelled(latest, index, version, staging),))
        if segments == list(manifest.segments) and not purge:
            return manifest.version
        store.commit(staging, version)
        return version.version


def _holds_deleted(latest: Snapshot) -> bool:
    """Whether the codes of rows that are gone, now or by an earlier compaction, are in the index."""
    return bool(latest.manifest.deleted) or attach(latest).has_gaps


def _runs(manifest: Manifest) -> list[list[int]]:
    """Neighbouring segments that fit into one."""
    runs: list[list[int]] = []
    rows = size = 0
    for number, entry in enumerate(manifest.segments):
        if not runs or rows + entry.live > COMPACT_ROWS or size + entry.file.bytes > COMPACT_BYTES:
            runs.append([])
            rows = size = 0
        runs[-1].append(number)
        rows += entry.live
        size += entry.file.bytes
    return runs


def _relabelled(
    latest: Snapshot, index: IndexEntry, version: Manifest, staging: Staging
) -> IndexEntry:
    """An index after compaction: where the row of each label is now."""
    target = np.full(latest.rows, -1, np.int64)
    alive = latest.live.rows
    target[alive] = np.arange(len(alive))
    labels = attach(latest).labels
    before = np.arange(index.rows) if labels is None else labels
    now = np.where(before < 0, -1, target[before])
    covers = tuple(entry.name for entry in version.segments)
    if np.array_equal(now, np.arange(index.rows)):
        return replace(index, covers=covers, labels=None)
    return replace(index, covers=covers, labels=staging.write_rows(INDEXES, ".labels.arrow", now))
