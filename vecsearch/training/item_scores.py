"""How items speak for each other, by the ordinary methods of recommendation, as products.

Each method is a matrix M: a history of items i with weights w scores item j by sum_i w_i M[i, j].
`Factors` are M = Q D^T, exactly or cut to the dimensions that carry most. What M says of an item
and itself (its diagonal) does not matter: items of the history are not recommended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from vecsearch.training.sessions import Floats, Sessions

LARGEST_GRAM = 4096  # sessions or items, whichever are fewer, up to which nothing is cut
LARGEST_DENSE = 2048  # items up to which a matrix is decomposed as a whole
OVERSAMPLE, ROUNDS = 16, 2  # of the randomized decomposition
SMALLEST = 1e-10  # of the largest singular value: below, it is rounding


@dataclass(frozen=True)
class Factors:
    """A matrix M of item by item as Q D^T.

    Attributes:
        queries: float64 (items, dim): Q, for items of a history.
        documents: float64 (items, dim): D, for items to recommend.
        exact: Whether nothing of M was cut.
    """

    queries: Floats
    documents: Floats
    exact: bool = True


@dataclass(frozen=True)
class Spectrum:
    """The eigenvalues of X^T X, largest first, and their eigenvectors.

    Attributes:
        values: float64 (rank,).
        vectors: float64 (items, rank).
        exact: Whether these are all that are not 0.
    """

    values: Floats
    vectors: Floats
    exact: bool


def spectrum(matrix: Any, dim: int, seed: int) -> Spectrum:
    """The spectrum of X^T X.

    All of it, if there are at most `LARGEST_GRAM` sessions or items; else the `dim` largest values,
    by randomized subspace iteration (Halko, Martinsson and Tropp, SIAM Review 2011), so that memory
    grows with items * dim and not with the square of the items.

    Args:
        matrix: X, sessions by items, as scipy.sparse has it.
        dim: How many eigenvalues to find if not all.
        seed: Seed of the random start.
    """
    sessions, items = matrix.shape
    if min(sessions, items) > LARGEST_GRAM:
        _, singular, right = _randomized_svd(matrix, dim, seed)
        return Spectrum(singular**2, right, False)
    if sessions <= items:
        values, vectors = np.linalg.eigh((matrix @ matrix.T).toarray())
    else:
        values, vectors = np.linalg.eigh((matrix.T @ matrix).toarray())
    keep = np.flatnonzero(values > SMALLEST * values[-1])[::-1]
    values = values[keep]
    kept = vectors[:, keep]
    return Spectrum(values, matrix.T @ kept / np.sqrt(values) if sessions <= items else kept, True)


def ease_factors(found: Spectrum, penalty: float, dim: int) -> Factors:
    """EASE, the closed-form linear autoencoder.

    Steck, "Embarrassingly Shallow Autoencoders for Sparse Data" (WWW 2019): with
    P = (X^T X + penalty I)^-1, B[i, j] = -P[i, j] / P[j, j] where i is not j. By the eigenvalues e
    and eigenvectors V of X^T X, -P[i, j] is 1 / penalty times the entry of V diag(e / (e +
    penalty)) V^T, so B is a product of two matrices with as many columns as X has rank.

    Args:
        found: The spectrum of X^T X.
        penalty: The strength of the L2 penalty, above 0.
        dim: Dimensions to keep.
    """
    kept = found.values / (found.values + penalty)
    own = 1.0 - np.square(found.vectors) @ kept  # penalty * P[j, j]
    vectors = found.vectors[:, :dim] * np.sqrt(kept[:dim])
    exact = found.exact and len(kept) <= dim
    return Factors(vectors, vectors / np.maximum(own, SMALLEST)[:, None], exact)


def knn_factors(matrix: Any, shrinkage: float, dim: int, seed: int) -> Factors:
    """Item-kNN with all neighbors: the cosine of two items' columns, shrunk where they are short.

    With c[i, j] for the cells of X^T X, M[i, j] = c[i, j] / sqrt((c[i, i] + shrinkage) *
    (c[j, j] + shrinkage)). (Sarwar et al., "Item-based collaborative filtering recommendation
    algorithms", WWW 2001; the shrinkage stands under the root, so that M is a product.)

    Args:
        matrix: X, sessions by items.
        shrinkage: 0 or more.
        dim: Dimensions to keep.
        seed: Seed of the decomposition of large matrices.
    """
    from scipy.sparse import diags_array

    lengths = np.asarray(matrix.multiply(matrix).sum(axis=0)).ravel() + shrinkage
    scale = np.where(lengths > 0, 1.0 / np.sqrt(np.where(lengths > 0, lengths, 1.0)), 0.0)
    found = spectrum((matrix @ diags_array(scale)).tocsr(), dim, seed)
    vectors = found.vectors[:, :dim] * np.sqrt(found.values[:dim])
    return Factors(vectors, vectors, found.exact and len(found.values) <= dim)


def sequence_matrix(sessions: Sessions, window: int, backward: float, popularity: float) -> Any:
    """Co-occurrence by distance: how often j came soon after i.

    M[i, j] is the sum over all pairs of i and a later j in a session, at most `window` places
    apart, of 1 / distance; `backward` times that for pairs where j came before. It is divided by
    (how often j occurs) ** popularity. Rows of a session multiply their weights.

    Returns a scipy.sparse.csr_array of float64 (items, items).
    """
    from scipy.sparse import csr_array, diags_array

    rows, columns, values = [], [], []
    same, items, weights = sessions.session, sessions.items, sessions.weights
    for distance in range(1, window + 1):
        together = same[distance:] == same[:-distance]
        if not together.any():
            break
        before, after = items[:-distance][together], items[distance:][together]
        value = (weights[:-distance] * weights[distance:])[together] / distance
        rows.append(before)
        columns.append(after)
        values.append(value)
        if backward:
            rows.append(after)
            columns.append(before)
            values.append(value * backward)
    size = len(sessions.keys)
    listed = (np.concatenate(rows), np.concatenate(columns)) if rows else ([], [])
    counted = csr_array((np.concatenate(values) if values else [], listed), shape=(size, size))
    occurs = np.maximum(np.bincount(items, minlength=size), 1)
    return (counted @ diags_array(occurs ** -float(popularity))).tocsr()


def svd_factors(matrix: Any, dim: int, seed: int) -> Factors:
    """The best factors of a matrix of items by items: its singular value decomposition.

    Args:
        matrix: Items by items, as scipy.sparse has it.
        dim: Dimensions to keep.
        seed: Seed of the decomposition of large matrices.
    """
    if matrix.shape[0] <= LARGEST_DENSE:
        left, singular, right = np.linalg.svd(matrix.toarray())
        rank = int((singular > SMALLEST * max(singular[0], SMALLEST)).sum()) or 1
        keep = min(rank, dim)
        left, singular, right = left[:, :keep], singular[:keep], right[:keep].T
        exact = rank <= dim
    else:
        left, singular, right = _randomized_svd(matrix, dim, seed)
        exact = False
    root = np.sqrt(singular)
    return Factors(left * root, right * root, exact)


def _randomized_svd(matrix: Any, dim: int, seed: int) -> tuple[Floats, Floats, Floats]:
    """The `dim` largest singular values of a sparse matrix, with their vectors as columns."""
    width = min(dim + OVERSAMPLE, *matrix.shape)
    matrix = matrix.astype(np.float32)  # what is stored in the end
    start = np.random.default_rng(seed).standard_normal((matrix.shape[1], width), np.float32)
    basis = np.linalg.qr(matrix @ start)[0]
    for _ in range(ROUNDS):
        basis = np.linalg.qr(matrix @ np.linalg.qr(matrix.T @ basis)[0])[0]
    left, singular, right = np.linalg.svd(np.asarray((matrix.T @ basis).T), full_matrices=False)
    keep = min(dim, int((singular > SMALLEST * max(singular[0], SMALLEST)).sum()) or 1)
    found = basis @ left[:, :keep], singular[:keep], right[:keep].T
    one, values, other = (np.asarray(each, np.float64) for each in found)
    return one, values, other
