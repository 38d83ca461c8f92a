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
    """A column of ids as strings; InvalidInputError if it is missing or contains a null."""
    import pyarrow as pa

    column = require_column(table, name, hint=hint)
    if column.null_count:
        row = column.is_null().to_pylist().index(True)
        raise InvalidInputError(f"column '{name}', row {row}: null")
    return np.asarray(column.cast(pa.large_string()).to_pylist(), dtype=np.str_)
