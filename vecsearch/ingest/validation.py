"""Whether batches of a caller are valid Arrow, where many are slices of one long table."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

_LISTS = (pa.types.is_list, pa.types.is_large_list, pa.types.is_map)
_TEXTS = (
    *(pa.types.is_string, pa.types.is_large_string),
    *(pa.types.is_binary, pa.types.is_large_binary),
)
_NESTED = (*_LISTS, pa.types.is_struct, pa.types.is_fixed_size_list)


class Validation:
    """Validates batches in full, but what is inside of nested columns once a table.

    Arrow validates all that is inside of a nested column, also where the column is a short slice.
    A long table in short slices would so be validated again and again.

    Example:
        >>> table = pa.table({"tags": [["a"], ["b", "c"]]})
        >>> validation = Validation()
        >>> for batch in table.to_batches(max_chunksize=1):
        ...     validation.require(batch)
    """

    def __init__(self) -> None:
        # The column that was validated last. It is kept, so that its memory is not used again.
        self._last: dict[str, pa.Array] = {}

    def require(self, batch: pa.RecordBatch) -> None:
        """Validate a batch: offsets, lengths, texts in UTF-8.

        Raises:
            pa.ArrowInvalid: It is not valid.
        """
        batch.validate()
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            last = self._last.get(name)
            if last is not None and _same_inside(column, last):
                _require_offsets(column)
                continue
            column.validate(full=True)
            if any(is_kind(column.type) for is_kind in _NESTED):
                self._last[name] = column


def _same_inside(column: pa.Array, other: pa.Array) -> bool:
    """Whether two columns are slices of one: all below them is the same memory.

    Of kinds other than plain values, lists and structs this is not known: a dictionary's values,
    for example, lie apart.
    """
    if column.type != other.type or _memory(column) != _memory(other):
        return False
    if pa.types.is_primitive(column.type) or any(is_kind(column.type) for is_kind in _TEXTS):
        return True
    ours, others = _children(column), _children(other)
    return bool(ours) and all(
        len(one) == len(two) and one.offset == two.offset and _same_inside(one, two)
        for one, two in zip(ours, others, strict=True)
    )


def _memory(column: pa.Array) -> list[tuple[int, int] | None]:
    """Address and size of each buffer of a column, and of what is inside."""
    return [buffer and (buffer.address, buffer.size) for buffer in column.buffers()]


def _children(column: pa.Array) -> list[pa.Array]:
    """What is inside of a nested column, as it is before slicing; nothing for other kinds."""
    if pa.types.is_struct(column.type):
        return [column.field(at) for at in range(column.type.num_fields)]
    if pa.types.is_map(column.type):
        return [column.keys, column.items]
    if any(is_kind(column.type) for is_kind in _NESTED):
        return [column.values]
    return []


def _require_offsets(column: pa.Array) -> None:
    """Check what a slice has of its own: where each of its lists begins and ends."""
    if not any(is_kind(column.type) for is_kind in _LISTS):
        return
    offsets = np.asarray(column.offsets)
    if (
        offsets[0] < 0
        or offsets[-1] > len(_children(column)[0])
        or (offsets[1:] < offsets[:-1]).any()
    ):
        raise pa.ArrowInvalid(f"offsets of {column.type} lead outside of its values")
