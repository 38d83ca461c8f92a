"""vecsearch, bare FAISS and the peers on one data set, in one run.

    python benchmarks/ann.py DATA [--quick] [--only vecsearch hnswlib ...]
                             [--cases "no filter" "1%" ...]

Builds every index of the grid in a process of its own, one after another; then measures in rounds,
each library in turn, so that a machine that slows down slows all of them. Writes NAME.json, NAME.md
and NAME.png into benchmarks/results. See README.md.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

if not __package__:  # run as a file: the folder above holds the packages
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np

from benchmarks import cases, datasets, grid, measure, plot, report
from benchmarks.peers import Task
from benchmarks.worker import Worker, WorkerError, write_task
from vecsearch.evaluation.metrics import bootstrap_interval, summarize_latency

BUILD_TIMEOUT, CALL_TIMEOUT = 7_200.0, 1_800.0
MIN_TIMED = 100
PROBE_RECALL = 0.95

Step = tuple[str, int, int]
"""(case, k, position in the grid)"""


@dataclass(frozen=True)
class Plan:
    """How to measure: which k and cases, how many rounds, and the seconds one measurement may take
    in a round.
    """

    ks: Sequence[int]
    cases: Sequence[str]
    filter_queries: int
    rounds: int
    seconds: float
    threads: int
    batch: bool = True


@dataclass
class Entry:
    """One variant: details of its build and its cold start, its points, or why there
    are none.
    """

    variant: grid.Variant
    folder: Path
    details: dict[str, Any] = field(default_factory=dict)
    points: dict[str, dict[str, Any]] = field(default_factory=dict)
    error: str | None = None

    def record(self) -> dict[str, Any]:
        points = [point for point in self.points.values() if point["rounds_qps"]]
        return {
            "peer": self.variant.peer,
            "build": self.variant.build,
            **self.details,
            "points": points,
            "error": self.error,
        }


Measure = Callable[[Entry, Worker, cases.Case, int, grid.Args, int], None]
"""Takes one measurement of an entry: its worker, the case, k, the query arguments, and the number
of the round.
"""


class Run:
    """One run: the data, its cases, and the entries that are measured."""

    def __init__(
        self, data: datasets.Dataset, plan: Plan, variants: Sequence[grid.Variant], work: Path
    ) -> None:
        self.data, self.plan, self.work = data, plan, work
        self.task, self.build_seconds = work / "task", BUILD_TIMEOUT
        filtered = any(name != cases.UNFILTERED for name in plan.cases)
        columns, centroids = cases.make_columns(data) if filtered else ({}, data.base[:0])
        self.columns = columns
        write_task(self.task, Task(data.base, data.metric, self.columns), data.queries)
        told = hashlib.sha256(np.ascontiguousarray(data.base).data)
        told.update(str((data.metric, sorted(self.columns))).encode())
        self.fingerprint = told.hexdigest()
        self.cases = {}
        for name in plan.cases:
            limit = None if name == cases.UNFILTERED else plan.filter_queries
            say(f"exact answers: {name}")
            self.cases[name] = cases.make_case(name, data, columns, centroids, max(plan.ks), limit)
        self.entries = [
            Entry(variant, work / f"index {variant.name}".replace(" ", "_")) for variant in variants
        ]

    def alive(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.error is None]

    def build(self, reuse: bool) -> None:
        """Builds all indexes, one after another. `reuse`: those of the peers that an earlier run on
        this data left stay.
        """
        for entry in self.entries:
            note = entry.folder.with_name(f"{entry.folder.name}.json")
            if reuse and entry.variant.peer not in plot.OWN and note.exists():
                kept = json.loads(note.read_text())
                if kept["data"] == self.fingerprint:
                    entry.details |= kept["details"]
                    continue
            with self.guard(entry, "build"):
                worker = self.start(entry, self.plan.threads)
                try:
                    entry.details |= {
                        "version": worker.details["version"],
                        "filters": worker.details["filters"],
                    }
                    entry.details["build_facts"] = worker.call(
                        "build", self.build_seconds, entry.variant.build
                    )
                finally:
                    worker.stop()
                note.write_text(json.dumps({"data": self.fingerprint, "details": entry.details}))
                say(
                    f"{entry.variant.name}: built in {entry.details['build_facts']['seconds']:.1f} "
                    "s"
                )

    def measure_single(self) -> None:
        """One thread, one query a call, every process pinned to the same core. Round 0 finds the
        recall, and warms up.
        """
        self.rounds(
            "one thread",
            self.plan.rounds + 1,
            1,
            max(os.sched_getaffinity(0)),
            self.plan.cases,
            self.single,
        )

    def measure_batch(self) -> None:
        """All threads, all queries in one call."""
        names = [name for name in self.plan.cases if name == cases.UNFILTERED]
        self.rounds("all threads", self.plan.rounds, self.plan.threads, None, names, self.batch)

    def rounds(
        self,
        what: str,
        count: int,
        threads: int,
        core: int | None,
        names: Sequence[str],
        measured: Measure,
    ) -> None:
        """Rounds over the libraries, with all their processes open where they fit into memory: then
        each library has its turn at every step, and what slows the machine down slows all. Where
        they do not fit, each has its turn once a round.
        """
        together = self.fits()
        workers = self.open_all(threads, core) if together else {}
        for number in range(count):
            say(f"{what}: round {number + 1} of {count}, load {os.getloadavg()[0]:.1f}")
            if together:
                for step in self.steps(names):
                    for entry in turned(self.alive(), number):
                        self.take(entry, workers[entry.variant.name], step, number, measured)
                continue
            for entry in turned(self.alive(), number):
                with self.guard(entry, "open"), self.opened(entry, threads, core) as worker:
                    for step in self.steps(names):
                        self.take(entry, worker, step, number, measured)
        for worker in workers.values():
            worker.stop()

    def take(
        self, entry: Entry, worker: Worker, step: Step, number: int, measured: Measure
    ) -> None:
        name, k, position = step
        settings = self.settings(entry, name, k)
        if entry.error is None and position < len(settings):
            with self.guard(entry, name):
                measured(entry, worker, self.cases[name], k, settings[position], number)

    def single(
        self, entry: Entry, worker: Worker, case: cases.Case, k: int, args: grid.Args, number: int
    ) -> None:
        point = entry.points.setdefault(
            key("one", case.name, k, args), new_point("one", case.name, k, args)
        )
        if number == 0:
            seconds, found = worker.call("search", CALL_TIMEOUT, args, k, case.wheres, True)
            self.judge(point, case, found, k)
            affordable = int(self.plan.seconds / statistics.fmean(seconds))
            point["timed_queries"] = max(
                min(MIN_TIMED, len(seconds)), min(affordable, len(seconds))
            )
            return
        seconds, _ = worker.call(
            "search", CALL_TIMEOUT, args, k, case.wheres[: point["timed_queries"]], False
        )
        point["rounds_qps"].append(summarize_latency(seconds).qps)
        point["rounds"].append(asdict(summarize_latency(seconds)))

    def batch(
        self, entry: Entry, worker: Worker, case: cases.Case, k: int, args: grid.Args, number: int
    ) -> None:
        point = entry.points.setdefault(
            key("all", case.name, k, args), new_point("all", case.name, k, args)
        )
        qps, found = worker.call("batch", CALL_TIMEOUT, args, k, self.plan.seconds, number == 0)
        if number == 0:
            self.judge(point, case, found, k)
        point["rounds_qps"].append(qps)

    def probe(self) -> None:
        """A cold start of each, at its cheapest effort with recall .95, or its deepest."""
        k = self.plan.ks[0]
        for entry in self.alive():
            points = [
                p
                for p in entry.points.values()
                if (p["threads"], p["case"], p["k"]) == ("one", cases.UNFILTERED, k)
            ]
            if not points:
                continue
            enough = [p for p in points if p["recall"] >= PROBE_RECALL]
            point = (
                min(enough, key=lambda p: p["recall"])
                if enough
                else max(points, key=lambda p: p["recall"])
            )
            with self.guard(entry, "probe"):
                worker = self.start(entry, 1)
                try:
                    cold = worker.call("probe", CALL_TIMEOUT, point["query"], k)
                    entry.details["cold_start"] = cold | {"query": point["query"]}
                finally:
                    worker.stop()

    def judge(
        self, point: dict[str, Any], case: cases.Case, found: Sequence[Sequence[int]], k: int
    ) -> None:
        recall, broken = cases.judge(self.data, case, self.columns, found, k)
        low, high = bootstrap_interval(recall)
        point |= {"recall": float(recall.mean()), "recall_low": low, "recall_high": high}
        point |= {"queries": len(recall), "outside_filter": broken}

    def steps(self, names: Sequence[str]) -> Iterator[Step]:
        """The order within a round. Filters are asked for the first k only."""
        for name in names:
            for k in self.plan.ks if name == cases.UNFILTERED else self.plan.ks[:1]:
                longest = max(
                    (len(self.settings(entry, name, k)) for entry in self.entries), default=0
                )
                yield from ((name, k, position) for position in range(longest))

    def settings(self, entry: Entry, name: str, k: int) -> list[grid.Args]:
        if name != cases.UNFILTERED and not entry.details.get("filters"):
            return []
        return grid.for_k(
            entry.variant.query if name == cases.UNFILTERED else entry.variant.filtered, k
        )

    def start(self, entry: Entry, threads: int, core: int | None = None) -> Worker:
        log = self.work / f"{entry.folder.name}.log"
        return Worker(
            entry.variant.peer, self.task, entry.folder, threads=threads, core=core, log=log
        )

    def open_all(self, threads: int, core: int | None) -> dict[str, Worker]:
        workers = {}
        for entry in self.alive():
            with self.guard(entry, "open"):
                workers[entry.variant.name] = worker = self.start(entry, threads, core)
                worker.call("open", CALL_TIMEOUT)
        return workers

    @contextmanager
    def opened(self, entry: Entry, threads: int, core: int | None = None) -> Iterator[Worker]:
        """A process with the index open, and warm: every query asked once."""
        worker = self.start(entry, threads, core)
        try:
            worker.call("open", CALL_TIMEOUT)
            worker.call(
                "search",
                CALL_TIMEOUT,
                entry.variant.query[0],
                self.plan.ks[0],
                [None] * len(self.data.queries),
                True,
            )
            yield worker
        finally:
            worker.stop()

    def fits(self) -> bool:
        """Whether all indexes, opened at the same time, take less than half of the memory."""
        needed = sum(
            1.5 * float(entry.details["build_facts"]["disk_mb"]) + 200 for entry in self.alive()
        )
        return needed < measure.total_memory_mb() / 2

    @contextmanager
    def guard(self, entry: Entry, what: str) -> Iterator[None]:
        """A library that fails is left out from here on, with the reason; the others go on."""
        try:
            yield
        except WorkerError as error:
            entry.error = f"{what}: {error}"
            say(f"{entry.variant.name}: {entry.error}")


def new_point(threads: str, case: str, k: int, args: grid.Args) -> dict[str, Any]:
    point: dict[str, Any] = {
        "threads": threads,
        "case": case,
        "k": k,
        "query": dict(args),
        "rounds_qps": [],
    }
    return point | ({"rounds": []} if threads == "one" else {})


def key(threads: str, case: str, k: int, args: grid.Args) -> str:
    return json.dumps([threads, case, k, args])


def settle(point: dict[str, Any]) -> None:
    """The point's figures: of the median round, not of the best."""
    point["qps"] = statistics.median(point["rounds_qps"])
    if "rounds" in point:
        middle = sorted(point.pop("rounds"), key=lambda each: float(each["qps"]))[
            (len(point["rounds_qps"]) - 1) // 2
        ]
        point |= {name: middle[name] for name in ("p50_ms", "p95_ms", "p99_ms")}


