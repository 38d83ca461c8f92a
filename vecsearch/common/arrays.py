"""Names for the numpy arrays that pass between the packages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Vectors = npt.NDArray[np.float32]
"""Vectors in float32: (rows, dim), or (dim,) for one."""
StoredVectors = npt.NDArray[np.floating]
"""Vectors as a segment stores them, float32 or float16: (rows, dim)."""
Scores = npt.NDArray[np.float32]
"""Scores, larger is better."""
Positions = npt.NDArray[np.int64]
"""Row numbers within one snapshot; -1 means no row."""
Labels = npt.NDArray[np.int64]
"""Row numbers within one index; -1 means no row."""
Mask = npt.NDArray[np.bool_]
"""Which rows are selected."""


def numbers_in_arrow(numbers: npt.NDArray[Any]) -> pa.Array:
    """A column of numbers as an Arrow array, not copied.

    `pa.array` does the same, but imports pandas first, which takes a third of a second.

    Example:
        >>> numbers_in_arrow(np.array([3, 4])).to_pylist()
        [3, 4]
    """
    flat = np.ascontiguousarray(numbers)
    kind = pa.from_numpy_dtype(flat.dtype)
    return pa.Array.from_buffers(kind, len(flat), [None, pa.py_buffer(flat)])


def texts_in_arrow(texts: Sequence[str]) -> pa.Array:
    """A few texts as an Arrow array of strings. `pa.array` does the same, but imports pandas first.

    Raises:
        UnicodeEncodeError: A text holds half a character.

    Example:
        >>> texts_in_arrow(["ab", "", "ü"]).to_pylist()
        ['ab', '', 'ü']
    """
    encoded = [text.encode() for text in texts]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(encoded), buffers)


def bools_in_arrow(
    values: npt.NDArray[np.bool_], known: npt.NDArray[np.bool_] | None = None
) -> pa.Array:
    """Truth values as an Arrow array, null where `known` is False. `pa.array` imports pandas first.

    Example:
        >>> bools_in_arrow(np.array([True, False])).to_pylist()
        [True, False]
    """
    buffers = [
        None if each is None else pa.py_buffer(np.packbits(each, bitorder="little"))
        for each in (known, values)
    ]
    return pa.Array.from_buffers(pa.bool_(), len(values), buffers)


def bools_in_numpy(array: pa.Array) -> Mask:
    """An Arrow array of truth values without nulls as a numpy array, copied.

    `array.to_numpy(zero_copy_only=False)` does the same, but imports pandas first.

    Example:
        >>> import pyarrow as pa
        >>> bools_in_numpy(pa.array([True, False, True])[1:]).tolist()
        [False, True]
    """
    return unpacked(array.buffers()[1], array.offset, len(array))


def unpacked(buffer: Any, first: int, count: int) -> Mask:
    """Some of the truth values that Arrow packs into a buffer, eight into a byte."""
    if not count:
        return np.empty(0, bool)
    byte, skipped = divmod(first, 8)
    packed = np.frombuffer(buffer, np.uint8)[byte:]
    return np.unpackbits(packed, count=skipped + count, bitorder="little")[skipped:].view(bool)


def constants_in_arrow(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """`pa.array(values, kind)`, for plain values of usual kinds without importing pandas first.

    Raises:
        pa.ArrowInvalid: The type cannot hold a value. Also OverflowError, as `pa.array` does.

    Example:
        >>> constants_in_arrow(["ab", "c"], pa.large_string()).to_pylist()
        ['ab', 'c']
    """
    given = {type(value) for value in values}
    if given == {bool} and pa.types.is_boolean(kind):
        return bools_in_arrow(np.array(values))
    if given == {str} and (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return texts_in_arrow(values).cast(kind)
    if (given == {int} and pa.types.is_integer(kind)) or (
        given == {float} and kind in (pa.float32(), pa.float64())
    ):
        return numbers_in_arrow(np.array(values, kind.to_pandas_dtype()))
    if given == {int} and pa.types.is_temporal(kind) and kind.bit_width in (32, 64):
        return numbers_in_arrow(np.array(values, f"i{kind.bit_width // 8}")).view(kind)
    return pa.array(values, kind)


def numbers_in_numpy(array: pa.Array) -> npt.NDArray[Any]:
    """An Arrow array of numbers without nulls as a numpy array, read-only and not copied.

    `array.to_numpy()` does the same, but imports pandas first.

    Example:
        >>> import pyarrow as pa
        >>> numbers_in_numpy(pa.array([3, 4, 5])[1:]).tolist()
        [4, 5]
    """
    kind = np.dtype(array.type.to_pandas_dtype())
    start = array.offset * kind.itemsize
    return (
        np.frombuffer(array.buffers()[1], kind, len(array), start)
        if len(array)
        else np.empty(0, kind)
    )
