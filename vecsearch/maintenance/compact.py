"""Merge small segments and drop deleted rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

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
        facts = latest.facts
        segments: list[SegmentEntry] = []
        for run in _runs(facts):
            if len(run) == 1 and not facts.segments[run[0]].deleted:
                segments.append(facts.segments[run[0]])
            else:
                merged = merge_segments(latest, run, staging)
                segments += [merged] if merged else []
        version = facts.next("compact", segments=tuple(segments), indexes=())
        if latest.index_entry is not None and not (purge and _holds_deleted(latest)):
            version = replace(version, indexes=(_relabelled(latest, latest.index_entry, version, staging),))
        if segments == list(facts.segments) and not purge:
            return facts.version
        store.commit(staging, version)
        return version.version


def _holds_deleted(latest: Snapshot) -> bool:
    """Whether the codes of rows that are gone, now or by an earlier compaction, are in the index."""
    return bool(latest.facts.deleted) or latest.has_gaps


def _runs(facts: Manifest) -> list[list[int]]:
    """Neighbouring segments that fit into one."""
    runs: list[list[int]] = []
    rows = size = 0
    for number, entry in enumerate(facts.segments):
        if not runs or rows + entry.live > COMPACT_ROWS or size + entry.file.bytes > COMPACT_BYTES:
            runs.append([])
            rows = size = 0
        runs[-1].append(number)
        rows += entry.live
        size += entry.file.bytes
    return runs


def _relabelled(latest: Snapshot, index: IndexEntry, version: Manifest, staging: Staging) -> IndexEntry:
    """An index after compaction: where the row of each label is now."""
    target = np.full(latest.rows, -1, np.int64)
    alive = latest.live.rows
    target[alive] = np.arange(len(alive))
    labels = latest.labels
    before = np.arange(index.rows) if labels is None else labels
    now = np.where(before < 0, -1, target[before])
    covers = tuple(entry.name for entry in version.segments)
    if np.array_equal(now, np.arange(index.rows)):
        return replace(index, covers=covers, labels=None)
    return replace(index, covers=covers, labels=staging.write_rows(INDEXES, ".labels.arrow", now))
