"""Frames of pandas and polars -> the parts of a source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any

import numpy as np
import pyarrow as pa

from vecsearch.common.plain_types import plain_type
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.base import (
    Batches,
    Located,
    Part,
    conform,
    conform_item,
    require_unique,
    unified,
)
from vecsearch.ingest.sources.dicts import to_array
from vecsearch.ingest.sources.reading import Place, Reading
from vecsearch.ingest.sources.row_types import Block, Columns
from vecsearch.ingest.sources.values import is_missing, is_nan, row_name
from vecsearch.types import VECTOR


def frames_part(
    frames: Iterable[Any], name: str, known: pa.Schema | None, reading: Reading
) -> Part:
    """Frames of pandas or polars one after the other, such as `pd.read_csv(chunksize=)` gives.

    The frames of a list may differ in columns and types as several files may; those of an iterator
    must fit the first, for each is read only once.
    """
    rows, are_all_here = 0, isinstance(frames, Sequence)

    def opened() -> Iterator[Part]:
        nonlocal rows
        for number, frame in enumerate(frames):
            objects = _Objects(known, reading, rows, are_all_here)
            part = _one_part(frame, number, name, objects)
            rows += len(frame)
            yield part

    if are_all_here:
        parts = list(opened())
        schema = unified(parts)

        def read_all(wanted: pa.Schema) -> Batches:
            for part in parts:
                for item in part.read(part.schema):
                    found = conform_item(item, schema, part.name)
                    yield replace(found, given=[part.schema.names] * found.batch.num_rows)

        return Part(name, rows, schema, read_all)
    later = opened()
    first = next(later)

    def read(wanted: pa.Schema) -> Batches:
        yield from first.read(wanted)
        for part in later:
            late = [column for column in part.schema.names if column not in first.schema.names]
            if late:
                raise InvalidInputError(
                    f"{part.name} has the column {late[0]!r}, which the first frame has not; give "
                    "the frames as a list"
                )
            for item in part.read(wanted):
                yield conform_item(item, unified([first]), part.name)

    return Part(name, None, first.schema, read)


def _one_part(frame: Any, number: int, name: str, objects: _Objects) -> Part:
    library = type(frame).__module__.split(".")[0]
    if type(frame).__name__ != "DataFrame" or library not in ("pandas", "polars"):
        raise InvalidInputError(
            f"item {number} of {name} is a {type(frame).__name__}; the items before it are frames"
        )
    part = _pandas_part(frame, objects) if library == "pandas" else _polars_part(frame, objects)
    return replace(part, name=f"item {number} of {name}")


@dataclass
class _Objects:
    """Columns of Python objects in a frame, which are read as the values of rows are.

    Attributes:
        known: The types of columns that are known already.
        reading: Whether rows that cannot be stored are left out.
        first: The number of the frame's first row.
        is_whole: Whether a column without a value can wait for one. In frames of a stream the first
            decides the types.
        bad: The errors of the rows that are left out.
    """

    known: pa.Schema | None
    reading: Reading
    first: int = 0
    is_whole: bool = True
    bad: dict[int, InvalidInputError] = field(default_factory=dict)

    def column(self, name: str, values: list[Any]) -> pa.Array:
        """Python objects as an Arrow column, with paths as text.

        Raises:
            InvalidInputError: A value cannot be stored, and the reading does not skip.
        """
        values = [str(value) if isinstance(value, PurePath) else value for value in values]
        columns = Columns(row_name, self.known, lenient=self.reading.skips)
        numbers = list(range(self.first, self.first + len(values)))
        columns.see(Block(numbers, [{name: value} for value in values]))
        self.bad.update(columns.bad)
        pairs = zip(numbers, values, strict=True)
        values = [None if number in self.bad else value for number, value in pairs]
        column = pa.field(name, columns.types(first_kind=self.reading.skips)[name])
        try:
            return to_array(values, column, numbers, row_name)
        except InvalidInputError:
            if not self.reading.skips:
                raise
        for index, number in enumerate(numbers):
            try:
                to_array([values[index]], column, [number], row_name)
            except InvalidInputError as error:
                self.bad[number] = error
                values[index] = None
        return to_array(values, column, numbers, row_name)

    def part(self, table: pa.Table, name: str) -> Part:
        """The whole frame as a table, without the rows that are left out."""

        def read(wanted: pa.Schema) -> Batches:
            start = self.first
            for batch in table.to_batches():
                numbers = np.arange(start, start + batch.num_rows)
                start += batch.num_rows
                bad = [number for number in numbers.tolist() if number in self.bad]
                for number in bad:
                    self.reading.fail(self.bad[number], Place(row=number))
                if bad:
                    plain = pa.schema([(each.name, plain_type(each.type)) for each in batch.schema])
                    good = ~np.isin(numbers, bad)
                    batch = conform(batch, plain, name).filter(pa.array(good))
                    numbers = numbers[good]
                yield Located(batch, numbers.tolist())

        return Part(name, len(table), table.schema, read)


def polars_part(frame: Any, known: pa.Schema | None, reading: Reading) -> Part:
    """A polars.DataFrame. Columns of Python objects are converted as the values of dicts are."""
    return _polars_part(frame, _Objects(known, reading))


def _polars_part(frame: Any, objects: _Objects) -> Part:
    name = "a polars.DataFrame"
    of_objects = [column.name for column in frame if str(column.dtype) == "Object"]
    rest = frame.drop(of_objects)
    _require_arrow(rest, name)
    table = pa.table(rest) if rest.columns else None
    arrays = dict(zip(table.schema.names, table.columns, strict=True)) if table else {}
    for column in of_objects:
        arrays[column] = objects.column(column, frame[column].to_list())
    return objects.part(pa.table({column: arrays[column] for column in frame.columns}), name)


def _require_arrow(frame: Any, name: str) -> None:
    """Raises InvalidInputError for a column of polars whose type Arrow does not have."""
    for column, dtype in frame.schema.items():
        try:
            pa.RecordBatchReader.from_stream(frame.select(column).limit(0))
        except (pa.ArrowException, ValueError, TypeError) as error:
            raise InvalidInputError(
                f"column {column!r} of {name} is {dtype}, a type that Arrow does not have: convert "
                "it, for integers to Int64, UInt64 or String"
            ) from error


def pandas_part(frame: Any, known: pa.Schema | None, reading: Reading) -> Part:
    """A pandas.DataFrame. A named index is a column like the others; one without is left out.

    A column of Python objects other than texts and vectors holds values as rows of dicts do. In a
    JSON column texts are then values, too; a column of nothing but texts holds JSON text, as in an
    Arrow table.
    """
    return _pandas_part(frame, _Objects(known, reading))


def _pandas_part(frame: Any, objects: _Objects) -> Part:
    name = "a pandas.DataFrame"
    try:
        if any(level is not None for level in frame.index.names):
            frame = frame.reset_index()
        require_unique([str(column) for column in frame.columns], name)
        chosen = [column for column in frame if column != VECTOR and _holds_objects(frame[column])]
        try:
            table = pa.Table.from_pandas(frame.drop(columns=chosen), preserve_index=False)
        except UnicodeEncodeError:  # half a character in a text, whose row is to be named
            chosen = [column for column in frame if str(frame[column].dtype) in ("object", "str")]
            table = pa.Table.from_pandas(frame.drop(columns=chosen), preserve_index=False)
        if objects.is_whole:
            table = _without_float_types(table, frame)
        arrays = dict(zip(table.schema.names, table.columns, strict=True))
        for column in chosen:
            arrays[str(column)] = objects.column(str(column), list(frame[column]))
        if chosen:
            table = pa.table({str(column): arrays[str(column)] for column in frame.columns})
    except InvalidInputError:
        raise
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise InvalidInputError(f"{name} cannot be read: {error}") from error
    for column in table.schema:
        if getattr(column.type, "extension_name", "") == "pandas.period":
            raise InvalidInputError(
                f"column {column.name!r} of {name} holds periods, which are no points in time",
                hint=f"convert them with frame[{column.name!r}].dt.to_timestamp() or .astype(str)",
            )
        if getattr(column.type, "extension_name", "") == "pandas.interval":
            raise InvalidInputError(
                f"column {column.name!r} of {name} holds intervals, whose closed ends no column "
                "can hold",
                hint=f"convert them with frame[{column.name!r}].astype(str), or give both ends as "
                "columns of their own",
            )
    return objects.part(table, name)


def _without_float_types(table: pa.Table, frame: Any) -> pa.Table:
    """The table with null as the type of columns that hold nothing but NumPy's NaN.

    NumPy has no other missing value, so these floats say nothing of the values to come.
    """
    for column in frame.columns:
        name, dtype = str(column), frame[column].dtype
        if name not in table.schema.names or not isinstance(dtype, np.dtype) or dtype.kind != "f":
            continue
        if len(table) and table[name].null_count == len(table):
            at = table.schema.get_field_index(name)
            table = table.set_column(at, name, pa.nulls(len(table)))
    return table


def _holds_objects(column: Any) -> bool:
    """Whether a column of a frame of pandas holds other Python objects than texts."""
    if str(column.dtype) != "object":
        return False
    if not set(map(type, column)) - {str, type(None)}:
        return False
    return any(
        not (isinstance(value, str) or value is None or is_nan(value) or is_missing(value))
        for value in column
    )


def lazy_frame_part(frame: Any, batch_rows: int) -> Part:
    """A polars.LazyFrame, run in streaming mode, so that its result is never all in memory."""
    empty = frame.limit(0).collect()
    objects = [column.name for column in empty if str(column.dtype) == "Object"]
    if objects:
        raise InvalidInputError(
            f"column {objects[0]!r} of a polars.LazyFrame holds Python objects; convert them, or "
            "collect() the frame"
        )
    _require_arrow(empty, "a polars.LazyFrame")
    schema = pa.RecordBatchReader.from_stream(empty).schema

    def read(wanted: pa.Schema) -> Batches:
        for part in frame.collect_batches(chunk_size=batch_rows, maintain_order=True):
            yield from pa.RecordBatchReader.from_stream(part)

    return Part("a polars.LazyFrame", None, schema, read)
