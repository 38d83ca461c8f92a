"""The operations in the order in which they are measured: each is a call of a store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.operations.stores import ALL_BUT_VECTOR, FILTERS, SHORT, queries_of
from benchmarks.operations.tables import Rows


@dataclass(frozen=True)
class Step:
    """One row of the table.

    Attributes:
        name: What a reader sees.
        method: The method of a store.
        calls: The arguments of each call; they are measured together.
        same: Whether the answers of all stores must be equal.
        needs: Another method that a store must have for this step to mean something.
    """

    name: str
    method: str
    calls: list[tuple[Any, ...]] = field(default_factory=lambda: [()])
    same: bool = False
    needs: str = ""


def steps(rows: int, dim: int) -> Iterator[Step]:
    """All operations on a table of so many rows.

    The rows are made on the way, outside of what is measured.
    """
    made = Rows(dim)
    table = made.table(rows)
    rng = np.random.default_rng(2)
    vectors = np.array(table["vector"].combine_chunks().values).reshape(rows, dim)
    queries = queries_of(vectors, 1000)
    yield Step("load", "load", [(table,)])
    del table, vectors
    yield Step("open", "open")
    some = rng.choice(rows, 10_000 if rows > 20_000 else rows // 2, replace=False).tolist()
    yield Step("get 1 id", "get", [(some[:1],)], same=True)
    yield Step("get 10,000 ids", "get", [(some,)], same=True)
    yield Step("to_arrow id, year", "columns", [(SHORT,)], same=True)
    yield Step("to_arrow title", "columns", [(["title"],)], same=True)
    yield Step("to_arrow all but the vector", "columns", [(ALL_BUT_VECTOR,)], same=True)
    yield Step("scan all", "scan", same=True)
    yield Step("export to Parquet", "export")
    for name, where in FILTERS.items():
        yield Step(f"count, {name}", "count", [(where,)], same=True)
    yield Step("search, exact", "search", [(queries[0], 10)], same=True)
    yield Step("exact batch of 100", "exact_batch", [(queries[:100], 10)])
    yield Step("add 1 row × 20", "add", [(made.table(1),) for _ in range(20)])
    yield Step("add 1,000 rows × 20", "add", [(made.table(1000),) for _ in range(20)])
    yield Step("add 1 row × 200", "add", [(made.table(1),) for _ in range(200)])
    yield Step("update 1 row × 20", "update", [(f"id = {i}", 1) for i in some[:20]])
    yield Step("update 1.3 %", "update", [("year = 1960", 1961)])
    yield Step("update 30 %", "update", [("year >= 2003", 2030)])
    yield Step("add_column", "add_column", [("n2",)])
    yield Step("delete 1 id × 20", "delete", [([i],) for i in some[:20]])
    yield Step("delete 1,000 ids", "delete", [(some[20:1020],)])
    yield Step("delete where, 20 %", "delete_where", [("year < 1965",)])
    yield Step("count after deletes", "count", [("year < 2000",)], same=True)
    yield Step("compact", "compact")
    yield Step("compact again", "compact")
    yield Step("versions", "versions")
    yield Step("build_index", "build")
    yield Step("search, k=10 × 200", "search", [(q, 10) for q in queries[:200]], needs="build")
    yield Step("search, k=1,000 × 20", "search", [(q, 1000) for q in queries[:20]], needs="build")
    yield Step("batch of 1,000, k=10", "batch", [(queries, 10)])
    yield Step("indexed: add 1 row × 20", "add", [(made.table(1),) for _ in range(20)])
    yield Step("indexed: first search after", "search", [(queries[1], 10)])
    yield Step("indexed: add 10 % of the rows", "add", [(made.table(rows // 10),)])
    yield Step("indexed: extend", "build")
    yield Step("indexed: add_column", "add_column", [("n3",)])
