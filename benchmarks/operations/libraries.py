"""One library in a process of its own: calls of its store, and what each costs."""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.operations.steps import Step
from benchmarks.operations.stores import STORES, empty


def _memory() -> int:
    """Resident bytes of this process that no file backs."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    return 0


def _written() -> int:
    """Bytes that this process handed to the file system so far."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["wchar"])


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def serve(package: str, folder: Path, dim: int, connection: Connection) -> None:
    """Answer calls of one store until None comes."""
    os.environ.setdefault("LANCE_LOG", "error")  # it warns at each search with chosen columns
    try:
        store = STORES[package](folder, dim)
        connection.send(None)
        while (call := connection.recv()) is not None:
            method, calls = call
            function = getattr(store, method)
            memory, written, cpu, wall = _memory(), _written(), _cpu(), time.perf_counter()
            answers = [function(*arguments) for arguments in calls]
            took = {
                "wall": time.perf_counter() - wall,
                "cpu": _cpu() - cpu,
                "written": _written() - written,
                "memory": _memory() - memory,
            }
            connection.send((took, answers))
    except Exception:
        connection.send(traceback.format_exc())


class Library:
    """The process of one store. `failed` says why it is left out from then on."""

    def __init__(self, package: str, folder: Path, dim: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.package, self.failed = package, ""
        self._here, there = spawn.Pipe()
        arguments = (package, empty(folder / package), dim, there)
        self._process = spawn.Process(target=serve, args=arguments, daemon=True)
        self._process.start()
        there.close()
        self._receive()

    def can(self, step: Step) -> bool:
        store = STORES[self.package]
        return not self.failed and all(
            hasattr(store, name) for name in (step.method, step.needs) if name
        )

    def run(self, step: Step) -> tuple[dict[str, float], list[Any]] | None:
        self._here.send((step.method, step.calls))
        return self._receive()

    def _receive(self) -> Any:
        try:
            answer = self._here.recv()
        except EOFError:
            answer = f"the process ended with exit code {self._process.exitcode}"
        if isinstance(answer, str):
            self.failed = answer.strip().splitlines()[-1]
            print(f"{self.package} fails and is left out:\n{answer}", file=sys.stderr)
            return None
        return answer

    def stop(self) -> None:
        if not self.failed:
            self._here.send(None)
        self._process.join(30)
