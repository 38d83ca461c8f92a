"""What a forked child needs: locks that are free, and no import that was cut off.

A child has only the thread that forked. A lock that another thread held at that moment would stay
locked in the child for ever, and a module that another thread was importing would stay half done.
Any library may import one when it is first needed (pyarrow imports pandas so), so a fork waits for
the imports of all threads. An import that begins after that, just before the fork, is undone in the
child, which then imports the module itself.
"""

from __future__ import annotations

import logging  # noqa: F401, before our handlers: see `_before_fork`
import os
import sys
import threading
import time
import weakref
from importlib import _bootstrap
from typing import Any

IMPORT_SECONDS = 120.0  # a fork waits at most so long for imports of other threads
_EVERY = 0.001  # seconds between two looks


class Lock(type(threading.RLock())):  # type: ignore[misc]
    """A `threading.RLock` that another thread's fork leaves free in the child.

    The child of the thread that holds it holds it, too. `with` enters it in C: a class with an
    `__enter__` in Python leaves the lock taken where Ctrl-C comes just before that returns.
    """

    def __init__(self) -> None:
        _locks.add(self)


_locks: weakref.WeakSet[Lock] = weakref.WeakSet()

# The import system's own tables, which it does not publish; empty where a Python has others.
_module_locks: dict[str, Any] = getattr(_bootstrap, "_module_locks", {})  # name -> weak reference
_blocking_on: Any = getattr(_bootstrap, "_blocking_on", {})  # thread -> the lock it waits for


def _owner_of(reference: Any) -> int | None:
    """The thread that is importing a module; None if none is any more."""
    return getattr(reference(), "owner", None)


def _is_importing_elsewhere() -> bool:
    free = (None, threading.get_ident())
    return any(_owner_of(reference) not in free for reference in list(_module_locks.values()))


def _before_fork() -> None:
    """Wait for imports of other threads.

    Handlers run in the reverse order of their registration. logging's takes a lock that an import
    may need, so it has to run after this one: logging must be imported earlier.
    """
    end = time.monotonic() + IMPORT_SECONDS
    while _is_importing_elsewhere() and time.monotonic() < end:
        time.sleep(_EVERY)


def _in_child() -> None:
    for lock in list(_locks):
        if not lock._is_owned():
            lock._at_fork_reinit()
    _undo_imports()


def _undo_imports() -> None:
    """Forget what other threads were importing, as an import that fails does."""
    for name, reference in list(_module_locks.items()):
        owner = _owner_of(reference)
        if owner == threading.get_ident():
            continue
        _module_locks.pop(name, None)  # also one that a thread was about to take or release
        module = sys.modules.get(name)
        if owner is not None and getattr(getattr(module, "__spec__", None), "_initializing", False):
            del sys.modules[name]
    _blocking_on.clear()


os.register_at_fork(before=_before_fork, after_in_child=_in_child)
