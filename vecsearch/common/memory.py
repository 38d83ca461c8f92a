"""Give memory back to the system after work that took much of it."""

from __future__ import annotations

import ctypes
import sys


def trim_heap() -> None:
    """Return what was freed: glibc keeps the pages between pieces that are still in use, after an index build two thirds of
    what that took. Nothing happens where the C library is another one."""
    if sys.platform != "linux":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
