"""Documents in clusters, with labels from their own words."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.analysis.tables import Clusters
from vecsearch.analysis.units import Units
from vecsearch.analysis.words import cluster_words
from vecsearch.common.arrays import Vectors
from vecsearch.common.deadline import check_time
from vecsearch.errors import InvalidInputError
from vecsearch.types import Metric

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
    return Clusters(table, tuple(labels), tuple(sizes), tuple(central), separated, count is None)


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
