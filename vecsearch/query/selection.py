"""The rows that a filter selects, remembered for the searches that follow."""

from __future__ import annotations

import threading
from collections import OrderedDict
from functools import cached_property
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.query.documents import whole_texts
from vecsearch.query.filter import Filter, compile_filter
from vecsearch.storage.selection import RowSelection
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import RESERVED

Where: TypeAlias = "str | pc.Expression"
DOCUMENTS = 4096  # whole texts that are filtered together
CACHED_FILTERS = 64  # a cached mask takes one byte a row


class Selector:
    """Turns filters into row selections of one snapshot. Thread-safe."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._selections: OrderedDict[str, RowSelection] = OrderedDict()
        self._lock = threading.Lock()

    def select(self, where: Where | None) -> RowSelection:
        """The live rows for which the filter is true; all live rows without a filter.

        The same filter returns the same object while it is cached. Raises FilterError.
        """
        if where is None:
            return self.snapshot.live
        compiled = None if isinstance(where, str) else compile_filter(where, self.schema)
        key = (
            f"text:{where}" if compiled is None else compiled.key
        )  # a known text is not compiled again
        with self._lock:
            if key in self._selections:
                self._selections.move_to_end(key)
                return self._selections[key]
        compiled = compiled or compile_filter(where, self.schema)
        manifest = self.snapshot.manifest
        if manifest.chunked and len(manifest.text_columns) > 1:  # a passage has one of the texts
            selection = self._select_documents(compiled)
        else:
            selection = self._evaluate(compiled)
        with self._lock:
            self._selections[key] = selection
            if len(self._selections) > CACHED_FILTERS:
                self._selections.popitem(last=False)
        return selection

    def select_documents(self, where: Where | None) -> RowSelection:
        """All live rows of the documents for which the filter is true.

        In a collection with a chunker a filter on the text sees each document's whole text, put
        together from its passages; `select` sees passages. Raises FilterError.
        """
        manifest = self.snapshot.manifest
        if where is None or not manifest.chunked:
            return self.select(where)
        compiled = compile_filter(where, self.schema)
        if not set(manifest.text_columns) & set(compiled.columns):
            return self.select(where)
        return self._select_documents(compiled)

    def _select_documents(self, compiled: Filter) -> RowSelection:
        """As `select_documents`."""
        manifest = self.snapshot.manifest
        names = [name for name in manifest.text_columns if name in compiled.columns]
        if not names:
            return self._evaluate(compiled)
        mask = np.zeros(self.snapshot.rows, bool)
        ids = pc.unique(self.snapshot.take([manifest.id_column], self.snapshot.live.rows).column(0))
        for first in range(0, len(ids), DOCUMENTS):
            owners, positions = self.snapshot.locate(ids.slice(first, DOCUMENTS))
            starts = np.unique(owners, return_index=True)[1]
            batch = self.snapshot.take(list(compiled.columns), positions[starts])
            texts = whole_texts(self.snapshot, ids.slice(first, DOCUMENTS), names)
            for name, values in zip(names, texts, strict=True):
                at = batch.schema.names.index(name)
                field = batch.schema.field(at)
                batch = batch.set_column(at, field, pa.array(values, field.type))
            mask[positions[compiled.mask(batch)[owners]]] = True
        return RowSelection(mask, int(np.count_nonzero(mask)))

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns that a filter may name."""
        return pa.schema(
            [field for field in self.snapshot.manifest.schema if field.name not in RESERVED]
        )

    def _evaluate(self, compiled: Filter) -> RowSelection:
        segments = self.snapshot.segments
        masks = [compiled.mask(segment.select(compiled.columns)) for segment in segments]
        mask = np.concatenate(masks) if masks else np.empty(0, bool)
        if self.snapshot.live.mask is not None:
            mask &= self.snapshot.live.mask
        return RowSelection(mask, int(np.count_nonzero(mask)))


def select_documents(snapshot: Snapshot, where: Where | None) -> RowSelection:
    """All live rows of the documents for which a filter is true. Raises FilterError."""
    return Selector(snapshot).select_documents(where)
