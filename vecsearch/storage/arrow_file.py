"""Read the one record batch of an Arrow file of a collection, whoever wrote it.

The checksums of a file say that it is as written, not that its writer meant well. So the shape of
what is read is checked too: the parts of a batch lie inside the file, in the types that are wanted.
Offsets and texts are checked by `Segment`, when a column is first used.
"""

from __future__ import annotations

import pyarrow as pa

from vecsearch.errors import CorruptedError
from vecsearch.storage.arrow_header import require_uncompressed
from vecsearch.storage.disk import CheckedFile


def read_batch(file: CheckedFile) -> pa.RecordBatch:
    """The record batch of a mapped file. Raises CorruptedError."""
    try:
        require_uncompressed(file.buffer)
        reader = pa.ipc.open_file(pa.BufferReader(file.buffer))
        if reader.num_record_batches != 1:
            raise CorruptedError(
                f"{file.path} holds {reader.num_record_batches} record batches where 1 was written"
            )
        batch = reader.get_batch(0)
        batch.validate()
        names = batch.schema.names  # which decodes them
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        if isinstance(error, CorruptedError):
            raise
        raise CorruptedError(f"{file.path} cannot be read as Arrow IPC: {error}") from error
    base, size = file.buffer.address, file.buffer.size
    for name, field, column in zip(names, batch.schema, batch.columns, strict=True):
        present = [buffer for buffer in column.buffers() if buffer is not None and buffer.size]
        if any(not base <= part.address <= base + size - part.size for part in present):
            raise CorruptedError(
                f"{file.path}: column {name!r} is compressed or lies outside the file"
            )
        if not field.nullable and column.null_count:
            raise CorruptedError(f"{file.path}: column {name!r} has nulls, which it may not")
    return batch


def read_numbers(file: CheckedFile, kinds: dict[str, pa.DataType]) -> pa.RecordBatch:
    """A mapped file of columns of integers without nulls: those of `kinds`, in this order.

    Raises CorruptedError.
    """
    batch = read_batch(file)
    found = dict(zip(batch.schema.names, batch.schema.types, strict=True))
    if found != kinds or any(column.null_count for column in batch.columns):
        wanted = ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
        raise CorruptedError(f"{file.path} does not hold the columns {wanted} without nulls")
    return batch
