"""What do 1, 2, 4 and 8 shards cost and gain on one machine? Builds, searches and small adds.

    python benchmarks/shards.py [--rows 200000] [--dim 96] [--shards 1 2 4 8]

The same rows (made ones, see `on_disk.py`) are in a collection of each number of shards. Searches
are single queries on one thread and on several, and one batch on all cores; times are those of the
clock, so the machine has to be quiet. Builds are timed in this process and in processes side by
side. Recall is measured against exact search. Where more shards stop to pay shows in the table.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

if not __package__:  # run as a file: the folder above holds the packages
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np

import vecsearch as vs
from benchmarks import measure
from benchmarks.on_disk import points, rows_of

PACKAGES = ("vecsearch", "faiss-cpu", "numpy", "numba")
K, ROUNDS, WARM = 10, 3, 1200  # so many searches load the compiled code first


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="benchmarks/shards.py", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--dim", type=int, default=96)
    parser.add_argument("--shards", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--recipe", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    queries = points(args, -1, args.queries)
    results = []
    with tempfile.TemporaryDirectory(prefix="vecsearch-shards-") as work:
        for shards in args.shards:
            result = {"shards": shards} | measured(args, Path(work) / f"{shards}.vs", queries)
            results.append(result)
            print(", ".join(f"{name} {value:.4g}" for name, value in result.items()), flush=True)
    print(measure.save("shards", {"arguments": vars(args), "results": results}, PACKAGES))


def measured(args: argparse.Namespace, path: Path, queries: Any) -> dict[str, float]:
    """One collection; its folder stays for the next, as the page cache does."""
    shards = int(path.stem)
    with vs.create(path, dim=args.dim, shards=shards, auto_index=False, keep_versions=1) as c:
        added = timed(lambda: [c.add(block, progress=False) for block in rows_of(args)])
        built = timed(lambda: c.build_index(args.recipe, progress=False))
        side_by_side = timed(
            lambda: c.build_index(args.recipe, seed=1, engine="processes", progress=False)
        )
        for query in np.resize(queries, (WARM, args.dim)):
            c.search(query, K)
        one = min(timed(lambda: [c.search(query, K) for query in queries]) for _ in range(ROUNDS))
        several = min(together(c, queries) for _ in range(ROUNDS))
        batch = min(timed(lambda: c.search_batch(queries, K)) for _ in range(ROUNDS))
        exact = c.search_batch(queries[:200], K, exact=True)
        found = c.search_batch(queries[:200], K)
        small = np.random.default_rng(1).permutation(queries)[:20]
        adding = timed(lambda: [c.add(row[None], progress=False) for row in small])
        sizes = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    pairs = zip(found, exact, strict=True)
    recall = np.mean([len(set(one.ids) & set(true.ids)) / K for one, true in pairs])
    count = len(queries)
    return {
        "add_seconds": added,
        "build_seconds": built,
        "build_seconds_in_processes": side_by_side,
        "searches_a_second": count / one,
        "searches_a_second_on_threads": count / several,
        "searches_a_second_in_a_batch": count / batch,
        "recall_at_10": float(recall),
        "seconds_to_add_one_row": adding / len(small),
        "bytes": sizes,
    }


def together(c: vs.Collection, queries: Any) -> float:
    """Seconds that all queries take when each processor has a thread."""
    workers = os.cpu_count() or 1
    ready = threading.Barrier(workers + 1)

    def run(part: Any) -> None:
        ready.wait()
        for query in part:
            c.search(query, K)

    with ThreadPoolExecutor(workers) as pool:
        running = [pool.submit(run, part) for part in np.array_split(queries, workers)]
        ready.wait()
        start = time.perf_counter()
        for one in running:
            one.result()
    return time.perf_counter() - start


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
