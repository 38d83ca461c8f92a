"""The types of what compiled code is given: those of `arguments.py`, in numba's terms."""

from __future__ import annotations

from numba import types

from vecsearch.index.kernels.arguments import Codes, Effort, Graph, Moments, Request, Scratch
from vecsearch.index.kernels.compiled import array_type

FLOATS, FLOAT_ROWS = array_type(types.float32), array_type(types.float32, 2)
INT32, INT64, SHORTS, DOUBLES = (
    array_type(kind) for kind in (types.int32, types.int64, types.int16, types.float64)
)
BYTES, BYTE_ROWS = array_type(types.uint8), array_type(types.uint8, 2)
QUERY, QUERIES = (array_type(types.float32, number, readonly=True) for number in (1, 2))
MOMENTS = types.NamedTuple((FLOATS, DOUBLES, DOUBLES, *([types.float64] * 4)), Moments)
CODES = types.NamedTuple(
    (FLOAT_ROWS, FLOATS, types.float64, types.float64, BYTE_ROWS, MOMENTS), Codes
)
GRAPH = types.NamedTuple((INT32, INT64, INT64, types.int64, types.int64, BYTE_ROWS), Graph)
EFFORT = types.NamedTuple(
    (INT64, DOUBLES, types.int64, types.float64, types.int64, types.float64), Effort
)
REQUEST = types.NamedTuple(
    (
        *(INT32, array_type(types.boolean), INT64, BYTE_ROWS, INT32, INT64, INT64),
        *(types.int64, EFFORT, types.int64, types.int64, types.int64),
    ),
    Request,
)
SCRATCH = types.NamedTuple(
    (SHORTS, INT64, BYTES, INT64, INT32, *([INT64] * 4), FLOAT_ROWS, BYTES, FLOATS, FLOAT_ROWS),
    Scratch,
)
