"""Compiled judgment of candidates that FAISS listed; `query/listed.py` holds the same in numpy."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import types

from vecsearch.index.kernels.arguments import AGAIN, NONE_FOUND, TOO_FEW, UNSURE
from vecsearch.index.kernels.compiled import EXACT, entry_point
from vecsearch.index.kernels.numba_scores import after_contrast, higher_stage, rank, score_of
from vecsearch.index.kernels.numba_types import DOUBLES, INT64, QUERY, REQUEST


def _judge(
    query: Any,
    listed: Any,
    near: Any,
    stage: Any,
    n: Any,
    mean: Any,
    deviation: Any,
    request: Any,
    positions: Any,
    distances: Any,
    rows: Any,
    scores: Any,
) -> Any:
    effort, following = request.effort, higher_stage(stage, request.effort.sizes)
    score, contrast, there, count = np.inf, np.inf, 0, 0
    for place in range(listed.shape[0]):
        there += listed[place] >= 0
        count += near[place] < NONE_FOUND
    if deviation > 0:
        place = effort.rank - 1
        while place < listed.shape[0] and listed[place] < 0:
            place += 1
        if place < listed.shape[0]:
            score = score_of(query, listed[place], request)
            contrast = (score - mean) / deviation
        elif there < n:
            contrast = -np.inf
    after = after_contrast(stage, following, score, contrast, effort)
    if after < 0:
        return after
    if after > stage:
        return AGAIN - after
    matching, early, mask = 0, 0, request.mask
    for place in range(listed.shape[0]):
        row = listed[place]
        if row >= 0 and (mask.shape[0] == 0 or mask[row]):
            positions[matching], distances[matching] = row, near[place]
            matching += 1
            early += place < request.candidate_window
    if early < request.enough:
        return TOO_FEW
    listing = positions[:matching], distances[:matching], positions[:0]
    found = rank(query, *listing, count == n, request, rows, scores)
    return AGAIN - following if found == UNSURE else found


judge = entry_point(
    numba.njit(
        types.int64(
            *(QUERY, INT64, DOUBLES, types.int64, types.int64, types.float64, types.float64),
            *(REQUEST, INT64, DOUBLES, INT64, DOUBLES),
        ),
        **EXACT,
    )(_judge)
)
"""judge(*arguments), those of `_judge`: what the candidates of one query say.

Args:
    query: float32 (dim,).
    listed: Positions of the candidates, nearest first, -1 for deleted rows and for none, int64.
    near: Their distances, float64, NONE_FOUND where there is none.
    stage: The effort's place.
    n: Rows in the index.
    mean, deviation: Of the query's scores with all rows; a deviation of 0 if not known.
    request: A `Request`; its map of rows and its rows outside with codes are not looked at.
    positions, distances: Room for as many as `listed`, int64 and float64.
    rows, scores: The hits, int64 and float64.

Returns:
    How many hits; TOO_FEW, FAR or UNSURE as `numba_hnsw.search`; or AGAIN less the stage to search
    with next, which is the number of stages if none is left.
"""
