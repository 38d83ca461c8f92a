"""One immutable segment: an Arrow IPC file with one uncompressed record batch, mapped into memory.

With one batch, the non-null fixed-size-list vector column is one contiguous block of the file,
which FAISS and numpy read without a copy. Any Arrow reader (pyarrow, polars,
DuckDB) opens the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.common.arrays import Mask, numbers_in_arrow, numbers_in_numpy
from vecsearch.common.json_column import is_json
from vecsearch.common.lazy import lazy
from vecsearch.common.mapped import map_scattered
from vecsearch.errors import CorruptedError
from vecsearch.storage.arrow_file import read_batch
from vecsearch.storage.disk import CheckedFile, FileRef
from vecsearch.storage.schema import (
    WHOLE_DOCUMENT,
    absent_column,
    count_documents,
    id_name,
    vector_view,
)
from vecsearch.storage.widening import is_widening, widened
from vecsearch.types import CHUNK, VECTOR, Id

Layout = tuple[int, int, npt.NDArray[np.int64] | None, int]
IDS_AT_ONCE = 1_000_000  # ids of up to so many rows are verified together, in milliseconds, once
FEW_ROWS = 64  # so few rows are verified faster one by one than by numpy
FEW_BYTES = 4096  # beside a batch, which are no reason to copy it
WHOLE: Layout = (0, 0, None, 0)


class Segment:
    """A segment opened for reading. Thread-safe: only the record of verified blocks changes.

    Read columns through `column` and `take`, which compare checksums before first use.

    Attributes:
        rows: Rows in the file, deleted ones included.
        file: The mapped file; the first of several.
        batch: The mapped record batch.
    """

    def __init__(self, root: Path, ref: FileRef, rows: int | None) -> None:
        """Map a file.

        Args:
            root: The collection.
            ref: The file.
            rows: How many rows it has; None if that is not known before.
        """
        self.file = CheckedFile(root, ref)
        self.batch = read_batch(self.file)
        if rows is not None and self.batch.num_rows != rows:
            raise CorruptedError(
                f"{self.file.path} has {self.batch.num_rows} rows where the manifest says {rows}"
            )
        self.rows: int = self.batch.num_rows
        self.schema: pa.Schema = self.batch.schema
        self._whole: set[str] = set()
        self._read_to: dict[str, int] = {}  # rows of a column read from the first on, verified
        self._layouts: dict[str, Layout] = {}
        self._id_name = ""
        self._id_values: tuple[npt.NDArray[np.int64], memoryview | None] | None = None
        self._schemas: dict[tuple[str, ...], pa.Schema] = {}
        self._selections: dict[tuple[str, ...], pa.RecordBatch] = {}

    def read_as(self, schema: pa.Schema) -> Segment:
        """The same file with the columns of a later version: cast as they are read.

        Raises CorruptedError if the schema is not a wider one of the same columns.
        """
        if self.schema.equals(schema):
            return self
        if not can_read_as(self.schema, schema):
            raise CorruptedError(
                f"{self.file.path}: its columns are not those the manifest names: "
                "see `vecsearch check`"
            )
        return WidenedSegment(self, schema)

    def stored_names(self) -> list[str]:
        """The columns that its files hold, whatever those of the version are."""
        return list(self.schema.names)

    @property
    def vectors(self) -> npt.NDArray[np.floating]:
        """All vectors, not verified: a read-only (rows, dim) view, float32 or float16."""
        column = self.batch.column(VECTOR)
        return vector_view(column, column.type.list_size)

    @lazy
    def scattered(self) -> npt.NDArray[np.floating]:
        """`vectors` mapped once more, for reads of single rows: nothing around them is read."""
        whole = self.vectors
        offset = whole.ctypes.data - self.file.buffer.address
        if not whole.size or not 0 <= offset < self.file.buffer.size:
            return whole
        mapped = map_scattered(self.file.path)
        return np.frombuffer(mapped, whole.dtype, whole.size, offset).reshape(whole.shape)

    def column(self, name: str) -> pa.Array:
        """A whole column, verified."""
        array = self.batch.column(name)
        if name not in self._whole:
            for buffer in _buffers(array):
                start = buffer.address - self.file.buffer.address
                self.file.verify(start, start + buffer.size)
            self._require_valid(name, array)
            self._whole.add(name)
        return array

    def select(self, names: Iterable[str]) -> pa.RecordBatch:
        """Whole columns, verified, as a record batch."""
        names = list(names)
        if not names:
            return self.batch.select([])  # a batch made from no arrays would have no rows
        return pa.RecordBatch.from_arrays(
            [self.column(name) for name in names],
            schema=pa.schema([self.schema.field(name) for name in names]),
        )

    def take(self, names: Sequence[str], rows: npt.NDArray[np.int64]) -> pa.RecordBatch:
        """Rows of columns; only the blocks they are in are verified.

        Rows that follow each other are not copied: they stay in the mapped file.
        """
        if is_run(rows):
            return self._slice(names, int(rows[0]), len(rows))
        unknown = set(names) - self._whole if len(rows) else set()
        for name in names:
            if name in unknown:
                self._verify_rows(name, rows)
        taken = self._selected(tuple(names)).take(numbers_in_arrow(rows))
        for name in unknown - self._whole:
            self._require_valid(name, taken.column(name))
        return taken

    def _slice(self, names: Sequence[str], start: int, count: int) -> pa.RecordBatch:
        """`count` rows of columns from `start` on, without a copy."""
        stop = start + count
        part = self._selected(tuple(names)).slice(start, count)
        for at, name in enumerate(names):
            if name in self._whole:
                continue
            self._verify_range(name, start, stop)
            if name in self._whole:
                continue
            self._require_valid(name, part.column(at))
            read_to = self._read_to.get(name, 0)
            if start <= read_to < stop:
                self._read_to[name] = stop
                if stop == self.rows:  # each row was verified and found valid
                    self._whole.add(name)
        return part

    def ids(self, rows: npt.NDArray[np.int64]) -> list[Id]:
        """The ids of a few rows as Python values, faster than `take`."""
        if self._id_values is None:
            name = self._id_name = id_name(self.schema)
            array = self.column(name) if self.rows <= IDS_AT_ONCE else self.batch.column(name)
            _, *buffers = array.buffers()
            if pa.types.is_large_string(array.type):
                self._id_values = (
                    np.frombuffer(buffers[0], np.int64, count=self.rows + 1),
                    memoryview(buffers[1] or b""),
                )
            else:
                self._id_values = numbers_in_numpy(array), None
        if self._id_name not in self._whole:
            self._verify_rows(self._id_name, rows)
        values, text = self._id_values
        if text is None:
            found: list[Id] = values[rows].tolist()
            return found
        starts, stops = values[rows].tolist(), values[rows + 1].tolist()
        try:
            return [
                str(text[start:stop], "utf-8") for start, stop in zip(starts, stops, strict=True)
            ]
        except UnicodeDecodeError as error:
            raise CorruptedError(
                f"{self.file.path}, column {id_name(self.schema)!r}: {error}"
            ) from error

    def whole(self) -> pa.RecordBatch:
        """All columns, verified."""
        return self.select(self.schema.names)

    def verify_all(self) -> None:
        """Compare every block with its checksum. Raises CorruptedError."""
        self.file.verify_all()

    def count_documents(self, live: Mask) -> int:
        """Documents with a row in `live`, bool (rows,)."""
        return count_documents(self.select({CHUNK} & set(self.schema.names)), live)

    def _require_valid(self, name: str, array: pa.Array) -> None:
        """Offsets, texts and the like are right, wherever values are not of a fixed width."""
        kind = array.type
        if pa.types.is_fixed_size_list(kind) and pa.types.is_primitive(kind.value_type):
            return
        if pa.types.is_primitive(kind):
            return
        try:
            array.validate(full=True)
        except (pa.ArrowException, ValueError) as error:
            raise CorruptedError(f"{self.file.path}, column {name!r}: {error}") from error

    def _selected(self, names: tuple[str, ...]) -> pa.RecordBatch:
        batch = self._selections.get(names)
        if batch is None:
            batch = self._selections[names] = self.batch.select(list(names))
        return batch

    def _schema_of(self, names: tuple[str, ...]) -> pa.Schema:
        schema = self._schemas.get(names)
        if schema is None:
            schema = self._schemas[names] = pa.schema([self.schema.field(name) for name in names])
        return schema

    def _layout_of(self, name: str) -> Layout:
        layout = self._layouts.get(name)
        if layout is None:
            layout = self._layouts[name] = self._layout(self.batch.column(name))
        return layout

    def _verify_range(self, name: str, first: int, stop: int) -> None:
        layout = self._layout_of(name)
        if layout is WHOLE:
            self.column(name)
            return
        start, width, offsets, data_start = layout
        after = width if offsets is not None else 0  # the next offset is the end of the row
        self.file.verify(start + first * width, start + stop * width + after)
        if offsets is not None:
            self.file.verify(data_start + int(offsets[first]), data_start + int(offsets[stop]))

    def _verify_rows(self, name: str, rows: npt.NDArray[np.int64]) -> None:
        layout = self._layout_of(name)
        if layout is WHOLE:
            self.column(name)
            return
        start, width, offsets, data_start = layout
        verify = self.file.verify
        after = width if offsets is not None else 0  # the next offset is the end of the row
        if len(rows) > FEW_ROWS:
            at = start + rows * width
            self.file.verify_many(at, at + width + after)
            if offsets is not None:
                stops = data_start + offsets[rows + 1]
                begins = data_start + offsets[rows]
                self.file.verify_many(begins[begins < stops], stops[begins < stops])
            return
        listed: list[int] = rows.tolist()
        for row in listed:
            verify(start + row * width, start + (row + 1) * width + after)
        if offsets is not None:  # which are verified now
            for row in listed:
                verify(data_start + int(offsets[row]), data_start + int(offsets[row + 1]))

    def _require_offsets(self, offsets: npt.NDArray[np.int64], data: pa.Buffer | None) -> None:
        """Texts end where the next ones begin, inside the file. Raises CorruptedError."""
        size = data.size if data is not None else 0
        if offsets[0] < 0 or offsets[-1] > size or (offsets[1:] < offsets[:-1]).any():
            raise CorruptedError(f"{self.file.path}: the offsets of a column lead outside the file")

    def _layout(self, array: pa.Array) -> Layout:
        """Where the bytes of each row are.

        Returns:
            The start of the column in the file and the bytes of a row; for texts, those of their
            offsets, then the offsets and the start of the characters. `WHOLE` for other columns.
        """
        if is_json(array.type):
            array = array.storage
        base = self.file.buffer.address
        validity, *rest = array.buffers()
        if validity is not None and validity.size:
            self.file.verify(validity.address - base, validity.address - base + validity.size)
        kind = array.type
        if pa.types.is_large_string(kind) or pa.types.is_large_binary(kind):
            offsets = np.frombuffer(rest[0], np.int64, count=self.rows + 1)
            self._require_offsets(offsets, rest[1])
            return (
                rest[0].address - base,
                8,
                offsets,
                rest[1].address - base if rest[1] is not None else 0,
            )
        if (
            pa.types.is_fixed_size_list(kind)
            and not kind.value_field.nullable
            and pa.types.is_floating(kind.value_type)
        ):
            return (
                array.values.buffers()[1].address - base,
                kind.list_size * kind.value_type.bit_width // 8,
                None,
                0,
            )
        if pa.types.is_primitive(kind) and kind.bit_width >= 8:
            return rest[0].address - base, kind.bit_width // 8, None, 0
        return WHOLE  # lists, structs, booleans


class WidenedSegment(Segment):
    """A segment of an older schema, read as a later one: missing columns are null, and documents
    are one row each.

    What is verified and what is mapped is that of the segment itself.
    """

    def __init__(self, stored: Segment, schema: pa.Schema) -> None:
        self.stored = stored
        self.file, self.batch, self.rows = stored.file, stored.batch, stored.rows
        self.schema = schema
        self._schemas = {}

    def stored_names(self) -> list[str]:
        """The columns that its files hold, whatever those of the version are."""
        return self.stored.stored_names()

    def column(self, name: str) -> pa.Array:
        """A whole column, verified and cast."""
        field = self.schema.field(name)
        if name not in self.stored.schema.names:
            return absent_column(field, self.rows)
        return widened(self.stored.column(name), field.type)

    def select(self, names: Iterable[str]) -> pa.RecordBatch:
        """Whole columns, verified and cast, as a record batch."""
        names = list(names)
        if not names:
            return self.batch.select([])
        return pa.RecordBatch.from_arrays(
            [self.column(name) for name in names], schema=self._schema_of(tuple(names))
        )

    def take(self, names: Sequence[str], rows: npt.NDArray[np.int64]) -> pa.RecordBatch:
        """Rows of columns, cast; only the blocks they are in are verified."""
        stored = [name for name in names if name in self.stored.schema.names]
        batch = self.stored.take(stored, rows)
        arrays = []
        for name in names:
            field, there = self.schema.field(name), name in stored
            arrays.append(
                widened(batch.column(name), field.type)
                if there
                else absent_column(field, len(rows))
            )
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema_of(tuple(names)))

    def ids(self, rows: npt.NDArray[np.int64]) -> list[Id]:
        """The ids of a few rows as Python values; their type never changes."""
        return self.stored.ids(rows)

    def verify_all(self) -> None:
        """Compare every block of the segment with its checksum."""
        self.stored.verify_all()

    def whole(self) -> pa.RecordBatch:
        """All columns, verified and cast."""
        return as_schema(self.stored.whole(), self.schema)


def is_run(rows: npt.NDArray[np.int64]) -> bool:
    """Whether these are many rows that follow each other."""
    count = len(rows)
    return (
        count > FEW_ROWS
        and int(rows[-1]) - int(rows[0]) == count - 1
        and bool((rows[1:] - rows[:-1] == 1).all())
    )


def without_unused(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch, copied if it is a small part of a mapped file.

    A slice is pickled with all of the column that it is of, and keeps the file on the disk.
    """
    if batch.get_total_buffer_size() <= 2 * batch.nbytes + FEW_BYTES:
        return batch
    columns = [pa.concat_arrays([column]) for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def can_read_as(stored: pa.Schema, schema: pa.Schema) -> bool:
    """Whether rows of one schema may be read as a later one: the same types or wider ones, and
    columns that were added."""
    if not set(stored.names) <= set(schema.names) or id_name(stored) != id_name(schema):
        return False
    for field in schema:
        if field.name not in stored.names:
            if not field.nullable and field.name not in WHOLE_DOCUMENT:
                return False
            continue
        old = stored.field(field.name)
        if old.nullable != field.nullable or not is_widening(old.type, field.type):
            return False
        if field.name == id_name(schema) and old.type != field.type:
            return False
    return True


def as_schema(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Rows in a wider schema; columns they lack are null."""
    if batch.schema.equals(schema):
        return batch
    arrays = [
        widened(batch.column(field.name), field.type)
        if field.name in batch.schema.names
        else absent_column(field, batch.num_rows)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _buffers(array: pa.Array) -> list[pa.Buffer]:
    """The buffers that are in the file; an empty one may be anywhere."""
    return [buffer for buffer in array.buffers() if buffer is not None and buffer.size]
