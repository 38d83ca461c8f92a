"""How much recall fewer dimensions cost.

Two methods are measured: principal components, and truncation, which suits models trained for it
(Matryoshka) and few others. The queries and rows that recall is measured with are not among the
rows that the components were fitted on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from vecsearch.common.arrays import Positions, Scores, Vectors
from vecsearch.common.cores import cores
from vecsearch.common.show import shown
from vecsearch.embedders.projection import (
    METHODS,
    TRAIN_ROWS,
    Projection,
    checked_dims,
    fit_projection,
    training_sample,
)
from vecsearch.errors import InvalidInputError
from vecsearch.evaluation.metrics import bootstrap_interval, ndcg_at_k, recall_at_k
from vecsearch.evaluation.qrels import (
    checked_qrels,
    file_of,
    read_beir,
    read_qrels,
    read_queries,
)
from vecsearch.index import exact
from vecsearch.index.scorer import VectorScorer
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import DimensionPoint, DimensionReport, Metric, counted

BLOCK_ROWS = 16_384  # rows in memory at a time
HELD_OUT_SHARE = 0.2  # of a small collection at most this share become queries
FEWEST_ROWS = 50
PASSAGES = 8  # passages ranked for each document asked for


def measure_dimensions(
    snapshot: Snapshot,
    dims: Sequence[int] | None,
    k: int,
    queries: Vectors | None,
    judgements: Sequence[Mapping[str, float]] | None,
    n_queries: int,
    seed: int,
    progress: Callable[[int], None] = lambda rows: None,
) -> DimensionReport:
    """Recall@k of fewer dimensions against all of them, and nDCG@k where there are judgements.

    Args:
        snapshot: The version to measure.
        dims: The dimensions to measure; None takes a ladder of usual ones.
        k: The number of hits.
        queries: float32, shape (nq, dim), as stored; None takes rows, which are then left out.
        judgements: For each query, document id as text -> grade.
        n_queries: How many rows to take as queries.
        seed: Seed of the choice of rows.
        progress: Called with the number of rows compared since the last call.

    Returns:
        One point for all dimensions, and one for each method and dimension.

    Raises:
        InvalidInputError: A dimension is wrong, or there are too few rows.
    """
    manifest = snapshot.manifest
    ladder = checked_dims(dims, manifest.dim)
    rng = np.random.default_rng(seed)
    rows = snapshot.live.rows
    if len(rows) < FEWEST_ROWS:
        raise InvalidInputError(
            f"the collection has {counted(len(rows), 'row')}, too few to measure with: add at "
            "least "
            f"{FEWEST_ROWS}"
        )
    query_source = "given queries" if queries is not None else "held-out rows"
    if queries is None:
        count = max(1, min(n_queries, int(len(rows) * HELD_OUT_SHARE)))
        held_out = np.sort(rng.choice(rows, count, replace=False))
        queries = snapshot.stored_vectors(held_out)
        rows = np.setdiff1d(rows, held_out, assume_unique=True)
    fitted_on = np.sort(rng.choice(rows, min(TRAIN_ROWS, len(rows) // 2), replace=False))
    measured_on = np.setdiff1d(rows, fitted_on, assume_unique=True)
    projections = _projections(snapshot, fitted_on, ladder)
    truth, *found = _ranked(
        snapshot, measured_on, queries, [None, *projections.values()], k, progress
    )
    recalls = [
        np.ones(len(queries)),
        *(_recall(snapshot, queries, hits, truth, k) for hits in found),
    ]
    gains: list[float | None] = [None] * len(recalls)
    if judgements is not None:
        gains = [*_gains(snapshot, queries, judgements, ladder, k, seed, progress)]
    points = [
        _point(method, dim, recall, gain, manifest.dtype)
        for (method, dim), recall, gain in zip(
            [("full", manifest.dim), *projections], recalls, gains, strict=True
        )
    ]
    return DimensionReport(
        tuple(points),
        k,
        len(measured_on),
        len(queries),
        len(fitted_on),
        query_source,
        str(manifest.metric),
    )


def _point(method: str, dim: int, recall: Any, gain: float | None, dtype: str) -> DimensionPoint:
    low, _ = bootstrap_interval(recall)
    size = dim * np.dtype(dtype).itemsize
    return DimensionPoint(method, dim, size, float(recall.mean()), low, gain)


def _gains(
    snapshot: Snapshot,
    queries: Vectors,
    judgements: Sequence[Mapping[str, float]],
    ladder: Sequence[int],
    k: int,
    seed: int,
    progress: Callable[[int], None],
) -> list[float]:
    """nDCG@k over all rows, of all dimensions and of each projection.

    The projections are fitted on the same rows as those of `Collection.reduce`.
    """
    projections = _projections(snapshot, training_sample(snapshot, seed), ladder)
    width = k * PASSAGES if snapshot.manifest.chunked else k
    ranked = _ranked(
        snapshot, snapshot.live.rows, queries, [None, *projections.values()], width, progress
    )
    return [
        float(ndcg_at_k(_documents(snapshot, rows, k), judgements, k).mean()) for _, rows in ranked
    ]


def read_judged(queries: Any, qrels: Any) -> tuple[list[Any], list[Mapping[str, float]] | None]:
    """Read queries, and the judgements of each.

    Args:
        queries: A list, or id -> text or vector, or a file, or a folder in the BEIR layout.
        qrels: A file, or query id -> document id -> grade, or None.

    Returns:
        The queries, and for each of them document id as text -> grade. Without judgements that is
        None; with judgements, queries without a relevant document are left out.

    Raises:
        InvalidInputError: An argument or a file is wrong, or no query has a relevant document.
    """
    if isinstance(queries, str | os.PathLike):
        path = file_of("queries", queries)
        if path.is_dir():
            path, found = read_beir(path)
            qrels = found if qrels is None else qrels
        queries = read_queries(path)
    if qrels is None:
        if not isinstance(queries, Iterable) or getattr(queries, "shape", None) == ():
            raise InvalidInputError(f"queries is {shown(queries)}; it must be a list or a dict")
        return list(queries.values()) if isinstance(queries, Mapping) else list(queries), None
    if not isinstance(queries, Mapping):
        raise InvalidInputError(
            "qrels name their queries by id, so queries must be a dict of id to text, or a file"
        )
    given = isinstance(qrels, Mapping)
    judged = checked_qrels(qrels) if given else read_qrels(file_of("qrels", qrels))
    grades = {
        str(query): {str(item): float(grade) for item, grade in row.items()}
        for query, row in judged.items()
    }
    with_answer = {
        str(key): item
        for key, item in queries.items()
        if max(grades.get(str(key), {}).values(), default=0) > 0
    }
    if not with_answer:
        raise InvalidInputError(
            "no query has a relevant document in the judgements: do their ids agree?"
        )
    return list(with_answer.values()), [grades[key] for key in with_answer]


def _projections(
    snapshot: Snapshot, fitted_on: Positions, ladder: Sequence[int]
) -> dict[tuple[str, int], Projection]:
    """Every projection to compare, by method and dimension."""
    largest = {method: fit_projection(snapshot, fitted_on, method, ladder[0]) for method in METHODS}
    return {(method, dim): largest[method].first(dim) for dim in ladder for method in METHODS}


def _ranked(
    snapshot: Snapshot,
    rows: Positions,
    queries: Vectors,
    projections: Sequence[Projection | None],
    k: int,
    progress: Callable[[int], None],
) -> list[tuple[Scores, Positions]]:
    """The k best of `rows` for each query in each projection, by exact search.

    One pass over the vectors serves all projections; None leaves the vectors as they are.

    Returns:
        For each projection scores and positions, both of shape (nq, k).
    """
    metric, threads = snapshot.manifest.metric, cores()
    projected = [_projected(queries, projection, metric) for projection in projections]
    found: list[tuple[Scores, Positions]] = [
        (np.full((len(queries), k), -np.inf, np.float32), np.full((len(queries), k), -1, np.int64))
        for _ in projections
    ]
    for start in range(0, len(rows), BLOCK_ROWS):
        block = rows[start : start + BLOCK_ROWS]
        vectors = snapshot.stored_vectors(block)
        for number, projection in enumerate(projections):
            scores, local = exact.search(
                _projected(vectors, projection, metric), projected[number], k, metric, None, threads
            )
            positions = np.where(local < 0, -1, block[local])
            found[number] = exact.merge([found[number], (scores, positions)], k)
        progress(len(block))
    return found


def _projected(vectors: Vectors, projection: Projection | None, metric: Metric) -> Vectors:
    """Vectors as a collection of fewer dimensions stores them: of unit length for cosine."""
    if projection is None:
        return vectors
    out = np.ascontiguousarray(projection.apply(vectors))
    if metric is Metric.COSINE:
        out /= np.maximum(np.linalg.norm(out, axis=1, keepdims=True), np.float32(1e-30))
    return out


def _recall(
    snapshot: Snapshot,
    queries: Vectors,
    found: tuple[Scores, Positions],
    truth: tuple[Scores, Positions],
    k: int,
) -> Any:
    """Recall@k of each query, float64 (nq,); found rows are scored in all dimensions."""
    scorer = VectorScorer(snapshot)
    right = scorer.final_scores(queries, truth[1])
    return recall_at_k(found[1], scorer.final_scores(queries, found[1]), truth[1], right, k)


def _documents(snapshot: Snapshot, rows: Positions, k: int) -> list[list[str]]:
    """The ids of the k best documents for each query, as text."""
    ranked = [dict.fromkeys(map(str, snapshot.ids_at(line[line >= 0]))) for line in rows]
    return [list(ids)[:k] for ids in ranked]
