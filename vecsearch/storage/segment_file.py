"""Write the Arrow file of a segment, its vectors piece by piece if they are many."""

from __future__ import annotations

import io
import mmap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.storage.schema import vector_array
from vecsearch.types import VECTOR

Pieces = Callable[[], Iterable[npt.NDArray[np.floating]]]


def write_batch(path: Path, batch: pa.RecordBatch, pieces: Pieces | None = None) -> None:
    """Write one record batch as an Arrow IPC file at `path`; the caller syncs and names it.

    Args:
        path: The file to create.
        batch: The rows.
        pieces: Makes the vectors, in order, for a batch whose vector column is a `placeholder`.
    """
    if pieces is None:
        with pa.OSFile(str(path), "wb") as out, pa.ipc.new_file(out, batch.schema) as writer:
            writer.write_batch(batch)
        return
    with path.open("wb") as file:
        sink = _Sink(file, batch.column(VECTOR).values.buffers()[1], pieces)
        with pa.PythonFile(sink, mode="w") as out, pa.ipc.new_file(out, batch.schema) as writer:
            writer.write_batch(batch)
    if sink.missing:
        raise AssertionError(f"{sink.missing} bytes of vectors were not written")


def placeholder(rows: int, dim: int, dtype: str) -> pa.FixedSizeListArray:
    """A vector column whose numbers are never read: pages that nobody touches take no memory."""
    kind = np.dtype(dtype)
    pages = mmap.mmap(-1, rows * dim * kind.itemsize, prot=mmap.PROT_READ)
    return vector_array(np.frombuffer(pages, kind).reshape(rows, dim))


class _Sink(io.RawIOBase):
    """A file for Arrow's writer that puts `pieces` in the place of a buffer."""

    def __init__(self, file: BinaryIO, replaced: pa.Buffer, pieces: Pieces) -> None:
        self._file, self._replaced, self._pieces = file, replaced, pieces
        self.missing: int = replaced.size

    def write(self, data: Any) -> int:
        if not isinstance(data, pa.Buffer):
            return self._file.write(data)
        if data.address != self._replaced.address:
            return self._file.write(memoryview(data))
        for piece in self._pieces():
            self._file.write(np.ascontiguousarray(piece).data.cast("B"))
            self.missing -= piece.nbytes
        return int(data.size)

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()
