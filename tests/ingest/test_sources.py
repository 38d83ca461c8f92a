"""Whatever can be passed as data comes out as the rows it holds, with the types they have, or as an error that says where."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources import Source, open_source
from vecsearch.ingest.sources import encoding as encoding_module
from vecsearch.ingest.sources.base import plain_array, plain_type

ROWS = [{"id": 1, "text": "eins"}, {"id": 2, "text": "二"}, {"id": 3, "text": "trois"}]
TABLE = pa.Table.from_pylist(ROWS)


def table(
    data: object, batch_rows: int = 4096, text_column: str = "text", schema: pa.Schema | None = None
) -> pa.Table:
    """Everything a source yields, with what holds for every source checked on the way."""
    source = open_source(data, batch_rows=batch_rows, text_column=text_column, schema=schema)
    batches = list(source.batches)
    assert all(0 < batch.num_rows <= batch_rows for batch in batches)
    assert len({batch.schema.to_string() for batch in batches}) <= 1
    found = pa.Table.from_batches(batches) if batches else pa.table({})
    assert source.total in (None, found.num_rows)
    return found


def rows(
    data: object, batch_rows: int = 4096, text_column: str = "text", schema: pa.Schema | None = None
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = table(data, batch_rows, text_column, schema).to_pylist()
    return found


def types(data: object, schema: pa.Schema | None = None) -> dict[str, str]:
    return {field.name: str(field.type) for field in table(data, schema=schema).schema}


def refused(
    data: object, *says: str, batch_rows: int = 4096, schema: pa.Schema | None = None
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        list(open_source(data, batch_rows=batch_rows, schema=schema).batches)
    for part in says:
        assert part in str(caught.value), f"{part!r} is not in: {caught.value}"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str, content: str | bytes, encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content if isinstance(content, bytes) else content.encode(encoding)
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write


Write = Callable[..., Path]


# ---- Arrow, frames --------------------------------------------------------------------------------------------------


def test_arrow_objects() -> None:
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
    refused(pa.table([[1], [2]], names=["a", "a"]), "a pyarrow.Table", "'a'", "twice")


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


def test_pandas() -> None:
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


def test_polars() -> None:
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


def test_anything_with_the_arrow_stream_interface() -> None:
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
        "print([batch.to_pylist() for batch in open_source([{'id': 1}]).batches], 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout == "[[{'id': 1}]] False\n"


# ---- dicts ----------------------------------------------------------------------------------------------------------


def test_dicts_get_the_types_of_their_values() -> None:
    moment = dt.datetime(2020, 1, 2, 3, 4, 5, 6)
    row = {
        "str": "中",
        "int": 1,
        "float": 1.5,
        "bool": True,
        "bytes": b"\0",
        "date": dt.date(2020, 1, 2),
        "datetime": moment,
        "zone": moment.replace(tzinfo=dt.timezone(dt.timedelta(hours=8))),
        "list": ["a", "b"],
        "numbers": (1, 2.5),
        "dict": {"a": 1, "b": ["x"]},
        "numpy int": np.int32(7),
        "numpy float": np.float32(0.5),
        "numpy bool": np.bool_(True),
        "numpy str": np.str_("s"),
        "numpy date": np.datetime64("2020-01-02T03:04:05"),
        "f4": np.array([1, 2], "f4"),
        "f2": np.array([1, 2], "f2"),
        "big-endian": np.array([1, 2], ">f8"),
        "every second": np.arange(4, dtype="f4")[::2],
        "none": None,
    }
    assert types([row]) == {
        "str": "string",
        "int": "int64",
        "float": "double",
        "bool": "bool",
        "bytes": "binary",
        "date": "date32[day]",
        "datetime": "timestamp[us]",
        "zone": "timestamp[us, tz=UTC]",
        "list": "list<item: string>",
        "numbers": "list<item: double>",
        "dict": "struct<a: int64, b: list<item: string>>",
        "numpy int": "int64",
        "numpy float": "double",
        "numpy bool": "bool",
        "numpy str": "string",
        "numpy date": "timestamp[us]",
        "f4": "list<item: float>",
        "f2": "list<item: halffloat>",
        "big-endian": "list<item: double>",
        "every second": "list<item: float>",
        "none": "null",
    }
    found = rows([row])[0]
    assert found["zone"] == row["zone"]
    assert found["numpy date"] == moment.replace(microsecond=0)
    assert (found["every second"], found["big-endian"]) == ([0, 2], [1, 2])
    plain = ("str", "int", "float", "bool", "bytes", "date", "datetime", "list", "dict", "none")
    assert {name: found[name] for name in plain} == {name: row[name] for name in plain}


def test_a_list_of_dicts_is_looked_at_as_a_whole() -> None:
    data = [
        {"a": 1},
        {"a": None, "late": "x"},
        {"a": 2.5, "late": None, "deep": {"x": 1}},
        {"deep": {"y": 2}},
    ]
    for batch_rows in (1, 2, 4096):
        assert rows(data, batch_rows) == [
            {"a": 1.0, "late": None, "deep": None},
            {"a": None, "late": "x", "deep": None},
            {"a": 2.5, "late": None, "deep": {"x": 1, "y": None}},
            {"a": None, "late": None, "deep": {"x": None, "y": 2}},
        ]


def test_missing_values_of_pandas_are_none() -> None:
    pd = pytest.importorskip("pandas")
    data = [
        {"a": pd.NaT, "b": pd.NA},
        {"a": pd.Timestamp("2020-01-02"), "b": "x"},
        {"a": np.datetime64("NaT"), "b": None},
    ]
    assert rows(data) == [
        {"a": None, "b": None},
        {"a": dt.datetime(2020, 1, 2), "b": "x"},
        {"a": None, "b": None},
    ]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ([{"a": 1}, {"a": None}, {"a": "x"}], ("column 'a'", "int in row 0", "str in row 2")),
        ([{"a": True}, {"a": 1}], ("bool in row 0", "int in row 1")),
        ([{"a": "x"}, {"a": float("nan")}], ("str in row 0", "float in row 1", "None")),
        (
            [{"a": dt.date(2020, 1, 1)}, {"a": dt.datetime(2020, 1, 1)}],
            ("date in row 0", "datetime in row 1"),
        ),
        (
            [{"a": dt.datetime(2020, 1, 1)}, {"a": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)}],
            ("with a time zone in row 1",),
        ),
        ([{"a": [1]}, {"a": [1, "x"]}], ("lists of column 'a'", "int in row 0", "str in row 1")),
        ([{"a": {"b": 1}}, {"a": {"b": "x"}}], ("column 'a', field 'b'", "row 0", "row 1")),
        ([{"a": 1}, {"a": {1, 2}}], ("row 1", "column 'a'", "set")),
        ([{"a": 1}, {"a": np.ones((2, 2))}], ("row 1", "(2, 2)")),
        ([{"a": 1}, {"a": 2**63}], ("row 1", "column 'a'", "64-bit")),
        ([{"a": 0.5}, {"a": 2**60 + 1}], ("row 1", "column 'a'")),
        ([{"a": "fine"}, {"a": "\ud800"}], ("row 1", "column 'a'", "surrogate")),
        ([{"a": 1}, {2: 1}], ("row 1", "column name 2")),
        ([{"a": {"x": 1}}, {"a": {2: 1}}], ("row 1", "key 2")),
        ([{"a": 1}, ("x",)], ("row 1", "tuple")),
    ],
)
def test_rows_that_do_not_go_together_are_named(data: list[Any], says: tuple[str, ...]) -> None:
    refused(data, *says)
    refused(data, *says, batch_rows=1)
    refused(iter(data), *says)


def test_an_iterator_of_dicts() -> None:
    data = [{"a": 1.5, "v": np.array([1, 2], "f4")}, {"a": 2}, {}, {"v": [3, 4]}]
    assert rows(iter(data), batch_rows=1) == [
        {"a": 1.5, "v": [1, 2]},
        {"a": 2.0, "v": None},
        {"a": None, "v": None},
        {"a": None, "v": [3, 4]},
    ]
    source = open_source(iter(data))
    assert (source.name, source.total) == ("an iterator", None)


def test_an_iterator_of_dicts_loses_nothing_after_its_first_batch() -> None:
    refused(
        iter([{"a": 1}, {"a": 1, "b": None}, {"a": 2, "b": 1}]),
        "row 2",
        "'b'",
        "as a list",
        batch_rows=1,
    )
    refused(iter([{"a": 1}, {"a": 2}, {"a": 2.5}]), "row 2", "'a'", "double", "int64", batch_rows=1)
    refused(iter([{"a": None}, {"a": 2}]), "row 1", "'a'", "only None", batch_rows=1)
    refused(iter([{"a": {"x": 1}}, {"a": {"x": 1, "y": 1}}]), "row 1", "'a'", batch_rows=1)
    assert rows(iter([{"a": None}, {"a": 2}]), 1, schema=pa.schema([("a", pa.int64())])) == [
        {"a": None},
        {"a": 2},
    ]


def test_an_iterator_is_not_read_ahead() -> None:
    asked: list[int] = []

    def endless() -> Iterator[dict[str, int]]:
        while True:
            asked.append(len(asked))
            yield {"id": len(asked)}

    source = open_source(endless(), batch_rows=10)
    next(source.batches)
    next(source.batches)
    assert len(asked) <= 30


@settings(deadline=None, max_examples=100)
@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "int": st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
                "text": st.one_of(
                    st.none(), st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
                ),
                "list": st.one_of(
                    st.none(),
                    st.lists(st.one_of(st.none(), st.floats(allow_nan=False)), max_size=3),
                ),
                "dict": st.fixed_dictionaries({}, optional={"x": st.booleans(), "日": st.dates()}),
            },
        ),
        max_size=12,
    ),
    st.integers(1, 5),
)
def test_dicts_come_back_as_they_were(data: list[dict[str, Any]], batch_rows: int) -> None:
    names = {name for row in data for name in row}
    inner = {name for row in data for name in row.get("dict") or {}}
    expected = []
    for row in data:
        full = {name: row.get(name) for name in names}
        if full.get("dict") is not None:
            full["dict"] = {name: row["dict"].get(name) for name in inner}
        expected.append(full)
    if data and not names:
        refused(data, "row 0 is an empty dict")
        return
    assert rows(data, batch_rows) == expected


# ---- texts, vectors, and what is neither ----------------------------------------------------------------------------


def test_texts() -> None:
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
def test_a_matrix(dtype: str) -> None:
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


def test_vectors_one_by_one() -> None:
    expected = [{"vector": [1, 2]}, {"vector": [3, 4.5]}]
    assert rows([np.array([1, 2]), np.array([3, 4.5])]) == rows([[1, 2], (3, 4.5)]) == expected
    assert rows(iter([[1, 2], [3, 4.5]]), 1) == expected
    assert types([np.ones(2, "f4"), np.ones(2)]) == {"vector": "fixed_size_list<item: float>[2]"}
    refused([[1, 2], [1, 2, 3]], "row 1", "3 numbers", "the first has 2")
    refused([[1, 2], ["x", "y"]], "row 1", "no vector")
    refused([[1, 2], [[1], [1, 2]]], "row 1", "no vector")
    refused([[1, 2], None], "row 1", "no vector")
    refused([[]], "row 0", "no vector")


def test_tensors() -> None:
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
        (np.ones((2, 2), bool), "bool"),
    ],
)
def test_what_is_no_data_is_named(data: object, says: str) -> None:
    refused(data, says)


@pytest.mark.parametrize("data", [[], (), iter([]), TABLE.slice(0, 0), np.ones((0, 3)), [{}][:0]])
def test_nothing_is_no_batches(data: object) -> None:
    assert list(open_source(data).batches) == []


def test_batch_rows_must_be_positive() -> None:
    with pytest.raises(InvalidInputError, match="batch_rows is 0"):
        open_source([], batch_rows=0)


# ---- CSV and TSV ----------------------------------------------------------------------------------------------------


def test_csv_types(write: Write) -> None:
    path = write(
        "t.csv",
        "id,text,year,price,yes,day,moment,zoned,empty,zip,phone,big,mixed,version\n"
        "12,2001,2001,1.5,true,2020-01-31,2020-01-02 03:04,2020-01-02T03:04:05Z,,007,+86,12345678901234567890,1,1.0\n"
        "-3,x,NA,2,FALSE,,2020-01-02T03:04:05.5,2020-01-02T03:04:05+08:00,,8,+44,1,x,1.0.1\n"
        "0,,-5,1e-3,,2020-02-29,,,,9,,,,\n",
    )
    assert types(path) == {
        "id": "int64",
        "text": "string",
        "year": "int64",
        "price": "double",
        "yes": "bool",
        "day": "date32[day]",
        "moment": "timestamp[us]",
        "zoned": "timestamp[us, tz=UTC]",
        "empty": "null",
        "zip": "string",
        "phone": "string",
        "big": "string",
        "mixed": "string",
        "version": "string",
    }
    first, second, third = rows(path, batch_rows=1)
    assert (first["text"], first["zip"], first["big"]) == ("2001", "007", "12345678901234567890")
    assert second["year"] is None
    assert second["moment"] == dt.datetime(2020, 1, 2, 3, 4, 5, 500_000)
    assert second["zoned"] == dt.datetime(2020, 1, 1, 19, 4, 5, tzinfo=dt.UTC)
    assert (third["id"], third["text"], third["price"], third["yes"], third["day"]) == (
        0,
        None,
        0.001,
        None,
        dt.date(2020, 2, 29),
    )


def test_csv_types_hold_for_the_whole_file(write: Write) -> None:
    """A value far below the first batch decides as much as one at the top."""
    head = "id,code,year,price,flag,day\n"
    body = "".join(
        f"{number},{number},{number},{number},true,2020-01-01\n" for number in range(3000)
    )
    path = write("t.csv", head + body + "007,0123,x,1.25,maybe,2020-02-30\n")
    found = table(path, batch_rows=100)
    assert [str(kind) for kind in found.schema.types] == [
        "string",
        "string",
        "string",
        "double",
        "string",
        "string",
    ]
    assert found["id"].to_pylist()[-2:] == ["2999", "007"]
    assert found["code"].to_pylist()[:2] == ["0", "1"]


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "2"], "int64"),
        (["1", "NA"], "string"),
        (["1", "1.5"], "string"),
        (["true", "false"], "string"),
        (["2020-01-01"], "string"),
        (["01"], "string"),
        (["9223372036854775807"], "int64"),
        (["9223372036854775808"], "string"),
    ],
)
def test_csv_ids_are_integers_only_if_all_are(write: Write, cells: list[str], kind: str) -> None:
    found = table(write("t.csv", "id,x\n" + "".join(f"{cell},y\n" for cell in cells)))
    assert str(found.schema.field("id").type) == kind
    assert [str(value) for value in found["id"].to_pylist()] == cells


def test_csv_markers_of_missing_values_are_text_in_text(write: Write) -> None:
    path = write("t.csv", "country,n,only\nNA,NA,NA\nDE,1,\nNaN,null,NA\n")
    assert rows(path) == [
        {"country": "NA", "n": None, "only": "NA"},
        {"country": "DE", "n": 1, "only": None},
        {"country": "NaN", "n": None, "only": "NA"},
    ]


def test_csv_vectors_are_json(write: Write) -> None:
    path = write("t.csv", 'id,vector\n1,"[0.5, 2]"\n2,\n')
    assert rows(path) == [{"id": 1, "vector": [0.5, 2.0]}, {"id": 2, "vector": None}]
    refused(
        write("bad.csv", 'id,vector\n1,"[0.5, 2]"\n2,[0.5 2]\n'),
        "bad.csv, line 3",
        "'vector'",
        "JSON",
    )


def test_csv_takes_known_types(write: Write) -> None:
    known = pa.schema(
        [
            ("id", pa.large_string()),
            ("n", pa.float64()),
            ("tags", pa.list_(pa.string())),
            ("unused", pa.int8()),
        ]
    )
    path = write("t.csv", 'id,n,tags\n12,1,"[""a""]"\n13,,\n')
    assert rows(path, schema=known) == [
        {"id": "12", "n": 1.0, "tags": ["a"]},
        {"id": "13", "n": None, "tags": None},
    ]
    numbers = pa.schema([("id", pa.int64())])
    refused(
        write("u.csv", "id\n1\n\n007\n"),
        "u.csv, line 4",
        "'id'",
        "'007' is no int64",
        schema=numbers,
    )
    refused(write("v.csv", "id\n1\nx\n"), "v.csv, line 3", "'x' is no int64", schema=numbers)


def test_csv_quotes_line_ends_and_headers(write: Write) -> None:
    path = write(
        "t.csv", '编号, text ,\r\n1,"line one\r\nline ""two"", and\n三",x\r\n\r\n2,\'a,y\r\n'
    )
    assert rows(path) == [
        {"编号": 1, "text": 'line one\r\nline "two", and\n三', "column_3": "x"},
        {"编号": 2, "text": "'a", "column_3": "y"},
    ]
    assert rows(write("old.csv", "id,text\r1,a\r2,b\r")) == [
        {"id": 1, "text": "a"},
        {"id": 2, "text": "b"},
    ]


@pytest.mark.parametrize(
    ("separator", "name"), [(";", "t.csv"), ("\t", "t.csv"), ("\t", "t.tsv"), ("\t", "T.TSV.gz")]
)
def test_csv_separators(write: Write, separator: str, name: str) -> None:
    path = write(name, f'id{separator}text\n1{separator}"a{separator}b, c"\n')
    assert rows(path) == [{"id": 1, "text": f"a{separator}b, c"}]


def test_tsv_without_quoting(write: Write) -> None:
    """Quotes that do not pair up are characters like any other, as the format's registration has it."""
    path = write("t.tsv", 'id\ttext\n1\t"so" he said\n2\t5" disk\n3\t"open\n')
    assert [row["text"] for row in rows(path)] == ['"so" he said', '5" disk', '"open']
    refused(
        write("bad.tsv", "id\ttext\n1\ta\tb\n"), "bad.tsv, line 2", "3 cells", "the header has 2"
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("id,text\n1,a\n2,b,c\n", ("line 3", "3 cells where the header has 2")),
        ('id,text\n1,"a\nb"\n2\n', ("line 4", "1 cells")),
        ("id,id\n1,2\n", ("'id'", "twice")),
        ("id,text\n1,a\x00b\n", ("line 2", "NUL")),
        ('id,text\n1,a\n2,"b"c\n', ("starts in line 3", "quote")),
        ('id,text\n1,a\n2,"b\n3,c\n', ("starts in line 3", "quote")),
    ],
)
def test_csv_damage_is_named_with_its_line(
    write: Write, content: str, says: tuple[str, ...]
) -> None:
    refused(write("t.csv", content), "t.csv", *says)
    refused(write("t.csv.gz", content), "t.csv.gz", *says)


