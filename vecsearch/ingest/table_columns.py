"""Columns of an Arrow table that is trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vecsearch.common.show import shown
from vecsearch.common.suggest import did_you_mean
from vecsearch.errors import InvalidInputError

if TYPE_CHECKING:
    import pyarrow as pa


def require_column(table: pa.Table, name: str, *, hint: str = "") -> Any:
    """A column by its name; InvalidInputError, with a suggestion, if there is none.

    Args:
        table: The table.
        name: The column.
        hint: What to do where there is none, such as `node= names the column`.
    """
    if not isinstance(name, str) or name not in table.column_names:
        raise InvalidInputError(
            f"there is no column {shown(name)}{did_you_mean(name, table.column_names)}",
            hint=hint,
            command_hint=f"--{hint.replace('=', '', 1)}" if hint else "",
        )
    return table[name]


def id_column(table: pa.Table, name: str, *, hint: str = "") -> npt.NDArray[np.str_]:
    """A column of ids as strings; 7.0 is the id 7, as where a column of numbers lacks some.

    Raises:
        InvalidInputError: It is missing, contains a null or NaN, or holds what is no id.
    """
    import pyarrow as pa

    column = require_column(table, name, hint=hint)
    if column.null_count:
        row = column.is_null().to_pylist().index(True)
        raise InvalidInputError(f"column '{name}', row {row}: null")
    if pa.types.is_floating(column.type):
        return np.asarray(_ids_of_floats(column.to_pylist(), name), dtype=np.str_)
    try:
        texts = column.cast(pa.large_string()).to_pylist()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InvalidInputError(
            f"column '{name}' holds {column.type}, which cannot be an id: give texts or whole "
            "numbers"
        ) from error
    return np.asarray(texts, dtype=np.str_)


def _ids_of_floats(values: list[float], name: str) -> list[str]:
    for row, value in enumerate(values):
        if not np.isfinite(value):
            raise InvalidInputError(f"column '{name}', row {row}: {value} is no id")
    return [str(int(value)) if value.is_integer() else str(value) for value in values]


def one_item_a_row(table: pa.Table, item: str) -> pa.Table:
    """A table whose column of items holds lists, such as baskets, with a row for each item.

    Other lists of the same lengths, such as times, are taken apart with it. Another table stays.

    Raises:
        InvalidInputError: There is no such column, or a list or an item is missing.

    Example:
        >>> import pyarrow as pa
        >>> one_item_a_row(pa.table({"u": [1, 2], "i": [["a", "b"], ["c"]]}), "i").to_pydict()
        {'i': ['a', 'b', 'c'], 'u': [1, 1, 2]}
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    column = require_column(table, item)
    if not _is_list(column.type):
        return table
    column = column.combine_chunks()
    lengths = pc.list_value_length(column)
    rows, items = pc.list_parent_indices(column), pc.list_flatten(column)
    missing = column.is_null() if column.null_count else items.is_null()
    if column.null_count or items.null_count:
        place = missing.to_pylist().index(True)
        row = place if column.null_count else rows[place].as_py()
        raise InvalidInputError(f"column '{item}', row {row}: null")

    def apart(name: str) -> Any:
        other = table[name].combine_chunks()
        same = _is_list(other.type) and pc.list_value_length(other).equals(lengths)
        return pc.list_flatten(other) if same else other.take(rows)

    return pa.table({name: apart(name) for name in table.column_names})


def _is_list(kind: pa.DataType) -> bool:
    from pyarrow import types

    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))
