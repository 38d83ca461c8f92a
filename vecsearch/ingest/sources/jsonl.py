"""JSON lines: one object per line -> record batches."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.base import Batches, Part, SourceFile
from vecsearch.ingest.sources.dicts import blocks, to_batch
from vecsearch.ingest.sources.encoding import TextFile
from vecsearch.ingest.sources.row_types import Columns


def read_jsonl(file: SourceFile) -> Part:
    """The whole file is read once for columns and types before the first row is converted."""
    text = TextFile.find(file.path, file.name)

    def where(number: int) -> str:
        return f"{file.name}, line {number}"

    columns, total = Columns(where), 0
    for block in blocks(_objects(text), file.batch_rows, where):
        columns.see(block)
        total += len(block.rows)
    schema = columns.schema(file.known)

    def read(wanted: pa.Schema) -> Batches:
        for block in blocks(_objects(text), file.batch_rows, where):
            yield to_batch(block, schema, where)

    return Part(file.name, total, schema, read)


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
