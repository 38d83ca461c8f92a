"""Documents and their vectors by id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from vecsearch.common.arrays import Vectors
from vecsearch.common.json_column import python_rows
from vecsearch.errors import IdNotFoundError, InvalidInputError
from vecsearch.storage.ids import as_ids
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import ID, START, VECTOR

Missing = Literal["error", "zeros"]


def documents_by_id(
    snapshot: Snapshot, ids: Any, columns: Sequence[str] | None
) -> list[dict[str, Any] | None]:
    """Whole documents, in the order of `ids`; None for an id that is not in the collection.

    Args:
        snapshot: The version to read.
        ids: One id, or several.
        columns: Columns to read; all but the vector if None.

    Raises:
        InvalidInputError: For an id of the wrong type or an unknown column.
    """
    names = [name for name in snapshot.columns if name != VECTOR]
    if columns is not None:
        names = list(columns)
    snapshot.check_columns(names)
    wanted = as_ids(ids, snapshot.manifest.schema.field(ID).type)
    owners, positions = snapshot.locate(wanted)
    text = snapshot.manifest.text_column
    extra = [START] if snapshot.manifest.chunked and START not in names else []
    rows = python_rows(snapshot.take([*names, *extra], positions))
    documents: list[dict[str, Any] | None] = [None] * len(wanted)
    for owner, row in zip(owners.tolist(), rows, strict=True):
        start: Any = row.pop(START) if extra else row.get(START)
        document = documents[owner]
        if document is None:
            documents[owner] = row
        elif text in names and row[text] is not None:
            # The next passage; passages overlap, so only what is new is appended.
            document[text] += row[text][len(document[text]) - start :]
    return documents


def whole_texts(snapshot: Snapshot, ids: pa.Array) -> list[str | None]:
    """The whole text of each document, in the order of `ids`, all of which must be there."""
    column = snapshot.manifest.text_column
    assert column is not None
    found = documents_by_id(snapshot, ids.to_pylist(), [column])
    return [None if document is None else document[column] for document in found]


def document_vectors(snapshot: Snapshot, ids: Any, missing: Missing = "error") -> Vectors:
    """Vectors of documents as they were given; for a document of several passages, their mean.

    Args:
        snapshot: The version to read.
        ids: Several ids.
        missing: What an id that is not in the collection gives: "error", or a row of "zeros".

    Returns:
        float32 (len(ids), dim), in the order of `ids`.

    Raises:
        IdNotFoundError: If a document is missing.
        InvalidInputError: For an id of the wrong type.
    """
    if missing not in ("error", "zeros"):
        raise InvalidInputError(f"missing is {missing!r}; it must be 'error' or 'zeros'")
    wanted = as_ids(
        ids.to_pylist() if hasattr(ids, "to_pylist") else ids,
        snapshot.manifest.schema.field(ID).type,
    )
    owners, positions = snapshot.locate(wanted)
    # `owners` is ascending, so the passages of a document are neighbors.
    found, starts, counts = np.unique(owners, return_index=True, return_counts=True)
    if missing == "error" and len(found) < len(wanted):
        absent = np.setdiff1d(np.arange(len(wanted)), found)
        more = ""
        if len(absent) > 1:
            more = f", nor the ids of {len(absent) - 1:,} more of the {len(wanted):,}"
        raise IdNotFoundError(f"no document has the id {wanted[int(absent[0])].as_py()!r}{more}")
    result = np.zeros((len(wanted), snapshot.manifest.dim), np.float32)
    if len(found):
        vectors = snapshot.vectors_at(positions)
        sums = vectors if len(found) == len(positions) else np.add.reduceat(vectors, starts, axis=0)
        result[found] = sums / counts[:, None].astype(np.float32)
    return result
