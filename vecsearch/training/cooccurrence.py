"""Count how often words occur near each other, and make vectors of the counts (PPMI and SVD)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]
SMOOTHING = 0.75  # of the contexts' frequencies


def vocabulary(documents: Sequence[Sequence[str]], min_count: int) -> tuple[list[str], Ids]:
    """The words that occur often enough, by falling frequency, and how often.

    Words of equal frequency are in the order in which they first occur.
    """
    counts = Counter(word for document in documents for word in document)
    frequent = [(word, count) for word, count in counts.most_common() if count >= min_count]
    return [word for word, _ in frequent], np.array([count for _, count in frequent], np.int64)


def word_ids(documents: Sequence[Sequence[str]], words: Sequence[str]) -> list[Ids]:
    """Each document as the numbers of its known words; the others are left out."""
    row = {word: number for number, word in enumerate(words)}
    return [np.array([row[w] for w in document if w in row], np.int64) for document in documents]


def cooccurrences(documents: Sequence[Ids], size: int, window: int) -> Any:
    """How often words occur near each other: a pair at distance d counts 1/d, in both directions.

    Args:
        documents: Numbers of words, below `size`.
        size: How many words there are.
        window: The largest distance.

    Returns:
        A symmetric scipy CSR matrix, float64, shape (size, size).

    Example:
        >>> cooccurrences([np.array([0, 1, 2])], 3, window=2).toarray()
        array([[0. , 1. , 0.5],
               [1. , 0. , 1. ],
               [0.5, 1. , 0. ]])
    """
    from scipy.sparse import coo_array, csr_array

    flat = np.concatenate([*documents, np.zeros(0, np.int64)])
    origin = np.repeat(np.arange(len(documents)), [len(each) for each in documents])
    total = csr_array((size, size), dtype=np.float64)
    for distance in range(1, min(window, len(flat) - 1) + 1):
        same = origin[distance:] == origin[: len(origin) - distance]
        left, right = flat[: len(flat) - distance][same], flat[distance:][same]
        weights = np.full(len(left), 1 / distance)
        total = total + coo_array((weights, (left, right)), shape=(size, size)).tocsr()
    return (total + total.T).tocsr()


def ppmi_vectors(counts: Any, dim: int) -> npt.NDArray[np.float64]:
    """Vectors of words by positive pointwise mutual information and singular value decomposition.

    Levy, Goldberg and Dagan, "Improving Distributional Similarity with Lessons Learned from Word
    Embeddings" (TACL 2015): contexts smoothed by the power .75, singular values by their root.

    Args:
        counts: What `cooccurrences` returned.
        dim: The most dimensions; there are fewer where there are no more words.

    Returns:
        float64, shape (words, at most dim).
    """
    from scipy.sparse import csr_array

    entries = counts.tocoo()
    rows = np.asarray(counts.sum(axis=1)).ravel()
    contexts = rows**SMOOTHING
    expected = rows[entries.row] * (contexts / contexts.sum())[entries.col]
    values = np.log(entries.data / expected)
    positive = values > 0
    matrix = csr_array(
        (values[positive], (entries.row[positive], entries.col[positive])), shape=counts.shape
    )
    return singular_vectors(matrix, dim)


def singular_vectors(matrix: Any, dim: int) -> npt.NDArray[np.float64]:
    """The left singular vectors of a sparse matrix, times the roots of their singular values."""
    from scipy.sparse.linalg import svds

    kept = min(dim, min(matrix.shape) - 1)
    if kept < 1 or not matrix.nnz:
        return np.ones((matrix.shape[0], 1))
    start = np.random.default_rng(0).random(min(matrix.shape))
    left, values, _ = svds(matrix, k=kept, v0=start)
    return np.asarray(left[:, ::-1] * np.sqrt(np.maximum(values[::-1], 0)))
