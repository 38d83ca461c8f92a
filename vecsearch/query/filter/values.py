"""What a filter is made of: literals, typed values over Arrow columns, and their comparison.

A `Value` is a column, or something computed from columns. Its `run` maps a record batch to an Arrow
array by direct calls of pyarrow.compute; Arrow's query engine takes a millisecond per call, more
than most filters.

Integers, decimals, dates and timestamps all lie on a grid of whole units: 1, 10^-scale, a day, a
microsecond. A literal is placed on the column's grid exactly, as a fraction of units. If it falls
between two units, or outside the column's range, it is compared without rounding: `year > 2.5` on
integers is `year > 2`, `year = 2.5` is never true, and a date in the year 9999 may be compared with
a column of nanoseconds, whose range ends in 2262.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.common.json_column import is_json
from vecsearch.errors import FilterError

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
UNIT_NS = {"s": SECOND, "ms": 1_000_000, "us": 1_000, "ns": 1}
# The most digits of a number in a filter, and of its exponent: beyond float64 and decimal256.
MAX_DIGITS = 400
LIST_TYPES = (
    pa.ListType,
    pa.LargeListType,
    pa.ListViewType,
    pa.LargeListViewType,
    pa.FixedSizeListType,
)
EPOCH = datetime(1970, 1, 1)
# ISO 8601 dates and times, with a space allowed for the T.
_MOMENT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?"
    r"\s*(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?",
    re.IGNORECASE,
)


# 2024/3/5, 2024-3-5 and 2024年3月5日, maybe with a time; not ISO 8601.
_WRITTEN = re.compile(
    r"(?![0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9]))"
    r"([0-9]{4})(?:/|-|年)([0-9]{1,2})(?:/|-|月)([0-9]{1,2})(?:日|(?![0-9]))[T ]*(.*)"
)
_HALF_WIDTH = str.maketrans("０１２３４５６７８９／－．", "0123456789/-.")
_DAY, _MONTH = "(?:0?[1-9]|[12][0-9]|3[01])", "(?:0?[1-9]|1[0-2])"
_NAMED = "(?:Jan|Feb|Mar|Apr|May|June?|July?|Aug|Sept?|Oct|Nov|Dec)[a-z]{0,6}"
_LIKE_A_DATE = re.compile(
    r"(?![0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9]))(?:"
    r"\d{4} ?[-/.] ?\d{1,2} ?[-/.] ?\d{1,2}(?!\d)"
    r"|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}(?!\d)"
    # Years of two digits, in any order; 1.2.3 is more often a version.
    rf"|(?=\d\d?[-/]|\d\d\.\d\d\.\d\d)(?:\d\d([-/.]){_MONTH}\1{_DAY}"
    rf"|{_DAY}([-/.]){_MONTH}\2\d\d|{_MONTH}([-/.]){_DAY}\3\d\d)(?![-/.]?\d)"
    r"|(?:民[国國]|令和|平成|昭和)? ?(?:\d{1,4}|元) ?年 ?\d{1,2} ?月"
    r"|[〇○零一二三四五六七八九十]{2,4}年[一二三四五六七八九十]{1,3}月"
    rf"|(?:19|20)\d\d(?:/{_MONTH}|-[1-9])(?![-/\d])"
    rf"|{_DAY}[- .]{{1,2}}{_NAMED}[-, .]{{1,2}}\d{{2,4}}|{_NAMED}[ .]{{1,2}}{_DAY},? \d{{4}}"
    r")",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Moment:
    """A date or time in nanoseconds since 1970: of UTC if `aware`, else of the wall clock."""

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
    """A typed expression over columns.

    Attributes:
        type: The type of its results.
        label: What messages call it.
        run: Takes a RecordBatch, or the flattened array if the value stands for the elements of a
            list. Returns an Array, or a Scalar if it reads no column; of the type JSON a list of
            Python values.
        cost: About what it costs, in comparisons of numbers. None for what may raise an error, give
            a warning or cost anything: it is computed for all rows.
    """

    type: pa.DataType
    label: str
    run: Callable[[Any], Any]
    cost: int | None = None

    @property
    def kind(self) -> str:
        return kind_of(self.type)


Operand = Value | Literal


def cost_of(values: Sequence[Value], own: int = 0) -> int | None:
    """What values cost together, and what is computed from them; None if that of one is unknown."""
    costs = [value.cost for value in values]
    return None if None in costs else own + sum(cost or 0 for cost in costs)


def kind_of(dtype: pa.DataType) -> str:
    """The family of a type, which decides what it can be compared with; "other" for nothing."""
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
    "json": is_json,
    "list": lambda t: isinstance(t, LIST_TYPES) and not is_vector(t),
}


def is_vector(dtype: pa.DataType) -> bool:
    """Whether a column of this type holds vectors, which a filter cannot read."""
    return bool(pa.types.is_fixed_size_list(dtype) and pa.types.is_floating(dtype.value_type))


def comparable_type(dtype: pa.DataType) -> pa.DataType:
    """The type that a column is read as, which Arrow's kernels can compare; no dictionary."""
    if pa.types.is_dictionary(dtype):
        return comparable_type(dtype.value_type)
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
    target = comparable_type(declared)
    cost = 0 if target == declared else None  # a cast may fail
    return Value(target, name, lambda batch: as_type(batch.column(name), target), cost)


