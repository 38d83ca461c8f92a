"""The rows that a filter and ids select, remembered for the searches that follow."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.common.arrays import Mask
from vecsearch.common.deadline import check_time
from vecsearch.common.fork import Lock
from vecsearch.common.lazy import lazy
from vecsearch.query.documents import whole_texts
from vecsearch.query.filter import Filter, compile_filter
from vecsearch.storage.ids import as_ids
from vecsearch.storage.segment import Segment
from vecsearch.storage.selection import RowSelection
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import RESERVED

Where: TypeAlias = "str | pc.Expression"
DOCUMENTS = 4096  # whole texts that are filtered together
CACHED_FILTERS = 64  # a cached mask takes one byte a row
# Rows and bytes that a filter looks at between two looks at the clock, which is a few milliseconds
# for numbers, and tens of them for LIKE on long texts.
FILTER_ROWS, FILTER_BYTES = 131_072, 32 * 1024 * 1024


class Selector:
    """Turns filters and ids into row selections of one snapshot. Thread-safe."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._selections: OrderedDict[str, RowSelection] = OrderedDict()
        self._lock = Lock()

    def select(self, where: Where | None, ids: Any = None) -> RowSelection:
        """The live rows for which the filter is true, of the documents with these ids.

        Without a filter, and without ids, all live rows. The same filter and ids return the same
        object while it is cached. Raises FilterError; InvalidInputError for ids of another type.
        """
        if ids is None and where is None:
            return self.snapshot.live
        key, compiled = self._key(where)
        wanted = None if ids is None else self.as_ids(ids)
        if wanted is not None:
            key = f"ids:{_digest(wanted)} {key}"
        with self._lock:
            if key in self._selections:
                self._selections.move_to_end(key)
                return self._selections[key]
        if wanted is not None:
            selection = self.snapshot.select_ids(wanted)
            selection = selection if where is None else _both(selection, self.select(where))
        else:
            assert where is not None
            compiled = compiled or compile_filter(where, self.schema)
            manifest = self.snapshot.manifest
            if manifest.chunked and len(manifest.text_columns) > 1:  # a passage has one text
                selection = self._select_documents(compiled, self.snapshot.live)
            else:
                selection = self._evaluate(compiled)
        with self._lock:
            self._selections[key] = selection
            if len(self._selections) > CACHED_FILTERS:
                self._selections.popitem(last=False)
        return selection

    def _key(self, where: Where | None) -> tuple[str, Filter | None]:
        """What the rows of a filter are cached under; compiled, if it had to be for that."""
        if where is None or isinstance(where, str):
            return ("" if where is None else f"text:{where}"), None  # not compiled again
        compiled = compile_filter(where, self.schema)
        return compiled.key, compiled

    def as_ids(self, ids: Any) -> pa.Array:
        """Ids in the collection's type. Raises InvalidInputError for ids of another type."""
        return as_ids(ids, self.snapshot.manifest.id_type)

    def select_documents(self, where: Where | None, ids: Any = None) -> RowSelection:
        """All live rows of the documents for which the filter is true, and that have these ids.

        In a collection with a chunker a filter on the text sees each document's whole text, put
        together from its passages; `select` sees passages. Raises what `select` does.
        """
        manifest = self.snapshot.manifest
        if where is None or not manifest.chunked:
            return self.select(where, ids)
        compiled = compile_filter(where, self.schema)
        if not set(manifest.text_columns) & set(compiled.columns):
            return self.select(where, ids)
        return self._select_documents(compiled, self.select(None, ids))

    def _select_documents(self, compiled: Filter, among: RowSelection) -> RowSelection:
        """As `select_documents`, among some documents."""
        manifest = self.snapshot.manifest
        names = [name for name in manifest.text_columns if name in compiled.columns]
        if not names:
            selected = self._evaluate(compiled)
            return selected if among.mask is None else _both(among, selected)
        mask = np.zeros(self.snapshot.rows, bool)
        documents = pc.unique(self.snapshot.take([manifest.id_column], among.rows).column(0))
        for first in range(0, len(documents), DOCUMENTS):
            check_time()
            owners, positions = self.snapshot.locate(documents.slice(first, DOCUMENTS))
            starts = np.unique(owners, return_index=True)[1]
            batch = self.snapshot.take(list(compiled.columns), positions[starts])
            texts = whole_texts(self.snapshot, documents.slice(first, DOCUMENTS), names)
            for name, values in zip(names, texts, strict=True):
                at = batch.schema.names.index(name)
                field = batch.schema.field(at)
                batch = batch.set_column(at, field, pa.array(values, field.type))
            mask[positions[compiled.mask(batch)[owners]]] = True
        return RowSelection(mask, int(np.count_nonzero(mask)))

    @lazy
    def schema(self) -> pa.Schema:
        """The columns that a filter may name."""
        return pa.schema(
            [field for field in self.snapshot.manifest.schema if field.name not in RESERVED]
        )

    def _evaluate(self, compiled: Filter) -> RowSelection:
        """As `select`, one segment after the other: those that were filtered before are known."""
        mask, remembered = np.empty(self.snapshot.rows, bool), self.snapshot.files.masks
        starts = self.snapshot.starts.tolist()
        for number, entry in enumerate(self.snapshot.manifest.segments):
            known = remembered.get(compiled.key, entry.name, entry.rows)
            if known is None:
                known = _mask_of(self.snapshot.segments[number], compiled)
                remembered.put(compiled.key, entry.name, known)
            mask[starts[number] : starts[number + 1]] = known
        if self.snapshot.live.mask is not None:
            mask &= self.snapshot.live.mask
        return RowSelection(mask, int(np.count_nonzero(mask)))


def _mask_of(segment: Segment, compiled: Filter) -> Mask:
    """Which rows of a segment the filter keeps, deleted ones included."""
    batch, masks = segment.select(compiled.columns), [np.empty(0, bool)]
    step = _rows_at_once(batch)
    for first in range(0, batch.num_rows, step):
        check_time()
        masks.append(compiled.mask(batch.slice(first, step)))
    return np.concatenate(masks)


def _rows_at_once(batch: pa.RecordBatch) -> int:
    """How many rows a filter looks at between two looks at the clock."""
    width = batch.nbytes / max(batch.num_rows, 1)
    return max(min(FILTER_ROWS, int(FILTER_BYTES / max(width, 1))), 1)


def _both(left: RowSelection, right: RowSelection) -> RowSelection:
    assert left.mask is not None and right.mask is not None
    mask = left.mask & right.mask
    return RowSelection(mask, int(np.count_nonzero(mask)))


def _digest(ids: pa.Array) -> str:
    """A digest of ids in their order; other lists of the same ids are another key."""
    sink = pa.BufferOutputStream()
    batch = pa.record_batch([ids], names=["id"])
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return hashlib.blake2b(sink.getvalue(), digest_size=16).hexdigest()


def select_documents(snapshot: Snapshot, where: Where | None, ids: Any = None) -> RowSelection:
    """All live rows of the documents for which a filter is true, and that have these ids.

    Raises FilterError; InvalidInputError for ids of another type.
    """
    return Selector(snapshot).select_documents(where, ids)
