"""What `get` gives, `add` takes, and values of Python's and numpy's other types."""

from __future__ import annotations

import array
import datetime as dt
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
import torch
from support.sources import refused, rows, types

import vecsearch as vs

TYPED = pa.table(
    {
        "id": [1, 2],
        "text": ["a", "b"],
        "price": pa.array([Decimal("9.99"), None], pa.decimal128(7, 2)),
        "at": pa.array([dt.time(1, 2, 3, 4), dt.time(23, 59)], pa.time64("us")),
        "took": pa.array([dt.timedelta(days=1, microseconds=5), None], pa.duration("us")),
        "map": pa.array([[("k", 1), ("l", 2)], []], pa.map_(pa.string(), pa.int64())),
        "day": pa.array([dt.date(2024, 3, 5), None]),
        "moment": pa.array([dt.datetime(2024, 3, 5, 1), None], pa.timestamp("us", "UTC")),
        "raw": [b"\x00\xff", b""],
        "tags": [["x"], []],
    }
)


@pytest.fixture
def c(tmp_path: Path) -> vs.Collection:
    return vs.create(tmp_path / "c.vs", embedder="toy:16")


@pytest.mark.parametrize("as_iterator", [False, True])
def test_what_get_gives_add_takes(c: vs.Collection, as_iterator: bool) -> None:
    c.add(TYPED)
    got = c.get([1, 2])
    c.add(iter(got) if as_iterator else got, on_conflict="replace")
    assert c.get([1, 2]) == got


def test_a_new_collection_takes_python_values(c: vs.Collection) -> None:
    key = uuid.UUID(int=7)
    row: dict[str, Any] = {
        "id": key,
        "text": "a",
        "price": Decimal("12.50"),
        "at": dt.time(1, 2),
        "took": dt.timedelta(seconds=1),
        "n": np.int64(5),
        "flag": np.bool_(True),
        "one": torch.tensor(2.5),
    }
    c.add([row])
    found = c.get([str(key)])[0]
    expected = row | {"id": str(key), "n": 5, "flag": True, "one": 2.5}
    assert {name: found[name] for name in row} == expected
    assert c.count("price = 12.5") == 1


def test_decimals_of_several_scales_keep_every_digit() -> None:
    values = [Decimal("1.5"), Decimal("123"), Decimal("0.001"), Decimal("1E+3"), None]
    data = [{"x": value} for value in values]
    assert types(data) == {"x": "decimal128(7, 3)"}
    assert [row["x"] for row in rows(data)] == values
    refused([{"x": Decimal("NaN")}], "row 0", "not a number")


@pytest.mark.parametrize(
    "vector",
    [
        torch.tensor([1.0, 2.0], requires_grad=True),
        torch.tensor([1.0, 2.0]).bfloat16(),
        pd.Series([1.0, 2.0]),
        array.array("f", [1, 2]),
        np.array([1, 2]),
        (np.float32(1), np.float32(2)),
    ],
)
def test_everything_that_is_a_vector_is_taken_in_a_dict(tmp_path: Path, vector: Any) -> None:
    c = vs.create(tmp_path / "v.vs", dim=2, metric="l2")
    c.add([{"id": 1, "vector": vector, "values": vector}])
    assert c.vector(1).tolist() == [1.0, 2.0]
    assert c.get([1])[0]["values"] == [1.0, 2.0]


def test_nan_in_records_means_missing_as_in_the_frame(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"text": ["a", "b", "c"], "price": [50, np.nan, 150], "name": ["x", np.nan, None]}
    )
    for number, data in enumerate(
        (frame, frame.to_dict("records"), iter(frame.to_dict("records")))
    ):
        c = vs.create(tmp_path / f"{number}.vs", embedder="toy:16")
        c.add(data)
        assert (c.count("price > 100"), c.count("price IS NULL")) == (1, 1)
        assert (c.count("name = 'x'"), c.count("name IS NULL")) == (1, 2)


def test_nanoseconds_are_never_cut(c: vs.Collection) -> None:
    moment = pd.Timestamp("2020-01-01T00:00:00.123456789")
    frame = pd.DataFrame({"text": ["a"], "at": [moment]})
    for data in (
        frame.to_dict("records"),
        [{"text": "a", "at": moment.to_datetime64()}],
        [{"text": "a", "at": dt.datetime(2019, 1, 1)}, {"text": "b", "at": moment.to_datetime64()}],
    ):
        assert types(data)["at"] == "timestamp[ns]"
        assert pd.Timestamp(rows(data)[-1]["at"]) == moment
    took = pd.Timedelta(5, "ns")
    for value in (took, np.timedelta64(5, "ns")):
        assert types([{"t": value}]) == {"t": "duration[ns]"}
    c.add([{"text": "a", "at": dt.datetime(2019, 1, 1)}])
    c.add([{"id": 7, "text": "b", "at": moment.to_datetime64()}])  # the column becomes finer
    assert c.info().columns["at"] == "timestamp[ns]"
    (row,) = c.get([7])
    assert row is not None and pd.Timestamp(row["at"]) == moment


