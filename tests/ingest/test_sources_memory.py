"""Texts, vectors and objects that are neither."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from support.sources import TABLE, refused, rows, table, types

import vecsearch as vs
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources import open_source


def test_texts_become_the_text_column() -> None:
    expected = [{"text": "one"}, {"text": None}, {"text": "二"}]
    assert (
        rows(["one", None, "二"])
        == rows(iter(["one", None, "二"]), 1)
        == rows(np.array(["one", None, "二"], object))
        == expected
    )
    assert rows(["one"], text_column="body") == [{"body": "one"}]
    refused(["one", 2], "row 1", "int")
    refused(["one", "\udc00"], "row 1", "surrogate")


def test_a_batch_of_long_texts_is_short() -> None:
    batches = list(open_source(["x" * 3_000_000] * 12).batches)
    assert [batch.num_rows for batch in batches] == [6, 6]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4", "int8"])
def test_a_matrix_becomes_vectors_of_its_type(dtype: str) -> None:
    matrix = np.arange(15).reshape(5, 3).astype(dtype)
    found = table(matrix, batch_rows=2)
    assert found.schema.field("vector").type == pa.list_(
        pa.from_numpy_dtype(matrix.dtype.newbyteorder("=")), 3
    )
    assert found["vector"].to_pylist() == matrix.tolist()
    assert table(np.asfortranarray(matrix), batch_rows=2) == found


def test_a_matrix_is_not_copied() -> None:
    matrix = np.ones((4, 3), np.float32)
    batch = next(open_source(matrix).batches)
    values = batch.column(0).flatten().to_numpy()
    assert np.shares_memory(values, matrix)


def test_a_list_of_arrays_becomes_vectors_of_one_length() -> None:
    expected = [{"vector": [1, 2]}, {"vector": [3, 4.5]}]
    assert rows([np.array([1, 2]), np.array([3, 4.5])]) == rows([[1, 2], (3, 4.5)]) == expected
    assert rows(iter([[1, 2], [3, 4.5]]), 1) == expected
    assert types([np.ones(2, "f4"), np.ones(2)]) == {"vector": "fixed_size_list<item: float>[2]"}
    refused([[1, 2], [1, 2, 3]], "row 1", "3 numbers", "the first has 2")
    refused([[1, 2], ["x", "y"]], "row 1", "not a vector")
    refused([[1, 2], [[1], [1, 2]]], "row 1", "not a vector")
    refused([[1, 2], None], "row 1", "not a vector")
    refused([[]], "row 0", "not a vector")


def test_tensors_become_vectors() -> None:
    torch = pytest.importorskip("torch")
    assert rows(torch.eye(2)) == [{"vector": [1, 0]}, {"vector": [0, 1]}]
    assert (
        rows(torch.eye(2, requires_grad=True))
        == rows(torch.eye(2, dtype=torch.bfloat16))
        == rows(torch.eye(2))
    )
    assert types(torch.eye(2, dtype=torch.float16)) == {
        "vector": "fixed_size_list<item: halffloat>[2]"
    }
    refused(torch.eye(2).to_sparse(), "torch.Tensor", "cannot be read as an array")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (None, "NoneType"),
        (5, "builtins.int"),
        (b"bytes", "bytes"),
        ({"id": [1]}, "for one row give [row]"),
        ({1, 2}, "no order"),
        ([None, None], "a list of NoneType"),
        ([object()], "a list of object"),
        (np.ones(3), "matrix of one row"),
        (np.ones((2, 2, 2)), "(2, 2, 2)"),
        (np.ones((2, 0)), "(2, 0)"),
        (np.ones((2, 2), complex), "complex"),
        (np.ma.masked_array(np.ones((2, 2)), mask=[[0, 0], [0, 1]]), "masked values"),
        ([np.ones(2), np.ma.masked_array(np.ones(2), mask=[0, 1])], "row 1 is a vector with mask"),
    ],
)
def test_an_object_that_is_not_data_is_refused_by_its_type(data: object, says: str) -> None:
    refused(data, says)


@pytest.mark.parametrize("data", [[], (), iter([]), TABLE.slice(0, 0), np.ones((0, 3)), [{}][:0]])
def test_empty_data_has_no_batches(data: object) -> None:
    assert list(open_source(data).batches) == []


def test_batch_rows_must_be_positive() -> None:
    with pytest.raises(InvalidInputError, match="batch_rows is 0"):
        open_source([], batch_rows=0)


@pytest.mark.parametrize(
    "data",
    [
        np.eye(2, dtype=bool),
        list(np.eye(2, dtype=bool)),
        np.eye(4, dtype=bool)[::2, ::2],
        [{"vector": [True, False]}, {"vector": [False, True]}],
        pa.table({"vector": pa.array([[True, False], [False, True]])}),
    ],
)
def test_booleans_are_the_numbers_0_and_1_as_in_queries(tmp_path: Path, data: object) -> None:
    c = vs.create(tmp_path / "c.vs", dim=2, metric="l2")
    c.add(data)
    assert [c.vector(id).tolist() for id in (0, 1)] == [[1, 0], [0, 1]]
    assert c.search(np.array([True, False])).scores.tolist() == [0, -2]
