"""How many threads numpy multiplies matrices with."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np


class _Blas:
    """The library that numpy multiplies matrices with, if it is the OpenBLAS of numpy's wheels."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._before = 1
        self._library: ctypes.CDLL | None = None
        self._is_known = False

    def _find(self) -> ctypes.CDLL | None:
        folder = Path(np.__file__).parent.parent / "numpy.libs"
        with contextlib.suppress(OSError, StopIteration):
            library = ctypes.CDLL(str(next(folder.glob("libscipy_openblas64_*"))))
            if hasattr(library, "scipy_openblas_set_num_threads64_"):
                return library
        return None

    def enter(self) -> None:
        with self._lock:
            if not self._is_known:
                self._library, self._is_known = self._find(), True
            self._users += 1
            if self._library is not None and self._users == 1:
                self._before = int(self._library.scipy_openblas_get_num_threads64_())
                self._library.scipy_openblas_set_num_threads64_(1)

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if self._library is not None and self._users == 0:
                self._library.scipy_openblas_set_num_threads64_(self._before)

    def before_fork(self) -> None:
        self._lock.acquire()

    def after_fork(self) -> None:
        self._lock.release()


_BLAS = _Blas()
# A fork waits while the number of threads is set: the child would find OpenBLAS's own lock taken.
os.register_at_fork(
    before=_BLAS.before_fork,
    after_in_parent=_BLAS.after_fork,
    after_in_child=_BLAS.after_fork,
)


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Multiply small matrices on the thread that asks: several would mostly wait for each other.

    On two cores that others use too, the same products took 4 to 60 times the processor time.
    """
    _BLAS.enter()
    try:
        yield
    finally:
        _BLAS.leave()