def test_polars_objects_are_never_stored_as_addresses() -> None:
    frame = pl.DataFrame(
        {"text": ["a", "b"], "u": [uuid.UUID(int=1), None], "p": [Path("x/y"), Path("z")]}
    )
    assert rows(frame) == [
        {"text": "a", "u": str(uuid.UUID(int=1)), "p": "x/y"},
        {"text": "b", "u": None, "p": "z"},
    ]
    strange = pl.DataFrame({"o": pl.Series([object(), object()], dtype=pl.Object)})
    refused(strange, "column 'o'", "cannot be stored")
    with pytest.raises(vs.InvalidInputError, match="column 'u'"):
        rows(frame.lazy())


def test_frames_in_lists_and_chunks_and_datasets_are_read(tmp_path: Path) -> None:
    csv_path = tmp_path / "t.csv"
    csv_path.write_text("id,text,n\n" + "".join(f"{i},t{i},{i}\n" for i in range(10)))
    expected = [{"id": i, "text": f"t{i}", "n": i} for i in range(10)]
    frame = pd.read_csv(csv_path)
    table = pa.Table.from_pandas(frame)
    for data in (
        [frame.iloc[:4], frame.iloc[4:]],
        [pl.from_pandas(frame)],
        iter([frame]),
        pd.read_csv(csv_path, chunksize=3),
        ds.dataset(table),
        ds.dataset(table).scanner(),
    ):
        assert rows(data) == expected
    mixed = [pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [1.5], "b": ["x"]})]
    assert rows(mixed) == [{"a": 1.0, "b": None}, {"a": 1.5, "b": "x"}]
    refused(iter(mixed), "item 1 of an iterator", "'b'")
    refused([frame, 5], "item 1 of a list is a int")


def test_uuids_are_text_however_they_come(tmp_path: Path) -> None:
    keys = [uuid.UUID(int=n) for n in (1, 2)]
    stored = pa.array([key.bytes for key in keys], pa.uuid())
    columns = {"id": keys, "text": ["a", "b"], "at": keys}
    for number, data in enumerate(
        [
            pa.table({"id": stored, "text": ["a", "b"], "at": stored}),
            pd.DataFrame(columns),
            pl.DataFrame(columns),
            pd.DataFrame(columns).to_dict("records"),
        ]
    ):
        c = vs.create(tmp_path / f"{number}.vs", embedder="toy:16")
        c.add(data)
        expected = {"id": str(keys[0]), "text": "a", "at": str(keys[0])}
        assert c.get(keys[0]) == c.get([keys[0]]) == [expected]
        assert c.count(f"at = '{keys[1]}'") == 1
        assert c.delete(keys[1:]).deleted == 1


def test_nested_uuids_and_booleans_of_one_byte_are_read() -> None:
    key = uuid.UUID(int=3)
    one = pa.array([key.bytes, None], pa.uuid())
    data = pa.table(
        {
            "s": pa.StructArray.from_arrays([one], ["k"]),
            "l": pa.ListArray.from_arrays([0, 1, 2], one),
            "flag": pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, None], pa.int8())),
        }
    )
    assert rows(data) == [
        {"s": {"k": str(key)}, "l": [str(key)], "flag": True},
        {"s": {"k": None}, "l": [None], "flag": None},
    ]


def test_periods_are_refused_with_advice() -> None:
    frame = pd.DataFrame({"text": ["a"], "month": pd.PeriodIndex(["2020-03"], freq="M")})
    refused(frame, "'month'", "to_timestamp()")


def test_intervals_are_refused_with_advice() -> None:
    ends = pd.arrays.IntervalArray.from_tuples([(0, 1)], closed="left")
    refused(pd.DataFrame({"text": ["a"], "age": ends}), "'age'", "astype(str)")


def test_masked_values_are_missing(c: vs.Collection) -> None:
    c.add([{"id": 1, "text": "a", "n": np.ma.masked_array([1, 2, 3], mask=[0, 1, 0])}])
    assert c.get(1)[0]["n"] == [1, None, 3]
    with pytest.raises(vs.InvalidInputError, match=r"row 0.*a number is missing"):
        c.add(
            [{"id": 2, "text": "a", "vector": np.ma.masked_array(np.ones(16), mask=[1, *[0] * 15])}]
        )


