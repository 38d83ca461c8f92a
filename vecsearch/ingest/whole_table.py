"""All rows of data of any kind that `Collection.add` takes, as one table in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vecsearch.common.invalid_data import invalid_data
from vecsearch.common.plain_types import plain_type
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources import Source, open_source

if TYPE_CHECKING:
    import pyarrow as pa


def as_table(data: Any, *, text_column: str = "text") -> pa.Table:
    """Read all rows of data of any kind that `Collection.add` takes.

    Args:
        data: Frames, Arrow, dicts, files, folders and so on: see `ingest.sources.open_source`.
        text_column: The column that texts go to which are in no column.

    Returns:
        The table; a column without any value has Arrow's type null.

    Raises:
        InvalidInputError: The data is of another kind, or wrong; the message says where.

    Example:
        >>> as_table([{"user": 1, "item": "pen"}, {"user": 2, "item": "ink"}]).num_rows
        2
    """
    import pyarrow as pa

    if isinstance(data, list | tuple) and data and isinstance(data[0], list | tuple):
        raise InvalidInputError(
            "row 0 is a list, whose values are in no column",
            hint='give each row as a dict, such as {"user": "ann", "item": "pen"}, or a frame',
            command_hint="give a file whose columns have names",
        )
    with invalid_data():
        if isinstance(data, pa.Table) and all(_is_plain(each) for each in data.schema.types):
            return data
        return _whole(open_source(data, text_column=text_column))


def _is_plain(kind: pa.DataType) -> bool:
    """Whether no encoding is around a type."""
    try:
        return bool(plain_type(kind) == kind)
    except (KeyError, ValueError):
        return False  # an unknown time zone, which reading says in words


def _whole(source: Source) -> pa.Table:
    import pyarrow as pa

    batches = list(source.batches)
    if not batches:
        raise InvalidInputError(f"nothing to read: {source.name} has no rows")
    return pa.Table.from_batches(batches)
