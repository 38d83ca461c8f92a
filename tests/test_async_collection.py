"""Collections in asyncio: same answers, a loop that goes on, calls that can be cancelled."""

from __future__ import annotations

import asyncio
import inspect
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecsearch as vs
from tests.support.data import clustered
from vecsearch.common.deadline import check_time


@pytest.fixture
def place(tmp_path: Path) -> Path:
    c = vs.create(tmp_path / "c.vs", dim=8)
    c.add([{"id": n, "vector": v, "odd": n % 2} for n, v in enumerate(clustered(200, 8))])
    return tmp_path / "c.vs"


def test_it_has_all_methods_of_a_collection() -> None:
    methods = {
        name for name, _ in inspect.getmembers(vs.Collection, inspect.isfunction) if name[0] != "_"
    }
    for name in methods:
        method = getattr(vs.AsyncCollection, name)
        assert inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method), name
    assert {"search", "recommend", "pages", "neighbors"} <= methods


def test_answers_are_those_of_a_collection(place: Path) -> None:
    query = clustered(200, 8)[5]
    c = vs.open(place)

    async def main() -> None:
        async with await vs.open_async(place) as a:
            assert a.path == place
            assert (await a.search(query, where="odd = 1")).ids == c.search(
                query, where="odd = 1"
            ).ids
            found = await a.search_batch([query, -query], 3)
            assert [hits.ids for hits in found] == [
                hits.ids for hits in c.search_batch([query, -query], 3)
            ]
            pages = [page.ids async for page in a.pages(query, size=60)]
            assert pages == [page.ids for page in c.pages(query, size=60)]
            batches = [batch.num_rows async for batch in a.scan(batch_rows=150)]
            assert batches == [150, 50]
            assert (await a.neighbors(2)).table.equals(c.neighbors(2).table)
            assert (await a.add([np.ones(8)])).added == 1
            await a.refresh()
            assert await a.count() == 201
            with pytest.raises(vs.InvalidInputError, match="k is 0"):
                await a.search(query, 0)
        with pytest.raises(vs.CollectionClosedError):
            a._collection.count()

    asyncio.run(main())


def test_wrong_arguments_are_errors_of_vecsearch(place: Path) -> None:
    async def main() -> None:
        with pytest.raises(vs.CallError, match="no argument 'thread'"):
            await vs.open_async(place, thread=3)  # type: ignore[call-arg]
        with pytest.raises(vs.InvalidInputError, match="threads is 0"):
            await vs.open_async(place, threads=0)
        async with await vs.open_async(place) as a:
            with pytest.raises(vs.CallError, match="no argument 'filter'"):
                await a.search(np.ones(8), filter="odd = 1")
            with pytest.raises(vs.InvalidInputError, match="shape"):
                await a.search([1.0])

    asyncio.run(main())


def test_the_loop_goes_on_while_a_call_runs(place: Path) -> None:
    """The call waits for something that only the loop does."""
    from_loop = threading.Event()

    async def main() -> bool:
        async with await vs.open_async(place) as a:

            def waits() -> bool:
                return from_loop.wait(30)

            task = asyncio.create_task(a._run(waits))
            await asyncio.sleep(0)
            from_loop.set()
            return bool(await task)

    assert asyncio.run(main())


@pytest.mark.parametrize("timeout", [None, 60.0])
def test_a_cancelled_call_ends_its_work(place: Path, timeout: float | None) -> None:
    started, ended = threading.Event(), threading.Event()
    seen: list[Any] = []

    def rows() -> Any:
        yield {"id": 1000, "vector": [1.0] * 8, "odd": 1}
        started.set()
        try:
            while True:
                check_time()
        except Exception as error:
            seen.append(type(error))
            ended.set()
            raise

    async def main() -> None:
        async with await vs.open_async(place) as a:
            if timeout is None:
                work = a.add(rows())
            else:

                def limited() -> None:
                    from vecsearch.common.deadline import time_limit

                    with time_limit(timeout):
                        a._collection.add(rows())

                work = a._run(limited)
            task = asyncio.create_task(work)
            await asyncio.to_thread(started.wait, 30)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(ended.wait, 30)
            assert await a.count() == 200

    asyncio.run(main())
    assert seen == [vs.OperationTimeoutError]
    assert len(vs.open(place)) == 200


def test_many_threads_use_one_collection(place: Path) -> None:
    c = vs.open(place)
    queries = clustered(64, 8, seed=2)
    alone = [c.search(query).ids for query in queries]
    found: dict[int, Any] = {}

    def work(number: int) -> None:
        hits = c.search(queries[number])
        c.similar(number, group_by="odd")
        c.facets("odd", where=f"id > {number}")
        found[number] = hits.ids

    threads = [threading.Thread(target=work, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[number] for number in range(64)] == alone
