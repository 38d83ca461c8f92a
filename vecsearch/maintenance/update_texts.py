"""Set columns that are embedded: the documents are embedded again and replaced, as one commit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from vecsearch.errors import ConflictError
from vecsearch.ingest.add import add_documents
from vecsearch.ingest.embedding import EmbedTexts
from vecsearch.ingest.passages import Split
from vecsearch.maintenance.edit import changeable, new_value, whole_documents
from vecsearch.query.documents import whole_texts
from vecsearch.query.selection import Where, select_documents
from vecsearch.storage.manifest import Manifest
from vecsearch.storage.schema import metadata_schema
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.store import Store
from vecsearch.types import CHUNK, UpdateResult


def update_texts(
    store: Store,
    where: Where | None,
    values: Mapping[str, Any],
    embedder: EmbedTexts,
    split: Split | None,
) -> UpdateResult:
    """Set columns to constants in the documents for which `where` is true, and embed them again.

    Args:
        store: The collection.
        where: A filter; None updates all documents.
        values: The new value of each column, texts among them.
        embedder: The collection's model.
        split: The chunker's `split`; None without one.

    Raises:
        InvalidInputError: A column or a value is wrong, or a document would have no text.
        FilterError: The filter is wrong.
        ConflictError: Another writer changed the collection meanwhile.
        EmbedderError: The model failed.
        LockTimeoutError: Another writer held the lock for too long.
        StorageError: Writing failed.
    """
    base = store.snapshot()
    new = {name: _constant(base.manifest, name, value) for name, value in values.items()}
    positions = whole_documents(base, select_documents(base, where))
    if base.manifest.chunked:
        positions = positions[base.take([CHUNK], positions).column(0).to_numpy() == 0]
    if not len(positions):
        return UpdateResult(0, base.manifest.version)

    def unchanged(latest: Manifest) -> None:
        if latest.version != base.manifest.version:
            raise ConflictError(
                "another writer changed the collection while this update was running: run it again"
            )

    done = add_documents(
        store,
        _documents(base, np.sort(positions), new, store.limits.window_rows),
        on_conflict="replace",
        embedder=embedder,
        split=split,
        operation="update",
        check_latest=unchanged,
    )
    return UpdateResult(len(positions), done.version)


def _constant(manifest: Manifest, name: str, value: Any) -> pa.Array:
    """The new value of a column, as an array of one."""
    if name in manifest.text_columns:
        return new_value(manifest.schema.field(name), value, fixed=True)[0]
    return new_value(changeable(manifest, name), value)[0]


def _documents(
    base: Snapshot, positions: np.ndarray[Any, Any], values: Mapping[str, pa.Array], rows: int
) -> Iterator[pa.RecordBatch]:
    """Whole documents with their new values, without vectors; `positions` are their first rows."""
    names = metadata_schema(base.manifest.schema).names
    kept = [name for name in base.manifest.text_columns if name not in values]
    for start in range(0, len(positions), rows):
        batch = base.take(names, positions[start : start + rows])
        columns = dict(zip(names, batch.columns, strict=True))
        if base.manifest.chunked and kept:
            texts = whole_texts(base, batch.column(0), kept)
            columns |= {
                name: pa.array(whole, pa.large_string())
                for name, whole in zip(kept, texts, strict=True)
            }
        repeated = pa.array(np.zeros(batch.num_rows, np.int64))
        columns |= {name: value.take(repeated) for name, value in values.items()}
        yield pa.RecordBatch.from_arrays(list(columns.values()), list(columns))
