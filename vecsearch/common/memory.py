"""Return freed memory to the operating system."""

from __future__ import annotations

import ctypes
import sys


def trim_heap() -> None:
    """Return freed memory of Arrow and of the heap (malloc_trim) to the operating system.

    glibc otherwise keeps about two thirds of what an index build took. Other C libraries are left
    alone.
    """
    arrow = sys.modules.get("pyarrow")
    if arrow is not None:
        arrow.default_memory_pool().release_unused()
    if sys.platform != "linux":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
