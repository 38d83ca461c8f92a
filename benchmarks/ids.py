"""How long a million ids take: python -m benchmarks.ids [ROWS]. Prints seconds for each
verb, by the clock and of processor time."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import vecsearch as vs

DIM = 8
BATCH = 100_000


def filled(folder: str, rows: int, texts: bool) -> vs.Collection:
    """A collection of `rows` short vectors, with ids that are numbers or texts."""
    rng = np.random.default_rng(0)
    c = vs.create(folder, dim=DIM)
    c.add(_batches(rng, rows, texts))
    return c


def _batches(rng: np.random.Generator, rows: int, texts: bool) -> pa.RecordBatchReader:
    def each() -> Any:
        for first in range(0, rows, BATCH):
            numbers = np.arange(first, min(first + BATCH, rows))
            ids = pc.binary_join_element_wise("document-", pa.array(numbers).cast("string"), "")
            vectors = rng.normal(size=len(numbers) * DIM).astype(np.float32)
            columns = {
                "id": ids if texts else pa.array(numbers),
                "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors), DIM),
                "year": pa.array(numbers % 50),
            }
            yield pa.record_batch(columns)

    batches = each()
    first = next(batches)

    def again() -> Any:
        yield first
        yield from batches

    return pa.RecordBatchReader.from_batches(first.schema, again())


def timed(call: Callable[[], Any]) -> tuple[float, float]:
    """Seconds by the clock, and of processor time."""
    start, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - start, time.process_time() - cpu


def verbs(c: vs.Collection, ids: list[Any], numbers: Any) -> dict[str, Callable[[], Any]]:
    """What is measured; the last changes the collection."""
    query = np.ones(DIM)
    return {
        "isin, as an expression": lambda: c.count(pc.field("id").isin(pa.array(ids))),
        "search": lambda: c.search(query, ids=ids, where="year < 40"),
        "search again": lambda: c.search(query, ids=ids, where="year < 40"),
        "count": lambda: vs.open(c.path).count(ids=ids),
        "get": lambda: c.get(ids, ["id", "year"]),
        "update": lambda: c.update(ids=ids, values={"year": 7}),
        "update, a value each": lambda: c.update(ids=ids, values={"year": numbers % 9}),
        "delete": lambda: c.delete(ids=ids),
    }


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
    for texts in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            c = filled(f"{folder}/c.vs", rows, texts)
            rng = np.random.default_rng(1)
            numbers = rng.permutation(rows)[: rows // 2]
            ids = [f"document-{i}" for i in numbers.tolist()] if texts else numbers.tolist()
            kind = "texts" if texts else "numbers"
            print(f"{len(ids):,} ids ({kind}) of {rows:,} rows; seconds, and of the processor")
            for name, call in verbs(c, ids, numbers).items():
                clock, cpu = timed(call)
                print(f"  {name:24} {clock:6.2f} {cpu:6.2f}", flush=True)
            c.close()


if __name__ == "__main__":
    main()
