"""Arrow arrays as values that JSON has, and back without loss, for CSV and JSON lines.

| Arrow type | in JSON |
|---|---|
| null, bool, integers, strings | as they are |
| floating-point numbers | as they are; NaN and infinities are refused |
| dates, times, timestamps | ISO 8601, to the last digit; with a time zone in UTC, "…Z" |
| durations | the number of the type's units |
| decimals | the digits as a string |
| binary | base64 (RFC 4648, with padding) |
| lists | a list |
| structs | an object |
| maps | a list of {"key": key, "value": value} |
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_TIME = re.compile(r"(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?")
_TIME_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


class NotInJsonError(ValueError):
    """A value or a type that JSON does not have."""


def is_binary(kind: pa.DataType) -> bool:
    """Whether values are bytes."""
    types = pa.types
    return bool(
        types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind)
    )


def needs_type(kind: pa.DataType) -> bool:
    """Whether JSON values say too little: only `from_json` with the type gives the values back."""
    types = pa.types
    if types.is_map(kind):
        return True
    if types.is_nested(kind):
        return any(needs_type(kind.field(number).type) for number in range(kind.num_fields))
    return bool(types.is_temporal(kind) or types.is_decimal(kind) or is_binary(kind))


def has_empty_struct(kind: pa.DataType) -> bool:
    """Whether a struct without fields is in the type, at any depth; Parquet has none."""
    if pa.types.is_struct(kind) and not kind.num_fields:
        return True
    fields = kind.num_fields if pa.types.is_nested(kind) else 0
    return any(has_empty_struct(kind.field(number).type) for number in range(fields))


def with_empty_structs(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Turn JSON text back into columns with structs without fields, as `schema` has them.

    Raises:
        pa.ArrowInvalid: A text is not JSON of the column's type.
    """
    for number, name in enumerate(batch.schema.names):
        kind = schema.field(name).type if name in schema.names else pa.null()
        column = batch.column(number)
        if has_empty_struct(kind) and pa.types.is_large_string(column.type):
            try:
                texts = column.to_pylist()
                values = [None if text is None else json.loads(text) for text in texts]
                column = from_json(values, kind)
            except (ValueError, TypeError) as error:
                raise pa.ArrowInvalid(f"column {name!r} is not {kind}: {error}") from error
            batch = batch.set_column(number, schema.field(name), column)
    return batch


def to_json(array: pa.Array) -> list[Any]:
    """The values of an array, as the table above says.

    Raises:
        NotInJsonError: A value or the type cannot be written.

    Example:
        >>> to_json(pa.array([b"ab", None]))
        ['YWI=', None]
    """
    kind, types = array.type, pa.types
    if types.is_map(kind):
        return to_json(array.cast(_pairs_type(kind)))
    if types.is_struct(kind):
        fields = [(field.name, to_json(array.field(number))) for number, field in enumerate(kind)]
        valid = array.is_valid().to_pylist()
        return [
            {name: values[row] for name, values in fields} if there else None
            for row, there in enumerate(valid)
        ]
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        values, rows, start = to_json(array.flatten()), [], 0
        for length in pc.list_value_length(array).to_pylist():
            rows.append(None if length is None else values[start : start + length])
            start += length or 0
        return rows
    return _leaves_to_json(array)


def _pairs_type(kind: pa.DataType) -> pa.DataType:
    return pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)]))


def _leaves_to_json(array: pa.Array) -> list[Any]:
    kind, types = array.type, pa.types
    if types.is_floating(kind):
        if pc.any(pc.invert(pc.is_finite(array.cast(pa.float64())))).as_py():
            raise NotInJsonError("it holds a number that is not finite")
        return list(array.to_pylist())
    if is_binary(kind):
        return [
            None if value is None else base64.b64encode(value).decode()
            for value in array.to_pylist()
        ]
    if types.is_duration(kind):
        return list(array.cast(pa.int64()).to_pylist())
    if types.is_timestamp(kind) and kind.tz is not None:
        array = array.cast(pa.timestamp(kind.unit, "UTC"))
    if types.is_decimal(kind) or (types.is_temporal(kind) and not types.is_interval(kind)):
        return list(array.cast(pa.large_string()).to_pylist())
    simple = types.is_null(kind) or types.is_boolean(kind) or types.is_integer(kind)
    if simple or types.is_string(kind) or types.is_large_string(kind):
        return list(array.to_pylist())
    raise NotInJsonError(f"its type is {kind}")


