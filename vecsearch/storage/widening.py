"""The one rule for values that come to a column later.

A value is stored exactly as given, or the column becomes wider without losing anything, or the
value is refused. Widening changes the manifest only: older segments are cast as they are read.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from vecsearch.common.json_column import is_json

types = pa.types
_UNITS = ("s", "ms", "us", "ns")
_LARGEST_INT = 19  # digits of a 64-bit integer; an unsigned one has 20
_CAST_ERRORS = (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError)


class MisfitError(Exception):
    """Some value cannot be stored in a column."""


def resolve(stored: pa.DataType, array: pa.Array) -> pa.DataType:
    """The type of a column of type `stored` after it took the values of `array`.

    It is `stored` where that holds them exactly. Integers become floats, and dates times, as soon
    as such a value comes, so that one add and two adds give the same type.

    Raises:
        MisfitError: No type holds both the stored values and these.

    Example:
        >>> resolve(pa.int64(), pa.array([0.5]))
        DataType(double)
        >>> resolve(pa.float32(), pa.array([1, 2]))
        DataType(float)
    """
    new = array.type
    if new == stored or types.is_null(new) or (array.null_count == len(array) and len(array)):
        return stored
    if types.is_null(stored):
        return new
    if types.is_struct(stored) and types.is_struct(new):
        return _resolve_struct(stored, array)
    if types.is_list(stored) and types.is_list(new):
        return pa.list_(resolve(stored.value_type, array.flatten()))
    wider = _common(stored, new)
    if wider is not None and _always_widens(stored, new):
        return wider
    try:
        exact_cast(array, stored)
        return stored
    except MisfitError:
        if wider is None or wider == stored:
            raise
    exact_cast(array, wider)
    return wider


def holds_days(one: pa.DataType, other: pa.DataType) -> bool:
    """Whether the types differ only in that one has days where the other has moments.

    A moment without a time zone holds a day, as its midnight.

    Example:
        >>> holds_days(pa.date32(), pa.timestamp("us"))
        True
    """
    if one == other:
        return True
    if types.is_list(one) and types.is_list(other):
        return holds_days(one.value_type, other.value_type)
    if types.is_struct(one) and types.is_struct(other):
        names = [{field.name for field in kind} for kind in (one, other)]
        return names[0] == names[1] and all(
            holds_days(one.field(name).type, other.field(name).type) for name in names[0]
        )
    day, moment = (one, other) if types.is_date32(one) else (other, one)
    return bool(types.is_date32(day) and types.is_timestamp(moment) and moment.tz is None)


def exact_cast(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """The same values in another type. Raises MisfitError if one of them would change."""
    given = array.type
    if given == kind:
        return array
    if types.is_null(given) or (len(array) and array.null_count == len(array)):
        return pa.nulls(len(array), kind)
    if is_json(given):
        if not types.is_large_string(kind):
            raise MisfitError
        return array.cast(kind)
    if _is_nested_pair(given, kind):
        return _rebuilt(array, kind, exact_cast)
    if not _same_family(given, kind):
        raise MisfitError
    try:
        cast = _plain_cast(array, kind)
        if not _is_same(array, cast.cast(given)):
            raise MisfitError
        return cast
    except _CAST_ERRORS as error:
        raise MisfitError from error


def widened(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """A column of an older segment, in the type that the column has now."""
    if array.type == kind:
        return array
    if types.is_null(array.type):
        return pa.nulls(len(array), kind)
    if _is_nested_pair(array.type, kind):
        return _rebuilt(array, kind, widened)
    return _plain_cast(array, kind, safe=False)


def is_widening(old: pa.DataType, new: pa.DataType) -> bool:
    """Whether a column of the type `old` may be read as `new`."""
    if old == new or types.is_null(old):
        return True
    if is_json(old):
        return bool(types.is_large_string(new))
    if types.is_struct(old) and types.is_struct(new):
        inner = {field.name: field.type for field in new}
        return all(
            field.name in inner and is_widening(field.type, inner[field.name]) for field in old
        )
    if types.is_list(old) and types.is_list(new):
        return is_widening(old.value_type, new.value_type)
    return bool(_common(old, new) == new)


def can_lose(old: pa.DataType, new: pa.DataType) -> bool:
    """Whether some value of `old` has no equal in the wider type `new`, so that a look is due."""
    if old == new or types.is_null(old) or is_json(old):
        return False
    if types.is_struct(old):
        return any(can_lose(field.type, new.field(field.name).type) for field in old)
    if types.is_list(old):
        return can_lose(old.value_type, new.value_type)
    if types.is_integer(old) and types.is_floating(new):
        return bool(old.bit_width > {16: 8, 32: 16, 64: 32}[new.bit_width])
    if types.is_unsigned_integer(old) and types.is_signed_integer(new):
        return bool(old.bit_width >= new.bit_width)
    return bool(types.is_temporal(new))  # a finer unit has a smaller range


def _resolve_struct(stored: pa.DataType, array: pa.Array) -> pa.DataType:
    """The keys of both, in order of appearance."""
    inner = {field.name: field.type for field in stored}
    for field, child in zip(array.type, array.flatten(), strict=True):
        known = inner.get(field.name, pa.null())
        inner[field.name] = resolve(known, child)
    return pa.struct(list(inner.items()))


def _always_widens(stored: pa.DataType, new: pa.DataType) -> bool:
    return bool(
        (types.is_integer(stored) and types.is_floating(new))
        or (types.is_date(stored) and types.is_timestamp(new))
    )


def _common(old: pa.DataType, new: pa.DataType) -> pa.DataType | None:
    """The smallest type that holds the values of both; None if there is none."""
    if old == new:
        return old
    if types.is_integer(old) and types.is_integer(new):
        return _common_integer(old, new)
    if types.is_floating(old) and types.is_floating(new):
        return max(old, new, key=lambda kind: kind.bit_width)
    if types.is_integer(old) and types.is_floating(new):
        return pa.float64() if old.bit_width > 16 or new.bit_width < 32 else new
    if types.is_floating(old) and types.is_integer(new):
        return _common(new, old)
    if types.is_decimal(old) or types.is_decimal(new):
        return _common_decimal(old, new)
    if types.is_date32(old) and types.is_timestamp(new) and new.tz is None:
        return new
    if types.is_timestamp(old) and types.is_timestamp(new):
        if (old.tz is None) != (new.tz is None):
            return None
        return pa.timestamp(_finer(old, new), old.tz)
    if types.is_time(old) and types.is_time(new):
        unit = _finer(old, new)
        return pa.time32(unit) if unit in ("s", "ms") else pa.time64(unit)
    if types.is_duration(old) and types.is_duration(new):
        return pa.duration(_finer(old, new))
    return None


def _common_integer(old: pa.DataType, new: pa.DataType) -> pa.DataType:
    if types.is_signed_integer(old) == types.is_signed_integer(new):
        return max(old, new, key=lambda kind: kind.bit_width)
    signed, unsigned = (old, new) if types.is_signed_integer(old) else (new, old)
    bits = max(signed.bit_width, min(2 * unsigned.bit_width, 64))
    return {16: pa.int16(), 32: pa.int32(), 64: pa.int64()}[bits]


def _common_decimal(old: pa.DataType, new: pa.DataType) -> pa.DataType | None:
    shapes = []
    for kind in (old, new):
        if types.is_decimal(kind):
            shapes.append((kind.precision - kind.scale, kind.scale))
        elif types.is_integer(kind):
            shapes.append((_LARGEST_INT + types.is_uint64(kind), 0))
        else:
            return None
    scale = max(scale for _, scale in shapes)
    precision = max(whole for whole, _ in shapes) + scale
    if precision > 76:
        return None
    if types.is_decimal(old) and precision <= old.precision and scale == old.scale:
        return old
    return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)


def _finer(old: pa.DataType, new: pa.DataType) -> str:
    return _UNITS[max(_UNITS.index(old.unit), _UNITS.index(new.unit))]


def _same_family(given: pa.DataType, kind: pa.DataType) -> bool:
    """Whether a value of the one type can be equal to one of the other."""
    if _common(kind, given) is not None:
        return not (types.is_integer(kind) and types.is_floating(given))
    number = (types.is_decimal, types.is_integer, types.is_floating)
    if types.is_decimal(kind):
        return any(test(given) for test in number)
    if types.is_timestamp(kind) and kind.tz is None:
        return bool(types.is_date(given))
    if types.is_date(kind):
        return bool(types.is_date(given))
    texts = (types.is_string, types.is_large_string, types.is_string_view)
    if any(test(kind) for test in texts):
        return any(test(given) for test in texts)
    bytes_ = (types.is_binary, types.is_large_binary, types.is_binary_view)
    if any(test(kind) for test in bytes_) or types.is_fixed_size_binary(kind):
        return any(test(given) for test in bytes_) or types.is_fixed_size_binary(given)
    if types.is_nested(kind):  # maps, and lists of a fixed size
        return bool(types.is_nested(given)) and types.is_struct(kind) == types.is_struct(given)
    return False


def _plain_cast(array: pa.Array, kind: pa.DataType, *, safe: bool = True) -> pa.Array:
    """Arrow's cast without its checks of types; values are compared in `_is_same`."""
    if types.is_integer(array.type) and types.is_decimal(kind):
        array = array.cast(pa.decimal256(20, 0)).cast(pa.decimal256(76, max(kind.scale, 0)))
    if types.is_floating(kind):
        return array.cast(kind, safe=False)
    return array.cast(kind, safe=safe or types.is_decimal(kind))