def test_csv_without_rows(write: Write) -> None:
    for content in ("", "\n\n", "id,text\n", "\ufeff"):
        source = open_source(write("t.csv", content))
        assert (source.total, list(source.batches)) == (0, [])


def test_csv_cells_of_ten_megabytes(write: Write) -> None:
    long = "word 字" * 1_500_000
    found = table(write("t.csv", f'id,text\n1,"{long}\n{long}"\n2,short\n'))
    assert found["text"].to_pylist() == [f"{long}\n{long}", "short"]
    assert csv.field_size_limit() >= len(long)


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.tuples(CELLS, CELLS), max_size=8),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.integers(1, 4),
)
def test_csv_text_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory,
    pairs: list[tuple[str, str]],
    encoding: str,
    batch_rows: int,
) -> None:
    """What Python's csv writes is read back, whatever the cells look like. An empty cell is null."""
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("text", "也"), *pairs])
    found = rows(path, batch_rows, schema=pa.schema([("也", pa.string())]))
    assert found == [{"text": text or None, "也": also or None} for text, also in pairs]


# ---- encodings ------------------------------------------------------------------------------------------------------

CHINESE = "id,名称,text\n1,甲,今天天气很好。\n2,乙,“我们去公园吧！”𠀀\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "gb18030"])
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".jsonl", ".txt", ".md.gz"])
def test_encodings(write: Write, encoding: str, suffix: str) -> None:
    if suffix == ".jsonl":
        path = write("t.jsonl", '{"名称": "甲", "text": "今天天气很好。"}\n', encoding)
        assert rows(path) == [{"名称": "甲", "text": "今天天气很好。"}]
    elif suffix.startswith(".csv"):
        assert rows(write("t" + suffix, CHINESE, encoding)) == [
            {"id": 1, "名称": "甲", "text": "今天天气很好。"},
            {"id": 2, "名称": "乙", "text": "“我们去公园吧！”𠀀"},
        ]
    else:
        assert rows(write("t" + suffix, CHINESE, encoding)) == [
            {"id": "t" + suffix, "text": CHINESE}
        ]


