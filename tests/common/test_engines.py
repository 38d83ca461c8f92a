"""Engines run pieces of work side by side, and give the results in order."""

from __future__ import annotations

import threading
import time

import pytest

import vecsearch as vs
from vecsearch.common.engines import ENGINES, Engine, engine_for


@pytest.mark.parametrize("name", sorted(ENGINES))
@pytest.mark.parametrize("workers", [1, 3, 100])
def test_results_are_in_the_order_of_the_items(name: str, workers: int) -> None:
    def slow_if_first(number: int) -> int:
        time.sleep(0.02 if number == 0 else 0)
        return number * number

    engine: Engine = engine_for(workers, name)
    assert engine.map(slow_if_first, range(20)) == [number * number for number in range(20)]
    assert engine.map(slow_if_first, []) == []


@pytest.mark.parametrize("name", sorted(ENGINES))
def test_the_first_error_in_order_is_raised(name: str) -> None:
    def fail(number: int) -> int:
        if number in (3, 7):
            raise ValueError(f"piece {number}")
        return number

    with pytest.raises(ValueError, match="piece 3"):
        engine_for(4, name).map(fail, range(10))


def test_threads_work_side_by_side() -> None:
    """Each piece waits for the others: one thread after another would wait for ever."""
    together = threading.Barrier(3, timeout=30)
    assert len(set(engine_for(3).map(lambda _: together.wait(), range(3)))) == 3


def test_an_unknown_engine_is_named_with_the_nearest() -> None:
    with pytest.raises(vs.InvalidInputError, match="no engine 'thread'; did you mean 'threads'"):
        engine_for(2, "thread")
