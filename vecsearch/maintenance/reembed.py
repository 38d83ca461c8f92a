"""The same documents under another model, as one commit.

The rows of each segment get new vectors in a segment of staging, without the writer's lock: searches go on under the old model.
Then what others committed meanwhile is caught up with: segments that are new are done too, rows deleted since are buried.
Vectors are kept by text until the commit, as those of an add are, so an interrupted move is resumed by asking for it again.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from vecsearch.common.arrays import Vectors
from vecsearch.embedders.base import Embedder
from vecsearch.embedders.stored import Model, entry_of
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.add import WINDOW_ROWS
from vecsearch.ingest.embedding import check_model_vectors
from vecsearch.ingest.vector_cache import VectorCache
from vecsearch.maintenance.rewrite import SegmentRewriter, rewritten_schema
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.store import Store
from vecsearch.types import ID, ReembedResult

CATCH_UPS = 3  # rounds of catching up before the lock is taken; what comes after them is done while others wait


def reembed_documents(
    store: Store, embedder: Embedder, progress: Callable[[int], None] = lambda rows: None
) -> ReembedResult:
    """Embed every document again with another model, and commit that; a collection that has this model stays as it is.

    Indexes are dropped. Raises InvalidInputError for a collection or a document without text, EmbedderError, StorageError,
    LockTimeoutError.
    """
    base = store.snapshot()
    if base.manifest.text_column is None:
        raise InvalidInputError(
            f"{store.root} has no text column, only vectors that were given, so no model can embed it again: make a collection "
            "with the model, and add the documents to it"
        )
    if _has(base, embedder):
        return ReembedResult(base.manifest.documents, 0, base.manifest.version)
    with store.staging() as staging:
        model = Model(store.root, entry_of(embedder, staging), embedder.dim, embedder)
        texts = _Texts(store, model, base)
        task = SegmentRewriter(staging, embedder.dim, texts.vectors, progress)
        task.take(base)
        for _ in range(CATCH_UPS):
            latest = store.snapshot()
            if not task.missing(latest):
                break
            texts.reopen()
            task.take(latest)
        with store.locked() as latest:
            if _has(latest, embedder):  # another process was quicker
                return ReembedResult(
                    latest.manifest.documents, texts.embedded, latest.manifest.version
                )
            if task.missing(latest):
                texts.reopen()
                task.take(latest)
            version = latest.manifest.next(
                "reembed",
                schema=rewritten_schema(latest, embedder.dim),
                dim=embedder.dim,
                embedder=model.entry,
                segments=task.segments(latest),
                indexes=(),
            )
            store.commit(staging, version)
    texts.cache.clear()
    return ReembedResult(version.documents, texts.embedded, version.version)


def _has(snapshot: Snapshot, embedder: Embedder) -> bool:
    entry = snapshot.manifest.embedder
    return entry is not None and entry.fingerprint == embedder.fingerprint()


class _Texts:
    """Vectors of passages by their text; those found in the cache are not embedded again."""

    def __init__(self, store: Store, model: Model, base: Snapshot) -> None:
        self.model = model
        self.column = base.manifest.text_column
        self.metric = base.manifest.metric
        self.several = base.live.count > WINDOW_ROWS
        self.embedded = 0
        self.root = store.root
        self.cache = VectorCache(self.root, model.entry, model.dim)

    def reopen(self) -> None:
        """Find what was embedded so far, too."""
        self.cache = VectorCache(self.root, self.model.entry, self.model.dim)

    def vectors(self, rows: pa.RecordBatch) -> Vectors:
        """float32 (rows, dim). Raises InvalidInputError for a row without text."""
        texts: list[str | None] = rows.column(self.column).to_pylist()
        for at, text in enumerate(texts):
            if text is None or not text.strip():
                raise InvalidInputError(
                    f"document {rows.column(ID)[at].as_py()!r} has a vector but no text in column {self.column!r}, so another "
                    "model cannot embed it: add it again with its text, or delete it"
                )
        unique = [text for text in dict.fromkeys(texts) if text is not None]
        known = self.cache.find(unique)
        new = [text for text in unique if text not in known]
        if new:
            made = self.model.embed_documents(new)
            check_model_vectors(made, self.metric, new)
            self.embedded += len(new)
            self.cache.put(new, made, more_to_come=self.several)
            known |= dict(zip(new, made, strict=True))
        return np.stack([known[text] for text in texts if text is not None])