def test_values_and_arrays_of_arrow_are_values_of_rows(tmp_path: Path) -> None:
    """As the cells of a table that was read: pyarrow gives them as scalars."""
    c = vs.create(tmp_path / "c.vs", dim=2)
    cells = TYPED.slice(0, 1).drop(["text", "map"])
    row = {name: cells[name][0] for name in cells.column_names}
    for number, vector in enumerate(
        (pa.array([1.5, 2]), pa.scalar([1.5, 2.0]), np.float64([1.5, 2]))
    ):
        view = memoryview(vector) if isinstance(vector, np.ndarray) else vector
        c.add([row | {"id": pa.scalar(number), "vector": view, "flag": pa.scalar(True)}])
        assert c.vector(number).tolist() == [1.5, 2.0]
    expected = cells.drop(["id"]).to_pylist()[0] | {"flag": True}
    assert c.get([0, 1, 2]) == [{"id": number, **expected} for number in range(3)]
    c.update("id = 1", {"flag": pa.scalar(False), "price": pa.scalar(None, pa.decimal128(7, 2))})
    c.update(ids=[2], values={"flag": [pa.scalar(False)]})
    assert [row["flag"] for row in c.get([0, 1, 2])] == [True, False, False]
    texts = vs.create(tmp_path / "t.vs", embedder="toy:64")
    texts.add([{"id": 1, "text": pa.scalar("red")}, {"id": 2, "text": "sea"}])
    assert texts.search(pa.scalar("red")).ids == texts.search("red").ids
    found = texts.search_batch([pa.scalar("red"), pa.scalar("sea")])
    assert [hits.ids for hits in found] == [texts.search(text).ids for text in ("red", "sea")]


def test_scalars_of_arrow_keep_nanoseconds_and_have_types_that_can_be_stored(
    tmp_path: Path,
) -> None:
    c = vs.create(tmp_path / "c.vs", dim=2)
    c.add([{"id": 1, "vector": [1, 2], "at": None, "key": None, "span": None}])
    fine = pa.scalar(1, pa.time64("ns"))
    c.update("id = 1", {"at": fine, "key": pa.scalar(uuid.UUID(int=1).bytes, pa.uuid())})
    c.add_column("start", pa.time64("ns"), fine)
    found = c.to_arrow(["at", "key", "start"])
    assert found["at"][0] == found["start"][0] == fine
    assert found["key"].to_pylist() == [str(uuid.UUID(int=1))]
    with pytest.raises(vs.InvalidInputError, match="cannot be month_day_nano_interval"):
        c.update("id = 1", {"span": pa.scalar(pa.MonthDayNano([1, 2, 3]))})
    with pytest.raises(vs.InvalidInputError, match="Time64Scalar"):
        c.add([{"id": 2, "vector": [1, 2], "at": fine}])  # Python's time would lose it


def test_a_column_of_nothing_but_nan_waits_for_its_first_value(tmp_path: Path) -> None:
    """As the None of the same rows as dicts; a float type that was chosen by hand stays."""
    empty = pd.DataFrame({"id": [1], "vector": [[1.0, 2.0]], "x": [np.nan]})
    for number, (data, later) in enumerate(
        [
            (empty, "a"),
            (empty, 2**53 + 1),
            (empty.to_dict("records"), "a"),
            ([empty, empty.assign(id=3)], 5),
        ]
    ):
        c = vs.create(tmp_path / str(number), dim=2)
        c.add(data)
        assert c.info().columns["x"] == "null"
        c.add([{"id": 2, "vector": [1, 1], "x": later}])
        assert [row["x"] for row in c.get([1, 2])] == [None, later]
    chosen = vs.create(tmp_path / "chosen", dim=2)
    chosen.add(empty.astype({"x": "Float64"}))
    assert chosen.info().columns["x"] == "double"
    streamed = vs.create(tmp_path / "streamed", dim=2)
    streamed.add(iter([empty, empty.assign(id=2, x=0.5)]))
    assert [row["x"] for row in streamed.get([1, 2])] == [None, 0.5]


def test_bytes_that_can_be_changed_are_bytes(tmp_path: Path) -> None:
    numbers = memoryview(array.array("d", [1.5, 2.5]))
    with vs.create(tmp_path / "b.vs", dim=2) as c:
        c.add([{"id": 1, "vector": numbers, "raw": bytearray(b"ab"), "in": [bytearray(b"z")]}])
        c.add([{"id": 2, "vector": [1, 0], "raw": memoryview(b"\x00\xff"), "in": []}])
        c.update("id = 1", {"raw": memoryview(b"new")})
        assert c.get([1, 2], ["raw", "in"]) == [
            {"raw": b"new", "in": [b"z"]},
            {"raw": b"\x00\xff", "in": []},
        ]
        assert c.vector(1).tolist() == [1.5, 2.5]
