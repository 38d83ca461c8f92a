"""Where independent pieces of work run: on threads of this process, or on another engine by name.

What is given to an engine must not depend on the order in which pieces run, so that every engine
gives the same results.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from vecsearch.common.suggest import did_you_mean
from vecsearch.errors import InvalidInputError

ITEMS_A_THREAD = 16  # at least, of a batch, for a thread to be worth its start
T = TypeVar("T")
R = TypeVar("R")


class Engine(Protocol):
    """Runs pieces of work side by side."""

    def map(
        self,
        work: Callable[[T], R],
        items: Sequence[T],
        done: Callable[[R], None] = lambda result: None,
    ) -> list[R]:
        """`work` of each item, in the order of the items. Raises the first error, in that order.

        done: Called with each result, in the order of the items, once it is there.
        """


class ThreadEngine:
    """Threads of this process; for work that releases the interpreter's lock.

    Args:
        workers: How many threads to use at most.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def map(
        self,
        work: Callable[[T], R],
        items: Sequence[T],
        done: Callable[[R], None] = lambda result: None,
    ) -> list[R]:
        """As `Engine.map`. A single item, or a single worker, needs no thread."""
        workers = min(self.workers, len(items))
        if workers <= 1:
            return noted(map(work, items), done)
        from concurrent.futures import ThreadPoolExecutor  # slow to import

        with ThreadPoolExecutor(workers) as pool:
            return noted(pool.map(work, items), done)


def noted(results: Iterable[R], done: Callable[[R], None]) -> list[R]:
    """The results as a list; `done` is called with each when it is there."""
    there = []
    for result in results:
        done(result)
        there.append(result)
    return there


ENGINES: dict[str, Callable[[int], Engine]] = {"threads": ThreadEngine}
"""Name -> what makes an engine for a number of workers."""


def engine_for(workers: int, name: str = "threads") -> Engine:
    """The engine of a name, for at most so many pieces at a time.

    Raises:
        InvalidInputError: There is no engine of that name.

    Example:
        >>> engine_for(2).map(len, ["a", "bb", "ccc"])
        [1, 2, 3]
    """
    if name not in ENGINES:
        raise InvalidInputError(f"there is no engine {name!r}{did_you_mean(name, ENGINES)}")
    return ENGINES[name](workers)


def parts_of(count: int, threads: int, least: int) -> list[slice]:
    """Consecutive parts of `count` items, one for each thread, but of at least `least` items."""
    threads = max(1, min(threads, count // least))
    edges = [count * thread // threads for thread in range(threads + 1)]
    return [slice(first, last) for first, last in itertools.pairwise(edges)]


def in_parts(
    run: Callable[[slice], R], count: int, threads: int, least: int = ITEMS_A_THREAD
) -> list[R]:
    """Run over parts of `count` items side by side; the results in order. See `parts_of`."""
    parts = parts_of(count, threads, least)
    return engine_for(len(parts)).map(run, parts)
