"""Ask about all documents: neighbors, duplicates, clusters, labels, a map."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal

from vecsearch.analysis.classify import MODELS, classify
from vecsearch.analysis.clusters import cluster, communities
from vecsearch.analysis.maps import Map, mapped
from vecsearch.analysis.nearest import check_joinable, duplicates, join, neighbors
from vecsearch.analysis.newcomers import Newcomers
from vecsearch.analysis.outliers import outliers
from vecsearch.analysis.tables import (
    Classification,
    Clusters,
    Duplicates,
    Joined,
    Neighbors,
    Outliers,
)
from vecsearch.analysis.units import Units
from vecsearch.collection.opened import Opened
from vecsearch.common.accepted import (
    Ids,
    Where,
)
from vecsearch.common.arguments import (
    check_k,
    check_min_score,
    check_one_of,
    check_seed,
    check_whole,
)
from vecsearch.common.deadline import at_most
from vecsearch.common.gate import gate
from vecsearch.errors import (
    InvalidInputError,
)
from vecsearch.query.searcher import Searcher
from vecsearch.storage.objects.places import collection_path
from vecsearch.storage.selection import RowSelection
from vecsearch.types import (
    Id,
)


@gate
class Whole(Opened):
    """The part that looks at all documents."""

    def neighbors(
        self,
        k: int = 10,
        *,
        where: Where | None = None,
        ids: Ids | None = None,
        recall: float | None = None,
        exact: bool = False,
        passages: bool = False,
        timeout: float | None = None,
    ) -> Neighbors:
        """The k nearest neighbors of each document, as an edge table.

        Two documents of several passages score as their most similar passages.

        Args:
            k: How many neighbors of each.
            where: Only these documents, on both sides; as in `search`.
            ids: As in `search`.
            recall: As in `search`. The table's recall is measured on 200 documents.
            exact: Score all pairs.
            passages: Compare passages, not documents; their ids repeat.
            timeout: As in `search`.

        Returns:
            A table of `id`, `neighbor`, `rank` and `score`, with a report.

        Raises:
            InvalidInputError: An argument is wrong.
            FilterError: The filter is wrong.
            OperationTimeoutError: It was not done within `timeout`.

        Example:
            >>> c.neighbors(1).to_pylist()[0]
            {'id': 'boat', 'neighbor': 'ship', 'rank': 1, 'score': 0.78...}
        """
        with at_most(timeout):
            searcher, selection, units = self._whole(where, ids, passages=passages)
            target = self._target(recall, searcher.snapshot)
            return neighbors(searcher, selection, units, check_k(k), target, exact)

    def duplicates(
        self,
        threshold: float,
        *,
        where: Where | None = None,
        ids: Ids | None = None,
        recall: float | None = None,
        exact: bool = False,
        passages: bool = False,
        timeout: float | None = None,
    ) -> Duplicates:
        """All pairs of documents that score at least a threshold with each other.

        Args:
            threshold: The least score, such as 0.95 for cosine.
            where: Only these documents; as in `search`.
            ids: As in `search`.
            recall: As in `search`. The table's recall is measured on 200 documents.
            exact: Score all pairs.
            passages: Compare passages, not documents; their ids repeat.
            timeout: As in `search`.

        Returns:
            A table of `id` (the earlier one), `duplicate` and `score`, with a report.

        Raises:
            InvalidInputError: An argument is wrong.
            FilterError: The filter is wrong.
            OperationTimeoutError: It was not done within `timeout`.

        Example:
            >>> print(c.duplicates(0.9))
            0 pairs in 0 groups score at least 0.9 among 3 documents, all compared exactly
        """
        with at_most(timeout):
            searcher, selection, units = self._whole(where, ids, passages=passages)
            least = check_min_score(threshold, searcher.metric, "threshold")
            target = self._target(recall, searcher.snapshot)
            return duplicates(searcher, selection, units, least, target, exact)

    def join(
        self,
        other: Whole | str | os.PathLike[str],
        k: int = 1,
        *,
        where: Where | None = None,
        other_where: Where | None = None,
        min_score: float | None = None,
        recall: float | None = None,
        exact: bool = False,
        timeout: float | None = None,
    ) -> Joined:
        """For each document the k nearest of another collection.

        Args:
            other: The other collection, or its folder: of the same model, metric and dimension.
            k: How many partners of each.
            where: Only these documents; as in `search`.
            other_where: Only these partners.
            min_score: The lowest score of a pair.
            recall: As in `search`.
            exact: Score all pairs.
            timeout: As in `search`.

        Returns:
            A table of `id`, `other`, `rank` and `score`, with a report.

        Raises:
            InvalidInputError: The collections do not fit, or an argument is wrong.
            FilterError: A filter is wrong.
            OperationTimeoutError: It was not done within `timeout`.

        Example:
            >>> c.join(c, k=1, where="year < 2000").to_pylist()
            [{'id': 'boat', 'other': 'boat', 'rank': 1, 'score': 1.0}]
        """
        with at_most(timeout):
            right = other if isinstance(other, Whole) else type(self)(collection_path(other))
            k = check_k(k)
            _, _, units = self._whole(where, None)
            searcher, selection, others = right._whole(other_where, None)
            check_joinable(units.snapshot.manifest, searcher.snapshot.manifest)
            if min_score is not None:
                min_score = check_min_score(min_score, searcher.metric)
            target = self._target(recall, searcher.snapshot)
            return join(units, searcher, selection, others, k, min_score, target, exact)

    def outliers(
        self,
        k: int = 10,
        *,
        where: Where | None = None,
        ids: Ids | None = None,
        recall: float | None = None,
        exact: bool = False,
        passages: bool = False,
        timeout: float | None = None,
    ) -> Outliers:
        """How far each document is from what is usual around it, the farthest first.

        The score is the local outlier factor: how many times as far a document is from its k
        neighbors as these are from theirs. It is about 1 for most.

        Args:
            k: How many neighbors each is compared with.
            where: Only these documents; as in `search`.
            ids: As in `search`.
            recall: As in `search`.
            exact: Find the neighbors by exact search.
            passages: Look at passages, not documents.
            timeout: As in `search`.

        Returns:
            A table of `id` and `score`, with a report.

        Raises:
            InvalidInputError: The metric is "ip", or an argument is wrong.
            FilterError: The filter is wrong.
            OperationTimeoutError: It was not done within `timeout`.

        Example:
            >>> c.outliers(1)["id"][0].as_py()
            'bus'
        """
        with at_most(timeout):
            searcher, selection, units = self._whole(where, ids, passages=passages)
            target = self._target(recall, searcher.snapshot)
            return outliers(searcher, selection, units, check_k(k), target, exact)

    def cluster(
        self,
        clusters: int | None = None,
        *,
        links: Any = None,
        resolution: float | None = None,
        share: float | None = None,
        where: Where | None = None,
        ids: Ids | None = None,
        seed: int = 0,
        passages: bool = False,
        timeout: float | None = None,
    ) -> Clusters:
        """Documents in clusters, with labels from their own words: k-means, or Leiden with links.

        All vectors are in memory. A document of several passages is the mean of their vectors.
        With `links`, the clusters are communities: the Leiden algorithm (Traag, Waltman and van
        Eck, "From Louvain to Leiden", Scientific Reports 2019) on the links and on links from each
        document to the ten nearest. The report compares with Leiden on the links alone.

        Args:
            clusters: How many clusters. None: that number, up to 50, whose clusters are separated
                best. With links Leiden finds the number.
            links: Links between documents, by their ids: a table of `source`, `target` and perhaps
                `weight`, of anything that `add` takes; pairs; or a networkx graph. They count in
                both directions.
            resolution: With links: above 1 gives more clusters, below 1 fewer. None: 1.
            share: With links: the total weight of the links to near documents, in parts of that
                of the given links. 0 takes these alone. None: 0.5.
            where: Only these documents; as in `search`.
            ids: As in `search`.
            seed: For the beginning of k-means. The same seed gives the same clusters.
            passages: Cluster passages, not documents.
            timeout: As in `search`.

        Returns:
            A table of `id`, `cluster`, `label` and `score`, with a report.

        Raises:
            InvalidInputError: There are fewer documents than clusters, no link is between two of
                the documents, or an argument is wrong.
            FilterError: The filter is wrong.
            MissingExtraError: Links need the extra `graphs`.
            OperationTimeoutError: It was not done within `timeout`.

        Example:
            >>> c.cluster(2).sizes
            (2, 1)
        """
        if clusters is not None:
            clusters = check_whole("clusters", clusters, 1)
        seed = check_seed(seed)
        if links is None and (resolution is not None or share is not None):
            raise InvalidInputError("resolution and share need links: k-means knows neither")
        if links is not None and clusters is not None:
            raise InvalidInputError(
                "with links the number of clusters is found: give clusters or links, not both",
                hint="resolution= above 1 gives more clusters, below 1 fewer",
                command_hint="--resolution above 1 gives more clusters, below 1 fewer",
            )
        if links is not None and passages:
            raise InvalidInputError("links are between documents: give passages or links, not both")
        with at_most(timeout):
            _, _, units = self._whole(where, ids, passages=passages)
            if links is None:
                return cluster(units, clusters, seed)
            settings = {"resolution": resolution, "share": share}
            given = {name: value for name, value in settings.items() if value is not None}
            return communities(units, links, seed, **given)

    def classify(
        self,
        labels: str | Mapping[Id, Any],
        *,
        model: Literal["neighbors", "logistic", "tf-idf", "logistic+tf-idf"] | None = None,
        neighbors: int = 15,
        where: Where | None = None,
        ids: Ids | None = None,
        seed: int = 0,
        timeout: float | None = None,
    ) -> Classification:
        """Learn the labels of documents from their vectors and texts, and predict those of all.

        The models are the nearest labeled neighbors, logistic regression of the vectors, logistic
        regression of words and pairs of words (tf-idf), and the mean of what the last two think.
        Each is measured on documents that it has not seen, and the best one predicts.

        Args:
            labels: The column of the labels, or a dict of id -> label. Documents without a label
                are only predicted.
            model: Only this model. None: the most accurate on held-out documents.
            neighbors: How many labeled neighbors vote, the nearer the more.
            where: Only these documents; as in `search`.
            ids: As in `search`.
            seed: For the choice of held-out documents.
            timeout: As in `search`.

        Returns:
            A table of `id`, `label`, `confidence` and `given` (the label that it has), with a
            report. What it says of a labeled document comes from a model that has not seen its
            label. Its `predict(texts)` labels documents that are not in the collection.

        Raises:
            InvalidInputError: There are not two labels with two documents each, or an argument is
                wrong.
            IdNotFoundError: No document has an id of `labels`.
            FilterError: The filter is wrong.
            OperationTimeoutError: It was not done within `timeout`.

        Example:
            >>> notes = vs.create("kinds.vs", embedder="toy:64")
            >>> texts = ["red apple", "ripe apple", "sour apple", "fast car", "old car", "new car"]
            >>> _ = notes.add([{"id": n, "text": text} for n, text in enumerate(texts)])
            >>> found = notes.classify({0: "fruit", 1: "fruit", 3: "car", 4: "car"})
            >>> found["label"].to_pylist()[-1]
            'car'
        """
        if model is not None:
            check_one_of("model", model, MODELS)
        neighbors = check_whole("neighbors", neighbors, 1)
        with at_most(timeout):
            searcher, _, units = self._whole(where, ids)
            manifest = searcher.snapshot.manifest
            newcomers = Newcomers(
                manifest, self._model_of(manifest), lambda: self._splitting(manifest)
            )
            return classify(units, labels, check_seed(seed), model, neighbors, newcomers)

    def map(
        self,
        method: Literal["pca", "umap"] = "pca",
        *,
        where: Where | None = None,
        ids: Ids | None = None,
        seed: int = 0,
        passages: bool = False,
        timeout: float | None = None,
    ) -> Map:
        """Documents as points in the plane; `picture` draws them, `atlas` writes them for a viewer.

        Args:
            method: "pca" keeps large distances; "umap" (extra `map`) keeps near documents together.
            where: Only these documents; as in `search`.
            ids: As in `search`.
            seed: For UMAP.
            passages: Map passages, not documents.
            timeout: As in `search`.

        Returns:
            A table of `id`, `x` and `y`, with a report.

        Raises:
            InvalidInputError: There is no document, or an argument is wrong.
            FilterError: The filter is wrong.
            MissingExtraError: `umap-learn` is not installed.
            OperationTimeoutError: It was not done within `timeout`.

        Example:
            >>> c.map().table.column_names
            ['id', 'x', 'y']
        """
        with at_most(timeout):
            check_one_of("method", method, ("pca", "umap"))
            searcher, selection, units = self._whole(where, ids, passages=passages)
            target = self._target(None, searcher.snapshot)
            return mapped(searcher, selection, units, method, target, check_seed(seed))

    def _whole(
        self, where: Where | None, ids: Ids | None, *, passages: bool = False
    ) -> tuple[Searcher, RowSelection, Units]:
        """What questions about whole collections look at."""
        searcher = self._searching()
        selector = searcher.selector
        selection = (selector.select if passages else selector.select_documents)(where, ids)
        return searcher, selection, Units(searcher.snapshot, selection, passages=passages)
