"""Collects the batches of one add and writes them to staging as segments of bounded size."""

from __future__ import annotations

import pyarrow as pa

from vecsearch.storage.manifest import SegmentEntry
from vecsearch.storage.segment import Segment
from vecsearch.storage.staging import Staging


class SegmentBuffer:
    """Batches that wait for their segment, and the segments written so far.

    Args:
        staging: Where segments are written. They belong to no version until the commit.
        rows: A segment ends at this many rows or more.
        size: A segment ends at this many bytes or more.
    """

    def __init__(self, staging: Staging, rows: int, size: int) -> None:
        self.staging = staging
        self.rows = rows
        self.size = size
        self.entries: list[SegmentEntry] = []
        self._waiting: list[pa.RecordBatch] = []

    def append(self, batch: pa.RecordBatch) -> None:
        """Add a batch; write a segment once the waiting batches fill one."""
        self._waiting.append(batch)
        if (
            sum(waiting.num_rows for waiting in self._waiting) >= self.rows
            or sum(waiting.nbytes for waiting in self._waiting) >= self.size
        ):
            self.flush()

    def flush(self) -> None:
        """Write the waiting batches as a segment."""
        if self._waiting:
            batches, self._waiting = self._waiting, []
            batch = batches[0] if len(batches) == 1 else pa.concat_batches(batches)
            self.entries.append(self.staging.write_segment(batch))

    def open(self, entry: SegmentEntry) -> Segment:
        return self.staging.open_segment(entry)

    @property
    def documents(self) -> int:
        """Documents in the segments written so far, without deleted ones."""
        return sum(entry.documents for entry in self.entries)
