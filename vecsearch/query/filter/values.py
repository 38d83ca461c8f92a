"""What a filter is made of: literals, typed values over Arrow columns, and how the two meet.

A `Value` is a column, or something computed from columns; its `run` maps a record batch to an Arrow array with the kernels
of `pyarrow.compute`, called directly (a trip through Arrow's query engine costs a millisecond, more than most filters).

Integers, decimals, dates and timestamps all lie on a grid of whole units: 1, 10^-scale, a day, a microsecond. A literal is
placed on the column's grid exactly, as a fraction of units; one that falls between two units, or outside the column's
range, is then compared by reasoning and never by rounding. So `year > 2.5` on integers is `year > 2`, `year = 2.5` is
never true, and a date in the year 9999 may be compared with a column of nanoseconds that ends in 2262.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.errors import FilterError

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
UNIT_NS = {"s": SECOND, "ms": 1_000_000, "us": 1_000, "ns": 1}
MAX_DIGITS = 400  # of a number written in a filter, and of its exponent: beyond the range of float64 and decimal256
LIST_TYPES = (
    pa.ListType,
    pa.LargeListType,
    pa.ListViewType,
    pa.LargeListViewType,
    pa.FixedSizeListType,
)
EPOCH = datetime(1970, 1, 1)
# The forms of date and time a filter may write, all of ISO 8601 with a space allowed for the T.
_MOMENT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?\s*(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Moment:
    """A date or time in nanoseconds since 1970: of the wall clock, or of UTC when `aware` of its time zone."""

    ns: int
    aware: bool = False


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant of the filter's text; None is NULL. `label` is how it was written."""

    value: bool | int | Decimal | str | Moment | None
    label: str

    @property
    def kind(self) -> str:
        if self.value is None:
            return "NULL"
        kinds = {
            bool: "boolean",
            int: "number",
            Decimal: "number",
            str: "text",
            Moment: "date or time",
        }
        return kinds[type(self.value)]


@dataclass(frozen=True, slots=True)
class Value:
    """A typed expression over columns. `run` takes a RecordBatch, or the flattened array where the value stands for the
    elements of a list, and gives an Array (a Scalar when it depends on no column)."""

    type: pa.DataType
    label: str
    run: Callable[[Any], Any]

    @property
    def kind(self) -> str:
        return kind_of(self.type)


Operand = Value | Literal


def kind_of(dtype: pa.DataType) -> str:
    """The family that decides what a type can be compared with; "other" where it cannot be compared at all."""
    for kind, test in _KINDS.items():
        if test(dtype):
            return kind
    return "other"


_KINDS: dict[str, Callable[[pa.DataType], bool]] = {
    "integer": pa.types.is_integer,
    "text": lambda t: pa.types.is_string(t) or pa.types.is_large_string(t),
    "float": pa.types.is_floating,
    "boolean": pa.types.is_boolean,
    "date": pa.types.is_date32,
    "timestamp": pa.types.is_timestamp,
    "decimal": pa.types.is_decimal,
    "list": lambda t: isinstance(t, LIST_TYPES) and not is_vector(t),
}


def is_vector(dtype: pa.DataType) -> bool:
    """Whether a column of this type holds vectors, which no filter can read."""
    return bool(pa.types.is_fixed_size_list(dtype) and pa.types.is_floating(dtype.value_type))


def plain_type(dtype: pa.DataType) -> pa.DataType:
    """The type a column is read as: dictionaries decoded, and types without comparison kernels made into ones with."""
    if pa.types.is_dictionary(dtype):
        return plain_type(dtype.value_type)
    if pa.types.is_string_view(dtype):
        return pa.large_string()
    if pa.types.is_float16(dtype):
        return pa.float32()
    if pa.types.is_date64(dtype):
        return pa.date32()
    return dtype


def as_type(array: Any, dtype: pa.DataType) -> Any:
    return array if array.type == dtype else array.cast(dtype)


