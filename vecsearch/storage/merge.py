"""Merge small segments, so that adds in a loop leave few of them and copy each row a few times.

Segments are in tiers by their live rows: 1 to 7, 8 to 63, 64 to 511, ... Eight of one tier become
one of the next, so a row is copied once for each tier that it rises. Only neighbors of one shard
are merged, as rows keep their order; smaller ones that stand between them go along. A segment never
joins others that have less than an eighth of its rows in sum. One of the highest tier, or of 64 MB,
joins none, so that a merge writes 512 MB at most. A merge of 8 MB or more holds no caller up: see
`large_merges.py`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.storage.manifest import Manifest, SegmentEntry, replace
from vecsearch.storage.segment_file import placeholder
from vecsearch.storage.segment_texts import merged_texts
from vecsearch.storage.shards import runs_of_shards
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.staging import Staging
from vecsearch.types import VECTOR

FAN_OUT = 8
TIERS = 6
LARGE_BYTES = 64 * 1024 * 1024
LATER_BYTES = 8 * 1024 * 1024  # so many are merged on a thread of their own
# So many small segments are too many, whatever their tiers are: then fewer than eight are merged.
# Adds of very different sizes lead there, as small segments are left between larger ones.
MANY = 48
COPIED_BYTES = 4 << 20  # of vectors at a time


def tier(live: int) -> int:
    """The tier of a segment by its live rows, 0 to `TIERS`."""
    return min(max(live.bit_length() - 1, 0) // 3, TIERS)


def due(
    manifest: Manifest,
    kept: Container[SegmentEntry] | None = None,
    taken: Container[str] = frozenset(),
) -> list[slice]:
    """The neighboring segments to merge now: at most one run of each shard.

    Those that an index covers stay, and those whose names are in `taken`. If `kept` is given, so do
    those that are not in it.
    """

    def changes(entry: SegmentEntry) -> bool:
        return entry.name in taken or (kept is not None and entry not in kept)

    sizes = _sizes(manifest)
    sizes = [None if changes(e) else n for e, n in zip(manifest.segments, sizes, strict=True)]
    runs = []
    for places in runs_of_shards(entry.shard for entry in manifest.segments):
        run = due_of(sizes[places.start : places.stop])
        if run is not None:
            runs.append(slice(places.start + run.start, places.start + run.stop))
    return runs


def _live_bytes(entry: SegmentEntry) -> int:
    """About how many bytes the rows take that are not deleted."""
    return entry.file.bytes * entry.live // max(entry.rows, 1)


def _sizes(manifest: Manifest) -> list[int | None]:
    """The live rows of each segment; None for a large one, or one that an index covers."""
    covered = manifest.covered
    return [
        None if entry.name in covered or _live_bytes(entry) >= LARGE_BYTES else entry.live
        for entry in manifest.segments
    ]


def count_small(manifest: Manifest) -> int:
    """How many segments are small enough to be merged."""
    return sum(rows is not None and tier(rows) < TIERS for rows in _sizes(manifest))


def is_large(parts: Iterable[SegmentEntry]) -> bool:
    """Whether merging these segments takes longer than a caller should wait."""
    return sum(map(_live_bytes, parts)) >= LATER_BYTES


def large_run(manifest: Manifest) -> slice | None:
    """A large run of segments to merge now. Its newest segment is not one of the small ones."""
    for run in due(manifest):
        segments, stop = manifest.segments, run.stop
        if is_large(segments[run]):
            highest = max(tier(entry.live) for entry in segments[run])
            while tier(segments[stop - 1].live) < highest:
                stop -= 1
            return slice(run.start, stop) if stop - run.start > 1 else run
    return None


def due_of(sizes: Sequence[int | None]) -> slice | None:
    """`due` by the live rows of segments; None stands for a segment that stays as it is."""
    tiers = [TIERS if rows is None else tier(rows) for rows in sizes]
    small = sum(each < TIERS for each in tiers)
    if small < FAN_OUT:
        return None
    for level in range(TIERS):
        for run in _runs(tiers, level):
            if tiers[run].count(level) >= FAN_OUT:
                return run
    if small > MANY:
        for level in range(TIERS):
            for run in _runs(tiers, level):
                rows = [size for size in sizes[run] if size is not None]
                if len(rows) > 1 and max(rows) <= FAN_OUT * (sum(rows) - max(rows)):
                    return run
    return None


def _runs(tiers: Sequence[int], level: int) -> Iterator[slice]:
    """The longest runs of neighbors of this tier or lower ones, the newest first."""
    stop = len(tiers)
    while stop:
        start = stop
        while start and tiers[start - 1] <= level:
            start -= 1
        if start < stop:
            yield slice(start, stop)
        stop = max(start - 1, 0)


def merge_segments(snapshot: Snapshot, run: Sequence[int], staging: Staging) -> SegmentEntry | None:
    """Verify segments of one shard and write their live rows as one segment; None without any.

    Columns are copied one after another, and vectors a few rows at a time as they are written, so
    that no memory for the vectors of a whole segment is needed.
    """
    manifest = snapshot.manifest
    live = [_live_rows(snapshot, number) for number in run]
    count = sum(map(len, live))
    if not count:
        return None
    for number in run:
        snapshot.segments[number].verify_all()
    arrays = [
        placeholder(count, manifest.dim, manifest.dtype)
        if field.name == VECTOR
        else _merged(snapshot, run, live, field.name)
        for field in manifest.schema
    ]

    def pieces() -> Iterator[npt.NDArray[np.floating]]:
        for number, rows in zip(run, live, strict=True):
            vectors = snapshot.segments[number].vectors
            step = max(1, COPIED_BYTES // vectors[:1].nbytes)
            for start in range(0, len(rows), step):
                some = slice(start, start + step)
                yield vectors[some if len(rows) == len(vectors) else rows[some]]

    batch = pa.RecordBatch.from_arrays(arrays, schema=manifest.schema)
    shard = manifest.segments[run[0]].shard
    return staging.write_segment(batch, pieces, merged_texts(snapshot, run), shard)


def _live_rows(snapshot: Snapshot, number: int) -> npt.NDArray[np.int64]:
    """The rows of a segment that are not deleted, ascending."""
    entry = snapshot.manifest.segments[number]
    rows = np.arange(entry.rows)
    if not entry.deleted:
        return rows
    return np.delete(rows, snapshot.files.tombstones(entry))


def _merged(
    snapshot: Snapshot, run: Sequence[int], live: Sequence[npt.NDArray[np.int64]], name: str
) -> pa.Array:
    """A column of the live rows of segments."""
    parts = []
    for number, rows in zip(run, live, strict=True):
        column = snapshot.segments[number].column(name)
        parts.append(column if len(rows) == len(column) else column.take(pa.array(rows)))
    return parts[0] if len(parts) == 1 else pa.concat_arrays(parts)


class Beside(NamedTuple):
    """What a thread merges beside a change (`large_merges.py`).

    Attributes:
        taken: The names of the segments that it is merging now.
        large: Whether large runs are left to it.
    """

    taken: frozenset[str]
    large: bool


ALONE = Beside(frozenset(), large=False)


class SmallMerge:
    """Merges of small segments, written ahead of a commit: this needs no writer's lock.

    Args:
        base: The version whose segments are merged, if merging them is due.
        staging: Where the merged segments are written.
        version: The version to come, if it is known. Segments that it changes are not merged.
        beside: What is left to a thread.

    Attributes:
        is_left: Whether a large run is due, which the thread is to merge.
    """

    def __init__(
        self,
        base: Snapshot,
        staging: Staging,
        version: Manifest | None = None,
        beside: Beside = ALONE,
    ) -> None:
        self.is_left = False
        self._merged: list[tuple[tuple[SegmentEntry, ...], SegmentEntry | None]] = []
        kept = None if version is None else version.segments
        for run in due(base.manifest, kept, beside.taken):
            parts = base.manifest.segments[run]
            if beside.large and is_large(parts):
                self.is_left = True
                continue
            numbers = range(len(base.manifest.segments))[run]
            self._merged.append((parts, merge_segments(base, numbers, staging)))

    def apply(self, version: Manifest) -> Manifest:
        """The version with each merged segment in place of its parts.

        If another writer changed one of them meanwhile, or put an index over them, they stay as
        they are, and a later commit merges them.
        """
        covered = version.covered
        segments = version.segments
        for parts, merged in self._merged:
            at = place_of(parts, segments)
            if at is None or any(entry.name in covered for entry in parts):
                continue
            new = () if merged is None else (merged,)
            segments = (*segments[:at], *new, *segments[at + len(parts) :])
        return version if segments is version.segments else replace(version, segments=segments)


def place_of(parts: Sequence[SegmentEntry], segments: Sequence[SegmentEntry]) -> int | None:
    """Where the parts follow one another, unchanged; None if they do not, or there are none."""
    if not parts or parts[0] not in segments:
        return None
    at = segments.index(parts[0])
    return at if tuple(segments[at : at + len(parts)]) == tuple(parts) else None
