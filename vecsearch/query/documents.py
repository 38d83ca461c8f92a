"""Documents and their vectors by id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.common.arguments import check_names, check_one_of
from vecsearch.common.arrays import Positions, Vectors, numbers_in_numpy
from vecsearch.common.json_column import python_rows
from vecsearch.common.show import shown_id
from vecsearch.errors import IdNotFoundError
from vecsearch.storage.ids import as_ids
from vecsearch.storage.selection import RowSelection
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import (
    CHUNK,
    END,
    HEAD,
    PAGE_END,
    START,
    TEXT_NUMBER,
    TO_END,
    WHOLE,
    Id,
    Span,
)

Missing = Literal["error", "zeros"]
FIRST_ROWS = 1024  # rows that are looked at together for the first documents


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
    names = snapshot.payload
    if columns is not None:
        names = check_names("columns", columns)
    snapshot.check_columns(names)
    wanted = as_ids(ids, snapshot.manifest.id_type)
    owners, positions = snapshot.locate(wanted)
    rows: list[dict[str, Any]] = [{} for _ in positions]
    if names:
        rows = python_rows(snapshot.take(names, positions))
    documents: list[dict[str, Any] | None] = [None] * len(wanted)
    if not snapshot.manifest.chunked:
        for owner, row in zip(owners.tolist(), rows, strict=True):
            documents[owner] = row
        return documents
    starts = snapshot.take([START], positions).column(0).to_pylist()
    passages = passage_columns(snapshot, positions)
    for owner, row, start, column in zip(owners.tolist(), rows, starts, passages, strict=True):
        document = documents[owner]
        if document is None:
            documents[owner] = row
        elif column in names and row[column] is not None:
            # The next passage; passages overlap, so only what is new is appended.
            before = document[column] or ""
            document[column] = before + row[column][len(before) - start :]
    return documents


def first_documents(
    snapshot: Snapshot, selection: RowSelection, count: int, columns: Sequence[str] | None
) -> list[dict[str, Any]]:
    """The first documents that have a selected row, whole.

    Args:
        snapshot: The version to read.
        selection: Rows of them.
        count: How many documents at most.
        columns: Columns to read; all but the vector if None.
    """
    ids: dict[Id, None] = {}
    rows, at = selection.rows, 0
    while at < len(rows) and len(ids) < count:
        step = rows[at : at + max(count, FIRST_ROWS)]
        found = snapshot.take([snapshot.manifest.id_column], step).column(0).to_pylist()
        ids |= dict.fromkeys(found)
        at += len(step)
    found = documents_by_id(snapshot, list(ids)[:count], columns)
    return [document for document in found if document is not None]


def passage_columns(snapshot: Snapshot, positions: Positions) -> list[str]:
    """The text column that each passage is of; the last one for a document that is one row."""
    texts = snapshot.manifest.text_columns
    if len(texts) == 1:
        return [texts[0]] * len(positions)
    numbers = snapshot.take([TEXT_NUMBER], positions).column(0)
    return [texts[number] for number in numbers.to_pylist()]


def passage_spans(snapshot: Snapshot, positions: Positions) -> list[Span]:
    """Where each passage is in its document."""
    columns = passage_columns(snapshot, positions)
    starts, ends = snapshot.take([START, END], positions).columns
    spans = list(map(Span, columns, starts.to_pylist(), ends.to_pylist()))
    texts: dict[str, list[Any]] = {}
    for number, span in enumerate(spans):
        if span.end == TO_END:  # its length was not written
            if span.column not in texts:
                texts[span.column] = snapshot.take([span.column], positions).column(0).to_pylist()
            spans[number] = Span(span.column, 0, len(texts[span.column][number] or ""))
    return spans


def passage_heads(snapshot: Snapshot, positions: Positions) -> list[str | None]:
    """What stands over each passage and was embedded with it; None for nothing."""
    if HEAD not in snapshot.manifest.schema.names:
        return [None] * len(positions)
    heads: list[str | None] = snapshot.take([HEAD], positions).column(0).to_pylist()
    return heads


def with_whole_texts(
    snapshot: Snapshot, rows: pa.RecordBatch, positions: Positions
) -> pa.RecordBatch:
    """Passages with the whole text of their document in the text columns that they are not of.

    Args:
        snapshot: The version that was read.
        rows: Columns of passages, as `Snapshot.take` returns them.
        positions: Where the passages are.
    """
    texts = snapshot.manifest.text_columns
    names = [name for name in rows.schema.names if name in texts]
    if not snapshot.manifest.chunked or len(texts) == 1 or not names:
        return rows
    owners = np.array(passage_columns(snapshot, positions), object)
    numbers = numbers_in_numpy(snapshot.take([TEXT_NUMBER], positions).column(0))
    ids = snapshot.take([snapshot.manifest.id_column], positions).column(0)
    for name, whole in zip(names, whole_texts(snapshot, ids, names), strict=True):
        at = rows.schema.names.index(name)
        field, is_own = rows.schema.field(at), pa.array((owners == name) | (numbers == WHOLE))
        values = pc.if_else(is_own, rows.column(at), pa.array(whole, field.type))
        rows = rows.set_column(at, field, values)
    return rows


def whole_texts(snapshot: Snapshot, ids: pa.Array, columns: Sequence[str]) -> list[list[Any]]:
    """The whole text of each document in each column, in the order of `ids`."""
    found = documents_by_id(snapshot, ids.to_pylist(), columns)
    return [[None if row is None else row[column] for row in found] for column in columns]


def first_rows(snapshot: Snapshot) -> Positions:
    """The position of the first row of each document."""
    positions = snapshot.live.rows
    if not snapshot.manifest.chunked:
        return positions
    ordinals = numbers_in_numpy(snapshot.take_stored([CHUNK], positions).column(0))
    firsts: Positions = positions[ordinals == 0]
    return firsts


def pages_and_lines(
    snapshot: Snapshot, ids: Sequence[Id], spans: Sequence[Span] | None
) -> list[tuple[int | None, int | None]]:
    """On which page of its document, and in which line of its text, each passage begins.

    Pages and lines count from 1. Texts without form feeds, which end pages, have no pages, and
    texts with pages no lines. Without `spans`, a passage is a whole text.
    """
    column = snapshot.manifest.text_column
    if column is None or not ids:
        return [(None, None)] * len(ids)
    names = [span.column for span in spans] if spans is not None else [column] * len(ids)
    starts = [span.start for span in spans] if spans is not None else [0] * len(ids)
    found = documents_by_id(snapshot, list(ids), sorted(set(names)))
    return [
        (None, None) if row is None else _page_and_line(row[name], start)
        for row, name, start in zip(found, names, starts, strict=True)
    ]


def _page_and_line(text: Any, start: int) -> tuple[int | None, int | None]:
    if not isinstance(text, str):
        return None, None  # a picture
    rest = text[start:]
    first = start + len(rest) - len(rest.lstrip())
    before = text[: first if rest.strip() else start]
    if PAGE_END in text:
        return before.count(PAGE_END) + 1, None
    return None, before.count("\n") + 1


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
    check_one_of("missing", missing, ("error", "zeros"))
    wanted = as_ids(
        ids.to_pylist() if hasattr(ids, "to_pylist") else ids,
        snapshot.manifest.id_type,
    )
    owners, positions = snapshot.locate(wanted)
    # `owners` is ascending, so the passages of a document are neighbors.
    found, starts, counts = np.unique(owners, return_index=True, return_counts=True)
    if missing == "error" and len(found) < len(wanted):
        absent = np.setdiff1d(np.arange(len(wanted)), found)
        more = ""
        if len(absent) > 1:
            more = f", nor the ids of {len(absent) - 1:,} more of the {len(wanted):,}"
        raise IdNotFoundError(
            f"no document has the id {shown_id(wanted[int(absent[0])].as_py())}{more}"
        )
    result = np.zeros((len(wanted), snapshot.manifest.dim), np.float32)
    if len(found):
        vectors = snapshot.vectors_at(positions)
        sums = vectors if len(found) == len(positions) else np.add.reduceat(vectors, starts, axis=0)
        result[found] = sums / counts[:, None].astype(np.float32)
    return result
