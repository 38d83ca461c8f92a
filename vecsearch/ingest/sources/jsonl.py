"""JSON lines: one object per line -> record batches."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from vecsearch.common.json_arrays import from_json, is_binary, needs_type
from vecsearch.common.json_column import unique_keys
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.base import Batches, Located, Part, SourceFile
from vecsearch.ingest.sources.csv_types import DateColumn, iso_dates
from vecsearch.ingest.sources.dicts import blocks, fitting_batch
from vecsearch.ingest.sources.encoding import TextFile
from vecsearch.ingest.sources.plain import is_text
from vecsearch.ingest.sources.reading import Place
from vecsearch.ingest.sources.row_types import Block, Columns, Row, Where
from vecsearch.storage.widening import holds_days
from vecsearch.types import BEIR_ID


def read_jsonl(file: SourceFile) -> Part:
    """The whole file is read once for columns and types before the first row is converted."""
    text = TextFile.find(file.path, file.name, file.reading)

    def place(number: int) -> Place:
        return Place(file.name, line=number)

    def where(number: int) -> str:
        return str(place(number))

    def noted(number: int, error: InvalidInputError) -> None:
        file.reading.fail(error, place(number))

    def read_before(number: int, error: InvalidInputError) -> None:
        if not file.reading.skips:
            raise error

    columns, total = Columns(where, file.known, lenient=file.reading.skips), 0
    typed = _Typed(file.known)
    dates: dict[str, DateColumn] = {}
    for block in blocks(_objects(text, noted), file.batch_rows, where):
        columns.see(block)
        typed.see(block, where)
        for name in columns.kinds:
            dates.setdefault(name, DateColumn()).see([row.get(name) for row in block.rows])
        total += len(block.rows)
    typed.types = {
        name: kind for name, kind in typed.types.items() if columns.kinds.pop(name, None)
    }
    schema = pa.schema([])
    if columns.kinds or not typed.types:
        schema = columns.schema(file.known, first_kind=file.reading.skips)
    dated = _dated(schema, dates, file)
    whole = pa.schema([*dated, *typed.types.items()])

    def read(wanted: pa.Schema) -> Batches:
        for block in blocks(_objects(text, read_before), file.batch_rows, where):
            batch, numbers = fitting_batch(block, schema, where, noted, columns.bad)
            arrays = [
                column
                if column.type == field.type
                else iso_dates(column, field.type).cast(field.type)
                for column, field in zip(batch.columns, dated, strict=True)
            ]
            kept = set(numbers)
            rows = [
                row for number, row in zip(block.numbers, block.rows, strict=True) if number in kept
            ]
            arrays += typed.arrays(rows)
            found = pa.RecordBatch.from_arrays(arrays, schema=whole)
            yield Located(found, numbers, [row.keys() for row in rows])

    firsts = {name: kinds.first_place() for name, kinds in columns.kinds.items()}
    known = {name: place for name, place in firsts.items() if place}
    return Part(file.name, total, whole, read, firsts=known)


def _dated(schema: pa.Schema, dates: dict[str, DateColumn], file: SourceFile) -> pa.Schema:
    """The schema with the columns of texts that all are dates as dates.

    Ids and texts to embed stay texts, and so do columns that are known to be.
    """
    known = {
        field.name: field.type for field in file.known or () if not pa.types.is_null(field.type)
    }
    fields = []
    for field in schema:
        found = dates[field.name].type() if is_text(field.type) else None
        stated = known.get(field.name, found)
        is_date = stated is not None and found is not None and holds_days(stated, found)
        if is_date and pa.types.is_date32(found):
            found = stated  # days in a column of moments
        special = field.name in (file.reading.id_column, BEIR_ID, file.text_column)
        fields.append(field.with_type(found) if is_date and not special else field)
    return pa.schema(fields)


class _Typed:
    """Columns of known types that JSON does not have, such as dates and bytes, as `export` writes.

    A column with a value of another form is left to the types of its values. Text that is not
    base64 is refused in a column of bytes.

    Attributes:
        types: The columns so far in which every value has the form.
    """

    def __init__(self, known: pa.Schema | None) -> None:
        self.types: dict[str, pa.DataType] = {
            field.name: field.type for field in known or () if needs_type(field.type)
        }

    def see(self, block: Block, where: Where) -> None:
        """Drop the columns in which a value of these rows has another form.

        Raises:
            InvalidInputError: A value of a column of bytes is not base64.
        """
        for name, kind in list(self.types.items()):
            try:
                from_json([row.get(name) for row in block.rows], kind)
            except _NOT_OF_THE_TYPE:
                if is_binary(kind):
                    _refuse_bytes(block, name, kind, where)
                del self.types[name]

    def arrays(self, rows: Sequence[Row]) -> list[pa.Array]:
        """These columns of the rows."""
        return [
            from_json([row.get(name) for row in rows], kind) for name, kind in self.types.items()
        ]


_NOT_OF_THE_TYPE = (ValueError, TypeError, AttributeError, KeyError, pa.ArrowException)


def _refuse_bytes(block: Block, name: str, kind: pa.DataType, where: Where) -> None:
    for number, row in zip(block.numbers, block.rows, strict=True):
        try:
            from_json([row.get(name)], kind)
        except _NOT_OF_THE_TYPE as error:
            raise InvalidInputError(
                f"{where(number)}, column {name!r}: {str(row.get(name))[:40]!r} is not base64 of "
                f"{kind}; JSON lines hold bytes in base64"
            ) from error


def _objects(
    file: TextFile, failed: Callable[[int, InvalidInputError], None]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line numbers and objects; blank lines are left out.

    `failed` is called with the lines that are not objects, which are left out if it returns.
    """
    with file.open() as text:
        for number, line in enumerate(file.lines(text), 1):
            if not line.strip():
                continue
            try:
                yield number, _object(line, f"{file.name}, line {number}")
            except InvalidInputError as error:
                failed(number, error)


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        row = _DECODER.decode(line.rstrip())
        if _LARGE_EXPONENT.search(line):
            _CAREFUL_DECODER.decode(line)
    except json.JSONDecodeError as error:
        raise InvalidInputError(
            f"{where}: not JSON: {error.msg.removesuffix(' at')} at column {error.colno}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"{where}: not JSON: {error}") from error
    if not isinstance(row, dict):
        raise InvalidInputError(
            f"{where}: a {type(row).__name__}; each line must hold one JSON object, such as "
            '{"id": 1, "text": "…"}'
        )
    return row


def exact_float(text: str) -> float:
    """A number. Raises ValueError for one that Python would make infinity or zero."""
    value = float(text)
    if math.isinf(value) or (value == 0 and text.lower().partition("e")[0].strip("-0.")):
        raise ValueError(f"the number {text} is outside the range of 64-bit floats")
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=unique_keys)
_LARGE_EXPONENT = re.compile(r"\d[eE][+-]?\d{3}")
_CAREFUL_DECODER = json.JSONDecoder(parse_float=exact_float)
