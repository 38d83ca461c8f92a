"""Return freed memory to the operating system."""

from __future__ import annotations

import ctypes
import sys


def trim_heap() -> None:
    """Return freed heap pages to the operating system (malloc_trim).

    glibc otherwise keeps about two thirds of what an index build took. Other C libraries are left
    alone.
    """
    if sys.platform != "linux":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
