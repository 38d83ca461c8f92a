"""Whether a str may be read as the path of a file on this machine.

A model of pictures takes paths. A question that came over the network is no path: it must not tell
which files are here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_closed: ContextVar[bool] = ContextVar("_closed", default=False)


@contextmanager
def no_local_files() -> Iterator[None]:
    """Let no model read files by their paths, in this thread."""
    token = _closed.set(True)
    try:
        yield
    finally:
        _closed.reset(token)


def may_read_files() -> bool:
    """Whether paths may be read now."""
    return not _closed.get()
