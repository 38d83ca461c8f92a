"""What a forked child needs: locks that are free, and no import that was cut off.

A child has only the thread that forked. A lock that another thread held at that moment would stay
locked in the child for ever, and a module that another thread was importing would stay half done.
"""

from __future__ import annotations

import contextlib
import logging  # noqa: F401, before our handler: see `_before_fork`
import os
import threading
import weakref
from collections.abc import Iterator

IMPORT_SECONDS = 120.0  # a fork waits at most so long for imports of other threads


class Lock:
    """A `threading.Lock` that is free in a forked child, whoever held it in the parent."""

    def __init__(self) -> None:
        self._renew()
        _locks.add(self)

    def _renew(self) -> None:
        self._lock = threading.Lock()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take the lock; False if that was not possible in time."""
        return self._lock.acquire(blocking, timeout)

    def release(self) -> None:
        """Free the lock."""
        if self._lock.locked():  # it is free already in a child that was forked by its holder
            self._lock.release()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


_locks: weakref.WeakSet[Lock] = weakref.WeakSet()
_imports = threading.RLock()
_waited: list[bool] = []


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Around an import that a search may make: a fork waits until it is done."""
    with _imports:
        yield


def _before_fork() -> None:
    """Wait for imports of other threads.

    Handlers run in the reverse order of their registration. logging's takes a lock that an import
    may need, so it has to run after this one: logging must be imported earlier.
    """
    _waited.append(_imports.acquire(timeout=IMPORT_SECONDS))


def _in_parent() -> None:
    if _waited.pop():
        _imports.release()


def _in_child() -> None:
    global _imports
    _imports = threading.RLock()
    _waited.clear()
    for lock in list(_locks):
        lock._renew()


os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
