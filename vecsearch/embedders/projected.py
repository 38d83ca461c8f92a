"""A model with fewer dimensions: another model's vectors, projected.

Two projections: principal components of the vectors of a corpus, and truncation, for models trained so that the first numbers
of a vector say most (Kusupati et al., "Matryoshka Representation Learning", NeurIPS 2022). The projection lies in the
embedder, so documents and queries are projected alike, and a collection keeps it with its own files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vecsearch.common.arrays import Positions, Vectors
from vecsearch.common.pca import principal_axes
from vecsearch.embedders import resolve_embedder
from vecsearch.embedders.base import Embedder
from vecsearch.embedders.saved import Saved, lives_in_a_folder, load_saved, write_saved
from vecsearch.errors import EmbedderError, EmbedderMismatchError, InvalidInputError
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import Metric

LADDER = (8, 16, 32, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072)
TRAIN_ROWS = 65_536  # rows that components are fitted on, where there are that many
Method = Literal["pca", "truncate"]
METHODS: tuple[Method, ...] = ("pca", "truncate")


def checked_dims(dims: Sequence[int] | None, full: int) -> list[int]:
    """The dimensions to measure, the largest first. Raises InvalidInputError."""
    ladder = (
        [dim for dim in LADDER if full / 16 <= dim < full] or [max(1, full // 2)]
        if dims is None
        else list(dims)
    )
    for dim in ladder:
        if not isinstance(dim, int | np.integer) or isinstance(dim, bool) or not 1 <= dim < full:
            raise InvalidInputError(
                f"dimension {dim!r}: give whole numbers from 1 to {full - 1}, fewer than there are"
            )
    return sorted({int(dim) for dim in ladder}, reverse=True)


def fit_projection(snapshot: Snapshot, rows: Positions, method: Method, dim: int) -> Projection:
    """A projection of the collection's vectors, fitted on some rows."""
    if method == "truncate":
        return truncation(snapshot.manifest.dim, dim)
    return principal_components(
        snapshot.stored_vectors(rows), dim, centred=snapshot.manifest.metric is Metric.L2
    )


def training_sample(snapshot: Snapshot, seed: int) -> Positions:
    rows = snapshot.live.rows
    return np.sort(
        np.random.default_rng(seed).choice(rows, min(TRAIN_ROWS, len(rows)), replace=False)
    )


@dataclass(frozen=True)
class Projection:
    """Maps vectors to fewer dimensions: (vector - centre) @ matrix.T. matrix: float32 (dim, full); centre: float32 (full,)."""

    matrix: Vectors
    centre: Vectors

    def apply(self, vectors: Vectors) -> Vectors:
        """float32 (n, full) -> float32 (n, dim)."""
        return np.asarray((vectors - self.centre) @ self.matrix.T, np.float32)

    def first(self, dim: int) -> Projection:
        """The first `dim` of its dimensions, which for both methods are the best ones."""
        return Projection(np.ascontiguousarray(self.matrix[:dim]), self.centre)


def truncation(full: int, dim: int) -> Projection:
    """The first `dim` numbers of a vector of `full`."""
    return Projection(np.eye(dim, full, dtype=np.float32), np.zeros(full, np.float32))


def principal_components(sample: Vectors, dim: int, *, centred: bool) -> Projection:
    """The `dim` directions that keep the most of a sample, float32 (n, full).

    centred: about its mean, as fits Euclidean distances, which a shift leaves alone. Inner products and cosines are not left
    alone: there the directions keep the most of the vectors themselves (an uncentred decomposition).
    """
    centre, _, axes = principal_axes(sample, centred=centred)
    return Projection(np.ascontiguousarray(axes[:dim], np.float32), centre.astype(np.float32))