def test_gbk_is_found_however_late_it_shows(write: Write) -> None:
    path = write(
        "t.csv",
        b"id,text\n" + b"1,plain ascii for a long while\n" * 50_000 + "2,中文\n".encode("gbk"),
    )
    assert table(path)["text"][-1].as_py() == "中文"


def test_what_is_no_text_is_named_with_its_byte(write: Write) -> None:
    start = b"id,text\n1,"
    refused(write("t.csv", start + b"\xff\xff\n"), "t.csv", f"byte {len(start)} ", "GB18030")
    late = start + b"x" * 3_000_000
    refused(write("u.csv", late + b"\xe4\xb8\n\xff\xff"), "u.csv", f"byte {len(late)} ")
    chinese = ("今天天气很好。" * 3).encode()
    refused(
        write("v.csv", start + chinese[:-1]),
        "v.csv",
        f"byte {len(start + chinese) - 3} ",
        "not UTF-8, though the 20 letters",
    )
    refused(write("w.txt", b"\xef\xbb\xbf\xff\xff"), "w.txt", "byte 3 ", "UTF-8")
    refused(write("x.txt", "ab".encode("utf-16-le")), "x.txt", "NUL character")


def test_a_file_that_changes_underneath_is_noticed(write: Write) -> None:
    for name, content in (("t.csv", "id,text\n1,a\n"), ("t.jsonl", '{"id": 1}\n')):
        source = open_source(write(name, content))
        write(name, content * 2)
        with pytest.raises(InvalidInputError, match=f"{name} changed while"):
            list(source.batches)


