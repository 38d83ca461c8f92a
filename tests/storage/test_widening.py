"""Values that come to a column later: stored exactly, or the column widens, or they are refused."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import vecsearch as vs

DAY, TIME = dt.date(2020, 1, 2), dt.datetime(2020, 1, 2, 23, 59)
LARGE = 2**53 + 1


def row(number: int, **columns: Any) -> dict[str, Any]:
    return {"id": number, "vector": [1.0, number], **columns}


def new(path: Path, **options: Any) -> vs.Collection:
    return vs.create(path / "c.vs", dim=2, metric="l2", **options)


def values(collection: vs.Collection, name: str = "x") -> list[Any]:
    return [document[name] for document in collection.get([1, 2])]


WIDENED = [
    ({"lang": "en"}, {"lang": "fr", "url": "u"}, [{"lang": "en", "url": None}, None]),
    ({}, {"a": 1}, [{"a": None}, None]),
    (
        {"a": {"b": 1}},
        {"a": {"c": "x"}},
        [{"a": {"b": 1, "c": None}}, {"a": {"b": None, "c": "x"}}],
    ),
    ([{"a": 1}], [{"b": 2}], [[{"a": 1, "b": None}], [{"a": None, "b": 2}]]),
    ([], [1], [None, None]),
    ([1], [2.5], [[1.0], None]),
    (None, 5, [None, None]),
    (None, {"a": [1]}, [None, None]),
    (1, 2.5, [1.0, None]),
    (DAY, TIME, [dt.datetime(2020, 1, 2), None]),
    (TIME, DAY, [None, dt.datetime(2020, 1, 2)]),
]


@pytest.mark.parametrize(("first", "second", "expected"), WIDENED)
@pytest.mark.parametrize("verb", ["add", "replace", "update"])
def test_a_later_value_is_kept_whole(
    tmp_path: Path, first: Any, second: Any, expected: list[Any], verb: str
) -> None:
    collection = new(tmp_path)
    collection.add([row(1, x=first)] + ([] if verb == "add" else [row(2, x=first)]))
    old, before = collection.info().version, values_of_one(collection)
    segments = {path: path.read_bytes() for path in (tmp_path / "c.vs/segments").iterdir()}
    if verb == "update":
        collection.update("id = 2", {"x": second})
    else:
        collection.add([row(2, x=second)], on_conflict="replace")
    wanted = [
        given if each is None else each
        for each, given in zip(expected, (first, second), strict=True)
    ]
    assert values(collection) == wanted
    assert collection.check() == []
    assert collection.to_arrow(["x"]).column("x").to_pylist() == wanted
    assert collection.count("x IS NOT NULL") == sum(each is not None for each in wanted)
    if verb == "add":
        assert all(path.read_bytes() == content for path, content in segments.items())
    collection.compact()
    assert values(collection) == wanted
    assert collection.check() == []
    with vs.open(tmp_path / "c.vs", version=old) as older:
        assert values_of_one(older) == before


def values_of_one(collection: vs.Collection) -> Any:
    return collection.get([1])[0]["x"]


REFUSED = [
    (True, 5),
    (True, 0.5),
    (["a"], [1]),
    (["a"], [True]),
    ("a", 1),
    (1, "0x1F"),
    (2.5, LARGE),
    (LARGE, 2.5),
    ({"a": "x"}, {"a": 1}),
    (TIME, TIME.replace(tzinfo=dt.UTC)),
    (DAY, TIME.replace(tzinfo=dt.UTC)),
]


@pytest.mark.parametrize(("first", "second"), REFUSED)
def test_a_value_that_would_change_is_refused(tmp_path: Path, first: Any, second: Any) -> None:
    collection = new(tmp_path)
    collection.add([row(1, x=first)])
    version = collection.info().version
    with pytest.raises(vs.InvalidInputError, match="column 'x'"):
        collection.add([row(2, x=second)])
    with pytest.raises(vs.InvalidInputError, match="column 'x'"):
        collection.update(None, {"x": second})
    assert collection.info().version == version
    assert values_of_one(collection) == first


@pytest.mark.parametrize(
    ("kind", "first", "second", "new_kind"),
    [
        ("float", 0.5, 1e39, "double"),
        ("int8", 1, 2**40, "int64"),
        ("uint8", 1, -1, "int64"),
        ("decimal(5,2)", Decimal("1.25"), Decimal("9.999"), "decimal128(6, 3)"),
        ("decimal(5,2)", Decimal("1.25"), 2, "decimal128(5, 2)"),
        ("timestamp[s]", dt.datetime(2020, 1, 1), TIME.replace(microsecond=7), "timestamp[us]"),
    ],
)
def test_a_declared_type_holds_until_a_value_needs_a_wider_one(
    tmp_path: Path, kind: str, first: Any, second: Any, new_kind: str
) -> None:
    collection = new(tmp_path, schema={"x": kind})
    declared = collection.info().columns["x"]
    collection.add([row(1), row(2)])
    collection.update("id = 1", {"x": first})
    assert collection.info().columns["x"] == declared
    collection.update("id = 2", {"x": second})
    assert values(collection) == [first, second]
    assert collection.info().columns["x"] == new_kind
    assert collection.check() == []


def test_a_column_added_before_the_first_rows_keeps_its_type(tmp_path: Path) -> None:
    collection = new(tmp_path)
    collection.add_column("price", pa.float64())
    collection.add_column("absent", "int64")
    collection.add([row(1, price=3)])
    assert collection.info().columns["price"] == "double"
    assert collection.get([1])[0]["absent"] is None


def test_a_column_can_be_dropped_and_starts_empty_again(tmp_path: Path) -> None:
    collection = new(tmp_path)
    collection.add([row(1, x="a"), row(2, x="b")])
    collection.drop_column("x")
    assert "x" not in collection.info().columns
    collection.add_column("x", "string")
    assert values(collection) == [None, None]
    assert collection.check() == []


def test_alter_column_widens_and_refuses_to_lose(tmp_path: Path) -> None:
    collection = new(tmp_path)
    collection.add([row(1, x=1, y=LARGE), row(2, x=2, y=0)])
    collection.alter_column("x", "double")
    assert values(collection) == [1.0, 2.0]
    assert collection.count("x > 1.5") == 1
    for name, kind in (("x", "int64"), ("x", "string"), ("y", "double"), ("id", "string")):
        with pytest.raises(vs.InvalidInputError, match="column"):
            collection.alter_column(name, kind)


@pytest.mark.parametrize("value", [2**63, "\ud800", Decimal("1.5"), object(), [1, "a"]])
def test_update_with_a_value_that_cannot_be_stored_is_an_input_error(
    tmp_path: Path, value: Any
) -> None:
    collection = new(tmp_path)
    collection.add([row(1, x=[True])])
    with pytest.raises(vs.InvalidInputError):
        collection.update(None, {"x": value})


@pytest.mark.parametrize(
    ("name", "kind"), [("q", int), ("q", 5), (5, "int64"), ("\ud800", "int64")]
)
def test_add_column_of_no_type_is_an_input_error(tmp_path: Path, name: Any, kind: Any) -> None:
    with pytest.raises(vs.InvalidInputError):
        new(tmp_path).add_column(name, kind)


def test_empty_dicts_survive_parquet(tmp_path: Path) -> None:
    collection = new(tmp_path)
    collection.add([row(1, x={}, y=[{}]), row(2, x=None, y=None)])
    collection.export(tmp_path / "c.parquet")
    from vecsearch.maintenance.backup import restore

    restore(tmp_path / "c.parquet", tmp_path / "again.vs")
    with vs.open(tmp_path / "again.vs") as again:
        assert (values(again), values(again, "y")) == ([{}, None], [[{}], None])
        assert again.check() == []


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        ("", "5", "int64"),
        ("10", "10.5", "double"),
        ("10", "10.0", "double"),
        ("2020-01-01", "2020-01-01 10:00:00", "timestamp[us]"),
    ],
)
def test_two_csv_files_give_what_their_rows_hold(
    tmp_path: Path, first: str, second: str, kind: str
) -> None:
    for number, cell in ((1, first), (2, second)):
        text = f'id,vector,n\n{number},"[1, {number}]",{cell}\n'
        (tmp_path / f"{number}.csv").write_text(text)
    collection = new(tmp_path)
    for number in (1, 2):
        collection.add(tmp_path / f"{number}.csv")
    assert collection.info().columns["n"] == kind
    assert collection.check() == []


@pytest.mark.parametrize(
    ("first", "second"),
    [("10", "0x1F"), ("1.5", "9007199254740993"), ("1.5", "1e400"), ("true", "1")],
)
def test_a_csv_cell_that_would_change_is_refused_by_file_and_line(
    tmp_path: Path, first: str, second: str
) -> None:
    for number, cell in ((1, first), (2, second)):
        text = f'id,vector,n\n{number},"[1, {number}]",{cell}\n'
        (tmp_path / f"{number}.csv").write_text(text)
    collection = new(tmp_path)
    collection.add(tmp_path / "1.csv")
    with pytest.raises(vs.InvalidInputError, match=r"2\.csv, line 2, column 'n'"):
        collection.add(tmp_path / "2.csv")


@pytest.mark.parametrize("kind", [pa.decimal32(5, 2), pa.decimal64(9, 2), pa.decimal128(5, -2)])
def test_columns_of_rare_decimals_can_be_updated(tmp_path: Path, kind: pa.DataType) -> None:
    collection = new(tmp_path)
    collection.add([row(1), row(2)])
    collection.add_column("x", kind)
    collection.update("id = 1", {"x": 100})
    collection.update("id = 2", {"x": None})
    assert values(collection) == [Decimal(100), None]
    assert collection.check() == []


def test_a_float32_column_that_becomes_wider_keeps_its_values_and_shows_their_digits(
    tmp_path: Path,
) -> None:
    collection = new(tmp_path)
    kinds = {"id": pa.int64(), "vector": pa.list_(pa.float32(), 2), "x": pa.float32()}
    narrow = pa.Table.from_pylist([row(3, x=0.1)], schema=pa.schema(kinds))
    collection.add(narrow)
    collection.add([row(1, x=0.5)])
    assert collection.info().columns["x"] == "float"  # 0.5 is exact in float32
    assert collection.count("x = 0.1") == 1  # the literal is rounded to float32, too
    collection.add([row(2, x=0.1)])
    assert collection.info().columns["x"] == "double"
    # What was stored as float32 is the same number as before, and 0.1 is another one.
    assert [item["x"] for item in collection.get([1, 2, 3])] == [0.5, 0.1, 0.10000000149011612]
    assert collection.count("x = 0.1") == 1
    assert collection.count("x BETWEEN 0.0999999 AND 0.1000001") == 2
    assert collection.check() == []


def test_deleting_by_a_filter_misses_no_id(tmp_path: Path) -> None:
    collection = vs.create(tmp_path / "c.vs", dim=1, metric="l2")
    collection.add([{"id": n, "vector": [1.0]} for n in range(6)])
    assert collection.delete(where="id < 2", dry_run=True).missing == 0
    assert (collection.delete(where="id < 2").deleted, len(collection)) == (2, 4)
    result = collection.delete([2, 77, 78, 77], where="id < 5")
    assert (result.deleted, result.missing, len(collection)) == (1, 2, 3)


KEY = uuid.UUID(int=7)
DECLARED = [
    (pa.uuid(), KEY, str(KEY)),
    (pa.bool8(), True, True),
    (pa.run_end_encoded(pa.int32(), pa.string()), "x", "x"),
    (pa.list_view(pa.int8()), [1, None], [1, None]),
    (pa.large_list_view(pa.string_view()), ["a"], ["a"]),
    (
        pa.struct([("a", pa.uuid()), ("b", pa.dictionary(pa.int8(), pa.string()))]),
        {"a": KEY, "b": "x"},
        {"a": str(KEY), "b": "x"},
    ),
    (pa.map_(pa.string_view(), pa.uuid()), [("k", KEY)], [("k", str(KEY))]),
    (pa.list_(pa.uuid(), 2), [KEY, None], [str(KEY), None]),
    (pa.fixed_shape_tensor(pa.int8(), [2, 2]), [1, 2, 3, 4], [1, 2, 3, 4]),
]


@pytest.mark.parametrize(("kind", "value", "expected"), DECLARED)
def test_a_declared_type_takes_its_values_whatever_its_encoding(
    tmp_path: Path, kind: pa.DataType, value: Any, expected: Any
) -> None:
    c = new(tmp_path, schema=pa.schema([("x", kind)]))
    c.add([row(1, x=value), row(2)])
    c.add_column("y", kind)
    c.update("id = 2", {"y": value})
    c.upsert([{"id": 2, "x": value}])
    assert values(c) == [expected, expected]
    assert values(c, "y") == [None, expected]
    arrow = vs.create(tmp_path / "arrow.vs", dim=2, metric="l2")
    arrow.add(c.to_arrow(["id", "vector", "x"]))
    assert arrow.info().columns["x"] == c.info().columns["x"] == c.info().columns["y"]


@pytest.mark.parametrize(
    "kind",
    [
        pa.month_day_nano_interval(),
        pa.list_(pa.month_day_nano_interval()),
        pa.struct([("a", pa.dense_union([pa.field("b", pa.int8())]))]),
        pa.map_(pa.string(), pa.timestamp("us", "Nowhere/Land")),
    ],
)
def test_types_that_cannot_be_stored_are_refused_when_declared(
    tmp_path: Path, kind: pa.DataType
) -> None:
    with pytest.raises(vs.InvalidInputError, match="column 'x'"):
        new(tmp_path, schema=pa.schema([("x", kind)]))
    c = new(tmp_path)
    c.add([row(1)])
    with pytest.raises(vs.InvalidInputError, match="column 'x'"):
        c.add_column("x", kind)


def test_ids_can_be_declared_as_uuids(tmp_path: Path) -> None:
    c = new(tmp_path, schema=pa.schema([("id", pa.uuid())]))
    c.add([{"id": KEY, "vector": [1, 2]}])
    assert c.get(KEY) == c.get(str(KEY)) == [{"id": str(KEY)}]
