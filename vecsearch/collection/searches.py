"""Search by a question, alone or in a batch, and show the plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vecsearch.collection.opened import Opened
from vecsearch.common.accepted import (
    Ids,
    Queries,
    Query,
    Vector,
    Vectors,
    Where,
)
from vecsearch.common.arguments import (
    check_k,
    check_min_score,
    check_timeout,
)
from vecsearch.common.deadline import at_most, time_limit
from vecsearch.common.gate import gate
from vecsearch.query.explain import filter_words
from vecsearch.query.fusion import DEPTH, Fusion
from vecsearch.query.highlight import Question
from vecsearch.query.modes import ModeSearch, plain_hybrid, plain_text
from vecsearch.query.named import listed_queries, text_of
from vecsearch.query.questions import (
    Asked,
    filters_for,
    only_one,
    only_with_words,
    question_of,
    questions_of,
)
from vecsearch.query.request import Request, answers
from vecsearch.query.rerank import Rerank, texts_beside
from vecsearch.query.results import Hits
from vecsearch.query.shape import OrderBy, check_shape, excluded_rows
from vecsearch.query.vectors import texts_of
from vecsearch.storage.selection import RowSelection
from vecsearch.types import (
    Mode,
    Plan,
)


@gate
class Searches(Opened):
    """The part that searches by a question."""

    def search(
        self,
        query: Query | None = None,
        k: int = 10,
        *,
        text: str | Mapping[str, float] | None = None,
        vector: Vector | None = None,
        mode: Mode = "vector",
        using: str | Sequence[str] | None = None,
        fusion: str | Mapping[str, Any] | Fusion | None = None,
        rerank: Rerank | None = None,
        rerank_top: int | None = None,
        where: Where | None = None,
        ids: Ids | None = None,
        exclude: Ids | None = None,
        min_score: float | None = None,
        diversity: float = 0.0,
        group_by: str | None = None,
        group_size: int = 1,
        order_by: OrderBy | None = None,
        recall: float | None = None,
        exact: bool = False,
        passages: bool = False,
        timeout: float | None = None,
    ) -> Hits:
        """Find the k documents most similar to a query, or that have its words, or both.

        Args:
            query: A text for the collection's embedder, or a vector: numbers of shape (dim,). With
                mode "text", words; with "hybrid", a text that is both embedded and searched by its
                words.
            k: Maximum number of hits. There are fewer if fewer documents match.
            text: The words of a hybrid search, where they are not `query`; the text that `rerank`
                reads, where the query is a vector.
            vector: The vector of a hybrid search, or the text that is embedded for it, where it is
                not `query`.
            mode: "vector" finds similar documents; "text" documents with the words (BM25), in a
                syntax of its own, such as '"large ship" -sea'; "hybrid" makes one list of both.
            using: The columns to search by words, some with a weight, such as ["title^3", "text"].
                None: all that are searched so. With mode "vector", the name of vectors that
                `create(vectors=)` declared: every matching document that has them is scored.
            fusion: How a hybrid search makes one list: "weighted", "rrf", "dbsf" or a `Fusion`.
                None: what `tune_fusion` chose, or else "weighted".
            rerank: What scores the best hits again: the name or folder of a cross-encoder of
                sentence-transformers; "maxsim" for late interaction with the token vectors of the
                collection's model, or "maxsim:" and another model; or a function of the query and
                the hits that returns a score for each. `Hit.parts` has the scores of before.
            rerank_top: How many hits are scored again, at least k. None: 50, or k if that is more.
                With groups: the hits of as many groups as hold so many.
            where: Only search documents for which this is true: SQL text such as
                "year >= 2000 AND lang IN ('en', 'zh')", or a pyarrow Expression. With a chunker, a
                filter on the text sees the passages that are searched, not whole documents.
            ids: Only search documents with one of these ids: an id, or a list, set, numpy array,
                Arrow array or Series of them. Ids that no document has are left out in silence.
                With `where`, both must hold.
            exclude: Leave out the documents with these ids.
            min_score: The lowest score of a hit.
            diversity: How much hits shall differ from each other, from 0 to 1 (maximal marginal
                relevance, among the 100 best or 4 k). They come in the order of choice.
            group_by: A column. k is then the number of groups, of hits with the same value in this
                column; `Hits.groups` lists them. Each is filled if the data has enough for it.
            group_size: How many hits a group has at most.
            order_by: Sort the k hits by a column instead of by score: "year", "year desc", or
                several in a list. Missing values come last, equal ones by score.
            recall: The mean recall to deliver at the least cost. None: the collection's target.
            exact: Score every matching row (recall 1).
            passages: Find passages instead of documents, in a collection with a chunker.
            timeout: Seconds that the call may take; the time is looked at between segments, and in
                a filter every 131,072 rows or 32 MB. None: no limit.

        Returns:
            Hits, best first.

        Raises:
            InvalidInputError: The query, k, recall or an id is wrong.
            QueryError: The words cannot be read, or the collection is not searched by words.
            FilterError: The filter is wrong.
            OperationTimeoutError: The search was not done within `timeout`.
            EmbedderError: The model cannot be loaded or failed.
            EmbedderMismatchError: The model is not the one that made the collection's vectors.

        Example:
            >>> hit = c.search("ship", k=1, where="year > 2000")[0]
            >>> hit.id, hit["year"]
            ('ship', 2021)
            >>> c.search("ship", ids=["bus", "boat", "plane"]).ids
            ['bus', 'boat']
            >>> c.search("ship", exclude="ship", order_by="year desc").column("year")
            [2003, 1999]
            >>> c.search("sea OR lake -ship", mode="text").ids
            ['boat']
            >>> def newest(query, hits):
            ...     return hits.column("year")
            >>> hit = c.search("ship", k=1, rerank=newest)[0]
            >>> hit.id, hit.score, hit.parts["vector"].rank
            ('ship', 2021.0, 1)
        """
        if (  # most searches
            (using is None and fusion is None and rerank is None and rerank_top is None)
            and (ids is None and exclude is None and min_score is None)
            and (group_by is None and order_by is None and timeout is None)
            and (type(diversity) is float and diversity == 0)
            and (type(group_size) is int and group_size == 1)
        ):
            if query is not None and text is None and vector is None:
                if mode == "vector" and where is None:
                    return self._plain_search(query, k, recall, exact, passages)
                if mode == "text" and type(query) is str and recall is None and not passages:
                    return self._plain_text(query, k, where)
            if mode == "hybrid" and type(k) is int and 1 <= k <= DEPTH and not passages:
                asked = question_of(query, text, vector, mode)
                if not self._snapshot.manifest.chunked:
                    return self._plain_hybrid(asked, k, where, recall, exact)
        with at_most(timeout):
            read = None
            has_vector = query is not None or vector is not None
            if rerank is not None and mode == "vector" and has_vector:
                read, text = text, None
            wanted = question_of(query, text, vector, mode)
            searcher = self._searching()
            snapshot = searcher.snapshot
            named = self._by_name(mode, using, diversity)
            shape = check_shape(
                snapshot,
                k,
                min_score=min_score,
                diversity=diversity,
                group_by=group_by,
                group_size=group_size,
                order_by=order_by,
                scores=mode == "vector" and rerank is None and named is None,
            )
            reranking = self._reranking(rerank, rerank_top, shape)
            if reranking is not None:
                shape = reranking.candidates
            if mode == "vector":
                only_with_words(fusion=fusion)
            if mode == "vector" and named is None:
                encoded = self._encoder(snapshot.manifest).encode(wanted.vector)
            request = Request(
                searcher,
                searcher.selector.select(where, ids),
                self._target(recall, snapshot),
                exact,
                passages,
                shape,
                excluded_rows(snapshot, exclude),
            )
            if mode != "vector":
                search = ModeSearch(request, self._encoder, mode, using, fusion)
                (hits,) = self._by_words(search, [wanted], [request.selection])
                hits.filter = filter_words(where)
                return hits if reranking is None else reranking.apply(hits, wanted.words)
            if named is not None:
                hits = request.answer(named.ranking(named.encode(wanted.vector), request))
                hits.question = Question(text_of(wanted.vector))
                hits.filter = filter_words(where)
                if reranking is None:
                    return hits
                return reranking.apply(hits, wanted.vector if read is None else read)
            hits = self._nearest(request, wanted.vector, encoded)
            hits.filter = filter_words(where)
            if reranking is None:
                return hits
            return reranking.apply(hits, wanted.vector if read is None else read)

    def _plain_search(
        self, query: Query, k: int, recall: float | None, exact: bool, passages: bool
    ) -> Hits:
        """A search by a vector with no other options."""
        searcher = self._searching()
        snapshot = searcher.snapshot
        shape = check_shape(snapshot, k)
        encoded = self._encoder(snapshot.manifest).encode(query)
        target = self._target(recall, snapshot)
        request = Request(searcher, snapshot.live, target, exact, passages, shape)
        return self._nearest(request, query, encoded)

    def _plain_text(self, query: str, k: int, where: Where | None) -> Hits:
        """A search by words with no other options, among the rows that match a filter."""
        searcher = self._searching()
        k = check_k(k)
        selection = searcher.snapshot.live
        if where is not None:
            selection = searcher.selector.select(where)
        hits = plain_text(searcher, query, k, selection)
        hits.filter = filter_words(where)
        return hits

    def _plain_hybrid(
        self, asked: Asked, k: int, where: Where | None, recall: float | None, exact: bool
    ) -> Hits:
        """A hybrid search of rows with no other options."""
        searcher = self._searching()
        snapshot = searcher.snapshot
        shape = check_shape(snapshot, k)
        selection = snapshot.live if where is None else searcher.selector.select(where)
        target = self._target(recall, snapshot)
        request = Request(searcher, selection, target, exact, False, shape)
        hits, vector = plain_hybrid(request, self._encoder, asked)
        hits.question = self._question(asked.words, vector, snapshot.manifest)
        hits.filter = filter_words(where)
        return hits

    def _nearest(self, request: Request, query: Any, encoded: npt.NDArray[np.float32]) -> Hits:
        """The hits of a vector, which was made of a query."""
        hits = request.search(encoded)
        if self._monitor is not None:
            self._monitor.note(
                request.searcher,
                encoded[None],
                request.shape.k,
                request.selection,
                request.recall,
                exact=request.exact,
            )
        hits.question = self._question(query, encoded, request.searcher.snapshot.manifest)
        return hits

    def search_batch(
        self,
        queries: Queries | None = None,
        k: int = 10,
        *,
        texts: Sequence[str | Mapping[str, float]] | None = None,
        vectors: Vectors | None = None,
        mode: Mode = "vector",
        using: str | Sequence[str] | None = None,
        fusion: str | Mapping[str, Any] | Fusion | None = None,
        rerank: Rerank | None = None,
        rerank_top: int | None = None,
        where: Where | Sequence[Where | None] | None = None,
        ids: Ids | None = None,
        exclude: Ids | None = None,
        min_score: float | None = None,
        diversity: float = 0.0,
        group_by: str | None = None,
        group_size: int = 1,
        order_by: OrderBy | None = None,
        recall: float | None = None,
        exact: bool = False,
        passages: bool = False,
        timeout: float | None = None,
    ) -> list[Hits]:
        """Search for many queries at once, on all cores. Results are the same as one by one.

        Args:
            queries: Texts, or a float matrix (n, dim).
            k: Maximum number of hits for each query.
            texts: The words of hybrid searches, where they are not `queries`, and what `rerank`
                reads, where the queries are vectors.
            vectors: The vectors of hybrid searches, where they are not `queries`.
            mode: "vector", "text" or "hybrid", as in `search`.
            using: The columns to search by words, as in `search`.
            fusion: How hybrid searches make one list, as in `search`.
            rerank: What scores the best hits again, as in `search`.
            rerank_top: How many hits are scored again for each query.
            where: One filter for all queries, or a list with one for each (None: no filter).
            ids: The ids of documents to search, as in `search`, the same for all queries.
            exclude: As in `search`, the same for all queries.
            min_score: As in `search`.
            diversity: As in `search`.
            group_by: As in `search`.
            group_size: As in `search`.
            order_by: As in `search`.
            recall: The mean recall to deliver. None: the collection's target.
            exact: Score every matching row (recall 1).
            passages: Find passages instead of documents.
            timeout: Seconds that the whole call may take, as in `search`; the time is looked at
                after every 1,024 queries, too, and in exact search every few of them. No limit by
                default.

        Returns:
            The hits of each query, in order.

        Raises:
            InvalidInputError: A query (the message says which), k, recall or an id is wrong.
            FilterError: A filter is wrong.
            OperationTimeoutError: The searches were not done within `timeout`.
            EmbedderError: The model cannot be loaded or failed.

        Example:
            >>> [hits.ids for hits in c.search_batch(["ship at sea", "bus in town"], k=1)]
            [['ship'], ['bus']]
        """
        with at_most(timeout):
            searcher = self._searching()
            snapshot = searcher.snapshot
            read = None
            named = self._by_name(mode, using, diversity)
            if mode == "vector":
                only_with_words(fusion=fusion)
                if rerank is not None and (queries is not None or vectors is not None):
                    read, texts = texts, None
                given = only_one(queries, texts, vectors)
                if named is None:
                    encoded = self._encoder(snapshot.manifest).encode_many(given)
                else:
                    asked_for = named.encode_many(given)
                wheres = filters_for(where, len(encoded if named is None else asked_for))
            else:
                wanted = questions_of(queries, texts, vectors, mode)
                wheres = filters_for(where, len(wanted))
            ids = None if ids is None else searcher.selector.as_ids(ids)
            selections = [searcher.selector.select(item, ids) for item in wheres]
            shape = check_shape(
                snapshot,
                k,
                min_score=min_score,
                diversity=diversity,
                group_by=group_by,
                group_size=group_size,
                order_by=order_by,
                scores=mode == "vector" and rerank is None and named is None,
            )
            reranking = self._reranking(rerank, rerank_top, shape)
            if reranking is not None:
                shape = reranking.candidates
            request = Request(
                searcher,
                snapshot.live,
                self._target(recall, snapshot),
                exact,
                passages,
                shape,
                excluded_rows(snapshot, exclude),
            )
            if mode != "vector":
                search = ModeSearch(request, self._encoder, mode, using, fusion)
                found = self._by_words(search, wanted, selections)
                for hits, which in zip(found, wheres, strict=True):
                    hits.filter = filter_words(which)
                if reranking is None:
                    return found
                return reranking.apply_all(found, [each.words for each in wanted])
            if named is not None:
                found = []
                for query, each, which, selection in zip(
                    asked_for, listed_queries(given), wheres, selections, strict=True
                ):
                    one = dataclasses.replace(request, selection=selection)
                    hits = one.answer(named.ranking(query, one))
                    hits.question = Question(text_of(each))
                    hits.filter = filter_words(which)
                    found.append(hits)
                if reranking is None:
                    return found
                return reranking.apply_all(found, texts_beside(read, (), listed_queries(given)))
            found = answers(encoded, request, selections)
            if self._monitor is not None and len(encoded):
                self._monitor.note(
                    searcher, encoded, shape.k, selections[0], request.recall, exact=exact
                )
            listed = texts_of(given) or [""] * len(found)
            for hits, each, vector, which in zip(found, listed, encoded, wheres, strict=True):
                hits.question = self._question(each, vector, snapshot.manifest)
                hits.filter = filter_words(which)
            if reranking is None:
                return found
            return reranking.apply_all(found, texts_beside(read, texts_of(given), list(encoded)))

    def _by_words(
        self,
        search: ModeSearch,
        wanted: Sequence[Asked],
        selections: Sequence[RowSelection],
    ) -> list[Hits]:
        """The hits of searches by words, and of hybrid ones."""
        found = search.run(wanted, selections)
        for hits, each, vector in zip(found, wanted, search.vectors, strict=True):
            if vector is None:
                hits.question = Question(each.words if isinstance(each.words, str) else "")
            else:
                hits.question = self._question(each.words, vector, self._snapshot.manifest)
        return found

    def search_range(
        self,
        query: Query,
        min_score: float,
        *,
        where: Where | None = None,
        ids: Ids | None = None,
        timeout: float | None = None,
    ) -> Hits:
        """Find every row that scores at least `min_score`, by exact search.

        Args:
            query: A text, or a vector of shape (dim,).
            min_score: The lowest score. For "l2", `min_score=-r * r` finds all rows within distance
                r.
            where: A filter, as in `search`.
            ids: The ids of documents to search, as in `search`.
            timeout: Seconds that the call may take, as in `search`.

        Returns:
            Hits, best first: passages in a collection with a chunker, or else documents.

        Raises:
            InvalidInputError: The query, min_score or an id is wrong.
            FilterError: The filter is wrong.
            OperationTimeoutError: The search was not done within `timeout`.
            EmbedderError: The model cannot be loaded or failed.

        Example:
            >>> c.search_range("a large ship at sea", 0.99).ids
            ['ship']
        """
        if timeout is not None:
            with time_limit(check_timeout(timeout)):
                return self.search_range(query, min_score, where=where, ids=ids)
        searcher = self._searching()
        snapshot = searcher.snapshot
        min_score = check_min_score(min_score, snapshot.manifest.metric)
        vector = self._encoder(snapshot.manifest).encode(query)
        found = searcher.within(vector, min_score, searcher.selector.select(where, ids))
        hits = Hits(snapshot, found.positions, found.scores, found.plan)
        hits.question = self._question(query, vector, snapshot.manifest)
        return hits

    def plan(
        self,
        query: Query | None = None,
        k: int = 10,
        *,
        where: Where | None = None,
        ids: Ids | None = None,
        recall: float | None = None,
        exact: bool = False,
    ) -> Plan:
        """How `search` would run, and why. No vector is compared.

        Args:
            query: Ignored: a plan does not depend on the query.
            k: Maximum number of hits.
            where: A filter, as in `search`.
            ids: The ids of documents to search, as in `search`.
            recall: The recall to deliver. None: the collection's target.
            exact: Whether to use exact search.

        Returns:
            The plan; `str` says it in words.

        Raises:
            InvalidInputError: k or recall is wrong.
            FilterError: The filter is wrong.

        Example:
            >>> print(c.plan(where="year > 2000"))
            exact search over 2 rows (an index pays from 4,096 rows on)
        """
        searcher = self._searching()
        selection = searcher.selector.select(where, ids)
        target = self._target(recall, searcher.snapshot)
        return searcher.plan(check_k(k), target, exact, selection)
