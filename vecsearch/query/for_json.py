"""Queries, ids, examples and rows, however a caller holds them -> what a request can carry."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from typing import Any

import numpy as np
import pyarrow as pa

from vecsearch.common.json_arrays import from_json, needs_type, to_json
from vecsearch.common.media_types import ARROW, NDJSON
from vecsearch.common.show import shown
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources import open_source
from vecsearch.query.encode import NOT_FINITE
from vecsearch.query.examples import listed_examples
from vecsearch.query.vectors import many_queries, one_query
from vecsearch.storage.widening import MisfitError, exact_cast


def query_for_json(query: Any) -> Any:
    """A text as it is, a vector of any form as a list, several vectors as lists of lists.

    Raises:
        InvalidInputError: It is neither, or holds numbers that JSON has not.
    """
    found = one_query(query)
    if isinstance(found, np.ndarray):
        if not np.isfinite(found).all():
            raise InvalidInputError(f"the query vector {NOT_FINITE}")
        return found.tolist()
    if found is None or isinstance(found, str | int):
        return found
    raise InvalidInputError(f"the query is {shown(query)}; a server takes a text or a vector")


def queries_for_json(queries: Any) -> list[Any]:
    """Texts, or vectors as lists. Raises InvalidInputError like `query_for_json`."""
    listed = queries if isinstance(queries, list | tuple) else many_queries(queries)
    return [query_for_json(query) for query in listed]


def examples_for_json(values: Any) -> list[Any]:
    """Examples: ids, texts, vectors as lists, and dicts that say which of these is meant."""
    return [
        {kind: value_for_json(each) for kind, each in example.items()}
        if isinstance(example, Mapping)
        else value_for_json(example)
        for example in listed_examples(values)
    ]


def value_for_json(value: Any) -> Any:
    """A value as JSON has it: numbers and arrays of numpy are Python's, UUIDs are text.

    Raises:
        InvalidInputError: JSON has nothing like it, such as a date.
    """
    try:
        return _plain(value)
    except _NotInJsonError as error:
        raise InvalidInputError(f"{error} cannot be sent: JSON has no such value") from None


def new_values_for_json(values: Any, schema: pa.Schema) -> Any:
    """New values of documents: a dict for all of them, or one for each.

    Raises:
        InvalidInputError: They have another form, or a value is none of its column's type.
    """
    if values is None:
        return {}
    if isinstance(values, Mapping):
        return {name: _new_value(name, value, schema) for name, value in values.items()}
    if isinstance(values, Iterator):
        values = list(values)
    if not isinstance(values, list | tuple) or not all(isinstance(row, Mapping) for row in values):
        values = [row for batch in open_source(values).batches for row in batch.to_pylist()]
    return [{name: _new_value(name, row[name], schema) for name in row} for row in values]


def _new_value(name: str, value: Any, schema: pa.Schema) -> Any:
    """A column's new value, or a list of them, as `value_of_json` reads it at the other end."""
    kind = schema.field(name).type if name in schema.names else pa.null()
    if value is None or isinstance(value, str) or not needs_type(kind):
        for convert in ("to_pylist", "to_list", "as_py"):  # a column of Arrow or a frame, a scalar
            if hasattr(value, convert):
                value = getattr(value, convert)()
        return value_for_json(value)
    several = isinstance(value, Sized) and not isinstance(value, bytes)
    several = several and not pa.types.is_nested(kind)
    try:
        given = _as_array(value if several else [value])
        found = to_json(exact_cast(given, kind))
    except (MisfitError, ValueError, TypeError, OverflowError, pa.ArrowException) as error:
        raise InvalidInputError(
            f"column {name!r}: {shown(value)} is not a value of {kind}"
        ) from error
    return found if several else found[0]


def _as_array(values: Iterable[Any]) -> pa.Array:
    """Values in Arrow, by the rules of `add`: pyarrow alone would cut nanoseconds."""
    if isinstance(values, pa.ChunkedArray):
        return values.combine_chunks()
    if isinstance(values, pa.Array):
        return values
    values = list(values)
    if values and all(isinstance(value, pa.Scalar) for value in values):
        return pa.concat_arrays([pa.repeat(value, 1) for value in values])
    rows = [{"value": value} for value in values]
    read = [batch.column("value") for batch in open_source(rows).batches]
    return pa.chunked_array(read).combine_chunks()


def rows_to_send(data: Any, text_column: str, *, merging: bool) -> tuple[bytes, str]:
    """Rows of any form as a body, and its media type.

    Dicts are lines of JSON, so that each has the columns that it has. Those with values that JSON
    has not, such as dates, and all other data are an Arrow stream, which keeps types.

    Args:
        data: What `open_source` takes.
        text_column: The column of texts that are given by themselves.
        merging: Whether a column that a row lacks keeps its value.

    Raises:
        InvalidInputError: Data is none of these, or values do not fit together; or `merging`, and
            rows that need types have different columns.
    """
    if isinstance(data, Iterator):
        data = list(data)
    if isinstance(data, list | tuple) and data and all(isinstance(row, Mapping) for row in data):
        try:
            return "".join(f"{json.dumps(_plain_row(row))}\n" for row in data).encode(), NDJSON
        except _NotInJsonError as error:
            if merging and len({frozenset(row) for row in data}) > 1:
                raise InvalidInputError(
                    f"{error}, which JSON has not, makes a table of these rows, and they have "
                    "different columns: update those with the same columns together"
                ) from None
    return _arrow_stream(open_source(data, text_column=text_column).batches), ARROW


def give_types(rows: Sequence[dict[str, Any]], schema: pa.Schema) -> bool:
    """Turn values that came as JSON into those that columns hold: dates, bytes, decimals.

    Returns False, and changes nothing, where the rows are not of this schema.
    """
    typed: dict[str, list[Any]] = {}
    for name in {name for row in rows for name in row}:
        kind = schema.field(name).type if name in schema.names else None
        if kind is None:
            return False
        if needs_type(kind):
            values = [row.get(name) for row in rows]
            try:
                if pa.types.is_duration(kind):  # of which answers have the seconds
                    values = [_units(value, kind) for value in values]
                typed[name] = from_json(values, kind).to_pylist()
            except (ValueError, TypeError, AttributeError, pa.ArrowException):
                return False
    for name, values in typed.items():
        for row, value in zip(rows, values, strict=True):
            if name in row:
                row[name] = value
    return True


def _units(seconds: float | None, kind: pa.DataType) -> int | None:
    factor = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
    return None if seconds is None else round(seconds * factor)


def _arrow_stream(batches: Iterable[pa.RecordBatch]) -> bytes:
    sink, writer = pa.BufferOutputStream(), None
    for batch in batches:
        writer = pa.ipc.new_stream(sink, batch.schema) if writer is None else writer
        writer.write_batch(batch)
    if writer is None:
        pa.ipc.new_stream(sink, pa.schema([])).close()
    else:
        writer.close()
    return bytes(sink.getvalue())


class _NotInJsonError(Exception):
    """JSON has no such value."""


def _plain_row(row: Mapping[Any, Any]) -> Any:
    """A row as JSON has it; a column that is NaN is missing. Raises _NotInJsonError."""
    return _plain({name: None if _is_nan(value) else value for name, value in row.items()})


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _plain(value: Any) -> Any:
    """A value as JSON has it. Raises _NotInJsonError if there is none, at any depth."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, pa.Scalar):
        return _plain(value.as_py())
    if isinstance(value, np.generic | np.ndarray) and value.dtype.kind in "biufU":
        return _plain(value.tolist())
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    raise _NotInJsonError(shown(value))
