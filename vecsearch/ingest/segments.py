"""Collects the batches of one add and writes them to staging as segments of bounded size."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from vecsearch.common.arrays import Positions
from vecsearch.common.batches import BatchBuffer
from vecsearch.storage.limits import Limits
from vecsearch.storage.manifest import SegmentEntry
from vecsearch.storage.segment import Segment
from vecsearch.storage.staging import Staging
from vecsearch.types import CHUNK


class SegmentBuffer:
    """Batches that wait for their segment, and the segments written so far.

    Args:
        staging: Where segments are written. They belong to no version until the commit.
        limits: How many rows or bytes end a segment.
    """

    def __init__(self, staging: Staging, limits: Limits) -> None:
        self.staging = staging
        self.entries: list[SegmentEntry] = []
        self._numbers: list[Positions | None] = []  # of the documents, within their flush
        self._before: list[int] = []  # documents of earlier flushes
        self._written = 0
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
        """Write the waiting batches as a segment of each shard."""
        batch = self._waiting.take()
        if batch is None:
            return
        firsts = np.arange(batch.num_rows)
        if CHUNK in batch.schema.names:
            firsts = np.cumsum(batch.column(CHUNK).to_numpy() == 0) - 1
        for entry, rows in self.staging.write_rows_by_shard(batch):
            self.entries.append(entry)
            self._numbers.append(None if len(rows) == batch.num_rows else firsts[rows])
            self._before.append(self._written)
        self._written += int(firsts[-1]) + 1

    def number_of(self, number: int, segment: Segment, row: int) -> int:
        """How many documents came before that of a row of the segment `number`."""
        numbers = self._numbers[number]
        if numbers is not None:
            return self._before[number] + int(numbers[row])
        if CHUNK not in segment.schema.names:
            return self._before[number] + row
        ordinals = segment.column(CHUNK).to_numpy()[: row + 1]
        return self._before[number] + int(np.count_nonzero(ordinals == 0)) - 1

    def replace_entries(self, entries: Iterable[SegmentEntry]) -> None:
        """Other segments with the same rows under other ids."""
        self.entries = list(entries)

    def open(self, entry: SegmentEntry) -> Segment:
        return self.staging.open_segment(entry)

    @property
    def documents(self) -> int:
        """Documents in the segments written so far, without deleted ones."""
        return sum(entry.documents for entry in self.entries)
