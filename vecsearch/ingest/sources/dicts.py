"""Rows of Python values -> record batches, with types found from the values."""

from __future__ import annotations

import datetime as dt
import operator
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from vecsearch.common.json_column import NotJsonError, is_json, json_array, type_name
from vecsearch.common.pictures import is_picture, to_png
from vecsearch.common.show import shown
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.base import Batches, Located, Part, blocks_of
from vecsearch.ingest.sources.reading import Place, Reading
from vecsearch.ingest.sources.row_types import (
    LARGEST_UNSIGNED,
    PLAIN_KINDS,
    Block,
    Columns,
    Kinds,
    Row,
    Where,
    type_fits,
)
from vecsearch.ingest.sources.values import (
    array_items,
    is_missing,
    is_nan,
    nanoseconds,
    plain_value,
    row_name,
)
from vecsearch.storage.schema import storage_type
from vecsearch.storage.widening import MisfitError, exact_cast, first_misfit

FROM_A_LIST = "give the rows as a list, or as a pyarrow.RecordBatchReader, which states its types"
_LEFT = {type(None), bool, int, float, str, bytes}  # items of lists that need no conversion
Failed = Callable[[int, InvalidInputError], None]
_CONVERSION_ERRORS = (pa.ArrowException, TypeError, ValueError, OverflowError)


def blocks(
    rows: Iterable[tuple[int, Any]], batch_rows: int, where: Where, failed: Failed | None = None
) -> Iterator[Block]:
    """Numbered rows in blocks of batch_rows, or of fewer when they hold much text.

    `failed` is called with rows that are no mappings, which are left out if it returns.

    Raises:
        InvalidInputError: A row is not a mapping, and `failed` is None.
    """
    for block in blocks_of(_mappings(rows, where, failed), batch_rows, _chars):
        yield Block([number for number, _ in block], [row for _, row in block])


def _mappings(
    rows: Iterable[tuple[int, Any]], where: Where, failed: Failed | None
) -> Iterator[tuple[int, Row]]:
    for number, row in rows:
        if isinstance(row, Mapping):
            yield number, row
            continue
        error = InvalidInputError(
            f"{where(number)} is a {type(row).__name__}; the rows before it are dicts: make it one"
        )
        if failed is None:
            raise error
        failed(number, error)


def _chars(row: tuple[int, Row]) -> int:
    texts = sum(len(value) for value in row[1].values() if isinstance(value, (str, bytes)))
    for value in row[1].values():
        texts += 3 * int(value.width * value.height) if is_picture(value) else 0
    return texts


