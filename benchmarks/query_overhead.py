"""What one `search(vector)` costs beyond FAISS and re-scoring; payload of 10 hits; the import.

    python benchmarks/query_overhead.py [--rounds 10]

The bare work is: the index's own search with the effort and depth that the collection chose, and
one call that computes the final scores of the candidates it proposed. The same queries are asked
both ways in blocks that take turns, so that noise and caches are shared fairly. This is done with
the compiled kernels, where one call does all of that, and without them (FAISS and numpy).
Promises: at most 30 µs more a query with the kernels and 60 µs without, at most 150 µs for fetching
10 payload rows, an import of
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
from vecsearch.index.kernels.loader import LOADER
from vecsearch.index.kernels.numpy_scores import final_scores

K = 10
BLOCK = 200
PROMISES = {
    "kernel_added_us": 30.0,
    "faiss_added_us": 60.0,
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
        path = Path(work) / "bench.vs"
        with made(path, data.base, lines) as collection:
            measured = compared(collection, data, rounds, bare_faiss(collection), "faiss")
        del os.environ["VECSEARCH_COMPILED"]
        LOADER.load()
        with vs.open(path) as collection:
            measured |= compared(collection, data, rounds, bare_kernel(collection), "kernel")
            measured["exact_batch_times_knn"] = exact_batch(collection, data, rounds)
    measured["import_ms"] = import_ms()
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


def compared(
    collection: Any,
    data: datasets.Dataset,
    rounds: int,
    bare: Callable[[datasets.Vectors], Any],
    kernel: str,
) -> dict[str, float]:
    """Medians in microseconds over all queries of all rounds."""
    faiss.omp_set_num_threads(1)
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
    micros = {f"{kernel}_{name}_us": statistics.median(s) * 1e6 for name, s in seconds.items()}
    search = micros[f"{kernel}_search_us"]
    micros[f"{kernel}_added_us"] = search - micros[f"{kernel}_bare_us"]
    micros["payload_us"] = micros[f"{kernel}_search_and_payload_us"] - search
    return micros


def bare_faiss(collection: Any) -> Callable[[datasets.Vectors], Any]:
    """What a search of this collection does without the kernels, with nothing around it.

    FAISS's own search, the projection of the query included (FAISS would do that inside the call if
    it had the transform), and the final scores of the candidates.
    """
    searcher, depth, effort = _planned(collection)
    index, base = searcher.attached.index, searcher.scorer.vectors[0]
    parameters = index._parameters[effort]  # as the first search left them
    distances, labels = np.empty((1, depth), np.float32), np.empty((1, depth), np.int64)
    pointer, code = faiss.swig_ptr, searcher.scorer.code

    def search(query: datasets.Vectors) -> None:
        asked = index._projection.queries(query[None])
        index._index.search_c(
            1, pointer(asked), depth, pointer(distances), pointer(labels), parameters
        )
        rows = labels if index._order is None else index._order[labels].astype(np.int64)
        final_scores(base[rows[0]], query, code)

    return search


def bare_kernel(collection: Any) -> Callable[[datasets.Vectors], Any]:
    """The one call of compiled code that a search of this collection makes."""
    searcher, _, _ = _planned(collection)
    kernels, graph = LOADER.kernels(), searcher.attached.index.graph_search
    state = searcher.states.of(searcher.selector.select(None))
    request = state.requests(K, collection.plan(k=K))[0]
    return lambda query: graph.search(kernels, query, K, request)


def _planned(collection: Any) -> tuple[Any, int, int]:
    """The collection's searcher after a first search, and its depth and effort."""
    chosen = collection.plan(k=K)
    if chosen.method != "index":
        raise SystemExit(f"the collection does not search by its index: {chosen}")
    collection.search(np.ones(collection.info().dim, np.float32), k=K)
    return collection._searching(), chosen.depth, chosen.effort


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