class ReducedEmbedder:
    """Another model's vectors, projected. Without another model it projects given vectors, and embeds nothing else."""

    def __init__(
        self,
        projection: Projection,
        inner: Embedder | str | None,
        inner_fingerprint: str | None = None,
        name: str = "reduced:unsaved",
    ) -> None:
        """inner: the model, or the name it is found by when it is first needed; `inner_fingerprint` then proves it.

        Raises InvalidInputError when the projection does not fit the model.
        """
        self.projection = projection
        self.dim, self.full_dim = projection.matrix.shape
        self.name = name
        self._inner = inner
        self._inner_fingerprint = inner_fingerprint
        if inner is not None and not isinstance(inner, str):
            self._inner_fingerprint = inner.fingerprint()
            if inner.dim != self.full_dim:
                raise InvalidInputError(
                    f"the projection takes {self.full_dim} numbers; {inner.name} makes {inner.dim}"
                )

    @property
    def inner(self) -> Embedder:
        """The model that is projected, loaded and checked. Raises EmbedderError, EmbedderMismatchError, MissingExtraError."""
        if self._inner is None:
            raise EmbedderError(
                f"there is no model here, only a projection: give a vector, of {self.full_dim} or {self.dim} numbers"
            )
        if isinstance(self._inner, str):
            found = resolve_embedder(self._inner)
            if found.fingerprint() != self._inner_fingerprint:
                raise EmbedderMismatchError(
                    f"{self._inner} is not the model that was reduced: its fingerprint differs"
                )
            self._inner = found
        return self._inner

    @property
    def has_model(self) -> bool:
        """Whether there is a model under the projection."""
        return (
            self._inner.has_model
            if isinstance(self._inner, ReducedEmbedder)
            else self._inner is not None
        )

    def project(self, vectors: Vectors) -> Vectors:
        """Vectors of the full dimension, float32 (n, full_dim), as float32 (n, dim)."""
        return self.projection.apply(vectors)

    def fingerprint(self) -> str:
        """sha256 over the inner model's fingerprint and the projection."""
        digest = hashlib.sha256((self._inner_fingerprint or "").encode())
        for array in (self.projection.matrix, self.projection.centre):
            digest.update(f"{array.dtype} {array.shape}".encode() + array.tobytes())
        return digest.hexdigest()

    def embed_documents(self, documents: Sequence[Any]) -> Vectors:
        """float32, shape (len(documents), dim)."""
        return self.project(self.inner.embed_documents(documents))

    def embed_queries(self, queries: Sequence[Any]) -> Vectors:
        """float32, shape (len(queries), dim)."""
        return self.project(self.inner.embed_queries(queries))

    def save(self, folder: str | Path) -> Path:
        """Write into a new folder, with the inner model where that was trained too; the name becomes `saved:FOLDER`.

        Raises InvalidInputError, StorageError.
        """
        inner = self._inner
        inside = (
            inner
            if inner is not None and not isinstance(inner, str) and lives_in_a_folder(inner)
            else None
        )
        spec = inner if inner is None or isinstance(inner, str) else inner.name
        settings = {
            "inner": "inner" if inside else spec,
            "inside": inside is not None,
            "fingerprint": self._inner_fingerprint,
        }
        arrays = {"matrix": self.projection.matrix, "centre": self.projection.centre}
        path = write_saved(Saved("reduced", settings, (), arrays), folder, inside)
        self.name = f"saved:{path}"
        return path


def truncated(embedder: Embedder, dim: int) -> ReducedEmbedder:
    """A Matryoshka model cut to its first `dim` dimensions. Raises InvalidInputError."""
    if not 1 <= dim < embedder.dim:
        raise InvalidInputError(
            f"dim is {dim}; {embedder.name} makes vectors of {embedder.dim} numbers: give fewer"
        )
    return ReducedEmbedder(truncation(embedder.dim, dim), embedder)


def from_saved(saved: Saved, name: str) -> ReducedEmbedder:
    settings, arrays = saved.settings, saved.arrays
    inner: Embedder | str | None = settings["inner"]
    if settings["inside"]:
        inner = load_saved(Path(name.removeprefix("saved:")) / "inner")
    return ReducedEmbedder(
        Projection(arrays["matrix"], arrays["centre"]), inner, settings["fingerprint"], name
    )
