"""A long time of work on one collection: one thread adds and deletes, one searches, one extends the
index and compacts; and neither memory, open files, latency nor recall may wear off.

    python tests/load.py [--seconds 3600] [--rows 200000] [--busy-machine] [--save]

Prints a table with a line for each twelfth of the time. Exits with 1 when the memory or the open
files of the last quarter are more than those of the first, when the 99th percentile of a search is
more than three times that of the first twelfth, or when the recall of any kind of search is below
the collection's target. On a machine where other programs come and go, waiting time says little:
with `--busy-machine` the 99th percentile is that of the searching thread's processor time. `--save`
writes benchmarks/results/load.json.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from array import array
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import vecsearch as vs
from benchmarks import measure

DIM, CENTRES, K, TARGET = 96, 400, 10, 0.95
FILTERS = {"no filter": None, "1 row in 10": "kind = 3", "1 row in 50": "day < 20"}
WINDOWS = 12
SLOWER = 3.0  # how much more than at the start a search may take
HEAVIER = {
    "least_mb": (1.10, 16),
    "most_mb": (1.10, 32),
    "files": (1, 4),
    "maps": (1.10, 40),
}  # times, and plus
ROUND_ROWS = 100  # rows added, and rows deleted, in a round
ROUND_SECONDS = 1.0
PROBE_EVERY = 10  # rounds
REST_SECONDS = 60.0  # between an extension of the index and the next
COMPACT_EVERY = 3  # extensions


@dataclass
class Sample:
    """The process at one moment. Memory in MB."""

    second: float
    anonymous: float  # what no file backs
    resident: float
    files: int
    maps: int

    @classmethod
    def now(cls, started: float) -> Sample:
        memory = measure.memory()
        maps = Path("/proc/self/maps").read_text().count("\n")
        files = sum(1 for _ in Path("/proc/self/fd").iterdir())
        return cls(time.monotonic() - started, memory["anonymous"], memory["resident"], files, maps)


@dataclass
class Window:
    """One of the equal parts of the run."""

    samples: list[Sample] = field(default_factory=list)
    micros: array[float] = field(default_factory=lambda: array("d"))  # how long each search took
    busy_micros: array[float] = field(
        default_factory=lambda: array("d")
    )  # processor time of its thread
    recalls: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in FILTERS})
    commits: int = 0
    builds: int = 0

    def line(self) -> dict[str, Any]:
        micros, busy = (
            np.sort(np.frombuffer(each)) if len(each) else np.zeros(1)
            for each in (self.micros, self.busy_micros)
        )
        middle = {
            name: statistics.median(getattr(item, name) for item in self.samples)
            for name in asdict(self.samples[0])
        }
        anonymous = sorted(item.anonymous for item in self.samples)
        return {
            "second": round(self.samples[-1].second),
            "commits": self.commits,
            "builds": self.builds,
            "least_mb": anonymous[0],
            "most_mb": anonymous[-1],
            "resident_mb": middle["resident"],
            "files": middle["files"],
            "maps": middle["maps"],
            "searches": len(self.micros),
            "p50_us": float(micros[int(len(micros) * 0.5)]),
            "p99_us": float(micros[int(len(micros) * 0.99)]),
            "p99_busy_us": float(busy[int(len(busy) * 0.99)]),
            **{
                f"recall, {name}": statistics.fmean(found) if found else None
                for name, found in self.recalls.items()
            },
        }


class Load:
    """One run over a collection of `rows` rows in `folder`."""

    def __init__(self, folder: Path, rows: int, seconds: float, seed: int) -> None:
        self.seconds, self.seed = seconds, seed
        self.rng = np.random.default_rng(seed)
        self.centres = self.rng.standard_normal((CENTRES, DIM)).astype(np.float32)
        self.collection = vs.create(folder / "load.vs", dim=DIM, recall=TARGET)
        self.windows = [Window() for _ in range(WINDOWS)]
        self.errors: list[BaseException] = []
        self.done = threading.Event()
        self.live: list[int] = []
        self.next_id = 0
        for first in range(0, rows, 50_000):
            self._add(min(50_000, rows - first), self.rng)
        self.collection.build_index()
        self._add(rows // 30, self.rng)  # what an extension takes is part of how it begins
        self.collection.build_index()
        self.started = time.monotonic()

    @property
    def window(self) -> Window:
        return self.windows[
            min(int((time.monotonic() - self.started) / self.seconds * WINDOWS), WINDOWS - 1)
        ]

    def vectors(self, count: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
        """Rows and queries alike: near one of the centres, more or less."""
        owners = rng.integers(CENTRES, size=count)
        noise = rng.standard_normal((count, DIM)).astype(np.float32)
        return self.centres[owners] + noise * rng.uniform(0.3, 0.9, (count, 1)).astype(np.float32)

    def _add(self, count: int, rng: np.random.Generator, replace: int = 0) -> None:
        """Add new rows, and `replace` rows that are there already with other vectors."""
        ids = [
            *range(self.next_id, self.next_id + count),
            *random.Random(self.next_id).sample(self.live, replace),
        ]
        table = pa.table(
            {
                "id": ids,
                "vector": list(self.vectors(len(ids), rng)),
                "kind": rng.integers(10, size=len(ids)),
                "day": rng.integers(1000, size=len(ids)),
                "note": [f"第 {n} 行 of a load" for n in ids],
            }
        )
        self.collection.add(table, on_conflict="replace" if replace else "error", progress=False)
        self.live += ids[:count]
        self.next_id += count

    def run(self) -> None:
        threads = [
            threading.Thread(target=self._guarded, args=(work,))
            for work in (self._write, self._maintain, self._watch)
        ]
        for thread in threads:
            thread.start()
        self._guarded(self._search)
        for thread in threads:
            thread.join()
        if self.errors:
            raise self.errors[0]

    def _guarded(self, work: Any) -> None:
        try:
            work()
        except BaseException as error:
            self.errors.append(error)
        finally:
            if time.monotonic() - self.started >= self.seconds or self.errors:
                self.done.set()

    def _watch(self) -> None:
        while not self.done.wait(self.seconds / 480):
            self.window.samples.append(Sample.now(self.started))

    def _search(self) -> None:
        rng = np.random.default_rng(self.seed + 1)
        queries = self.vectors(2000, rng)
        wheres = [*[FILTERS["no filter"]] * 4, FILTERS["1 row in 10"], FILTERS["1 row in 50"]]
        number = 0
        while time.monotonic() - self.started < self.seconds and not self.errors:
            number += 1
            start, busy = time.perf_counter_ns(), time.thread_time_ns()
            found = self.collection.search(
                queries[number % len(queries)], k=K, where=wheres[number % len(wheres)]
            )
            window = self.window
            window.busy_micros.append((time.thread_time_ns() - busy) / 1000)
            window.micros.append((time.perf_counter_ns() - start) / 1000)
            assert len(found) == K, f"{len(found)} hits where {K} rows match"
            time.sleep(0.005)

    def _write(self) -> None:
        rng = np.random.default_rng(self.seed + 2)
        chooser = random.Random(self.seed)
        number = 0
        while not self.done.is_set():
            number += 1
            began = time.monotonic()
            window = self.window
            self._add(ROUND_ROWS, rng, replace=ROUND_ROWS // 10)
            gone = [self.live.pop(chooser.randrange(len(self.live))) for _ in range(ROUND_ROWS)]
            assert self.collection.delete(gone).deleted == ROUND_ROWS
            assert len(self.collection) == len(self.live)
            window.commits += 2
            if number % PROBE_EVERY == 0:
                self._probe(rng)
            self.done.wait(max(0.0, ROUND_SECONDS - (time.monotonic() - began)))

    def _maintain(self) -> None:
        number = 0
        while not self.done.wait(min(REST_SECONDS, self.seconds / 30)):
            number += 1
            self.collection.build_index(progress=False)
            self.window.builds += 1
            if number % COMPACT_EVERY == 0:
                self.collection.compact()

    def _probe(self, rng: np.random.Generator) -> None:
        """Recall of what is there now; in the thread that writes, so that no row changes between
        the two searches.
        """
        for name, where in FILTERS.items():
            for query in self.vectors(20, rng):
                exact = self.collection.search(query, k=K, where=where, exact=True).ids
                found = self.collection.search(query, k=K, where=where).ids
                self.window.recalls[name].append(len(set(found) & set(exact)) / len(exact))

    def lines(self) -> list[dict[str, Any]]:
        return [window.line() for window in self.windows if window.samples]

    def violations(self, latency: str) -> list[str]:
        """What the run promises and did not keep. `latency`: the column that is judged, "p99_us" or
        "p99_busy_us".
        """
        lines = self.lines()
        quarter = max(1, len(lines) // 4)
        found = []
        for name, (times, plus) in HEAVIER.items():
            first, last = (
                max(line[name] for line in some) for some in (lines[:quarter], lines[-quarter:])
            )
            if last > first * times + plus:
                found.append(f"{name}: {first:.0f} in the first quarter, {last:.0f} in the last")
        found += [
            f"{latency} at {line['second']} s is {line[latency]:.0f}, {lines[0][latency]:.0f} at "
            "the start"
            for line in lines
            if line[latency] > SLOWER * lines[0][latency]
        ]
        for name in FILTERS:
            recalls = [value for window in self.windows for value in window.recalls[name]]
            if recalls and statistics.fmean(recalls) < TARGET:
                found.append(
                    f"recall, {name}: {statistics.fmean(recalls):.4f} over {len(recalls)} searches"
                )
        return found


def show(lines: list[dict[str, Any]]) -> None:
    heads = list(lines[0])
    widths = [max(len(head), 8) for head in heads]
    print("  ".join(head.rjust(width) for head, width in zip(heads, widths, strict=True)))
    for line in lines:
        cells = (
            "-"
            if value is None
            else f"{value:.4f}"
            if head.startswith("recall")
            else f"{value:,.0f}"
            for head, value in line.items()
        )
        print("  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True)))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--seconds", type=float, default=float(os.environ.get("VECSEARCH_LOAD_SECONDS", "3600"))
    )
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument(
        "--seed",
        type=int,
        default=int(os.environ.get("VECSEARCH_SEED", random.SystemRandom().randrange(10**6))),
    )
    parser.add_argument(
        "--busy-machine", action="store_true", help="judge latency by processor time"
    )
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/load.json")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        load = Load(Path(folder), asked.rows, asked.seconds, asked.seed)
        print(f"{asked.rows:,} rows, {asked.seconds:,.0f} s, seed {asked.seed}", flush=True)
        load.run()
        latency = "p99_busy_us" if asked.busy_machine else "p99_us"
        lines, violations = load.lines(), load.violations(latency)
        searched = sum(len(window.micros) for window in load.windows)
        recalls = {
            name: [value for window in load.windows for value in window.recalls[name]]
            for name in FILTERS
        }
    show(lines)
    info = {
        "rows": asked.rows,
        "dim": DIM,
        "seconds": asked.seconds,
        "seed": asked.seed,
        "searches": searched,
        "rows_added_and_deleted": load.next_id - asked.rows,
        "recall": {name: statistics.fmean(values) for name, values in recalls.items() if values},
        "recall_searches": {name: len(values) for name, values in recalls.items()},
        "judged_by": latency,
        "windows": lines,
        "violations": violations,
    }
    if asked.save:
        print(measure.save("load", info, ["vecsearch", "faiss-cpu", "numpy", "pyarrow"]))
    print("\n".join(violations) or "memory, files, latency and recall: as at the start")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
