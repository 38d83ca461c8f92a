"""Requests and bytes of a collection in object storage: opening, searching and changing it.

    python benchmarks/object_storage.py [URL]

Without a URL the storage is the memory of this process, which counts the same as a server. The
table is that of docs/how-to/object-storage.md. Requests that only depend on time (the renewal of
leases) are not among them.
"""

from __future__ import annotations

import sys
import tempfile
import time
import uuid
from collections.abc import Callable

import numpy as np

import vecsearch as vs
from vecsearch.storage.objects.mirror import Mirror
from vecsearch.storage.origins import origin_of

ROWS, DIM = 10_000, 64


def main(place: str) -> None:
    """Print a line for each operation."""
    url = f"{place.rstrip('/')}/{uuid.uuid4().hex}.vs"
    vectors = np.random.default_rng(1).standard_normal((ROWS + 200, DIM)).astype(np.float32)
    print(f"{'operation':28} requests  reads  writes  lists  bytes in  bytes out   seconds")
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        c = vs.create(url, dim=DIM, cache_dir=one)
        mirror = origin_of(c.path)
        assert isinstance(mirror, Mirror)

        def counted(name: str, run: Callable[[], object], there: Mirror = mirror) -> None:
            time.sleep(0.2)  # leases that were ended are removed soon
            there.bucket.requests.clear()
            start = time.perf_counter()
            run()
            seconds = time.perf_counter() - start
            time.sleep(0.2)
            counts = there.bucket.requests
            writes = counts["put"] + counts["create"] + counts["delete"]
            reads = counts["get"] + counts["head"]
            print(
                f"{name:28} {reads + writes + counts['list']:8} {reads:6} {writes:7} "
                f"{counts['list']:6} {counts['bytes received']:9,} {counts['bytes sent']:10,} "
                f"{seconds:9.3f}"
            )

        def add(first: int, count: int) -> object:
            ids = range(first, first + count)
            return c.add(
                [{"id": n, "vector": vectors[n]} for n in ids], progress=False, auto_index=False
            )

        counted(f"add {ROWS:,} rows", lambda: add(0, ROWS))
        counted("add 1 row", lambda: add(ROWS, 1))
        counted("delete 1 row", lambda: c.delete(0))
        counted("build_index", lambda: c.build_index("HNSW16", progress=False))
        counted("search", lambda: c.search(vectors[1]))
        counted("refresh, nothing new", c.refresh)
        # Opening is counted by the other machine's own bucket.
        start = time.perf_counter()
        d = vs.open(url, cache_dir=two)
        other = origin_of(d.path)
        assert isinstance(other, Mirror)
        print("open, cold:", dict(other.bucket.requests), f"{time.perf_counter() - start:.3f} s")
        counted("first search, cold", lambda: d.search(vectors[1]), other)
        counted("second search", lambda: d.search(vectors[2]), other)
        d.close()
        start = time.perf_counter()
        d = vs.open(url, cache_dir=two)
        print("open, warm:", dict(other.bucket.requests), f"{time.perf_counter() - start:.3f} s")
        counted("first search, warm", lambda: d.search(vectors[1]), other)
        counted("refresh, one new version", d.refresh, other)
        mirror.remove_all()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "memory://benchmark")