def turned(entries: list[Entry], number: int) -> list[Entry]:
    """Every other round goes backwards, so that no library always follows the same one."""
    return entries[::-1] if number % 2 else entries


def say(text: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", file=sys.stderr, flush=True)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks/ann.py", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "data",
        help="a .npy, .hdf5, .fvecs, .bvecs or .parquet file, an ann-benchmarks URL, or a BEIR "
        "folder",
    )
    parser.add_argument("--name", help="name of the result files (that of the data)")
    parser.add_argument(
        "--only", nargs="+", metavar="LIBRARY", help="these libraries, by their names in the grid"
    )
    parser.add_argument(
        "--grid", type=Path, default=grid.DEFAULT, help="another grid (benchmarks/grid.toml)"
    )
    parser.add_argument(
        "--cases", nargs="+", default=list(cases.CASES), choices=cases.CASES, help="which filters"
    )
    parser.add_argument(
        "--k", nargs="+", type=int, default=[10, 100], help="hits asked for; filters take the first"
    )
    parser.add_argument(
        "--metric",
        choices=["cosine", "ip", "l2"],
        help="when the data does not say, or says it wrong",
    )
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument(
        "--filter-queries",
        type=int,
        default=500,
        help="how many of them are searched with each filter",
    )
    parser.add_argument("--limit", type=int, help="at most so many rows")
    parser.add_argument("--column", default="vector", help="vector column of a parquet file")
    parser.add_argument(
        "--model", help="sentence-transformers model for a BEIR folder (all-MiniLM-L6-v2)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the draw of queries and rows")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--seconds", type=float, default=1.0, help="how long one measurement takes in a round"
    )
    parser.add_argument(
        "--no-batch", action="store_true", help="leave out the measurement with all threads"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a small check: 5,000 rows, 200 queries, 2 rounds, a thin grid",
    )
    parser.add_argument("--results", type=Path, default=measure.RESULTS)
    parser.add_argument(
        "--work",
        type=Path,
        help="folder for indexes, downloads and logs, kept afterwards (a temporary one)",
    )
    parser.add_argument(
        "--reuse",
        action="store_true",
        help="with --work: keep the peers' indexes of an earlier run there",
    )
    options = parser.parse_args(arguments)
    if options.quick:
        options.limit, options.queries = (
            min(options.limit or 5_000, 5_000),
            min(options.queries, 200),
        )
        options.rounds, options.seconds, options.filter_queries = 2, min(options.seconds, 0.2), 100
    return options


