"""How much recall fewer dimensions cost, and a collection with fewer.

Two ways are measured: principal components, and truncation, which suits models trained for it (Matryoshka) and few others.
What is measured was not seen before: the questions and the rows that recall is measured with are others than those the
components were fitted on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vecsearch.common.arrays import Positions, Scores, Vectors
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
from vecsearch.evaluation.qrels import Qrels, read_beir, read_qrels, read_queries
from vecsearch.index import exact
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import DimensionPoint, DimensionReport, Metric

BLOCK_ROWS = 16_384  # rows in memory at a time
HELD_OUT_SHARE = 0.2  # of a small collection at most this share are questions
FEWEST_ROWS = 50
PASSAGES = 8  # passages looked at for each document wanted


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
    """Recall@k of fewer dimensions against all of them; nDCG@k too where there are judgements.

    queries: float32 (nq, dim) as stored, or None for rows held out. judgements: for each query, document id as text -> grade.
    Raises InvalidInputError.
    """
    manifest = snapshot.manifest
    ladder = checked_dims(dims, manifest.dim)
    rng = np.random.default_rng(seed)
    rows = snapshot.live.rows
    if len(rows) < FEWEST_ROWS:
        raise InvalidInputError(
            f"{len(rows)} rows are too few to measure with: add at least {FEWEST_ROWS}"
        )
    query_source = "given queries" if queries is not None else "held-out rows"
    if queries is None:
        held = np.sort(
            rng.choice(rows, max(1, min(n_queries, int(len(rows) * HELD_OUT_SHARE))), replace=False)
        )
        queries = snapshot.stored_vectors(held)
        rows = np.setdiff1d(rows, held, assume_unique=True)
    fitted_on = np.sort(rng.choice(rows, min(TRAIN_ROWS, len(rows) // 2), replace=False))
    measured_on = np.setdiff1d(rows, fitted_on, assume_unique=True)
    ways = _ways(snapshot, fitted_on, ladder)
    truth, *found = _ranked(snapshot, measured_on, queries, [None, *ways.values()], k, progress)
    recalls = [
        np.ones(len(queries)),
        *(_recall(snapshot, queries, item, truth, k) for item in found),
    ]
    gains: list[float | None] = [None] * len(recalls)
    if judgements is not None:  # over all rows, with the projection that `reduced` makes
        every = _ways(snapshot, training_sample(snapshot, seed), ladder)
        width = k * PASSAGES if manifest.chunker is not None else k
        ranked = _ranked(
            snapshot, snapshot.live.rows, queries, [None, *every.values()], width, progress
        )
        gains = [
            float(ndcg_at_k(_documents(snapshot, rows, k), judgements, k).mean())
            for _, rows in ranked
        ]
    points = []
    for (method, dim), recall, gain in zip(
        [("full", manifest.dim), *ways], recalls, gains, strict=True
    ):
        low, _ = bootstrap_interval(recall)
        points.append(
            DimensionPoint(
                method,
                dim,
                dim * np.dtype(manifest.dtype).itemsize,
                float(recall.mean()),
                low,
                gain,
            )
        )
    return DimensionReport(
        tuple(points),
        k,
        len(measured_on),
        len(queries),
        len(fitted_on),
        query_source,
        str(manifest.metric),
    )


def read_judged(queries: Any, qrels: Any) -> tuple[list[Any], list[Mapping[str, float]] | None]:
    """Questions, and the judgements of each. queries: a list, id -> text or vector, a file, or a folder in the BEIR layout.
    Questions without a relevant document are left out where there are judgements. Raises InvalidInputError."""
    if isinstance(queries, str | os.PathLike):
        path = Path(queries)
        if path.is_dir():
            path, found = read_beir(path)
            qrels = found if qrels is None else qrels
        queries = read_queries(path)
    if qrels is None:
        return list(queries.values()) if isinstance(queries, Mapping) else list(queries), None
    if not isinstance(queries, Mapping):
        raise InvalidInputError(
            "qrels name their queries by id, so queries must be a dict of id to text, or a file"
        )
    judged: Mapping[Any, Mapping[Any, float]] | Qrels
    judged = read_qrels(Path(qrels)) if isinstance(qrels, str | os.PathLike) else qrels
    grades = {
        str(query): {str(item): float(grade) for item, grade in row.items()}
        for query, row in judged.items()
    }
    asked = {
        str(key): item
        for key, item in queries.items()
        if max(grades.get(str(key), {}).values(), default=0) > 0
    }
    if not asked:
        raise InvalidInputError(
            "no query has a relevant document in the judgements: do their ids agree?"
        )
    return list(asked.values()), [grades[key] for key in asked]


def _ways(
    snapshot: Snapshot, fitted_on: Positions, ladder: Sequence[int]
) -> dict[tuple[str, int], Projection]:
    """Every projection to compare, by method and dimension."""
    best = {method: fit_projection(snapshot, fitted_on, method, ladder[0]) for method in METHODS}
    return {(method, dim): best[method].first(dim) for dim in ladder for method in METHODS}


def _ranked(
    snapshot: Snapshot,
    rows: Positions,
    queries: Vectors,
    ways: Sequence[Projection | None],
    k: int,
    progress: Callable[[int], None],
) -> list[tuple[Scores, Positions]]:
    """The k best of `rows` for each query in each projection (None: as they are): scores and positions, (nq, k), by exact
    search, in one pass over the vectors."""
    metric, threads = snapshot.manifest.metric, os.cpu_count() or 1
    asked = [_projected(queries, way, metric) for way in ways]
    found: list[tuple[Scores, Positions]] = [
        (np.full((len(queries), k), -np.inf, np.float32), np.full((len(queries), k), -1, np.int64))
        for _ in ways
    ]
    for at in range(0, len(rows), BLOCK_ROWS):
        some = rows[at : at + BLOCK_ROWS]
        vectors = snapshot.stored_vectors(some)
        for number, way in enumerate(ways):
            scores, local = exact.search(
                _projected(vectors, way, metric), asked[number], k, metric, None, threads
            )
            positions = np.where(local < 0, -1, some[local])
            found[number] = exact.merge([found[number], (scores, positions)], k)
        progress(len(some))
    return found


def _projected(vectors: Vectors, way: Projection | None, metric: Metric) -> Scores:
    """As a collection of fewer dimensions stores them: of unit length for cosine."""
    if way is None:
        return vectors
    out = np.ascontiguousarray(way.apply(vectors))
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
    """Recall@k of each query, float64 (nq,); what was found counts by its score in all dimensions."""
    scores = np.full(found[1].shape, -np.inf)
    for number, (query, rows) in enumerate(zip(queries, found[1], strict=True)):
        there = rows >= 0
        scores[number, there] = exact.score_rows(
            snapshot.stored_vectors(rows[there]),
            query,
            np.arange(np.count_nonzero(there)),
            snapshot.manifest.metric,
        )
    return recall_at_k(found[1], scores, truth[1], truth[0], k)


def _documents(snapshot: Snapshot, rows: Positions, k: int) -> list[list[str]]:
    """The ids of the k best documents for each query, as text."""
    ranked = [
        dict.fromkeys(str(found) for found in snapshot.ids_at(line[line >= 0])) for line in rows
    ]
    return [list(ids)[:k] for ids in ranked]
