"""Find the types of rows of Python values, and name two values that have no common type."""

from __future__ import annotations

import copy
import datetime as dt
import decimal
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from vecsearch.common.json_column import JSON, is_json
from vecsearch.common.pictures import is_picture
from vecsearch.common.show import shown
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.values import (
    array_items,
    is_arrow,
    is_missing,
    is_nan,
    nanoseconds,
    plain_value,
)

Row = Mapping[str, Any]
Where = Callable[[int], str]
"""What a message calls a row, by its number: "row 7", "papers.jsonl, line 8"."""
_SCALARS: dict[str, pa.DataType] = {
    "null": pa.null(),
    "bool": pa.bool_(),
    "int": pa.int64(),
    "float16": pa.float16(),
    "float32": pa.float32(),
    "float": pa.float64(),
    "str": pa.string(),
    "bytes": pa.binary(),
    "picture": pa.binary(),
    "date": pa.date32(),
    "datetime": pa.timestamp("us"),
    "datetime of nanoseconds": pa.timestamp("ns"),
    "datetime with a time zone": pa.timestamp("us", "UTC"),
    "datetime with a time zone and nanoseconds": pa.timestamp("ns", "UTC"),
    "time": pa.time64("us"),
    "timedelta": pa.duration("us"),
    "timedelta of nanoseconds": pa.duration("ns"),
    "UUID": pa.string(),
}
# Kinds of which the second holds the first.
_WIDER = {
    "datetime": "datetime of nanoseconds",
    "datetime with a time zone": "datetime with a time zone and nanoseconds",
    "timedelta": "timedelta of nanoseconds",
    "UUID": "str",
    "picture": "bytes",
}
LARGEST, LARGEST_UNSIGNED, LEAST = 2**63 - 1, 2**64 - 1, -(2**63)  # 64-bit integers
_NUMBERS = {"int", "float16", "float32", "float"}
PLAIN_KINDS: dict[type, str] = {
    type(None): "null",
    bool: "bool",
    int: "int",
    float: "float",
    str: "str",
    bytes: "bytes",
}
_BY_BASE: list[tuple[type, str]] = [
    (np.bool_, "bool"),
    (np.integer, "int"),
    (np.floating, "float"),
    (str, "str"),
    (bytes, "bytes"),
    (int, "int"),
    (float, "float"),
    (dt.date, "date"),
    (dt.time, "time"),
    (uuid.UUID, "UUID"),
]


@dataclass
class Block:
    """Consecutive rows, with their numbers."""

    numbers: list[int]
    rows: list[Row]


