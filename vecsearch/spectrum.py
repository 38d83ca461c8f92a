"""How many principal components an index needs, looked up in the data instead of guessed from the dimension.

What matters is not how much variance the components keep but whether the rows they propose hold the true neighbours: half of
the variance of clusters is often enough, and 80% of that of noise is not. So it is measured, on a sample.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vecsearch.exact import Scores
from vecsearch.principal import principal_axes
from vecsearch.recipe import REDUCED_STEP

SAMPLE_ROWS = 8_192
QUERIES = 256
TOP = 10  # the true neighbours looked for
WITHIN = 15  # among so many rows that the components propose
WANTED = 0.97  # at this share of them; 50,000 sentence vectors of 384 dimensions then get the 192 that tuning had found


def components_needed(sample: Scores, metric: str) -> int:
    """The fewest components, a multiple of 32 or the whole dimension, whose nearest 15 rows hold 97% of the true nearest 10.

    sample: float32 (rows, dim), in random order: the first rows are asked for their neighbours among the others. The sample is
    thinner than the collection, whose neighbours lie closer together: take the result as a first choice, to be measured.
    """
    dim = int(sample.shape[1])
    asked = min(QUERIES, len(sample) // 4)
    if len(sample) - asked <= WITHIN or dim <= REDUCED_STEP:
        return dim
    rotated = _rotated(sample, centred=metric != "ip")
    queries, rows = rotated[:asked], rotated[asked:]
    true = _top(queries @ rows.T - _penalty(rows, metric), TOP)
    scores = np.zeros((asked, len(rows)), np.float32)
    for first in range(0, dim, REDUCED_STEP):
        block = slice(first, first + REDUCED_STEP)
        scores += queries[:, block] @ rows[:, block].T - _penalty(rows[:, block], metric)
        found = _top(scores, WITHIN)
        if (true[:, :, None] == found[:, None, :]).any(axis=2).mean() >= WANTED:
            return min(first + REDUCED_STEP, dim)
    return dim


def _rotated(sample: Scores, *, centred: bool) -> Scores:
    """The sample in its principal components, those with most variance first."""
    centre, _, axes = principal_axes(sample, centred=centred)
    rotated: Scores = np.ascontiguousarray((sample - centre) @ axes.T, np.float32)
    return rotated


def _penalty(rows: Scores, metric: str) -> Scores:
    """What makes an inner product rank as a distance does."""
    zero = np.zeros(len(rows), np.float32)
    return zero if metric == "ip" else np.square(rows).sum(axis=1) / 2


def _top(scores: Scores, count: int) -> npt.NDArray[np.int64]:
    best: npt.NDArray[np.int64] = np.argpartition(-scores, count, axis=1)[:, :count]
    return best
