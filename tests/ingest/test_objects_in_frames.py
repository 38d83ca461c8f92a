"""Python objects in frames mean what they mean in rows of dicts; encodings of Arrow are undone."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import vecsearch as vs

A, B = uuid.UUID(int=1), uuid.UUID(int=2)
BASE: dict[str, Any] = {"id": [1, 2, 3], "vector": [[1.0], [2.0], [3.0]]}


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., vs.Collection]:
    numbers = iter(range(100))
    return lambda **more: vs.create(tmp_path / f"{next(numbers)}.vs", dim=1, metric="l2", **more)


Make = Callable[..., vs.Collection]


def pandas_frame(values: list[Any]) -> pd.DataFrame:
    return pd.DataFrame(BASE).assign(x=pd.Series(values, dtype=object))


def polars_frame(values: list[Any]) -> pl.DataFrame:
    return pl.DataFrame(BASE).with_columns(x=pl.Series(values, dtype=pl.Object))


def dict_rows(values: list[Any]) -> list[dict[str, Any]]:
    columns = {**BASE, "x": values}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def column(collection: vs.Collection) -> pa.ChunkedArray:
    return collection.to_arrow()["x"]


NS = pd.Timestamp(1_700_000_000_000_000_001)
SAME = {
    "UUIDs": [A, None, B],
    "lists of UUIDs": [[A], None, [A, B]],
    "dicts of UUIDs": [{"a": A}, {"a": None}, {"a": B}],
    "arrays of objects": [np.array([A], dtype=object), None, np.array([B], dtype=object)],
    "decimals": [Decimal("1.5"), None, Decimal("20")],
    "lists of decimals": [[Decimal("1.5")], [], [Decimal("20")]],
    "times": [dt.time(1), None, dt.time(2, 3, 4, 5)],
    "nanoseconds": [NS, None, NS],
    "nanoseconds with a zone": [NS.tz_localize("Asia/Shanghai"), None, NS.tz_localize("UTC")],
    "differences": [pd.Timedelta(1), None, pd.Timedelta(2)],
    "lists of nanoseconds": [[NS], None, [NS, NS]],
    "arrays of nanoseconds": [np.array([1, 2], "M8[ns]"), None, np.array([3], "M8[ns]")],
    "arrays of differences": [np.array([1, 2], "m8[ns]"), None, np.array([3], "m8[ns]")],
    "dicts of nanoseconds": [{"a": NS}, None, {"a": NS}],
    "days and moments": [dt.date(2024, 1, 1), None, dt.datetime(2024, 1, 1, 5)],
    "moments and days": [dt.datetime(2024, 1, 1, 5), None, dt.date(2024, 1, 1)],
    "booleans": [True, None, False],
    "lists of numbers": [[1], None, [0.5, float("nan")]],
    "decimals and integers": [Decimal("1.5"), None, 2],
    "bytes": [b"a", None, b"\x00"],
    "missing values": [1, float("nan"), 2],
}


@pytest.mark.parametrize("name", SAME)
@pytest.mark.parametrize("frame", [pandas_frame, polars_frame])
def test_objects_in_frames_are_stored_as_those_of_rows(
    make: Make, frame: Callable[[list[Any]], Any], name: str
) -> None:
    of_rows, of_frame = make(), make()
    of_rows.add(dict_rows(SAME[name]))
    of_frame.add(frame(SAME[name]))
    assert column(of_frame).type == column(of_rows).type
    assert column(of_frame).equals(column(of_rows)) or "nan" in str(SAME[name])
    assert str(column(of_frame)) == str(column(of_rows))


def test_nanoseconds_in_arrays_are_times(make: Make) -> None:
    collection = make()
    collection.add(dict_rows(SAME["arrays of nanoseconds"]))
    assert column(collection).type == pa.list_(pa.timestamp("ns"))
    assert column(collection).combine_chunks().flatten().cast(pa.int64()).to_pylist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([dt.datetime(2024, 1, 1), None, dt.datetime(2024, 1, 1, tzinfo=dt.UTC)], "time zone"),
        ([b"a", "b", None], "bytes in row 0 and str in row 1"),
        ([0.5, True, None], "float in row 0 and bool in row 1"),
        ([1, {1, 2}, None], "row 1, column 'x': a value of type set"),
        ([1, None, object()], "row 2, column 'x': a value of type object"),
        (["a", None, 5], "str in row 0 and int in row 2"),
    ],
)
@pytest.mark.parametrize("frame", [pandas_frame, polars_frame])
def test_objects_of_two_kinds_are_refused_by_row(
    make: Make, frame: Callable[[list[Any]], Any], values: list[Any], says: str
) -> None:
    with pytest.raises(vs.InvalidInputError, match=says):
        make().add(frame(values))


def test_paths_in_frames_are_texts(make: Make) -> None:
    collection = make()
    collection.add(pandas_frame([PurePosixPath("a/b"), None, "c"]))
    assert column(collection).to_pylist() == ["a/b", None, "c"]


# -- Rows that cannot be stored are left out, if asked ------------------------------------------

BAD: dict[str, list[Any]] = {
    "an object": [1, object(), 3],
    "another kind": [1, "two", 3],
    "too large": [1, 2**64, 3],
    "no number": [Decimal("1.5"), Decimal("NaN"), Decimal("3")],
    "a set": [[1], {2}, [3]],
    "a key that is no text": [{"a": 1}, {1: 2}, {"a": 3}],
    "half a character": ["a", "\ud800", "c"],
    "a key within": [{"a": {"b": 1}}, {"a": {2: 2}}, {"a": {"b": 3}}],
    "an array of two dimensions": [[1], np.ones((2, 2)), [3]],
}
BAD_JSON: dict[str, list[Any]] = {
    "bytes": [{"a": 1}, {"a": b"x"}, {"a": 3}],
    "a UUID": [{"a": 1}, {"a": [A]}, "text"],
    "an object": [{"a": 1}, object(), [3]],
    "a key that is no text": [{"a": 1}, {1: 2}, 3],
    "infinity": [{"a": 1}, {"a": float("inf")}, 0.5],
    "half a character": [{"a": 1}, "\ud800", None],
    "a date": [{"a": 1}, dt.date(2024, 1, 1), True],
    "too deep": [{"a": 1}, __import__("functools").reduce(lambda x, _: [x], range(500), 1), {}],
}
FORMS: dict[str, Callable[[list[Any]], Any]] = {
    "rows": dict_rows,
    "iterator": lambda values: iter(dict_rows(values)),
    "pandas": pandas_frame,
    "polars": polars_frame,
    "frames": lambda values: [pandas_frame(values)],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", BAD)
def test_a_row_that_cannot_be_stored_is_left_out(make: Make, form: str, name: str) -> None:
    values = BAD[name]
    collection, good = make(), make()
    with pytest.raises(vs.InvalidInputError):
        collection.add(FORMS[form](values))
    result = collection.add(FORMS[form](values), on_error="skip")
    good.add([row for row in dict_rows(values) if row["id"] != 2])
    assert column(collection).to_pylist() == column(good).to_pylist()
    assert collection.info().columns == good.info().columns
    assert [(failure.row, bool(failure.reason)) for failure in result.report.failures] == [
        (1, True)
    ]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", BAD_JSON)
def test_a_value_that_json_has_not_is_left_out(make: Make, form: str, name: str) -> None:
    values = BAD_JSON[name]
    collection, good = make(json_columns=["x"]), make(json_columns=["x"])
    with pytest.raises(vs.InvalidInputError, match="row 1, column 'x'"):
        collection.add(FORMS[form](values))
    result = collection.add(FORMS[form](values), on_error="skip")
    good.add([row for row in dict_rows(values) if row["id"] != 2])
    assert collection.get([1, 3]) == good.get([1, 3])
    assert (len(collection), [each.row for each in result.report.failures]) == (2, [1])


def test_rows_that_are_no_dicts_are_left_out(make: Make) -> None:
    rows = [*dict_rows([1, 2, 3]), "text", None, {4: 5, "id": 9, "vector": [1]}]
    for data in (rows, iter(rows)):
        collection = make()
        result = collection.add(data, on_error="skip")
        assert column(collection).to_pylist() == [1, 2, 3]
        assert sorted(each.row for each in result.report.failures if each.row) == [3, 4, 5]


def test_rows_left_out_are_numbered_through_all_frames(make: Make) -> None:
    frames = [pandas_frame([1, 2, 3]), pandas_frame([4, object(), 6]).assign(id=[7, 8, 9])]
    for data in (frames, iter(frames)):
        collection = make()
        result = collection.add(data, on_error="skip")
        assert [each.row for each in result.report.failures] == [4]
        assert column(collection).to_pylist() == [1, 2, 3, 4, 6]


# -- Types that only polars has, and encodings of Arrow -----------------------------------------


@pytest.mark.parametrize(
    "series",
    [
        pl.Series([2**100, 5, None], dtype=pl.Int128),
        pl.Series([[2], [5], None], dtype=pl.List(pl.Int128)),
        pl.Series([{"a": 2}, {"a": 5}, None], dtype=pl.Struct({"a": pl.Int128})),
    ],
)
@pytest.mark.parametrize("lazy", [False, True])
def test_types_that_arrow_lacks_are_named(make: Make, series: pl.Series, lazy: bool) -> None:
    frame = pl.DataFrame(BASE).with_columns(x=series)
    with pytest.raises(vs.InvalidInputError, match=r"column 'x' of .* is .*Int128.*: convert it"):
        make().add(frame.lazy() if lazy else frame)


POLARS = {
    "decimal": pl.Series([Decimal("1.5"), None, Decimal("2")], dtype=pl.Decimal(10, 2)),
    "duration": pl.Series([dt.timedelta(1), None, dt.timedelta(microseconds=1)]),
    "milliseconds": pl.Series([dt.timedelta(1), None, None], dtype=pl.Duration("ms")),
    "categorical": pl.Series(["a", None, "a"], dtype=pl.Categorical),
    "enum": pl.Series(["a", None, "b"], dtype=pl.Enum(["b", "a"])),
    "lists of categories": pl.Series([["a", "b"], None, []], dtype=pl.List(pl.Categorical)),
    "structs of categories": pl.Series(
        [{"k": "a"}, None, {"k": None}], dtype=pl.Struct({"k": pl.Enum(["a"])})
    ),
    "arrays of categories": pl.Series([["a"], None, ["b"]], dtype=pl.Array(pl.Categorical, 1)),
    "times": pl.Series([dt.time(1, 2, 3, 4), None, dt.time(0)]),
    "binary": pl.Series([b"a", None, b""]),
    "large": pl.Series([2**64 - 1, None, 0], dtype=pl.UInt64),
    "nothing": pl.Series([None, None, None]),
}


@pytest.mark.parametrize("name", POLARS)
@pytest.mark.parametrize("lazy", [False, True])
def test_columns_of_polars_come_back_equal(make: Make, name: str, lazy: bool) -> None:
    frame = pl.DataFrame(BASE).with_columns(x=POLARS[name])
    collection = make()
    collection.add(frame.lazy() if lazy else frame)
    assert column(collection).to_pylist() == POLARS[name].to_list()


TEXTS = pa.array(["a", None, "b", "a", "c"])
ENCODED = {
    "dictionary": TEXTS.dictionary_encode(),
    "dictionary of views": pa.DictionaryArray.from_arrays(
        pa.array([0, None, 1, 0, 2], pa.uint32()), pa.array(["a", "b", "c"], pa.string_view())
    ),
    "runs": pa.RunEndEncodedArray.from_arrays(pa.array([1, 2, 3, 4, 5], pa.int32()), TEXTS),
    "views": TEXTS.cast(pa.string_view()),
    "texts": TEXTS,
}


def nested(values: pa.Array) -> dict[str, pa.Array]:
    offsets = pa.array([0, 1, None, 2, 4], pa.int32())  # the value at 1 lies under a null
    keys = pa.array(["p", "q", "r", "s", "t"])
    return {
        "list": pa.ListArray.from_arrays(offsets, values),
        "large list": pa.LargeListArray.from_arrays(offsets.cast(pa.int64()), values),
        "fixed list": pa.FixedSizeListArray.from_arrays(
            values.slice(0, 4), 1, mask=pa.array([False, True, False, False])
        ),
        "struct": pa.StructArray.from_arrays(
            [values.slice(0, 4)], ["k"], mask=pa.array([False, True, False, False])
        ),
        "map": pa.MapArray.from_arrays(offsets, keys, values),
    }


@pytest.mark.parametrize("name", ENCODED)
@pytest.mark.parametrize("outer", nested(TEXTS))
def test_encoded_columns_within_others_come_back_equal(make: Make, name: str, outer: str) -> None:
    expected = nested(TEXTS)[outer].to_pylist()
    array = nested(ENCODED[name])[outer]
    for start in (0, 2):  # also slices, which share what they hold
        table = pa.table(
            {
                "id": list(range(4 - start)),
                "vector": pa.array([[1.0]] * (4 - start), pa.list_(pa.float32())),
                "x": array.slice(start),
            }
        )
        collection = make()
        collection.add(table)
        assert column(collection).to_pylist() == expected[start:]


def test_texts_and_vectors_of_another_kind_are_left_out(tmp_path: Path, make: Make) -> None:
    texts = vs.create(tmp_path / "texts.vs", embedder="toy:8")
    items = ["one", 2, "three", b"four", "\ud800", "six"]
    for data in (items, iter(items)):
        with pytest.raises(vs.InvalidInputError, match="row 1 is a int"):
            texts.add(data)
    result = texts.add(items, on_error="skip")
    assert texts.to_arrow()["text"].to_pylist() == ["one", "three", "six"]
    assert sorted(each.row for each in result.report.failures if each.row) == [1, 3, 4]

    vectors = make()
    lists = [[1.0], [1.0, 2.0], ["a"], None, np.array([4.0]), [[5.0]]]
    with pytest.raises(vs.InvalidInputError, match="row 1: a vector of 2 numbers"):
        vectors.add(lists)
    result = vectors.add(iter(lists), on_error="skip")
    assert vectors.to_arrow()["vector"].to_pylist() == [[1.0], [4.0]]
    assert sorted(each.row for each in result.report.failures if each.row) == [1, 2, 3, 5]
