"""How do builds, searches and memory grow with the rows, beside four fast libraries?

    python -m benchmarks.growth DATA [--sizes 50000 700000 5000000] [--real OTHER.npy]

`DATA` is a .npy file of real vectors. Up to their number, rows are these; larger sets are drawn
from a mixture that has their spectrum (`Mixture`). `--real` adds a set of other real vectors at its
own size. Each size is a run of `ann.py` with the grid of growth.toml: one query at a time on one
thread, and what opening costs. A library whose build would take longer than `--minutes`, or more
memory than there is, judged by its build of the size before, is left out, and the table says so.
Writes growth.json and growth.md into `--results`; sizes of earlier runs stay there.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from benchmarks import ann, cases, curves, datasets, grid, measure, report
from benchmarks.datasets import Dataset, Vectors

GRID = Path(__file__).with_name("growth.toml")
RECALLS = (0.95, 0.99)
K, QUERIES, BLOCK = 10, 500, 100_000
PACKAGES = ("vecsearch", "faiss-cpu", "numpy", "numba")
SHARE = 0.04  # clusters for each row that the mixture is fitted to
TRAINING = 60  # rows of a cluster that k-means reads at most


@dataclass(frozen=True)
class Mixture:
    """Rows around centers, both normal, with the covariances that k-means finds in real rows.

    A real row is the center of its cluster and a rest. Centers are drawn with the covariance of the
    centers, rests with that of the rests, longer or shorter by cluster as the real ones are. A set
    has as many clusters for each row as the real one, of sizes that are drawn, so that it becomes
    no denser as it grows.
    """

    mean: Vectors
    between: Vectors
    within: Vectors
    spread: float
    share: float

    @classmethod
    def of(cls, rows: Vectors, seed: int = 0) -> Mixture:
        """The mixture that is fitted to rows (n, dim)."""
        count = max(2, round(SHARE * len(rows)))
        means = faiss.Kmeans(
            *(rows.shape[1], count),
            **{"niter": 10, "seed": seed, "max_points_per_centroid": TRAINING},
            min_points_per_centroid=1,
        )
        means.train(rows)
        owner = means.assign(rows)[1]
        rest, sizes = rows - means.centroids[owner], np.bincount(owner, minlength=count)
        mean = rows.mean(axis=0)
        moved = (means.centroids - mean) * np.sqrt(sizes / len(rows))[:, None]
        lengths = np.bincount(owner, (rest**2).sum(axis=1), count)[sizes > 5] / sizes[sizes > 5]
        spread = float(np.log(lengths).std() / 2)
        return cls(mean, _root(moved), _root(rest / np.sqrt(len(rows))), spread, count / len(rows))

    def blocks(self, count: int, seed: int) -> Iterator[Vectors]:
        """`count` rows of unit length, in blocks, and then a block of queries."""
        rng = np.random.default_rng(seed)
        clusters, dim = max(1, round(self.share * count)), len(self.mean)
        normal = rng.standard_normal
        centers = self.mean + normal((clusters, dim), dtype=np.float32) @ self.between
        scales = np.exp(self.spread * normal(clusters, dtype=np.float32))
        shares = np.cumsum(rng.exponential(size=clusters))
        sizes = [min(BLOCK, count - first) for first in range(0, count, BLOCK)]
        for size in [*sizes, QUERIES]:
            owner = np.searchsorted(shares, rng.random(size) * shares[-1])
            rests = normal((size, dim), dtype=np.float32) @ self.within
            rows = centers[owner] + scales[owner, None] * rests
            yield rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _root(rows: Vectors) -> Vectors:
    """A matrix (dim, dim) that gives normal numbers the covariance `rows.T @ rows`."""
    values, vectors = np.linalg.eigh(rows.T.astype(np.float64) @ rows)
    return (vectors * np.sqrt(np.maximum(values, 0))).T.astype(np.float32)


def mixed(mixture: Mixture, count: int, file: Path, seed: int = 1) -> Dataset:
    """So many rows of a mixture, in a file, and queries."""
    shape = (count, len(mixture.mean))
    rows = np.lib.format.open_memmap(file, "w+", np.float32, shape)
    first = 0
    for block in mixture.blocks(count, seed):
        if first == count:
            rows.flush()
            base = np.load(file, mmap_mode="r")
            return Dataset(f"mixture-{count}", base, block, "cosine", held_out=False)
        rows[first : first + len(block)] = block
        first += len(block)
    raise AssertionError("the last block holds the queries")


def too_much(before: dict[str, Any], numbers: int, minutes: float) -> str | None:
    """Why an index of so many numbers will not be built; None if it may be.

    Args:
        before: What a smaller index took; see `measured`.
        numbers: Rows times dimensions of the data.
        minutes: The longest build.
    """
    if before["error"] is not None:
        return str(before["error"])
    times = numbers / before["numbers"]
    seconds = times * before["build_facts"]["seconds"]
    if seconds > 60 * minutes:
        return f"would take at least {seconds / 60:.0f} minutes to build"
    # The vectors that it is built of are in memory, too.
    needed = times * before["build_facts"]["index_mb"] + 4 * numbers / measure.MB
    if needed > measure.total_memory_mb():
        return f"would take {needed / 1024:.0f} GB of memory to build"
    return None


def sizes(options: argparse.Namespace, work: Path) -> Iterator[Dataset]:
    """The data of each size, smallest first; those of a mixture are in `work/rows.npy`."""
    real = datasets.load(options.data, queries=QUERIES)
    sets: list[tuple[int, Any]] = [(count, None) for count in options.sizes]
    if options.real:
        other = datasets.load(options.real, queries=QUERIES)
        sets.append((len(other.base), other))
    mixture = None
    for count, data in sorted(sets, key=lambda each: each[0]):
        if data is None and count <= len(real.base) + QUERIES:
            data = datasets.load(options.data, queries=QUERIES, limit=count)
        if data is not None:
            yield data
            continue
        mixture = mixture or Mixture.of(real.base)
        yield mixed(mixture, count, work / "rows.npy")


def measured(
    options: argparse.Namespace, work: Path, data: Dataset, earlier: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """One size: what each library took, and where it was left out."""
    left_out, variants, numbers = {}, [], data.base.size
    smaller = [each for each in earlier if each["rows"] * each["dim"] < numbers]
    last = smaller[-1] if smaller else {"entries": [], "rows": 0, "dim": 0}
    known = {entry["name"]: entry for entry in last["entries"]}
    for variant in grid.read(options.grid, only=options.only):
        reason = "was left out before" if smaller else None
        if variant.name in known:
            before = known[variant.name] | {"numbers": last["rows"] * last["dim"]}
            reason = too_much(before, numbers, options.minutes)
        if reason is None:
            variants.append(variant)
        else:
            left_out[variant.name] = reason
    hardware = measure.hardware()
    plan = ann.Plan(
        *([K], [cases.UNFILTERED], 0, options.rounds, options.seconds),
        threads=int(hardware["cores"]),
        batch=False,
    )
    run = ann.Run(data, plan, variants, work)
    run.build_seconds = 60 * options.minutes
    if isinstance(data.base, np.memmap):  # the rows are on disk once, as the task of the libraries
        run.data = replace(data, base=np.load(run.task / "vectors.npy", mmap_mode="r"))
        (work.parent / "rows.npy").unlink()
    run.build(reuse=False)
    run.measure_single()
    run.probe()
    rows = []
    for entry in run.entries:
        for point in entry.points.values():
            if point["rounds_qps"]:
                ann.settle(point)
        if entry.error is not None:
            left_out[entry.variant.name] = entry.error
        rows.append({"name": entry.variant.name} | entry.record())
        shutil.rmtree(entry.folder, ignore_errors=True)
    return {
        "data": data.name,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "hardware": hardware,
        "versions": {name: measure.version(name) for name in PACKAGES},
        "arguments": {"minutes": options.minutes, "queries": QUERIES, "k": K},
        "rows": len(data.base),
        "dim": data.base.shape[1],
        "entries": rows,
        "left_out": left_out,
    }


def table(size: dict[str, Any]) -> str:
    """One size as Markdown."""
    head = ["", "build s", *(f"QPS at {recall}" for recall in RECALLS)]
    head += ["index MB", "resident MB", "open to first answer ms"]
    lines = []
    for entry in size["entries"]:
        if entry["error"] is not None:
            continue
        curve = [(p["recall"], p["qps"]) for p in entry["points"] if p["rounds_qps"]]
        speeds = [curves.qps_at(curve, recall) for recall in RECALLS]
        cold, built = entry["cold_start"], entry["build_facts"]
        lines.append(
            [
                entry["name"],
                f"{built['seconds']:,.0f}",
                *("not reached" if qps is None else f"{qps:,.0f}" for qps in speeds),
                f"{built['index_mb']:,.0f}",
                f"{cold['memory_after_queries_mb']['resident']:,.0f}",
                f"{1000 * cold['open_seconds'] + cold['first_query_ms']:,.0f}",
            ]
        )
    machine = size["hardware"]
    text = f"## {size['rows']:,} rows of {size['dim']} dimensions ({size['data']})\n\n"
    text += f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB; "
    text += f"{size['date']}, {size['minutes']:.0f} minutes.\n\n"
    text += report.table(head, lines)
    for name, reason in size["left_out"].items():
        text += f"\n\n{name} is left out: {reason}."
    return text


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.growth", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("data", help="real vectors, a .npy file")
    parser.add_argument("--sizes", type=int, nargs="*", default=[50_000, 700_000, 5_000_000])
    parser.add_argument("--real", help="other real vectors, a .npy file")
    parser.add_argument("--grid", type=Path, default=GRID)
    parser.add_argument("--only", nargs="+", metavar="LIBRARY")
    parser.add_argument("--minutes", type=float, default=40, help="the longest build")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--work", type=Path, help="folder for indexes, emptied after each size")
    parser.add_argument("--results", type=Path, default=measure.RESULTS)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    options.results.mkdir(parents=True, exist_ok=True)
    file = options.results / "growth.json"
    found = json.loads(file.read_text(encoding="utf-8"))["sizes"] if file.exists() else []
    with tempfile.TemporaryDirectory(prefix="vecsearch-growth-", dir=options.work) as folder:
        for data in sizes(options, Path(folder)):
            work, start = Path(folder) / str(len(data.base)), time.monotonic()
            size = measured(options, work, data, found)
            size["minutes"] = round((time.monotonic() - start) / 60, 1)
            shutil.rmtree(work)
            found = [each for each in found if each["rows"] != size["rows"]]
            found = sorted([*found, size], key=lambda each: int(each["rows"] * each["dim"]))
            write(found, options.results)
            print(table(size), flush=True)


def write(found: Sequence[dict[str, Any]], folder: Path) -> None:
    """growth.json and growth.md."""
    text = json.dumps(measure.rounded({"name": "growth", "sizes": found}), indent=1) + "\n"
    (folder / "growth.json").write_text(text, encoding="utf-8")
    head = (
        "# How builds, searches and memory grow\n\n"
        f"k={K}, cosine, one query at a time on one thread; builds with all cores. Where no "
        "setting of a library reaches a recall, its speed there is not told."
    )
    pages = [head, *map(table, found)]
    (folder / "growth.md").write_text("\n\n".join(pages) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
