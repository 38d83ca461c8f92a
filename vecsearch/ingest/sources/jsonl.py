"""JSON lines: one object per line -> record batches."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.base import Batches, Located, Part, SourceFile
from vecsearch.ingest.sources.csv_types import DateColumn, iso_dates
from vecsearch.ingest.sources.dicts import blocks, fitting_batch
from vecsearch.ingest.sources.encoding import TextFile
from vecsearch.ingest.sources.plain import is_text
from vecsearch.ingest.sources.reading import Place
from vecsearch.ingest.sources.row_types import Columns
from vecsearch.types import BEIR_ID, ID


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

    columns, total = Columns(where), 0
    dates: dict[str, DateColumn] = {}
    for block in blocks(_objects(text, noted), file.batch_rows, where):
        columns.see(block)
        for name in columns.kinds:
            dates.setdefault(name, DateColumn()).see([row.get(name) for row in block.rows])
        total += len(block.rows)
    schema = columns.schema(file.known, first_kind=file.reading.skips)
    dated = _dated(schema, dates, file)

    def read(wanted: pa.Schema) -> Batches:
        for block in blocks(_objects(text, read_before), file.batch_rows, where):
            batch, numbers = fitting_batch(block, schema, where, noted)
            arrays = [
                column
                if column.type == field.type
                else iso_dates(column, field.type).cast(field.type)
                for column, field in zip(batch.columns, dated, strict=True)
            ]
            yield Located(pa.RecordBatch.from_arrays(arrays, schema=dated), numbers)

    return Part(file.name, total, dated, read)


def _dated(schema: pa.Schema, dates: dict[str, DateColumn], file: SourceFile) -> pa.Schema:
    """The schema with the columns of texts that all are dates as dates.

    Ids and texts to embed stay texts, and so do columns that are known to be.
    """
    known = {} if file.known is None else {field.name: field.type for field in file.known}
    fields = []
    for field in schema:
        found = dates[field.name].type() if is_text(field.type) else None
        stated = known.get(field.name, found)
        is_date = stated is not None and stated == found
        special = field.name in (ID, BEIR_ID, file.text_column)
        fields.append(field.with_type(found) if is_date and not special else field)
    return pa.schema(fields)


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
        row = _DECODER.decode(line)
    except json.JSONDecodeError as error:
        raise InvalidInputError(
            f"{where}: not JSON: {error.msg} at column {error.colno}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"{where}: not JSON: {error}") from error
    if not isinstance(row, dict):
        raise InvalidInputError(
            f"{where}: a {type(row).__name__}; each line must hold one JSON object, such as "
            '{"id": 1, "text": "…"}'
        )
    return row


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"duplicate key {repeated!r} in an object")
    return row


_DECODER = json.JSONDecoder(object_pairs_hook=_unique_keys)