class Columns:
    """The columns of the rows seen so far, in order of appearance, and their values' kinds.

    Args:
        where: What messages call a row.
        known: Types of columns that are known already; those of JSON take any value.
        lenient: Whether rows that hold what cannot be stored are collected, not raised.

    Attributes:
        bad: The errors of such rows, by the rows' numbers. They do not count for the types.
    """

    def __init__(
        self, where: Where, known: pa.Schema | None = None, *, lenient: bool = False
    ) -> None:
        self.where = where
        self.lenient = lenient
        self.bad: dict[int, InvalidInputError] = {}
        self.json = {field.name for field in known or () if is_json(field.type)}
        self.kinds: dict[str, Kinds] = {}
        self.first_row: int | None = None

    def see(self, block: Block) -> None:
        """Look at some rows.

        Raises:
            InvalidInputError: A column name is not a str, or a value cannot be stored.
        """
        self.first_row = block.numbers[0] if self.first_row is None else self.first_row
        for name in dict.fromkeys(chain.from_iterable(block.rows)):
            if not isinstance(name, str):
                self._refuse_name(block, name)
                continue
            kinds = self.kinds.setdefault(name, self._kinds_of(name))
            if name in self.json:
                continue
            values = [row.get(name) for row in block.rows]
            before = copy.deepcopy(kinds) if self.lenient else kinds
            try:
                kinds.see(values, block.numbers)
            except InvalidInputError:
                if not self.lenient:
                    raise
                self.kinds[name] = before
                self._see_one_by_one(before, values, block.numbers)

    def _kinds_of(self, name: str) -> Kinds:
        return Kinds(f"column {name!r}", self.where, is_column=True)

    def _refuse_name(self, block: Block, name: object) -> None:
        for number, row in zip(block.numbers, block.rows, strict=True):
            if name in row:
                error = InvalidInputError(
                    f"{self.where(number)}: the column name {name!r} is a {type(name).__name__}; "
                    "it must be a str"
                )
                if not self.lenient:
                    raise error
                self.bad.setdefault(number, error)

    def _see_one_by_one(self, kinds: Kinds, values: list[Any], numbers: list[int]) -> None:
        for number, value in zip(numbers, values, strict=True):
            try:
                Kinds(kinds.name, self.where, is_column=True).see([value], number)
            except InvalidInputError as error:
                self.bad.setdefault(number, error)
            else:
                kinds.see([value], number)

    def types(
        self, known: pa.Schema | None = None, *, first_kind: bool = False
    ) -> dict[str, pa.DataType]:
        """The type of each column.

        Args:
            first_kind: Where a column has values of two kinds, take the first and do not raise.

            known: Types of columns that are known already. Only these tell a map, whose value is
                a list of pairs.

        Raises:
            InvalidInputError: A column has values of two kinds; the message names a row of each.
        """
        maps = {field.name: field.type for field in known or () if pa.types.is_map(field.type)}
        stated = maps | dict.fromkeys(self.json, JSON)
        return {
            name: stated[name] if name in stated else kinds.type(first_kind)
            for name, kinds in self.kinds.items()
        }

    def schema(self, known: pa.Schema | None, *, first_kind: bool = False) -> pa.Schema:
        """The columns as a schema; one with nothing but None takes its type from `known`.

        Args:
            known: Types of columns that are known already.
            first_kind: See `types`.

        Raises:
            InvalidInputError: There are rows but no column, or a column has values of two kinds.
        """
        if self.first_row is not None and not self.kinds:
            raise InvalidInputError(
                f"{self.where(self.first_row)} is an empty dict, as are those after it: a row "
                "needs a column"
            )
        stated = {} if known is None else {field.name: field.type for field in known}
        return pa.schema(
            [
                (
                    name,
                    stated.get(name, kind)
                    if pa.types.is_null(kind) or (first_kind and self.kinds[name].is_mixed())
                    else kind,
                )
                for name, kind in self.types(known, first_kind=first_kind).items()
            ]
        )


