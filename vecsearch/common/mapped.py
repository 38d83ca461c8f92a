"""Mapped files of which single places are read: advice to the operating system."""

from __future__ import annotations

import ctypes
import functools
import mmap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

PAGE = mmap.PAGESIZE
WILL_NEED = 3  # MADV_WILLNEED of Linux and macOS
Addresses = npt.NDArray[np.int64]


def map_scattered(path: Path) -> mmap.mmap:
    """Map a file for reads of single places: the system reads no more than the pages touched."""
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if hasattr(mmap, "MADV_RANDOM"):
        mapped.madvise(mmap.MADV_RANDOM)
    return mapped


def will_need(starts: Addresses, stops: Addresses) -> None:
    """Have the system read these ranges of mapped memory, all at once, without waiting.

    A page that is read when it is touched is waited for, one after the other.

    Args:
        starts: Addresses, int64, of mapped files.
        stops: Where each range ends.
    """
    advise = _advise()
    if advise is None or not len(starts):
        return
    first = starts // PAGE * PAGE
    order = np.argsort(first, kind="stable")
    first, last = first[order], np.maximum.accumulate(stops[order])
    new = np.append(True, first[1:] > last[:-1])
    ends = last[np.append(np.flatnonzero(new)[1:] - 1, len(last) - 1)]
    for start, stop in zip(first[new].tolist(), ends.tolist(), strict=True):
        advise(start, stop - start, WILL_NEED)


@functools.cache
def _advise() -> Callable[[int, int, int], int] | None:
    """The system's `madvise`; None where there is none."""
    if not hasattr(mmap, "MADV_WILLNEED"):
        return None
    function = ctypes.CDLL(None).madvise
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return function
