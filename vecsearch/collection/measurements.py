"""Measure recall, and quality by judgments."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vecsearch.common.accepted import (
    Ids,
    Judgments,
    Queries,
    Questions,
    Where,
)
from vecsearch.common.arguments import (
    check_k,
    check_one_of,
    check_regions,
    check_whole,
)
from vecsearch.common.gate import gate
from vecsearch.evaluation.query_sample import (
    set_sampling,
)
from vecsearch.evaluation.recall import measure_recall
from vecsearch.query.fusion import Fusion
from vecsearch.query.questions import MODES
from vecsearch.query.rerank import Rerank, no_reranking
from vecsearch.types import (
    IndexAdvice,
    Mode,
    RecallReport,
)

if TYPE_CHECKING:
    from vecsearch.evaluation.fusion import FusionReport
    from vecsearch.evaluation.quality import QualityReport
from vecsearch.collection.searches import Searches


@gate
class Measurements(Searches):
    """The part that measures."""

    def measure_recall(
        self,
        k: int = 10,
        n_queries: int = 500,
        *,
        where: Where | None = None,
        ids: Ids | None = None,
        recall: float | None = None,
        queries: Queries | None = None,
        using: str | None = None,
        passages: bool = False,
        seed: int = 0,
        regions: int = 10,
    ) -> RecallReport:
        """Measure recall@k against exact search, with a 99% bootstrap interval.

        A RecallWarning says if the target is missed by more than chance.

        Args:
            k: Number of hits of each search.
            n_queries: Maximum number of queries.
            where: A filter, as in `search`.
            ids: The ids of documents to search, as in `search`.
            recall: The recall that searches are to deliver. None: the collection's target.
            queries: Texts, vectors, or "sampled" for those that `sample_queries` stored. None:
                random rows, each searching for its neighbors but not for itself.
            using: The name of vectors of `create(vectors=)`; with several vectors a row, recall is
                that of MaxSim. None: the collection's own vectors.
            passages: Whether passages are to be found. Otherwise documents are, each by its best
                passage.
            seed: Seed of the choice of rows.
            regions: Regions of the data (clusters by k-means) to report apart; 0 for none.

        Returns:
            Mean recall, its interval, what it was measured with, the share of queries below the
            target, the recall of the worst tenth of the queries, and that of each region.

        Raises:
            InvalidInputError: An argument is wrong, or there is nothing to measure.
            FilterError: The filter is wrong.

        Example:
            >>> c.measure_recall(k=2).recall
            1.0
        """
        n_queries, seed = check_whole("n_queries", n_queries, 1), check_whole("seed", seed, 0)
        searcher = self._searching()
        snapshot = searcher.snapshot
        named = None if using is None else self._by_name("vector", using, 0.0)
        asked, query_source = self._questions(queries, snapshot.manifest, named)
        asked = None if asked is None else asked[:n_queries]
        target = self._target(recall, snapshot)
        selection = searcher.selector.select(where, ids)
        return measure_recall(
            searcher if named is None else named.searcher,
            check_k(k),
            n_queries,
            selection if named is None else named.among(selection),
            target,
            asked,
            seed,
            query_source,
            check_regions(regions),
            documents=snapshot.manifest.chunked and not passages,
        )

    def sample_queries(self, count: int) -> int:
        """Store a random sample of future queries, to measure recall with.

        Queries are stored as vectors, not as texts, in the collection's folder. Backups leave them
        out, and `compact(purge=True)` removes them. `build_index` and `measure_recall` take
        `queries="sampled"`. While sampling, a few searches are checked against exact ones; a
        RecallWarning says if they fall short.

        Args:
            count: Maximum number of queries to store; 0 stops sampling and removes them.

        Returns:
            The version that was committed.

        Raises:
            InvalidInputError: The count is wrong.
            LockTimeoutError: Another writer held the lock for too long.
            StorageError: The disk is full or read-only.

        Example:
            >>> _ = c.sample_queries(1000)
            >>> _ = c.search("ship")
            >>> c.measure_recall(queries="sampled").query_source
            'queries sampled from searches'
        """
        self._writable()
        return self._changed(set_sampling(self._store, count))

    def index_advice(self) -> IndexAdvice:
        """Whether it is worthwhile to build the index now.

        Returns:
            What to do and why: rows added and deleted since the build, and what they cost a search.

        Example:
            >>> c.index_advice().action
            'none'
        """
        from vecsearch.index.advice import advise

        return advise(self._snapshot)

    def evaluate(
        self,
        queries: Questions | None = None,
        qrels: Judgments | None = None,
        *,
        k: int | Sequence[int] | None = None,
        mode: Mode = "vector",
        using: str | Sequence[str] | None = None,
        fusion: str | Mapping[str, Any] | Fusion | None = None,
        rerank: Rerank | None = None,
        rerank_top: int | None = None,
        where: Where | None = None,
        ids: Ids | None = None,
        recall: float | None = None,
        exact: bool = False,
        n_queries: int = 500,
        seed: int = 0,
    ) -> QualityReport:
        """Measure search quality, as means with 95% bootstrap intervals and for each query.

        With relevance judgments: nDCG, MRR, recall and MAP at each k, over whole documents, as
        ir-measures computes them. Without: success@k and MRR of questions generated from the
        documents (known-item search).

        Args:
            queries: A folder in the BEIR layout, a file, or query id -> text or vector.
            qrels: A file (BEIR or TREC), or query id -> document id -> grade.
            k: Depth or depths. None: 10 and 100; with `rerank` 10.
            mode: "vector", "text" or "hybrid", as in `search`. The last two need judgments.
            using: The columns to search by words, as in `search`.
            fusion: How hybrid searches make one list, as in `search`.
            rerank: Measure searches with `rerank`, as in `search`, and what it changes against
                those without: `gains` of the report. It needs judgments.
            rerank_top: How many hits are scored again. None: 50, or the largest k if that is more.
            where: A filter, as in `search`.
            ids: The ids of documents to search, as in `search`.
            recall: The recall to deliver. None: the collection's target.
            exact: Use exact search.
            n_queries: Without judgments: number of questions to generate.
            seed: Without judgments: seed of the choice of documents.

        Returns:
            The scores, and what they were measured with.

        Raises:
            InvalidInputError: Queries or judgments are wrong; the message names file and line.
            EmbedderError: There is no model to embed questions with.
            MissingExtraError: ir-measures is not installed.

        Example:
            >>> report = c.evaluate({"q1": "ship"}, {"q1": {"ship": 1}}, k=10)
            >>> report.scores["nDCG@10"].mean
            1.0
        """
        from vecsearch.evaluation.judged import (
            judged_quality,
            only_with_judgments,
            reranked_quality,
        )
        from vecsearch.evaluation.known_items import known_item_quality

        check_one_of("mode", mode, MODES)
        n_queries, seed = check_whole("n_queries", n_queries, 1), check_whole("seed", seed, 0)
        snapshot = self._snapshot
        ids = None if ids is None else self._searching().selector.as_ids(ids)
        search = functools.partial(
            self.search_batch,
            mode=mode,
            using=using,
            fusion=fusion,
            where=where,
            ids=ids,
            recall=recall,
            exact=exact,
        )
        if queries is None and qrels is None and (mode != "vector" or rerank is not None):
            raise only_with_judgments()
        if rerank is not None:
            again = functools.partial(search, rerank=rerank, rerank_top=rerank_top)
            return reranked_quality(snapshot, search, again, queries, qrels, k)
        no_reranking(rerank_top)
        if queries is not None or qrels is not None:
            return judged_quality(snapshot, search, queries, qrels, k)
        rows = self._searching().selector.select(where, ids).rows
        model, splitting = self._model_of(snapshot.manifest), self._splitting(snapshot.manifest)
        split = None if splitting is None else splitting.split
        return known_item_quality(snapshot, search, rows, model, split, n_queries, seed)

    def tune_fusion(
        self,
        queries: Questions | None = None,
        qrels: Judgments | None = None,
        *,
        recall: float | None = None,
        n_queries: int = 500,
        seed: int = 0,
    ) -> FusionReport:
        """Choose how hybrid searches make one list of words and vectors.

        Methods, weights and k are chosen on one half of the queries (nDCG@10), and stored only if
        the other half proves them better than what the collection has: if the 95% interval of the
        difference lies above zero.

        Args:
            queries: As in `evaluate`, but texts. None: questions generated from the documents,
                which favor words, because they are copied from the texts.
            qrels: Relevance judgments, as in `evaluate`.
            recall: The recall of the search by vectors. None: the collection's target.
            n_queries: Without judgments: number of questions to generate.
            seed: Seed of the halves.

        Returns:
            What was chosen, and whether it was kept.

        Raises:
            InvalidInputError: Queries or judgments are wrong, or there are fewer than 20.
            QueryError: The collection is not searched by words.
            LockTimeoutError: Another writer held the lock for too long.

        Example:
            >>> _ = c.add([{"id": f"note {n}", "text": f"about topic{n}"} for n in range(40)])
            >>> queries = {str(n): f"topic{n}" for n in range(40)}
            >>> report = c.tune_fusion(queries, {str(n): {f"note {n}": 1} for n in range(40)})
            >>> report.kept
            False
        """
        from vecsearch.evaluation.fusion import tune_fusion

        self._writable()
        searcher = self.refresh()._searching()
        return self._changed(
            tune_fusion(
                self._store,
                searcher,
                self._encoder,
                queries,
                qrels,
                self._target(recall, searcher.snapshot),
                check_whole("n_queries", n_queries, 1),
                check_whole("seed", seed, 0),
            )
        )