def struct_field(value: Value, index: int, label: str) -> Value:
    """One field of a struct column; NULL where the struct is NULL."""
    target = comparable_type(value.type.field(index).type)
    return Value(
        target, label, lambda batch: as_type(pc.struct_field(value.run(batch), [index]), target)
    )


def elements(lists: Value) -> Value:
    """The elements of a list; its `run` takes the flattened array."""
    target = comparable_type(lists.type.value_type)
    cost = 0 if target == lists.type.value_type else None
    return Value(target, f"an element of {lists.label}", lambda flat: as_type(flat, target), cost)


def number(text: str) -> int | Decimal:
    """A number as written in SQL. Raises FilterError if float64 cannot hold it."""
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
    """Parse an ISO 8601 date or time.

    Args:
        text: The text of the literal.
        form: "date", "timestamp" or "timestamptz", which needs an offset.

    Raises:
        FilterError: The text is not a date or time, such as '2021-02-29'.
    """
    match = _MOMENT.fullmatch(_iso(text.strip()))
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


def _iso(text: str) -> str:
    """A date as people write it, such as 2024/3/5 or 2024年3月5日 9:30, in ISO 8601."""
    match = _WRITTEN.fullmatch(text)
    if match is None:
        return text
    year, month, day, rest = match.groups()
    rest = f" {'0' if rest[1:2] == ':' else ''}{rest}" if rest else ""
    return f"{year}-{month:0>2}-{day:0>2}{rest}"


def looks_like_a_date(text: str) -> bool:
    """Whether a text begins like a date whose letters do not sort as its days do: 2024/3/5.

    Also those that are never read as dates: 2024.3.5, 24/3/5, 2024/3, 2024年3月, 2024年3月5号,
    5/3/2024, 5 Mar 2024, 二〇二四年三月, and dates in full-width characters.
    """
    return _LIKE_A_DATE.match(text.translate(_HALF_WIDTH)) is not None


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
    """A wall-clock time as an instant; the earlier one where clocks were put back.

    Args:
        local: The wall-clock time.
        zone: A name such as Asia/Shanghai, or an offset such as +08:00.

    Raises:
        FilterError: The zone is unknown.
    """
    try:
        zone_info: tzinfo = (
            timezone(_offset(zone) or timedelta(0)) if zone[:1] in ("+", "-") else ZoneInfo(zone)
        )
        wall = EPOCH + timedelta(seconds=local.ns // SECOND)
        offset = zone_info.utcoffset(wall.replace(tzinfo=zone_info)) or timedelta(0)
    except (KeyError, ValueError, OSError, OverflowError):
        raise FilterError(
            f"unknown time zone '{shorten(zone)}': write a name such as Asia/Shanghai or UTC"
        ) from None
    return Moment(local.ns - round(offset.total_seconds() * SECOND), aware=True)


def mismatch(value: Value, literal: Literal) -> FilterError:
    """The error of comparing a column with a literal of another kind."""
    advice = {
        "integer": "write a number without quotes, such as 2000",
        "float": "write a number without quotes, such as 0.5",
        "decimal": "write a number without quotes, such as 9.99",
        "text": "write a text in single quotes, such as 'abc'",
        "boolean": "write TRUE or FALSE",
        "date": "write a date such as '2020-01-31'",
        "timestamp": "write a time such as '2020-01-31 10:00:00'",
        "list": "look for an element with array_contains(column, literal)",
        "other": "this type allows only IS NULL and IS NOT NULL",
    }[value.kind]
    return FilterError(
        f"{value.label} ({value.type}) cannot be compared with the {literal.kind} {literal.label}: "
        f"{advice}"
    )


def grid_position(value: Value, literal: Literal) -> int | Fraction:
    """The exact position of the literal on the value's grid, in units.

    The value is an integer, decimal, date or timestamp.
    """
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
            f"{value.label} ({value.type}) has no time zone, so it cannot be compared with "
            f"{literal.label}, which has one: leave out the offset to compare wall-clock times"
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
    """The literal in a float column's precision, so that 0.1 finds the float32 nearest to 0.1.

    None if float32 cannot hold it.
    """
    if literal.kind != "number" or not isinstance(literal.value, int | Decimal):
        raise mismatch(value, literal)
    exact = float(literal.value)
    if value.type.bit_width == 64:
        return exact
    with np.errstate(over="ignore"):
        rounded = float(np.float32(exact))
    return None if np.isinf(rounded) else rounded


def shorten(text: str, length: int = 60) -> str:
    """The text, or its beginning and "..." if it is longer than `length` characters."""
    return text if len(text) <= length else text[: length - 3] + "..."
