"""Rewrite segments with new vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from vecsearch.common.arrays import Positions, Vectors
from vecsearch.ingest.add import SEGMENT_BYTES, SEGMENT_ROWS, WINDOW_ROWS
from vecsearch.storage.manifest import SegmentEntry
from vecsearch.storage.schema import normalize, vector_array, vector_type
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.staging import Staging
from vecsearch.types import NORM, VECTOR, Metric


@dataclass(frozen=True)
class _Part:
    """A segment made out of some rows of another one."""

    entry: SegmentEntry
    rows: Positions


@dataclass(frozen=True)
class _Done:
    """What became of a segment, all of it but the rows that were deleted then."""

    parts: list[_Part]
    dead: Positions


class SegmentRewriter:
    """Segments again with other vectors: `make` is given rows as they are stored, and makes float32 (rows, dim) for them."""

    def __init__(
        self,
        staging: Staging,
        dim: int,
        make: Callable[[pa.RecordBatch], Vectors],
        progress: Callable[[int], None],
    ) -> None:
        self.staging = staging
        self.dim = dim
        self.make = make
        self.progress = progress
        self._done: dict[str, _Done] = {}

    def missing(self, snapshot: Snapshot) -> list[int]:
        """The segments of a snapshot that are not done: new ones, and those in which a restore brought deleted rows back."""
        return [
            number
            for number, entry in enumerate(snapshot.manifest.segments)
            if not self._has(snapshot, entry)
        ]

    def _has(self, snapshot: Snapshot, entry: SegmentEntry) -> bool:
        done = self._done.get(entry.name)
        return done is not None and bool(np.isin(done.dead, snapshot.files.tombstones(entry)).all())

    def take(self, snapshot: Snapshot) -> None:
        """Do the segments of a snapshot that are not done yet."""
        for number in self.missing(snapshot):
            entry = snapshot.manifest.segments[number]
            self._done[entry.name] = _Done(
                list(self._parts(snapshot, number)), snapshot.files.tombstones(entry)
            )

    def segments(self, latest: Snapshot) -> tuple[SegmentEntry, ...]:
        """The segments instead of those of a version, all of which are done. Rows deleted since they were done are buried."""
        out = []
        for entry in latest.manifest.segments:
            dead = latest.files.tombstones(entry)
            for part in self._done[entry.name].parts:
                gone = np.flatnonzero(np.isin(part.rows, dead))
                made = (
                    self.staging.add_tombstones(
                        part.entry, self.staging.open_segment(part.entry), gone
                    )
                    if len(gone)
                    else part.entry
                )
                out += [made] if made.live else []
        return tuple(out)

    def _parts(self, snapshot: Snapshot, number: int) -> Iterator[_Part]:
        """Write the live rows of one segment, in segments that take a bounded amount of memory."""
        segment, entry = snapshot.segments[number], snapshot.manifest.segments[number]
        segment.file.verify_all()
        rows = np.setdiff1d(
            np.arange(entry.rows), snapshot.files.tombstones(entry), assume_unique=True
        )
        waiting: list[pa.RecordBatch] = []
        first = 0
        for at in range(0, len(rows), WINDOW_ROWS):
            batch = segment.take(snapshot.manifest.schema.names, rows[at : at + WINDOW_ROWS])
            waiting.append(self._remade(snapshot, batch))
            self.progress(batch.num_rows)
            end = at + batch.num_rows
            full = (
                end - first >= SEGMENT_ROWS or sum(item.nbytes for item in waiting) >= SEGMENT_BYTES
            )
            if full or end == len(rows):
                whole = waiting[0] if len(waiting) == 1 else pa.concat_batches(waiting)
                yield _Part(self.staging.write_segment(whole), rows[first:end])
                waiting, first = [], end

    def _remade(self, snapshot: Snapshot, batch: pa.RecordBatch) -> pa.RecordBatch:
        manifest = snapshot.manifest
        vectors = self.make(batch)
        own: dict[str, pa.Array] = {}
        if manifest.metric is Metric.COSINE:
            vectors, norms = normalize(vectors)
            own[NORM] = pa.array(norms)
        own[VECTOR] = vector_array(np.ascontiguousarray(vectors, np.dtype(manifest.dtype)))
        schema = rewritten_schema(snapshot, self.dim)
        return pa.RecordBatch.from_arrays(
            [own.get(name, batch.column(name)) for name in schema.names], schema=schema
        )


def rewritten_schema(snapshot: Snapshot, dim: int) -> pa.Schema:
    """The schema of a version with vectors of another dimension."""
    schema = snapshot.manifest.schema
    field = pa.field(VECTOR, vector_type(dim, snapshot.manifest.dtype), nullable=False)
    return schema.set(schema.get_field_index(VECTOR), field)
