"""Arrow types without an encoding around them: no dictionary, run-end, view or extension type."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.common.json_column import JSON, NotJsonError, as_json, is_json

UUID, BOOL8 = "arrow.uuid", "arrow.bool8"  # names of extension types
MAX_VIEWED = 2**27  # values that the list views of one batch may hold together


def plain_type(kind: pa.DataType) -> pa.DataType:
    """The type without an encoding around it, at any depth; JSON as a column stays JSON.

    Raises:
        KeyError, ValueError, pa.ArrowInvalid: The time zone of a timestamp is unknown.
    """
    return JSON if is_json(kind) else _without_encoding(kind)


def _without_encoding(kind: pa.DataType) -> pa.DataType:
    types = pa.types
    if _extension(kind) == UUID:
        return pa.large_string()  # as in rows, so that it can be an id and be filtered
    if _extension(kind) == BOOL8:
        return pa.bool_()
    if isinstance(kind, pa.BaseExtensionType):
        return _without_encoding(kind.storage_type)
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return _without_encoding(kind.value_type)
    if types.is_string_view(kind):
        return pa.large_string()
    if types.is_binary_view(kind):
        return pa.large_binary()
    if types.is_fixed_size_list(kind):
        return pa.list_(_without_encoding(kind.value_type), kind.list_size)
    if types.is_large_list(kind) or types.is_large_list_view(kind):
        return pa.large_list(_without_encoding(kind.value_type))
    if types.is_list(kind) or types.is_list_view(kind):
        return pa.list_(_without_encoding(kind.value_type))
    if types.is_struct(kind):
        return pa.struct([pa.field(field.name, _without_encoding(field.type)) for field in kind])
    if types.is_timestamp(kind) and kind.tz is not None:
        pa.scalar(0, kind).as_py()  # refuse an unknown zone here, not when a value is read
    return kind


def plain_array(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """The values as `kind`, which is plain. Raises pyarrow's errors where one does not fit."""
    if array.type == kind:
        return array
    if is_json(kind):
        return _as_json_text(array)
    if _holds_uuids(array.type):
        return pa.array([_uuids_as_text(value) for value in array.to_pylist()], kind)
    if _extension(array.type) == BOOL8 and pa.types.is_boolean(kind):
        return array.storage.cast(kind)
    if isinstance(array, pa.ExtensionArray):
        return plain_array(array.storage, kind)
    if pa.types.is_dictionary(array.type):
        return plain_array(array.dictionary, kind).take(array.indices)
    if pa.types.is_run_end_encoded(array.type):
        return plain_array(pc.run_end_decode(array), kind)
    if _has_views(array.type):
        return _without_views(array, kind)
    return array if array.type == kind else array.cast(kind)


def _as_json_text(array: pa.Array) -> pa.Array:
    """A column as JSON; only values that are not text are converted, the text is checked later."""
    if is_json(array.type):
        array = array.storage
    kind = plain_type(array.type)
    if is_text(kind):
        return plain_array(array, pa.large_string()).cast(JSON)
    try:
        return as_json(plain_array(array, kind))
    except NotJsonError as error:
        raise pa.ArrowInvalid(str(error)) from error


def _extension(kind: pa.DataType) -> str:
    return kind.extension_name if isinstance(kind, pa.BaseExtensionType) else ""


def _holds_uuids(kind: pa.DataType) -> bool:
    """Whether it is a UUID, or holds one at any depth."""
    if pa.types.is_dictionary(kind):
        return _holds_uuids(kind.value_type)
    inner = (kind.field(number).type for number in range(kind.num_fields))
    return _extension(kind) == UUID or any(map(_holds_uuids, inner))


def _uuids_as_text(value: Any) -> Any:
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, dict):
        return {name: _uuids_as_text(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_uuids_as_text, value))
    return value


def is_text(kind: pa.DataType) -> bool:
    """Whether the values are strings."""
    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _has_views(kind: pa.DataType) -> bool:
    """Whether lists in it are views, at any depth."""
    if pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        return True
    return any(_has_views(kind.field(number).type) for number in range(kind.num_fields))


def _without_views(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """The same values in plain lists, built from values and lengths.

    pyarrow's own cast leaves out the last offset. Views may overlap, so that a small array holds
    many values: too many are refused.
    """
    if pa.types.is_struct(array.type) and pa.types.is_struct(kind):
        children = [
            plain_array(child, kind.field(number).type)
            for number, child in enumerate(array.flatten())
        ]
        return pa.StructArray.from_arrays(children, fields=list(kind), mask=array.is_null())
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        raise pa.ArrowInvalid(
            f"{array.type} cannot be read as {kind}: convert the views to lists first"
        )
    lengths = pc.list_value_length(array).fill_null(0).to_numpy().astype(np.int64)
    if lengths.sum() > MAX_VIEWED:
        raise pa.ArrowInvalid(
            f"its views hold {lengths.sum():,} values in {len(array):,} rows: "
            "convert them to lists first"
        )
    large = pa.types.is_large_list(kind)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    offsets = pa.array(ends, pa.int64() if large else pa.int32())
    values = plain_array(array.flatten(), kind.value_type)
    lists = pa.LargeListArray if large else pa.ListArray
    return lists.from_arrays(offsets, values, type=kind, mask=array.is_null())
