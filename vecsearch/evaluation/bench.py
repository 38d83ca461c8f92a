"""Compare index recipes on a collection's own data, by recall and latency.

Each index is built from the snapshot, measured on held-out rows (or given queries) and dropped;
nothing is committed.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from vecsearch.common.arrays import Vectors
from vecsearch.common.cores import cores
from vecsearch.common.optional import require
from vecsearch.display import html_table, text_table
from vecsearch.errors import InvalidInputError
from vecsearch.index.auto import choose_recipe
from vecsearch.index.builder import Builder
from vecsearch.index.calibration import OperatingPoint, frontier
from vecsearch.query.searcher import Searcher
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.store import Store
from vecsearch.types import counted

HEAD = ("recipe", "build", "memory", "recall .90", "recall .95", "recall .99")
EXACT_TIMED = 20  # exact searches timed
RECIPES = ("auto", "low-latency", "fast-build", "low-memory")


class BenchReport(dict[str, Any]):
    """A comparison of recipes: plain values, which JSON holds; a table in notebooks."""

    def __str__(self) -> str:
        return text_table(HEAD, table(self), range(1, len(HEAD)))

    def _repr_html_(self) -> str:
        return html_table(HEAD, table(self), range(1, len(HEAD)), note(self))


@dataclass(frozen=True)
class Curve:
    """What one recipe reached.

    Attributes:
        recipe: The recipe's name.
        build_seconds: Time to build and measure the index.
        memory_bytes: Memory of the index.
        points: (recall, its lower bound, microseconds per query on one thread), cheapest first.
    """

    recipe: str
    build_seconds: float
    memory_bytes: int
    points: list[tuple[float, float, float]]

    def micros_at(self, recall: float) -> float | None:
        """The lowest cost whose recall's lower bound reaches `recall`; None if there is none."""
        return min((micros for _, low, micros in self.points if low >= recall), default=None)


def compare_recipes(
    store: Store,
    recipes: Sequence[str],
    *,
    k: int,
    queries: Vectors | None,
    seed: int,
    progress: Callable[[str], None] = lambda recipe: None,
) -> BenchReport:
    """Build and measure each recipe.

    Args:
        store: The collection.
        recipes: Names or factory strings of recipes, or "auto".
        k: The number of hits.
        queries: float32, shape (nq, dim), to measure with; None holds out rows.
        seed: Seed of the held-out rows and of training.
        progress: Called with the name of each recipe before it is built.

    Returns:
        A report of plain values, ready for JSON.

    Raises:
        RecipeError: A recipe is unknown or wrong.
        InvalidInputError: The collection has too few rows for an index.
    """
    snapshot = store.snapshot()
    manifest = snapshot.manifest
    rows = snapshot.live.rows
    smallest = store.limits.smallest_index_rows
    if len(rows) < smallest:
        raise InvalidInputError(
            f"the collection has {counted(len(rows), 'row')}: below {smallest:,} exact search is "
            "fastest, "
            "so there is nothing to compare"
        )
    threads = cores()
    curves = []
    for name in recipes:
        recipe = choose_recipe(name, snapshot, None, manifest.recall)
        if recipe.kind == "exact":
            continue  # exact search is always measured
        progress(name)
        builder = Builder(
            snapshot,
            recipe,
            seed,
            threads,
            lambda count: None,
            target=manifest.recall,
            limits=store.limits,
        )
        started = time.perf_counter()
        built = builder.run(rows, queries)
        seconds = time.perf_counter() - started
        calibration = built.calibration
        curve = _curve(calibration.points, k)
        curves.append(Curve(name, seconds, calibration.memory_bytes, curve))
    return BenchReport(
        {
            "collection": str(store.root),
            "version": manifest.version,
            "rows": len(rows),
            "dim": manifest.dim,
            "metric": str(manifest.metric),
            "k": k,
            "queries": calibration.calibrated_on if curves else "",
            "exact_micros": _exact_micros(snapshot, k) if curves else 0.0,
            "curves": [asdict(curve) for curve in curves],
            "conditions": {
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "search_threads": 1,
                "build_threads": threads,
                "machine": platform.machine(),
                "cpus": cores(),
                "python": platform.python_version(),
                "faiss-cpu": version("faiss-cpu"),
                "numpy": version("numpy"),
            },
        }
    )


def _exact_micros(snapshot: Snapshot, k: int) -> float:
    """Median microseconds of an exact search on one thread."""
    searcher, live = Searcher(snapshot), snapshot.live
    rows = live.rows[:: max(1, live.count // EXACT_TIMED)][:EXACT_TIMED]
    times = []
    for query in snapshot.stored_vectors(rows):
        started = time.perf_counter()
        searcher.scorer.search(query[None], k, live, 1)
        times.append(time.perf_counter() - started)
    return float(np.median(times)) * 1e6


def _curve(points: Sequence[OperatingPoint], k: int) -> list[tuple[float, float, float]]:
    """The Pareto frontier for the smallest calibrated k that is at least `k`."""
    ks = sorted({point.k for point in points if point.k >= k})
    timed = [replace(point, micros=point.latency) for point in points if ks and point.k == ks[0]]
    return [(point.recall, point.low, point.micros) for point in frontier(timed)]


def table(
    report: dict[str, Any], targets: Sequence[float] = (0.9, 0.95, 0.99)
) -> list[tuple[str, ...]]:
    """Rows of a table: recipe, build time, memory, and microseconds per query at each target."""
    rows = []
    for entry in report["curves"]:
        curve = Curve(**entry)
        costs = (curve.micros_at(target) for target in targets)
        rows.append(
            (
                curve.recipe,
                f"{curve.build_seconds:.1f} s",
                f"{curve.memory_bytes / 1e6:.1f} MB",
                *("-" if cost is None else f"{cost:,.0f} µs" for cost in costs),
            )
        )
    rows.append(("exact", "-", "-", *(f"{report['exact_micros']:,.0f} µs" for _ in targets)))
    return rows


def cheapest(report: dict[str, Any], target: float) -> int | None:
    """The number of the row of `table` with the lowest cost at a recall; None if none was built.

    Exact search is the last row.
    """
    curves = [Curve(**entry) for entry in report["curves"]]
    costs = [curve.micros_at(target) for curve in curves]
    costs.append(report["exact_micros"])
    known = [cost for cost in costs if cost is not None]
    return costs.index(min(known)) if curves else None


def note(report: dict[str, Any]) -> str:
    """How a comparison was measured, in words."""
    rows = counted(report["rows"], "row")
    return f"k={report['k']}, {rows}, one thread; measured with {report['queries']}"


def write_json(report: dict[str, Any], path: Path) -> None:
    """Write the report as a JSON file."""
    path.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write_plot(report: dict[str, Any], path: Path) -> None:
    """Plot queries per second over recall, one line per recipe.

    Raises:
        MissingExtraError: The extra `bench` is not installed.
    """
    pyplot_figure = require("matplotlib.figure", "matplotlib", "bench", "The plot")
    figure = pyplot_figure.Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    for entry in report["curves"]:
        shown = [point for point in entry["points"] if point[0] >= 0.7]
        axes.plot(
            [point[0] for point in shown],
            [1e6 / point[2] for point in shown],
            marker="o",
            markersize=3,
            label=entry["recipe"],
        )
    axes.axhline(1e6 / report["exact_micros"], color="gray", linestyle="--", label="exact")
    axes.set(
        xlabel=f"recall@{report['k']}",
        ylabel="queries per second, one thread",
        yscale="log",
        title=f"{report['rows']:,} rows × {report['dim']}, {report['metric']}",
    )
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)
