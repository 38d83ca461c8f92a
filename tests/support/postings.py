"""Lists of postings, as the kernels for search by words take them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from vecsearch.index.kernels import numpy_bm25 as at
from vecsearch.text.postings import Postings


def place_of(
    rows: npt.NDArray[np.uint32],
    values: npt.NDArray[np.uint16] | npt.NDArray[np.float32],
    field: int,
    first: int,
    segment: int,
) -> npt.NDArray[np.int64]:
    """A list in memory: its rows of a segment of so many that begins at `first`."""
    place = np.zeros(at.WIDTH, np.int64)
    place[at.ROWS], place[at.VALUES] = rows.ctypes.data, values.ctypes.data
    place[at.LENGTH], place[at.FIELD] = len(rows), field
    place[at.FIRST], place[at.SEGMENT] = first, segment
    return place


def places_of(postings: Postings) -> npt.NDArray[np.int64]:
    """All lists of a segment that are not empty."""
    values = postings.counts if postings.impacts is None else postings.impacts
    starts, (fields, segment) = postings.starts.tolist(), postings.lengths.shape
    return np.array(
        [
            place_of(postings.rows[a:b], values[a:b], number % fields, 0, segment)
            for number, (a, b) in enumerate(pairwise(starts))
            if a < b
        ],
        np.int64,
    ).reshape(-1, at.WIDTH)
