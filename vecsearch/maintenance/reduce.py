"""A new collection with the same documents in fewer dimensions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from vecsearch.common.arrays import Vectors
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
from vecsearch.storage.limits import DEFAULT_LIMITS, Limits
from vecsearch.storage.manifest import replace
from vecsearch.storage.schema import decode_vectors, id_name
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.store import Store
from vecsearch.types import Metric


def write_reduced(
    snapshot: Snapshot,
    model: Model | None,
    target: Path,
    dim: int,
    method: Method,
    seed: int,
    progress: Callable[[int], None] = lambda rows: None,
    limits: Limits = DEFAULT_LIMITS,
) -> ReducedEmbedder:
    """Create a collection with the rows of a snapshot in fewer dimensions.

    Args:
        snapshot: The collection to copy.
        model: Its embedder; None if it has none.
        target: The folder of the new collection.
        dim: The new dimension.
        method: How vectors are projected, "pca" or "truncate".
        seed: Chooses the rows the projection is fitted on.
        progress: Called with the number of rows written each time.
        limits: The size of a window and of a segment.

    Returns:
        The embedder of the new collection: the model followed by the projection.

    Raises:
        InvalidInputError: `dim` or `method` is wrong, the collection is empty, or a projected
            vector has length zero and the metric is cosine.
        CollectionExistsError: `target` exists.
        StorageError: Writing failed.
    """
    manifest = snapshot.manifest
    (dim,) = checked_dims([dim], manifest.dim)
    if method not in METHODS:
        raise InvalidInputError(f"method is {method!r}; it must be one of {', '.join(METHODS)}")
    if not snapshot.live.count:
        raise InvalidInputError("the collection is empty: there is nothing to fit a projection on")
    projection = fit_projection(snapshot, training_sample(snapshot, seed), method, dim)
    inner, fingerprint = (
        (model.loaded_or_name(), model.entry.fingerprint) if model is not None else (None, None)
    )
    embedder = ReducedEmbedder(projection, inner, fingerprint)

    def project(rows: pa.RecordBatch) -> Vectors:
        return _project(rows, manifest.metric, projection)

    with new_collection_folder(target) as part:
        store = Store(part, 0, limits)
        with store.staging() as staging:
            entry = entry_of(embedder, staging)
            rewriter = SegmentRewriter(staging, limits, dim, project, progress)
            rewriter.take(snapshot)
            empty = replace(manifest, version=0, segments=(), indexes=(), vector_indexes={})
            first = empty.next(
                "create",
                schema=rewritten_schema(snapshot, dim),
                dim=dim,
                embedder=entry,
                segments=rewriter.segments(snapshot),
            )
            store.commit(staging, first)
    return embedder


def _project(rows: pa.RecordBatch, metric: Metric, projection: Projection) -> Vectors:
    """The projected vectors of rows as they are stored: float32 (rows, dim)."""
    projected = projection.apply(decode_vectors(rows))
    is_zero = ~projected.any(axis=1)
    if metric is Metric.COSINE and is_zero.any():
        name = rows.column(id_name(rows.schema))[int(np.argmax(is_zero))].as_py()
        raise InvalidInputError(
            f"the vector of {name!r} has length zero in {projected.shape[1]} dimensions, which "
            "cosine cannot compare",
            hint="keep more dimensions, or use method='pca'",
            command_hint="keep more dimensions, or use --method pca",
        )
    return projected
