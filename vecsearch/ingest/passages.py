"""Documents -> passages, one row each, that together hold the whole text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.storage.manifest import Manifest
from vecsearch.types import CHUNK, END, START

Split = Callable[[str], Sequence[tuple[int, int]]]


@dataclass(frozen=True)
class Passages:
    """The rows to store.

    Attributes:
        batch: One row per passage; the text column holds the passage, the others the document's.
        spans: int64 (passages, 4): document row in the window, ordinal, start and end. None in a
            collection without a chunker, where each document is one row.
    """

    batch: pa.RecordBatch
    spans: npt.NDArray[np.int64] | None

    def columns(self) -> dict[str, pa.Array]:
        """The passage columns of a segment; none in a collection without a chunker."""
        if self.spans is None:
            return {}
        ordinals, starts, ends = self.spans[:, 1:].astype(np.int32).T
        return {CHUNK: pa.array(ordinals), START: pa.array(starts), END: pa.array(ends)}

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
        chunked = CHUNK in manifest.schema.names
        self.text_column = manifest.text_column if chunked else None
        self.split_text = split

    def split(self, documents: pa.RecordBatch) -> Passages:
        """Split each document; the spans overlap where the chunker's do."""
        if self.text_column is None:
            return Passages(documents, None)
        spans: list[tuple[int, int, int, int]] = []
        texts: list[str | None] = []
        for row, text in enumerate(documents.column(self.text_column).to_pylist()):
            for ordinal, (start, end) in enumerate(covering_spans(self.split_text, text)):
                spans.append((row, ordinal, start, end))
                texts.append(None if text is None else text[start:end])
        table = np.array(spans, np.int64).reshape(-1, 4)
        batch = documents.take(pa.array(table[:, 0]))
        column = batch.schema.get_field_index(self.text_column)
        field = batch.schema.field(column)
        return Passages(batch.set_column(column, field, pa.array(texts, pa.large_string())), table)


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
