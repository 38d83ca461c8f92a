"""Documents that are far from all others, by the local outlier factor."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.analysis.nearest import Edges, neighbor_edges
from vecsearch.analysis.tables import Outliers
from vecsearch.analysis.units import Units, take_ids
from vecsearch.errors import InvalidInputError
from vecsearch.query.searcher import Searcher
from vecsearch.storage.selection import RowSelection
from vecsearch.types import Metric


def outliers(
    searcher: Searcher, selection: RowSelection, units: Units, k: int, recall: float, exact: bool
) -> Outliers:
    """The table of `Collection.outliers`.

    The score is the local outlier factor (Breunig and others, SIGMOD 2000): how many times as far a
    document is from its k neighbors as these are from theirs; about 1 for most. Distances are
    Euclidean, with cosine between unit vectors.
    """
    metric = searcher.metric
    if metric is Metric.IP:
        raise InvalidInputError(
            "outliers compares distances, and inner products are none",
            hint='create the collection with metric="cosine" or "l2"',
            command_hint="create the collection with --metric cosine or l2",
        )
    count = len(units)
    if count < 3:
        raise InvalidInputError(f"outliers needs 3 documents, and there are {count}")
    k = min(k, count - 1)
    edges, _ = neighbor_edges(searcher, selection, units, k, recall, exact)
    scores = _factors(edges, count, k, metric)
    order = np.lexsort((np.arange(count), -scores))
    table = pa.table({"id": take_ids(units.ids, order), "score": scores[order]})
    return Outliers(table, k, count)


def _factors(edges: Edges, count: int, k: int, metric: Metric) -> npt.NDArray[np.float64]:
    from scipy.sparse import csr_array
    from sklearn.neighbors import LocalOutlierFactor

    scores = edges.scores.astype(np.float64)
    squares = -scores if metric is Metric.L2 else 2.0 - 2.0 * scores
    distances = np.sqrt(np.maximum(squares, 0.0))
    # scikit-learn wants each document among its own neighbors, nearest first.
    left = np.concatenate([np.arange(count), edges.left])
    right = np.concatenate([np.arange(count), edges.right])
    distances = np.concatenate([np.zeros(count), distances])
    order = np.lexsort((distances, left))  # stable: each document before its copies
    starts = np.concatenate([[0], np.cumsum(np.bincount(left, minlength=count))])
    graph = csr_array((distances[order], right[order], starts), shape=(count, count))
    model = LocalOutlierFactor(n_neighbors=k, metric="precomputed")
    model.fit(graph)
    return np.asarray(-model.negative_outlier_factor_, np.float64)
