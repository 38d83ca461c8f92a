"""Vectors of documents as a torch.nn.Embedding."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from vecsearch.embedders.torch_layer import EmbeddingRows, Unknown, check_layer, embedding_layer
from vecsearch.errors import InvalidInputError
from vecsearch.query.documents import Missing, document_vectors
from vecsearch.storage.ids import as_ids, listed_ids
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import Id

if TYPE_CHECKING:
    import torch


def torch_embedding(
    snapshot: Snapshot,
    ids: Iterable[Id] | None,
    trainable: bool,
    missing: Missing,
    padding: bool,
    unknown: Unknown | None,
) -> tuple[torch.nn.Embedding, EmbeddingRows]:
    """A torch.nn.Embedding with the vectors of documents as its weight, and the row of each id.

    Args:
        snapshot: The version to read.
        ids: The documents; a repeated id has one row. All, in the collection's order, if None.
        trainable: Whether training may change the weight.
        missing: As in `document_vectors`; with `unknown`, an id that is missing has no row of its
            own unless this is "zeros".
        padding: Whether there is a row for padding.
        unknown: What the row of unknown ids begins with, if there is one.

    Raises:
        IdNotFoundError: If a document is missing.
        InvalidInputError: If there are no documents.
        MissingExtraError: If PyTorch is not installed.
    """
    check_layer(trainable, padding, unknown)
    if ids is None:
        rows = snapshot.take([snapshot.manifest.id_column], snapshot.live.rows)
        listed = pc.unique(rows.column(0)).to_pylist()
    else:
        listed = listed_ids(ids)
        wanted = as_ids(listed, snapshot.manifest.id_type)
        if unknown is not None and missing == "error":
            owners, _ = snapshot.locate(wanted)
            found = np.unique(owners)
            listed = [listed[row] for row in found.tolist()]
    unique = list(dict.fromkeys(listed))
    if not unique:
        raise InvalidInputError("there are no documents to make an embedding of")
    vectors = document_vectors(snapshot, unique, missing)
    return embedding_layer(unique, vectors, trainable=trainable, padding=padding, unknown=unknown)
