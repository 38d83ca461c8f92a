"""A new collection with the same documents in fewer dimensions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from vecsearch.common.arrays import Scores
from vecsearch.embedders.projected import ReducedEmbedder
from vecsearch.embedders.projection import (
    METHODS,
    Method,
    Projection,
    checked_dims,
    fit_projection,
    training_sample,
)
from vecsearch.embedders.stored import Model, entry_of
from vecsearch.errors import InvalidInputError
from vecsearch.maintenance.rewrite import SegmentRewriter, rewritten_schema
from vecsearch.storage.folders import new_collection_folder
from vecsearch.storage.manifest import Manifest
from vecsearch.storage.schema import vector_view
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.store import Store
from vecsearch.types import ID, NORM, VECTOR, Metric


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
    manifest = snapshot.manifest
    checked_dims([dim], manifest.dim)
    if method not in METHODS:
        raise InvalidInputError(f"method is {method!r}; it must be one of {', '.join(METHODS)}")
    if not snapshot.live.count:
        raise InvalidInputError("the collection is empty: there is nothing to fit a projection on")
    projection = fit_projection(snapshot, training_sample(snapshot, seed), method, dim)
    inner, fingerprint = (
        (model.loaded_or_name(), model.entry.fingerprint) if model is not None else (None, None)
    )
    embedder = ReducedEmbedder(projection, inner, fingerprint)
    with new_collection_folder(target) as part:
        store = Store(part, 0)
        with store.staging() as staging:
            entry = entry_of(embedder, staging)
            task = SegmentRewriter(
                staging, dim, lambda rows: _fewer(rows, manifest, projection), progress
            )
            task.take(snapshot)
            schema = rewritten_schema(snapshot, dim)
            new = replace(
                manifest,
                version=0,
                schema=schema,
                dim=dim,
                embedder=entry,
                segments=task.segments(snapshot),
                indexes=(),
            )
            store.commit(staging, new.next("create"))
    return embedder


def _fewer(rows: pa.RecordBatch, manifest: Manifest, projection: Projection) -> Scores:
    """Vectors as they were given, projected. Raises InvalidInputError for one of which nothing is left."""
    vectors = vector_view(rows.column(VECTOR), manifest.dim).astype(np.float32)
    if manifest.metric is Metric.COSINE:
        vectors *= rows.column(NORM).to_numpy()[:, None]
    made = projection.apply(vectors)
    empty = ~made.any(axis=1)
    if manifest.metric is Metric.COSINE and empty.any():
        name = rows.column(ID)[int(np.argmax(empty))].as_py()
        raise InvalidInputError(
            f"of the vector of {name!r} nothing is left in {made.shape[1]} dimensions: keep more, or use pca"
        )
    return made
