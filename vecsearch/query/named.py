"""Search by named vectors: as by the collection's own, in a view of it (`index/named.py`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from vecsearch.common.arrays import Vectors
from vecsearch.common.show import shown
from vecsearch.common.suggest import did_you_mean
from vecsearch.embedders.named_vectors import SUFFIX, NamedModels
from vecsearch.errors import InvalidInputError, NoEmbedderError
from vecsearch.index.maxsim_scorer import each_of, queries_of
from vecsearch.index.named import NamedSnapshot
from vecsearch.query.maxsim import MaxSimSearcher
from vecsearch.query.paths import Found
from vecsearch.query.ranking import VectorRanking
from vecsearch.query.request import Request
from vecsearch.query.searcher import Searcher
from vecsearch.query.selection import CACHED_FILTERS
from vecsearch.query.vectors import is_picture
from vecsearch.storage.named_vectors import vector_columns
from vecsearch.storage.selection import RowSelection
from vecsearch.types import Metric, counted


class _View(NamedTuple):
    """What searches the vectors of a name, and of row selections the rows that have some."""

    searcher: Searcher | MaxSimSearcher
    selections: dict[RowSelection, RowSelection]


class NamedSearch:
    """Searches one version by the vectors of a name.

    Args:
        whole: The searcher of the version.
        using: The name, as the caller gave it.
        models: Embed texts.

    Raises:
        InvalidInputError: There are no vectors of this name.
    """

    def __init__(self, whole: Searcher, using: Any, models: NamedModels) -> None:
        snapshot = whole.snapshot
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
        self._whole = whole
        self._models = models

    def encode(self, query: Any) -> Vectors:
        """A query as float32 (dim,), or with several vectors float32 (number, dim).

        Raises:
            InvalidInputError: It is no query for these vectors.
            NoEmbedderError: It is a text, and no model makes these vectors.
        """
        column = self.column
        if isinstance(query, str):
            if not query.strip():
                raise InvalidInputError("the query is an empty text")
            if column.embedder is None:
                raise NoEmbedderError(
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

    @property
    def searcher(self) -> Searcher | MaxSimSearcher:
        """What searches them, the same as long as the version is open."""
        return self._view.searcher

    @property
    def _view(self) -> _View:
        made = self._whole.named.get(self.name)
        if made is None:
            shown = NamedSnapshot(self.snapshot, self.name)
            searcher = MaxSimSearcher(shown) if self.column.multi else Searcher(shown)
            made = self._whole.named.setdefault(self.name, _View(searcher, {}))
        view: _View = made
        return view

    def prepared(self, queries: Sequence[Vectors]) -> Any:
        """Queries of `encode` as the searcher takes them: an array with one for each."""
        searcher = self.searcher
        if isinstance(searcher, MaxSimSearcher):
            return queries_of(searcher.snapshot, queries)
        if not queries:
            return np.empty((0, self.column.dim), np.float32)
        if self.column.metric is not Metric.COSINE:
            return np.stack(queries)
        wide = [query.astype(np.float64) for query in queries]  # as the collection's own queries
        return np.stack([(each * each.dot(each) ** -0.5).astype(np.float32) for each in wide])

    def ranking(self, query: Vectors, request: Request) -> NamedRanking:
        """The selected rows that have such vectors, best first."""
        return NamedRanking(self, query, self.among(request.selection), request)

    def among(self, selection: RowSelection) -> RowSelection:
        """Those of some rows that have such vectors; the same object for the same rows."""
        live = self.searcher.snapshot.live
        if live is self.snapshot.live:
            return selection
        if selection is self.snapshot.live:
            return live
        known = self._view.selections
        found = known.get(selection)
        if found is None:
            assert live.mask is not None  # some rows have none
            mask = live.mask if selection.mask is None else live.mask & selection.mask
            found = RowSelection(mask, int(np.count_nonzero(mask)))
            if len(known) >= CACHED_FILTERS:
                known.clear()
            known[selection] = found
        return found


class NamedRanking(VectorRanking):
    """Rows by named vectors, best first."""

    def __init__(
        self, named: NamedSearch, query: Vectors, selection: RowSelection, request: Request
    ) -> None:
        (prepared,) = each_query(named.prepared([query]))
        super().__init__(
            named.searcher, prepared, selection, request.recall, request.exact, request.excluded
        )
        self._named = named

    def _search(self, width: int) -> Found:
        found = super()._search(width)
        plan, name = found.plan, self._named.name
        if plan.method == "empty" and self.total:
            return found
        if plan.method == "empty" and not len(self._excluded):
            plan = replace(plan, reason=f"no row that matches has {name!r}")
        else:
            how = "MaxSim with " if self._named.column.multi else ""
            indexed = self._named.snapshot.manifest.vector_indexes.get(name)
            more = f": {plan.reason}" if indexed else ", which has no index"
            plan = replace(plan, reason=f"{how}{name!r}{more}")
        return Found(found.positions, found.scores, plan)


def each_query(queries: Any) -> Iterator[Any]:
    """Prepared queries one by one, as `search` takes them."""
    return each_of(queries) if queries.dtype.names else iter(queries)


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
