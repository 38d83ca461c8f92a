"""Rewrite segments with new vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from vecsearch.common.arrays import Positions, Vectors
from vecsearch.common.batches import rebatch
from vecsearch.storage.limits import Limits
from vecsearch.storage.manifest import SegmentEntry
from vecsearch.storage.schema import encode_vectors, vector_field
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.staging import Staging
from vecsearch.types import VECTOR


@dataclass(frozen=True)
class _Part:
    """A new segment, and the rows of the source segment that it holds."""

    entry: SegmentEntry
    rows: Positions


@dataclass(frozen=True)
class _Rewritten:
    """The rewritten copies of a source segment, and the rows that were deleted at that time."""

    parts: list[_Part]
    deleted: Positions


class SegmentRewriter:
    """Rewrites segments with new vectors.

    The source may change while this runs: `missing` names the segments that were added since, and
    `segments` deletes the rows that were deleted since.
    """

    def __init__(
        self,
        staging: Staging,
        limits: Limits,
        dim: int,
        embed: Callable[[pa.RecordBatch], Vectors],
        progress: Callable[[int], None] = lambda rows: None,
    ) -> None:
        """
        Args:
            staging: Where the new segments are written.
            limits: The size of a window and of a segment.
            dim: The dimension of the new vectors.
            embed: Returns float32 (rows, dim) for a window of rows as they are stored.
            progress: Called with the number of rows of each window.
        """
        self.staging = staging
        self.limits = limits
        self.dim = dim
        self.embed = embed
        self.progress = progress
        self._rewritten: dict[str, _Rewritten] = {}

    def missing(self, snapshot: Snapshot) -> list[int]:
        """Numbers of the segments that are still to be rewritten.

        These are new ones, and those in which a rollback restored deleted rows.
        """
        return [
            number
            for number, entry in enumerate(snapshot.manifest.segments)
            if not self._has(snapshot, entry)
        ]

    def _has(self, snapshot: Snapshot, entry: SegmentEntry) -> bool:
        done = self._rewritten.get(entry.name)
        if done is None:
            return False
        return bool(np.isin(done.deleted, snapshot.files.tombstones(entry)).all())

    def take(self, snapshot: Snapshot) -> None:
        """Rewrite the segments that `missing` names."""
        for number in self.missing(snapshot):
            entry = snapshot.manifest.segments[number]
            deleted = snapshot.files.tombstones(entry)
            self._rewritten[entry.name] = _Rewritten(list(self._parts(snapshot, number)), deleted)

    def segments(self, latest: Snapshot) -> tuple[SegmentEntry, ...]:
        """The new segments of a version whose segments are all rewritten."""
        entries = []
        for source in latest.manifest.segments:
            deleted = latest.files.tombstones(source)
            for part in self._rewritten[source.name].parts:
                entry = self._delete(part, np.flatnonzero(np.isin(part.rows, deleted)))
                entries += [entry] if entry.live else []
        return tuple(entries)

    def _delete(self, part: _Part, rows: Positions) -> SegmentEntry:
        """The entry of a part after rows of it are deleted."""
        if not len(rows):
            return part.entry
        return self.staging.add_tombstones(part.entry, self.staging.open_segment(part.entry), rows)

    def _parts(self, snapshot: Snapshot, number: int) -> Iterator[_Part]:
        """Write the live rows of one segment as new segments of bounded size."""
        entry = snapshot.manifest.segments[number]
        snapshot.segments[number].verify_all()
        deleted = snapshot.files.tombstones(entry)
        rows = np.setdiff1d(np.arange(entry.rows), deleted, assume_unique=True)
        windows = self._windows(snapshot, number, rows)
        first = 0
        for batch in rebatch(windows, self.limits.segment_rows, self.limits.segment_bytes):
            end = first + batch.num_rows
            yield _Part(self.staging.write_segment(batch, shard=entry.shard), rows[first:end])
            first = end

    def _windows(
        self, snapshot: Snapshot, number: int, rows: Positions
    ) -> Iterator[pa.RecordBatch]:
        """Rows of one segment with their new vectors."""
        segment, names = snapshot.segments[number], snapshot.manifest.schema.names
        for start in range(0, len(rows), self.limits.window_rows):
            batch = segment.take(names, rows[start : start + self.limits.window_rows])
            yield self._with_new_vectors(snapshot, batch)
            self.progress(batch.num_rows)

    def _with_new_vectors(self, snapshot: Snapshot, batch: pa.RecordBatch) -> pa.RecordBatch:
        manifest = snapshot.manifest
        new = encode_vectors(self.embed(batch), manifest.metric, manifest.dtype)
        schema = rewritten_schema(snapshot, self.dim)
        return pa.RecordBatch.from_arrays(
            [new.get(name, batch.column(name)) for name in schema.names], schema=schema
        )


def rewritten_schema(snapshot: Snapshot, dim: int) -> pa.Schema:
    """The schema of a version with vectors of another dimension."""
    schema = snapshot.manifest.schema
    field = vector_field(dim, snapshot.manifest.dtype)
    return schema.set(schema.get_field_index(VECTOR), field)
