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


class Lock(type(threading.RLock())):  # type: ignore[misc]
    """A `threading.RLock` that another thread's fork leaves free in the child.

    The child of the thread that holds it holds it, too. `with` enters it in C: a class with an
    `__enter__` in Python leaves the lock taken where Ctrl-C comes just before that returns.
    """

    def __init__(self) -> None:
        _locks.add(self)


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
        if not lock._is_owned():
            lock._at_fork_reinit()


os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