@pytest.mark.parametrize("name", ["t.jsonl.gz", "t.csv.gz", "t.txt.gz"])
def test_a_small_gz_file_of_much_text_takes_little_memory(
    write: Write, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(name, b"a" * 50_000_000)
    assert path.stat().st_size < 100_000
    for module in ("encoding", "csv"):
        monkeypatch.setattr(f"vecsearch.ingest.sources.{module}.MAX_TEXT", 2**20)
    tracemalloc.start()
    refused(path, name, "1,048,576 characters")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 15_000_000


def test_damaged_gz_files_are_named(write: Write, tmp_path: Path) -> None:
    whole = gzip.compress(b'{"id": 1}\n' * 5000)
    for name, content in (
        ("cut.jsonl.gz", whole[:-20]),
        ("no.csv.gz", b"id,text\n"),
        ("no.arrow.gz", b"id,text\n"),
    ):
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name, name, "not a whole gzip file")


# ---- JSON lines -----------------------------------------------------------------------------------------------------


def test_jsonl(write: Write) -> None:
    lines = [
        {"id": "007", "tags": ["a", "乙"], "v": [1, 2.5]},
        {"id": "8", "late": {"x": True}},
        {"id": "9", "n": 1},
        {"n": 0.5},
    ]
    content = "\n\n".join(json.dumps(line) for line in lines) + "\r\n"
    expected = [
        {"id": "007", "tags": ["a", "乙"], "v": [1.0, 2.5], "late": None, "n": None},
        {"id": "8", "tags": None, "v": None, "late": {"x": True}, "n": None},
        {"id": "9", "tags": None, "v": None, "late": None, "n": 1.0},
        {"id": None, "tags": None, "v": None, "late": None, "n": 0.5},
    ]
    for name in ("t.jsonl", "t.ndjson", "t.jsonl.gz"):
        assert rows(write(name, content), batch_rows=1) == expected
    assert open_source(write("t.jsonl", content)).total == 4
    assert rows(write("e.jsonl", "")) == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"id": 1}\n\n{bad}\n', ("line 3", "not JSON")),
        ('[{"id": 1}]\n', ("line 1", "a list", "JSON object")),
        ('{"id": 1}\n{"id": "x"}\n', ("'id'", "int in t.jsonl, line 1", "str in t.jsonl, line 2")),
        ('{"id": 1}\n{"id": 2, "id": 3}\n', ("line 2", "'id'", "twice")),
        ('{"id": 1}\n{"id": 99999999999999999999}\n', ("line 2", "'id'", "64-bit")),
        ('{"id": "\\ud800"}\n', ("line 1", "'id'", "surrogate")),
        ('{"id": "a\x00"}\n', ("line 1", "NUL")),
        ('{"a":' * 5000, ("line 1", "not JSON")),
    ],
)
def test_jsonl_damage_is_named_with_its_line(
    write: Write, content: str, says: tuple[str, ...]
) -> None:
    refused(write("t.jsonl", content), "t.jsonl", *says)


