"""Collections for asyncio: the same methods, which do not block the event loop."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vecsearch.collection import LOCK_TIMEOUT, Collection, open_collection
from vecsearch.common.arguments import check_whole
from vecsearch.common.deadline import cancellable
from vecsearch.common.gate import gated
from vecsearch.embedders.base import Embedder
from vecsearch.query.results import Hits
from vecsearch.storage.limits import DEFAULT_LIMITS, Limits

ITERATORS = ("pages", "scan")  # methods that return iterators
OWN = ("close",)
_END = object()


@gated
async def open_async(
    path: str | os.PathLike[str],
    *,
    version: int | None = None,
    embedder: str | Embedder | None = None,
    chunker: Any = None,
    lock_timeout: float = LOCK_TIMEOUT,
    limits: Limits = DEFAULT_LIMITS,
    threads: int = 8,
) -> AsyncCollection:
    """Open a collection for asyncio.

    Args:
        path: As in `open`.
        version: As in `open`.
        embedder: As in `open`.
        chunker: As in `open`.
        lock_timeout: As in `open`.
        limits: As in `open`.
        threads: How many calls may run at the same time; others wait.

    Returns:
        The collection; its methods are those of `Collection`, to be awaited.

    Raises:
        CollectionNotFoundError: There is no collection at the path.
        VersionNotFoundError: The version was never committed, or is no longer kept.
        CorruptedError: The manifest is damaged.

    Example:
        >>> import asyncio
        >>> import vecsearch as vs
        >>> c = vs.create("notes.vs", embedder="toy:64")
        >>> _ = c.add(["a small boat", "a red bus"])
        >>> async def main():
        ...     async with await vs.open_async("notes.vs") as notes:
        ...         return (await notes.search("boat", k=1)).column("text")
        >>> asyncio.run(main())
        ['a small boat']
    """
    threads = check_whole("threads", threads, 1)
    collection = await asyncio.to_thread(
        open_collection,
        path,
        version=version,
        embedder=embedder,
        chunker=chunker,
        lock_timeout=lock_timeout,
        limits=limits,
    )
    return AsyncCollection(collection, threads)


class AsyncCollection:
    """A collection whose methods are awaited; they run in threads. `open_async` makes it.

    `pages` and `scan` are asynchronous iterators. The columns of hits are read before they are
    handed out, all but the vector. A call that is cancelled stops at the next piece of its work; a
    change that is not committed by then changes nothing.

    Example:
        >>> import asyncio
        >>> import vecsearch as vs
        >>> _ = vs.create("notes.vs", embedder="toy:64").add(["a small boat", "a red bus"])
        >>> async def main():
        ...     async with await vs.open_async("notes.vs") as notes:
        ...         found = await asyncio.gather(notes.search("boat"), notes.search("bus"))
        ...         return [hits.ids for hits in found], await notes.count()
        >>> asyncio.run(main())
        ([[0, 1], [1, 0]], 2)
    """

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Callable[..., Any]: ...

    def __init__(self, collection: Collection, threads: int = 8) -> None:
        self._collection = collection
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="vecsearch")

    @property
    def path(self) -> Path:
        """The collection's folder."""
        return self._collection.path

    async def close(self) -> None:
        """Release what the collection holds; calls that run are waited for."""
        await asyncio.to_thread(self._pool.shutdown)
        self._collection.close()

    async def __aenter__(self) -> AsyncCollection:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"Async{self._collection!r}"

    async def _run(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """The result of a function of this collection, computed in a thread."""
        cancel, limited = cancellable(functools.partial(function, *args, **options))
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._pool, context.run, limited)
        except asyncio.CancelledError:
            cancel()
            raise


def _awaited(method: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """A method of a collection as one that is awaited."""

    def call(collection: Collection, *args: Any, **options: Any) -> Any:
        found = method(collection, *args, **options)
        if found is collection:  # refresh
            return None
        for hits in found if isinstance(found, list) else [found]:
            if isinstance(hits, Hits):
                hits.fetch()
        return found

    @functools.wraps(method)
    async def run(self: AsyncCollection, *args: Any, **options: Any) -> Any:
        return await self._run(call, self._collection, *args, **options)

    return run


def _iterated(method: Callable[..., Iterator[Any]]) -> Callable[..., AsyncIterator[Any]]:
    """A method that returns an iterator as an asynchronous one."""

    def step(items: Iterator[Any]) -> Any:
        item = next(items, _END)
        return item.fetch() if isinstance(item, Hits) else item

    @functools.wraps(method)
    async def run(self: AsyncCollection, *args: Any, **options: Any) -> AsyncIterator[Any]:
        items = await self._run(method, self._collection, *args, **options)
        while (item := await self._run(step, items)) is not _END:
            yield item

    return run


def _documented(made: Callable[..., Any], method: Callable[..., Any]) -> Callable[..., Any]:
    """With the description of the method; its example is not one of asyncio."""
    made.__doc__ = inspect.cleandoc(method.__doc__ or "").partition("\nExample:\n")[0]
    return made


for _name, _method in inspect.getmembers(Collection, inspect.isfunction):
    if not _name.startswith("_") and _name not in OWN:
        _made = _iterated(_method) if _name in ITERATORS else _awaited(_method)
        setattr(AsyncCollection, _name, _documented(_made, _method))
