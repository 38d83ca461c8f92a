"""How far a candidate stands out from the rows at large, seen from one query.

The scores of one query with all rows have a mean and a standard deviation. They follow from the
mean of the rows and their variance along each principal axis, so no row is looked at:

    cosine, inner product    mean q·m            variance Σ v_i (q·p_i)² + r (|q|² - Σ (q·p_i)²)
    l2                       mean -(|q-m|² + t)  variance the same of q-m, times 4, plus w

where m is the mean of the rows, p_i are the axes that the index keeps and v_i the variances along
them, r is the mean variance along the other axes, and t and w are mean and variance of the squared
distance of rows from m. Contrast is how many standard deviations the score of a candidate lies
above the mean. It tells easy queries from hard ones: the nearest rows of an ordinary query lie 4 or
5 above it, those of a query between all rows 3, like the nearest of as many random numbers.

The function takes numbers and arrays of one query, and numba compiles it as it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vecsearch.index.kernels.arguments import EUCLIDEAN

SMALLEST = 1e-30


def spread_at_large(code: Any, moments: Any, square: Any, metric: Any) -> Any:
    """Standard deviation of the scores of a query with all rows.

    Args:
        code: Components of the query or, if they are signed bytes, its code; see `Moments`.
        moments: Of the rows.
        square: |q|², or |q-m|² for `EUCLIDEAN`.
        metric: INNER_PRODUCT, COSINE or EUCLIDEAN.
    """
    variance, kept = 0.0, 0.0
    for place in range(len(moments.variances)):
        part = (code[place] - moments.offsets[place]) * moments.unit
        kept += part * part
        variance += moments.variances[place] * (part * part)
    variance += moments.rest * max(square - kept, 0.0)
    if metric == EUCLIDEAN:
        variance = 4.0 * variance + moments.own_variance
    return np.sqrt(max(variance, SMALLEST))