# ---- Parquet and Arrow files ----------------------------------------------------------------------------------------


def ipc_bytes(stream: bool) -> bytes:
    sink = pa.BufferOutputStream()
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(sink, TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=2)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def test_parquet_and_arrow_files(write: Write, tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "t.parquet", row_group_size=2)
    paths = [
        tmp_path / "t.parquet",
        write("f.arrow", ipc_bytes(False)),
        write("f.feather", ipc_bytes(False)),
        write("s.arrow", ipc_bytes(True)),
        write("s.arrow.gz", ipc_bytes(True)),
    ]
    for path in paths:
        assert table(path) == TABLE
        assert table(str(path), batch_rows=1) == TABLE
    assert [open_source(path).total for path in paths] == [3, 3, 3, None, None]
    assert open_source(paths[0]).name == "t.parquet"


def test_damaged_parquet_and_arrow_files_are_named(write: Write, tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "t.parquet")
    whole = (tmp_path / "t.parquet").read_bytes()
    refused(write("cut.parquet", whole[:-10]), "cut.parquet", "not a whole Parquet file")
    refused(write("cut.arrow", ipc_bytes(False)[:-10]), "cut.arrow", "not a whole Arrow file")
    refused(write("short.arrow", ipc_bytes(True)[:-60]), "short.arrow", "not a whole Arrow file")
    refused(write("e.arrow", b""), "e.arrow", "not a whole Arrow file")
    refused(write("t.parquet.gz", whole), "t.parquet.gz", "unpack it")
    refused(write("f.arrow.gz", ipc_bytes(False)), "f.arrow.gz", "unpack it")


