"""Rows of tables for embedders that read several columns of a document.

An embedder says so by `row_columns`, the names of the columns that it reads. Everything that holds
texts to embed (the cache, batches, messages) then holds a text for each row, which carries the row.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


class RowText(str):
    """A text that stands for a row, and carries it: rows of equal texts are equal.

    Example:
        >>> text = RowText.of({"color": "red", "size": 3})
        >>> text, text.row["size"]
        ('{"color": "red", "size": 3}', 3)
    """

    row: Mapping[str, Any]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> RowText:
        """The text of a row."""
        made = cls(json.dumps(dict(row), ensure_ascii=False, default=str))
        made.row = row
        return made


def row_texts(batch: pa.RecordBatch, columns: Sequence[str]) -> list[Any]:
    """The rows of a batch, those columns only, as texts that carry them."""
    return list(map(RowText.of, batch.select(list(columns)).to_pylist()))


def row_columns(embedder: Any) -> tuple[str, ...]:
    """The columns that an embedder reads of a document; none for an embedder of texts."""
    if embedder is None:
        return ()
    own = getattr(embedder, "row_columns", None)
    if own is None and getattr(embedder, "has_model", False) is True:  # of a projection
        return row_columns(embedder.inner)
    is_named = isinstance(own, list | tuple) and all(isinstance(name, str) for name in own)
    return tuple(own) if own is not None and is_named else ()
