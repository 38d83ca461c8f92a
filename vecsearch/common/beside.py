"""A call on another core, for work of a millisecond whose halves do not need each other.

Compiled code lets other threads run. Starting a thread takes about as long as half a search; so a
few threads wait for calls, as many as there are other cores.
"""

from __future__ import annotations

import os
import threading
from _thread import allocate_lock
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from vecsearch.common.cores import cores
from vecsearch.common.fork import Lock

T = TypeVar("T")


class _Call(Generic[T]):
    """A function, and what became of it."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function: Callable[[], T] | None = function
        self.done = allocate_lock()
        self.done.acquire()
        self._error: BaseException | None = None
        self._value: Any = None

    def run(self) -> None:
        assert self._function is not None
        try:
            self._value = self._function()
        except BaseException as error:
            self._error = error
        self._function = None  # and what it holds is free

    def result(self) -> T:
        """What the function returned, once it has. Raises what it raised."""
        with self.done:
            if self._error is not None:
                raise self._error
            value: T = self._value
            return value


_idle: list[_Helper] = []
_started = 0
_lock = Lock()


class _Helper:
    """A thread that waits for calls."""

    def __init__(self) -> None:
        self.calls: SimpleQueue[_Call[Any]] = SimpleQueue()
        threading.Thread(target=self._run, name="vecsearch-beside", daemon=True).start()

    def _run(self) -> None:
        idle = _idle
        while True:
            call = self.calls.get()
            call.run()
            idle.append(self)  # first: who has the result may have the next call, too
            call.done.release()
            del call


def _helper() -> _Helper | None:
    """A thread that has nothing to do; None if all cores have something to do."""
    global _started
    try:
        return _idle.pop()
    except IndexError:
        pass
    if _started >= cores() - 1:
        return None
    with _lock:
        if _started >= cores() - 1:
            return None
        _started += 1
    try:
        return _Helper()
    except RuntimeError:  # the interpreter ends, or there are too many threads
        return None


def _in_child() -> None:
    """A forked child has none of these threads."""
    global _idle, _started
    _idle, _started = [], 0


os.register_at_fork(after_in_child=_in_child)


def beside(function: Callable[[], T]) -> Callable[[], T]:
    """Begin a call on another core, if one is free.

    Args:
        function: What to call. It must not depend on what holds for the calling thread alone.

    Returns:
        Gives what the function returns, or raises what it raises. If no core was free, the function
        is called only then, in the calling thread.
    """
    helper = _helper()
    if helper is None:
        return function
    call = _Call(function)
    helper.calls.put(call)
    return call.result
