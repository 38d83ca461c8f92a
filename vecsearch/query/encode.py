"""Queries, texts or vectors, as vectors to compare with stored ones."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Vectors
from vecsearch.common.lazy import lazy
from vecsearch.common.show import shown
from vecsearch.embedders.stored import Model
from vecsearch.errors import EmbedderError, InvalidInputError, NoEmbedderError
from vecsearch.index.kernels.loader import LOADER
from vecsearch.index.kernels.numpy_scores import squares
from vecsearch.ingest.fitness import Fitness
from vecsearch.query.highlight import Question
from vecsearch.query.vectors import many_queries, one_query
from vecsearch.storage.manifest import Manifest
from vecsearch.types import Metric, counted

LARGEST_SQUARE = float(np.finfo(np.float32).max)  # of a vector's length
NOT_FINITE = "has a NaN or an infinite number, or numbers or squares too large for float32"
VECTOR_HINT = (
    "give numbers, written '[0.1, 0.2, ...]', or make a collection of texts with "
    "`vecsearch ingest --embedder`"
)
ZERO = "is a zero vector: it has no direction, so no cosine"


class QueryEncoder:
    """Converts, checks, embeds, projects and normalizes the queries of one version. Thread-safe."""

    def __init__(self, manifest: Manifest, model: Model | None) -> None:
        self.manifest = manifest
        self._model = model
        self._dim = manifest.dim
        self._full_dim = 0 if manifest.embedder is None else manifest.embedder.full_dim
        self._metric = manifest.metric
        self._cosine = manifest.metric is Metric.COSINE
        # A model that looks vectors up by id reads no sentences.
        reads = manifest.text_columns and not manifest.embeds_ids
        self._reader = model if reads else None
        # A cosine needs the direction only, so its queries may be as long as float32 can hold.
        self._largest_square = float("inf") if self._cosine else LARGEST_SQUARE

    def encode(self, query: Any) -> Vectors:
        """One query as float32 (dim,), of unit length for cosine.

        Args:
            query: A vector of `dim` numbers (or of the embedder's full dimension, which is then
                projected), or anything else that the embedder takes.

        Raises:
            InvalidInputError: For a vector of another size, without a direction or not finite.
            NoEmbedderError: If the query is not a vector and there is no embedder.
        """
        if type(query) is not np.ndarray or query.dtype != np.float32:
            query = one_query(query)
        if type(query) is np.ndarray:
            vector = np.ascontiguousarray(query)
            if vector.ndim == 2 and len(vector) == 1:
                vector = vector[0]
        else:
            if isinstance(query, str) and not query.strip():
                raise InvalidInputError("the query is an empty text")
            vector = np.ascontiguousarray(self.embed([query])[0], np.float32)
        if vector.shape != (self._dim,):
            if not self._full_dim or vector.shape != (self._full_dim,):
                raise InvalidInputError(
                    f"the query has shape {vector.shape}; "
                    f"vectors of this collection have {counted(self._dim, 'number')}"
                )
            vector = np.ascontiguousarray(self._project(vector[None])[0], np.float32)
        unit, square = unit_of(vector)
        if not square < self._largest_square:
            raise InvalidInputError(f"the query vector {NOT_FINITE}")
        if not self._cosine:
            return vector
        if square == 0:
            raise InvalidInputError(f"the query {ZERO}")
        return unit

    def encode_many(self, queries: Any) -> Vectors:
        """Many queries as float32 (number of queries, dim), each as `encode` gives it.

        Args:
            queries: A float (number of queries, dim) array, or a list of vectors, or a list of what
                the embedder takes.

        Raises:
            InvalidInputError: As `encode`; the message names the query's number, from 0.
            NoEmbedderError: If the queries are not vectors and there is no embedder.
        """
        matrix = self._matrix(queries)
        if len(matrix) == 0:
            return np.empty((0, self._dim), np.float32)
        if matrix.ndim == 2 and 0 < matrix.shape[1] == self._full_dim != self._dim:
            matrix = self._project(matrix)
        if matrix.ndim != 2 or matrix.shape[1] != self._dim:
            raise InvalidInputError(
                f"the queries have shape {matrix.shape}; expected (number of queries, {self._dim})"
            )
        units, sums = units_of(matrix) if self._cosine else (matrix, squares(matrix))
        _refuse(~(sums < self._largest_square), f"the query vector {NOT_FINITE}")
        _refuse((sums == 0) & self._cosine, f"the query {ZERO}")
        return units

    def question(self, query: Any, vector: Vectors | None) -> Question:
        """What a search was for, with which its hits say what they have in common with it."""
        text = query if isinstance(query, str) else ""
        return Question(text, vector, self._reader, self._metric)

    def embed(self, queries: Sequence[Any]) -> Vectors:
        """Vectors of texts, or what else the embedder takes: float32 (number of queries, dim)."""
        if self._model is None:
            for query in queries:
                if not isinstance(query, str | np.ndarray):
                    raise InvalidInputError(
                        f"the query is {shown(query)}, which is no vector: "
                        "give a list or array of numbers"
                    )
            raise NoEmbedderError(
                "this collection has no embedder, so it is searched by vector",
                hint=f"give a list or array of {counted(self._dim, 'number')}, or embed the text "
                "with the "
                "model that made the vectors",
                command_hint=VECTOR_HINT,
            )
        for number, query in enumerate(queries):
            if isinstance(query, str) and not query.strip():
                raise InvalidInputError(f"query {number} is an empty text")
        vectors = self._model.embed_queries(queries)
        warning = self._fitness.about_queries(queries)
        if warning is not None:
            warnings.warn(warning, stacklevel=2)
        finite = np.isfinite(vectors).all(axis=1)
        if not finite.all():
            number = int(np.argmin(finite))
            raise EmbedderError(
                "the model returned a vector with a NaN or an infinite number for the query "
                f"{shown(queries[number])}"
            )
        return vectors

    @lazy
    def _fitness(self) -> Fitness:
        return Fitness(self._model)

    @property
    def embedder(self) -> Any:
        """The model itself; None if there is none. Raises what loading it does."""
        return None if self._model is None else self._model.embedder

    def _matrix(self, queries: Any) -> Vectors:
        prepared = many_queries(queries)
        if not len(prepared):
            return np.empty((0, self._dim), np.float32)
        return prepared if isinstance(prepared, np.ndarray) else self.embed(prepared)

    def _project(self, vectors: Vectors) -> Vectors:
        assert self._model is not None
        return self._model.project(vectors)


def unit_of(vector: Vectors) -> tuple[Vectors, float]:
    """A vector, float32 (dim,), at length 1, and the square of its length.

    Both are the same to the last bit with and without compiled code, and in a batch.
    """
    kernels = LOADER.module
    if kernels is None:
        units, sums = units_of(vector[None])
        return units[0], float(sums[0])
    unit = np.empty(len(vector), np.float32)
    return unit, kernels.unit(vector, unit)


def units_of(vectors: Vectors) -> tuple[Vectors, npt.NDArray[np.float64]]:
    """`unit_of` for many: float32 (nq, dim) at length 1, and the squares, float64 (nq,)."""
    kernels = LOADER.module
    if kernels is not None:
        vectors = np.ascontiguousarray(vectors)
        units = np.empty_like(vectors)
        return units, np.array([kernels.unit(*pair) for pair in zip(vectors, units, strict=True)])
    sums = squares(vectors)
    with np.errstate(all="ignore"):
        inverse = 1.0 / np.sqrt(sums)
        return (vectors.astype(np.float64) * inverse[:, None]).astype(np.float32), sums


def _refuse(wrong: npt.NDArray[np.bool_], message: str) -> None:
    if wrong.any():
        raise InvalidInputError(f"query {int(np.argmax(wrong))}: {message}")