def _is_same(given: pa.Array, back: pa.Array) -> bool:
    if given.equals(back):
        return True
    if not types.is_floating(given.type):
        return False
    left, right = (
        item.cast(pa.float64()).fill_null(0).to_numpy(zero_copy_only=False)
        for item in (given, back)
    )
    return bool(np.array_equal(left, right, equal_nan=True)) and bool(
        given.is_null().equals(back.is_null())
    )


def _is_nested_pair(given: pa.DataType, kind: pa.DataType) -> bool:
    return bool(
        (types.is_struct(given) and types.is_struct(kind))
        or (types.is_list(given) and types.is_list(kind))
    )


def _rebuilt(
    array: pa.Array, kind: pa.DataType, cast: Callable[[pa.Array, pa.DataType], pa.Array]
) -> pa.Array:
    """A struct or a list with its inner arrays cast; missing keys are null."""
    mask = array.is_null()
    if types.is_list(kind):
        # `flatten` leaves out what lies under null lists.
        lengths = array.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
        offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
        return pa.ListArray.from_arrays(
            offsets, cast(array.flatten(), kind.value_type), type=kind, mask=mask
        )
    children = dict(zip((field.name for field in array.type), array.flatten(), strict=True))
    if not children.keys() <= {field.name for field in kind}:
        raise MisfitError
    inner = [
        cast(children[field.name], field.type)
        if field.name in children
        else pa.nulls(len(array), field.type)
        for field in kind
    ]
    return pa.StructArray.from_arrays(inner, fields=list(kind), mask=mask)


def first_misfit(array: pa.Array, fits: Callable[[pa.Array], object]) -> int | None:
    """The first row for which `fits` raises MisfitError; None if no row alone does."""
    low, high = 0, len(array)
    if not _refuses(fits, array):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _refuses(fits, array[low:middle]) else (middle, high)
    return low if _refuses(fits, array[low:high]) else None


def _refuses(fits: Callable[[pa.Array], object], array: pa.Array) -> bool:
    try:
        fits(array)
    except MisfitError:
        return True
    return False