def column(name: str, declared: pa.DataType) -> Value:
    """The column `name` of a batch."""
    target = plain_type(declared)
    return Value(target, name, lambda batch: as_type(batch.column(name), target))


def struct_field(value: Value, index: int, label: str) -> Value:
    """One field of a struct column; NULL where the struct is NULL."""
    target = plain_type(value.type.field(index).type)
    return Value(
        target, label, lambda batch: as_type(pc.struct_field(value.run(batch), [index]), target)
    )


def elements(lists: Value) -> Value:
    """The elements of a list, to be run over the list's flattened array."""
    target = plain_type(lists.type.value_type)
    return Value(target, f"an element of {lists.label}", lambda flat: as_type(flat, target))


def number(text: str) -> int | Decimal:
    """A number as written in SQL. FilterError where it is no number, or beyond what float64 can hold."""
    try:
        if len(text) > MAX_DIGITS:
            raise InvalidOperation
        value: int | Decimal = int(text) if text.lstrip("+-").isdigit() else Decimal(text)
        if abs(Decimal(value).adjusted()) > MAX_DIGITS or math.isinf(float(value)):
            raise InvalidOperation
    except (ValueError, InvalidOperation, OverflowError):
        raise FilterError(
            f"{shorten(text)} is not a number a filter can hold: write it as 12, 1.5 or 1e9"
        ) from None
    return value


def moment(text: str, *, form: str = "timestamp") -> Moment:
    """The date or time an ISO 8601 text stands for. `form` is "date", "timestamp" or "timestamptz" (an offset is needed).

    FilterError where it stands for none, as `2021-02-29` does not.
    """
    match = _MOMENT.fullmatch(text.strip())
    wanted = (
        "'2020-01-31'"
        if form == "date"
        else "'2020-01-31', '2020-01-31 10:00:00' or '2020-01-31 10:00:00+08:00'"
    )
    if match is None or (form == "date" and match[4] is not None):
        raise FilterError(f"'{shorten(text)}' is not a {form}: write it as {wanted}")
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    try:
        since = datetime(year, month, day, hour, minute, second) - EPOCH
        offset = _offset(match[8])
    except ValueError as error:
        raise FilterError(f"'{text}' is not a {form}: {error}") from None
    if form == "timestamptz" and offset is None:
        raise FilterError(
            f"'{text}' needs its offset from UTC, such as '2020-01-31 10:00:00+08:00'"
        )
    ns = (since.days * 86_400 + since.seconds) * SECOND + int((match[7] or "").ljust(9, "0"))
    return (
        Moment(ns)
        if offset is None
        else Moment(ns - int(offset.total_seconds()) * SECOND, aware=True)
    )


def _offset(text: str | None) -> timedelta | None:
    if not text:
        return None
    if text in "Zz":
        return timedelta(0)
    digits = text[1:].replace(":", "").ljust(4, "0")
    if int(digits[2:]) > 59:
        raise ValueError("minutes of an offset go up to 59")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    if offset >= timedelta(days=1):
        raise ValueError("an offset is less than a day")
    return -offset if text[0] == "-" else offset


