"""How much recall fewer dimensions cost, and a collection with fewer.

Two ways are measured: principal components, and truncation, which suits models trained for it (Matryoshka) and few others.
What is measured was not seen before: the questions and the rows that recall is measured with are others than those the
components were fitted on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from vecsearch import exact
from vecsearch.backup import in_the_making
from vecsearch.embedders.reduced import METHODS, Method, Projection, ReducedEmbedder, principal_components, truncation
from vecsearch.errors import InvalidInputError
from vecsearch.evaluate import bootstrap_interval, ndcg_at_k, recall_at_k
from vecsearch.exact import Rows, Scores
from vecsearch.manifest import Manifest
from vecsearch.model import Model, entry_of
from vecsearch.quality.files import Qrels, read_beir, read_qrels, read_queries
from vecsearch.reembed import Remaking, remade_schema
from vecsearch.segment import vector_view
from vecsearch.snapshot import Positions, Snapshot
from vecsearch.store import Store
from vecsearch.types import ID, NORM, VECTOR, DimensionPoint, DimensionReport, Metric

LADDER = (8, 16, 32, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072)
TRAIN_ROWS = 65_536  # rows that components are fitted on, where there are that many
BLOCK_ROWS = 16_384  # rows in memory at a time
HELD_OUT_SHARE = 0.2  # of a small collection at most this share are questions
FEWEST_ROWS = 50
PASSAGES = 8  # passages looked at for each document wanted


def measure_dimensions(
    snapshot: Snapshot,
    dims: Sequence[int] | None,
    k: int,
    queries: Scores | None,
    judgements: Sequence[Mapping[str, float]] | None,
    n_queries: int,
    seed: int,
    progress: Callable[[int], None] = lambda rows: None,
) -> DimensionReport:
    """Recall@k of fewer dimensions against all of them; nDCG@k too where there are judgements.

    queries: float32 (nq, dim) as stored, or None for rows held out. judgements: for each query, document id as text -> grade.
    Raises InvalidInputError.
    """
    facts = snapshot.facts
    ladder = checked_dims(dims, facts.dim)
    rng = np.random.default_rng(seed)
    rows = snapshot.live.rows
    if len(rows) < FEWEST_ROWS:
        raise InvalidInputError(f"{len(rows)} rows are too few to measure with: add at least {FEWEST_ROWS}")
    asked_with = "given queries" if queries is not None else "held-out rows"
    if queries is None:
        held = np.sort(rng.choice(rows, max(1, min(n_queries, int(len(rows) * HELD_OUT_SHARE))), replace=False))
        queries = snapshot.stored_vectors(held)
        rows = np.setdiff1d(rows, held, assume_unique=True)
    fitted_on = np.sort(rng.choice(rows, min(TRAIN_ROWS, len(rows) // 2), replace=False))
    measured_on = np.setdiff1d(rows, fitted_on, assume_unique=True)
    ways = _ways(snapshot, fitted_on, ladder)
    truth, *found = _ranked(snapshot, measured_on, queries, [None, *ways.values()], k, progress)
    recalls = [np.ones(len(queries)), *(_recall(snapshot, queries, item, truth, k) for item in found)]
    gains: list[float | None] = [None] * len(recalls)
    if judgements is not None:  # over all rows, with the projection that `reduced` makes
        every = _ways(snapshot, _sample(snapshot, seed), ladder)
        width = k * PASSAGES if facts.chunker is not None else k
        ranked = _ranked(snapshot, snapshot.live.rows, queries, [None, *every.values()], width, progress)
        gains = [float(ndcg_at_k(_documents(snapshot, rows, k), judgements, k).mean()) for _, rows in ranked]
    points = []
    for (method, dim), recall, gain in zip([("full", facts.dim), *ways], recalls, gains, strict=True):
        low, _ = bootstrap_interval(recall)
        points.append(DimensionPoint(method, dim, dim * np.dtype(facts.dtype).itemsize, float(recall.mean()), low, gain))
    return DimensionReport(tuple(points), k, len(measured_on), len(queries), len(fitted_on), asked_with, str(facts.metric))


def checked_dims(dims: Sequence[int] | None, full: int) -> list[int]:
    """The dimensions to measure, the largest first. Raises InvalidInputError."""
    ladder = [dim for dim in LADDER if full / 16 <= dim < full] or [max(1, full // 2)] if dims is None else list(dims)
    for dim in ladder:
        if not isinstance(dim, int | np.integer) or isinstance(dim, bool) or not 1 <= dim < full:
            raise InvalidInputError(f"dimension {dim!r}: give whole numbers from 1 to {full - 1}, fewer than there are")
    return sorted({int(dim) for dim in ladder}, reverse=True)


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
        raise InvalidInputError("qrels name their queries by id, so queries must be a dict of id to text, or a file")
    judged: Mapping[Any, Mapping[Any, float]] | Qrels
    judged = read_qrels(Path(qrels)) if isinstance(qrels, str | os.PathLike) else qrels
    grades = {str(query): {str(item): float(grade) for item, grade in row.items()} for query, row in judged.items()}
    asked = {str(key): item for key, item in queries.items() if max(grades.get(str(key), {}).values(), default=0) > 0}
    if not asked:
        raise InvalidInputError("no query has a relevant document in the judgements: do their ids agree?")
    return list(asked.values()), [grades[key] for key in asked]


def _ways(snapshot: Snapshot, fitted_on: Positions, ladder: Sequence[int]) -> dict[tuple[str, int], Projection]:
    """Every projection to compare, by method and dimension."""
    best = {method: fit(snapshot, fitted_on, method, ladder[0]) for method in METHODS}
    return {(method, dim): best[method].first(dim) for dim in ladder for method in METHODS}


def fit(snapshot: Snapshot, rows: Positions, method: Method, dim: int) -> Projection:
    """A projection of the collection's vectors, fitted on some rows."""
    if method == "truncate":
        return truncation(snapshot.facts.dim, dim)
    return principal_components(snapshot.stored_vectors(rows), dim, centred=snapshot.facts.metric is Metric.L2)


