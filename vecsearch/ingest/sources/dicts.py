"""Rows of Python values -> record batches: types are found from the values, and values that do not go together are named."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.base import MAX_BATCH_CHARS, Batches, Part

Row = Mapping[str, Any]
Where = Callable[
    [int], str
]  # from a row's number to how a message names it: "row 7", "papers.jsonl, line 8"
FROM_A_LIST = "give the rows as a list, or as a pyarrow.RecordBatchReader, which states its types"


def row_name(number: int) -> str:
    return f"row {number}"


@dataclass
class Block:
    """Some rows in a row, with their numbers."""

    numbers: list[int]
    rows: list[Row]


def blocks(rows: Iterable[tuple[int, Any]], batch_rows: int, where: Where) -> Iterator[Block]:
    """Numbered rows in blocks of batch_rows, or of less when they hold much text. Raises InvalidInputError for a row that is
    no mapping."""
    block, chars = Block([], []), 0
    for number, row in rows:
        if not isinstance(row, Mapping):
            raise InvalidInputError(
                f"{where(number)} is a {type(row).__name__}; the rows before it are dicts: make it one"
            )
        block.numbers.append(number)
        block.rows.append(row)
        chars += sum(len(value) for value in row.values() if isinstance(value, (str, bytes)))
        if len(block.rows) == batch_rows or chars >= MAX_BATCH_CHARS:
            yield block
            block, chars = Block([], []), 0
    if block.rows:
        yield block


class Columns:
    """The columns seen in rows so far, in the order they first appeared, and what kinds of values each has held."""

    def __init__(self, where: Where) -> None:
        self.where = where
        self.kinds: dict[str, Kinds] = {}
        self.first_row: int | None = None

    def see(self, block: Block) -> None:
        self.first_row = block.numbers[0] if self.first_row is None else self.first_row
        for name in dict.fromkeys(chain.from_iterable(block.rows)):
            if not isinstance(name, str):
                number = next(
                    n for n, row in zip(block.numbers, block.rows, strict=True) if name in row
                )
                raise InvalidInputError(
                    f"{self.where(number)}: the column name {name!r} is a {type(name).__name__}; it must be a str"
                )
            kinds = self.kinds.setdefault(name, Kinds(f"column {name!r}", self.where))
            kinds.see([row.get(name) for row in block.rows], block.numbers)

    def types(self) -> dict[str, pa.DataType]:
        """The type of each column. Raises InvalidInputError naming two rows whose values do not go together."""
        return {name: kinds.type() for name, kinds in self.kinds.items()}

    def schema(self, known: pa.Schema | None) -> pa.Schema:
        """The same as a schema, in which a column that held only None takes its type from `known`. Raises InvalidInputError
        where there are rows but no column."""
        if self.first_row is not None and not self.kinds:
            raise InvalidInputError(
                f"{self.where(self.first_row)} is an empty dict, as are those after it: a row needs a column"
            )
        stated = {} if known is None else {field.name: field.type for field in known}
        return pa.schema(
            [
                (name, stated.get(name, kind) if pa.types.is_null(kind) else kind)
                for name, kind in self.types().items()
            ]
        )


_SCALARS: dict[str, pa.DataType] = {
    "null": pa.null(),
    "bool": pa.bool_(),
    "int": pa.int64(),
    "float16": pa.float16(),
    "float32": pa.float32(),
    "float": pa.float64(),
    "str": pa.string(),
    "bytes": pa.binary(),
    "date": pa.date32(),
    "datetime": pa.timestamp("us"),
    "datetime with a time zone": pa.timestamp("us", "UTC"),
}
_NUMBERS = {"int", "float16", "float32", "float"}
_BY_TYPE: dict[type, str] = {
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
    (np.datetime64, "datetime"),
    (dt.date, "date"),
]


class Kinds:
    """The kinds of values one place (a column, the items of a list, a field of a dict) has held, and where each was first."""

    def __init__(self, name: str, where: Where) -> None:
        self.name = name
        self.where = where
        self.first: dict[str, int] = {}
        self.items: Kinds | None = None
        self.fields: dict[str, Kinds] = {}

    def see(self, values: Sequence[Any], numbers: Sequence[int] | int) -> None:
        """Note the values; `numbers` are their rows' numbers, or the one row they all stand in."""
        plain = {_BY_TYPE.get(kind) for kind in set(map(type, values))}
        if None not in plain and plain <= self.first.keys():
            return
        for at, value in enumerate(values):
            kind = _BY_TYPE.get(type(value))
            number = numbers if isinstance(numbers, int) else numbers[at]
            if kind is None:
                kind = self._look_inside(value, number)
            self.first.setdefault(kind, number)

    def _look_inside(self, value: Any, number: int) -> str:
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
                self.fields.setdefault(key, Kinds(f"{self.name}, field {key!r}", self.where)).see(
                    [inner], number
                )
            return "dict"
        if isinstance(value, dt.datetime) and not _is_missing(value):
            return "datetime" if value.tzinfo is None else "datetime with a time zone"
        if _is_missing(value):
            return "null"
        for base, kind in _BY_BASE:
            if isinstance(value, base):
                return kind
        raise InvalidInputError(
            f"{self.where(number)}, {self.name}: a value of type {type(value).__name__} cannot be stored; make it a str, "
            "number, bool, date, datetime, list or dict"
        )

    def _see_array(self, value: np.ndarray[Any, Any], number: int) -> str:
        if value.ndim != 1:
            raise InvalidInputError(
                f"{self.where(number)}, {self.name}: an array of shape {value.shape}; an array in a row must have one dimension"
            )
        if value.dtype.kind in "iu" or value.dtype.name in ("float16", "float32", "float64"):
            kind = "int" if value.dtype.kind in "iu" else value.dtype.name.replace("64", "")
            self._of_items().first.setdefault(kind, number)
        else:
            self._of_items().see(value.tolist(), number)
        return "list"

    def _of_items(self) -> Kinds:
        self.items = self.items or Kinds(f"the lists of {self.name}", self.where)
        return self.items

    def type(self) -> pa.DataType:
        """The Arrow type that holds all values. Raises InvalidInputError naming two rows that do not go together."""
        kinds = self.first.keys() - {"null"}
        if len(kinds) > 1 and kinds <= _NUMBERS:
            return pa.float32() if kinds == {"float16", "float32"} else pa.float64()
        if len(kinds) > 1:
            (one, at), (other, then) = [
                (kind, row) for kind, row in self.first.items() if kind != "null"
            ][:2]
            raise InvalidInputError(
                f"{self.name} holds {one} in {self.where(at)} and {other} in {self.where(then)}; one column holds one type, "
                "and None where there is no value"
            )
        if kinds == {"list"} and self.items is not None:
            return pa.list_(self.items.type())
        if kinds == {"dict"}:
            return pa.struct([pa.field(name, inner.type()) for name, inner in self.fields.items()])
        return _SCALARS[next(iter(kinds), "null")]


