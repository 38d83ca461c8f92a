"""Objects in memory, and iterators -> the parts of a source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.common.plain_types import plain_type
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.base import (
    Batches,
    Located,
    Part,
    blocks_of,
)
from vecsearch.ingest.sources.dicts import located
from vecsearch.ingest.sources.plain import is_text
from vecsearch.ingest.sources.reading import Place, Reading
from vecsearch.ingest.sources.row_types import Block
from vecsearch.ingest.sources.values import row_name
from vecsearch.ingest.vector_column import is_list_column
from vecsearch.types import VECTOR, counted

Matrix = npt.NDArray[Any]


def table_part(table: pa.Table | pa.RecordBatch) -> Part:
    """A table or a record batch."""
    batches = [table] if isinstance(table, pa.RecordBatch) else table.to_batches()
    name = f"a pyarrow.{type(table).__name__}"
    return Part(name, table.num_rows, table.schema, lambda wanted: iter(batches))


def tables_part(first: pa.Table | pa.RecordBatch, tables: Iterable[Any], name: str) -> Part:
    """Several tables or record batches of one schema, the first one's."""

    def read(wanted: pa.Schema) -> Batches:
        for number, table in enumerate(tables):
            is_table = isinstance(table, (pa.Table, pa.RecordBatch))
            if not is_table or not table.schema.equals(first.schema):
                found = table.schema if is_table else type(table).__name__
                raise InvalidInputError(
                    f"item {number} of {name} is not a table of the first one's schema, but {found}"
                )
            yield from table_part(table).read(wanted)

    return Part(name, None, first.schema, read)


def dataset_part(data: Any, name: str) -> Part:
    """A pyarrow Dataset or Scanner, batch by batch."""
    schema = data.projected_schema if hasattr(data, "projected_schema") else data.schema
    return Part(name, None, schema, lambda wanted: iter(data.to_batches()))


def stream_part(data: Any, name: str, total: int | None) -> Part:
    """Anything with the Arrow C stream interface, such as a polars.DataFrame."""
    reader = (
        data if isinstance(data, pa.RecordBatchReader) else pa.RecordBatchReader.from_stream(data)
    )
    return Part(name, total, reader.schema, lambda wanted: iter(reader))


def column_part(column: pa.Array | pa.ChunkedArray, name: str, text_column: str) -> Part:
    """A single column: of texts, or of vectors."""
    kind = plain_type(column.type)
    if not is_text(kind) and not is_list_column(kind):
        raise InvalidInputError(
            f"{name} holds {column.type}; a single column must hold texts or vectors, or be part "
            "of a table"
        )
    table = pa.table({text_column if is_text(kind) else VECTOR: column})
    return Part(name, len(table), table.schema, table_part(table).read)


def texts_part(
    texts: Iterable[Any],
    name: str,
    total: int | None,
    batch_rows: int,
    text_column: str,
    reading: Reading,
) -> Part:
    """Documents: one column of text."""
    field = pa.field(text_column, pa.large_string())
    schema = pa.schema([field])

    def checked() -> Iterator[tuple[int, str | None]]:
        for number, value in enumerate(texts):
            if value is None or isinstance(value, str):
                yield number, value
                continue
            error = InvalidInputError(
                f"{row_name(number)} is a {type(value).__name__}; the rows before it are "
                "texts (str)"
            )
            reading.fail(error, Place(row=number))

    def read(wanted: pa.Schema) -> Batches:
        for block in blocks_of(checked(), batch_rows, lambda row: len(row[1] or "")):
            rows = Block(
                [number for number, _ in block], [{text_column: text} for _, text in block]
            )
            yield located(rows, schema, reading)

    return Part(name, total, schema, read)


def matrix_part(matrix: Matrix, name: str, batch_rows: int) -> Part:
    """The rows of a matrix (rows, dim) as vectors of its own type, without a copy."""
    if matrix.ndim != 2 or not matrix.shape[1]:
        advice = "; one vector is a matrix of one row: vector[None, :]" if matrix.ndim == 1 else ""
        raise InvalidInputError(
            f"{name} has the shape {matrix.shape}; vectors are given as a matrix (rows, dim)"
            f"{advice}"
        )
    if matrix.dtype.kind == "b":  # codes of 0 and 1
        matrix = matrix.view(np.uint8)
    if matrix.dtype.kind not in "iuf" or matrix.dtype.itemsize > 8:
        raise InvalidInputError(
            f"{name} holds {matrix.dtype}; vectors hold floating-point numbers, such as float32"
        )
    rows, dim = matrix.shape
    native = matrix.dtype.newbyteorder("=")
    schema = pa.schema([(VECTOR, pa.list_(pa.from_numpy_dtype(native), dim))])

    def read(wanted: pa.Schema) -> Batches:
        for start in range(0, rows, batch_rows):
            block = np.ascontiguousarray(matrix[start : start + batch_rows], native)
            yield pa.RecordBatch.from_arrays([vector_column(block)], schema=schema)

    return Part(name, rows, schema, read)


def vectors_part(
    first: Any,
    vectors: Iterable[Any],
    name: str,
    total: int | None,
    batch_rows: int,
    reading: Reading,
) -> Part:
    """Vectors one by one: arrays, or lists of numbers, all as long as the first."""
    sample = _vector(first, 0)
    dtype = sample.dtype if sample.dtype.name in ("float16", "float32") else np.dtype(np.float64)
    schema = pa.schema([(VECTOR, pa.list_(pa.from_numpy_dtype(dtype), len(sample)))])

    def read(wanted: pa.Schema) -> Batches:
        numbered = enumerate(vectors)
        while block := list(islice(numbered, batch_rows)):
            matrix = np.empty((len(block), len(sample)), dtype)
            good: list[int] = []
            for number, value in block:
                try:
                    matrix[len(good)] = _vector(value, number, len(sample))
                except InvalidInputError as error:
                    reading.fail(error, Place(row=number))
                else:
                    good.append(number)
            column = vector_column(matrix[: len(good)])
            yield Located(pa.RecordBatch.from_arrays([column], schema=schema), good)

    return Part(name, total, schema, read)


def _vector(value: Any, number: int, dim: int | None = None) -> Matrix:
    if np.ma.is_masked(value):
        raise InvalidInputError(f"{row_name(number)} is a vector with masked values: fill them")
    try:
        vector = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidInputError(f"{row_name(number)} is not a vector: {error}") from error
    if vector.ndim != 1 or not len(vector) or vector.dtype.kind not in "biuf":
        raise InvalidInputError(
            f"{row_name(number)} is not a vector of numbers: a {type(value).__name__} of shape "
            f"{vector.shape} and {vector.dtype}"
        )
    if dim is not None and len(vector) != dim:
        raise InvalidInputError(
            f"{row_name(number)}: a vector of {counted(len(vector), 'number')}; the first has {dim}"
        )
    return vector


def vector_column(matrix: Matrix) -> pa.Array:
    """The rows of a C-contiguous matrix as fixed-size lists."""
    kind = pa.list_(pa.from_numpy_dtype(matrix.dtype), matrix.shape[1])
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), type=kind)