def _sample(snapshot: Snapshot, seed: int) -> Positions:
    rows = snapshot.live.rows
    return np.sort(np.random.default_rng(seed).choice(rows, min(TRAIN_ROWS, len(rows)), replace=False))


def _ranked(
    snapshot: Snapshot,
    rows: Positions,
    queries: Scores,
    ways: Sequence[Projection | None],
    k: int,
    progress: Callable[[int], None],
) -> list[tuple[Scores, Rows]]:
    """The k best of `rows` for each query in each projection (None: as they are): scores and positions, (nq, k), by exact
    search, in one pass over the vectors."""
    metric, threads = snapshot.facts.metric, os.cpu_count() or 1
    asked = [_projected(queries, way, metric) for way in ways]
    found: list[tuple[Scores, Rows]] = [
        (np.full((len(queries), k), -np.inf, np.float32), np.full((len(queries), k), -1, np.int64)) for _ in ways
    ]
    for at in range(0, len(rows), BLOCK_ROWS):
        some = rows[at : at + BLOCK_ROWS]
        vectors = snapshot.stored_vectors(some)
        for number, way in enumerate(ways):
            scores, local = exact.search(_projected(vectors, way, metric), asked[number], k, metric, None, threads)
            positions = np.where(local < 0, -1, some[local])
            found[number] = exact.merge([found[number], (scores, positions)], k)
        progress(len(some))
    return found


def _projected(vectors: Scores, way: Projection | None, metric: Metric) -> Scores:
    """As a collection of fewer dimensions stores them: of unit length for cosine."""
    if way is None:
        return vectors
    out = np.ascontiguousarray(way.apply(vectors))
    if metric is Metric.COSINE:
        out /= np.maximum(np.linalg.norm(out, axis=1, keepdims=True), np.float32(1e-30))
    return out


def _recall(snapshot: Snapshot, queries: Scores, found: tuple[Scores, Rows], truth: tuple[Scores, Rows], k: int) -> Any:
    """Recall@k of each query, float64 (nq,); what was found counts by its score in all dimensions."""
    scores = np.full(found[1].shape, -np.inf)
    for number, (query, rows) in enumerate(zip(queries, found[1], strict=True)):
        there = rows >= 0
        scores[number, there] = exact.score_rows(
            snapshot.stored_vectors(rows[there]), query, np.arange(np.count_nonzero(there)), snapshot.facts.metric
        )
    return recall_at_k(found[1], scores, truth[1], truth[0], k)


def _documents(snapshot: Snapshot, rows: Rows, k: int) -> list[list[str]]:
    """The ids of the k best documents for each query, as text."""
    ranked = [dict.fromkeys(str(found) for found in snapshot.ids_at(line[line >= 0])) for line in rows]
    return [list(ids)[:k] for ids in ranked]


def write_reduced(
    snapshot: Snapshot,
    model: Model | None,
    target: Path,
    dim: int,
    method: Method,
    seed: int,
    progress: Callable[[int], None] = lambda rows: None,
) -> ReducedEmbedder:
    """Make a collection at `target` with the same rows in fewer dimensions; the embedder it has: the model and a projection.

    Raises InvalidInputError, CollectionExistsError, StorageError.
    """
    facts = snapshot.facts
    checked_dims([dim], facts.dim)
    if method not in METHODS:
        raise InvalidInputError(f"method is {method!r}; it must be one of {', '.join(METHODS)}")
    if not snapshot.live.count:
        raise InvalidInputError("the collection is empty: there is nothing to fit a projection on")
    projection = fit(snapshot, _sample(snapshot, seed), method, dim)
    inner, fingerprint = (model.loaded_or_name(), model.entry.fingerprint) if model is not None else (None, None)
    embedder = ReducedEmbedder(projection, inner, fingerprint)
    with in_the_making(target) as part:
        store = Store(part, 0)
        with store.staging() as staging:
            entry = entry_of(embedder, staging)
            task = Remaking(staging, dim, lambda rows: _fewer(rows, facts, projection), progress)
            task.take(snapshot)
            schema = remade_schema(snapshot, dim)
            new = replace(
                facts, version=0, schema=schema, dim=dim, embedder=entry, segments=task.segments(snapshot), indexes=()
            )
            store.commit(staging, new.next("create"))
    return embedder


def _fewer(rows: pa.RecordBatch, facts: Manifest, projection: Projection) -> Scores:
    """Vectors as they were given, projected. Raises InvalidInputError for one of which nothing is left."""
    vectors = vector_view(rows.column(VECTOR), facts.dim).astype(np.float32)
    if facts.metric is Metric.COSINE:
        vectors *= rows.column(NORM).to_numpy()[:, None]
    made = projection.apply(vectors)
    empty = ~made.any(axis=1)
    if facts.metric is Metric.COSINE and empty.any():
        name = rows.column(ID)[int(np.argmax(empty))].as_py()
        raise InvalidInputError(
            f"of the vector of {name!r} nothing is left in {made.shape[1]} dimensions: keep more, or use pca"
        )
    return made
