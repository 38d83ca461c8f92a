"""An index on disk under a memory limit: build time, memory, bytes, recall and latency as JSON.

    python benchmarks/on_disk.py --rows 20000000 --memory 2G --search-memory 512M

Vectors are made block by block, so no process ever holds them all: unequal clusters in a space
whose components have standard deviations of i^-0.6, rotated, stored as float16. Each step is a
process of its own in one cgroup with that limit, which the page cache counts against, too: `add`,
`build`, then `search` of rows that are not in the collection, from a cold cache. Needs the right to
make a memory cgroup (root, as a rule). The folder is removed at the end unless --keep is given.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

if not __package__:  # run as a file: the folder above holds the packages
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np

import vecsearch as vs
from benchmarks import measure

BLOCK = 262_144  # rows made and added together
SPECTRUM = 0.6
NOISE = 0.7  # of a row around the center of its cluster
SAMPLE = 0.25  # seconds between two looks at the memory
UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}
STEPS = ("add", "build", "search")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="benchmarks/on_disk.py", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--dim", type=int, default=96)
    parser.add_argument("--memory", default="512M", help="limit of memory with page cache: 512M")
    parser.add_argument("--search-memory", help="limit of the search, if it is another one")
    parser.add_argument("--recipe", default="on-disk")
    parser.add_argument("--lists", type=int, default=None, help="centroids; else the recipe's rule")
    parser.add_argument("--metric", default="cosine", choices=("cosine", "ip", "l2"))
    parser.add_argument("--recall", type=float, default=0.95)
    parser.add_argument("--queries", type=int, default=500, help="timed, one by one")
    parser.add_argument("--truths", type=int, default=200, help="of them, searched exactly too")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("on-disk"))
    parser.add_argument("--keep", action="store_true", help="leave the collection")
    parser.add_argument("--out", type=Path, help="a file for the result")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.step:
        print(json.dumps(watched(lambda: run(args))))
        return
    args.folder.mkdir(parents=True, exist_ok=True)
    result: dict[str, Any] = {"conditions": conditions(args)}
    try:
        for step in STEPS:
            memory = args.search_memory or args.memory if step == "search" else args.memory
            with Limited(parsed(memory)) as limited:
                result[step] = limited.run([*sys.argv[1:], "--step", step])
            print(step, json.dumps(result[step]), file=sys.stderr, flush=True)
            if "failed" in result[step]:
                break
    finally:
        if not args.keep:
            shutil.rmtree(args.folder)
    text = json.dumps(result, indent=1)
    print(text)
    if args.out:
        args.out.write_text(text + "\n", encoding="utf-8")
    sys.exit("failed" in result[step])


def run(args: argparse.Namespace) -> dict[str, Any]:
    """One step, in the limited process."""
    path = args.folder / "large.vs"
    if args.step == "add":
        return add(args, path)
    return build(args, path) if args.step == "build" else search(args, path)


def add(args: argparse.Namespace, path: Path) -> dict[str, Any]:
    shutil.rmtree(path, ignore_errors=True)
    making = 0.0
    with vs.create(
        path,
        dim=args.dim,
        metric=args.metric,
        dtype="float16",
        recall=args.recall,
        keep_versions=1,
        auto_index=False,
    ) as c:
        blocks = rows_of(args)
        while True:
            start = time.perf_counter()
            block = next(blocks, None)
            making += time.perf_counter() - start
            if block is None:
                break
            c.add(block, progress=False)
        c.compact(purge=True)
        rows = c.count()
    return {"rows": rows, "seconds_making": round(making, 1), "bytes": measure.folder_bytes(path)}


def build(args: argparse.Namespace, path: Path) -> dict[str, Any]:
    recipe: Any = args.recipe
    if args.lists:
        recipe = vs.IndexRecipe("on-disk", "disk", code="sq4", nlist=args.lists)
    with vs.open(path) as c:
        result = asdict(c.build_index(recipe, progress=False))
    kept = ("recipe", "rows", "bytes", "memory_bytes", "promise", "calibrated_on")
    return {name: result[name] for name in kept} | {"bytes_with_rows": measure.folder_bytes(path)}


def search(args: argparse.Namespace, path: Path) -> dict[str, Any]:
    queries = points(args, -1, max(args.queries, args.truths))
    measure.evict(path)
    with vs.open(path) as c:
        start = time.perf_counter()
        c.search(queries[-1], k=10)
        first = time.perf_counter() - start
        begun, seconds, reads = disk_reads(), [], []
        for query in queries[: args.queries]:
            start, before = time.perf_counter(), disk_reads()
            c.search(query, k=10)
            seconds.append(time.perf_counter() - start)
            reads.append(disk_reads() - before)
        total = disk_reads() - begun
        plan = c.search(queries[0], k=10).plan
        found = [c.search(query, k=10) for query in queries[: args.truths]]
        exact = c.search_batch(queries[: args.truths], k=10, exact=True)
    recalls = [
        len({hit.id for hit in one} & {hit.id for hit in true}) / 10
        for one, true in zip(found, exact, strict=True)
    ]
    milliseconds = np.array(seconds) * 1000
    return {
        "plan": str(plan),
        "recall_at_10": float(np.mean(recalls)),
        "recall_error": float(np.std(recalls) / len(recalls) ** 0.5),
        "first_search_seconds": round(first, 3),
        "p50_ms": round(float(np.quantile(milliseconds, 0.5)), 3),
        "p99_ms": round(float(np.quantile(milliseconds, 0.99)), 3),
        "bytes_read_a_query": round(total / args.queries),
        "bytes_read_p50": round(float(np.quantile(reads, 0.5))),
        "bytes_read_first_tenth": round(float(np.mean(reads[: max(1, len(reads) // 10)]))),
    }


def rows_of(args: argparse.Namespace) -> Iterator[np.ndarray[Any, Any]]:
    """The rows in blocks."""
    for number, first in enumerate(range(0, args.rows, BLOCK)):
        yield points(args, number, min(BLOCK, args.rows - first))


def points(args: argparse.Namespace, number: int, count: int) -> np.ndarray[Any, Any]:
    """Block `number` of the data; -1 for the queries. Each is the same whatever the number of rows
    before it."""
    dim, clusters = args.dim, max(100, args.rows // 5000)
    fixed = np.random.default_rng([args.seed, 0])
    scale = np.arange(1, dim + 1, dtype=np.float32) ** -SPECTRUM
    rotation = np.linalg.qr(fixed.standard_normal((dim, dim)))[0].astype(np.float32)
    centers = fixed.standard_normal((clusters, dim), dtype=np.float32) * scale
    shares = fixed.exponential(size=clusters)
    rng = np.random.default_rng([args.seed, 2 + number])
    chosen = rng.choice(clusters, count, p=shares / shares.sum())
    rows = rng.standard_normal((count, dim), dtype=np.float32)
    rows *= NOISE * scale
    rows += centers[chosen]
    return rows @ rotation


def watched(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What work returns, with its time, its memory and the bytes it read and wrote."""
    peak, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(SAMPLE):
            peak[0] = max(peak[0], anonymous())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    start = time.perf_counter()
    found = work()
    seconds = time.perf_counter() - start
    done.set()
    used = resource.getrusage(resource.RUSAGE_SELF)
    return found | {
        "seconds": round(seconds, 1),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_anonymous_bytes": max(peak[0], anonymous()),
        "disk_bytes_read": disk_reads(),
        "disk_bytes_written": disk_count("write_bytes"),
    }


