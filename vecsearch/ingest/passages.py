"""Documents -> passages, one row each, that together hold the whole text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.common.table_rows import row_texts
from vecsearch.ingest.heads import LONGEST_TITLE, Heads, with_head
from vecsearch.ingest.outline import has_pages, is_code, outlined_spans
from vecsearch.ingest.splitting import Split, Splitting
from vecsearch.ingest.texts import joined_texts, with_ids
from vecsearch.storage.manifest import Manifest
from vecsearch.storage.schema import id_name
from vecsearch.types import CHUNK, END, HEAD, START, TEXT_NUMBER, WHOLE

_COLUMNS: Final = (CHUNK, START, END, TEXT_NUMBER)


@dataclass(frozen=True)
class Passages:
    """The rows to store.

    Attributes:
        batch: One row per passage; its text column holds the passage. Columns of metadata hold the
            document's values. Of several text columns, the others are null, but for the blank ones
            in the first row of a document, and those of a document that is one row.
        spans: int64 (passages, 5): document row in the window, ordinal, start and end, and the
            number of the text column, `WHOLE` for all of them. None in a collection without
            passages, where each document is one row.
        heads: What stands over each passage, None for nothing. None where it is not stored.
    """

    batch: pa.RecordBatch
    spans: npt.NDArray[np.int64] | None
    heads: list[str | None] | None = None

    def columns(self) -> dict[str, pa.Array]:
        """The passage columns of a segment; none in a collection without a chunker."""
        if self.spans is None:
            return {}
        columns = self.spans[:, 1:].astype(np.int32).T
        arrays = {name: pa.array(column) for name, column in zip(_COLUMNS, columns, strict=True)}
        if self.heads is not None:
            arrays[HEAD] = pa.array(self.heads, pa.large_string())
        return arrays

    def texts(self, manifest: Manifest) -> list[Any]:
        """What is embedded of each row, with its id if the model looks vectors up by id."""
        if manifest.row_columns:
            return row_texts(self.batch, manifest.row_columns)
        texts = joined_texts(self.batch, manifest.text_columns)
        if self.heads is not None:
            texts = list(map(with_head, self.heads, texts))
        return with_ids(self.batch.column(0), texts) if manifest.embeds_ids else texts


def embedded_texts(
    batch: pa.RecordBatch, columns: Sequence[str], *, keyed: bool = False
) -> list[Any]:
    """What was embedded of stored rows: their text below what stands over it.

    Args:
        batch: Rows with their ids, these columns and what stands over the texts.
        columns: The columns that are embedded.
        keyed: Whether the model looks vectors up by id.
    """
    texts = joined_texts(batch, columns)
    if HEAD in batch.schema.names:
        texts = list(map(with_head, batch.column(HEAD).to_pylist(), texts))
    return with_ids(batch.column(id_name(batch.schema)), texts) if keyed else texts


def embedded_columns(schema: pa.Schema, columns: Sequence[str]) -> list[str]:
    """The stored columns that `embedded_texts` needs."""
    return [*columns, *([HEAD] if HEAD in schema.names else [])]


class PassageSplitter:
    """Splits the documents of a collection with its chunker.

    Args:
        manifest: The collection.
        splitting: How texts are split; None stores each document as one row.

    Attributes:
        chunked: Whether rows are passages. The chunker "auto" begins with documents as rows; with
            the first one that it splits, all become passages.
    """

    def __init__(self, manifest: Manifest, splitting: Splitting | None) -> None:
        self.text_columns = manifest.text_columns
        self.keyed = manifest.embeds_ids
        self.splitting = splitting
        self.split_text = None if splitting is None else splitting.split
        self.chunked = manifest.chunked
        has_heads = HEAD in manifest.schema.names if manifest.chunked else True
        self.heads = splitting.heads if splitting is not None and has_heads else None
        self.stores_heads = has_heads

    def split(self, documents: pa.RecordBatch, *, whole: bool = False) -> Passages:
        """Split each document; the spans overlap where the chunker's do.

        Args:
            documents: The documents.
            whole: Whether each one stays one row, as those do that bring their own vector.
        """
        stays = self._stays_whole(documents, whole)
        if not self.chunked and (self.splitting is None or all(stays)):
            return Passages(documents, None)
        self.chunked = True
        rows = [documents.column(name).to_pylist() for name in self.text_columns]
        ids = documents.column(0).to_pylist()
        columns: list[list[str | None]] = [[] for _ in self.text_columns]
        spans: list[tuple[int, int, int, int, int]] = []
        heads: list[str | None] = []
        for row, (is_whole, *texts) in enumerate(zip(stays, *rows, strict=True)):
            if is_whole:
                filled = _texts_to_split(texts)
                number = filled[0] if len(filled) == 1 else WHOLE
                spans.append((row, 0, 0, len(texts[number] or ""), number))
                heads.append(None)
                for column, text in zip(columns, texts, strict=True):
                    column.append(text)
                continue
            shown = _texts_to_split(texts)
            title = self._title(texts)
            passages = [
                (number, start, end)
                for number in shown
                for start, end in self._spans(ids[row], texts[number], title if number else "")
            ]
            over = [
                self._heads(ids[row], text, title if number else "")
                for number, text in enumerate(texts)
            ]
            for ordinal, (number, start, end) in enumerate(passages):
                spans.append((row, ordinal, start, end, number))
                found = over[number]
                heads.append((found.at(start) or None) if found else None)
                for other, text in enumerate(texts):
                    if other == number:
                        columns[other].append(None if text is None else text[start:end])
                    else:
                        columns[other].append(text if not ordinal and other not in shown else None)
        table = np.array(spans, np.int64).reshape(-1, 5)
        batch = documents.take(pa.array(table[:, 0]))
        for name, values in zip(self.text_columns, columns, strict=True):
            at = batch.schema.get_field_index(name)
            array = pa.array(values, pa.large_string())
            batch = batch.set_column(at, batch.schema.field(at), array)
        return Passages(batch, table, self._fitting(heads, batch) if self.stores_heads else None)

    def _stays_whole(self, documents: pa.RecordBatch, whole: bool) -> Sequence[bool]:
        """Which documents are one row."""
        count = documents.num_rows
        if whole or self.keyed or self.splitting is None or not self.text_columns:
            return [True] * count
        if self.splitting.fits is None:
            return [False] * count
        if not all(
            pa.types.is_large_string(documents.column(name).type) for name in self.text_columns
        ):
            return [True] * count  # pictures
        texts = joined_texts(documents, self.text_columns)
        fits = self.splitting.fits(texts)
        return [short and not has_pages(text) for short, text in zip(fits, texts, strict=True)]

    def _spans(self, name: object, text: str | None, title: str) -> list[tuple[int, int]]:
        """The passages of a text of the document with this id."""
        split = self.split_text
        if title and self.splitting is not None and self.splitting.below is not None:
            split = partial(self.splitting.below, title)
        if split is not None and self.splitting is not None and self.splitting.outlines:
            split = partial(outlined_spans, split, name)
        return covering_spans(split, text)

    def _title(self, texts: Sequence[str | None]) -> str:
        """The first of several texts, where it is short; it stands over the passages of others."""
        if not self.heads or self.splitting is None or self.splitting.below is None:
            return ""
        title = texts[0] or ""
        return title if len(texts) > 1 and len(title) <= LONGEST_TITLE else ""

    def _heads(self, name: object, text: str | None, title: str) -> Heads | None:
        """What stands over passages of a text of the document with this id."""
        if self.heads is None or text is None or is_code(name):
            return None
        return self.heads(text, title)

    def _fitting(self, heads: list[str | None], batch: pa.RecordBatch) -> list[str | None]:
        """The heads without those that do not fit above their passages, such as the headings of
        pages before."""
        fits = None if self.splitting is None else self.splitting.fits
        if fits is None or not any(heads):
            return heads
        texts = joined_texts(batch, self.text_columns)
        at = [row for row, head in enumerate(heads) if head]
        fitting = list(heads)
        short = fits([with_head(heads[row], texts[row]) for row in at])
        for row, is_short in zip(at, short, strict=True):
            fitting[row] = heads[row] if is_short else None
        return fitting


def _texts_to_split(texts: Sequence[str | None]) -> list[int]:
    """The numbers of the texts of a document that are not blank; the first one if all are."""
    return [number for number, text in enumerate(texts) if text and text.strip()] or [0]


def covering_spans(split: Split | None, text: str | None) -> list[tuple[int, int]]:
    """The chunker's spans, extended over the white space between them to cover the whole text.

    A document can then be rebuilt from its passages without a loss.
    """
    spans = [] if split is None or text is None else list(split(text))
    length = len(text or "")
    if len(spans) <= 1:
        return [(0, length)]
    starts = [0, *(start for start, _ in spans[1:])]
    ends = [
        max(end, next_start)
        for (_, end), next_start in zip(spans, [*starts[1:], length], strict=True)
    ]
    return list(zip(starts, ends, strict=True))
