"""Where the tasks of a build or of embedding run, by name: here, in processes, or on Ray.

All engines run the same functions of the same arguments (`index_shard`, `embed_part`), so they make
the same. A task has no effect but what it returns, or a folder that is named after its arguments;
so it may run again wherever its worker was lost, or twice.
"""

from __future__ import annotations

import contextlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from vecsearch.common.cores import cores
from vecsearch.common.engines import Engine, ThreadEngine, noted
from vecsearch.common.optional import require
from vecsearch.common.show import shown
from vecsearch.common.suggest import did_you_mean
from vecsearch.errors import InvalidInputError, WorkerLostError

T = TypeVar("T")
R = TypeVar("R")
RETRIES = 5  # times that a task runs again after its worker was lost


class _InOrder(ABC):
    """An engine whose results come one after another, in the order of the items."""

    @abstractmethod
    def _results(self, work: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
        """Raises WorkerLostError if the workers of a task are lost every time."""

    def map(
        self,
        work: Callable[[T], R],
        items: Sequence[T],
        done: Callable[[R], None] = lambda result: None,
    ) -> list[R]:
        """As `Engine.map`. Raises WorkerLostError if the workers of a task are lost every time."""
        return noted(self._results(work, items), done)


class ProcessEngine(_InOrder):
    """Processes of this machine. One that dies is replaced, and its task runs again.

    They are started, not forked, so a script that uses this needs `if __name__ == "__main__"`.

    Args:
        workers: How many processes there are.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def _results(self, work: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor
        from concurrent.futures.process import BrokenProcessPool

        context = multiprocessing.get_context("spawn")
        there: dict[int, R] = {}
        given = 0  # results that were passed on
        lost = 0
        while given < len(items):
            waiting = [number for number in range(given, len(items)) if number not in there]
            pool = ProcessPoolExecutor(min(self.workers, max(1, len(waiting))), context)
            try:
                futures = {number: pool.submit(work, items[number]) for number in waiting}
                while given < len(items):
                    if given in futures:
                        there[given] = futures[given].result()
                    yield there.pop(given)
                    given += 1
            except BrokenProcessPool as error:
                lost += 1
                if lost > RETRIES:
                    raise _lost(error) from error
                for number, future in futures.items():
                    if number >= given and future.done() and future.exception() is None:
                        there[number] = future.result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)


class RayEngine(_InOrder):
    """Workers of a Ray cluster, on all its nodes.

    The cluster is the one that `ray.init` was called for, or that RAY_ADDRESS names; without either
    it is started on this machine. The nodes need vecsearch, and the collection at the same path.

    Args:
        workers: How many tasks run at a time; None for as many as the cluster has processors.
        cpus: Processors that a task takes.
        gpus: Graphics cards that a task takes, of those that embed.
    """

    def __init__(self, workers: int | None = None, cpus: float = 1, gpus: float = 0) -> None:
        self.workers = workers
        self._options = {"num_cpus": cpus, "num_gpus": gpus, "max_retries": RETRIES}

    def _results(self, work: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
        ray = started_ray("engine='ray'")
        task = ray.remote(work).options(**self._options)
        most = self.workers or len(items)
        running: dict[int, Any] = {n: task.remote(items[n]) for n in range(min(most, len(items)))}
        try:
            for number in range(len(items)):
                result = ray_result(ray, running[number])
                del running[number]
                if number + most < len(items):
                    running[number + most] = task.remote(items[number + most])
                yield result
        finally:
            for reference in running.values():
                with contextlib.suppress(Exception):
                    ray.cancel(reference, force=True)


def started_ray(what_for: str) -> Any:
    """The module `ray`, connected to a cluster. Raises MissingExtraError."""
    ray = require("ray", "ray", "ray", what_for)
    if not ray.is_initialized():
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it reports to nobody unasked
        ray.init(include_dashboard=False, log_to_driver=False)
    return ray


def ray_result(ray: Any, reference: Any, timeout: float | None = None) -> Any:
    """What a task of Ray returned. Raises its own error, or WorkerLostError."""
    try:
        return ray.get(reference, timeout=timeout)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, Exception):
            raise error.cause from None
        raise
    except (ray.exceptions.RayActorError, ray.exceptions.RaySystemError) as error:
        raise _lost(error) from error
    except (
        ray.exceptions.WorkerCrashedError,
        ray.exceptions.OutOfMemoryError,
        ray.exceptions.ObjectLostError,
        ray.exceptions.NodeDiedError,
    ) as error:
        raise _lost(error) from error


def _lost(error: Exception) -> WorkerLostError:
    return WorkerLostError(
        f"the workers of a task were lost every time ({type(error).__name__}: "
        f"{str(error).splitlines()[0]})",
        hint="see why they end: too little memory is the usual cause; then run it again",
    )


ENGINES: dict[str, Callable[[], Engine]] = {
    "local": lambda: ThreadEngine(1),
    "processes": lambda: ProcessEngine(cores()),
    "ray": RayEngine,
}
"""Name -> what makes an engine."""


def engine_named(engine: object) -> Engine | None:
    """The engine of an `engine=` argument; None where the work is done in this process.

    Raises:
        InvalidInputError: It is neither a name of `ENGINES` nor an engine.

    Example:
        >>> engine_named("processes").workers > 0
        True
    """
    if engine is None or (isinstance(engine, str) and engine == "local"):
        return None
    if isinstance(engine, str):
        if engine not in ENGINES:
            raise InvalidInputError(
                f"engine is {shown(engine)}; it must be one of {', '.join(ENGINES)}"
                f"{did_you_mean(engine, ENGINES)}"
            )
        return ENGINES[engine]()
    if not isinstance(engine, ThreadEngine | ProcessEngine | RayEngine):
        raise InvalidInputError(
            f"engine is {shown(engine)}; it must be one of {', '.join(ENGINES)}, or an engine"
        )
    return engine
