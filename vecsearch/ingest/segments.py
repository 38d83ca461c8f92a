"""Collects the batches of one add and writes them to staging as segments of bounded size."""

from __future__ import annotations

import pyarrow as pa

from vecsearch.common.batches import BatchBuffer
from vecsearch.storage.limits import Limits
from vecsearch.storage.manifest import SegmentEntry
from vecsearch.storage.segment import Segment
from vecsearch.storage.staging import Staging


class SegmentBuffer:
    """Batches that wait for their segment, and the segments written so far.

    Args:
        staging: Where segments are written. They belong to no version until the commit.
        limits: How many rows or bytes end a segment.
    """

    def __init__(self, staging: Staging, limits: Limits) -> None:
        self.staging = staging
        self.entries: list[SegmentEntry] = []
        self._schema: pa.Schema | None = None
        self._waiting = BatchBuffer(limits.segment_rows, limits.segment_bytes)

    def append(self, batch: pa.RecordBatch) -> None:
        """Add a batch; write a segment once the waiting batches fill one, or a column widens."""
        if self._schema is not None and not batch.schema.equals(self._schema):
            self.flush()
        self._schema = batch.schema
        self._waiting.add(batch)
        if self._waiting.full:
            self.flush()

    def flush(self) -> None:
        """Write the waiting batches as a segment."""
        batch = self._waiting.take()
        if batch is not None:
            self.entries.append(self.staging.write_segment(batch))

    def open(self, entry: SegmentEntry) -> Segment:
        return self.staging.open_segment(entry)

    @property
    def documents(self) -> int:
        """Documents in the segments written so far, without deleted ones."""
        return sum(entry.documents for entry in self.entries)
