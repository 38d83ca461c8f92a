"""A model with fewer dimensions: another model's vectors, projected.

The projection is part of the embedder, so documents and queries are projected alike, and a
collection stores it with its own files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vecsearch.common.arrays import Vectors
from vecsearch.embedders.base import Embedder
from vecsearch.embedders.projection import Projection, truncation
from vecsearch.embedders.registry import resolve_embedder
from vecsearch.embedders.saved import (
    Saved,
    SavedEmbedder,
    TrainedEmbedder,
    lives_in_a_folder,
    load_saved,
    write_saved,
)
from vecsearch.errors import EmbedderError, EmbedderMismatchError, InvalidInputError
from vecsearch.types import counted


class ReducedEmbedder(TrainedEmbedder):
    """Another model's vectors, projected to fewer dimensions.

    Without another model it only projects vectors that it is given, and embeds nothing.

    Args:
        projection: The projection.
        inner: The model that is projected, or its name, by which it is loaded on first use.
        inner_fingerprint: The fingerprint that a model loaded by name must have.
        name: The embedder's name.

    Raises:
        InvalidInputError: The projection does not fit the model's dimension.
    """

    def __init__(
        self,
        projection: Projection,
        inner: Embedder | str | None,
        inner_fingerprint: str | None = None,
        name: str = "reduced:unsaved",
    ) -> None:
        dim, self.full_dim = projection.matrix.shape
        super().__init__(name, dim)
        self.projection = projection
        self._inner = inner
        self._inner_fingerprint = inner_fingerprint
        if inner is not None and not isinstance(inner, str):
            self._inner_fingerprint = inner.fingerprint()
            if inner.dim != self.full_dim:
                raise InvalidInputError(
                    f"the projection takes {counted(self.full_dim, 'number')}; {inner.name} "
                    f"makes {inner.dim}"
                )

    @property
    def inner(self) -> Embedder:
        """The model that is projected, loaded and checked.

        Raises:
            EmbedderError: There is no model, or it cannot be loaded.
            EmbedderMismatchError: The model of that name is another one.
            MissingExtraError: The package that it needs is not installed.
        """
        if self._inner is None:
            raise EmbedderError(
                "there is no model here, only a projection: give a vector, of "
                f"{self.full_dim} or {counted(self.dim, 'number')}"
            )
        if isinstance(self._inner, str):
            model = resolve_embedder(self._inner)
            if model.fingerprint() != self._inner_fingerprint:
                raise EmbedderMismatchError(
                    f"{self._inner} is not the model that was reduced: its fingerprint differs"
                )
            self._inner = model
        return self._inner

    @property
    def has_model(self) -> bool:
        """Whether there is a model to project, and not only a projection."""
        return (
            self._inner.has_model
            if isinstance(self._inner, ReducedEmbedder)
            else self._inner is not None
        )

    def project(self, vectors: Vectors) -> Vectors:
        """Project float32 (n, full_dim) to float32 (n, dim)."""
        return self.projection.apply(vectors)

    def embed_documents(self, documents: Sequence[Any]) -> Vectors:
        """Embed with the inner model and project: float32, shape (len(documents), dim)."""
        return self.project(self.inner.embed_documents(documents))

    def embed_queries(self, queries: Sequence[Any]) -> Vectors:
        """Embed with the inner model and project: float32, shape (len(queries), dim)."""
        return self.project(self.inner.embed_queries(queries))

    def _compute_fingerprint(self) -> str:
        """Over the inner model's fingerprint and the projection."""
        digest = hashlib.sha256((self._inner_fingerprint or "").encode())
        for array in (self.projection.matrix, self.projection.center):
            digest.update(f"{array.dtype} {array.shape}".encode() + array.tobytes())
        return digest.hexdigest()

    def _write(self, folder: str | Path) -> Path:
        return write_saved(self._saved(), folder, self._stored_inner(), self.report)

    def _stored_inner(self) -> SavedEmbedder | None:
        """The inner model if no name leads to it, so that it is saved along; else None."""
        inner = self._inner
        if inner is None or isinstance(inner, str) or not lives_in_a_folder(inner):
            return None
        return inner

    def _saved(self) -> Saved:
        inner, inside = self._inner, self._stored_inner() is not None
        spec = inner if inner is None or isinstance(inner, str) else inner.name
        settings = {
            "inner": "inner" if inside else spec,
            "inside": inside,
            "fingerprint": self._inner_fingerprint,
        }
        arrays = {"matrix": self.projection.matrix, "centre": self.projection.center}
        return Saved("reduced", settings, (), arrays)


def truncated(embedder: Embedder, dim: int) -> ReducedEmbedder:
    """Cut a Matryoshka model's vectors to their first `dim` numbers.

    Args:
        embedder: A model whose first numbers carry the most information.
        dim: How many numbers to keep.

    Returns:
        The reduced embedder.

    Raises:
        InvalidInputError: `dim` is not below the model's dimension.

    Example:
        >>> from vecsearch.embedders import resolve_embedder
        >>> truncated(resolve_embedder("toy:64"), 16).embed_documents(["a text"]).shape
        (1, 16)
    """
    if not 1 <= dim < embedder.dim:
        raise InvalidInputError(
            f"dim is {dim}; {embedder.name} makes vectors of {counted(embedder.dim, 'number')}: "
            "give fewer"
        )
    return ReducedEmbedder(truncation(embedder.dim, dim), embedder)


def from_saved(saved: Saved, name: str) -> ReducedEmbedder:
    """The embedder that `ReducedEmbedder.save` wrote."""
    settings, arrays = saved.settings, saved.arrays
    inner: Embedder | str | None = settings["inner"]
    if settings["inside"]:
        inner = load_saved(Path(name.removeprefix("saved:")) / "inner")
    projection = Projection(arrays["matrix"], arrays["centre"])
    return ReducedEmbedder(projection, inner, settings["fingerprint"], name)
