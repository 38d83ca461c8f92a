"""One library in one process: builds an index, or opens one and answers timed questions until told
to stop.

    python -m benchmarks.worker FD

FD is a connection inherited from `Worker`, which is the other end of this file: `ann.py` holds a
Worker, and the process runs
`main`. A call is (method of Session, arguments), its answer (None, result) or (error text, None).
"""

from __future__ import annotations

import gc
import json
import os
import re
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import measure
from benchmarks.peers import Peer, Task, UnsupportedError, Where, load

WARM_QUERIES = 10
COLD_QUERIES = 200
MEMORY_QUERIES = 1_000
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "TOKIO_WORKER_THREADS",
    "LANCE_CPU_THREADS",
    "LANCE_IO_THREADS",
)


class WorkerError(Exception):
    """The library failed, gave up, or took too long. The message is fit for the report."""


class Worker:
    """A process with one library in it. `threads` bounds its pools; `core` pins the whole process
    to one core.
    """

    def __init__(
        self,
        peer: str,
        task: Path,
        index: Path,
        *,
        threads: int,
        core: int | None = None,
        log: Path,
    ) -> None:
        here, there = Pipe()
        environment = (
            os.environ
            | dict.fromkeys(THREAD_VARIABLES, str(threads))
            | {"PYTHONPATH": _python_path()}
        )
        with log.open("ab") as stream:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.worker", str(there.fileno())],
                pass_fds=[there.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                env=environment,
                cwd=index.parent,
            )
        there.close()
        self._connection = here
        self._log = log
        try:
            self.details = self.call("start", 300.0, peer, task, index, threads, core)
        except WorkerError:
            self.stop()
            raise

    def call(self, method: str, timeout: float, *arguments: Any) -> Any:
        """The result of a method of Session. Raises WorkerError; after a time-out the process is
        killed.
        """
        try:
            self._connection.send((method, arguments))
            if not self._connection.poll(timeout):
                self._process.kill()
                raise WorkerError(f"{method} took longer than {timeout:.0f} s")
            error, result = self._connection.recv()
        except (EOFError, OSError) as failure:
            code = self._process.wait(10)
            raise WorkerError(
                f"the process ended in {method} with exit code {code}: {_last_line(self._log)}"
            ) from failure
        if error is not None:
            raise WorkerError(error)
        return result

    def stop(self) -> None:
        self._connection.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Session:
    """The process's side: one library and its index."""

    peer: Peer
    task: Task
    index: Path
    queries: np.ndarray[Any, np.dtype[np.float32]]

    def start(
        self, peer: str, task: Path, index: Path, threads: int, core: int | None
    ) -> dict[str, Any]:
        """Loads the library. Returns its version, whether it filters, and the memory of the process
        with it loaded.
        """
        if core is not None:
            os.sched_setaffinity(0, {core})
        self.peer = load(peer)
        self.task, self.queries = read_task(task, threads)
        self.index = index
        self.peer.threads = threads
        return {
            "version": measure.version(self.peer.package),
            "filters": self.peer.filters,
            "memory": measure.memory(),
        }

    def build(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """Builds the index from scratch. Seconds from the vectors in memory to an index on disk,
        its bytes, and the peak of memory.
        """
        shutil.rmtree(self.index, ignore_errors=True)
        self.index.mkdir(parents=True)
        task = replace(self.task, vectors=np.array(self.task.vectors))
        start = time.perf_counter()
        self.peer.build(task, self.index, args)
        seconds = time.perf_counter() - start
        return {
            "seconds": seconds,
            "disk_mb": measure.folder_bytes(self.index) / measure.MB,
            "index_mb": (self.peer.index_bytes(self.index) or measure.folder_bytes(self.index))
            / measure.MB,
            "peak_mb": measure.memory()["peak"],
        }

    def open(self) -> float:
        """Seconds to open the index."""
        start = time.perf_counter()
        self.peer.open(self.task, self.index)
        return time.perf_counter() - start

    def search(
        self, args: Mapping[str, Any], k: int, wheres: Sequence[Where], keep: bool
    ) -> tuple[list[float], list[Sequence[int]] | None]:
        """Latencies in seconds of single queries one after another, one a filter; and with `keep`
        the rows each found.
        """
        self.peer.tune(args, k)
        if not keep:
            for i in range(min(WARM_QUERIES, len(wheres))):
                self.peer.search(self.queries[i], k, wheres[i])
        gc.collect()
        seconds, answers = [], []
        for i, where in enumerate(wheres):
            query = self.queries[i]
            start = time.perf_counter()
            answer = self.peer.search(query, k, where)
            seconds.append(time.perf_counter() - start)
            if keep:
                answers.append(self.peer.rows(answer))
        return seconds, answers if keep else None

    def batch(
        self, args: Mapping[str, Any], k: int, budget: float, keep: bool
    ) -> tuple[float, list[Sequence[int]] | None]:
        """Queries a second when all are asked in one call, over as many calls as fit into `budget`
        seconds; and the rows.
        """
        self.peer.tune(args, k)
        answer = self.peer.search_batch(self.queries[: 2 * WARM_QUERIES], k)
        gc.collect()
        calls, start = 0, time.perf_counter()
        while calls == 0 or time.perf_counter() - start < budget:
            answer = self.peer.search_batch(self.queries, k)
            calls += 1
        qps = calls * len(self.queries) / (time.perf_counter() - start)
        return qps, [
            list(map(int, line)) for line in self.peer.batch_rows(answer)
        ] if keep else None

    def probe(self, args: Mapping[str, Any], k: int) -> dict[str, Any]:
        """A cold start: memory with the library loaded, files out of the page cache, then open,
        search, and memory again.
        """
        measure.evict(self.index)
        loaded = measure.memory()
        opened_in = self.open()
        opened = measure.memory()
        cold, _ = self.search(args, k, [None] * min(COLD_QUERIES, len(self.queries)), keep=True)
        for _ in range(0, MEMORY_QUERIES - len(cold), len(self.queries)):
            self.search(
                args, k, [None] * min(MEMORY_QUERIES - len(cold), len(self.queries)), keep=False
            )
        return {
            "open_seconds": opened_in,
            "first_query_ms": cold[0] * 1e3,
            "cold_p99_ms": float(np.percentile(cold, 99)) * 1e3,
            "memory_loaded_mb": loaded,
            "memory_opened_mb": opened,
            "memory_after_queries_mb": measure.memory(),
        }


def write_task(folder: Path, task: Task, queries: np.ndarray[Any, np.dtype[np.float32]]) -> None:
    """Leaves a task where the processes can map it."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "vectors.npy", task.vectors)
    np.save(folder / "queries.npy", queries)
    columns: dict[str, Any] = dict(task.columns)
    np.savez(folder / "columns.npz", **columns)
    (folder / "task.json").write_text(json.dumps({"metric": task.metric}))


def read_task(folder: Path, threads: int) -> tuple[Task, np.ndarray[Any, np.dtype[np.float32]]]:
    metric = json.loads((folder / "task.json").read_text())["metric"]
    with np.load(folder / "columns.npz") as columns:
        task = Task(np.load(folder / "vectors.npy", mmap_mode="r"), metric, dict(columns), threads)
    return task, np.load(folder / "queries.npy")


def main() -> None:
    connection = Connection(int(sys.argv[1]))
    session = Session()
    while True:
        try:
            method, arguments = connection.recv()
        except EOFError:
            break
        try:
            connection.send((None, getattr(session, method)(*arguments)))
        except ImportError as error:
            connection.send((_brief(f"not installed: {error}"), None))
        except UnsupportedError as error:
            connection.send((f"not supported: {error}", None))
        except Exception as error:
            traceback.print_exc()
            connection.send((_brief(f"{type(error).__name__}: {error}"), None))
    os._exit(0)  # some libraries hang or crash on the way out, long after the measuring is done


def _python_path() -> str:
    return os.pathsep.join(filter(None, [str(measure.ROOT), os.environ.get("PYTHONPATH")]))


def _brief(message: str) -> str:
    """The first line, without paths: they are of this machine."""
    return re.sub(r"(/[\w.+-]+){2,}", "…", message.strip().splitlines()[0])[:300]


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return _brief(lines[-1]) if lines else "it said nothing"


if __name__ == "__main__":
    main()
