"""The type of JSON columns: text that is valid JSON, in Arrow's own extension type `arrow.json`.

A value is anything that JSON has: an object, a list, a string, a number, a boolean. JSON's null is
a missing value. What is stored is text: the text as it was given, or Python values as `dump`
writes them. Object keys keep their order, and integers of any size are kept exactly.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, NoReturn

import msgspec
import numpy as np
import pyarrow as pa

from vecsearch.common.json_arrays import needs_type
from vecsearch.common.show import shown
from vecsearch.errors import CorruptedError

JSON: Final = pa.json_(pa.large_string())
DEEPEST: Final = 200  # lists and objects within each other


class NotJsonError(ValueError):
    """A value that a JSON column cannot hold.

    Attributes:
        row: Its row in the array; 0 for a value alone.
    """

    row = 0


def is_json(kind: pa.DataType) -> bool:
    """Whether it is Arrow's type of JSON texts."""
    return getattr(kind, "extension_name", "") == "arrow.json"


def json_as_text(table: pa.Table) -> pa.Table:
    """A table with texts instead of JSON, for a library that does not know Arrow's type of it."""
    for at, field in enumerate(table.schema):
        if is_json(field.type):
            text = pa.field(field.name, pa.large_string(), field.nullable)
            table = table.set_column(at, text, table.column(at).cast(text.type))
    return table


def type_name(kind: pa.DataType) -> str:
    """The type as `info` and messages name it: "json", or Arrow's own name."""
    return "json" if is_json(kind) else str(kind)


def json_schema(names: Iterable[str]) -> pa.Schema:
    """A schema of JSON columns."""
    return pa.schema([(name, JSON) for name in names])


def load(text: str) -> Any:
    """The value of a text that was checked when it was stored. Raises CorruptedError.

    msgspec gives what `json.loads` gives, three times as fast.
    """
    try:
        return _decode(text)
    except (ValueError, RecursionError) as error:
        raise CorruptedError(f"a JSON column holds {shown(text)}, not JSON: {error}") from error


def dump(value: Any) -> str:
    """A value of Python as JSON text.

    Raises:
        NotJsonError: JSON has no such value; dates, bytes, NaN and keys that are not str among
            them.

    Example:
        >>> dump({"lang": "en", "tags": ("a", 1)})
        '{"lang":"en","tags":["a",1]}'
    """
    try:
        text = json.dumps(
            _plain(value, 0), ensure_ascii=False, allow_nan=False, separators=(",", ":")
        )
    except NotJsonError:
        raise
    except ValueError as error:  # an integer of thousands of digits
        raise NotJsonError(str(error)) from error
    _require_whole_characters(text)
    return text


def parse(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        NotJsonError: The text is not JSON by RFC 8259, repeats a key of an object, or holds a
            number or characters that cannot come back.

    Example:
        >>> parse('{"lang": "en"}')
        {'lang': 'en'}
    """
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise NotJsonError(f"{error.msg} at character {error.pos + 1}") from error
    except RecursionError as error:
        raise NotJsonError(_TOO_DEEP) from error
    except ValueError as error:
        raise NotJsonError(str(error)) from error
    if text.count("[") + text.count("{") > DEEPEST:
        _plain(value, 0)
    if "\\u" in text:
        _require_whole_characters(json.dumps(value, ensure_ascii=False))
    return value


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these keys and values, for `object_pairs_hook`. Raises ValueError."""
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"duplicate key {repeated!r} in an object")
    return row


def json_array(values: Iterable[Any]) -> pa.Array:
    """Values of Python as a JSON column; None is missing.

    Raises:
        NotJsonError: A value is not one that JSON has; `row` tells which.
    """
    texts: list[str | None] = []
    for row, value in enumerate(values):
        try:
            texts.append(None if value is None else dump(value))
        except NotJsonError as error:
            error.row = row
            raise
    return pa.array(texts, pa.large_string()).cast(JSON)


def as_json(array: pa.Array) -> pa.Array:
    """An Arrow column as a JSON column: texts are JSON text, other types are values.

    Raises:
        NotJsonError: A text is not JSON, or JSON does not have the type.

    Example:
        >>> as_json(pa.array([{"a": 1}, None])).to_pylist()
        ['{"a":1}', None]
    """
    kind = array.type
    if array.null_count == len(array):
        return pa.nulls(len(array), JSON)
    if is_json(kind) or _is_text(kind):
        return _checked(array.cast(pa.large_string()))
    if needs_type(kind):
        raise NotJsonError(f"JSON has no {kind}: make it strings or numbers")
    try:
        values = array.to_pylist()
    except ValueError as error:  # a struct with a name twice
        raise NotJsonError(str(error)) from error
    return json_array(values)


def python_values(array: pa.Array | pa.ChunkedArray) -> list[Any]:
    """The values of any column; those of a JSON column as dicts, lists and so on."""
    if not is_json(array.type):
        return list(array.to_pylist())
    texts = array.cast(pa.large_string()).to_pylist()
    return [None if text is None else load(text) for text in texts]


def python_rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows as dicts, like `to_pylist`; values of JSON columns as dicts, lists and so on."""
    rows: list[dict[str, Any]] = batch.to_pylist()
    for field in batch.schema:
        if is_json(field.type):
            for row in rows:
                text = row[field.name]
                row[field.name] = None if text is None else load(text)
    return rows


def _checked(texts: pa.Array) -> pa.Array:
    """Texts as a JSON column, unchanged; the text `null` is a missing value."""
    nulls = []
    for row, text in enumerate(texts.to_pylist()):
        try:
            if text is not None and parse(text) is None:
                nulls.append(row)
        except NotJsonError as error:
            error.row = row
            raise
    if nulls:
        kept = np.arange(len(texts), dtype=np.int64)
        missing = np.zeros(len(texts), bool)
        missing[nulls] = True
        texts = texts.take(pa.array(kept, mask=missing))
    return texts.cast(JSON)


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _plain(value: Any, depth: int) -> Any:
    """The value with lists, dicts, strings and numbers of Python's own types only."""
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if isinstance(value, float | np.floating):
        if not math.isfinite(value):
            raise NotJsonError(f"JSON has no {value}: make it None")
        return float(value)
    if depth >= DEEPEST:
        raise NotJsonError(_TOO_DEEP)
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise NotJsonError(f"the key {shown(key)} of a dict is not a str")
        return {str(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.kind in "MmVSO" and value.ndim == 0:
            raise NotJsonError(f"JSON has no {kind.__name__}: make it a str or a number")
        return _plain(value.tolist(), depth + 1)
    if isinstance(value, str | int):  # members of enumerations, for one
        return str.__str__(value) if isinstance(value, str) else int(value)
    raise NotJsonError(f"JSON has no {kind.__name__}: make it a str, number, list or dict")


def _require_whole_characters(text: str) -> None:
    """Raises NotJsonError for half a character, which UTF-8 does not have."""
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise NotJsonError(
            f"a string has {text[error.start]!r}, half a character (a lone surrogate)"
        ) from error


def _number(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"the number {shown(text)} is larger than float64 holds")
    return value


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")


_decode = msgspec.json.Decoder().decode
_TOO_DEEP = f"lists and objects are within each other more than {DEEPEST} deep"
_DECODER = json.JSONDecoder(
    object_pairs_hook=unique_keys, parse_float=_number, parse_constant=_refuse
)
