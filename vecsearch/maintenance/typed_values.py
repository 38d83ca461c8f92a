"""Values that somebody typed, or that JSON holds, as values of a column."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pyarrow as pa

from vecsearch.common.json_arrays import from_json, needs_type
from vecsearch.common.show import shown
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.csv_types import cell_value
from vecsearch.ingest.sources.jsonl import exact_float


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


def value_of_text(schema: pa.Schema, name: str, text: str) -> Any:
    """A value that was typed: a text is as it is, others are as `export` writes them in JSON lines.

    Raises InvalidInputError for another value, or where there is no such column.
    """
    if name not in schema.names:
        return text  # the update says what is wrong with the name
    kind = schema.field(name).type
    if pa.types.is_large_string(kind):
        return text
    try:
        value = json.loads(text)
    except ValueError:
        value = text  # such as a date, which needs no quotes
    except RecursionError as error:
        raise InvalidInputError(f"column {name!r}: {shown(text)} is too deep") from error
    return value_of_json(schema, name, value)


def value_of_json(schema: pa.Schema, name: str, value: Any) -> Any:
    """A column's new value, or several, from JSON: dates are in ISO 8601, bytes in base64.

    Raises InvalidInputError for another value.
    """
    if value is None or name not in schema.names or not needs_type(schema.field(name).type):
        return value
    kind = schema.field(name).type
    several = isinstance(value, list) and not pa.types.is_nested(kind)
    try:
        found = from_json(value if several else [value], kind)
    except (ValueError, TypeError, AttributeError, KeyError, pa.ArrowException) as error:
        raise InvalidInputError(
            f"column {name!r}: {shown(value)} is not a value of {kind}", hint="write it as JSON"
        ) from error
    return list(found) if several else found[0]  # Arrow's: Python has no nanoseconds