def to_batch(block: Block, schema: pa.Schema, where: Where) -> pa.RecordBatch:
    """The rows in that schema.

    Raises:
        InvalidInputError: A value does not fit; the message names row and column.
    """
    arrays = [
        to_array([row.get(field.name) for row in block.rows], field, block.numbers, where)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def fitting_batch(
    block: Block,
    schema: pa.Schema,
    where: Where,
    failed: Failed,
    bad: Mapping[int, InvalidInputError] | None = None,
) -> tuple[pa.RecordBatch, list[int]]:
    """The rows that fit the schema, and their numbers.

    `failed` is called with those that do not fit, which are left out if it returns. `bad` holds
    the errors of rows that are known not to fit.
    """
    bad = {} if bad is None else bad
    left_out = bad.keys() & set(block.numbers) if bad else set()
    for number in sorted(left_out):
        failed(number, bad[number])
    if left_out:
        kept = [
            pair for pair in zip(block.numbers, block.rows, strict=True) if pair[0] not in left_out
        ]
        block = Block([number for number, _ in kept], [row for _, row in kept])
    try:
        return to_batch(block, schema, where), block.numbers
    except InvalidInputError:
        fitting = Block([], [])
        for number, row in zip(block.numbers, block.rows, strict=True):
            try:
                to_batch(Block([number], [row]), schema, where)
            except InvalidInputError as error:
                failed(number, error)
            else:
                fitting.numbers.append(number)
                fitting.rows.append(row)
        return to_batch(fitting, schema, where), fitting.numbers


def to_array(values: list[Any], field: pa.Field, numbers: Sequence[int], where: Where) -> pa.Array:
    """A column of the rows with these numbers. Raises InvalidInputError like to_batch."""
    if is_json(field.type):
        return _json_column(values, field, numbers, where)
    if pa.types.is_map(field.type):
        return _maps(values, field, numbers, where)
    given = values
    kinds = set(map(type, values))
    if float in kinds or any(kind not in PLAIN_KINDS for kind in kinds):
        try:
            values = [None if is_nan(value) else _for_arrow(value) for value in values]
        except InvalidInputError:
            _name_picture(values, field, numbers, where)
            raise
        if "timestamp" in str(field.type):
            values = [_with_moments(value) for value in values]
    try:
        return pa.array(values, field.type)
    except _CONVERSION_ERRORS as error:
        if pa.types.is_floating(field.type):  # Arrow takes no integers beyond 2**53, equal or not
            floats = [_equal_float(value) for value in values]
            if any(map(operator.is_not, floats, values)):
                return to_array(floats, field, numbers, where)
        for number, value, original in zip(numbers, values, given, strict=True):
            try:
                pa.array([value], field.type)
            except _CONVERSION_ERRORS as reason:
                Kinds(f"column {field.name!r}", where, is_column=True).see([original], number)
                raise InvalidInputError(
                    f"{where(number)}, column {field.name!r}: "
                    f"{_explained(reason, original, field.type)}"
                ) from reason
        raise InvalidInputError(
            f"column {field.name!r}: {_explained(error, None, field.type)}"
        ) from error


def _maps(values: list[Any], field: pa.Field, numbers: Sequence[int], where: Where) -> pa.Array:
    """Maps of the type that is stated for them: none of their keys and values changes."""
    name, rows, pairs, ends = f"column {field.name!r}", [], [], [0]
    for value, number in zip(values, numbers, strict=True):
        given = None if is_nan(value) or is_missing(value) else plain_value(value)
        if isinstance(given, Mapping):
            given = list(given.items())
        try:
            found = [] if given is None else [(key, item) for key, item in given]
        except (TypeError, ValueError) as error:
            raise InvalidInputError(
                f"{where(number)}, {name}: {shown(value)} is no map; give a dict, or a list of "
                "pairs"
            ) from error
        rows.append(given is None)
        pairs += [(number, key, item) for key, item in found]
        ends.append(len(pairs))
    of = [number for number, _, _ in pairs]
    keys = _map_part(
        [key for _, key, _ in pairs], field.type.key_type, of, where, f"a key of {name}"
    )
    items = _map_part(
        [item for _, _, item in pairs], field.type.item_type, of, where, f"a value of {name}"
    )
    if keys.null_count:
        raise InvalidInputError(f"{name}: a key of a map is missing")
    offsets = pa.array(ends, pa.int32(), mask=np.array([*rows, False], bool))
    return pa.MapArray.from_arrays(offsets, keys, items, type=field.type)


def _map_part(
    values: list[Any], kind: pa.DataType, numbers: Sequence[int], where: Where, name: str
) -> pa.Array:
    """The keys or values of maps; `numbers` are those of their rows."""
    seen = Kinds(name, where)
    for value, number in zip(values, numbers, strict=True):
        seen.see([value], number)
    found = pa.field(name, kind if pa.types.is_map(kind) else storage_type(seen.type()))
    array = to_array(values, found, numbers, where)
    try:
        return exact_cast(array, kind)
    except MisfitError as error:
        row = first_misfit(array, lambda part: exact_cast(part, kind)) or 0
        raise InvalidInputError(
            f"{where(numbers[row])}, {name}: {shown(values[row])} cannot be stored as "
            f"{type_name(kind)} without a change"
        ) from error


def _name_picture(values: list[Any], field: pa.Field, numbers: Sequence[int], where: Where) -> None:
    """Raises InvalidInputError for a picture that cannot be stored, with its row."""
    for number, value in zip(numbers, values, strict=True):
        try:
            _for_arrow(value)
        except InvalidInputError as error:
            error.args = (
                f"{where(number)}, column {field.name!r}: {error.message}",
                *error.args[1:],
            )
            raise


def _json_column(
    values: list[Any], field: pa.Field, numbers: Sequence[int], where: Where
) -> pa.Array:
    try:
        return json_array(
            None if is_nan(value) or is_missing(value) else plain_value(value) for value in values
        )
    except NotJsonError as error:
        raise InvalidInputError(
            f"{where(numbers[error.row])}, column {field.name!r}: {error}"
        ) from error


def _for_arrow(value: Any) -> Any:
    """The value as pyarrow can convert it: None for missing values, datetime for numpy's dates, and
    arrays in native byte order."""
    if is_missing(value):
        return None
    value = plain_value(value)
    if isinstance(value, (np.datetime64, np.timedelta64)):
        kind = value.dtype.kind
        if nanoseconds(value):
            fine = value.astype(f"{kind}8[ns]")
            if fine != value:
                raise ValueError(f"{value} is finer than nanoseconds")
            return pa.scalar(fine)
        return value.astype(f"{kind}8[us]").item()
    if isinstance(value, uuid.UUID):
        return str(value)
    if is_picture(value):
        return to_png(value)
    if type(value) in (list, tuple):  # tuples stay, as the pairs of maps
        return type(value)(item if type(item) in _LEFT else _for_arrow(item) for item in value)
    if isinstance(value, Mapping):
        return {key: _for_arrow(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        if value.ndim > 1:
            return [_for_arrow(item) for item in value]
        if value.dtype.kind in "iuf":
            return value.astype(value.dtype.newbyteorder("="))
        return [_for_arrow(item) for item in array_items(value)]
    return value


def _with_moments(value: Any) -> Any:
    """The value with datetimes at midnight for its dates; Arrow takes them as dates, too."""
    if type(value) is dt.date:
        return dt.datetime(value.year, value.month, value.day)
    if type(value) in (list, tuple):
        return type(value)(map(_with_moments, value))
    if isinstance(value, dict):
        return {key: _with_moments(item) for key, item in value.items()}
    return value


def _equal_float(value: Any) -> Any:
    """The float that a large integer equals; other values as they are."""
    is_large = type(value) is int and 2**53 < abs(value) <= LARGEST_UNSIGNED
    return float(value) if is_large and int(float(value)) == value else value


def _explained(error: BaseException, value: Any, kind: pa.DataType) -> str:
    if isinstance(error, UnicodeEncodeError):
        letter = error.object[error.start]
        return f"the text has {letter!r}, half a character (a lone surrogate); replace it"
    if isinstance(value, (int, np.integer)):
        return f"the integer {value} cannot be stored as {kind} without a change; make it a str"
    if isinstance(error, OverflowError) or "PyLong is too large" in str(error):
        return f"an integer is outside the range of {kind}; make it a str"
    return str(error)


def rows_part(
    rows: Sequence[Any], name: str, batch_rows: int, known: pa.Schema | None, reading: Reading
) -> Part:
    """A list of dicts. All of them are read for the types before the first is converted."""
    columns = Columns(row_name, known, lenient=reading.skips)
    for block in blocks(enumerate(rows), batch_rows, row_name, _passing(reading)):
        columns.see(block)
    schema = columns.schema(known, first_kind=reading.skips)

    def read(wanted: pa.Schema) -> Batches:
        for block in blocks(enumerate(rows), batch_rows, row_name, _noting(reading)):
            yield located(block, schema, reading, columns.bad)

    return Part(name, len(rows), schema, read)


def located(
    block: Block,
    schema: pa.Schema,
    reading: Reading,
    bad: Mapping[int, InvalidInputError] | None = None,
) -> Located:
    """The rows that fit the schema; those that do not are noted, or raised."""
    batch, numbers = fitting_batch(block, schema, row_name, _noting(reading), bad)
    if reading.given is None:
        return Located(batch, numbers)
    rows = dict(zip(block.numbers, block.rows, strict=True))
    return Located(batch, numbers, [rows[number].keys() for number in numbers])


def _noting(reading: Reading) -> Failed:
    return lambda number, error: reading.fail(error, Place(row=number))


def _passing(reading: Reading) -> Failed | None:
    """What to do about a bad row in a first pass, if another notes it."""
    return (lambda number, error: None) if reading.skips else None


def iterator_part(
    rows: Iterator[Any], name: str, batch_rows: int, known: pa.Schema | None, reading: Reading
) -> Part:
    """An iterator of dicts, which can be read only once.

    The first batch decides columns and types; a later row that does not fit them is an error.
    """
    stream = blocks(enumerate(rows), batch_rows, row_name, _noting(reading))
    first = next(stream, Block([], []))
    columns = Columns(row_name, known, lenient=reading.skips)
    columns.see(first)
    schema = columns.schema(known, first_kind=reading.skips)

    def read(wanted: pa.Schema) -> Batches:
        if first.rows:
            yield located(first, schema, reading, columns.bad)
        for block in stream:
            if not reading.skips:
                _check_fits(block, schema)
            else:
                block = _fitting(block, schema, reading)
            yield located(block, schema, reading)

    return Part(name, None, schema, read)


def _check_fits(block: Block, schema: pa.Schema) -> None:
    later = Columns(row_name, schema)
    later.see(block)
    for name, found in later.types(schema).items():
        known = schema.field(name).type if name in schema.names else pa.null()
        misfit = None if type_fits(found, known) else _first_misfit(block, name, known)
        if misfit is None:
            continue
        number, kind = misfit
        if name not in schema.names:
            problem = (
                f"{row_name(number)} has the column {name!r}, which no row of the first batch has"
            )
        else:
            before = "only None" if pa.types.is_null(known) else known
            problem = (
                f"{row_name(number)}, column {name!r}: {kind} where the first batch has {before}"
            )
        raise InvalidInputError(
            f"{problem}. An iterator's first batch decides its columns and types: {FROM_A_LIST}"
        )


def _fitting(block: Block, schema: pa.Schema, reading: Reading) -> Block:
    """The rows that fit the first batch's columns; the others are noted."""
    try:
        _check_fits(block, schema)
        return block
    except InvalidInputError:
        fitting = Block([], [])
        for number, row in zip(block.numbers, block.rows, strict=True):
            try:
                _check_fits(Block([number], [row]), schema)
            except InvalidInputError as error:
                reading.fail(error, Place(row=number))
            else:
                fitting.numbers.append(number)
                fitting.rows.append(row)
        return fitting


def _first_misfit(block: Block, name: str, known: pa.DataType) -> tuple[int, pa.DataType] | None:
    for number, row in zip(block.numbers, block.rows, strict=True):
        alone = Kinds(f"column {name!r}", row_name, is_column=True)
        alone.see([row.get(name)], number)
        if not type_fits(alone.type(), known):
            return number, alone.type()
    return None
