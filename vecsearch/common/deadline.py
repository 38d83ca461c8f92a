"""The time that an operation may take. Long work is done in pieces, and `check_time` comes between.

A limit holds for what runs inside `time_limit` in the same thread, so that no function in between
has to pass it on. Without a limit `check_time` costs 50 ns; it is called between pieces that take
longer than that, never inside the search of one query.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, replace
from itertools import islice
from threading import Event
from typing import Any, TypeVar

from vecsearch.common.arguments import check_timeout
from vecsearch.errors import OperationTimeoutError

T = TypeVar("T")
NO_LIMIT = nullcontext()


@dataclass(frozen=True, slots=True)
class Deadline:
    """When an operation must be done: `at` on the monotonic clock, `seconds` after its start.

    Or as soon as it is cancelled.
    """

    at: float
    seconds: float
    cancelled: Event | None = None

    def check(self) -> None:
        """Raises OperationTimeoutError once the time is over."""
        if self.cancelled is not None and self.cancelled.is_set():
            raise OperationTimeoutError("the call was cancelled, and nothing was changed")
        if time.monotonic() >= self.at:
            raise OperationTimeoutError(
                f"the operation was not done within its time limit of {self.seconds:g} s, and "
                "nothing was changed",
                hint="give a longer timeout=, or narrow it with where= or ids=",
                command_hint="give a longer --timeout, or narrow it with --where or --id",
            )


_current: ContextVar[Deadline | None] = ContextVar("_current", default=None)


@contextmanager
def time_limit(seconds: float) -> Iterator[Deadline]:
    """Let `check_time` raise an error in this thread once so many seconds have passed."""
    deadline = Deadline(time.monotonic() + seconds, seconds)
    outer = _current.get()
    if outer is not None:
        deadline = outer if outer.at < deadline.at else replace(deadline, cancelled=outer.cancelled)
    with until(deadline):
        yield deadline


def cancellable(function: Callable[[], T]) -> tuple[Callable[[], None], Callable[[], T]]:
    """What cancels a function, and the function so that it can be cancelled.

    A cancelled one ends at its next `check_time`.
    """
    event = Event()
    outer = _current.get()
    deadline = Deadline(math.inf, math.inf) if outer is None else outer
    deadline = replace(deadline, cancelled=event)

    def run() -> T:
        with until(deadline):
            return function()

    return event.set, run


def at_most(timeout: Any) -> AbstractContextManager[Deadline | None]:
    """`time_limit`, if there is a timeout. Raises InvalidInputError for one that is none."""
    return NO_LIMIT if timeout is None else time_limit(check_timeout(timeout))


@contextmanager
def until(deadline: Deadline) -> Iterator[None]:
    """Let `check_time` obey a limit that began earlier, as a generator does at each step."""
    token = _current.set(deadline)
    try:
        deadline.check()
        yield
    finally:
        _current.reset(token)


def limited(items: Iterator[T], deadline: Deadline) -> Iterator[T]:
    """The items of a generator, each of which must be asked for before the deadline."""

    while True:
        with until(deadline):
            found = list(islice(items, 1))
        if not found:
            return
        yield found[0]


def check_time() -> None:
    """Raises OperationTimeoutError once the time of the running operation is over, if it has any.

    Between two calls lies work of a bounded size. Python also handles Ctrl-C there.
    """
    deadline = _current.get()
    if deadline is not None:
        deadline.check()


def is_limited() -> bool:
    """Whether the running operation has a limit."""
    return _current.get() is not None


def seconds_left() -> float | None:
    """How long the running operation may still take; None for an operation without a limit."""
    deadline = _current.get()
    return None if deadline is None else max(deadline.at - time.monotonic(), 0)
