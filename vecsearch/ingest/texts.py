"""What is embedded of a document: its text, or the texts of several columns together."""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

SEPARATOR: Final = "\n\n"  # an empty line between the texts of one document


def joined_texts(batch: pa.RecordBatch, columns: tuple[str, ...]) -> list[Any]:
    """What is embedded of each row: its text, or several texts with an empty line between them.

    Blank texts and missing ones are left out. A row without any text gives None.

    Args:
        batch: Rows with these columns.
        columns: The columns that are embedded, in this order.
    """
    values = [batch.column(name).to_pylist() for name in columns]
    if len(values) == 1:
        return values[0]
    return [
        SEPARATOR.join(text for text in texts if text and text.strip())
        or next((text for text in texts if text is not None), None)
        for texts in zip(*values, strict=True)
    ]


def without_text(batch: pa.RecordBatch, columns: tuple[str, ...]) -> pa.Array:
    """Which rows have nothing to embed: every text is missing, or blank."""
    blank = None
    for name in columns:
        column = batch.column(name)
        trimmed = column if pa.types.is_large_binary(column.type) else pc.utf8_trim_whitespace(column)
        is_blank = pc.fill_null(pc.equal(pc.binary_length(trimmed), 0), True)
        blank = is_blank if blank is None else pc.and_(blank, is_blank)
    return blank
