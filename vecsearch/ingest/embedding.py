"""Vectors of passages: each text is embedded once, and not at all where its vector is known."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa

from vecsearch.common.arrays import Vectors
from vecsearch.common.deadline import check_time
from vecsearch.common.show import shown
from vecsearch.common.table_rows import row_texts
from vecsearch.errors import EmbedderError
from vecsearch.ingest.fitness import Fitness
from vecsearch.ingest.passages import embedded_columns, embedded_texts
from vecsearch.ingest.vector_cache import VectorCache
from vecsearch.ingest.vector_column import vector_defect
from vecsearch.storage.manifest import EmbedderEntry
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import Metric

PlaceOf = Callable[[int], str]
FIRST_BATCH: Final = 256  # texts of the first call of the model
LARGEST_BATCH: Final = 8192
CALL_SECONDS: Final = (0.5, 2.0)  # of one call of the model: more texts below, fewer above
KEPT_SECONDS: Final = 3.0  # after which vectors are kept on disk


class EmbedTexts(Protocol):
    """What ingest needs of the collection's model."""

    @property
    def entry(self) -> EmbedderEntry:
        """How the manifest names the model."""

    @property
    def embedder(self) -> Any:
        """The model itself."""

    def embed_documents(self, documents: Sequence[str]) -> Vectors:
        """float32 (documents, dim)."""

    def project(self, vectors: Vectors) -> Vectors:
        """Vectors of the model's full dimension -> vectors as the collection stores them."""


