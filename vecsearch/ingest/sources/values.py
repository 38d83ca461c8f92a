"""Values of rows: what other libraries have, as numpy and Python have it."""

from __future__ import annotations

import array
from typing import Any

import numpy as np
import pyarrow as pa


def plain_value(value: Any) -> Any:
    """Tensors, Series and arrays of other libraries as numpy arrays or lists, one value as itself,
    and bytes that can be changed as bytes.

    Masked values of a masked array become None. Arrow's times of nanoseconds, which Python cannot
    hold, stay as they are.

    Other values are returned as they are.
    """
    if isinstance(value, np.ma.MaskedArray):
        return value.tolist() if np.ma.getmaskarray(value).any() else value.data
    if isinstance(value, (str, bytes, list, tuple, dict, np.ndarray, np.generic)):
        return value
    if isinstance(value, bytearray) or (isinstance(value, memoryview) and value.format in "Bbc"):
        return bytes(value)
    if isinstance(value, (array.array, memoryview)):
        return np.asarray(value)
    if is_arrow(value):
        if "time64[ns]" in str(value.type):
            return value
        return value.as_py() if isinstance(value, pa.Scalar) else value.to_pylist()
    if hasattr(value, "__array__") and hasattr(value, "shape"):
        if hasattr(value, "detach"):  # a torch tensor, maybe on a GPU or with a gradient
            value = value.detach().cpu()
            value = value.float() if str(value.dtype) == "torch.bfloat16" else value
        found = np.asarray(value)
        return found[()] if found.ndim == 0 else found
    return value


def is_arrow(value: Any) -> bool:
    """Whether it is a value or an array of Arrow."""
    return isinstance(value, (pa.Scalar, pa.Array, pa.ChunkedArray))


def array_items(values: np.ndarray[Any, Any]) -> list[Any]:
    """The values of an array as Python has them; times stay numpy's, which have nanoseconds."""
    return list(values) if values.dtype.kind in "mM" else list(values.tolist())


def nanoseconds(value: Any) -> bool:
    """Whether a time or a difference of times is finer than microseconds."""
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return bool(value.astype(f"{value.dtype.kind}8[us]") != value)
    return bool(getattr(value, "nanosecond", 0) or getattr(value, "nanoseconds", 0))


def row_name(number: int) -> str:
    return f"row {number}"


def is_missing(value: Any) -> bool:
    """Whether it is the missing value of pandas or numpy; pandas is not imported for it."""
    return type(value).__name__ in ("NaTType", "NAType") or (
        isinstance(value, (np.datetime64, np.timedelta64)) and bool(np.isnat(value))
    )


def is_nan(value: Any) -> bool:
    """Whether it is NaN, which means a missing value in a column, as in a frame of pandas."""
    return isinstance(value, (float, np.floating)) and bool(np.isnan(value))


def unmixed(rows: list[dict[str, Any]]) -> None:
    """Turn the columns that mix kinds of values, such as numbers and texts, into text."""
    kinds: dict[str, set[str]] = {}
    for row in rows:
        for name, value in row.items():
            if value is not None:
                kinds.setdefault(name, set()).add(_kind_of(value))
    for name, found in kinds.items():
        if len(found) > 1:
            for row in rows:
                if row.get(name) is not None:
                    row[name] = str(row[name])


def _kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    return type(value).__name__
