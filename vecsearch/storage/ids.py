"""Find rows by id without a scan: each segment has a file of sorted 64-bit keys and their rows.

The key of an integer id is the id. The key of a string is the first 8 bytes of its BLAKE2b digest.
Keys of strings may collide, and an id has a row for each passage of its document; so a look-up
returns candidates, which the caller compares with the ids themselves.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.common.arrays import numbers_in_arrow, numbers_in_numpy, texts_in_arrow
from vecsearch.common.show import shown
from vecsearch.errors import CorruptedError, InvalidInputError
from vecsearch.storage.arrow_file import read_numbers
from vecsearch.storage.disk import CheckedFile, FileRef
from vecsearch.storage.segment_file import write_batch

Keys = npt.NDArray[np.int64]
FEW_IDS = 1000  # so many are made an array without pandas, which pa.array would import


def id_keys(ids: pa.Array) -> Keys:
    """The 64-bit key of each id (an int64 or large_string array without nulls)."""
    if pa.types.is_integer(ids.type):
        return numbers_in_numpy(ids.cast(pa.int64()))
    digests = b"".join(blake2b(text.encode(), digest_size=8).digest() for text in ids.to_pylist())
    return np.frombuffer(digests, np.int64)


def write_ids(path: Path, ids: pa.Array) -> None:
    """Write the sorted keys of a segment's id column and the row of each."""
    keys = id_keys(ids)
    order = np.argsort(keys, kind="stable")
    write_batch(path, pa.record_batch({"key": keys[order], "row": order.astype(np.uint32)}))


def read_ids(file: CheckedFile) -> pa.RecordBatch:
    """The columns "key" and "row" of a file of sorted keys, verified whole.

    Raises CorruptedError.
    """
    file.verify_all()
    return read_numbers(file, {"key": pa.int64(), "row": pa.uint32()})


class IdIndex:
    """The sorted keys of one segment, mapped into memory."""

    def __init__(self, root: Path, ref: FileRef, rows: int) -> None:
        file = CheckedFile(root, ref)
        batch = read_ids(file)
        self._keys: Keys = numbers_in_numpy(batch.column("key"))
        self._rows: npt.NDArray[np.uint32] = numbers_in_numpy(batch.column("row"))
        if len(self._rows) != rows:
            raise CorruptedError(
                f"{file.path} has {len(self._rows)} ids where its segment has {rows} rows"
            )
        if rows and int(self._rows.max()) >= rows:
            raise CorruptedError(f"{file.path} names rows that its segment of {rows} does not have")
        if (self._keys[1:] < self._keys[:-1]).any():
            raise CorruptedError(f"{file.path} is not in order")

    def find(self, keys: Keys) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Candidates for each key.

        Returns:
            Two int64 arrays of equal length: the index of a key in `keys`, and a row in the
            segment. The rows of one key are ascending.
        """
        left = np.searchsorted(self._keys, keys, "left")
        counts = np.searchsorted(self._keys, keys, "right") - left
        positions = np.repeat(np.arange(len(keys)), counts)
        within = np.arange(len(positions)) - np.repeat(np.cumsum(counts) - counts, counts)
        return positions, self._rows[np.repeat(left, counts) + within].astype(np.int64)


def listed_ids(values: Any, name: str = "ids") -> list[Any]:
    """One id or several, as a caller gave them, as a list of Python values.

    One id, or any number of them: a list, tuple, set, range or generator, a numpy or Arrow array, a
    pandas or polars Series.

    Raises InvalidInputError for what is neither; `name` is the argument's.
    """
    for convert in ("to_pylist", "tolist", "to_list", "as_py"):  # Arrow, numpy, polars, a scalar
        if hasattr(values, convert):
            values = getattr(values, convert)()
            break
    if isinstance(values, str | int | uuid.UUID):
        values = [values]
    is_table = hasattr(values, "columns") or isinstance(values, Mapping)
    if isinstance(values, bytes) or is_table or not isinstance(values, Iterable):
        raise InvalidInputError(f"{name} is {shown(values)}; it must be an id or a list of ids")
    return [plain_id(item) for item in values]


def plain_id(item: Any) -> Any:
    """An id as a Python value."""
    if isinstance(item, uuid.UUID):  # stored as text
        return str(item)
    if hasattr(item, "as_py"):  # an Arrow scalar
        return item.as_py()
    is_scalar = getattr(item, "shape", None) == () and hasattr(item, "item")
    return item.item() if is_scalar else item


def as_ids(values: Any, id_type: pa.DataType) -> pa.Array:
    """Ids given by a caller, as `listed_ids` takes them, as an array of the collection's id type.

    Raises InvalidInputError for ids of another type.
    """
    array = _ids_in_bulk(values, id_type)
    if array is None:
        items = listed_ids(values)
        array = _ids_in_bulk(items, id_type)
    return _checked_ids(items, id_type) if array is None else array


def _ids_in_bulk(values: Any, id_type: pa.DataType) -> pa.Array | None:
    """The ids, where Arrow or numpy can tell by themselves that all have the type; else None."""
    try:
        if (
            isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "iu"
        ) or isinstance(values, list):
            array = _few_in_arrow(values) if len(values) <= FEW_IDS else pa.array(values)
        elif isinstance(values, pa.ChunkedArray):
            array = values.combine_chunks()
        elif isinstance(values, pa.Array):
            array = values
        else:
            return None
        array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        is_text = pa.types.is_string(array.type) or pa.types.is_large_string(array.type)
        fits = pa.types.is_integer(array.type) if pa.types.is_integer(id_type) else is_text
        return array.cast(id_type) if fits and not array.null_count else None
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        return None


def _few_in_arrow(values: list[Any] | npt.NDArray[Any]) -> pa.Array:
    """`pa.array(values)` without importing pandas, where all are texts or all are whole numbers."""
    if isinstance(values, np.ndarray) or all(type(each) is int for each in values):
        numbers = np.array(values)
        return numbers_in_arrow(numbers) if numbers.dtype.kind in "iu" else pa.array(values)
    if all(type(each) is str for each in values):
        return texts_in_arrow(values)
    return pa.array(values)


def _checked_ids(items: list[Any], id_type: pa.DataType) -> pa.Array:
    """The ids, each looked at; the error names the first that has another type."""
    wanted = int if pa.types.is_integer(id_type) else str
    for number, item in enumerate(items):
        if not isinstance(item, wanted) or isinstance(item, bool):
            raise InvalidInputError(
                f"id number {number} is {shown(item)}; ids of this collection are {wanted.__name__}"
            )
    try:
        return pa.array(items, id_type)
    except (pa.ArrowInvalid, OverflowError, UnicodeEncodeError) as error:
        raise InvalidInputError(f"an id cannot be stored as {id_type}: {error}") from error