def anonymous() -> int:
    """Bytes of memory of this process that are no pages of files."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def disk_reads() -> int:
    return disk_count("read_bytes")


def disk_count(name: str) -> int:
    for line in Path("/proc/self/io").read_text(encoding="utf-8").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    return 0


def parsed(size: str) -> int:
    return int(float(size[:-1]) * UNITS[size[-1]]) if size[-1] in UNITS else int(size)


class Limited:
    """A cgroup in which processes may use so much memory, with their part of the page cache."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        v1 = Path("/sys/fs/cgroup/memory")
        base, self._name = (
            (v1, "memory.limit_in_bytes") if v1.is_dir() else (v1.parent, "memory.max")
        )
        self._group = base / f"vecsearch-{os.getpid()}"

    def __enter__(self) -> Limited:
        try:
            self._group.mkdir()
            (self._group / self._name).write_text(str(self.limit), encoding="utf-8")
        except OSError as error:
            sys.exit(f"cannot limit the memory with {self._group}: {error}")
        return self

    def __exit__(self, *_: object) -> None:
        self._group.rmdir()

    def run(self, arguments: list[str]) -> dict[str, Any]:
        """The JSON that this program prints with other arguments, inside the group."""
        script = 'echo $$ > "$0" && exec "$@"'
        command = [sys.executable, str(Path(__file__).resolve()), *arguments]
        environment = os.environ | {"PYTHONPATH": str(Path(vs.__file__).parents[1])}
        done = subprocess.run(
            ["sh", "-c", script, str(self._group / "cgroup.procs"), *command],
            stdout=subprocess.PIPE,
            env=environment,
            check=False,
        )
        if done.returncode:
            return {"failed": done.returncode, "hint": "-9: more memory than allowed"}
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result


def conditions(args: argparse.Namespace) -> dict[str, Any]:
    given = {name: value for name, value in vars(args).items() if name not in ("step", "out")}
    return {name: str(value) for name, value in given.items()} | {
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    main()
