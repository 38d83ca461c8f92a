"""JSON files: an array of objects, or one object, is a table."""

from __future__ import annotations

from typing import Any

from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.base import Part, SourceFile
from vecsearch.ingest.sources.dicts import rows_part
from vecsearch.ingest.sources.texts import parsed_json


def rows_of(value: Any) -> list[dict[str, Any]] | None:
    """The rows that JSON holds: an array of objects, or one object. None for anything else."""
    if isinstance(value, dict):
        return [value]
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        return value
    return None


def read_json(file: SourceFile) -> Part:
    """The objects of an array, or one object, as rows.

    Raises:
        InvalidInputError: It is not JSON, or neither of these.
    """
    rows = rows_of(parsed_json(file))
    if rows is None:
        raise InvalidInputError(
            f"{file.name} holds neither an array of objects nor an object: give rows as "
            '[{"text": …}, …], or one object per line as .jsonl'
        )
    return rows_part(rows, file.name, file.batch_rows, file.known, file.reading)
