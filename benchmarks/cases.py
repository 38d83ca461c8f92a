"""What is asked of every library: no filter, random filters of several shares, and filters tied to
the query's neighbourhood.

The right answers are exact: every query against every row that its filter keeps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import faiss
import numpy as np
import numpy.typing as npt

from benchmarks.datasets import Dataset, Vectors
from benchmarks.peers import Where
from vecsearch.index import ruler
from vecsearch.types import Metric

SHARES = {"50%": 0.5, "10%": 0.1, "1%": 0.01, "0.1%": 0.001}
"""Random filters: the share of rows each keeps. Its column says 1 on those rows and 0 elsewhere."""

CLUSTERS = 40
"""k-means clusters behind the correlated filter (the query's own cluster) and the anti-correlated
one (the farthest).
"""

UNFILTERED, CORRELATED, ANTI_CORRELATED = "no filter", "2.5% correlated", "2.5% anti-correlated"
CASES = (UNFILTERED, *SHARES, CORRELATED, ANTI_CORRELATED)
DENSEST = "20% densest"
"""A filter that keeps the rows that are most alike; not among `CASES`, which all libraries get."""
SAMPLE = 2_000

SPARE = 100  # rows that float32 finds beyond those wanted: it cannot order near-duplicates
Columns = Mapping[str, npt.NDArray[np.int64]]


@dataclass(frozen=True)
class Case:
    """One kind of question: each query's filter, and its exact top rows (q, k) and how many rows
    match. `judge` keeps what the right answers are, for all libraries are asked the same.
    """

    name: str
    wheres: Sequence[Where]
    rows: npt.NDArray[np.int64]
    matching: npt.NDArray[np.int64]
    truths: dict[tuple[int, int], list[tuple[npt.NDArray[np.int64], ruler.Truth]]] = field(
        default_factory=dict, repr=False
    )


def make_columns(data: Dataset, seed: int = 0) -> tuple[dict[str, npt.NDArray[np.int64]], Vectors]:
    """The columns to filter on, by name, and the k-means centroids (40, dim) behind the column
    `cluster`.
    """
    n = len(data.base)
    rng = np.random.default_rng(seed)
    columns = {}
    for i, share in enumerate(SHARES.values()):
        kept = np.zeros(n, dtype=np.int64)
        kept[rng.permutation(n)[: max(1, round(share * n))]] = 1
        columns[f"f{i}"] = kept
    clusters = min(CLUSTERS, max(1, n // 50))
    means = faiss.Kmeans(
        data.base.shape[1], clusters, niter=20, seed=seed + 1, min_points_per_centroid=1
    )
    means.train(data.base[rng.permutation(n)[:50_000]])
    columns["cluster"] = means.assign(data.base)[1].astype(np.int64)
    sample = data.base[rng.permutation(n)[:SAMPLE]]
    kind = faiss.METRIC_L2 if data.metric == "l2" else faiss.METRIC_INNER_PRODUCT
    tenth = faiss.knn(data.base, sample, min(10, len(sample)), metric=kind)[0][:, -1]
    order = np.argsort(tenth if data.metric == "l2" else -tenth, kind="stable")
    columns["dense"] = np.zeros(n, dtype=np.int64)
    columns["dense"][order[: max(1, n // 5)]] = 1
    return columns, means.centroids


def make_case(
    name: str,
    data: Dataset,
    columns: Columns,
    centroids: Vectors,
    k: int,
    queries: int | None = None,
) -> Case:
    """The case `name` for the first `queries` queries, with its exact answers for the top `k`."""
    asked = data.queries[:queries]
    wheres = _wheres(name, asked, columns, centroids)
    rows = np.full((len(asked), k), -1, dtype=np.int64)
    matching = np.zeros(len(asked), dtype=np.int64)
    for where in Counter(wheres):
        those = np.array([i for i, each in enumerate(wheres) if each == where])
        kept = (
            np.arange(len(data.base))
            if where is None
            else np.flatnonzero(columns[where[0]] == where[1])
        )
        matching[those] = len(kept)
        if len(kept):
            top = min(k, len(kept))
            rows[those, :top] = kept[
                _exact(
                    asked[those], data.base if where is None else data.base[kept], top, data.metric
                )
            ]
    return Case(name, wheres, rows, matching)


def true_scores(data: Dataset, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The score, in float64, of the row numbers in each query's line, shape as `rows`; larger is
    better, -inf for -1.
    """
    scores = np.full(rows.shape, -np.inf)
    for i, line in enumerate(rows):
        scores[i, line >= 0] = true_scores_of(data, i, line[line >= 0])
    return scores


def true_scores_of(
    data: Dataset, query: int, rows: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """The scores of some rows for one query, in float64."""
    vectors, wide = data.base[rows].astype(np.float64), data.queries[query].astype(np.float64)
    if data.metric == "l2":
        return np.asarray(-((vectors - wide) ** 2).sum(axis=1))
    scores = vectors @ wide
    if data.metric == "cosine":
        scores = scores / (np.linalg.norm(vectors, axis=1) * np.linalg.norm(wide))
    return np.asarray(scores)


def judge(
    data: Dataset, case: Case, columns: Columns, found: Sequence[Sequence[int]], k: int
) -> tuple[npt.NDArray[np.float64], int]:
    """Recall@k of each query by the library's own rule (`vecsearch.index.ruler`), and how many hits
    broke the filter. A hit outside the filter is not found, nor is a number that no row has, and a
    row found twice counts once.
    """
    rows = np.full((len(found), k), -1, dtype=np.int64)
    for i, line in enumerate(found):
        rows[i, : min(k, len(line))] = line[:k]
    rows[(rows < 0) | (rows >= len(data.base))] = -1
    broken = 0
    for i, where in enumerate(case.wheres):
        if where is not None:
            outside = (rows[i] >= 0) & (columns[where[0]][rows[i]] != where[1])
            broken += int(outside.sum())
            rows[i, outside] = -1
    for line in rows:
        line[np.setdiff1d(np.arange(k), np.unique(line, return_index=True)[1])] = -1
    scores = true_scores(data, rows)
    recalls = np.ones(len(found))
    asked = len(found), k
    if asked not in case.truths:
        case.truths[asked] = list(_truths(data, case, *asked))
    for those, truth in case.truths[asked]:
        wanted = truth.rows.shape[1]
        hits = ruler.found_within(scores[those], truth, wanted, [k])
        recalls[those] = hits[:, 0] / wanted
    return recalls, broken


def _truths(
    data: Dataset, case: Case, queries: int, k: int
) -> Iterator[tuple[npt.NDArray[np.int64], ruler.Truth]]:
    """The right answers of the first queries: of those that have as many each."""
    matching = np.minimum(case.matching[:queries], k)
    exact = true_scores(data, case.rows[:queries, :k])
    for wanted in np.unique(matching[matching > 0]).tolist():
        those = np.flatnonzero(matching == wanted)
        slack = _slack(data, case, those, wanted)
        yield those, ruler.Truth(case.rows[those, :wanted], exact[those, :wanted], slack)


def _slack(
    data: Dataset, case: Case, queries: npt.NDArray[np.int64], k: int
) -> npt.NDArray[np.float64]:
    """How far below each exact score another is a tie with it: float64 (q, k)."""
    rows = case.rows[queries, :k]
    exact = np.stack([true_scores_of(data, int(query), case.rows[query, :k]) for query in queries])
    lengths = np.stack(
        [np.linalg.norm(data.base[line].astype(np.float64), axis=1) for line in rows]
    )
    own = np.linalg.norm(data.queries[queries].astype(np.float64), axis=1)
    return ruler.tolerances(Metric(data.metric), exact, lengths, own)


def _wheres(name: str, queries: Vectors, columns: Columns, centroids: Vectors) -> list[Where]:
    if name == UNFILTERED:
        return [None] * len(queries)
    if name in SHARES:
        return [(f"f{list(SHARES).index(name)}", 1)] * len(queries)
    if name == DENSEST:
        return [("dense", 1)] * len(queries)
    distances = ((queries[:, None, :] - centroids[None]) ** 2).sum(axis=2)
    empty = np.bincount(columns["cluster"], minlength=len(centroids)) == 0
    if name == CORRELATED:
        chosen = np.where(empty, np.inf, distances).argmin(axis=1)
    else:
        chosen = np.where(empty, -np.inf, distances).argmax(axis=1)
    return [("cluster", int(cluster)) for cluster in chosen]


def _exact(queries: Vectors, base: Vectors, k: int, metric: str) -> npt.NDArray[np.int64]:
    """The k best rows: float32 finds some more, and float64 orders them."""
    kind = faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT
    rows: npt.NDArray[np.int64] = faiss.knn(queries, base, min(k + SPARE, len(base)), metric=kind)[
        1
    ]
    some = Dataset("", base, queries, metric, held_out=True)
    order = np.argsort(-true_scores(some, rows), axis=1, kind="stable")[:, :k]
    return np.take_along_axis(rows, order, axis=1)
