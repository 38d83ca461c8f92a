"""What is embedded of a document: its text, or the texts of several columns together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.common.keyed import keyed

SEPARATOR: Final = "\n\n"  # an empty line between the texts of one document


def joined_texts(batch: pa.RecordBatch, columns: Sequence[str]) -> list[Any]:
    """What is embedded of each row: its text, or several texts with an empty line between them.

    Blank texts and missing ones are left out. A row without any text gives None.

    Args:
        batch: Rows with these columns.
        columns: The columns that are embedded, in this order.
    """
    values = [batch.column(name).to_pylist() for name in columns]
    if len(values) == 1:
        return list(values[0])
    return list(map(joined, zip(*values, strict=True)))


def joined(texts: Iterable[str | None]) -> str | None:
    """The texts of one document with an empty line between them; blank ones are left out."""
    given = [text for text in texts if text is not None]
    filled = [text for text in given if text.strip()]
    return SEPARATOR.join(filled or given[:1]) if given else None


def with_ids(ids: pa.Array, texts: Sequence[Any]) -> list[str]:
    """Ids and texts in one string each, for a model that looks vectors up by id."""
    return list(map(keyed, ids.to_pylist(), texts))


def without_text(batch: pa.RecordBatch, columns: Sequence[str]) -> pa.Array:
    """Which rows have nothing to embed: every text is missing, or blank."""
    blank = None
    for name in columns:
        column = batch.column(name)
        if not pa.types.is_large_binary(column.type):
            column = pc.utf8_trim_whitespace(column)
        is_blank = pc.fill_null(pc.equal(pc.binary_length(column), 0), True)
        blank = is_blank if blank is None else pc.and_(blank, is_blank)
    return blank
