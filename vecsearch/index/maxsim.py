"""MaxSim: the similarity of two texts by the vectors of their tokens.

Khattab and Zaharia, "ColBERT: Efficient and Effective Passage Search via Contextualized Late
Interaction over BERT" (SIGIR 2020): each token of the query counts with its most similar token of
the document, and the score is the sum.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import StoredVectors

TOKENS = 1 << 14  # tokens of documents that are compared together


def maxsim(query: StoredVectors, documents: Sequence[StoredVectors]) -> npt.NDArray[np.float64]:
    """The MaxSim of a query with documents: the sum over its tokens of the greatest product.

    Args:
        query: float32 or float64 (tokens, dim).
        documents: The same, each.

    Returns:
        float64, one score a document. A document without tokens scores minus infinity, and all do
        alike with a query without tokens: 0.

    Example:
        >>> query = np.array([[1, 0], [0, 1]], np.float32)
        >>> documents = [np.array([[1, 0]], np.float32), np.array([[0.5, 0], [0, 1]], np.float32)]
        >>> maxsim(query, documents).tolist()
        [1.0, 1.5]
    """
    scores = np.zeros(len(documents))
    if not len(query):
        return scores
    lengths = np.array([len(each) for each in documents], np.int64)
    scores[lengths == 0] = -np.inf
    waiting: list[int] = []
    tokens = 0
    for number in np.flatnonzero(lengths).tolist():
        waiting.append(number)
        tokens += int(lengths[number])
        if tokens >= TOKENS:
            scores[waiting] = _together(query, [documents[each] for each in waiting])
            waiting, tokens = [], 0
    if waiting:
        scores[waiting] = _together(query, [documents[each] for each in waiting])
    return scores


def _together(query: StoredVectors, documents: Sequence[StoredVectors]) -> npt.NDArray[np.float64]:
    starts = np.cumsum([0, *(len(each) for each in documents[:-1])])
    products = query @ np.concatenate(documents).T
    best = np.maximum.reduceat(products, starts, axis=1)
    return np.asarray(best.sum(axis=0, dtype=np.float64))