def _is_missing(value: Any) -> bool:
    """Whether it is pandas' or numpy's mark of a missing value (pandas is not imported for it)."""
    return type(value).__name__ in ("NaTType", "NAType") or (
        isinstance(value, np.datetime64) and bool(np.isnat(value))
    )


def to_batch(block: Block, schema: pa.Schema, where: Where) -> pa.RecordBatch:
    """The rows in that schema. Raises InvalidInputError naming row and column of a value that does not fit."""
    arrays = [
        to_array([row.get(field.name) for row in block.rows], field, block.numbers, where)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def to_array(values: list[Any], field: pa.Field, numbers: Sequence[int], where: Where) -> pa.Array:
    if any(kind not in _BY_TYPE for kind in set(map(type, values))):
        values = [_arrow_knows(value) for value in values]
    try:
        return pa.array(values, field.type)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        for number, value in zip(numbers, values, strict=True):
            try:
                pa.array([value], field.type)
            except (pa.ArrowException, TypeError, ValueError, OverflowError) as reason:
                raise InvalidInputError(
                    f"{where(number)}, column {field.name!r}: {_explained(reason)}"
                ) from reason
        raise InvalidInputError(f"column {field.name!r}: {_explained(error)}") from error


def _arrow_knows(value: Any) -> Any:
    """The value as pyarrow converts it: missing marks are None, numpy's dates datetimes, its arrays in native byte order."""
    if _is_missing(value):
        return None
    if isinstance(value, np.datetime64):
        return value.astype("datetime64[us]").item()
    if isinstance(value, np.ndarray):
        return (
            value.astype(value.dtype.newbyteorder("="))
            if value.dtype.kind in "iuf"
            else value.tolist()
        )
    return value


def _explained(error: BaseException) -> str:
    if isinstance(error, UnicodeEncodeError):
        return f"the text holds {error.object[error.start]!r}, half a character (a lone surrogate); replace it"
    if isinstance(error, OverflowError):
        return "the integer is outside the 64-bit range; make it a str"
    return str(error)


def rows_part(rows: Sequence[Any], name: str, batch_rows: int, known: pa.Schema | None) -> Part:
    """A list of dicts. All of them are looked at for the types, before the first is converted."""
    columns = Columns(row_name)
    for block in blocks(enumerate(rows), batch_rows, row_name):
        columns.see(block)
    schema = columns.schema(known)

    def read(wanted: pa.Schema) -> Batches:
        for block in blocks(enumerate(rows), batch_rows, row_name):
            yield to_batch(block, schema, row_name)

    return Part(name, len(rows), schema, read)


def iterator_part(rows: Iterator[Any], name: str, batch_rows: int, known: pa.Schema | None) -> Part:
    """An iterator of dicts. It can be gone through only once, so the first batch decides columns and types, and a later row
    that does not fit them is an error."""
    stream = blocks(enumerate(rows), batch_rows, row_name)
    first = next(stream, Block([], []))
    columns = Columns(row_name)
    columns.see(first)
    schema = columns.schema(known)

    def read(wanted: pa.Schema) -> Batches:
        if first.rows:
            yield to_batch(first, schema, row_name)
        for block in stream:
            _check_fits(block, schema)
            yield to_batch(block, schema, row_name)

    return Part(name, None, schema, read)


def _check_fits(block: Block, schema: pa.Schema) -> None:
    later = Columns(row_name)
    later.see(block)
    for name, found in later.types().items():
        known = schema.field(name).type if name in schema.names else pa.null()
        misfit = None if _fits(found, known) else _first_misfit(block, name, known)
        if misfit is None:
            continue
        number, kind = misfit
        if name not in schema.names:
            problem = (
                f"{row_name(number)} has the column {name!r}, which no row of the first batch has"
            )
        else:
            was = "only None" if pa.types.is_null(known) else known
            problem = f"{row_name(number)}, column {name!r}: {kind} where the first batch has {was}"
        raise InvalidInputError(
            f"{problem}. An iterator's first batch decides its columns and types: {FROM_A_LIST}"
        )


def _first_misfit(block: Block, name: str, known: pa.DataType) -> tuple[int, pa.DataType] | None:
    for number, row in zip(block.numbers, block.rows, strict=True):
        alone = Kinds(f"column {name!r}", row_name)
        alone.see([row.get(name)], number)
        if not _fits(alone.type(), known):
            return number, alone.type()
    return None


def _fits(found: pa.DataType, known: pa.DataType) -> bool:
    """Whether every value of the one type is one of the other, or is refused by the conversion."""
    types = pa.types
    if found == known or types.is_null(found):
        return True
    if types.is_struct(found) and types.is_struct(known):
        inner = {field.name: field.type for field in known}
        return all(field.name in inner and _fits(field.type, inner[field.name]) for field in found)
    if types.is_list(found) and (
        types.is_list(known) or types.is_large_list(known) or types.is_fixed_size_list(known)
    ):
        return _fits(found.value_type, known.value_type)
    if types.is_integer(found):
        return bool(types.is_integer(known) or types.is_floating(known))
    if types.is_floating(found):
        return bool(types.is_floating(known) and found.bit_width <= known.bit_width)
    return bool(types.is_string(found) and types.is_large_string(known)) or bool(
        types.is_binary(found) and types.is_large_binary(known)
    )
