"""Embed the documents of a collection with another model, as one commit.

The segments are rewritten in staging, without the writer's lock, while searches use the old model.
Then what others committed meanwhile is caught up with: new segments are rewritten too, and rows
deleted since are deleted. Until the commit the vectors are cached by text, as those of an add are,
so that an interrupted run resumes when it is called again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.common.arrays import Vectors
from vecsearch.common.keyed import embeds_ids
from vecsearch.common.progress import Shares
from vecsearch.common.show import shown_id
from vecsearch.common.table_rows import row_columns
from vecsearch.embedders.base import Embedder
from vecsearch.embedders.stored import Model, entry_of, has_fingerprint, settings_for
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.embedding import EmbedTexts, TextEmbedder
from vecsearch.ingest.fitness import Fitness
from vecsearch.ingest.passages import embedded_texts
from vecsearch.ingest.texts import without_text
from vecsearch.ingest.vector_cache import VectorCache
from vecsearch.ingest.vector_column import first_true
from vecsearch.maintenance.rewrite import SegmentRewriter, rewritten_schema
from vecsearch.storage.manifest import Manifest
from vecsearch.storage.schema import id_name
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.staging import Staging
from vecsearch.storage.store import Store
from vecsearch.types import ReembedResult

CATCH_UPS = 3  # rounds of catching up without the lock; the last round holds it


def reembed_documents(
    store: Store,
    embedder: Embedder,
    progress: Callable[[int], None] = lambda rows: None,
    spread: Callable[[Model], EmbedTexts] = lambda model: model,
) -> ReembedResult:
    """Embed every document with another model, and commit that. Indexes are dropped.

    Args:
        store: The collection. If it has this model already, nothing changes.
        embedder: The other model.
        progress: Called with the number of rows embedded each time.
        spread: Makes of the model what embeds the texts, such as one that does so elsewhere.

    Raises:
        InvalidInputError: The collection, or a document, has no text.
        EmbedderError: The model failed, or returned an unusable vector.
        LockTimeoutError: Another writer held the lock for too long.
        StorageError: Writing failed.
    """
    base = store.snapshot()
    if base.manifest.row_columns or row_columns(embedder):
        which = embedder.name if row_columns(embedder) else f"the model of {store.root}"
        raise InvalidInputError(
            f"{which} reads columns of a table and no text: create a collection with the other "
            "model, and add the data to it"
        )
    if base.manifest.text_column is None:
        raise InvalidInputError(
            f"{store.root} has no text column, only vectors that were given, so no model can embed "
            "it: create a collection with the model, and add the documents to it"
        )
    entry = base.manifest.embedder
    if entry is not None and has_fingerprint(embedder, entry.fingerprint):
        return ReembedResult(base.manifest.documents, 0, base.manifest.version)
    with store.staging() as staging:
        model = Model(store.root, entry_of(embedder, staging), embedder.dim, embedder)
        texts = _TextVectors(store, model, base, progress, spread(model))
        rewriter = SegmentRewriter(staging, store.limits, embedder.dim, texts.vectors_of)
        _catch_up(store, rewriter, texts, base)
        version = _commit(store, rewriter, texts, staging)
    texts.fitness.warn(splits=False, stacklevel=4)
    return ReembedResult(version.documents, texts.embedded, version.version)


def _catch_up(store: Store, rewriter: SegmentRewriter, texts: _TextVectors, base: Snapshot) -> None:
    """Rewrite the segments of `base`, and of versions committed meanwhile."""
    rewriter.take(base)
    for _ in range(CATCH_UPS):
        latest = store.snapshot()
        if not rewriter.missing(latest):
            break
        texts.reopen()
        rewriter.take(latest)


def _commit(
    store: Store, rewriter: SegmentRewriter, texts: _TextVectors, staging: Staging
) -> Manifest:
    """Commit the rewritten segments; the version, or the latest one if a rival was faster."""
    model = texts.model
    with store.locked() as latest:
        if _has_model(latest, model.entry.fingerprint):
            return latest.manifest
        if rewriter.missing(latest):
            texts.reopen()
            rewriter.take(latest)
        version = latest.manifest.next(
            "reembed",
            schema=rewritten_schema(latest, model.dim),
            dim=model.dim,
            embedder=model.entry,
            segments=rewriter.segments(latest),
            indexes=(),
            vector_indexes={},
            settings=settings_for(latest.manifest.settings, model.embedder),
        )
        store.commit(staging, version)
    texts.cache.clear()
    return version


def _has_model(snapshot: Snapshot, fingerprint: str) -> bool:
    entry = snapshot.manifest.embedder
    return entry is not None and entry.fingerprint == fingerprint


class _TextVectors:
    """Vectors of passages by their text; those in the cache are not embedded again."""

    def __init__(
        self,
        store: Store,
        model: Model,
        base: Snapshot,
        advance: Callable[[int], None],
        embeds: EmbedTexts,
    ) -> None:
        self.model = model
        self._embeds = embeds
        self._embedded_before = 0
        self.columns = base.manifest.text_columns
        self.keyed = embeds_ids(model.embedder)
        self.metric = base.manifest.metric
        self.several_windows = base.live.count > store.limits.window_rows
        self.root = store.root
        self.fitness = Fitness(model)
        self._advance = advance
        self._embedder = self._opened()

    def _opened(self) -> TextEmbedder:
        cache = VectorCache(self.root, self.model.entry, self.model.dim)
        return TextEmbedder(self._embeds, cache, self.metric, self.fitness)

    @property
    def cache(self) -> VectorCache:
        """The vectors that are kept until the commit."""
        return self._embedder.cache

    @property
    def embedded(self) -> int:
        """Texts that the model embedded."""
        return self._embedded_before + self._embedder.embedded

    def reopen(self) -> None:
        """Let the cache also find what was embedded so far."""
        self._embedded_before += self._embedder.embedded
        self._embedder = self._opened()

    def vectors_of(self, rows: pa.RecordBatch) -> Vectors:
        """float32 (rows, dim). Raises InvalidInputError for a row without text."""
        texts = self._texts(rows)

        def place_of(number: int) -> str:
            return f"document {shown_id(rows.column(0)[number].as_py())}"

        shares = Shares(rows.num_rows, self._advance)
        vectors = self._embedder.vectors(
            texts, {}, place_of, keep=self.several_windows, advance=shares.add
        )
        shares.finish()
        return vectors

    def _texts(self, rows: pa.RecordBatch) -> list[Any]:
        missing = without_text(rows, self.columns)
        if not self.keyed and pc.any(missing).as_py():
            row = first_true(missing)
            where = " or ".join(map(repr, self.columns))
            raise InvalidInputError(
                f"document {rows.column(id_name(rows.schema))[row].as_py()!r} has a vector but no "
                f"text in column {where}, so no model can embed it: add it again with its text, or "
                "delete it"
            )
        return embedded_texts(rows, self.columns, keyed=self.keyed)