def in_zone(local: Moment, zone: str) -> Moment:
    """A wall-clock time of a zone (a name as Asia/Shanghai, or +08:00) as an instant; the earlier one where clocks were
    put back. FilterError for a zone that is not known."""
    try:
        place: tzinfo = (
            timezone(_offset(zone) or timedelta(0)) if zone[:1] in ("+", "-") else ZoneInfo(zone)
        )
        wall = EPOCH + timedelta(seconds=local.ns // SECOND)
        offset = place.utcoffset(wall.replace(tzinfo=place)) or timedelta(0)
    except (KeyError, ValueError, OSError, OverflowError):
        raise FilterError(
            f"time zone '{shorten(zone)}' is not known: write a name such as Asia/Shanghai or UTC"
        ) from None
    return Moment(local.ns - round(offset.total_seconds() * SECOND), aware=True)


def mismatch(value: Value, literal: Literal) -> FilterError:
    """The error of a column compared with a literal of another kind: names the column, its type and the literal."""
    advice = {
        "integer": "write a number without quotes, such as 2000",
        "float": "write a number without quotes, such as 0.5",
        "decimal": "write a number without quotes, such as 9.99",
        "text": "write a text in single quotes, such as 'abc'",
        "boolean": "write TRUE or FALSE",
        "date": "write a date such as '2020-01-31'",
        "timestamp": "write a time such as '2020-01-31 10:00:00'",
        "list": "ask for an element with array_contains(column, literal)",
        "other": "only IS NULL and IS NOT NULL can be asked of this type",
    }[value.kind]
    return FilterError(
        f"{value.label} ({value.type}) cannot be compared with the {literal.kind} {literal.label}: {advice}"
    )


def grid_position(value: Value, literal: Literal) -> int | Fraction:
    """Where the literal lies on the grid of an integer, decimal, date or timestamp value, in its units, exactly."""
    kind, constant = value.kind, literal.value
    if kind in ("integer", "decimal"):
        if literal.kind != "number" or not isinstance(constant, int | Decimal):
            raise mismatch(value, literal)
        if kind == "integer":
            return constant if isinstance(constant, int) else Fraction(constant)
        scale: int = value.type.scale
        return Fraction(constant) * Fraction(10) ** scale
    if isinstance(constant, str):
        try:
            constant = moment(constant)
        except FilterError as error:
            raise FilterError(f"{mismatch(value, literal)} ({error})") from None
    if not isinstance(constant, Moment):
        raise mismatch(value, literal)
    return _time_position(value, constant, literal)


def _time_position(value: Value, constant: Moment, literal: Literal) -> Fraction:
    zone = value.type.tz if value.kind == "timestamp" else None
    if constant.aware and zone is None:
        raise FilterError(
            f"{value.label} ({value.type}) has no time zone, so it cannot be compared with {literal.label}, which has one: "
            "leave out the offset to compare wall-clock times"
        )
    if zone is not None and not constant.aware:
        constant = in_zone(constant, zone)
    return Fraction(constant.ns, unit_ns(value.type))


def unit_ns(dtype: pa.DataType) -> int:
    """The nanoseconds of one unit of a date32 or timestamp type."""
    return UNIT_NS[dtype.unit] if pa.types.is_timestamp(dtype) else DAY


def grid_limits(dtype: pa.DataType) -> tuple[int, int]:
    """The smallest and largest number of units a column of this type can hold."""
    if pa.types.is_decimal(dtype):
        return -(10**dtype.precision) + 1, 10**dtype.precision - 1
    if pa.types.is_unsigned_integer(dtype):
        return 0, 2**dtype.bit_width - 1
    return -(2 ** (dtype.bit_width - 1)), 2 ** (dtype.bit_width - 1) - 1


def grid_constant(dtype: pa.DataType, units: int) -> int | Decimal:
    """A whole number of units in the form that pa.scalar and pa.array take for this type."""
    if not pa.types.is_decimal(dtype):
        return units
    digits = tuple(int(digit) for digit in str(abs(units)))
    return Decimal((int(units < 0), digits, -dtype.scale))


def float_constant(value: Value, literal: Literal) -> float | None:
    """The literal in a float column's own precision, so that 0.1 finds the float32 nearest to 0.1. None where float32
    cannot hold it."""
    if literal.kind != "number" or not isinstance(literal.value, int | Decimal):
        raise mismatch(value, literal)
    exact = float(literal.value)
    if value.type.bit_width == 64:
        return exact
    with np.errstate(over="ignore"):
        rounded = float(np.float32(exact))
    return None if np.isinf(rounded) else rounded


def shorten(text: str, length: int = 60) -> str:
    return text if len(text) <= length else text[: length - 3] + "..."
