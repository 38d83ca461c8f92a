"""Vectors of documents as a torch.nn.Embedding."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from vecsearch.common.optional import find_installed
from vecsearch.errors import InvalidInputError
from vecsearch.query.documents import Missing, document_vectors
from vecsearch.storage.ids import as_ids, listed_ids
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import Id

if TYPE_CHECKING:
    import torch


def torch_embedding(
    snapshot: Snapshot, ids: Iterable[Id] | None, trainable: bool, missing: Missing
) -> tuple[torch.nn.Embedding, dict[Id, int]]:
    """A torch.nn.Embedding with the vectors of documents as its weight, and the row of each id.

    Args:
        snapshot: The version to read.
        ids: The documents; a repeated id has one row. All, in the collection's order, if None.
        trainable: Whether training may change the weight.
        missing: As in `document_vectors`.

    Raises:
        IdNotFoundError: If a document is missing.
        InvalidInputError: If there are no documents.
        MissingExtraError: If PyTorch is not installed.
    """
    find_installed("torch", "sentence-transformers", "text", "A torch.nn.Embedding")
    import torch

    if ids is None:
        rows = snapshot.take([snapshot.manifest.id_column], snapshot.live.rows)
        listed = pc.unique(rows.column(0)).to_pylist()
    else:
        as_ids(ids, snapshot.manifest.id_type)
        listed = listed_ids(ids)
    unique = list(dict.fromkeys(listed))
    if not unique:
        raise InvalidInputError("there are no documents to make an embedding of")
    layer = torch.nn.Embedding(len(unique), snapshot.manifest.dim)
    layer.weight = torch.nn.Parameter(
        torch.from_numpy(document_vectors(snapshot, unique, missing)), requires_grad=trainable
    )
    return layer, {item: row for row, item in enumerate(unique)}
