"""What one `search(vector)` costs beyond FAISS and re-scoring; payload of 10 hits; the import.

    python benchmarks/query_overhead.py [--rounds 10]

The bare work is: the index's own search with the effort and depth that the collection chose, and
one call that scores the candidates it proposed against the stored vectors. The same queries are
asked both ways in blocks that take turns, so that noise and caches are shared fairly. The
compiled kernels are switched off: with them a search takes less than these calls alone.
Promises: at most 60 µs more a query, at most 150 µs for fetching 10 payload rows, an import of
vecsearch under 0.2 s, and exact search of a batch in at most 1/0.8 of the time of `faiss.knn` on
the same vectors.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

if not __package__:  # run as a file: the folder above holds the packages
    sys.path[0] = str(Path(__file__).resolve().parents[1])

os.environ["VECSEARCH_COMPILED"] = "0"

import faiss
import numpy as np
import pyarrow as pa

import vecsearch as vs
from benchmarks import datasets, measure

K = 10
BLOCK = 200
PROMISES = {
    "search_added_us": 60.0,
    "payload_us": 150.0,
    "import_ms": 200.0,
    "exact_batch_times_knn": 1.25,
}
PACKAGES = ("vecsearch", "faiss-cpu", "numpy", "pyarrow")
IMPORTS = 15


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="benchmarks/query_overhead.py", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    path = datasets.shared("ann", "package-summaries-minilm-50k.f16.npy")
    data = datasets.load(str(path), queries=BLOCK)
    lines = (
        datasets.shared("ann", "package-summaries-50k.tsv")
        .read_text(encoding="utf-8")
        .splitlines()[1:]
    )
    with tempfile.TemporaryDirectory(prefix="vecsearch-bench-") as work:
        collection = made(Path(work) / "bench.vs", data.base, lines)
        measured = compared(collection, data, rounds)
        measured |= {
            "exact_batch_times_knn": exact_batch(collection, data, rounds),
            "import_ms": import_ms(),
        }
        collection.close()
    for name, promise in PROMISES.items():
        print(f"{name}: {measured[name]:.2f} (promise: {promise:g} at most)")
    print(
        ", ".join(f"{name} {value:.1f}" for name, value in measured.items() if name not in PROMISES)
    )
    print(measure.save("query-overhead", {"rows": len(data.base), "k": K, **measured}, PACKAGES))
    sys.exit(any(measured[name] > promise for name, promise in PROMISES.items()))


def made(path: Path, base: datasets.Vectors, lines: Sequence[str]) -> Any:
    """A collection of all rows with a title, a text and a number as payload, and its index."""
    names, texts = zip(*(line.split("\t", 1) for line in lines[: len(base)]), strict=True)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(base.ravel()), base.shape[1])
    columns = {"id": np.arange(len(base)), "vector": vectors, "name": names, "summary": texts}
    collection = vs.create(path, dim=base.shape[1], metric="cosine")
    collection.add(pa.table(columns | {"year": np.arange(len(base)) % 30 + 1990}))
    collection.build_index()
    return collection


def compared(collection: Any, data: datasets.Dataset, rounds: int) -> dict[str, float]:
    """Medians in microseconds over all queries of all rounds."""
    faiss.omp_set_num_threads(1)
    bare = bare_search(collection, data.base)
    # A search, and after it the payload of its hits: three columns of ten rows.
    ways: dict[str, Callable[[datasets.Vectors], Any]] = {
        "bare": bare,
        "search": lambda query: collection.search(query, k=K),
        "search_and_payload": lambda query: collection.search(query, k=K).fetch(
            ["name", "summary", "year"]
        ),
        "search_and_ids": lambda query: collection.search(query, k=K).ids,
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    gc.collect()
    for number in range(rounds + 1):
        for name in list(ways)[:: -1 if number % 2 else 1]:
            taken = _timed(ways[name], data.queries)
            if number:  # the first round warms up
                seconds[name] += taken
    micros = {f"{name}_us": statistics.median(taken) * 1e6 for name, taken in seconds.items()}
    micros["search_added_us"] = micros["search_us"] - micros["bare_us"]
    micros["payload_us"] = micros["search_and_payload_us"] - micros["search_us"]
    return micros


def bare_search(collection: Any, base: datasets.Vectors) -> Callable[[datasets.Vectors], Any]:
    """The FAISS calls that a search of this collection makes, with nothing around them.

    The index's own search, the projection of the query included (FAISS would do that inside the
    call if it had the transform), and scoring the candidates.
    """
    searcher = collection._searching()
    index = searcher.attached.index
    chosen = collection.plan(k=K)
    if index is None or chosen.method != "index":
        raise SystemExit(f"the collection does not search by its index: {chosen}")
    depth, dim = chosen.depth, base.shape[1]
    collection.search(base[0], k=K)
    parameters = index._parameters[chosen.effort]  # as that search left them
    distances, labels = np.empty((1, depth), np.float32), np.empty((1, depth), np.int64)
    scores, pointer = np.empty(depth, np.float32), faiss.swig_ptr

    def search(query: datasets.Vectors) -> None:
        asked = index._projection.queries(query[None])
        index._index.search_c(
            1, pointer(asked), depth, pointer(distances), pointer(labels), parameters
        )
        rows = labels if index._order is None else index._order[labels].astype(np.int64)
        faiss.fvec_inner_products_by_idx(
            pointer(scores), pointer(query), pointer(base), pointer(rows), dim, 1, depth
        )

    return search


def exact_batch(collection: Any, data: datasets.Dataset, rounds: int) -> float:
    """Time of exact search of the batch over that of `faiss.knn`, on all cores: median."""
    faiss.omp_set_num_threads(os.cpu_count() or 1)
    ratios = []
    for _ in range(rounds):
        bare = _once(
            lambda: faiss.knn(data.queries, data.base, K, metric=faiss.METRIC_INNER_PRODUCT)
        )
        ratios.append(_once(lambda: collection.search_batch(data.queries, k=K, exact=True)) / bare)
    return statistics.median(ratios)


def import_ms() -> float:
    """Median milliseconds of `import vecsearch`, each in a fresh process."""
    code = (
        "import time; start = time.perf_counter(); import vecsearch; "
        "print(time.perf_counter() - start)"
    )
    line = [sys.executable, "-c", code]
    runs = [
        subprocess.run(line, capture_output=True, text=True, check=True, cwd=measure.ROOT).stdout
        for _ in range(IMPORTS)
    ]
    return statistics.median(map(float, runs)) * 1e3


def _once(task: Callable[[], Any]) -> float:
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def _timed(task: Callable[[datasets.Vectors], Any], queries: datasets.Vectors) -> list[float]:
    taken = []
    for query in queries:
        start = time.perf_counter()
        task(query)
        taken.append(time.perf_counter() - start)
    return taken


if __name__ == "__main__":
    main()
