"""How many hits a query is expected to miss among candidates that were not scored.

Candidates come in the order of their codes, and codes are not exact. Of the candidates that were
scored, the score is fitted to the distance of the codes by a straight line; what is left is the
error of the codes, as this query sees it. A candidate further back then scores like its point on
the line, give or take that error, and the number of candidates further back is extrapolated from
the last of those that were scored: the half, the quarter and so on in which they are most crowded,
as rows may be few up to some distance and many behind it. The expected number that still beats the
k-th best is

    density * spread * g(x),    g(x) = φ(x) - x Q(x),

where x is how many standard deviations the k-th best lies above the line at the last candidate, and
φ and Q are density and upper tail of the normal distribution. So rows that differ much are told
apart after few candidates, and rows that codes cannot tell apart are all scored.

The functions take numbers or arrays, and numba compiles them as they are.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

LEAST = 4  # candidates that a straight line and its error need
SMALLEST = 1e-30
ROOT_TWO_PI = math.sqrt(2 * math.pi)


def first_depth(k: int) -> int:
    """Candidates to score before the first estimate."""
    return max(k + 6, 16)


def next_depth(depth: int) -> int:
    """Candidates to score before the next estimate."""
    return depth + depth // 4 + 1


def allowed_misses(k: int, recall: float) -> float:
    """The expected misses at which scoring stops.

    The estimate is made again and again, and the first one that is low enough counts. That makes it
    too low on average, above all for small k, so only a part of what the recall allows is used:
    a tenth for k = 1, near half for large k.
    """
    return (1 - recall) * k * 0.5 * k / (k + 4)


def crowding(distances: Any, count: Any) -> Any:
    """Candidates for each unit of code distance, where the last of them are most crowded.

    Args:
        distances: Of the candidates, nearest first; numbers, or an array for each candidate.
        count: How many of them were scored, at least 2.
    """
    part, end = count // 2, distances[count - 1]
    most = part / np.maximum(end - distances[count - 1 - part], SMALLEST)
    while part >= 2 * LEAST:
        part //= 2
        width = end - distances[count - 1 - part]
        most = np.maximum(most, (width > 0) * part / np.maximum(width, SMALLEST))
    return most


def expected_misses(
    count: Any, x: Any, y: Any, xx: Any, xy: Any, yy: Any, end: Any, crowded: Any, kth: Any
) -> Any:
    """The expected number of hits behind the candidates that were scored.

    Args:
        count: Candidates scored, at least `LEAST`.
        x, y: Sums over them of code distance and of score.
        xx, xy, yy: Sums of their squares and products.
        end: Code distance of the last one.
        crowded: Candidates for each unit of code distance, by `crowding`.
        kth: Score of the k-th best.

    Returns:
        A number as large as can be where nothing can be said.
    """
    xx, xy, yy = xx - x * x / count, xy - x * y / count, yy - y * y / count
    slope = np.maximum(-xy / np.maximum(xx, SMALLEST), 0.0)
    rest = np.maximum(yy + 2.0 * slope * xy + slope * slope * xx, 0.0)
    spread = np.maximum(np.sqrt(rest / (count - 1)), SMALLEST)
    ahead = (kth - (y + slope * (x - end * count)) / count) / spread
    far = np.minimum(np.abs(ahead), 1e6)
    tail = np.exp(-0.5 * np.minimum(far * far, 1400.0)) / ROOT_TWO_PI
    # Q(x) = φ(x) / (.661 x + .339 √(x² + 5.51)) within 0.3% (Börjesson and Sundberg, 1979)
    beyond = tail * (1.0 - far / (0.661 * far + 0.339 * np.sqrt(far * far + 5.51)))
    beyond = beyond + np.maximum(-ahead, 0.0)
    return crowded / np.maximum(slope, SMALLEST) * spread * beyond
