"""Runs tests against changed copies of the project, several at a time.

Each run is a fork of this process, which has imported the large libraries already, in a copy of
the tree. vecsearch itself is imported by the fork, from the copy.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
COPIED = ("vecsearch", "tests", "indexes", "docs", "examples", "benchmarks", "pyproject.toml")
LIBRARIES = (
    *("numpy", "pyarrow", "pyarrow.compute", "pyarrow.parquet", "pyarrow.csv", "faiss"),
    *("hypothesis", "hypothesis.extra.numpy", "sqlglot", "msgspec", "typer", "rich", "duckdb"),
    "pandas",
)
UNKNOWN = 1.0  # seconds, of a test that is newer than the durations
PATIENCE = 10  # a run may take this many times the processor time it takes without a fault,
SECONDS = 30  # and these seconds, before the fault counts as found


@dataclass
class Job:
    """One run of tests.

    Attributes:
        tests: What pytest is to run: files, or names of tests.
        file: Path of the file to change, from the top of the project; "" for none.
        text: The text that the file gets.
        seconds: After which the run is stopped.
        done: Called with the verdict: "passed", "failed", "timeout", or "broken" if pytest could
            not run; and with what pytest wrote.
    """

    tests: list[str]
    done: Callable[[str, str], None]
    file: str = ""
    text: str = ""
    seconds: float = 1200.0
    options: dict[str, Any] = field(default_factory=dict)


class Plugin:
    """Orders tests by how long they take, leaves out slow ones, and notes durations.

    Args:
        durations: Seconds of each test, as far as they are known.
        slowest: Seconds of a test from which on it is left out.
        record: File to write the durations to; "" for none.
    """

    def __init__(self, durations: dict[str, float], slowest: float, record: str) -> None:
        self.durations, self.slowest, self.record = durations, slowest, record
        self.seen: dict[str, float] = {}
        self.failed: list[str] = []

    def pytest_configure(self) -> None:
        from hypothesis import Phase, settings

        # Not to shrink what fails: the verdict is enough.
        settings.register_profile(
            "mutants", derandomize=True, deadline=None, phases=(Phase.explicit, Phase.generate)
        )
        settings.load_profile("mutants")

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self.durations:
            took = {item.nodeid: self.durations.get(item.nodeid, UNKNOWN) for item in items}
            quick = [item for item in items if took[item.nodeid] < self.slowest]
            items[:] = sorted(quick, key=lambda item: took[item.nodeid])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        started = self._processor_seconds()
        result = yield
        self.seen[item.nodeid] = self._processor_seconds() - started
        return result

    @staticmethod
    def _processor_seconds() -> float:
        """Of this process and of those it started: the same on a busy machine."""
        return sum(os.times()[:4])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)

    def pytest_unconfigure(self) -> None:
        if self.record:
            passed = {name: took for name, took in self.seen.items() if name not in self.failed}
            found = {"durations": passed, "failed": self.failed}
            Path(self.record).write_text(json.dumps(found), encoding="utf-8")


def run(jobs: Iterator[Job], workers: int) -> None:
    """Run jobs, `workers` at a time."""
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    assert "vecsearch" not in sys.modules
    with tempfile.TemporaryDirectory(prefix="mutants") as parent:
        free = [_copy(Path(parent, str(number))) for number in range(workers)]
        running: dict[int, tuple[Job, Path, float]] = {}
        waiting = iter(jobs)
        job = next(waiting, None)
        while job is not None or running:
            while job is not None and free:
                folder = free.pop()
                running[_start(job, folder)] = job, folder, time.monotonic() + job.seconds
                job = next(waiting, None)
            for pid in list(running):
                ran, folder, latest = running[pid]
                ended, status = os.waitpid(pid, os.WNOHANG)
                late = not ended and time.monotonic() > latest
                if not ended and not late:
                    continue
                with contextlib.suppress(ProcessLookupError):  # and what the tests started
                    os.killpg(pid, signal.SIGKILL)
                if late:
                    os.waitpid(pid, 0)
                del running[pid]
                _restore(ran, folder)
                free.append(folder)
                code = os.waitstatus_to_exitcode(status)
                verdict = "timeout" if late else {0: "passed"}.get(code, "failed")
                log = (folder / "log").read_text(encoding="utf-8", errors="replace")
                ran.done(verdict, log)
            time.sleep(0.02)


def _copy(folder: Path) -> Path:
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(
                source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "mutants")
            )
        else:
            folder.mkdir(exist_ok=True)
            shutil.copy2(source, folder / name)
    return folder


def _start(job: Job, folder: Path) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    if job.file:
        (folder / job.file).write_text(job.text, encoding="utf-8")
        shutil.rmtree((folder / job.file).parent / "__pycache__", ignore_errors=True)
    pid = os.fork()
    if pid:
        return pid
    code = 3
    try:
        os.setsid()
        log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(log, stream)
        temporary = folder / "tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        tempfile.tempdir = None
        os.environ.update(PYTHONPATH=str(folder), TMPDIR=str(temporary))
        os.chdir(folder)
        sys.path[:0] = [str(folder)]
        arguments = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not slow"]
        if job.options.get("record"):
            arguments.remove("-x")
        plugin = Plugin(
            job.options.get("durations", {}),
            job.options.get("slowest", 1e9),
            job.options.get("record", ""),
        )
        code = int(pytest.main([*arguments, *job.tests], [plugin]))
    finally:
        os._exit(code)


def _restore(job: Job, folder: Path) -> None:
    if job.file:
        shutil.copy2(ROOT / job.file, folder / job.file)
        shutil.rmtree((folder / job.file).parent / "__pycache__", ignore_errors=True)
