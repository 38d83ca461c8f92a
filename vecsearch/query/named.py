"""Search by named vectors: every selected document is scored.

Documents with several vectors are compared by MaxSim (`index/maxsim.py`), in float64.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Any

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Positions, Vectors
from vecsearch.common.deadline import check_time
from vecsearch.common.show import shown
from vecsearch.common.suggest import did_you_mean
from vecsearch.embedders.named_vectors import SUFFIX, NamedModels
from vecsearch.errors import EmbedderError, InvalidInputError
from vecsearch.index.kernels.numpy_scores import final_scores
from vecsearch.index.maxsim import maxsim
from vecsearch.index.scorer import CODES
from vecsearch.query.modes import without
from vecsearch.query.paths import Found
from vecsearch.query.ranking import ScoredRanking
from vecsearch.query.request import Request
from vecsearch.query.vectors import is_picture
from vecsearch.storage.named_vectors import VectorColumn, matrix_of, vector_columns
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import Metric, Plan, counted

ROWS = 8192  # that are read together


class NamedSearch:
    """Searches one version by the vectors of a name.

    Args:
        snapshot: The version.
        using: The name, as the caller gave it.
        models: Embed texts.

    Raises:
        InvalidInputError: There are no vectors of this name.
    """

    def __init__(self, snapshot: Snapshot, using: Any, models: NamedModels) -> None:
        columns = vector_columns(snapshot.manifest.schema)
        if isinstance(using, list | tuple) and len(using) == 1:
            using = using[0]
        name = using if isinstance(using, str) else ""
        name = name if name in columns else f"{name}{SUFFIX}"
        if name not in columns:
            if not columns:
                raise InvalidInputError(
                    "using= is for searches by words, and for named vectors, and the collection "
                    "has none",
                    hint='give mode="text" or mode="hybrid" too',
                    command_hint="give --mode text or --mode hybrid too",
                )
            raise InvalidInputError(
                f"there are no vectors called {shown(using)}{did_you_mean(using, list(columns))}"
            )
        self.snapshot, self.name, self.column = snapshot, name, columns[name]
        self._models = models

    def encode(self, query: Any) -> Vectors:
        """A query as float32 (dim,), or with several vectors float32 (number, dim).

        Raises:
            InvalidInputError: It is no query for these vectors.
            EmbedderError: It is a text, and no model makes these vectors.
        """
        column = self.column
        if isinstance(query, str):
            if not query.strip():
                raise InvalidInputError("the query is an empty text")
            if column.embedder is None:
                raise EmbedderError(
                    f"the vectors {self.name!r} were given, so they are searched by vectors",
                    hint=f"give {self._wanted()}",
                    command_hint="",
                )
            query = self._models.query(column, query)
        elif column.embedder is not None and not column.multi and is_picture(query):
            query = self._models.query(column, query)
        try:
            vectors = np.asarray(query)
        except ValueError:  # rows of several lengths
            vectors = np.empty(0, object)
        shape = vectors.shape[1:] if column.multi else vectors.shape
        is_right = vectors.ndim == 1 + column.multi and shape == (column.dim,) and vectors.size
        if vectors.dtype.kind not in "fiu" or not is_right:
            raise InvalidInputError(f"the query is {shown(query)}; it must be {self._wanted()}")
        with np.errstate(over="ignore"):
            vectors = np.ascontiguousarray(vectors, np.float32)
            squares = np.square(vectors).sum(axis=-1)
        if not np.isfinite(squares).all():
            raise InvalidInputError("the query has a number that is NaN, infinite or too large")
        if column.metric is Metric.COSINE and not squares.all():
            raise InvalidInputError("the query is a zero vector: it has no direction, so no cosine")
        return vectors

    def encode_many(self, queries: Any) -> list[Vectors]:
        """Many queries, each as `encode` gives it. Raises InvalidInputError that says which."""
        found = []
        for number, query in enumerate(listed_queries(queries)):
            try:
                found.append(self.encode(query))
            except InvalidInputError as error:
                raise InvalidInputError(f"query {number}: {error.message}") from error
        return found

    def _wanted(self) -> str:
        numbers = counted(self.column.dim, "number")
        return f"a list of vectors of {numbers}" if self.column.multi else f"a vector of {numbers}"

    def ranking(self, query: Vectors, request: Request) -> ScoredRanking:
        """All selected rows that have such vectors, best first."""
        selection = request.selection
        if request.excluded is not None:
            selection = without(selection, request.excluded, self.snapshot.rows)
        rows, scores = self._scores(query, selection.rows)
        order = np.lexsort((rows, -scores))
        how = "MaxSim with " if self.column.multi else ""
        plan = Plan("exact", f"{how}{self.name!r}, which has no index", len(rows))
        if not len(rows):
            plan = Plan("empty", f"no row that matches has {self.name!r}", 0)
        return ScoredRanking(Found(rows[order], scores[order].astype(np.float32), plan))

    def _scores(self, query: Vectors, rows: Positions) -> tuple[Positions, npt.NDArray[np.float64]]:
        """The rows that have such vectors, and their scores."""
        kept, scores = [np.empty(0, np.int64)], [np.empty(0)]
        for first in range(0, len(rows), ROWS):
            check_time()
            part = rows[first : first + ROWS]
            array = self.snapshot.take_stored([self.name], part).column(0)
            present = array.is_valid().to_numpy(zero_copy_only=False)
            array, part = array.drop_null(), part[present]
            if self.column.multi:
                found = _maxsim_of(query, array, self.column)
            else:
                matrix = matrix_of(array, self.column.dim)
                found = final_scores(matrix, query, CODES[self.column.metric])
            if self.column.multi:  # some may have an empty list
                has_any = found != -np.inf
                part, found = part[has_any], found[has_any]
            kept.append(part)
            scores.append(found)
        return np.concatenate(kept), np.concatenate(scores)


def _maxsim_of(query: Vectors, array: Any, column: VectorColumn) -> npt.NDArray[np.float64]:
    """The MaxSim of rows; minus infinity for a row without vectors."""
    wide = matrix_of(array.flatten(), column.dim).astype(np.float64)
    asked = query.astype(np.float64)
    if column.metric is Metric.COSINE:
        wide /= np.linalg.norm(wide, axis=1, keepdims=True)
        asked /= np.linalg.norm(asked, axis=1, keepdims=True)
    counts = np.array(array.value_lengths().to_numpy(zero_copy_only=False), np.int64)
    return maxsim(asked, np.split(wide, np.cumsum(counts)[:-1]) if len(counts) else [])


def listed_queries(queries: Any) -> list[Any]:
    """Queries one by one. Raises InvalidInputError for what is one query, or none."""
    if isinstance(queries, str | bytes | Mapping | Set) or not isinstance(queries, Iterable):
        raise InvalidInputError(
            f"the queries are {shown(queries)}; they must be a list of texts or of vectors"
        )
    return list(queries)


def text_of(query: Any) -> str:
    """The text of a query; empty for a vector."""
    return query if isinstance(query, str) else ""
