"""Values that somebody typed, as values of a column."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pyarrow as pa

from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.csv_types import cell_value
from vecsearch.ingest.sources.jsonl import exact_float
from vecsearch.maintenance.edit import value_of_text


def typed_value(schema: pa.Schema, name: str, text: str) -> Any:
    """A value that was typed, as a cell of CSV or else as `value_of_text` reads it.

    Dates may be written as people write them, and times keep their nanoseconds.

    Raises InvalidInputError for another value, or where there is no such column.
    """
    kind = schema.field(name).type if name in schema.names else pa.null()
    if text.strip() and (pa.types.is_temporal(kind) or pa.types.is_decimal(kind)):
        with contextlib.suppress(pa.ArrowException, TypeError, ValueError, OverflowError):
            return cell_value(text, kind)
    if not pa.types.is_large_string(kind):
        try:
            json.loads(text, parse_float=exact_float)
        except (json.JSONDecodeError, RecursionError):
            pass  # no JSON: a text, such as a date
        except ValueError as error:
            raise InvalidInputError(f"column {name!r}: {error}") from error
    return value_of_text(schema, name, text)
