"""Filters at the edges of their syntax, through a collection; the values are worked out by hand."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import vecsearch as vs

UTC = dt.UTC


@pytest.fixture
def c(tmp_path: Path) -> vs.Collection:
    c = vs.create(tmp_path / "c.vs", dim=1, json_columns=["meta"])
    c.add(
        pa.table(
            {
                "id": [1, 2],
                "vector": pa.array([[1.0], [2.0]], pa.list_(pa.float32())),
                "m": [{"select": 1, "order": 2}, {"select": 3, "order": 4}],
                "order": [7, 8],
                "meta": ['{"from": [5, 6]}', '{"from": [9]}'],
                "at": pa.array(
                    [dt.datetime(1970, 1, 1), dt.datetime(1970, 1, 1, 5)], pa.timestamp("us")
                ),
                "z": pa.array(
                    [dt.datetime(1970, 1, 1, tzinfo=UTC), dt.datetime(1970, 1, 1, 5, tzinfo=UTC)],
                    pa.timestamp("us", "UTC"),
                ),
                "p": pa.array([Decimal("1.05"), Decimal("2")], pa.decimal128(5, 2)),
                "q": pa.array([Decimal("1.0500"), Decimal("2.0001")], pa.decimal128(9, 4)),
            }
        )
    )
    return c


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        ("m.select = 3", [2]),  # words of SQL as keys, and as columns
        ("m.order = 2", [1]),
        ('"order" = 8', [2]),
        ("meta.from[0] = 5", [1]),
        ("meta.from[0] = 9", [2]),
        ("z = '1969-12-31 19:00:00-05:00'", [1]),
        ("z = '1970-01-01 10:00:00+05:00'", [2]),
        ("z = '1970-01-01 00:30:00-0430'", [2]),
        ("z = TIMESTAMPTZ '1970-01-01 00:00:00-00'", [1]),
        ("at = '1970/1/1 5:00'", [2]),
        ("at = '1970/1/1 05:00'", [2]),
        ("at < '1970年1月1日 4:59:59'", [1]),
        ("p = q", [1]),
        ("p < q", [2]),
        ("p + 0.95 = 2", [1]),
        ("q > 2", [2]),
    ],
)
def test_edges(c: vs.Collection, where: str, ids: list[int]) -> None:
    assert c.to_arrow(["id"], where=where)["id"].to_pylist() == ids
    assert c.count(where) == len(ids)


def test_an_expression_over_json_is_told_to_be_sql(c: vs.Collection) -> None:
    with pytest.raises(vs.FilterError, match="'meta' is JSON"):
        c.count(pc.field("meta") == 5)
    with pytest.raises(vs.FilterError) as caught:
        c.count(pc.field("order") == "abc")
    assert "does not fit the columns" in str(caught.value) and "JSON" not in str(caught.value)