def measured(run: Run, options: argparse.Namespace) -> dict[str, Any]:
    """Everything about the run that belongs in its result file."""
    for entry in run.entries:
        for point in entry.points.values():
            if point["rounds_qps"]:
                settle(point)
    data = run.data
    return {
        "name": options.name or data.name,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "hardware": measure.hardware(),
        "versions": {
            name: measure.version(name) for name in ("vecsearch", "faiss-cpu", "numpy", "pyarrow")
        },
        "data": {
            "name": data.name,
            "rows": len(data.base),
            "dim": data.base.shape[1],
            "metric": data.metric,
            "queries": len(data.queries),
            "held_out": data.held_out,
        },
        "plan": asdict(run.plan),
        "quick": options.quick,
        "entries": [entry.record() for entry in run.entries],
    }


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    work = options.work or Path(tempfile.mkdtemp(prefix="vecsearch-bench-"))
    start = time.monotonic()
    try:
        data = datasets.load(
            options.data,
            metric=options.metric,
            queries=options.queries,
            limit=options.limit,
            seed=options.seed,
            column=options.column,
            model=options.model,
            cache=work / "cache",
        )
        threads = len(os.sched_getaffinity(0))
        batch = not options.no_batch
        plan = Plan(
            options.k,
            options.cases,
            options.filter_queries,
            options.rounds,
            options.seconds,
            threads,
            batch,
        )
        variants = grid.read(options.grid, only=options.only, quick=options.quick)
        run = Run(data, plan, variants, work)
        run.build(options.reuse)
        run.measure_single()
        run.probe()
        if plan.batch:
            run.measure_batch()
        results = measured(run, options) | {"minutes": round((time.monotonic() - start) / 60, 1)}
        options.results.mkdir(parents=True, exist_ok=True)
        for path in report.write(results, options.results):
            say(f"wrote {path}")
        print(report.summary(results))
    finally:
        if options.work is None:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
