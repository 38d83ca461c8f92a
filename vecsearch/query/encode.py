"""Queries, texts or vectors, as vectors to compare with stored ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Vectors
from vecsearch.embedders.stored import Model
from vecsearch.errors import EmbedderError, InvalidInputError
from vecsearch.storage.manifest import Manifest
from vecsearch.types import Metric

# Bounds of the square of a vector's length; below the smallest one it counts as a zero vector.
SMALLEST_SQUARE = float(np.finfo(np.float32).tiny)
LARGEST_SQUARE = float(np.finfo(np.float32).max)
NOT_FINITE = "has a NaN or an infinite number, or numbers too large for float32"
ZERO = "is a zero vector: it has no direction, so no cosine"


class QueryEncoder:
    """Converts, checks, embeds, projects and normalizes the queries of one version. Thread-safe."""

    def __init__(self, manifest: Manifest, model: Model | None) -> None:
        self.manifest = manifest
        self._model = model
        self._dim = manifest.dim
        self._full_dim = 0 if manifest.embedder is None else manifest.embedder.full_dim
        self._cosine = manifest.metric is Metric.COSINE

    def encode(self, query: Any) -> Vectors:
        """One query as float32 (dim,), of unit length for cosine.

        Args:
            query: A vector of `dim` numbers (or of the embedder's full dimension, which is then
                projected), or anything else that the embedder takes.

        Raises:
            InvalidInputError: For a vector of another size, without a direction or not finite.
            EmbedderError: If the query is not a vector and there is no embedder.
        """
        if type(query) is np.ndarray or _is_vector(query):
            vector = np.ascontiguousarray(query, np.float32)
            if vector.shape == (1, self._dim):
                vector = vector[0]
        else:
            if isinstance(query, str) and not query.strip():
                raise InvalidInputError("the query is an empty text")
            vector = self.embed([query])[0]
        if vector.shape != (self._dim,):
            if vector.shape != (self._full_dim,):
                raise InvalidInputError(
                    f"the query has shape {vector.shape}; "
                    f"vectors of this collection have {self._dim} numbers"
                )
            vector = self._project(vector[None])[0]
        # In float64, so that a query has the same length alone and in a batch.
        wide = vector.astype(np.float64)
        square = float(wide.dot(wide))
        if not square < LARGEST_SQUARE:
            raise InvalidInputError(f"the query vector {NOT_FINITE}")
        if not self._cosine:
            return vector
        if square < SMALLEST_SQUARE:
            raise InvalidInputError(f"the query {ZERO}")
        return np.multiply(vector, np.float32(square**-0.5))

    def encode_many(self, queries: Any) -> Vectors:
        """Many queries as float32 (number of queries, dim), each as `encode` gives it.

        Args:
            queries: A float (number of queries, dim) array, or a list of vectors, or a list of what
                the embedder takes.

        Raises:
            InvalidInputError: As `encode`; the message names the query's number, from 0.
            EmbedderError: If the queries are not vectors and there is no embedder.
        """
        if isinstance(queries, str):
            raise InvalidInputError("search_batch takes a list of queries; search takes one")
        matrix = self._matrix(queries)
        if len(matrix) == 0:
            return np.empty((0, self._dim), np.float32)
        if matrix.ndim == 2 and matrix.shape[1] == self._full_dim != self._dim:
            matrix = self._project(matrix)
        if matrix.ndim != 2 or matrix.shape[1] != self._dim:
            raise InvalidInputError(
                f"the queries have shape {matrix.shape}; expected (number of queries, {self._dim})"
            )
        wide = matrix.astype(np.float64)
        squares = np.einsum("ij,ij->i", wide, wide)
        _refuse(~(squares < LARGEST_SQUARE), f"the query vector {NOT_FINITE}")
        if not self._cosine:
            return matrix
        _refuse(squares < SMALLEST_SQUARE, f"the query {ZERO}")
        return np.asarray(matrix * (squares**-0.5).astype(np.float32)[:, None])

    def embed(self, queries: Sequence[Any]) -> Vectors:
        """Vectors of texts, or what else the embedder takes: float32 (number of queries, dim)."""
        if self._model is None:
            raise EmbedderError(
                "this collection has no embedder, so it is searched by vector",
                hint="give a list or array of numbers",
                command_hint="give a vector, written [0.1, 0.2, ...]",
            )
        for number, query in enumerate(queries):
            if isinstance(query, str) and not query.strip():
                raise InvalidInputError(f"query {number} is an empty text")
        return self._model.embed_queries(queries)

    def _matrix(self, queries: Any) -> Vectors:
        if not isinstance(queries, np.ndarray):
            queries = list(queries)
            numbers = _as_numbers(queries)
            if numbers is None and not all(_is_vector(query) for query in queries):
                return self.embed(queries)
            queries = queries if numbers is None else numbers
        try:
            return np.ascontiguousarray(queries, np.float32)
        except ValueError as error:
            raise InvalidInputError(
                f"the queries are not vectors of {self._dim} numbers each: {error}"
            ) from error

    def _project(self, vectors: Vectors) -> Vectors:
        assert self._model is not None
        return self._model.project(vectors)


def _refuse(wrong: npt.NDArray[np.bool_], message: str) -> None:
    if wrong.any():
        raise InvalidInputError(f"query {int(np.argmax(wrong))}: {message}")


def _as_numbers(queries: list[Any]) -> npt.NDArray[Any] | None:
    """Vectors of one length as an array (number of queries, length); None for anything else."""
    if not set(map(type, queries)) <= {list, tuple, np.ndarray}:
        return None
    try:
        numbers = np.asarray(queries)
    except ValueError:  # of different lengths
        return None
    return numbers if numbers.ndim == 2 and numbers.dtype.kind in "fiu" else None


def _is_vector(query: Any) -> bool:
    """Whether a query is a sequence of numbers, and nothing that an embedder takes."""
    if isinstance(query, np.ndarray):
        return query.dtype.kind in "fiu"
    if isinstance(query, str | bytes) or not isinstance(query, Sequence):
        return False
    return len(query) > 0 and all(
        isinstance(value, int | float | np.number) and not isinstance(value, bool)
        for value in query
    )
