"""Values of a column as keys, so that equal ones are one group."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

NOT_A_NUMBER = object()  # the key of NaN, which is not equal to itself


def group_keys(values: pa.Array) -> list[Any]:
    """The values of a column as keys of a dict; missing values are one group, NaN another."""
    listed = countable(values).to_pylist()
    return [NOT_A_NUMBER if value != value else value for value in listed]


def countable(values: pa.Array) -> pa.Array:
    """Dates and times as the numbers that they are stored as, which are exact."""
    if pa.types.is_temporal(values.type):
        return values.view(pa.int32() if values.type.bit_width == 32 else pa.int64())
    return values
