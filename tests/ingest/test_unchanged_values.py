"""Values that Arrow would change without a word are refused or kept, by every way to write."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import vecsearch as vs

Write = Callable[[vs.Collection, Any], object]
WAYS: dict[str, Write] = {
    "add": lambda c, value: c.add([{"id": 2, "vector": [1, 2], "x": value}]),
    "upsert": lambda c, value: c.upsert([{"id": 1, "vector": [1, 2], "x": value}]),
    "update": lambda c, value: c.update("id = 1", {"x": value}),
    "update by id": lambda c, value: c.update(ids=[1], values=[{"x": value}]),
    "add_column": lambda c, value: c.add_column(
        "y", c.to_arrow(["x"]).schema.field("x").type, value
    ),
    "frame": lambda c, value: c.add(
        pd.DataFrame({"id": [2], "vector": [[1, 2]], "x": pd.Series([value], dtype=object)})
    ),
}
MAP = pa.map_(pa.string(), pa.int64())
SPANS = pa.map_(pa.string(), pa.duration("us"))
UTC = dt.UTC


def collection(root: Path, kind: pa.DataType) -> vs.Collection:
    c = vs.create(root, dim=2, metric="l2", schema=pa.schema([("x", kind)]))
    c.add([{"id": 1, "vector": [1, 1]}])
    return c


def value_of(c: vs.Collection, name: int, column: str = "x") -> Any:
    (row,) = c.get([name])
    assert row is not None
    return row[column]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        (pa.time64("us"), dt.time(1, tzinfo=UTC), "has a time zone"),
        (pa.list_(pa.time64("us")), [dt.time(1, tzinfo=UTC)], "has a time zone"),
        (pa.struct([("a", pa.time64("us"))]), {"a": dt.time(1, tzinfo=UTC)}, "has a time zone"),
        (pa.float64(), np.longdouble("0.1"), "more digits"),
        (pa.list_(pa.float64()), np.array([np.longdouble("0.1")]), "more digits"),
        (MAP, {"a": 1.5}, "1.5.* cannot be stored"),
        (MAP, [("a", 1), ("b", True)], "and bool|and int"),
        (MAP, {"a": 2**63}, "cannot be stored"),
        (MAP, [("a", 1, 2)], "is no map|and int"),
        (MAP, [(None, 1)], "missing|cannot be stored"),
        (SPANS, {"a": pd.Timedelta(1)}, "cannot be stored"),
        (pa.map_(pa.string(), pa.float32()), {"a": 1e39}, "cannot be stored"),
        (pa.map_(pa.string(), pa.timestamp("us")), {"a": pd.Timestamp(1)}, "cannot be stored"),
    ],
)
def test_a_value_that_would_change_is_refused(
    root: Path, way: str, kind: pa.DataType, value: Any, said: str
) -> None:
    if said == "more digits" and np.finfo(np.longdouble).nmant == np.finfo(float).nmant:
        pytest.skip("long doubles are doubles here")
    with collection(root, kind) as c:
        with pytest.raises(vs.InvalidInputError, match=said):
            WAYS[way](c, value)
        assert len(c) == 1 and value_of(c, 1) is None and "y" not in c.info().columns


@pytest.mark.parametrize("way", ["add", "upsert", "update", "update by id", "frame"])
def test_a_difference_of_nanoseconds_widens_its_column(root: Path, way: str) -> None:
    with collection(root, pa.duration("us")) as c:
        WAYS[way](c, pd.Timedelta(1))
        (found,) = [row["x"] for row in c.get([1, 2]) if row and row["x"] is not None]
        assert found == pd.Timedelta(1) and c.info().columns["x"] == "duration[ns]"
        with pytest.raises(vs.InvalidInputError, match="cannot be stored"):
            c.add_column("y", pa.duration("us"), pd.Timedelta(1))


@pytest.mark.parametrize("way", ["add", "upsert", "update", "update by id", "add_column"])
def test_maps_are_kept_as_they_are(root: Path, way: str) -> None:
    pairs = [("b", 2**63 - 1), ("a", None), ("b", -3)]
    with collection(root, MAP) as c:
        for value in (pairs, [], None, {"名": np.int8(4)}):
            if way == "add":
                c.delete([2])
            if way == "add_column" and "y" in c.info().columns:
                c.drop_column("y")
            WAYS[way](c, value)
            name = "y" if way == "add_column" else "x"
            expected = list(value.items()) if isinstance(value, dict) else value
            assert value_of(c, 2 if way == "add" else 1, name) == expected


def test_json_lines_hold_a_duration_as_a_whole_number(root: Path, tmp_path: Path) -> None:
    kind = pa.struct([("d", pa.duration("us")), ("n", pa.int64()), ("f", pa.float32())])
    with collection(root, kind) as c:
        for number, wrong in enumerate(({"d": 5.7}, {"d": "5"}, {"d": True}, {"n": 1.5, "d": 1})):
            path = tmp_path / f"{number}.jsonl"
            path.write_text(json.dumps({"id": 2, "vector": [1, 2], "x": wrong}))
            with pytest.raises(vs.InvalidInputError, match=rf"{number}\.jsonl, line 1, column 'x'"):
                c.add(path)
        right = {"d": dt.timedelta(days=2, microseconds=3), "n": 2**53 + 1, "f": 0.5}
        c.add([{"id": 2, "vector": [1, 2], "x": right}])
        for ending in ("csv", "jsonl"):
            out = tmp_path / f"out.{ending}"
            c.export(out)
            c.delete([2])
            c.add(out, on_conflict="skip")
            assert value_of(c, 2) == right


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        (pa.duration("us"), "-5", ["5.7", "x", "007"]),
        (pa.list_(pa.int64()), "[1]", ["[1.5]", "[true]", '["1"]', "[9223372036854775808]"]),
        (pa.list_(pa.float32()), "[0.5]", ["[1e39]", "[0.1]", "[true]"]),
        (pa.struct([("a", pa.int64())]), '{"a": 1}', ['{"a": 1.5}', '{"a": true}']),
    ],
    ids=str,
)
def test_cells_of_csv_are_not_changed(
    root: Path, tmp_path: Path, kind: pa.DataType, right: str, wrong: list[str]
) -> None:
    path = tmp_path / "a.csv"

    def write(cell: str) -> None:
        quoted = cell.replace('"', '""')
        path.write_text(f'id,vector,x\n2,"[1, 2]","{quoted}"\n')

    with collection(root, kind) as c:
        for cell in wrong:
            write(cell)
            with pytest.raises(vs.InvalidInputError, match=r"a\.csv, line 2, column 'x'"):
                c.add(path)
        write(right)
        c.add(path)
        span = dt.timedelta(microseconds=-5)
        assert value_of(c, 2) == (span if kind == "duration[us]" else json.loads(right))
