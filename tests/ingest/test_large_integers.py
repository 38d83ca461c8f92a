"""Integers beyond int64: kept exactly as uint64, or refused by row; never a float in silence."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import vecsearch as vs

Write = Callable[[str, str], Path]
LARGE = 2**63


@pytest.fixture
def c(tmp_path: Path) -> vs.Collection:
    return vs.create(tmp_path / "c.vs", dim=1, metric="l2")


def rows(values: list[Any], first: int = 0) -> list[dict[str, Any]]:
    return [{"id": first + n, "vector": [1], "x": value} for n, value in enumerate(values)]


def column(collection: vs.Collection) -> tuple[str, list[Any]]:
    return collection.info().columns["x"], collection.to_arrow()["x"].to_pylist()


@pytest.mark.parametrize(
    ("values", "kind", "stored"),
    [
        ([LARGE, 5], "uint64", [LARGE, 5]),
        ([5, None, 2**64 - 1], "uint64", [5, None, 2**64 - 1]),
        ([LARGE - 1, -LARGE], "int64", [LARGE - 1, -LARGE]),
        ([np.uint64(LARGE), 3], "uint64", [LARGE, 3]),
        ([[LARGE], [5]], "list<item: uint64>", [[LARGE], [5]]),
        ([np.array([LARGE], np.uint64), [5]], "list<item: uint64>", [[LARGE], [5]]),
        ([{"a": LARGE}, {"a": 5}], "struct<a: uint64>", [{"a": LARGE}, {"a": 5}]),
        ([0.5, LARGE], "double", [0.5, float(LARGE)]),
        ([2**60, 0.5], "double", [float(2**60), 0.5]),
        ([Decimal("0.5"), LARGE], "decimal128(20, 1)", [Decimal("0.5"), Decimal(LARGE)]),
        ([-7, Decimal("0.25")], "decimal128(3, 2)", [Decimal(-7), Decimal("0.25")]),
    ],
)
@pytest.mark.parametrize("form", ["list", "iterator", "objects of pandas"])
def test_integers_are_kept_exactly(
    c: vs.Collection, values: list[Any], kind: str, stored: list[Any], form: str
) -> None:
    data = rows(values)
    if form == "objects of pandas":
        frame = pd.DataFrame(data).drop(columns="x")
        c.add(frame.assign(x=pd.Series(values, dtype=object)))
    else:
        c.add(iter(data) if form == "iterator" else data)
    assert column(c) == (kind, stored)


@pytest.mark.parametrize("x", [LARGE, 2**64 - 1])
def test_large_integers_in_json_lines_and_filters(c: vs.Collection, write: Write, x: int) -> None:
    c.add(write("a.jsonl", "".join(json.dumps(row) + "\n" for row in rows([x, 3, None]))))
    assert column(c) == ("uint64", [x, 3, None])
    for where, count in ((f"x = {x}", 1), (f"x >= {x}", 1), ("x > 2", 2), (f"x < {x}", 1)):
        assert c.count(where) == count, where


@pytest.mark.parametrize(
    ("values", "row"),
    [
        ([2**64], 0),
        ([5, -LARGE - 1], 1),
        ([5, None, 10**30], 2),
        ([[5], [2**64]], 1),
        ([{"a": 5}, {"a": {"b": 2**64}}], 1),
        ([0.5, LARGE + 1], 1),
        ([0.5, 2**60 + 1], 1),
        ([LARGE, -1], 1),
        ([[-1], [LARGE]], 0),
        ([np.array([LARGE], np.uint64), np.array([-1])], 1),
    ],
)
def test_integers_that_no_type_holds_are_refused_by_row(
    c: vs.Collection, values: list[Any], row: int
) -> None:
    frame = pd.DataFrame(rows(values)).assign(x=pd.Series(values, dtype=object))
    for data in (rows(values), iter(rows(values)), frame):
        with pytest.raises(vs.InvalidInputError, match=rf"row {row}\b.*|in row {row}\b") as caught:
            c.add(data)
        assert "column 'x'" in str(caught.value)
        assert len(c) == 0


def test_a_later_integer_that_the_column_does_not_hold_is_refused(c: vs.Collection) -> None:
    c.add(rows([5, -5]))
    with pytest.raises(vs.InvalidInputError, match=r"row 1, column 'x': 9223372036854775808"):
        c.add(rows([7, LARGE], 10))
    with pytest.raises(vs.InvalidInputError, match=r"column 'x': 9223372036854775808"):
        c.update("id = 0", {"x": LARGE})
    with pytest.raises(vs.InvalidInputError, match=r"column 'x': the integer .* 64-bit"):
        c.update("id = 0", {"x": 2**64})
    assert column(c) == ("int64", [5, -5])


def test_a_column_without_a_sign_takes_small_integers_and_no_negative_ones(
    c: vs.Collection,
) -> None:
    c.add(rows([LARGE]))
    c.add(rows([5], 10))
    c.update("id = 10", {"x": 2**64 - 1})
    with pytest.raises(vs.InvalidInputError, match=r"row 0.*column 'x'.*9223372036854775808"):
        c.add(rows([-5], 20))
    assert column(c) == ("uint64", [LARGE, 2**64 - 1])


def test_large_integers_are_refused_as_ids(c: vs.Collection) -> None:
    with pytest.raises(vs.InvalidInputError, match="row 1, column 'id': 9223372036854775808"):
        c.add([{"id": 1, "vector": [1]}, {"id": LARGE, "vector": [1]}])


def test_csv_integers_beyond_64_bits_stay_text(c: vs.Collection, write: Write) -> None:
    """Also those that a float equals: they are codes, and arithmetic on them has no meaning."""
    c.add(write("a.csv", f"id,vector,x\n1,[1],{LARGE}\n2,[1],3\n"))
    assert column(c) == ("large_string", [str(LARGE), "3"])


def test_what_cannot_be_stored_is_left_out_and_reported(c: vs.Collection) -> None:
    result = c.add(rows([5, 2**64, -1, LARGE]), on_error="skip")
    assert column(c) == ("int64", [5, -1])
    assert [failure.row for failure in result.report.failures] == [1, 3]
