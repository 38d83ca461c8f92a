"""JSON lines: one object per line -> record batches."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from vecsearch.common.json_arrays import from_json, is_binary, needs_type
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.base import Batches, Part, SourceFile
from vecsearch.ingest.sources.dicts import blocks, to_batch
from vecsearch.ingest.sources.encoding import TextFile
from vecsearch.ingest.sources.row_types import Block, Columns, Where


def read_jsonl(file: SourceFile) -> Part:
    """The whole file is read once for columns and types before the first row is converted."""
    text = TextFile.find(file.path, file.name)

    def where(number: int) -> str:
        return f"{file.name}, line {number}"

    columns, total = Columns(where), 0
    typed = _Typed(file.known)
    for block in blocks(_objects(text), file.batch_rows, where):
        columns.see(block)
        typed.see(block, where)
        total += len(block.rows)
    typed.types = {
        name: kind for name, kind in typed.types.items() if columns.kinds.pop(name, None)
    }
    untyped = columns.schema(file.known) if columns.kinds or not typed.types else pa.schema([])

    def read(wanted: pa.Schema) -> Batches:
        for block in blocks(_objects(text), file.batch_rows, where):
            yield typed.added_to(to_batch(block, untyped, where), block)

    schema = pa.schema([*untyped, *typed.types.items()])

    return Part(file.name, total, schema, read)


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

    def added_to(self, batch: pa.RecordBatch, block: Block) -> pa.RecordBatch:
        """The batch with these columns at its end."""
        schema, arrays = batch.schema, batch.columns
        for name, kind in self.types.items():
            schema = schema.append(pa.field(name, kind))
            arrays.append(from_json([row.get(name) for row in block.rows], kind))
        return pa.RecordBatch.from_arrays(arrays, schema=schema)


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


def _objects(file: TextFile) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line numbers and objects; blank lines are left out."""
    with file.open() as text:
        for number, line in enumerate(file.lines(text), 1):
            if not line.strip():
                continue
            try:
                row = _DECODER.decode(line)
            except json.JSONDecodeError as error:
                raise InvalidInputError(
                    f"{file.name}, line {number}: not JSON: {error.msg} at column {error.colno}"
                ) from error
            except (ValueError, RecursionError) as error:
                raise InvalidInputError(f"{file.name}, line {number}: not JSON: {error}") from error
            if not isinstance(row, dict):
                raise InvalidInputError(
                    f"{file.name}, line {number}: a {type(row).__name__}; each line must hold one "
                    'JSON object, such as {"id": 1, "text": "…"}'
                )
            yield number, row


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"duplicate key {repeated!r} in an object")
    return row


_DECODER = json.JSONDecoder(object_pairs_hook=_unique_keys)
