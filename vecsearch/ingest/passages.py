"""Documents -> passages, one row each, that together hold the whole text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.ingest.outline import outlined_spans
from vecsearch.storage.manifest import Manifest
from vecsearch.types import CHUNK, END, START, TEXT_NUMBER

Split = Callable[[str], Sequence[tuple[int, int]]]


@dataclass(frozen=True)
class Passages:
    """The rows to store.

    Attributes:
        batch: One row per passage; its text column holds the passage. Columns of metadata hold the
            document's values. Of several text columns, the others are null, but for the blank ones
            in the first row of a document.
        spans: int64 (passages, 5): document row in the window, ordinal, start and end, and the
            number of the text column. None in a collection without a chunker, where each document
            is one row.
    """

    batch: pa.RecordBatch
    spans: npt.NDArray[np.int64] | None

    def columns(self) -> dict[str, pa.Array]:
        """The passage columns of a segment; none in a collection without a chunker."""
        if self.spans is None:
            return {}
        names = (CHUNK, START, END, TEXT_NUMBER)
        columns = self.spans[:, 1:].astype(np.int32).T
        return {name: pa.array(column) for name, column in zip(names, columns, strict=True)}

    def first_split_document(self) -> int | None:
        """The window row of the first document with more than one passage, if there is one."""
        if self.spans is None:
            return None
        later = self.spans[self.spans[:, 1] > 0, 0]
        return int(later[0]) if len(later) else None


class PassageSplitter:
    """Splits the documents of a collection with its chunker.

    Args:
        manifest: The collection. Without a chunk column, documents stay whole.
        split: The chunker's `split`; None stores each document as one passage.
    """

    def __init__(self, manifest: Manifest, split: Split | None) -> None:
        self.text_columns = manifest.text_columns if manifest.chunked else ()
        self.split_text = split

    def split(self, documents: pa.RecordBatch) -> Passages:
        """Split each document; the spans overlap where the chunker's do."""
        if not self.text_columns:
            return Passages(documents, None)
        spans: list[tuple[int, int, int, int, int]] = []
        columns: list[list[str | None]] = [[] for _ in self.text_columns]
        rows = [documents.column(name).to_pylist() for name in self.text_columns]
        ids = documents.column(0).to_pylist()
        for row, texts in enumerate(zip(*rows, strict=True)):
            shown = _texts_to_split(texts)
            passages = [
                (number, start, end)
                for number in shown
                for start, end in covering_spans(self._splitter_of(ids[row]), texts[number])
            ]
            for ordinal, (number, start, end) in enumerate(passages):
                spans.append((row, ordinal, start, end, number))
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
        return Passages(batch, table)

    def _splitter_of(self, name: object) -> Split | None:
        """What splits the texts of one document: pages and source code are split by themselves."""
        split = self.split_text
        if split is None or not getattr(getattr(split, "__self__", None), "outlines", True):
            return split
        return partial(outlined_spans, split, name)


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
