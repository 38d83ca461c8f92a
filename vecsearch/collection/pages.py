"""Page through results, and count the values of columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from vecsearch.collection.opened import Opened
from vecsearch.common.accepted import (
    Ids,
    Query,
    Vector,
    Where,
)
from vecsearch.common.arguments import (
    check_min_score,
    check_one_of,
)
from vecsearch.common.deadline import at_most, limited
from vecsearch.common.gate import gate
from vecsearch.errors import (
    InvalidInputError,
)
from vecsearch.query.facets import document_rows, facets
from vecsearch.query.fusion import Fusion
from vecsearch.query.highlight import Question
from vecsearch.query.modes import ModeSearch
from vecsearch.query.named import text_of
from vecsearch.query.questions import only_with_words, question_of
from vecsearch.query.request import Request
from vecsearch.query.results import Hits, asked
from vecsearch.query.shape import OrderBy, check_shape, excluded_rows
from vecsearch.types import (
    Mode,
)


@gate
class Pages(Opened):
    """The part that pages and counts."""

    def pages(
        self,
        query: Query | None = None,
        size: int = 20,
        *,
        text: str | Mapping[str, float] | None = None,
        vector: Vector | None = None,
        mode: Mode = "vector",
        using: str | Sequence[str] | None = None,
        fusion: str | Mapping[str, Any] | Fusion | None = None,
        where: Where | None = None,
        ids: Ids | None = None,
        exclude: Ids | None = None,
        min_score: float | None = None,
        group_by: str | None = None,
        group_size: int = 1,
        order_by: OrderBy | None = None,
        recall: float | None = None,
        exact: bool = False,
        passages: bool = False,
        timeout: float | None = None,
    ) -> Iterator[Hits]:
        """All documents that match, in pages, best first. None comes twice and none is left out.

        All pages are of the version that was open at the call. Later pages are searched for when
        they are asked for. What an approximate search missed comes on a later page.

        Args:
            query: As in `search`.
            size: Hits of a page; with `group_by` groups of a page.
            text: The words of a hybrid search, as in `search`.
            vector: The vector of a hybrid search, as in `search`.
            mode: "vector", "text" or "hybrid", as in `search`.
            using: The columns to search by words, as in `search`.
            fusion: How hybrid searches make one list, as in `search`.
            where: As in `search`.
            ids: As in `search`.
            exclude: As in `search`.
            min_score: The lowest score of a hit; pages end there.
            group_by: As in `search`: each page has the next best groups.
            group_size: As in `search`.
            order_by: As in `search`, but all matches are in this order; it needs `min_score`.
            recall: As in `search`.
            exact: As in `search`.
            passages: As in `search`.
            timeout: Seconds from the call until the last page is asked for. None: no limit.

        Returns:
            An iterator of Hits. Their ranks go on from page to page.

        Raises:
            InvalidInputError: An argument is wrong.
            FilterError: The filter is wrong.
            OperationTimeoutError: It was not done within `timeout`, here or at a page.
            EmbedderError: The model cannot be loaded or failed.

        Example:
            >>> [page.ids for page in c.pages("ship", size=2)]
            [['ship', 'bus'], ['boat']]
        """
        with at_most(timeout) as deadline:
            snapshot = self._snapshot
            named = self._by_name(mode, using, 0.0)
            shape = check_shape(
                snapshot,
                1,
                min_score=min_score,
                group_by=group_by,
                group_size=group_size,
                order_by=order_by,
                scores=mode == "vector" and named is None,
            )
            wanted = question_of(query, text, vector, mode)
            request = Request(
                self._searching(),
                self._searching().selector.select(where, ids),
                self._target(recall, snapshot),
                exact,
                passages,
                shape,
                excluded_rows(snapshot, exclude),
            )
            if mode == "vector":
                only_with_words(fusion=fusion)
            if named is not None:
                question = Question(text_of(wanted.vector))
                ranking = named.ranking(named.encode(wanted.vector), request)
                found = asked(request.pages(ranking, size), question)
            elif mode == "vector":
                encoded = self._encoder(snapshot.manifest).encode(wanted.vector)
                question = self._question(wanted.vector, encoded, snapshot.manifest)
                found = asked(request.pages(request.by_vector(encoded), size), question)
            else:
                search = ModeSearch(request, self._encoder, mode, using, fusion)
                found = search.pages(wanted, size)
                words = wanted.words if isinstance(wanted.words, str) else ""
                found = asked(found, Question(words))
            return found if deadline is None else limited(found, deadline)

    def facets(
        self,
        columns: Sequence[str] | str,
        *,
        where: Where | None = None,
        ids: Ids | None = None,
        exclude: Ids | None = None,
        query: Query | None = None,
        mode: Literal["vector", "text"] = "vector",
        using: str | Sequence[str] | None = None,
        min_score: float | None = None,
        bins: object = None,
        passages: bool = False,
        timeout: float | None = None,
    ) -> dict[str, pa.Table]:
        """How many documents have each value of some columns, over all that match.

        Args:
            columns: The columns. Each value of a list counts, once for a document.
            where: A filter, as in `search`. With a chunker and without a query, a filter on the
                text sees whole documents.
            ids: As in `search`.
            exclude: As in `search`.
            query: Count only documents that score at least `min_score` with this text or vector;
                with `mode="text"`, those that have its words, as in `search`.
            mode: "vector" or "text".
            using: The columns to search by words, as in `search`.
            min_score: The lowest score. A query of vectors needs it, for every document has some
                score.
            bins: Count ranges of values instead: a number of equal bins, a list of edges, or for
                dates "year", "quarter", "month", "week", "day", "hour", "minute" or "second". A
                dict gives columns bins of their own.
            passages: Count passages instead of documents, in a collection with a chunker.
            timeout: As in `search`.

        Returns:
            For each column a pyarrow Table of `value` and `count`, most frequent first, then by
            value. Missing values count as null. With bins, by value, with the upper edge as `end`;
            the last of numbered bins has both its edges.

        Raises:
            InvalidInputError: A column does not exist, or an argument is wrong.
            FilterError: The filter is wrong.
            OperationTimeoutError: It was not done within `timeout`.
            EmbedderError: The model cannot be loaded or failed.

        Example:
            >>> c.facets("year", where="year > 2000")["year"].to_pydict()
            {'value': [2003, 2021], 'count': [1, 1]}
            >>> c.facets("year", bins=[1990, 2000, 2030])["year"]["count"].to_pylist()
            [1, 2]
            >>> c.facets("year", query="ship OR bus", mode="text")["year"]["value"].to_pylist()
            [2003, 2021]
        """
        with at_most(timeout):
            searcher = self._searching()
            snapshot = searcher.snapshot
            check_one_of("mode", mode, ("vector", "text"))
            if mode == "vector":
                only_with_words(using=using)
            by_words = mode == "text" and query is not None
            if (query is None) != (min_score is None) and not by_words:
                raise InvalidInputError(
                    "facets of a query need min_score, which says what matches, and min_score a "
                    "query",
                    hint="give query= and min_score=, or neither",
                    command_hint="give --query and --min-score, or neither",
                )
            if query is None:
                choose = searcher.selector.select
                if not passages:
                    choose = searcher.selector.select_documents
                rows = choose(where, ids).rows
            elif by_words:
                request = Request(
                    searcher,
                    searcher.selector.select(where, ids),
                    self._target(None, snapshot),
                    False,
                    passages,
                    check_shape(snapshot, 1, min_score=min_score, scores=False),
                )
                search = ModeSearch(request, self._encoder, mode, using, None)
                ranking = search.ranking(question_of(query, None, None, mode))
                lowest = -np.inf if request.shape.min_score is None else request.shape.min_score
                rows = np.sort(ranking.matches(lowest).positions)
            else:
                lowest = check_min_score(min_score, snapshot.manifest.metric)
                selection = searcher.selector.select(where, ids)
                vector = self._encoder(snapshot.manifest).encode(query)
                rows = np.sort(searcher.within(vector, lowest, selection).positions)
            excluded = excluded_rows(snapshot, exclude)
            if excluded is not None:
                rows = rows[~np.isin(rows, excluded)]
            rows = rows if passages else document_rows(snapshot, rows)
            return facets(snapshot, rows, columns, bins)
