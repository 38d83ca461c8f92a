"""Slices of one table are validated as the slices by themselves would be, but only once inside."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import vecsearch as vs
from vecsearch.ingest.validation import Validation

TEXTS = pa.array(["a", "bc", "", None, "déf", "g"] * 20)
OFFSETS = pa.array(range(0, 121, 2), pa.int32())
KINDS = {
    "lists": pa.ListArray.from_arrays(OFFSETS, TEXTS),
    "large lists": pa.LargeListArray.from_arrays(OFFSETS.cast(pa.int64()), TEXTS),
    "pairs": pa.FixedSizeListArray.from_arrays(TEXTS, 2),
    "objects": pa.StructArray.from_arrays([TEXTS.slice(0, 60)], ["text"]),
    "maps": pa.MapArray.from_arrays(OFFSETS, pa.array([str(i) for i in range(120)]), TEXTS),
    "lists of lists": pa.ListArray.from_arrays(
        pa.array(range(61), pa.int32()), pa.ListArray.from_arrays(OFFSETS, TEXTS)
    ),
    "dictionaries": TEXTS.slice(0, 60).dictionary_encode(),
    "texts": TEXTS.slice(0, 60),
}


def damaged(offsets: list[int]) -> pa.Array:
    """Lists of texts, with those offsets as they are."""
    buffers = [None, pa.py_buffer(np.array(offsets, np.int32))]
    return pa.Array.from_buffers(pa.list_(pa.string()), len(offsets) - 1, buffers, children=[TEXTS])


@pytest.mark.parametrize("kind", KINDS)
def test_slices_of_valid_columns_are_valid(kind: str) -> None:
    column = KINDS[kind]
    batch = pa.record_batch({"it": column})
    batch.validate(full=True)
    validation = Validation()
    for start in range(0, len(column), 7):
        validation.require(batch.slice(start, 7))


@pytest.mark.parametrize(
    "offsets",
    [
        [0, 1, 2, 3, 2, 3, 4],  # goes back in the second slice
        [0, 1, 2, 3, 4, 500, 120],  # and beyond the end
        [0, 1, 2, 130, 131, 132, 6],  # ascending, but beyond the end
        [0, 1, 2, -3, 4, 5, 6],
    ],
)
def test_damage_in_a_later_slice_is_found(offsets: list[int]) -> None:
    batch = pa.record_batch({"it": damaged(offsets)})
    validation = Validation()
    with pytest.raises(pa.ArrowInvalid):
        for start in range(0, 6, 2):
            validation.require(batch.slice(start, 2))


def test_another_column_in_other_memory_is_validated_whole() -> None:
    """Also after the first column was freed: new data may get the same address."""
    not_utf8 = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(np.array([0, 1], np.int32)), pa.py_buffer(b"\xff")]
    )
    good = pa.array(["a"])
    one = pa.array([0, 1], pa.int32())
    validation = Validation()
    for _ in range(3):
        validation.require(pa.record_batch({"it": pa.ListArray.from_arrays(one, good)}))
        with pytest.raises(pa.ArrowInvalid):
            validation.require(pa.record_batch({"it": pa.ListArray.from_arrays(one, not_utf8)}))


def test_what_lies_beyond_the_part_that_was_validated_is_validated() -> None:
    """Two lists over the same memory, of which the second takes more of it."""
    bad = b"ab\xff"
    ends = pa.py_buffer(np.array([0, 1, 2, 3], np.int32))
    texts = pa.Array.from_buffers(pa.string(), 3, [None, ends, pa.py_buffer(bad)])
    buffers = texts.buffers()
    offsets = pa.py_buffer(np.array([0, 1, 2, 3], np.int32))

    def lists(count: int) -> pa.RecordBatch:
        inside = pa.Array.from_buffers(pa.string(), count, buffers)
        return pa.record_batch(
            {
                "it": pa.Array.from_buffers(
                    pa.list_(pa.string()), count, [None, offsets], children=[inside]
                )
            }
        )

    validation = Validation()
    validation.require(lists(2))
    with pytest.raises(pa.ArrowInvalid):
        validation.require(lists(3))


def test_another_dictionary_inside_is_validated() -> None:
    """The same numbers of values, of which the second column has fewer."""
    numbers, offsets = pa.array([0, 1, 2], pa.int32()), pa.array([0, 1, 2, 3], pa.int32())

    def lists(values: list[str]) -> pa.RecordBatch:
        inside = pa.DictionaryArray.from_arrays(numbers, pa.array(values), safe=False)
        return pa.record_batch({"it": pa.ListArray.from_arrays(offsets, inside)})

    validation = Validation()
    validation.require(lists(["a", "b", "c"]))
    with pytest.raises(pa.ArrowInvalid):
        validation.require(lists(["a"]))


def test_the_rows_of_a_long_table_with_damage_are_named(tmp_path: Any) -> None:
    rows = 5000
    offsets = list(range(rows + 1))
    offsets[4500] = 9000
    inside = pa.array([str(i) for i in range(rows)])
    tags = pa.Array.from_buffers(
        pa.list_(pa.string()),
        rows,
        [None, pa.py_buffer(np.array(offsets, np.int32))],
        children=[inside],
    )
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(2 * rows, np.float32)), 2)
    table = pa.table({"id": range(rows), "vector": vectors, "tags": tags})
    with vs.create(tmp_path / "c.vs", dim=2) as collection:
        with pytest.raises(vs.InvalidInputError, match=r"row 4499: .* not valid Arrow"):
            collection.add(table)
        assert len(collection) == 0
        collection.add(table.slice(0, 4000))
        assert collection.get([3999])[0]["tags"] == ["3999"]
