"""How kernels are compiled, and called without numba's check of their arguments."""

from __future__ import annotations

from typing import Any

from numba import types

OPTIONS = {"nogil": True, "boundscheck": False, "fastmath": True, "cache": True}
EXACT = OPTIONS | {"fastmath": False}  # where numbers may be infinite, or bits must be equal


def array_type(kind: Any, dimensions: int = 1, *, readonly: bool = False) -> Any:
    return types.Array(kind, dimensions, "C", readonly=readonly)


def entry_point(function: Any) -> Any:
    """The compiled function, without numba's check of argument types."""
    (compiled,) = function.overloads.values()
    return compiled.entry_point
