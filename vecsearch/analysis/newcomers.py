"""Documents that are not in a collection, with vectors as those in it have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.common.arrays import Vectors
from vecsearch.embedders.stored import Model
from vecsearch.errors import InvalidInputError, NoEmbedderError
from vecsearch.ingest.embedding import check_model_vectors
from vecsearch.ingest.passages import PassageSplitter
from vecsearch.ingest.splitting import Splitting
from vecsearch.query.encode import QueryEncoder
from vecsearch.query.vectors import many_queries
from vecsearch.storage.manifest import Manifest
from vecsearch.types import Metric, counted


class Newcomers:
    """Embeds documents as `Collection.add` does, and stores nothing.

    A text that is longer than the collection's passages is the mean of its passages, as a
    document of several passages is.

    Args:
        manifest: The collection.
        model: Its model; None where there is none.
        splitting: How its texts are split, asked when it is needed.
    """

    def __init__(
        self,
        manifest: Manifest,
        model: Model | None,
        splitting: Callable[[], Splitting | None],
    ) -> None:
        self._manifest, self._model, self._splitting = manifest, model, splitting

    def listed(self, documents: Any) -> list[Any]:
        """One document, or several, as a list of vectors or of what the embedder takes.

        Raises:
            InvalidInputError: A text is empty, or they are neither documents nor vectors.
        """
        if isinstance(documents, str | bytes | Mapping):
            documents = [documents]
        found = many_queries(documents)
        if isinstance(found, np.ndarray):
            return list(found[None] if found.ndim == 1 else found)
        for number, document in enumerate(found):
            if document is None or (isinstance(document, str) and not document.strip()):
                raise InvalidInputError(f"document {number} is empty")
        return found

    def vectors(self, documents: list[Any]) -> Vectors:
        """The vector of each, as `Units.vectors` gives those of the collection: float32.

        Raises:
            InvalidInputError: A vector is of another length, or no vector.
            EmbedderError: There is no model, or it fails.
        """
        if not documents:
            return np.empty((0, self._manifest.dim), np.float32)
        given = [isinstance(each, np.ndarray) and each.dtype == np.float32 for each in documents]
        if all(given):
            return QueryEncoder(self._manifest, self._model).encode_many(np.stack(documents))
        if any(given):
            raise InvalidInputError(
                f"document {given.index(not given[0])} is {'no ' if given[0] else 'a '}vector, "
                "unlike the first: give vectors or documents, not both"
            )
        return self._embedded(documents)

    def _embedded(self, documents: list[Any]) -> Vectors:
        if self._model is None:
            raise NoEmbedderError(
                "this collection has no embedder, so new documents are classified by their vectors",
                hint=f"give vectors of {counted(self._manifest.dim, 'number')}",
                command_hint="use the collection from Python, where vectors can be given",
            )
        pieces, owners = self._pieces(documents)
        vectors = self._model.embed_documents(pieces)
        check_model_vectors(
            vectors, self._manifest.metric, pieces, lambda at: f"document {owners[at]}"
        )
        sums = np.zeros((len(documents), vectors.shape[1]), np.float32)
        np.add.at(sums, owners, vectors)
        sums /= np.bincount(owners)[:, None].astype(np.float32)
        if self._manifest.metric is Metric.COSINE:
            lengths = np.linalg.norm(sums, axis=1, keepdims=True)
            sums /= np.where(lengths > 0, lengths, 1)
        return sums

    def _pieces(self, documents: list[Any]) -> tuple[list[Any], npt.NDArray[np.int64]]:
        """What is embedded of documents, and which document each piece is of."""
        whole = np.arange(len(documents))
        if not all(isinstance(each, str) for each in documents):
            return documents, whole
        splitting = self._splitting()
        if splitting is None:
            return documents, whole
        columns = self._manifest.text_columns
        arrays = [pa.array([None] * len(documents), pa.large_string()) for _ in columns[1:]]
        arrays = [pa.array(whole), *arrays, pa.array(documents, pa.large_string())]
        batch = pa.record_batch(arrays, [self._manifest.id_column, *columns])
        passages = PassageSplitter(self._manifest, splitting).split(batch)
        return passages.texts(self._manifest), (
            whole if passages.spans is None else passages.spans[:, 0]
        )
