"""Rows of Python values get the types of their values."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.sources import refused, rows, table, types

from vecsearch.ingest.sources import open_source


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


def test_all_rows_of_a_list_decide_its_types() -> None:
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


def test_missing_values_of_pandas_become_none() -> None:
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
        ([{"a": "x"}, {"a": 0.5}], ("str in row 0", "float in row 1", "null where")),
        (
            [{"a": dt.date(2020, 1, 1)}, {"a": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)}],
            ("date in row 0", "datetime with a time zone in row 1"),
        ),
        (
            [{"a": dt.datetime(2020, 1, 1)}, {"a": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)}],
            ("with a time zone in row 1",),
        ),
        ([{"a": [1]}, {"a": [1, "x"]}], ("lists of column 'a'", "int in row 0", "str in row 1")),
        ([{"a": {"b": 1}}, {"a": {"b": "x"}}], ("column 'a', field 'b'", "row 0", "row 1")),
        ([{"a": 1}, {"a": {1, 2}}], ("row 1", "column 'a'", "set")),
        ([{"a": 1}, {"a": np.ones((2, 2))}], ("column 'a'", "int in row 0", "list in row 1")),
        ([{"a": 1}, {"a": 2**64}], ("row 1", "column 'a'", "64-bit")),
        ([{"a": 1}, {"a": -(2**63) - 1}], ("row 1", "column 'a'", "64-bit")),
        ([{"a": -1}, {"a": 2**63}], ("row 0", "row 1", "column 'a'", "make them str")),
        ([{"a": 0.5}, {"a": 2**60 + 1}], ("row 1", "column 'a'")),
        ([{"a": "fine"}, {"a": "\ud800"}], ("row 1", "column 'a'", "surrogate")),
        ([{"a": 1}, {2: 1}], ("row 1", "column name 2")),
        ([{"a": {"x": 1}}, {"a": {2: 1}}], ("row 1", "key 2")),
        ([{"a": 1}, ("x",)], ("row 1", "tuple")),
    ],
)
def test_rows_without_a_common_type_are_named(data: list[Any], says: tuple[str, ...]) -> None:
    refused(data, *says)
    refused(data, *says, batch_rows=1)
    refused(iter(data), *says)


def test_the_first_batch_of_an_iterator_decides_its_columns() -> None:
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


def test_a_later_double_does_not_fit_an_iterator_of_single_floats() -> None:
    """0.1 as a float32 is another number than 0.1 as a float64."""
    single = {"id": 0, "v": np.array([0.5, 0.25], np.float32)}
    double = {"id": 1, "v": [0.1, 0.2]}
    for later in (double, {"id": 1, "v": np.array([0.1, 0.2])}):
        refused(iter([single, later]), "row 1, column 'v'", "double", "float", batch_rows=1)
    assert table([single, double])["v"].to_pylist() == [[0.5, 0.25], [0.1, 0.2]]
    half = {"id": 1, "v": np.array([0.1, 0.2], np.float16)}
    found = table(iter([single, half]), batch_rows=1)["v"].to_pylist()
    assert found[1] == half["v"].astype(np.float32).tolist()


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