class TextEmbedder:
    """Embeds texts in calls of a second or so, and keeps the vectors of those that are done.

    Args:
        model: The embedder.
        cache: Where vectors are kept until the commit.
        metric: How the collection compares vectors.
        fitness: Counts what the model does not read.
    """

    def __init__(
        self, model: EmbedTexts, cache: VectorCache, metric: Metric, fitness: Fitness
    ) -> None:
        self.model = model
        self.cache = cache
        self.fitness = fitness
        self.metric = metric
        self.embedded = 0
        self._size = FIRST_BATCH
        self._kept = time.monotonic()

    def vectors(
        self,
        texts: Sequence[str],
        known: dict[str, Vectors],
        place_of: PlaceOf,
        *,
        keep: bool,
        advance: Callable[[float], None] = lambda share: None,
    ) -> Vectors:
        """Vectors of texts; equal texts are embedded once.

        Args:
            texts: What to embed.
            known: Vectors that are known already, by their text.
            place_of: Where a text, by its number, comes from; for messages.
            keep: Whether to keep all new vectors on disk, however fast they were made.
            advance: Called with the share of the texts that is done since the last call.

        Returns:
            float32 (texts, dim).

        Raises:
            EmbedderError: The model failed, or returned a vector that cannot be compared.
        """
        numbers: dict[str, int] = {}
        for number, text in enumerate(texts):
            numbers.setdefault(text, number)
        unique = list(numbers)
        known = known | self.cache.find([text for text in unique if text not in known])
        new = [text for text in unique if text not in known]
        advance((len(unique) - len(new)) / max(1, len(unique)))
        if not new:
            return np.stack([known[text] for text in texts])
        vectors = self._new_vectors(
            new, lambda at: place_of(numbers[new[at]]), len(unique), keep, advance
        )
        if len(new) == len(texts):  # the common case: nothing known, nothing repeated
            return vectors
        known |= dict(zip(new, vectors, strict=True))
        return np.stack([known[text] for text in texts])

    def _new_vectors(
        self,
        texts: Sequence[str],
        place_of: PlaceOf,
        total: int,
        keep: bool,
        advance: Callable[[float], None],
    ) -> Vectors:
        """Vectors of different texts, the longest first, so that the texts of a call are alike."""
        order = sorted(range(len(texts)), key=lambda at: -len(texts[at]))
        out: Vectors | None = None
        done = kept = 0
        try:
            while done < len(order):
                rows = order[done : done + self._size]
                part = [texts[at] for at in rows]
                begin = time.monotonic()
                vectors = self.model.embed_documents(part)
                self.fitness.note(part)
                check_model_vectors(vectors, self.metric, part, partial(_place, place_of, rows))
                if out is None:
                    out = np.empty((len(texts), vectors.shape[1]), np.float32)
                out[rows] = vectors
                done += len(rows)
                self.embedded += len(rows)
                self._adapt(len(rows), time.monotonic() - begin)
                advance(len(rows) / total)
                if time.monotonic() - self._kept >= KEPT_SECONDS:
                    self._put([texts[at] for at in order[kept:done]], out[order[kept:done]])
                    kept = done
                check_time()
        finally:
            # Also after Ctrl-C: what was embedded is not embedded again.
            is_slow = self.cache.is_used or done < len(order)
            if out is not None and kept < done and (keep or is_slow):
                self._put([texts[at] for at in order[kept:done]], out[order[kept:done]])
        assert out is not None
        return out

    def _put(self, texts: Sequence[str], vectors: Vectors) -> None:
        self.cache.put(texts, vectors)
        self._kept = time.monotonic()

    def _adapt(self, count: int, seconds: float) -> None:
        """Make the next call shorter or longer."""
        shortest, longest = CALL_SECONDS
        if seconds < shortest and count == self._size:
            self._size = min(2 * self._size, LARGEST_BATCH)
        elif seconds > longest:
            self._size = max(self._size // 2, 1)


def _place(place_of: PlaceOf, rows: Sequence[int], number: int) -> str:
    return place_of(rows[number])


class DocumentEncoder:
    """Embeds the passages of one add.

    Two sources of known vectors are asked before the model: documents that the add replaces with
    the same text, and the cache of an interrupted add.

    Args:
        model: The collection's embedder.
        base: The version that the add began with.
        root: The collection's folder, which holds the cache.

    Attributes:
        advance: Called with the share of a window's texts that is done.
        fitness: What the model does not read, or does not know.
    """

    def __init__(self, model: EmbedTexts, base: Snapshot, root: Path) -> None:
        self.model = model
        self.base = base
        self.root = root
        self.advance: Callable[[float], None] = lambda share: None
        self.fitness = Fitness(model)
        self._texts: TextEmbedder | None = None

    @property
    def embedded(self) -> int:
        """Texts that the model embedded."""
        return 0 if self._texts is None else self._texts.embedded

    def encode(
        self, texts: list[str], replaced: pa.Array | None, place_of: PlaceOf, *, keep: bool
    ) -> Vectors:
        """Vectors of `texts`.

        Args:
            texts: The passages, or pictures.
            place_of: Where a text, by its number, comes from; for messages.
            replaced: Ids of documents whose stored vectors may be reused; None for none.
            keep: Whether to write all new vectors to the cache, for the case of an interruption.

        Returns:
            float32 (texts, dim).

        Raises:
            EmbedderError: The model failed, or returned a vector that cannot be compared.
        """
        if not texts:
            return np.empty((0, self.base.manifest.dim), np.float32)
        manifest = self.base.manifest
        if self._texts is None:
            cache = VectorCache(self.root, self.model.entry, manifest.dim)
            self._texts = TextEmbedder(self.model, cache, manifest.metric, self.fitness)
        known = {} if replaced is None else self._stored_vectors(replaced)
        return self._texts.vectors(texts, known, place_of, keep=keep, advance=self.advance)

    def clear_cache(self) -> None:
        """Remove the cached vectors, which are not needed after the commit."""
        if self._texts is not None:
            self._texts.cache.clear()

    def _stored_vectors(self, ids: pa.Array) -> dict[str, Vectors]:
        """Passages of stored documents and their vectors."""
        if not self.base.rows:
            return {}
        _, positions = self.base.locate(ids)
        if not len(positions):
            return {}
        manifest = self.base.manifest
        if manifest.row_columns:
            rows = row_texts(self.base.take(manifest.row_columns, positions), manifest.row_columns)
            return dict(zip(rows, self.base.vectors_at(positions), strict=True))
        columns = embedded_columns(manifest.schema, manifest.text_columns)
        if manifest.embeds_ids:
            columns = [manifest.id_column, *columns]
        texts = embedded_texts(
            self.base.take(columns, positions), manifest.text_columns, keyed=manifest.embeds_ids
        )
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
