"""The open collections of a server, and searches of one moment as one batch."""

from __future__ import annotations

import asyncio
import functools
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from vecsearch.common.cores import cores
from vecsearch.common.local_files import no_local_files
from vecsearch.errors import InvalidInputError, RecallWarning, VecsearchError
from vecsearch.server.problems import ProblemError
from vecsearch.types import counted

if TYPE_CHECKING:
    from vecsearch.collection import Collection
    from vecsearch.query.results import Hits
    from vecsearch.types import RecallReport

T = TypeVar("T")
Options = tuple[tuple[str, Any], ...]
SUFFIX = ".vs"
LARGEST_BATCH = 64


@dataclass
class _Waiting:
    query: Any
    finish: Callable[[Hits], Any]
    answer: asyncio.Future[Any]


class Served:
    """One collection.

    Queries that come while another is searched wait, and are then answered together: a batch costs
    less than its queries one by one. A query that comes alone is searched at once.

    Args:
        name: What it is called in addresses.
        collection: The open collection.
        pool: Threads for searches and changes.
        most_waiting: Requests that may wait; more are refused.
    """

    def __init__(
        self, name: str, collection: Collection, pool: ThreadPoolExecutor, most_waiting: int
    ) -> None:
        self.name = name
        self.collection = collection
        self.measured: RecallReport | None = None
        self._pool = pool
        self._most_waiting = most_waiting
        self._waiting: dict[Options, list[_Waiting]] = {}
        self._count = 0

    async def call(self, function: Callable[[Collection], T]) -> T:
        """Run something with the newest version of the collection, in a thread.

        Raises:
            ProblemError: Too many wait already.
        """
        with self._counted():
            return await self.run(function)

    async def run(self, function: Callable[[Collection], T]) -> T:
        """The same, however many wait."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._refreshed, function)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        if self._count >= self._most_waiting:
            raise ProblemError(
                429,
                "TooManyRequests",
                f"{counted(self._count, 'request')} wait already: send fewer at once, or this one "
                "again in a moment",
            )
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1

    def _refreshed(self, function: Callable[[Collection], T]) -> T:
        with no_local_files():  # a text that came over the network is no path
            return function(self.collection.refresh())

    def measure(self) -> None:
        """Measure the recall with 100 rows as queries, for the figures."""
        with warnings.catch_warnings(), suppress(InvalidInputError):  # it is empty
            warnings.simplefilter("ignore", RecallWarning)
            collection = self.collection.refresh()
            self.measured = collection.measure_recall(n_queries=100, regions=0)

    async def search(
        self, query: Any, options: Mapping[str, Any], finish: Callable[[Hits], T]
    ) -> T:
        """What `Collection.search` finds, finished in the thread that searched.

        Raises:
            ProblemError: Too many queries wait already.
        """
        key: Options = tuple(sorted(options.items(), key=lambda item: item[0]))
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        with self._counted():
            if key in self._waiting:
                self._waiting[key].append(_Waiting(query, finish, future))
            else:
                self._waiting[key] = [_Waiting(query, finish, future)]
                task = asyncio.create_task(self._answer(key, options))
                _TASKS.add(task)
                task.add_done_callback(_TASKS.discard)
            return await future

    async def _answer(self, key: Options, options: Mapping[str, Any]) -> None:
        """Search all that wait with these options, until none waits."""
        while waiting := self._waiting[key]:
            some, self._waiting[key] = waiting[:LARGEST_BATCH], waiting[LARGEST_BATCH:]
            some = [each for each in some if not each.answer.done()]  # those who left
            if not some:
                continue
            try:
                found = await self.run(functools.partial(_searched, some, options))
            except BaseException as error:
                found = [error] * len(some)
                if not isinstance(error, Exception):
                    raise
            for each, answer in zip(some, found, strict=True):
                if each.answer.done():
                    continue
                if isinstance(answer, BaseException):
                    each.answer.set_exception(answer)
                else:
                    each.answer.set_result(answer)
        del self._waiting[key]


_TASKS: set[asyncio.Task[None]] = set()  # asyncio holds tasks weakly


def _searched(
    waiting: Sequence[_Waiting], options: Mapping[str, Any], collection: Collection
) -> list[Any]:
    """An answer or an error for each query. A query that fails takes no other with it."""
    found: Sequence[Hits] | None = None
    if len(waiting) > 1:
        with suppress(VecsearchError):
            found = collection.search_batch([each.query for each in waiting], **options)
    answers: list[Any] = []
    for number, each in enumerate(waiting):
        try:
            hits = collection.search(each.query, **options) if found is None else found[number]
            answers.append(each.finish(hits))
        except Exception as error:
            answers.append(error)
    return answers


class Collections:
    """All collections of a server.

    Args:
        folders: Their folders. A collection's name is its folder's without `.vs`.
        most_waiting: Requests that may wait for each.

    Raises:
        InvalidInputError: Two have one name, or a name cannot stand in an address.
        CollectionNotFoundError: There is none in a folder.
    """

    def __init__(self, folders: Sequence[Path], most_waiting: int = 1000) -> None:
        from vecsearch.collection import open_collection

        workers = max(4, 2 * cores())
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="vecsearch-serve")
        self._served: dict[str, Served] = {}
        for folder in folders:
            name = folder.resolve().name.removesuffix(SUFFIX)
            if name in self._served:
                raise InvalidInputError(f"two collections are called {name!r}: rename a folder")
            if not name or any(letter in name for letter in "/?#%\\"):
                raise InvalidInputError(f"{name!r} cannot stand in an address: rename the folder")
            collection = open_collection(folder)
            self._served[name] = Served(name, collection, self._pool, most_waiting)

    def names(self) -> list[str]:
        return list(self._served)

    def __getitem__(self, name: str) -> Served:
        """A collection by its name. Raises ProblemError (404)."""
        served = self._served.get(name)
        if served is None:
            known = ", ".join(self._served)
            raise ProblemError(
                404,
                "CollectionNotFoundError",
                f"there is no collection {name!r}; this server has {known}",
            )
        return served

    def all(self) -> list[Served]:
        return list(self._served.values())

    def close(self) -> None:
        """Wait for what runs, and close all."""
        self._pool.shutdown(wait=True)
        for served in self._served.values():
            served.collection.close()
