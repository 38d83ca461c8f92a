"""Search by documents: similar ones, what goes with a history, analogies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from vecsearch.collection.contents import Contents
from vecsearch.collection.searches import Searches
from vecsearch.common.accepted import (
    Examples,
    Ids,
    Query,
    Where,
)
from vecsearch.common.arguments import (
    check_one_of,
)
from vecsearch.common.deadline import at_most
from vecsearch.common.gate import gate
from vecsearch.query.analogy import analogy_query
from vecsearch.query.examples import HALF_LIFE, ExampleReader, read_context, read_examples
from vecsearch.query.explain import all_examples, filter_words
from vecsearch.query.recommend import STRATEGIES, discovery, recommendation
from vecsearch.query.request import Request
from vecsearch.query.results import Hits
from vecsearch.query.shape import OrderBy, check_shape, excluded_rows
from vecsearch.types import (
    Id,
)


@gate
class Recommendations(Contents, Searches):
    """The part that searches by examples."""

    def similar(
        self,
        id: Id,
        k: int = 10,
        *,
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
        """The k documents most similar to a document, without itself.

        A document of several passages is compared by the mean of their vectors, as `vector` gives
        it.

        Args:
            id: The document's id.
            k: As in `search`.
            where: As in `search`.
            ids: As in `search`.
            exclude: Ids of documents to leave out beside it.
            min_score: As in `search`.
            diversity: As in `search`.
            group_by: As in `search`.
            group_size: As in `search`.
            order_by: As in `search`.
            recall: As in `search`.
            exact: As in `search`.
            passages: As in `search`.
            timeout: As in `search`.

        Raises:
            IdNotFoundError: No document has the id.
            InvalidInputError: An argument is wrong.
            FilterError: The filter is wrong.
            OperationTimeoutError: The search was not done within `timeout`.

        Example:
            >>> c.similar("ship").ids
            ['boat', 'bus']
        """
        return self.recommend(
            [{"id": id}],
            k=k,
            where=where,
            ids=ids,
            exclude=exclude,
            min_score=min_score,
            diversity=diversity,
            group_by=group_by,
            group_size=group_size,
            order_by=order_by,
            recall=recall,
            exact=exact,
            passages=passages,
            timeout=timeout,
        )

    def recommend(
        self,
        positive: Examples | None = None,
        negative: Examples | None = None,
        *,
        history: Iterable[Any] | None = None,
        strategy: Literal["average", "best_score", "sum_scores"] = "average",
        k: int = 10,
        where: Where | None = None,
        ids: Ids | None = None,
        exclude: Ids | None = None,
        exclude_seen: bool = True,
        half_life: float = HALF_LIFE,
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
        """The k documents that examples speak for: more like these, less like those.

        Args:
            positive: What is wanted: ids, texts or vectors, one or several. A str is an id if a
                document has it, or else a text; {"id": ...}, {"text": ...} or {"vector": ...}
                says which is meant.
            negative: What is not wanted, in the same way.
            history: What a user had: ids, or tuples (id, weight) or (id, weight, age). A weight is
                1 unless given, and halves with every `half_life` of age. Weights below 0 speak
                against a document.
            strategy: "average": the score with the mean of the positives, moved away from the mean
                of the negatives. "best_score": the best score with a positive; it is minus the
                square of the best score with a negative, where that is no less. "sum_scores": the
                sum of the scores with positives less those with negatives.
            k: How many documents to return.
            where: As in `search`.
            ids: As in `search`.
            exclude: Ids of documents to leave out.
            exclude_seen: Leave out the documents of the examples and of the history.
            half_life: The age at which a weight has halved, in the same unit.
            min_score: The lowest score of a hit, as the strategy gives it.
            diversity: As in `search`.
            group_by: As in `search`.
            group_size: As in `search`.
            order_by: As in `search`.
            recall: As in `search`.
            exact: As in `search`.
            passages: As in `search`.
            timeout: As in `search`.

        Returns:
            Hits, best first; `plan` says whether every row was scored.

        Raises:
            IdNotFoundError: No document has the id of an example.
            InvalidInputError: An argument is wrong, there is no example, or they cancel out.
            FilterError: The filter is wrong.
            OperationTimeoutError: The search was not done within `timeout`.
            EmbedderError: The model cannot be loaded or failed.

        Example:
            >>> c.recommend(["boat", "a trip on the water"], negative="bus").ids
            ['ship']
            >>> c.recommend(history=[("boat", 1.0, 400), ("bus", 2.0)], half_life=365).ids
            ['ship']
        """
        with at_most(timeout):
            check_one_of("strategy", strategy, STRATEGIES)
            snapshot = self._snapshot
            reader = ExampleReader(snapshot, self._encoder(snapshot.manifest))
            wanted, unwanted, seen = read_examples(reader, positive, negative, history, half_life)
            shape = check_shape(
                snapshot,
                k,
                min_score=min_score,
                diversity=diversity,
                group_by=group_by,
                group_size=group_size,
                order_by=order_by,
                scores=strategy == "average",
            )
            request = Request(
                self._searching(),
                self._searching().selector.select(where, ids),
                self._target(recall, snapshot),
                exact,
                passages,
                shape,
                excluded_rows(snapshot, exclude, seen if exclude_seen else ()),
            )
            hits = request.answer(recommendation(strategy, wanted, unwanted, request))
            hits.question = self._question("", None, snapshot.manifest)
            hits.examples = all_examples(wanted, unwanted)
            hits.filter = filter_words(where)
            return hits

    def discover(
        self,
        target: Query | None = None,
        context: Iterable[tuple[Query, Query]] = (),
        *,
        k: int = 10,
        where: Where | None = None,
        ids: Ids | None = None,
        exclude: Ids | None = None,
        exclude_seen: bool = True,
        min_score: float | None = None,
        diversity: float = 0.0,
        group_by: str | None = None,
        group_size: int = 1,
        order_by: OrderBy | None = None,
        passages: bool = False,
        timeout: float | None = None,
    ) -> Hits:
        """The k documents that lie on the right side of pairs of examples. Every row is scored.

        With a target, documents are ranked by how many more pairs they are on the positive side of
        than on the negative one, then by their similarity to the target (the part of the score
        between 0 and 1). Without, by how far they are on the wrong side of pairs: 0 at best.

        Args:
            target: What to look for: an id, a text or a vector.
            context: Pairs of a positive and a negative example, each an id, a text or a vector.
            k: How many documents to return.
            where: As in `search`.
            ids: As in `search`.
            exclude: Ids of documents to leave out.
            exclude_seen: Leave out the documents of target and pairs.
            min_score: The lowest score of a hit.
            diversity: As in `search`.
            group_by: As in `search`.
            group_size: As in `search`.
            order_by: As in `search`.
            passages: As in `search`.
            timeout: As in `search`.

        Raises:
            IdNotFoundError: No document has the id of an example.
            InvalidInputError: An argument is wrong, or there is neither target nor context.
            FilterError: The filter is wrong.
            OperationTimeoutError: The search was not done within `timeout`.
            EmbedderError: The model cannot be loaded or failed.

        Example:
            >>> c.discover("a trip", context=[("boat", "bus")]).ids
            ['ship']
        """
        with at_most(timeout):
            snapshot = self._snapshot
            reader = ExampleReader(snapshot, self._encoder(snapshot.manifest))
            goal, wanted, unwanted, seen = read_context(reader, target, context)
            shape = check_shape(
                snapshot,
                k,
                min_score=min_score,
                diversity=diversity,
                group_by=group_by,
                group_size=group_size,
                order_by=order_by,
                scores=False,
            )
            request = Request(
                self._searching(),
                self._searching().selector.select(where, ids),
                1.0,
                True,
                passages,
                shape,
                excluded_rows(snapshot, exclude, seen if exclude_seen else ()),
            )
            hits = request.answer(discovery(goal, wanted, unwanted, request))
            hits.question = self._question("", None, snapshot.manifest)
            hits.examples = all_examples(goal if len(goal) else wanted, unwanted)
            hits.filter = filter_words(where)
            return hits

    def analogy(
        self,
        positive: Iterable[Id] | Id,
        negative: Iterable[Id] | Id = (),
        k: int = 10,
        *,
        where: Where | None = None,
        ids: Ids | None = None,
        recall: float | None = None,
        exact: bool = False,
    ) -> Hits:
        """The k documents nearest to the sum of some documents less others, leaving these out.

        `analogy(positive=["king", "woman"], negative=["man"])` asks: as man is to king, so is woman
        to what? The score is the cosine with the sum (3CosAdd: Mikolov, Yih and Zweig, "Linguistic
        Regularities in Continuous Space Word Representations", NAACL 2013).

        Args:
            positive: Ids of documents whose vectors are added, each with unit length.
            negative: Ids of documents whose vectors are subtracted.
            k: How many documents to return.
            where: As in `search`.
            ids: As in `search`.
            recall: As in `search`.
            exact: As in `search`.

        Raises:
            IdNotFoundError: If a document is missing.
            InvalidInputError: If the metric is not cosine, or the vectors cancel out.

        Example:
            >>> import vecsearch as vs
            >>> words = vs.create("words", dim=2)
            >>> vectors = {"man": [0, 1], "king": [2, 1], "woman": [0, 2], "queen": [2, 1.5]}
            >>> _ = words.add([{"id": word, "vector": vector} for word, vector in vectors.items()])
            >>> words.analogy(positive=["king", "woman"], negative=["man"], k=1).ids
            ['queen']
        """
        metric = self._snapshot.manifest.metric
        target, given = analogy_query(metric, self.features, positive, negative)
        hits = self.search(target, k + len(given), where=where, ids=ids, recall=recall, exact=exact)
        return hits.without(given, k)
