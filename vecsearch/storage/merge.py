"""Which neighbouring segments to run together, and how: so that one-row adds in a loop leave few segments.

Segments fall into tiers by their live rows (powers of 8 from 4,096). When the newest segments, of one tier or lower, are 8,
they become one: each row is copied once a tier, and a collection has at most about 24 small segments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from vecsearch.storage.manifest import Manifest, SegmentEntry
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.staging import Staging

TIERS = (4096, 32_768, 262_144)
FAN_OUT = 8


def tier(entry: SegmentEntry) -> int:
    return sum(entry.live >= limit for limit in TIERS)


def due(manifest: Manifest) -> slice | None:
    """The run of newest segments to merge now, or None. Segments an index covers are left to `compact`."""
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
    """Write the live rows of some segments as one; None when none are left. Verifies what it copies."""
    batches = []
    for number in run:
        segment, entry = snapshot.segments[number], snapshot.manifest.segments[number]
        segment.file.verify_all()
        batch = segment.batch
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
    """Run small segments together when there are many. Those of the commit being made are left to a later one."""
    before = replace(
        version,
        segments=tuple(entry for entry in version.segments if entry in latest.manifest.segments),
    )
    run = due(before)
    if run is None:
        return version
    gone = before.segments[run]
    merged = merge_segments(
        latest, [latest.manifest.segments.index(entry) for entry in gone], staging
    )
    at = version.segments.index(gone[0])
    kept = [entry for entry in version.segments if entry not in gone]
    return replace(version, segments=(*kept[:at], *([merged] if merged else []), *kept[at:]))
