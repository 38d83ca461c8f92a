"""Filters that name no column, or functions of constants, mean what they mean in DuckDB."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

import vecsearch as vs

ROWS = 6
CONDITIONS = [
    *("1=1", "TRUE", "FALSE", "NULL", "NOT FALSE", "NOT NULL", "NULL IS NULL", "NULL = NULL"),
    *("'a' = 'a'", "1 IN (1, 2)", "2 NOT IN (1, NULL)", "2 BETWEEN 1 AND 3", "1.0 = 1"),
    *("0.1 + 0.2 = 0.3", "1 / 2 = 0.5", "7 / 2 = 3", "5 % 2 = 1", "-1 < 0", "TRUE OR NULL"),
    *("TRUE AND NULL", "NOT (TRUE AND NULL)", "TRUE IS NOT FALSE", "(1 = 1) = TRUE", "n = n"),
    *("'abc' LIKE 'a%'", "'abc' NOT LIKE 'a_c'", "'a' ILIKE 'A%'", "'É' ILIKE 'é'", "'' LIKE ''"),
    *("'a%b' LIKE 'a!%b' ESCAPE '!'", "'abc' LIKE NULL", "NULL LIKE 'a'", "'a' LIKE ''"),
    *("length('abc') = 3", "length('𝔘字') = n", "length('') = 0", "length(NULL) IS NULL"),
    *("lower('A') = 'a'", "lower(NULL) = 'a'", "upper(NULL) IS NULL", "upper('a') LIKE 'A'"),
    *("abs(-3) = n", "abs(NULL) IS NULL", "s LIKE 'x%' AND length('abc') > n"),
    *("DATE '2024-01-01' < DATE '2025-01-01'", "DATE '2024-01-01' <> NULL"),
    "TIMESTAMP '2024-01-01 00:00:00' = DATE '2024-01-01'",
    "TIMESTAMPTZ '2024-01-01 00:00:00+01' < TIMESTAMPTZ '2024-01-01 00:00:00+00'",
    "DATE '2024-01-02' BETWEEN DATE '2024-01-01' AND DATE '2024-02-01'",
]


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[vs.Collection]:
    with vs.create(tmp_path_factory.mktemp("constants") / "c.vs", dim=2) as c:
        for part in (range(4), range(4, ROWS)):
            c.add([{"id": n, "vector": [1, n], "n": n, "s": f"x{n}"} for n in part])
        c.delete([3])
        yield c


@pytest.mark.parametrize("where", CONDITIONS)
def test_constants_mean_what_they_mean_in_sql(where: str, collection: vs.Collection) -> None:
    table = f"FROM (SELECT range AS n, 'x' || range AS s FROM range({ROWS})) WHERE n <> 3 AND"
    found = duckdb.sql(f"SELECT n {table} ({where})").fetchall()
    right = {number for (number,) in found}
    c = collection
    assert c.count(where) == len(right)
    assert set(c.search([1, 2], k=ROWS, where=where).ids) == right
    assert set(c.to_arrow(["id"], where=where)["id"].to_pylist()) == right
    assert c.update(where, {"s": "y"}, dry_run=True).updated == len(right)
    assert c.delete(where=where, dry_run=True).deleted == len(right)
