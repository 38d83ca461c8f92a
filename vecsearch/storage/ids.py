"""Find rows by id without a scan: each segment has a file of sorted 64-bit keys and their rows.

The key of an integer id is the id. The key of a string is the first 8 bytes of its BLAKE2b digest.
Keys of strings may collide, and an id has a row for each passage of its document; so a look-up
returns candidates, which the caller compares with the ids themselves.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.common.show import shown
from vecsearch.errors import CorruptedError, InvalidInputError
from vecsearch.storage.disk import CheckedFile, FileRef
from vecsearch.storage.segment import write_batch

Keys = npt.NDArray[np.int64]


def id_keys(ids: pa.Array) -> Keys:
    """The 64-bit key of each id (an int64 or large_string array without nulls)."""
    if pa.types.is_integer(ids.type):
        return np.asarray(ids.cast(pa.int64()).to_numpy(zero_copy_only=False))
    digests = b"".join(blake2b(text.encode(), digest_size=8).digest() for text in ids.to_pylist())
    return np.frombuffer(digests, np.int64)


def write_ids(path: Path, ids: pa.Array) -> None:
    """Write the sorted keys of a segment's id column and the row of each."""
    keys = id_keys(ids)
    order = np.argsort(keys, kind="stable")
    write_batch(path, pa.record_batch({"key": keys[order], "row": order.astype(np.uint32)}))


class IdIndex:
    """The sorted keys of one segment, mapped into memory."""

    def __init__(self, root: Path, ref: FileRef, rows: int) -> None:
        file = CheckedFile(root, ref)
        file.verify_all()
        try:
            batch = pa.ipc.open_file(pa.BufferReader(file.buffer)).get_batch(0)
        except (pa.ArrowInvalid, pa.ArrowIOError) as error:
            raise CorruptedError(f"{file.path} cannot be read as Arrow IPC: {error}") from error
        self._keys: Keys = batch.column("key").to_numpy()
        self._rows: npt.NDArray[np.uint32] = batch.column("row").to_numpy()
        if len(self._rows) and int(self._rows.max()) >= rows:
            raise CorruptedError(f"{file.path} names rows that its segment of {rows} does not have")

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


def as_ids(values: Any, id_type: pa.DataType) -> pa.Array:
    """Ids given by a caller, as an array of the collection's id type.

    Raises InvalidInputError for ids of another type.
    """
    if hasattr(values, "to_pylist"):  # an Arrow array
        values = values.to_pylist()
    elif hasattr(values, "tolist"):  # a numpy scalar or array, a Series
        values = values.tolist()
    elif hasattr(values, "as_py"):
        values = values.as_py()
    if isinstance(values, str | int | uuid.UUID):
        values = [values]
    if isinstance(values, bytes) or not isinstance(values, Iterable):
        raise InvalidInputError(f"ids is {shown(values)}; it must be an id or a list of ids")
    items = list(values)
    wanted = int if pa.types.is_integer(id_type) else str
    for number, item in enumerate(items):
        if hasattr(item, "item"):  # a numpy scalar
            item = items[number] = item.item()
        if isinstance(item, uuid.UUID):  # stored as text
            item = items[number] = str(item)
        if not isinstance(item, wanted) or isinstance(item, bool):
            raise InvalidInputError(
                f"id number {number} is {shown(item)}; ids of this collection are {wanted.__name__}"
            )
    try:
        return pa.array(items, id_type)
    except (pa.ArrowInvalid, OverflowError, UnicodeEncodeError) as error:
        raise InvalidInputError(f"an id cannot be stored as {id_type}: {error}") from error
