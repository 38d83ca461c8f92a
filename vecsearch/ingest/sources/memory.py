"""Objects in memory, and iterators -> the parts of a source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import PurePath
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.common.pictures import is_picture
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.base import Batches, Located, Part, blocks_of, conform, unified
from vecsearch.ingest.sources.dicts import to_array
from vecsearch.ingest.sources.plain import is_text, plain_type
from vecsearch.ingest.sources.row_types import Block, Columns, is_missing, is_nan, row_name
from vecsearch.ingest.vector_column import is_list_column
from vecsearch.types import VECTOR

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


def frames_part(frames: Iterable[Any], name: str, known: pa.Schema | None) -> Part:
    """Frames of pandas or polars one after the other, such as `pd.read_csv(chunksize=)` gives.

    The frames of a list may differ in columns and types as several files may; those of an iterator
    must fit the first, for each is read only once.
    """
    if isinstance(frames, Sequence):
        parts = [_frame_part(frame, number, name, known) for number, frame in enumerate(frames)]
        schema = unified(parts)

        def read_all(wanted: pa.Schema) -> Batches:
            for part in parts:
                for item in part.read(part.schema):
                    batch = conform(item, schema, part.name)
                    yield Located(batch, (), [part.schema.names] * batch.num_rows)

        return Part(name, sum(part.total or 0 for part in parts), schema, read_all)
    numbered = iter(enumerate(frames))
    first = _frame_part(next(numbered)[1], 0, name, known)

    def read(wanted: pa.Schema) -> Batches:
        yield from first.read(wanted)
        for number, frame in numbered:
            part = _frame_part(frame, number, name, known)
            late = [column for column in part.schema.names if column not in first.schema.names]
            if late:
                raise InvalidInputError(
                    f"{part.name} has the column {late[0]!r}, which the first frame has not; give "
                    "the frames as a list"
                )
            for item in part.read(wanted):
                yield conform(item, unified([first]), part.name)

    return Part(name, None, first.schema, read)


def _frame_part(frame: Any, number: int, name: str, known: pa.Schema | None) -> Part:
    library = type(frame).__module__.split(".")[0]
    if type(frame).__name__ != "DataFrame" or library not in ("pandas", "polars"):
        raise InvalidInputError(
            f"item {number} of {name} is a {type(frame).__name__}; the items before it are frames"
        )
    part = pandas_part(frame, known) if library == "pandas" else polars_part(frame, known)
    return replace(part, name=f"item {number} of {name}")


def polars_part(frame: Any, known: pa.Schema | None) -> Part:
    """A polars.DataFrame. Columns of Python objects are converted as the values of dicts are."""
    name = "a polars.DataFrame"
    objects = [column.name for column in frame if str(column.dtype) == "Object"]
    if not objects:
        return stream_part(frame, name, len(frame))
    table = pa.table(frame.drop(objects)) if len(frame.columns) > len(objects) else None
    arrays = dict(zip(table.schema.names, table.columns, strict=True)) if table else {}
    for column in objects:
        arrays[column] = _object_column(column, frame[column].to_list(), known)
    table = pa.table({column: arrays[column] for column in frame.columns})
    return Part(name, len(table), table.schema, lambda wanted: iter(table.to_batches()))


def _object_column(name: str, values: list[Any], known: pa.Schema | None) -> pa.Array:
    """Python objects as an Arrow column, with paths as text; others are refused as in dicts."""
    values = [str(value) if isinstance(value, PurePath) else value for value in values]
    columns = Columns(row_name, known)
    numbers = list(range(len(values)))
    columns.see(Block(numbers, [{name: value} for value in values]))
    return to_array(values, pa.field(name, columns.types()[name]), numbers, row_name)


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


def pandas_part(frame: Any, known: pa.Schema | None) -> Part:
    """A pandas.DataFrame. A named index is a column like the others; one without is left out.

    Python objects of a JSON column are its values, as in rows of dicts; a column of nothing but
    texts holds JSON text, as in an Arrow table.
    """
    name = "a pandas.DataFrame"
    try:
        if any(level is not None for level in frame.index.names):
            frame = frame.reset_index()
        values = {
            column: _object_column(column, frame[column].to_list(), known)
            for column in Columns(row_name, known).json
            if column in frame and _holds_objects(frame[column])
        }
        table = pa.Table.from_pandas(frame.drop(columns=list(values)), preserve_index=False)
        arrays = dict(zip(table.schema.names, table.columns, strict=True)) | values
        if values:
            table = pa.table({str(column): arrays[str(column)] for column in frame.columns})
    except InvalidInputError:
        raise
    except (pa.ArrowException, TypeError, ValueError) as error:
        pictures = [name for name, column in frame.items() if any(map(is_picture, column))]
        if pictures:
            return _with_pictures(frame, pictures, known)
        _explain_object_columns(frame)
        raise InvalidInputError(f"{name} cannot be read: {error}") from error
    for field in table.schema:
        if getattr(field.type, "extension_name", "") == "pandas.period":
            raise InvalidInputError(
                f"column {field.name!r} of {name} holds periods, which are no points in time",
                hint=f"convert them with frame[{field.name!r}].dt.to_timestamp() or .astype(str)",
            )
    return Part(name, len(table), table.schema, lambda wanted: iter(table.to_batches()))


def _with_pictures(frame: Any, pictures: list[Any], known: pa.Schema | None) -> Part:
    """The part of a pandas.DataFrame some of whose columns hold PIL images."""
    rest = pandas_part(frame.drop(columns=pictures).reset_index(drop=True), known)
    batches = list(rest.read(rest.schema))
    table = pa.Table.from_batches(batches, rest.schema)
    arrays = {
        str(name): _object_column(
            str(name), [None if is_nan(value) else value for value in frame[name]], known
        )
        if name in pictures
        else table[str(name)]
        for name in frame.columns
    }
    table = pa.table(arrays)
    return Part(rest.name, len(table), table.schema, lambda wanted: iter(table.to_batches()))


def _holds_objects(column: Any) -> bool:
    """Whether a column of a frame of pandas holds other Python objects than texts."""
    kinds = {type(value) for value in column if not (is_nan(value) or is_missing(value))}
    return column.dtype.kind == "O" and not kinds <= {str, type(None)}


def _explain_object_columns(frame: Any) -> None:
    """Raises InvalidInputError for a column of Python objects whose values have no common type."""
    for column in [column for column, dtype in frame.dtypes.items() if dtype.kind == "O"]:
        values = [
            None if isinstance(value, float) and value != value else value
            for value in frame[column]
        ]
        columns = Columns(row_name)
        columns.see(Block(list(range(len(values))), [{str(column): value} for value in values]))
        columns.types()


def lazy_frame_part(frame: Any, batch_rows: int) -> Part:
    """A polars.LazyFrame, run in streaming mode, so that its result is never all in memory."""
    empty = frame.limit(0).collect()
    objects = [column.name for column in empty if str(column.dtype) == "Object"]
    if objects:
        raise InvalidInputError(
            f"column {objects[0]!r} of a polars.LazyFrame holds Python objects; convert them, or "
            "collect() the frame"
        )
    schema = pa.RecordBatchReader.from_stream(empty).schema

    def read(wanted: pa.Schema) -> Batches:
        for part in frame.collect_batches(chunk_size=batch_rows, maintain_order=True):
            yield from pa.RecordBatchReader.from_stream(part)

    return Part("a polars.LazyFrame", None, schema, read)


def texts_part(
    texts: Iterable[Any], name: str, total: int | None, batch_rows: int, text_column: str
) -> Part:
    """Documents: one column of text."""
    field = pa.field(text_column, pa.large_string())
    schema = pa.schema([field])

    def checked() -> Iterator[tuple[int, str | None]]:
        for number, value in enumerate(texts):
            if value is not None and not isinstance(value, str):
                raise InvalidInputError(
                    f"{row_name(number)} is a {type(value).__name__}; the rows before it are "
                    "texts (str)"
                )
            yield number, value

    def read(wanted: pa.Schema) -> Batches:
        for block in blocks_of(checked(), batch_rows, lambda row: len(row[1] or "")):
            numbers, values = zip(*block, strict=True)
            column = to_array(list(values), field, numbers, row_name)
            yield pa.record_batch([column], schema=schema)

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
    first: Any, vectors: Iterable[Any], name: str, total: int | None, batch_rows: int
) -> Part:
    """Vectors one by one: arrays, or lists of numbers, all as long as the first."""
    sample = _vector(first, 0)
    dtype = sample.dtype if sample.dtype.name in ("float16", "float32") else np.dtype(np.float64)
    schema = pa.schema([(VECTOR, pa.list_(pa.from_numpy_dtype(dtype), len(sample)))])

    def read(wanted: pa.Schema) -> Batches:
        numbered = enumerate(vectors)
        while block := list(islice(numbered, batch_rows)):
            matrix = np.empty((len(block), len(sample)), dtype)
            for row, (number, value) in enumerate(block):
                vector = _vector(value, number)
                if len(vector) != len(sample):
                    raise InvalidInputError(
                        f"{row_name(number)}: a vector of {len(vector)} numbers; the first has "
                        f"{len(sample)}"
                    )
                matrix[row] = vector
            yield pa.RecordBatch.from_arrays([vector_column(matrix)], schema=schema)

    return Part(name, total, schema, read)


def _vector(value: Any, number: int) -> Matrix:
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
    return vector


def vector_column(matrix: Matrix) -> pa.Array:
    """The rows of a C-contiguous matrix as fixed-size lists."""
    kind = pa.list_(pa.from_numpy_dtype(matrix.dtype), matrix.shape[1])
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), type=kind)
