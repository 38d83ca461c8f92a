"""What follows a search with one of the efforts of a ladder.

The functions take numbers and arrays of one query, and numba compiles them as they are.
"""

from __future__ import annotations

from typing import Any

from vecsearch.index.kernels.arguments import FAR, UNSURE


def next_stage(stage: Any, sizes: Any) -> Any:
    """The stage after one whose candidates were too few: the first with half as many more."""
    following = stage + 1
    while following < len(sizes) - 1 and 2 * sizes[following] < 3 * sizes[stage]:
        following += 1
    return following


def stage_after(stage: Any, following: Any, score: Any, contrast: Any, effort: Any) -> Any:
    """What a query's contrast says of the search with one effort.

    Args:
        stage: The effort's place among `effort.sizes`.
        following: The stage after it if the query is too far for this one, by `next_stage`.
        score: Of the candidate of rank `effort.rank`; infinite if there is none.
        contrast: How far that score stands out; infinite if not known.
        effort: An `Effort`.

    Returns:
        `stage` if its candidates are to be scored, the stage to search with next, FAR or UNSURE.
    """
    last = len(effort.sizes) - 1
    if score < effort.farthest:
        return FAR if stage >= effort.far_from or stage == last else following
    if not contrast < effort.contrasts[stage]:
        return stage
    if stage == last:
        return UNSURE
    after = stage + 1
    while after < last and contrast < effort.contrasts[after]:
        after += 1
    return after
