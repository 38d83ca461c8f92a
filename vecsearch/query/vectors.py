"""Whatever users hold vectors in, as float32 arrays: tensors, frames, Arrow arrays, nested lists.

Anything that is a vector is taken as one. Arrays and columns of texts become lists of texts, and
everything else is left to the embedder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import PurePath
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.common.show import shown
from vecsearch.errors import InvalidInputError
from vecsearch.types import counted

NUMBERS = "biuf"
TEXTS = "UOT"


def one_query(query: Any) -> Any:
    """One query as a float32 array if it is a vector; else the query, or the text that it holds.

    Raises:
        InvalidInputError: The query holds complex numbers, missing values or several texts.
    """
    query = query.as_py() if isinstance(query, pa.Scalar) else query
    if isinstance(query, str):
        return query
    array = _array_of(query)
    if array is None:
        return query
    if array.dtype.kind in NUMBERS:
        return _float32(array)
    if array.size == 1:
        return array.reshape(-1)[0]
    raise InvalidInputError(
        f"the query holds {counted(array.size, 'value')} that are not numbers: search takes one "
        "query",
        hint="search_batch takes several",
    )


def many_queries(queries: Any) -> npt.NDArray[np.float32] | list[Any]:
    """Queries as a float32 array if they are vectors; else as a list for the embedder.

    Raises:
        InvalidInputError: They are one query, have no order, or are vectors of different lengths.
    """
    if isinstance(queries, str | bytes):
        raise InvalidInputError("search_batch takes a list of queries; search takes one")
    array = _array_of(queries)
    if array is not None and array.dtype.kind in NUMBERS:
        return _float32(array)
    if array is not None:
        if array.ndim == 2 and array.shape[1] == 1:  # a frame of one column
            array = array[:, 0]
        listed = array.tolist()
    elif isinstance(queries, Mapping | Set) or not isinstance(queries, Iterable):
        raise InvalidInputError(
            f"the queries are {shown(queries)}; they must be a list of texts, or a matrix of "
            "numbers with one query in each row"
        )
    else:
        listed = list(queries)
    items = [one_query(item) for item in listed]
    if not items or not all(type(item) is np.ndarray for item in items):
        return items
    rows = [item[0] if item.ndim == 2 and len(item) == 1 else item for item in items]
    if len({row.shape for row in rows}) > 1:
        number = next(at for at, row in enumerate(rows) if row.shape != rows[0].shape)
        raise InvalidInputError(
            f"query {number} has shape {rows[number].shape}, query 0 {rows[0].shape}: "
            "the queries are not vectors of one length"
        )
    return np.stack(rows)


def is_picture(value: Any) -> bool:
    """Whether a query is a PIL image, the bytes of a picture file, or its path."""
    is_file = isinstance(value, bytes | PurePath)
    return is_file or type(value).__module__.partition(".")[0] == "PIL"


def _array_of(value: Any) -> npt.NDArray[Any] | None:
    """A value's numbers or texts as a plain array; None for what is no array."""
    try:
        array = _converted(value)
    except InvalidInputError:
        raise
    except Exception as error:
        raise InvalidInputError(f"the query {shown(value)} cannot be read: {error}") from error
    if array is None:
        return None
    if array.dtype.kind == "c":
        raise InvalidInputError("the query holds complex numbers; vectors are of real numbers")
    if array.dtype.kind == "O":
        numbers = _numbers_of(array)
        array = array if numbers is None else numbers
    if array.dtype.kind not in NUMBERS + TEXTS:
        raise InvalidInputError(f"the query is an array of {array.dtype}, not of numbers")
    return array


def _converted(value: Any) -> npt.NDArray[Any] | None:
    if isinstance(value, np.ma.MaskedArray):
        if np.ma.getmaskarray(value).any():
            raise InvalidInputError("the query is a masked array with masked values: fill them")
        return np.asarray(value.data)
    if isinstance(value, np.ndarray):
        return np.asarray(value)
    if isinstance(value, pa.Scalar):
        return _converted(value.as_py())
    if isinstance(value, pa.Array | pa.ChunkedArray):
        if value.null_count:
            raise InvalidInputError("the query is an Arrow array with nulls")
        return _from_items(value.to_pylist())
    if isinstance(value, pa.Table | pa.RecordBatch):
        return _from_items(
            list(zip(*(column.to_pylist() for column in value.columns), strict=True))
        )
    if isinstance(value, list | tuple):
        return _from_numbers(value)
    if hasattr(value, "detach") and hasattr(value, "cpu"):  # torch
        tensor = value.detach().cpu()
        if "bfloat16" in str(tensor.dtype):
            tensor = tensor.float()
        return np.asarray(tensor.numpy())
    if is_picture(value):
        return None  # a picture is for the embedder
    if hasattr(value, "to_numpy"):
        return np.asarray(value.to_numpy())
    if hasattr(value, "__array__") and not isinstance(value, np.generic):
        return np.asarray(value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return _from_numbers(value)
    return None


def _from_items(items: list[Any]) -> npt.NDArray[Any]:
    """An array of numbers if the items are numbers or vectors of one length; else of objects."""
    numbers = _from_numbers(items)
    if numbers is not None:
        return numbers
    array = np.empty(len(items), object)
    array[:] = items
    return array


def _from_numbers(items: Any) -> npt.NDArray[Any] | None:
    """Numbers, or rows of numbers of one length, as an array; None for anything else."""
    try:
        if len(items) == 0 or isinstance(items[0], str | bytes | Mapping):
            return None
        if any(isinstance(item, pa.Scalar) for item in items):
            items = [item.as_py() if isinstance(item, pa.Scalar) else item for item in items]
        if any(isinstance(item, np.ma.MaskedArray) for item in items):
            return None  # each is checked for masked values
        array = np.asarray(items)
    except (ValueError, TypeError, RuntimeError, OverflowError, LookupError):
        return None  # of different lengths, or of other objects
    if array.dtype.kind == "O":
        return _numbers_of(array)
    return array if array.dtype.kind in NUMBERS + "c" else None


def _numbers_of(array: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
    """An array of objects that are all numbers, or all vectors of one length; else None."""
    flat = array.ravel().tolist()
    if not flat or any(isinstance(item, str | bytes | Mapping) or item is None for item in flat):
        return None
    try:
        if array.ndim == 1 and all(hasattr(item, "__len__") for item in flat):
            stacked = np.stack([np.asarray(item) for item in flat])
            return stacked if stacked.dtype.kind in NUMBERS else None
        return array.astype(np.float64)
    except (ValueError, TypeError, OverflowError):
        return None


def _float32(array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Numbers as float32; those too large become infinite, which the encoder refuses."""
    if array.dtype == np.float32:
        return np.ascontiguousarray(array)
    with np.errstate(all="ignore"):
        return np.ascontiguousarray(array, np.float32)


def texts_of(queries: Any) -> list[str]:
    """The text of each of many queries, "" for a vector; empty for a matrix."""
    if isinstance(queries, np.ndarray) and queries.dtype.kind == "f":
        return []
    if not isinstance(queries, list | tuple):
        queries = many_queries(queries)
    if isinstance(queries, np.ndarray):
        return []
    return [query if isinstance(query, str) else "" for query in queries]
