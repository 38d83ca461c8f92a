"""Queries as codes of signed bytes, the same whatever computes them.

A query is projected in float32. The sum depends on the order of its terms, so where it lies within
its rounding error of a border between two codes, it is computed again in float64. Thus one query
and a batch, numpy and compiled code all get the same code.
"""

from __future__ import annotations

import math

import numpy as np

from vecsearch.common.arrays import Vectors

LIMIT = np.float32(127)  # codes run from -127 to 127
UNIT_ROUNDOFF = 2.0**-24  # of float32


def rounding_error(matrix: Vectors) -> float:
    """Bound of the float32 rounding error of `matrix @ vector`, for a vector of length 1."""
    longest = float(np.sqrt(np.square(matrix, dtype=np.float64).sum(axis=1).max(initial=0.0)))
    return UNIT_ROUNDOFF * (3 + math.sqrt(matrix.shape[1]) / 6) * longest


def encode_queries(
    queries: Vectors, matrix: Vectors, offset: Vectors, rounding: float, center_length: float
) -> Vectors:
    """Codes of queries.

    Args:
        queries: float32 (nq, dim).
        matrix, offset, rounding, center_length: As in `arguments.Codes`.

    Returns:
        Whole numbers from -127 to 127, float32 (nq, code bytes).
    """
    if len(queries) == 1:  # the same product without the cost of a matrix product
        query = queries[0]
        values: Vectors = matrix.dot(query)[None]
        length = math.sqrt(query.dot(query))
    else:
        values = queries @ matrix.T
        length = math.sqrt(np.einsum("ij,ij->i", queries, queries).max(initial=0.0))
    values += offset
    codes = np.rint(values)
    values -= codes
    np.abs(values, out=values)
    border = 0.5 - rounding * (length + center_length)
    if values.max(initial=0.0) > border:
        number, row = np.nonzero(values > border)
        exact = np.einsum(
            "ij,ij->i", matrix[row].astype(np.float64), queries[number].astype(np.float64)
        )
        codes[number, row] = np.rint(exact + offset[row])
    np.maximum(codes, -LIMIT, out=codes)
    np.minimum(codes, LIMIT, out=codes)
    return codes
