"""New values of a column, as it stores them."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from vecsearch.common.json_column import is_json, type_name
from vecsearch.common.show import shown
from vecsearch.common.suggest import did_you_mean
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.rows import check_times
from vecsearch.ingest.sources.dicts import to_array, to_batch
from vecsearch.ingest.sources.plain import plain_array
from vecsearch.ingest.sources.row_types import Block, Columns
from vecsearch.ingest.sources.values import row_name
from vecsearch.storage.manifest import Manifest
from vecsearch.storage.schema import convert, metadata_schema, storable_type
from vecsearch.types import VECTOR

_CONVERSION_ERRORS = (pa.ArrowException, TypeError, ValueError, OverflowError)


def changeable(manifest: Manifest, name: str) -> pa.Field:
    """A column that may change in place. Raises InvalidInputError for any other name."""
    changeable = [
        field.name
        for field in metadata_schema(manifest.schema)
        if field.name not in (manifest.id_column, *manifest.read_columns)
    ]
    if name in changeable:
        return manifest.schema.field(name)
    if name in (manifest.id_column, VECTOR, *manifest.read_columns):
        raise InvalidInputError(
            f"column {name!r} cannot be changed in place",
            hint='add the document again with on_conflict="replace"',
            command_hint="ingest the document again with --on-conflict replace",
        )
    raise InvalidInputError(
        f"there is no column {shown(name)}{did_you_mean(name, changeable)}",
        hint="add_column makes a new one",
        command_hint="`vecsearch add-column` makes a new one",
    )


def new_value(field: pa.Field, value: Any) -> tuple[pa.Array, pa.Field]:
    """A value as its column stores it, and the column, which may become wider for it.

    Raises InvalidInputError for a value that does not fit.
    """
    if value is None:
        return pa.nulls(1, field.type), field
    given = _as_array(field, value)
    try:
        array, wider = convert(given, field, 0)
        check_times(pa.record_batch([array], names=[field.name]), 0)
    except InvalidInputError as error:  # it is no row of data
        error.args = (str(error.args[0]).removeprefix("row 0, "), *error.args[1:])
        raise
    return array, wider


def _as_array(field: pa.Field, value: Any) -> pa.Array:
    """One value as an Arrow array, by the rules of `add` where they know its type."""
    try:
        if isinstance(value, pa.Scalar):
            return plain_array(pa.repeat(value, 1), storable_type(field.name, value.type))
        if isinstance(value, pa.Array | pa.ChunkedArray):
            value = value.to_pylist()
        if is_json(field.type):
            return to_array([value], field, [0], row_name)
        if pa.types.is_map(field.type):
            return to_array([value], field, [0], row_name)
        block, columns = Block([0], [{field.name: value}]), Columns(row_name)
        columns.see(block)
        return to_batch(block, columns.schema(None), row_name).column(0)
    except InvalidInputError as error:
        raise InvalidInputError(str(error).removeprefix("row 0, ")) from error
    except _CONVERSION_ERRORS as error:
        raise InvalidInputError(
            f"column {field.name!r}: {shown(value)} cannot be stored as {type_name(field.type)}: "
            f"{error}"
        ) from error
