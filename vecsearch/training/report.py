"""How trainers make their reports: the mean of a measure for each method, with its interval."""

from __future__ import annotations

import numpy.typing as npt

from vecsearch.embedders.report import MethodScore, TrainingReport
from vecsearch.evaluation.metrics import bootstrap_interval

__all__ = ["MethodScore", "TrainingReport", "method_score"]
CONFIDENCE = 0.95


def method_score(method: str, values: npt.ArrayLike, *, seed: int = 0) -> MethodScore:
    """The mean of a measure over the held-out units, with its 95% bootstrap interval.

    Args:
        method: The name of the method.
        values: One value for each independent unit that was held out, such as a document, a
            session or a pair: float, shape (n,). All methods must have the same units.
        seed: Seed of the resampling.

    Returns:
        The score.

    Raises:
        InvalidInputError: There is no value, or one is not finite.

    Example:
        >>> method_score("word2vec", [1, 0, 1, 1])
        MethodScore(method='word2vec', value=0.75, low=0.25, high=1.0)
    """
    import numpy as np

    low, high = bootstrap_interval(values, CONFIDENCE, seed=seed)
    return MethodScore(method, float(np.mean(np.asarray(values, dtype=np.float64))), low, high)