# ---- folders --------------------------------------------------------------------------------------------------------


def test_a_folder_of_texts(write: Write, tmp_path: Path) -> None:
    write("docs/b/notes.md", "# Notes\r\n")
    write("docs/a.TXT", "\ufeffone")
    write("docs/中/文.txt", "你好", "gb18030")
    write("docs/packed.txt.gz", "packed")
    write("docs/.hidden/x.txt", "no")
    write("docs/.x.txt", "no")
    write("docs/data.csv", "no")
    source = open_source(tmp_path / "docs")
    assert (source.name, source.total) == ("docs/", 4)
    expected = [
        {"id": "a.TXT", "text": "one"},
        {"id": "b/notes.md", "text": "# Notes\r\n"},
        {"id": "packed.txt.gz", "text": "packed"},
        {"id": "中/文.txt", "text": "你好"},
    ]
    assert rows(tmp_path / "docs", batch_rows=3) == rows(str(tmp_path / "docs")) == expected
    assert rows(tmp_path / "docs" / "a.TXT", text_column="body") == [{"id": "a.TXT", "body": "one"}]


def test_links_in_a_folder(write: Write, tmp_path: Path) -> None:
    write("docs/real/x.txt", "x")
    write("elsewhere/y.txt", "y")
    (tmp_path / "docs" / "a link to real").symlink_to("real")
    (tmp_path / "docs" / "real" / "loop").symlink_to("..")
    (tmp_path / "docs" / "out").symlink_to("../elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to("../docs")
    assert [row["id"] for row in rows(tmp_path / "docs")] == ["out/y.txt", "real/x.txt"]
    (tmp_path / "docs" / "nowhere.txt").symlink_to("gone")
    refused(tmp_path / "docs", "nowhere.txt")


def test_a_folder_without_texts(write: Write, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "holds no .txt or .md file")
    write("tables/t.csv", "id\n1\n")
    refused(tmp_path / "tables", "no .txt or .md file", ".csv files")


@pytest.mark.skipif(sys.platform == "darwin", reason="its file names are always Unicode")
def test_a_file_name_that_is_not_unicode(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.txt")).write_text("x")
    refused(tmp_path, "not valid Unicode")


# ---- paths, and lists that might be of paths ------------------------------------------------------------------------


def test_what_is_not_there_or_not_known(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused("nope.csv", "there is no file or folder 'nope.csv'")
    refused(Path("nope.csv"), "there is no file or folder 'nope.csv'")
    refused("how do plants make food", "give a list: [text]")
    refused("植物如何制造食物？", "give a list: [text]")
    refused("long " * 5000, "there is no file", "…")
    refused("nul\0.csv", "there is no file")
    refused(
        write("t.xlsx", ""),
        "t.xlsx",
        ".parquet, .csv, .tsv, .jsonl, .ndjson, .arrow, .feather, .npy, .h5",
        ".txt, .md",
    )
    refused(write("t.json", "[]"), "t.json", ".jsonl")
    os.mkfifo("pipe.csv")
    refused("pipe.csv", "pipe")


def test_a_list_of_paths_of_mixed_kinds(write: Write, tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["a"], "n": pa.array([1], pa.int8())}), tmp_path / "a.parquet")
    csv_path = write("b.csv", "id,n,day\nx1,1.5,2020-01-01\n")
    jsonl = write("c.jsonl", '{"id": "c", "text": "t"}\n')
    write("docs/d.md", "d")
    paths = [tmp_path / "a.parquet", csv_path, jsonl, tmp_path / "docs"]
    nothing = {"id": None, "n": None, "day": None, "text": None}
    expected = [
        {**nothing, "id": "a", "n": 1.0},
        {**nothing, "id": "x1", "n": 1.5, "day": dt.date(2020, 1, 1)},
        {**nothing, "id": "c", "text": "t"},
        {**nothing, "id": "d.md", "text": "d"},
    ]
    assert rows(paths) == rows(iter(paths), batch_rows=1) == expected
    assert rows([str(path) for path in paths[:3]]) == expected[:3]
    source = open_source(paths)
    assert (source.name, source.total) == ("4 files", 4)
    refused([*paths, 5], "item 4", "int")


@pytest.mark.parametrize("folders", [0, 1, 8, 30])
def test_the_path_of_a_missing_file_is_shown_whole(
    write: Write, tmp_path: Path, folders: int
) -> None:
    there = write("a.csv", "id\n1\n")
    missing = tmp_path.joinpath(*["a folder with a long name" + "-" * 80] * folders, "nope.csv")
    refused(missing, f"there is no file or folder {str(missing)!r}")
    refused(str(missing), f"there is no file or folder {str(missing)!r}")
    refused([there, missing], f"there is no file or folder {str(missing)!r}")
    refused([str(there), str(missing)], f"{str(missing)!r} is none")
    refused(Path("x" * 300 + ".csv"), "x" * 300 + ".csv")


def test_a_text_given_for_a_path_is_shown_in_short() -> None:
    for text in ("how do plants make food? " * 40, "long " * 5000, "a/" * 3000 + "b"):
        with pytest.raises(InvalidInputError, match="there is no file or folder") as caught:
            open_source(text)
        assert len(str(caught.value)) < 250
        assert f"{text[:30]}" in str(caught.value) and f"{text[-30:]}'" in str(caught.value)


def test_files_whose_columns_do_not_go_together(write: Write) -> None:
    one, two = write("one.jsonl", '{"id": 1}\n'), write("two.jsonl", '{"id": "x"}\n')
    refused([one, two], "'id'", "int64", "one.jsonl", "string", "two.jsonl")


def test_csv_files_that_differ_are_read_as_text(write: Write) -> None:
    """What looks like numbers in one file is text as soon as it is in another, to the letter."""
    one, two = write("one.csv", "code,n\n1.50,1\n"), write("two.csv", "code,n\nA7,2.5\n")
    assert rows([one, two]) == [{"code": "1.50", "n": 1.0}, {"code": "A7", "n": 2.5}]


def test_a_list_of_str_is_texts_or_paths_or_an_error(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write("a.csv", "id\n1\n")
    write("b.csv", "id\n2\n")
    (tmp_path / "folder").mkdir()
    assert rows(["a.csv", "b.csv"]) == [{"id": 1}, {"id": 2}]
    assert rows(["see a.csv", "b"]) == [{"text": "see a.csv"}, {"text": "b"}]
    assert rows(["see the file c.csv"]) == [{"text": "see the file c.csv"}]
    explicit = "[Path(p) for p in …]"
    refused(["a.csv", "not a file"], "'a.csv' is a file", "'not a file' is none", explicit)
    refused(["a.csv", "c.csv"], "'c.csv' is none", explicit)
    refused(["c.csv"], "no file 'c.csv'", explicit)
    refused(["folder"], "'folder' is a folder", explicit)
    refused(iter(["a.csv"]), "'a.csv', is a file", explicit)
    assert rows([{"text": text} for text in ("a.csv", "folder")]) == [
        {"text": "a.csv"},
        {"text": "folder"},
    ]


# ---- what holds for all ---------------------------------------------------------------------------------------------


def test_real_files(shared_data: Path) -> None:
    summaries = shared_data / "ann" / "package-summaries-50k.tsv"
    lines = summaries.read_text(encoding="utf-8").split("\n")
    found = table(summaries)
    assert found.column_names == lines[0].split("\t")
    assert [
        f"{name}\t{summary}" for name, summary in zip(*found.to_pydict().values(), strict=True)
    ] == lines[1:-1]
    corpus = shared_data / "beir" / "cmrc2018-dev" / "corpus.jsonl"
    with corpus.open(encoding="utf-8") as file:
        assert rows(corpus) == [json.loads(line) for line in file]


def test_memory_stays_bounded_over_a_long_file(write: Write) -> None:
    path = write(
        "t.csv.gz", "id,text\n" + "".join(f"{number},{'word ' * 40}\n" for number in range(60_000))
    )
    tracemalloc.start()
    total = sum(batch.num_rows for batch in open_source(path, batch_rows=500).batches)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 60_000
    assert peak < 6_000_000  # the file's text is 12 MB


@pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="no list of open files on this system"
)
def test_files_are_closed_when_reading_stops_early(write: Write) -> None:
    for name, content in (
        ("t.csv", "id\n1\n2\n"),
        ("t.jsonl", '{"id": 1}\n{"id": 2}\n'),
        ("t.arrow", ipc_bytes(True)),
    ):
        source: Source = open_source(write(name, content), batch_rows=1)
        next(source.batches)
        del source
    held = [link.readlink().suffix for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert not {".csv", ".jsonl", ".arrow"} & set(held)


def test_plain_types_at_any_depth() -> None:
    encoded = pa.struct(
        [
            ("a", pa.large_list(pa.dictionary(pa.int8(), pa.binary_view()))),
            ("b", pa.list_(pa.string_view(), 2)),
        ]
    )
    assert (
        str(plain_type(encoded))
        == "struct<a: large_list<item: large_binary>, b: fixed_size_list<item: large_string>[2]>"
    )
    assert plain_array(pa.array([1, 2], pa.int8()), pa.int64()).to_pylist() == [1, 2]


def test_the_limit_on_a_text_leaves_room_for_ten_megabytes() -> None:
    assert encoding_module.MAX_TEXT >= 10_000_000


VIEWS = st.lists(st.none() | st.lists(st.none() | st.integers(0, 9), max_size=3), max_size=6)


@settings(deadline=None)
@given(VIEWS, st.booleans(), st.integers(0, 3), st.data())
def test_lists_that_are_views_keep_every_value(
    lists: list[list[int] | None], large: bool, start: int, data: st.DataObject
) -> None:
    """In any order, overlapping, sliced, inside structs and in each other: the last list is not lost."""
    make = pa.large_list_view if large else pa.list_view
    views = pa.array(lists, make(pa.int64()))
    if lists:  # out of order, and the same values seen twice
        views = views.take(
            pa.array(data.draw(st.lists(st.integers(0, len(lists) - 1), max_size=6)), pa.int64())
        )
    views = views.slice(start)
    expected = views.to_pylist()
    for array in (
        views,
        pa.StructArray.from_arrays([views], ["a"]),
        make_nested(views, large),
    ):
        plain = plain_array(array, plain_type(array.type))
        plain.validate(full=True)
        assert plain.type == plain_type(array.type) and plain.to_pylist() == array.to_pylist()
    assert views.to_pylist() == expected
    batch = pa.table({"id": range(len(views)), "tags": views})
    assert [
        value for each in open_source(batch).batches for value in each["tags"].to_pylist()
    ] == expected


def make_nested(views: pa.Array, large: bool) -> pa.Array:
    kind = pa.large_list_view(views.type) if large else pa.list_view(views.type)
    return pa.array([views.to_pylist(), None, [], views.to_pylist()[:1]], kind)


def test_views_that_swell_or_lead_outside_are_refused() -> None:
    values = pa.array(np.zeros(1_000_000, np.int64))
    size, zeros = pa.array([1_000_000] * 1000, pa.int32()), pa.array([0] * 1000, pa.int32())
    swelling = pa.ListViewArray.from_arrays(zeros, size, values)  # 8 GB of numbers in 8 MB
    outside = pa.ListViewArray.from_arrays(
        pa.array([999_999], pa.int32()), pa.array([5], pa.int32()), values
    )
    for array, message in ((swelling, "1,000,000,000 values"), (outside, "'a'")):
        with pytest.raises(InvalidInputError, match=message):
            list(open_source(pa.table({"a": array})).batches)
