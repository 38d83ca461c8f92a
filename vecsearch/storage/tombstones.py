"""Tombstones: which rows of a segment are deleted, as a list of them or a bit for each row."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from vecsearch.common.arrays import Positions, bools_in_numpy, numbers_in_numpy
from vecsearch.errors import CorruptedError
from vecsearch.storage.arrow_file import read_batch, read_numbers
from vecsearch.storage.disk import CheckedFile, FileRef
from vecsearch.storage.manifest import SegmentEntry

LIST: Final = {"row": pa.uint32()}
BITS: Final = {"deleted": pa.bool_()}


def tombstone_batch(deleted: Positions, rows: int) -> pa.RecordBatch:
    """The content of the file, in the smaller form: a list takes 32 bits for each deleted row.

    Args:
        deleted: The deleted rows, ascending.
        rows: How many rows the segment has.
    """
    if len(deleted) * 32 <= rows:
        return pa.record_batch({"row": deleted.astype(np.uint32)})
    mask = np.zeros(rows, bool)
    mask[deleted] = True
    return pa.record_batch({"deleted": mask})


def read_tombstones(root: Path, ref: FileRef, entry: SegmentEntry) -> Positions:
    """The deleted rows of a segment: int64, ascending. Raises CorruptedError."""
    file = CheckedFile(root, ref)
    file.verify_all()
    if read_batch(file).schema.names == [*BITS]:
        mask = bools_in_numpy(read_numbers(file, BITS).column(0))
        if len(mask) != entry.rows:
            raise CorruptedError(
                f"{file.path} is of {len(mask)} rows where its segment has {entry.rows}: "
                "see `vecsearch check`"
            )
        rows = np.flatnonzero(mask)
    else:
        rows = numbers_in_numpy(read_numbers(file, LIST).column(0)).astype(np.int64)
    if len(rows) != entry.deleted:
        raise CorruptedError(
            f"{file.path} has {len(rows)} rows where the manifest says {entry.deleted}: "
            "see `vecsearch check`"
        )
    if (np.diff(rows) <= 0).any():
        raise CorruptedError(f"{file.path}: its rows are not ascending: see `vecsearch check`")
    if len(rows) and rows[-1] >= entry.rows:
        raise CorruptedError(
            f"{file.path} names rows that its segment of {entry.rows} does not have: "
            "see `vecsearch check`"
        )
    return np.asarray(rows, np.int64)
