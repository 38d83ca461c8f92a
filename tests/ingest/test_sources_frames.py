"""Arrow objects and frames of pandas and polars come out as their rows."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from support.sources import TABLE, refused, rows, table

from vecsearch.ingest.sources import open_source


def test_arrow_objects_keep_rows_and_types() -> None:
    batch = TABLE.to_batches()[0]
    reader = pa.RecordBatchReader.from_batches(TABLE.schema, TABLE.to_batches())
    for data in (
        TABLE,
        batch,
        reader,
        [batch.slice(0, 1), batch.slice(1)],
        iter([TABLE.slice(0, 2), TABLE.slice(2)]),
    ):
        assert table(data, batch_rows=2) == TABLE
    assert open_source(TABLE).name == "a pyarrow.Table"
    assert open_source(TABLE).total == 3
    assert rows(pa.array(["a", "b"]), text_column="body") == [{"body": "a"}, {"body": "b"}]
    assert rows(pa.chunked_array([[[1.0, 2.0]], [[3.0, 4.0]]])) == [
        {"vector": [1.0, 2.0]},
        {"vector": [3.0, 4.0]},
    ]
    refused(pa.array([1, 2]), "pyarrow.Int64Array", "int64", "texts or vectors")
    refused([TABLE, pa.table({"other": [1]})], "item 1", "other")
    refused(pa.table([[1], [2]], names=["a", "a"]), "a pyarrow.Table", "duplicate column name 'a'")


def test_a_stream_is_read_as_it_is_asked_for() -> None:
    asked: list[int] = []

    def batches() -> Iterator[pa.RecordBatch]:
        for number in range(5):
            asked.append(number)
            yield pa.record_batch({"id": [number]})

    source = open_source(
        pa.RecordBatchReader.from_batches(pa.schema([("id", pa.int64())]), batches()), batch_rows=1
    )
    assert asked == []
    assert next(source.batches).column(0).to_pylist() == [0]
    assert len(asked) < 5


def test_encoded_types_become_plain_ones() -> None:
    words = pa.array(["a", "b", None, "a"])
    data = pa.table(
        {
            "dictionary": words.dictionary_encode(),
            "view": words.cast(pa.string_view()),
            "dictionary of views": pa.DictionaryArray.from_arrays(
                [0, 1, None, 0], pa.array(["a", "b"], pa.string_view())
            ),
            "run ends": pa.RunEndEncodedArray.from_arrays([1, 2, 3, 4], words),
            "inside": pa.array([["a"], [], None, ["b"]], pa.list_(pa.string_view())),
            "struct": pa.array(
                [{"x": "a"}] * 4, pa.struct([("x", pa.dictionary(pa.int8(), pa.string()))])
            ),
            "tensor": pa.ExtensionArray.from_storage(
                pa.fixed_shape_tensor(pa.float32(), [2]),
                pa.array([[1, 2]] * 4, pa.list_(pa.float32(), 2)),
            ),
        }
    )
    plain = table(data, batch_rows=3)
    assert [str(kind) for kind in plain.schema.types] == [
        "string",
        "large_string",
        "large_string",
        "string",
        "list<item: large_string>",
        "struct<x: string>",
        "fixed_size_list<item: float>[2]",
    ]
    for name in data.column_names[:4]:
        assert plain[name].to_pylist() == ["a", "b", None, "a"]
    assert plain["inside"].to_pylist() == [["a"], [], None, ["b"]]
    assert plain["tensor"].to_pylist() == [[1, 2]] * 4


def test_short_batches_are_joined_and_long_ones_cut() -> None:
    def lengths(parts: list[int], batch_rows: int) -> list[int]:
        batches = [
            pa.record_batch({"x": list(range(count))}, pa.schema([("x", pa.int64())]))
            for count in parts
        ]
        source = open_source(
            pa.RecordBatchReader.from_batches(batches[0].schema, batches), batch_rows=batch_rows
        )
        return [batch.num_rows for batch in source.batches]

    assert lengths([1] * 10, 4) == [4, 4, 2]
    assert lengths([10], 4) == [4, 4, 2]
    assert lengths([1, 0, 10, 1, 1], 4) == [1, 4, 4, 2, 2]
    assert lengths([0, 0], 4) == []


def test_pandas_frames_keep_rows_and_named_indexes() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(
        {"id": ["007", "8", "9"], "kind": pd.Categorical(["x", "y", "x"]), "n": [1.5, None, 2.0]}
    )
    expected = [
        {"id": "007", "kind": "x", "n": 1.5},
        {"id": "8", "kind": "y", "n": None},
        {"id": "9", "kind": "x", "n": 2.0},
    ]
    assert rows(frame) == expected
    assert open_source(frame).name == "a pandas.DataFrame"
    assert open_source(frame).total == 3
    assert (
        rows(frame[frame.n.isna() | (frame.n > 1.7)]) == expected[1:]
    )  # an index without a name is no column
    assert rows(frame.set_index("id")) == expected  # one with a name is
    assert rows(pd.Series(["a", "b"])) == [{"text": "a"}, {"text": "b"}]
    assert rows(pd.DataFrame({"vector": [np.ones(2), np.zeros(2)]})) == [
        {"vector": [1, 1]},
        {"vector": [0, 0]},
    ]
    refused(
        pd.DataFrame({"fine": [1, 2, 3], "mixed": [1, None, "x"]}),
        "'mixed'",
        "int in row 0",
        "str in row 2",
    )
    refused(pd.DataFrame([[1, 2]], columns=["a", "a"]), "uplicate")
    refused(frame.set_index("id", drop=False), "id")


def test_polars_frames_keep_rows_and_types() -> None:
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame(
        {
            "id": ["007", "8", "9"],
            "v": [[1.0], [2.0], None],
            "c": pl.Series(["x", "y", "x"], dtype=pl.Categorical),
        }
    )
    expected = frame.to_dicts()
    assert rows(frame, batch_rows=2) == expected
    assert open_source(frame).total == 3
    assert rows(frame.lazy(), batch_rows=2) == expected
    assert rows(frame.lazy().filter(pl.col("id") == "none")) == []
    assert rows(frame["id"]) == [{"text": "007"}, {"text": "8"}, {"text": "9"}]


def test_anything_with_the_arrow_stream_interface_is_read() -> None:
    duckdb = pytest.importorskip("duckdb")
    assert rows(duckdb.sql("select 1 as id, 'a' as text")) == [{"id": 1, "text": "a"}]


def test_pandas_and_polars_are_not_needed() -> None:
    code = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('pandas', 'polars'): raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        "from vecsearch.ingest.sources import open_source\n"
        "batches = open_source([{'id': 1}]).batches\n"
        "print([batch.to_pylist() for batch in batches], 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout == "[[{'id': 1}]] False\n"
