"""Documents in clusters, with labels from their own words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.analysis.tables import Clusters, LinkReport
from vecsearch.analysis.units import Units
from vecsearch.analysis.words import cluster_words
from vecsearch.common.arrays import Vectors
from vecsearch.common.deadline import check_time
from vecsearch.common.show import shown
from vecsearch.errors import InvalidInputError
from vecsearch.graphs.communities import SHARE, communities_of, modularity
from vecsearch.graphs.graph import Graph
from vecsearch.ingest.graph_tables import graph_tables, read_links
from vecsearch.types import Metric, counted

MOST_TRIED = 50  # clusters, where their number is chosen
SILHOUETTE_ROWS = 2000
SMALL = 20_000  # rows up to which all are used at each step of k-means
Floats = npt.NDArray[np.float64]


def cluster(units: Units, count: int | None, seed: int) -> Clusters:
    """The table of `Collection.cluster`: k-means of the documents' vectors.

    Without a count, that one of a few is taken whose clusters are separated best (silhouette).
    """
    total = len(units)
    if count is not None and count > total:
        raise InvalidInputError(f"clusters is {count:,}, and there are {total:,} documents")
    if total < 2:
        raise InvalidInputError(f"cluster needs 2 documents, and there are {total}")
    vectors = units.vectors()
    tried = [count] if count is not None else _counts(total)
    best: tuple[float, Any, Floats] | None = None
    for number in tried:
        check_time()
        owners, centers = _kmeans(vectors, number, seed)
        separated = _silhouette(vectors, owners, seed)
        if best is None or separated > best[0]:
            best = separated, owners, centers
    assert best is not None
    separated, owners, centers = best
    return _described(units, vectors, owners, centers, separated, chosen=count is None)


def _described(
    units: Units, vectors: Vectors, owners: Any, centers: Floats, separated: float, *, chosen: bool
) -> Clusters:
    """The table: clusters numbered by their sizes, with labels, and documents with scores."""
    order = np.argsort(-np.bincount(owners, minlength=len(centers)), kind="stable")
    order = order[np.bincount(owners, minlength=len(centers))[order] > 0]
    renumbered = np.empty(len(centers), np.int32)
    renumbered[order] = np.arange(len(order))
    owners, centers = renumbered[owners], centers[order]
    scores = _similarity(vectors, centers, owners, units.snapshot.manifest.metric)
    ids = units.ids.to_pylist()
    central = [
        ids[int(np.argmax(np.where(owners == number, scores, -np.inf)))]
        for number in range(len(centers))
    ]
    texts = units.texts()
    labels = [str(which) for which in central]
    if texts is not None:
        words = cluster_words(texts, owners, len(centers))
        labels = [word or label for word, label in zip(words, labels, strict=True)]
    table = pa.table(
        {
            "id": units.ids,
            "cluster": owners.astype(np.int32),
            "label": pa.array(labels, pa.string()).take(pa.array(owners)),
            "score": scores.astype(np.float32),
        }
    )
    sizes = np.bincount(owners, minlength=len(centers)).tolist()
    return Clusters(table, tuple(labels), tuple(sizes), tuple(central), separated, chosen)


def communities(
    units: Units, links: Any, seed: int, resolution: float = 1.0, share: float = SHARE
) -> Clusters:
    """The table of `Collection.cluster` with links: Leiden over links and near vectors together.

    Raises:
        InvalidInputError: The links are none, no link is between two of the documents, or a
            setting is out of range.
        MissingExtraError: graspologic-native is not installed.
    """
    if len(units) < 2:
        raise InvalidInputError(f"cluster needs 2 documents, and there are {len(units)}")
    graph, ignored = _graph(units, links)
    vectors = units.vectors()
    plain = communities_of(graph, resolution=resolution, seed=seed)
    both = communities_of(graph, vectors, resolution=resolution, share=share, seed=seed)
    owners = both.astype(np.int64)
    counts = np.bincount(owners)
    sums = np.zeros((len(counts), vectors.shape[1]))
    np.add.at(sums, owners, vectors)
    found = _described(
        units,
        vectors,
        owners,
        sums / counts[:, None],
        _silhouette(vectors, owners, seed),
        chosen=True,
    )
    compared = LinkReport(
        links=int(graph.either.nnz // 2),
        ignored=ignored,
        modularity=modularity(graph, both),
        alone=len(np.unique(plain)),
        alone_modularity=modularity(graph, plain),
    )
    table = found.table.append_column("by_links", pa.array(plain, pa.int32()))
    return replace(found, table=table, links=compared)


def _graph(units: Units, links: Any) -> tuple[Graph, int]:
    """The links between the documents, and how many lead elsewhere."""
    tables = graph_tables(links)
    given = read_links(tables.edges, type=None, directed=bool(tables.directed))
    ids = [str(which) for which in units.ids.to_pylist()]
    place = {which: row for row, which in enumerate(ids)}
    rows = np.array([place.get(node, -1) for node in given.nodes], np.int64)
    tail, head = rows[given.tail], rows[given.head]
    inside = (tail >= 0) & (head >= 0)
    if not (inside & (tail != head)).any():
        raise InvalidInputError(
            f"links: none of {counted(len(tail), 'link')} is between two of "
            f"{counted(len(ids), 'document')}; the first one is of "
            f"{shown(given.nodes[given.tail[0]])} and {shown(given.nodes[given.head[0]])}, and the "
            f"first document is {shown(ids[0])}",
            hint="the columns 'source' and 'target' hold ids of documents",
        )
    weights = given.weights[inside]
    graph = Graph.from_links(ids, tail[inside], head[inside], weights, directed=False)
    return graph, int((~inside).sum())


def _counts(total: int) -> list[int]:
    """Numbers of clusters to try: about a third more each time, up to the root of the documents."""
    most = min(MOST_TRIED, max(2, int(np.sqrt(total))))
    counts, number = [], 2.0
    while number <= most:
        counts.append(int(number))
        number = max(number + 1, number * 1.35)
    return counts


def _kmeans(vectors: Vectors, count: int, seed: int) -> tuple[Any, Floats]:
    from sklearn.cluster import KMeans, MiniBatchKMeans

    kind = KMeans if len(vectors) <= SMALL else MiniBatchKMeans
    model = kind(n_clusters=count, n_init=3, random_state=seed).fit(vectors)
    return np.asarray(model.labels_, np.int64), np.asarray(model.cluster_centers_, np.float64)


def _silhouette(vectors: Vectors, owners: Any, seed: int) -> float:
    """How well some of the documents are separated, -1 to 1; 0 for a single cluster."""
    from sklearn.metrics import silhouette_score

    rows = np.arange(len(vectors))
    if len(rows) > SILHOUETTE_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, SILHOUETTE_ROWS, replace=False))
    present = len(np.unique(owners[rows]))
    if not 2 <= present < len(rows):
        return 0.0
    return float(silhouette_score(vectors[rows], owners[rows]))


def _similarity(vectors: Vectors, centers: Floats, owners: Any, metric: Metric) -> Floats:
    """The score of each document with the center of its cluster, by the collection's metric."""
    own = centers[owners]
    wide = vectors.astype(np.float64)
    if metric is Metric.L2:
        differences = wide - own
        return np.asarray(-np.vecdot(differences, differences))
    products = np.vecdot(wide, own)
    if metric is Metric.COSINE:
        lengths = np.linalg.norm(wide, axis=1) * np.linalg.norm(own, axis=1)
        products = products / np.where(lengths > 0, lengths, 1)
    return np.asarray(products)
