"""Merge small segments, so that one-row adds in a loop leave few of them.

Segments are in tiers by their live rows (powers of 8 from 4,096). When there are 8 newest segments
of one tier or lower, they become one: each row is copied once for each tier, and a collection has
at most about 24 small segments.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from vecsearch.storage.manifest import Manifest, SegmentEntry, replace
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.staging import Staging

TIERS = (4096, 32_768, 262_144)
FAN_OUT = 8


def tier(entry: SegmentEntry) -> int:
    return sum(entry.live >= limit for limit in TIERS)


def due(manifest: Manifest) -> slice | None:
    """The newest segments to merge now, or None. `compact` merges those that an index covers."""
    covered = {name for index in manifest.indexes for name in index.covers}
    for level in range(len(TIERS)):
        first = len(manifest.segments)
        while (
            first
            and tier(manifest.segments[first - 1]) <= level
            and manifest.segments[first - 1].name not in covered
        ):
            first -= 1
        if len(manifest.segments) - first >= FAN_OUT:
            return slice(first, len(manifest.segments))
    return None


def merge_segments(snapshot: Snapshot, run: Sequence[int], staging: Staging) -> SegmentEntry | None:
    """Verify segments and write their live rows as one segment; None if there are none."""
    batches = []
    for number in run:
        segment, entry = snapshot.segments[number], snapshot.manifest.segments[number]
        segment.verify_all()
        batch = segment.whole()
        if entry.deleted:
            mask = np.ones(entry.rows, bool)
            mask[snapshot.files.tombstones(entry)] = False
            batch = batch.filter(pa.array(mask))
        if batch.num_rows:
            batches.append(batch)
    if not batches:
        return None
    return staging.write_segment(batches[0] if len(batches) == 1 else pa.concat_batches(batches))


def merge_small(latest: Snapshot, version: Manifest, staging: Staging) -> Manifest:
    """Merge small segments if there are many. New segments of this version wait for a later one."""
    before = replace(
        version,
        segments=tuple(entry for entry in version.segments if entry in latest.manifest.segments),
    )
    run = due(before)
    if run is None:
        return version
    small = before.segments[run]
    numbers = [latest.manifest.segments.index(entry) for entry in small]
    merged = merge_segments(latest, numbers, staging)
    at = version.segments.index(small[0])
    others = [entry for entry in version.segments if entry not in small]
    return replace(version, segments=(*others[:at], *([merged] if merged else []), *others[at:]))
