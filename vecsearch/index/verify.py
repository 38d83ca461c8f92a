"""Whether a calibration still holds for an index that grew, checked with a few queries.

Measuring an index at all efforts takes seconds. A check searches for some rows at the efforts that
searches use most, and compares the answers with exact search. It fails only if the recall is below
what the calibration promises by more than chance explains.
"""

from __future__ import annotations

import numpy as np

from vecsearch.common.arrays import Positions, Vectors
from vecsearch.index.calibrate import ONE_SIDED_99
from vecsearch.index.calibration import Calibration, OperatingPoint
from vecsearch.index.faiss import FaissIndex
from vecsearch.index.ruler import found_within
from vecsearch.index.scorer import VectorScorer
from vecsearch.storage.selection import RowSelection

CHECKED_KS = (1, 10, 100)
CHECKED_RECALLS = (0.9, 0.99)  # and the collection's own target


def still_holds(
    scorer: VectorScorer,
    index: FaissIndex,
    labels: Positions,
    queries: Vectors,
    calibration: Calibration,
    target: float,
    threads: int,
) -> bool:
    """Whether searches of an index reach what a calibration promises.

    Args:
        scorer: Of the snapshot.
        index: The index.
        labels: The position of each of its labels, -1 for a deleted row.
        queries: float32 (nq, dim), not in the index.
        calibration: Of the index before it grew, or of one with the same codes.
        target: The collection's target recall, 0 to 1.
        threads: Threads to search with.
    """
    mask = np.zeros(scorer.snapshot.rows, bool)
    mask[labels[labels >= 0]] = True
    selection = RowSelection(mask, int(np.count_nonzero(mask)))
    points = _points_in_use(calibration, target, selection.count)
    most = max((point.k for point in points), default=1)
    truth = scorer.truth(queries, most, selection, threads)
    row_map = np.append(labels, -1)
    found: dict[tuple[int, int], Positions] = {}
    for point in points:
        key = point.effort, point.depth
        if key not in found:
            found[key] = _candidates(index, queries, point, threads)
        scores = scorer.final_scores(queries, row_map[found[key]])
        recalls = found_within(scores, truth, point.k, [point.depth])[:, 0] / point.k
        chance = ONE_SIDED_99 * float(recalls.std()) / len(recalls) ** 0.5
        if float(recalls.mean()) + chance < point.low:
            return False
    return True


def _candidates(
    index: FaissIndex, queries: Vectors, point: OperatingPoint, threads: int
) -> Positions:
    """Labels of a search at an operating point; one without effort is a scan of all codes."""
    if point.effort:
        return index.estimated(queries, point.depth, point.effort, threads)[0]
    labels = index.by_codes(queries, point.depth, threads)
    assert labels is not None
    return labels


def _points_in_use(calibration: Calibration, target: float, rows: int) -> list[OperatingPoint]:
    """The points that the checked searches would use."""
    points: dict[OperatingPoint, None] = {}
    for k in CHECKED_KS:
        for recall in (target, *CHECKED_RECALLS):
            usable = [
                point for point in calibration.code_points if point.k >= k and point.low >= recall
            ]
            by_codes = min(usable, key=lambda point: point.depth, default=None)
            for point in (calibration.cheapest(k, recall), by_codes):
                if point is not None and point.k <= rows and point.depth <= rows:
                    points[point] = None
    return list(points)