def from_json(values: list[Any], kind: pa.DataType) -> pa.Array:
    """The array that `to_json` wrote; the inverse of it for a type.

    Raises:
        ValueError, TypeError, pa.ArrowException: A value is not one of this type.

    Example:
        >>> from_json(["YWI=", None], pa.binary()).to_pylist()
        [b'ab', None]
    """
    types = pa.types
    missing = [value is None for value in values]
    mask = pa.array(missing, pa.bool_())
    if types.is_map(kind):
        pairs = [value or [] for value in values]
        flat = [pair for value in pairs for pair in value]
        entries = from_json(flat, pa.struct([("key", kind.key_type), ("value", kind.item_type)]))
        keys, items = entries.flatten()
        # An offset of null makes the row null.
        ends = np.cumsum([0, *map(len, pairs)])
        offsets = pa.array(ends, pa.int32(), mask=np.array([*missing, False], bool))
        return pa.MapArray.from_arrays(offsets, keys, items, type=kind)
    if types.is_struct(kind):
        return _structs(values, kind, mask)
    if types.is_list(kind) or types.is_large_list(kind):
        lists = [_require(value or [], list) for value in values]
        inner = from_json([item for value in lists for item in value], kind.value_type)
        offsets = pa.array(
            np.cumsum([0, *map(len, lists)]),
            pa.int64() if types.is_large_list(kind) else pa.int32(),
        )
        made = pa.LargeListArray if types.is_large_list(kind) else pa.ListArray
        return made.from_arrays(offsets, inner, type=kind, mask=mask)
    if types.is_fixed_size_list(kind):
        lists = [[None] * kind.list_size if value is None else value for value in values]
        if any(len(_require(value, list)) != kind.list_size for value in lists):
            raise ValueError(f"a list does not have {kind.list_size} items")
        inner = from_json([item for value in lists for item in value], kind.value_type)
        return pa.FixedSizeListArray.from_arrays(inner, type=kind, mask=mask)
    return _leaves_from_json(values, kind)


def _structs(values: list[Any], kind: pa.DataType, mask: pa.Array) -> pa.Array:
    names = {field.name for field in kind}
    rows: list[dict[str, Any]] = [_require(value or {}, dict) for value in values]
    unknown = sorted({name for row in rows for name in row} - names)
    if unknown:
        raise ValueError(f"the key {unknown[0]!r} is not in {kind}")
    if not names:
        return pa.array([None if value is None else {} for value in values], kind)
    children = [from_json([row.get(field.name) for row in rows], field.type) for field in kind]
    return pa.StructArray.from_arrays(children, fields=list(kind), mask=mask)


def _require(value: Any, wanted: type) -> Any:
    if not isinstance(value, wanted):
        raise ValueError(f"a {type(value).__name__} is where a {wanted.__name__} should be")
    return value


def _leaves_from_json(values: list[Any], kind: pa.DataType) -> pa.Array:
    types = pa.types
    if is_binary(kind):
        decoded = [
            None if value is None else base64.b64decode(_require(value, str), validate=True)
            for value in values
        ]
        return pa.array(decoded, kind)
    if types.is_time(kind):
        numbers = [None if value is None else _time(value, kind.unit) for value in values]
        return pa.array(numbers, pa.int32() if kind.bit_width == 32 else pa.int64()).cast(kind)
    if types.is_duration(kind):
        return _numbers(values, pa.int64()).cast(kind)
    if types.is_decimal(kind) or types.is_temporal(kind):
        return pa.array(values, pa.large_string()).cast(kind)
    if types.is_integer(kind) or types.is_floating(kind):
        return _numbers(values, kind)
    return pa.array(values, kind)


def _numbers(values: list[Any], kind: pa.DataType) -> pa.Array:
    """Numbers that the type holds as they are; Arrow cuts 1.5 to the integer 1, and takes true."""
    taken = (int,) if pa.types.is_integer(kind) else (int, float)
    for value in values:
        if value is not None and type(value) not in taken:
            raise ValueError(f"{value!r} is not a value of {kind}")
    array = pa.array(values, kind)
    for value, held in zip(values, array.to_pylist(), strict=True):
        if value is not None and held != value and value == value:
            raise ValueError(f"{value!r} cannot be stored as {kind} without a change")
    return array


def _time(value: str, unit: str) -> int:
    """A time of day as a number of units since midnight."""
    found = _TIME.fullmatch(_require(value, str))
    if found is None:
        raise ValueError(f"{value!r} is not a time such as 13:45:00")
    hours, minutes, seconds, fraction = found.groups()
    nanoseconds = int((fraction or "").ljust(9, "0"))
    whole = (int(hours) * 60 + int(minutes)) * 60 + int(seconds or 0)
    if int(hours) > 23 or int(minutes) > 59 or int(seconds or 0) > 59:
        raise ValueError(f"{value!r} is not a time such as 13:45:00")
    number, rest = divmod(whole * 10**9 + nanoseconds, 10**9 // _TIME_UNITS[unit])
    if rest:
        raise ValueError(f"{value!r} has more digits than {unit} hold")
    return number
