"""Arrow arrays as arrays of plain types: no dictionary, run-end, view or extension type."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.common.json_column import JSON, NotJsonError, as_json, is_json
from vecsearch.common.plain_types import BOOL8, UUID, extension_name, plain_type

MAX_VIEWED = 2**27  # values that the list views of one batch may hold together


def plain_array(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """The values as `kind`, which is plain. Raises pyarrow's errors where one does not fit."""
    if array.type == kind:
        return array
    if is_json(kind):
        return _as_json_text(array)
    if _holds_uuids(array.type):
        return pa.array([_uuids_as_text(value) for value in array.to_pylist()], kind)
    if extension_name(array.type) == BOOL8 and pa.types.is_boolean(kind):
        return array.storage.cast(kind)
    if isinstance(array, pa.ExtensionArray):
        return plain_array(array.storage, kind)
    if pa.types.is_dictionary(array.type):
        return plain_array(array.dictionary, kind).take(array.indices)
    if pa.types.is_run_end_encoded(array.type):
        return plain_array(pc.run_end_decode(array), kind)
    if _has_encodings(array.type):
        return _rebuilt(array, kind)
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


def _holds_uuids(kind: pa.DataType) -> bool:
    """Whether it is a UUID, or holds one at any depth."""
    if pa.types.is_dictionary(kind):
        return _holds_uuids(kind.value_type)
    inner = (kind.field(number).type for number in range(kind.num_fields))
    return extension_name(kind) == UUID or any(map(_holds_uuids, inner))


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


def _has_encodings(kind: pa.DataType) -> bool:
    """Whether there is something in a nested type that Arrow's own cast does not convert."""
    types = pa.types
    if types.is_list_view(kind) or types.is_large_list_view(kind) or types.is_map(kind):
        return True
    inner = [kind.field(number).type for number in range(kind.num_fields)]
    return any(
        types.is_dictionary(each) or types.is_run_end_encoded(each) or _has_encodings(each)
        for each in inner
    )


def _rebuilt(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """The same nested values, built from their parts, of which each is made plain.

    List views may overlap, so that a small array holds many values: too many are refused.
    """
    types = pa.types
    mask = array.is_null()
    if types.is_struct(array.type) and types.is_struct(kind):
        children = [
            plain_array(child, kind.field(number).type)
            for number, child in enumerate(array.flatten())
        ]
        return pa.StructArray.from_arrays(children, fields=list(kind), mask=mask)
    if types.is_fixed_size_list(array.type) and types.is_fixed_size_list(kind):
        size = kind.list_size
        values = array.values.slice(array.offset * size, len(array) * size)
        values = plain_array(values, kind.value_type)
        return pa.FixedSizeListArray.from_arrays(values, type=kind, mask=mask)
    is_map = types.is_map(array.type) and types.is_map(kind)
    if not (types.is_list(kind) or types.is_large_list(kind) or is_map):
        raise pa.ArrowInvalid(
            f"{array.type} cannot be read as {kind}: convert what it holds to plain lists first"
        )
    if is_map:
        lengths = np.where(mask, 0, np.diff(array.offsets)).astype(np.int64)
    else:
        lengths = pc.list_value_length(array).fill_null(0).to_numpy().astype(np.int64)
    if lengths.sum() > MAX_VIEWED:
        raise pa.ArrowInvalid(
            f"its lists hold {lengths.sum():,} values in {len(array):,} rows: give fewer rows"
        )
    ends = np.concatenate([[0], np.cumsum(lengths)])
    offsets = pa.array(ends, pa.int64() if types.is_large_list(kind) else pa.int32())
    if is_map:
        starts = array.offsets.to_numpy()[:-1]  # into keys and items, which slices share
        entries = pa.array(np.repeat(starts - ends[:-1], lengths) + np.arange(ends[-1]))
        keys = plain_array(array.keys, kind.key_type).take(entries)
        items = plain_array(array.items, kind.item_type).take(entries)
        return pa.MapArray.from_arrays(offsets, keys, items, type=kind, mask=mask)
    lists = pa.LargeListArray if types.is_large_list(kind) else pa.ListArray
    return lists.from_arrays(
        offsets, plain_array(array.flatten(), kind.value_type), type=kind, mask=mask
    )
