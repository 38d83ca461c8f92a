"""The same operations on vecsearch, LanceDB and DuckDB. A store has no method for what it cannot
do, and the table then shows a dash.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

FILTERS = {
    "year range": "year >= 1990 AND year < 2000",
    "lang": "lang = 'fr'",
    "LIKE": "title LIKE '%abc%'",
    "lower LIKE": "lower(title) LIKE '%stone%'",
    "tags": "array_contains(tags, 'copper')",
    "combined": "year > 1980 AND price < 60 AND lang = 'en' AND title LIKE '%stone%' "
    "AND array_contains(tags, 'river')",
}
SHORT = ["id", "year"]
ALL_BUT_VECTOR = ["id", "year", "price", "lang", "title", "tags", "ts"]


class Vecsearch:
    """vecsearch, whose ids are unique and whose changes are synced to the disk."""

    package = "vecsearch"

    def __init__(self, folder: Path, dim: int) -> None:
        import vecsearch

        self.folder, self._exported = folder / "c.vs", folder / "c.parquet"
        self._vs = vecsearch
        vecsearch.Collection  # noqa: B018, imports what the other libraries import at once
        self._c: Any = None
        self.dim = dim

    def load(self, table: pa.Table) -> None:
        # Indexing is an operation of its own here; otherwise a change does it.
        self._c = self._vs.create(self.folder, dim=self.dim, auto_index=False)
        self.add(table)

    def add(self, table: pa.Table) -> None:
        self._c.add(table)

    def open(self) -> None:
        self._c = self._vs.open(self.folder)

    def get(self, ids: Sequence[int]) -> int:
        return len(self._c.get(ids))

    def columns(self, names: Sequence[str] | None) -> int:
        return int(self._c.to_arrow(names).num_rows)

    def scan(self) -> int:
        return sum(batch.num_rows for batch in self._c.scan())

    def export(self) -> None:
        self._exported.unlink(missing_ok=True)
        self._c.export(self._exported)

    def count(self, where: str) -> int:
        return int(self._c.count(where))

    def search(self, query: Any, k: int, where: str | None = None) -> list[int]:
        return [int(i) for i in self._c.search(query, k=k, where=where).ids]

    def exact_batch(self, queries: Any, k: int) -> int:
        return len(self._c.search_batch(queries, k=k, exact=True))

    def batch(self, queries: Any, k: int) -> int:
        return len(self._c.search_batch(queries, k=k))

    def update(self, where: str, year: int) -> None:
        self._c.update(where, {"year": year})

    def add_column(self, name: str) -> None:
        self._c.add_column(name, "int64", 7)

    def delete(self, ids: Sequence[int]) -> None:
        self._c.delete(ids)

    def delete_where(self, where: str) -> None:
        self._c.delete(where=where)

    def compact(self) -> None:
        self._c.compact()

    def versions(self) -> int:
        return len(self._c.versions())

    def build(self) -> None:
        self._c.build_index()


class LanceDB:
    """LanceDB with a BTREE on the ids, and IVF_PQ as its default index."""

    package = "lancedb"

    def __init__(self, folder: Path, dim: int) -> None:
        import lancedb

        self._connection: Any = lancedb.connect(str(folder))
        self._exported = folder / "lance.parquet"
        self._t: Any = None

    def load(self, table: pa.Table) -> None:
        self._t = self._connection.create_table("t", table)
        self._t.create_scalar_index("id")

    def add(self, table: pa.Table) -> None:
        later = self._t.schema.names[table.num_columns :]  # Lance refuses rows without them
        for name in later:
            table = table.append_column(name, pa.array([7] * len(table)))
        self._t.add(table)

    def open(self) -> None:
        self._t = self._connection.open_table("t")

    def get(self, ids: Sequence[int]) -> int:
        wanted = ", ".join(map(str, ids))
        rows = self._t.search().where(f"id IN ({wanted})").limit(len(ids)).to_list()
        return len(rows)

    def columns(self, names: Sequence[str] | None) -> int:
        chosen = self._t.to_lance().to_table(columns=names)
        return int(chosen.num_rows)

    def scan(self) -> int:
        return sum(batch.num_rows for batch in self._t.to_lance().to_batches())

    def export(self) -> None:
        import pyarrow.parquet as pq

        data = self._t.to_lance()
        with pq.ParquetWriter(self._exported, data.schema, compression="zstd") as out:
            for batch in data.to_batches():
                out.write_batch(batch)

    def count(self, where: str) -> int:
        return int(self._t.count_rows(where))

    def search(self, query: Any, k: int, where: str | None = None) -> list[int]:
        found = self._t.search(query).distance_type("cosine").limit(k)
        if where is not None:
            found = found.where(where, prefilter=True)
        return [int(i) for i in found.select(["id"]).to_arrow()["id"].to_pylist()]

    def batch(self, queries: Any, k: int) -> int:
        found = self._t.search(list(queries)).distance_type("cosine").limit(k)
        return int(found.select(["id"]).to_arrow().num_rows)

    def update(self, where: str, year: int) -> None:
        self._t.update(where=where, values={"year": year})

    def add_column(self, name: str) -> None:
        self._t.add_columns({name: "cast(7 as bigint)"})

    def delete(self, ids: Sequence[int]) -> None:
        self._t.delete(f"id IN ({', '.join(map(str, ids))})")

    def delete_where(self, where: str) -> None:
        self._t.delete(where)

    def compact(self) -> None:
        self._t.optimize()

    def versions(self) -> int:
        return len(self._t.list_versions())

    def build(self) -> None:
        self._t.create_index(metric="cosine", replace=True)


class DuckDB:
    """DuckDB over a table of its own file: what SQL costs without vectors in mind."""

    package = "duckdb"

    def __init__(self, folder: Path, dim: int) -> None:
        import duckdb

        self._file, self._exported = folder / "t.duckdb", folder / "duck.parquet"
        self._duckdb = duckdb
        self._db: Any = duckdb.connect(str(self._file))

    def load(self, data: pa.Table) -> None:
        self._db.execute("CREATE TABLE t AS SELECT * FROM data")
        self._db.execute("CREATE UNIQUE INDEX ids ON t (id)")

    def add(self, data: pa.Table) -> None:
        self._db.execute("INSERT INTO t BY NAME SELECT * FROM data")

    def open(self) -> None:
        self._db.close()
        self._db = self._duckdb.connect(str(self._file))

    def get(self, ids: Sequence[int]) -> int:
        wanted = ", ".join(map(str, ids))
        return len(self._db.execute(f"SELECT * FROM t WHERE id IN ({wanted})").fetchall())

    def columns(self, names: Sequence[str] | None) -> int:
        chosen = self._db.sql(f"SELECT {', '.join(names or ['*'])} FROM t")
        return int(chosen.to_arrow_table().num_rows)

    def scan(self) -> int:
        return sum(batch.num_rows for batch in self._db.sql("FROM t").to_arrow_reader())

    def export(self) -> None:
        self._exported.unlink(missing_ok=True)
        self._db.execute(f"COPY t TO '{self._exported}' (FORMAT parquet, COMPRESSION zstd)")

    def count(self, where: str) -> int:
        where = where.replace("array_contains", "list_contains")
        return int(self._db.execute(f"SELECT count(*) FROM t WHERE {where}").fetchone()[0])

    def update(self, where: str, year: int) -> None:
        self._db.execute(f"UPDATE t SET year = {year} WHERE {where}")

    def add_column(self, name: str) -> None:
        self._db.execute(f"ALTER TABLE t ADD COLUMN {name} BIGINT DEFAULT 7")

    def delete(self, ids: Sequence[int]) -> None:
        self._db.execute(f"DELETE FROM t WHERE id IN ({', '.join(map(str, ids))})")

    def delete_where(self, where: str) -> None:
        self._db.execute(f"DELETE FROM t WHERE {where}")

    def compact(self) -> None:
        self._db.execute("CHECKPOINT")


STORES = {store.package: store for store in (Vecsearch, LanceDB, DuckDB)}


def empty(folder: Path) -> Path:
    """A folder with nothing in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def queries_of(vectors: Any, count: int, seed: int = 1) -> Any:
    """Queries near rows: float32 (count, dim)."""
    rng = np.random.default_rng(seed)
    picked = vectors[rng.choice(len(vectors), count, replace=False)]
    noise = rng.standard_normal(picked.shape) * 0.02
    return (picked + noise).astype(np.float32)
