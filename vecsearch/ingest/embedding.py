"""Vectors of passages: each text is embedded once, and not at all where its vector is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa

from vecsearch.common.arrays import Vectors
from vecsearch.common.show import shown
from vecsearch.errors import EmbedderError
from vecsearch.ingest.passages import embedded_columns, embedded_texts
from vecsearch.ingest.vector_cache import VectorCache
from vecsearch.ingest.vector_column import vector_defect
from vecsearch.storage.manifest import EmbedderEntry
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import Metric

PlaceOf = Callable[[int], str]


class EmbedTexts(Protocol):
    """What ingest needs of the collection's model."""

    @property
    def entry(self) -> EmbedderEntry:
        """How the manifest names the model."""

    def embed_documents(self, documents: Sequence[str]) -> Vectors:
        """float32 (documents, dim)."""

    def project(self, vectors: Vectors) -> Vectors:
        """Vectors of the model's full dimension -> vectors as the collection stores them."""


class DocumentEncoder:
    """Embeds the passages of one add.

    Two sources of known vectors are asked before the model: documents that the add replaces with
    the same text, and the cache of an interrupted add.

    Args:
        model: The collection's embedder.
        base: The version that the add began with.
        root: The collection's folder, which holds the cache.
    """

    def __init__(self, model: EmbedTexts, base: Snapshot, root: Path) -> None:
        self.model = model
        self.base = base
        self.root = root
        self.embedded = 0
        self._cache: VectorCache | None = None

    def encode(
        self, texts: list[str], replaced: pa.Array | None, place_of: PlaceOf, *, keep: bool
    ) -> Vectors:
        """Vectors of `texts`.

        Args:
            texts: The passages, or pictures.
            place_of: Where a text, by its number, comes from; for messages.
            replaced: Ids of documents whose stored vectors may be reused; None for none.
            keep: Whether to write new vectors to the cache, for the case of an interruption.

        Returns:
            float32 (texts, dim).

        Raises:
            EmbedderError: The model failed, or returned a vector that cannot be compared.
        """
        if not texts:
            return np.empty((0, self.base.manifest.dim), np.float32)
        if self._cache is None:
            manifest = self.base.manifest
            self._cache = VectorCache(self.root, self.model.entry, manifest.dim)
        unique = list(dict.fromkeys(texts))
        known = {} if replaced is None else self._stored_vectors(replaced)
        known |= self._cache.find([text for text in unique if text not in known])
        new = [text for text in unique if text not in known]
        if new:
            vectors = self.model.embed_documents(new)
            check_model_vectors(
                vectors,
                self.base.manifest.metric,
                new,
                lambda number: place_of(texts.index(new[number])),
            )
            self.embedded += len(new)
            self._cache.put(new, vectors, more_to_come=keep)
            if len(new) == len(texts):  # the common case: nothing known, nothing repeated
                return vectors
            known |= dict(zip(new, vectors, strict=True))
        return np.stack([known[text] for text in texts])

    def clear_cache(self) -> None:
        """Remove the cached vectors, which are not needed after the commit."""
        if self._cache is not None:
            self._cache.clear()

    def _stored_vectors(self, ids: pa.Array) -> dict[str, Vectors]:
        """Passages of stored documents and their vectors."""
        if not self.base.rows:
            return {}
        _, positions = self.base.locate(ids)
        if not len(positions):
            return {}
        manifest = self.base.manifest
        columns = embedded_columns(manifest.schema, manifest.text_columns)
        texts = embedded_texts(self.base.take(columns, positions), manifest.text_columns)
        return dict(zip(texts, self.base.vectors_at(positions), strict=True))


def check_model_vectors(
    vectors: Vectors, metric: Metric, texts: Sequence[str], place_of: PlaceOf
) -> None:
    """Check what a model returned: a model may fail on a text without an error.

    Args:
        vectors: float32 (texts, dim).
        metric: How the collection compares vectors.
        texts: What was embedded.
        place_of: Where a text, by its number, comes from.

    Raises:
        EmbedderError: A vector is not finite, or is zero under the cosine metric. The message
            names the place and shows the text.
    """
    squares = np.einsum("ij,ij->i", vectors, vectors)
    wrong = ~np.isfinite(squares)
    if metric is Metric.COSINE:
        wrong |= squares == 0
    if wrong.any():
        number = int(np.argmax(wrong))
        raise EmbedderError(
            f"{place_of(number)}: the model returned {vector_defect(vectors[number])}, "
            f"which cannot be compared, for the text {shown(texts[number])}"
        )
