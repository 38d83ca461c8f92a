"""A call on another core gives what it gives on this one."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from vecsearch.common import beside as module
from vecsearch.common.beside import beside


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "cores", lambda: 2)
    monkeypatch.setattr(module, "_idle", [])
    monkeypatch.setattr(module, "_started", 0)


def test_another_thread_makes_the_call_and_takes_the_next() -> None:
    found = [beside(threading.get_ident)() for _ in range(50)]
    assert threading.get_ident() not in found
    assert len(set(found)) == 1


def test_an_error_comes_where_the_result_is_asked_for() -> None:
    later = beside(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        later()
    assert beside(lambda: 7)() == 7


def test_without_a_free_core_the_caller_makes_the_call() -> None:
    held = threading.Event()
    first = beside(lambda: held.wait(20))
    second = beside(threading.get_ident)
    assert second() == threading.get_ident()
    held.set()
    assert first()


def test_one_core_starts_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "cores", lambda: 1)
    assert beside(threading.get_ident)() == threading.get_ident()


def test_a_result_that_nobody_asks_for_leaves_the_thread_free() -> None:
    done = threading.Event()
    beside(done.set)
    assert done.wait(20)
    assert beside(lambda: 8)() == 8


def test_many_threads_at_once() -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: beside(lambda: n * n)(), range(2000)))
    assert found == [n * n for n in range(2000)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_has_a_thread_of_its_own() -> None:
    assert beside(lambda: 1)() == 1
    child = os.fork()
    if not child:
        found = [beside(lambda n=n: n)() for n in range(5)]
        os._exit(found != [0, 1, 2, 3, 4])
    assert os.waitpid(child, 0)[1] == 0


def test_where_no_thread_can_start_the_caller_makes_the_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    assert beside(threading.get_ident)() == threading.get_ident()
