"""A collection's embedding model: loaded when first needed, and proved to be the one the vectors were made with."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vecsearch.embedders import embedder_spec, resolve_embedder
from vecsearch.embedders.base import Embedder
from vecsearch.errors import EmbedderError, EmbedderMismatchError
from vecsearch.manifest import EmbedderEntry

Vectors = npt.NDArray[np.float32]


class Model:
    """Embeds for one collection. Opening a collection costs nothing; the first embedding loads and checks the model."""

    def __init__(self, entry: EmbedderEntry, dim: int, given: str | Embedder | None = None, device: str | None = None) -> None:
        self.entry = entry
        self.dim = dim
        self._given = given
        self._device = device
        self._ready: Embedder | None = given if isinstance(given, Embedder) else None
        self._checked = False
        self._lock = threading.Lock()

    @property
    def embedder(self) -> Embedder:
        """The model, checked. Raises EmbedderError, EmbedderMismatchError, MissingExtraError."""
        with self._lock:
            if self._ready is None:
                self._ready = resolve_embedder(self._given or self.entry.spec, device=self._device)
            if not self._checked:
                self._check(self._ready)
                self._checked = True
            return self._ready

    def _check(self, embedder: Embedder) -> None:
        if embedder.dim != self.dim:
            raise EmbedderMismatchError(
                f"{embedder.name} makes vectors of {embedder.dim} numbers; those of the collection have {self.dim} "
                f"and were made by {self.entry.spec}"
            )
        fingerprint = embedder.fingerprint()
        if fingerprint != self.entry.fingerprint:
            raise EmbedderMismatchError(
                f"{embedder.name} is not the model this collection was made with ({self.entry.spec}): weights, tokenizer, "
                f"pooling, length or prompts differ (fingerprint {fingerprint[:12]}, not {self.entry.fingerprint[:12]}). Open "
                "the collection with the original model (vecsearch.open(path, embedder=...)), or make a new one with this model"
            )

    def embed_documents(self, documents: Sequence[Any]) -> Vectors:
        return self._made(self.embedder.embed_documents(documents), len(documents))

    def embed_queries(self, queries: Sequence[Any]) -> Vectors:
        return self._made(self.embedder.embed_queries(queries), len(queries))

    def _made(self, vectors: Vectors, count: int) -> Vectors:
        """Hold an embedder to its protocol: a third party's may be wrong."""
        if vectors.shape != (count, self.dim):
            raise EmbedderError(
                f"{self.entry.spec} returned an array of shape {vectors.shape} for {count} texts, not {(count, self.dim)}"
            )
        return np.ascontiguousarray(vectors, np.float32)


def entry_of(embedder: Embedder) -> EmbedderEntry:
    """What a manifest remembers of a model."""
    return EmbedderEntry(embedder_spec(embedder), embedder.fingerprint())
