"""What searches cost after rows were added, deleted and replaced, and what these changes cost.

    python benchmarks/updates.py [DATA] [--rows 40000]

Times are processor time of the searching thread, medians of single queries with ids, so that other
work on the machine disturbs them little. Recall is measured against float64. Promise: a search
costs at most 1.5 times what it did before the change.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

if not __package__:  # run as a file: the folder above holds the packages
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
import numpy.typing as npt
import pyarrow as pa

import vecsearch as vs
from benchmarks import datasets, measure
from vecsearch.index.kernels.loader import LOADER

K, TARGET, QUERIES, ROUNDS, MOST = 10, 0.95, 500, 4, 1.5
PACKAGES = ("vecsearch", "faiss-cpu", "numpy", "numba")
Rows = npt.NDArray[np.int64]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="benchmarks/updates.py", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("data", nargs="?", help="Default: the shared sentence vectors.")
    parser.add_argument("--rows", type=int, default=40_000, help="Rows of the first add.")
    arguments = parser.parse_args()
    path = arguments.data or datasets.shared("ann", "package-summaries-minilm-50k.f16.npy")
    data = datasets.load(str(path), queries=QUERIES)
    order = np.random.default_rng(0).permutation(len(data.base))
    vectors = data.base[order]
    LOADER.load()
    with tempfile.TemporaryDirectory(prefix="vecsearch-bench-") as work:
        collection = vs.create(Path(work) / "bench.vs", dim=vectors.shape[1], keep_versions=2)
        results: list[dict[str, Any]] = []
        for result in stages(collection, vectors, data.queries, arguments.rows):
            results.append(result)
            result["times"] = result["search_us"] / results[0]["search_us"]
            print(", ".join(f"{name} {value:.4g}" for name, value in result["numbers"].items()))
            found = f"recall {result['recall']:.4f}, parts {result['parts']}"
            times = f"{result['search_us']:.1f} µs ({result['times']:.2f})"
            print(f"{result['stage']}: {times}, {found}", flush=True)
    print(measure.save("updates", {"rows": arguments.rows, "stages": results}, PACKAGES))
    sys.exit(any(result["times"] > MOST for result in results))


def stages(
    collection: vs.Collection, vectors: datasets.Vectors, queries: datasets.Vectors, rows: int
) -> Iterator[dict[str, Any]]:
    """Each change, and what is measured after it."""
    stored, live = vectors.copy(), np.zeros(len(vectors), bool)
    written = 0

    def add(numbers: Rows) -> None:
        nonlocal written
        flat = pa.FixedSizeListArray.from_arrays(pa.array(stored[numbers].ravel()), stored.shape[1])
        table = pa.table({"id": numbers, "vector": flat})
        written += collection.add(table, on_conflict="replace").index_bytes
        live[numbers] = True

    def stage(name: str, change: Callable[[], object], changed: int) -> dict[str, Any]:
        nonlocal written
        written, start = 0, time.process_time()
        change()
        seconds = time.process_time() - start
        numbers = {
            "rows": changed,
            "cpu_ms_a_row": seconds / changed * 1e3,
            "index_bytes_a_row": written / changed,
        }
        return {"stage": name, "numbers": numbers} | searched(collection, stored, live, queries)

    fifth = min(rows // 5, len(vectors) - rows - 1000)
    at = rows

    def one_by_one() -> None:
        for number in range(at, at + 1000):
            add(np.array([number]))

    yield stage(f"{rows:,} rows added", lambda: add(np.arange(rows)), rows)
    yield stage("1,000 adds of one row", one_by_one, 1000)
    at += 1000
    more = np.arange(at, at + fifth)
    yield stage(f"{fifth / rows:.0%} added", lambda: add(more), fifth)
    gone = np.arange(0, at, 5)
    live[gone] = False
    yield stage("20% deleted", lambda: collection.delete(gone.tolist()), len(gone))
    replaced = np.arange(1, at, 10)
    stored[replaced] = stored[replaced][::-1]
    yield stage("10% replaced", lambda: add(replaced), len(replaced))
    yield stage("compacted", collection.compact, 1)


def searched(
    collection: vs.Collection,
    vectors: datasets.Vectors,
    live: npt.NDArray[np.bool_],
    queries: datasets.Vectors,
) -> dict[str, Any]:
    """Cost of a search, recall, and rows in each index."""
    medians = []
    for _ in range(ROUNDS + 1):
        seconds = []
        for query in queries:
            start = time.thread_time()
            _ = collection.search(query, k=K, recall=TARGET).ids
            seconds.append(time.thread_time() - start)
        medians.append(statistics.median(seconds))
    rows = np.flatnonzero(live)
    wide = vectors[rows].astype(np.float64)
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    found = []
    for query in queries:
        scores = wide @ (query.astype(np.float64) / np.linalg.norm(query.astype(np.float64)))
        kth = np.partition(scores, -K)[-K] - 2e-7
        ids = collection.search(query, k=K, recall=TARGET).ids
        found.append(sum(scores[np.searchsorted(rows, ids)] >= kth) / K)
    return {
        "search_us": min(medians[1:]) * 1e6,
        "recall": float(np.mean(found)),
        "parts": [index.rows for index in collection.info().indexes],
    }


if __name__ == "__main__":
    main()