class Kinds:
    """The kinds of the values of a column, the items of a list or a field of a dict, and the row
    that each kind appeared in first."""

    def __init__(self, name: str, where: Where, *, is_column: bool = False) -> None:
        self.name = name
        self.is_column = is_column
        self.where = where
        self.first: dict[str, int] = {}
        self.items: Kinds | None = None
        self.fields: dict[str, Kinds] = {}
        self.digits = self.scale = 0  # of decimals: before and after the point
        self.most = 0  # of integers
        self.large_row: int | None = None  # of the first integer beyond int64
        self.negative_row: int | None = None

    def see(self, values: Sequence[Any], numbers: Sequence[int] | int) -> None:
        """Look at values; `numbers` are the numbers of their rows, or the one row of them all."""
        plain = {PLAIN_KINDS.get(kind) for kind in set(map(type, values))}
        if "int" in plain:
            self._see_integers(values, numbers)
        if None not in plain and plain <= self.first.keys():
            return
        for index, value in enumerate(values):
            kind = PLAIN_KINDS.get(type(value))
            if self.is_column and is_nan(value):
                kind = "null"
            number = numbers if isinstance(numbers, int) else numbers[index]
            if kind is None and is_arrow(value):
                plain = plain_value(value)
                if not is_arrow(plain):
                    self.see([plain], number)
                    continue
            if kind is None:
                kind = self._look_inside(value, number)
            self.first.setdefault(kind, number)

    def _see_integers(self, values: Sequence[Any], numbers: Sequence[int] | int) -> None:
        """Note the range of the integers. Raises InvalidInputError for one beyond 64 bits."""
        found = [value for value in values if type(value) is int]
        least, most = min(found), max(found)
        if least < 0 or most > LARGEST:
            for index, value in enumerate(values):
                if type(value) is int and (value < 0 or value > LARGEST):
                    self._see_integer(
                        value, numbers if isinstance(numbers, int) else numbers[index]
                    )
        self.most = max(self.most, most, -least)

    def _see_integer(self, value: int, number: int) -> None:
        if not LEAST <= value <= LARGEST_UNSIGNED:
            raise InvalidInputError(
                f"{self.where(number)}, {self.name}: the integer {shown(value)} is outside the "
                "64-bit range; make it a str",
                hint="or a value of a JSON column: create(..., json_columns=[...])",
                command_hint="or a value of a JSON column: start with --json-column NAME",
            )
        self.most = max(self.most, abs(value))
        if value < 0 and self.negative_row is None:
            self.negative_row = number
        if value > LARGEST and self.large_row is None:
            self.large_row = number

    def _look_inside(self, value: Any, number: int) -> str:
        value = plain_value(value)
        if isinstance(value, np.ndarray):
            return self._see_array(value, number)
        if isinstance(value, (list, tuple)):
            self._of_items().see(value, number)
            return "list"
        if isinstance(value, Mapping):
            for key, inner in value.items():
                if not isinstance(key, str):
                    raise InvalidInputError(
                        f"{self.where(number)}, {self.name}: the key {key!r} of a dict is not a str"
                    )
                field = Kinds(f"{self.name}, field {key!r}", self.where)
                self.fields.setdefault(key, field).see([inner], number)
            return "dict"
        if is_missing(value):
            return "null"
        if isinstance(value, (dt.datetime, np.datetime64)):
            fine = nanoseconds(value)
            if getattr(value, "tzinfo", None) is not None:
                return "datetime with a time zone" + " and nanoseconds" * fine
            return "datetime" + " of nanoseconds" * fine
        if isinstance(value, (dt.timedelta, np.timedelta64)):
            return "timedelta" + " of nanoseconds" * nanoseconds(value)
        if isinstance(value, decimal.Decimal):
            return self._see_decimal(value, number)
        if isinstance(value, dt.time) and value.tzinfo is not None:
            raise InvalidInputError(
                f"{self.where(number)}, {self.name}: {value} has a time zone, which a time of day "
                "cannot keep; store a datetime, or a time without zone"
            )
        if isinstance(value, np.longdouble) and not is_nan(value) and float(value) != value:
            raise InvalidInputError(
                f"{self.where(number)}, {self.name}: {value!s} has more digits than 64-bit floats "
                "hold; make it a float, or a str"
            )
        if is_picture(value):
            return "picture"
        for base, kind in _BY_BASE:
            if isinstance(value, base):
                if kind == "int" and isinstance(value, (int, np.integer)):
                    self._see_integer(int(value), number)
                return kind
        raise InvalidInputError(
            f"{self.where(number)}, {self.name}: a value of type {type(value).__name__} cannot be "
            "stored; make it a str, number, bool, date, datetime, list or dict"
        )

    def _see_decimal(self, value: decimal.Decimal, number: int) -> str:
        _, digits, exponent = value.as_tuple()
        if not isinstance(exponent, int):
            raise InvalidInputError(
                f"{self.where(number)}, {self.name}: the decimal {value} is not a number; "
                "a null means a missing value"
            )
        self.digits = max(self.digits, len(digits) + exponent)
        self.scale = max(self.scale, -exponent)
        if self.digits + self.scale > 76:
            raise InvalidInputError(
                f"{self.where(number)}, {self.name}: decimals with more than 76 digits cannot be "
                "stored; make them str"
            )
        return "decimal"

    def _see_array(self, value: np.ndarray[Any, Any], number: int) -> str:
        if not value.ndim:
            raise InvalidInputError(
                f"{self.where(number)}, {self.name}: an array without a dimension; an array in a "
                "row is a list, or a list of lists"
            )
        if value.ndim > 1:
            self._of_items().see(list(value), number)
            return "list"
        if value.dtype.kind in "iu" or value.dtype.name in ("float16", "float32", "float64"):
            kind = "int" if value.dtype.kind in "iu" else value.dtype.name.replace("64", "")
            if kind == "int" and len(value):
                self._of_items()._see_integer(int(value.min()), number)
                self._of_items()._see_integer(int(value.max()), number)
            self._of_items().first.setdefault(kind, number)
        else:
            self._of_items().see(array_items(value), number)
        return "list"

    def _of_items(self) -> Kinds:
        self.items = self.items or Kinds(f"the lists of {self.name}", self.where)
        return self.items

    @property
    def _holds(self) -> str:
        return "hold" if self.name.startswith("the lists") else "holds"

    def first_place(self) -> str:
        """Where the first value is; "" where all are null."""
        rows = [row for kind, row in self.first.items() if kind != "null"]
        return self.where(min(rows)) if rows else ""

    def is_mixed(self) -> bool:
        """Whether the values have no common type."""
        try:
            self.type()
        except InvalidInputError:
            return True
        return False

    def type(self, first_kind: bool = False) -> pa.DataType:
        """The Arrow type that holds all values; `first_kind` is that of `Columns.types`.

        Raises:
            InvalidInputError: There are values of two kinds; the message names a row of each.
        """
        kinds = self.first.keys() - {"null"}
        kinds = {_WIDER[kind] if _WIDER.get(kind) in kinds else kind for kind in kinds}
        if kinds & {"datetime", "datetime of nanoseconds"}:
            kinds.discard("date")  # days are midnights among datetimes
        if first_kind and len(kinds) > 1 and not kinds <= _NUMBERS:
            kinds = {next(kind for kind in self.first if kind != "null")}
        if kinds == {"int"} and self.large_row is not None:
            return self._large_integers(first_kind)
        if kinds == {"decimal", "int"}:  # as decimals, which hold integers
            self.digits = max(self.digits, len(str(self.most)))
            kinds = {"decimal"}
        if len(kinds) > 1 and kinds <= _NUMBERS:
            return pa.float32() if kinds == {"float16", "float32"} else pa.float64()
        if len(kinds) > 1:
            (kind, row), (other, other_row) = [
                (kind, row) for kind, row in self.first.items() if kind != "null"
            ][:2]
            raise InvalidInputError(
                f"{self.name} {self._holds} {kind} in {self.where(row)} and {other} in "
                f"{self.where(other_row)}; one column holds one type, and null where there is no "
                "value",
                hint="a JSON column holds any: create(..., json_columns=[...])",
                command_hint="a JSON column holds any: start with --json-column NAME",
            )
        if kinds == {"list"} and self.items is not None:
            return pa.list_(self.items.type(first_kind))
        if kinds == {"dict"}:
            return pa.struct(
                [pa.field(name, inner.type(first_kind)) for name, inner in self.fields.items()]
            )
        if kinds == {"decimal"}:
            digits = max(self.digits + self.scale, 1)
            return (pa.decimal128 if digits <= 38 else pa.decimal256)(digits, self.scale)
        return _SCALARS[next(iter(kinds), "null")]

    def _large_integers(self, first_kind: bool) -> pa.DataType:
        """The type of integers beyond int64: without a sign."""
        if self.negative_row is None or self.large_row is None:
            return pa.uint64()
        if first_kind:
            return pa.int64() if self.negative_row < self.large_row else pa.uint64()
        raise InvalidInputError(
            f"{self.name} {self._holds} an integer beyond {LARGEST} in "
            f"{self.where(self.large_row)} and a negative one in {self.where(self.negative_row)}, "
            "and no type of integers holds both: make them str"
        )


def type_fits(found: pa.DataType, known: pa.DataType) -> bool:
    """Whether each value of the one type is also one of the other, or its conversion fails."""
    types = pa.types
    if found == known or types.is_null(found):
        return True
    if types.is_struct(found) and types.is_struct(known):
        inner = {field.name: field.type for field in known}
        return all(
            field.name in inner and type_fits(field.type, inner[field.name]) for field in found
        )
    if types.is_list(found) and (
        types.is_list(known) or types.is_large_list(known) or types.is_fixed_size_list(known)
    ):
        return type_fits(found.value_type, known.value_type)
    if types.is_decimal(found) and types.is_decimal(known):
        return True
    if types.is_timestamp(found) and types.is_timestamp(known):
        return bool(found.tz == known.tz and (known.unit == "ns" or found.unit != "ns"))
    if types.is_integer(found):
        return bool(types.is_integer(known) or types.is_floating(known))
    if types.is_floating(found):
        return bool(types.is_floating(known) and found.bit_width <= known.bit_width)
    return bool(types.is_string(found) and types.is_large_string(known)) or bool(
        types.is_binary(found) and types.is_large_binary(known)
    )
