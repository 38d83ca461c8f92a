"""`update`: new values of documents, the same for all or one for each.

Values of metadata are set where the rows are, so that an index still covers them. A document whose
text or vector changes is written again, as `add` with `on_conflict="update"` does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.common.arrays import Mask, Vectors
from vecsearch.common.show import shown, shown_id
from vecsearch.embedders.named_vectors import NamedModels
from vecsearch.errors import ConflictError, DuplicateIdError, InvalidInputError
from vecsearch.ingest.add import add_documents
from vecsearch.ingest.embedding import EmbedTexts
from vecsearch.ingest.named_vectors import (
    made_columns,
    updated_values,
    vectors_of,
    with_vectors,
)
from vecsearch.ingest.rows import RowChecker
from vecsearch.ingest.sources import Places, Reading, open_source
from vecsearch.ingest.splitting import Splitting
from vecsearch.maintenance import edit
from vecsearch.maintenance.merge import DocumentMerger
from vecsearch.query.selection import Selector
from vecsearch.storage.ids import as_ids
from vecsearch.storage.manifest import Manifest
from vecsearch.storage.named_vectors import VectorColumn
from vecsearch.storage.schema import source_schema
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.store import Store
from vecsearch.types import VECTOR, UpdateResult, counted

Where: TypeAlias = "str | pc.Expression | None"
ATTEMPTS = 50  # while other writers change the same documents
_BULK_KINDS = "biufUMm"  # of numpy arrays that Arrow converts as a whole


@dataclass(frozen=True)
class RowValues:
    """Ids and new values, one row for each document.

    Attributes:
        batch: The column of ids, and the new values.
        given: The columns that each row has.
        id_column: What the column of ids is called.
    """

    batch: pa.RecordBatch
    given: Sequence[frozenset[str]]
    id_column: str

    @property
    def names(self) -> list[str]:
        return [name for name in self.batch.schema.names if name != self.id_column]

    def masks(self) -> dict[str, Mask]:
        """Which values were given, of columns that some row lacks."""
        sets = set(self.given)
        return {
            name: np.array([name in row for row in self.given], bool)
            for name in self.names
            if any(name not in each for each in sets)
        }

    @property
    def ids(self) -> pa.Array:
        return self.batch.column(self.id_column)

    def without(self, names: Sequence[str]) -> RowValues:
        left = self.batch.drop_columns([name for name in names if name in self.names])
        return RowValues(left, self.given, self.id_column)


@dataclass(frozen=True)
class Models:
    """What embeds and splits changed texts; loaded when they are needed."""

    embedder: Callable[[], EmbedTexts | None]
    split: Callable[[], Splitting | None]
    named: NamedModels = field(default_factory=NamedModels)

    def one_vector(self, name: str, column: VectorColumn, text: str) -> Any:
        """What a column of named vectors holds of a text."""
        return vectors_of([text], name, column, self.named)[text]

    def completed(self, rows: RowValues, manifest: Manifest) -> RowValues:
        """Rows of values with the named vectors of their texts."""
        if not made_columns(manifest.schema) or not rows.batch.num_rows:
            return rows
        reading = Reading(given=list(rows.given))
        text = manifest.text_column
        (batch,) = with_vectors([rows.batch], manifest, self.named, reading, text)
        return RowValues(batch, reading.given or [], rows.id_column)


class _Remembering:
    """A model that embeds each text once, however often the update has to begin again."""

    def __init__(self, model: EmbedTexts) -> None:
        self.model = model
        self.entry = model.entry
        self.embedder = model.embedder
        self.project = model.project
        self._known: dict[str, Vectors] = {}

    def embed_documents(self, documents: Sequence[str]) -> Vectors:
        new = [text for text in dict.fromkeys(documents) if text not in self._known]
        if new:
            self._known |= dict(zip(new, self.model.embed_documents(new), strict=True))
        return np.stack([self._known[text] for text in documents])


def update(
    store: Store, where: Where, values: Any, ids: Any, models: Models, *, dry_run: bool = False
) -> UpdateResult:
    """Set columns of documents; `Collection.update` says what `values` may be.

    Raises:
        InvalidInputError: A value, column or id is wrong. The message names row and column.
        DuplicateIdError: An id is given twice.
        FilterError: The filter is wrong.
        EmbedderError: The model failed.
        ConflictError: Other writers kept changing the same documents.
        LockTimeoutError: Another writer held the lock for too long.
        StorageError: Writing failed.
    """
    if hasattr(ids, "__next__"):
        ids = list(ids)  # a generator can be read only once
    base = store.snapshot()
    rows, missing = _rows(values, ids, base.manifest), 0
    encoded = (VECTOR, *base.manifest.read_columns)
    if rows is None and not dry_run:
        values = updated_values(values, base.manifest, models.one_vector)
    elif rows is not None and not dry_run:
        rows = models.completed(rows, base.manifest)
    if rows is None:
        if not any(name in encoded for name in values):
            return edit.update(store, where, values, ids, dry_run=dry_run)
        rows, missing = _rows_of_all(base, where, values, ids)
    if not any(name in encoded for name in rows.names):
        masks = rows.masks()
        result = edit.update_each(store, where, rows.batch, masks, dry_run=dry_run)
    else:
        result = _update_encoded(store, base, where, rows, models, dry_run=dry_run)
    return result if not missing else _with_missing(result, missing)


def _with_missing(result: UpdateResult, missing: int) -> UpdateResult:
    return UpdateResult(
        result.updated, result.version, result.missing + missing, result.embedded, result.ids
    )


def _update_encoded(
    store: Store,
    base: Snapshot,
    where: Where,
    rows: RowValues,
    models: Models,
    *,
    dry_run: bool,
) -> UpdateResult:
    """Update documents whose texts or vectors may change."""
    texts, mergers = base.manifest.read_columns, []

    def merger(version: Snapshot, checker: RowChecker) -> DocumentMerger:
        among = None
        if where is not None:
            ids = as_ids(rows.ids, version.manifest.id_type)
            among = Selector(version).select_documents(where, ids).mask
        made = DocumentMerger(version, checker, rows.given, Places(), adds=False, among=among)
        mergers.append(made)
        return made

    model = models.embedder()
    embedder = None if model is None else _Remembering(model)
    project = None if embedder is None else embedder.project
    checker = RowChecker(base.manifest, None, None, project, partial=True)
    trial = merger(base, checker)
    trial.complete(checker.check(rows.batch, 0), rows.batch.schema.names)
    if VECTOR not in rows.names and not trial.changed_texts and texts:
        only = rows.without(texts)
        return edit.update_each(store, where, only.batch, only.masks(), dry_run=dry_run)
    if dry_run:
        found = tuple(trial.first_ids)
        return UpdateResult(trial.updated, base.manifest.version, trial.missing, 0, found)
    for attempt in range(ATTEMPTS):
        try:
            done = add_documents(
                store,
                [rows.batch],
                on_conflict="update",
                embedder=embedder,
                split=models.split(),
                complete=merger,
                operation="update",
            )
            break
        except ConflictError:
            if attempt == ATTEMPTS - 1:
                raise
    last = mergers[-1]
    return UpdateResult(last.updated, done.version, last.missing, done.embedded)


# -- reading values


def _rows_of_all(
    base: Snapshot, where: Where, values: Mapping[str, Any], ids: Any
) -> tuple[RowValues, int]:
    """One dict for all selected documents as a row for each; and how many ids are missing."""
    selector, missing = Selector(base), 0
    if ids is not None:
        ids = selector.as_ids(ids).unique()
        missing = len(ids) - base.documents_in(selector.select(None, ids))
    positions = edit.whole_documents(base, selector.select_documents(where, ids))
    name = base.manifest.id_column
    found = pc.unique(base.take([name], positions).column(0))
    rows = [dict(values) for _ in range(max(len(found), 1))]  # one is read for its errors
    read = _read(rows, base.manifest)
    batch = read.batch.slice(0, len(found)).append_column(pa.field(name, found.type), found)
    return RowValues(batch, read.given, name), missing


def _rows(values: Any, ids: Any, manifest: Manifest) -> RowValues | None:
    """A row of values for each of some documents; None where `values` is one dict for all."""
    if values is None or isinstance(values, str | bytes | os.PathLike):
        raise _no_values(values)
    id_column = manifest.id_column
    if isinstance(values, Mapping):
        own_ids = ids is None and id_column in values and _is_sequence(values[id_column])
        if own_ids:
            ids = values[id_column]
            values = {name: value for name, value in values.items() if name != id_column}
        if ids is None:
            return None
        each = {
            name: value for name, value in values.items() if _is_for_each(name, value, manifest)
        }
        if not each and not own_ids:
            return None
        found = as_ids(ids, manifest.id_type)
        values = _table(values, each, len(found), manifest)
        ids = found
    elif not hasattr(values, "__arrow_c_stream__") and not _is_frame(values):
        listed = isinstance(values, Iterable) and getattr(values, "shape", None) != ()
        values = list(values) if listed else values
        if not isinstance(values, list) or not all(isinstance(row, Mapping) for row in values):
            raise _no_values(values)
    read = _read(values, manifest)
    batch = read.batch
    if ids is None:
        if id_column not in batch.schema.names:
            raise InvalidInputError(
                "nothing says which documents get these values: give ids=, or values with a column "
                f"{id_column!r}"
            )
    else:
        if id_column in batch.schema.names:
            raise InvalidInputError(
                f"values has a column {id_column!r}, and ids= is given too: give one of them"
            )
        found = as_ids(ids, manifest.id_type)
        if len(found) != batch.num_rows:
            raise InvalidInputError(
                f"values has {counted(batch.num_rows, 'row')} for {counted(len(found), 'id')}: "
                "give one for each"
            )
        batch = batch.append_column(pa.field(id_column, found.type), found)
    rows = RowValues(batch, read.given, id_column)
    _require_unique(rows.ids)
    return rows


def _no_values(values: Any) -> InvalidInputError:
    return InvalidInputError(
        f"values is {shown(values)}; it must be a dict of column -> value, a list of dicts, or a "
        "table"
    )


def _read(data: Any, manifest: Manifest) -> RowValues:
    """The rows of data as `add` reads them."""
    if isinstance(data, list) and not data:
        return RowValues(pa.record_batch([], schema=pa.schema([])), [], manifest.id_column)
    reading = Reading(given=[], id_column=manifest.id_column)
    known = source_schema(manifest, None, None)
    text = manifest.text_column or "text"
    source = open_source(data, text_column=text, schema=known, reading=reading)
    batches = list(source.batches)
    assert reading.given is not None
    if not batches:
        return RowValues(pa.record_batch([], schema=pa.schema([])), [], manifest.id_column)
    return RowValues(pa.concat_batches(batches), reading.given, manifest.id_column)


def _require_unique(ids: pa.Array) -> None:
    if len(ids.unique()) == len(ids):
        return
    codes = ids.dictionary_encode().indices.to_numpy(zero_copy_only=False)
    first = np.unique(codes, return_index=True)[1]
    second = int(np.setdiff1d(np.arange(len(codes)), first)[0])
    earlier = int(np.flatnonzero(codes == codes[second])[0])
    raise DuplicateIdError(
        f"id {shown_id(ids[second].as_py())} is given twice: rows {earlier} and {second}",
        hint="give each id once",
    )


def _is_sequence(value: Any) -> bool:
    if isinstance(value, str | bytes | bytearray | Mapping) or not hasattr(value, "__len__"):
        return False
    return getattr(value, "ndim", 1) > 0 and hasattr(value, "__getitem__")


def _is_frame(value: Any) -> bool:
    return hasattr(value, "columns") and hasattr(value, "shape")


def _is_for_each(name: str, value: Any, manifest: Manifest) -> bool:
    """Whether a value in a dict holds one value for each id, or is a value for all.

    A list is one value where its column holds lists, unless it is a list of lists.
    """
    if not _is_sequence(value):
        return False
    names = manifest.schema.names
    kind = manifest.schema.field(name).type if name in names else pa.null()
    if isinstance(value, pa.Array | pa.ChunkedArray):
        return not pa.types.is_nested(kind) or pa.types.is_nested(value.type)
    if name != VECTOR and (not pa.types.is_nested(kind) or pa.types.is_struct(kind)):
        return True
    if pa.types.is_map(kind):
        return any(isinstance(item, Mapping | list) for item in value)
    if getattr(value, "ndim", 1) > 1:
        return True
    return len(value) > 0 and all(item is None or _is_sequence(item) for item in value)


def _table(
    values: Mapping[str, Any], each: Mapping[str, Any], count: int, manifest: Manifest
) -> Any:
    """Columns of values, and values for all, as a table or as rows."""
    for name, value in each.items():
        if len(value) != count:
            raise InvalidInputError(
                f"column {name!r} has {counted(len(value), 'value')} for {counted(count, 'id')}: "
                "give one for each"
            )
    arrays = {name: _array(name, value, manifest) for name, value in each.items()}
    if len(each) == len(values) and all(array is not None for array in arrays.values()):
        return pa.table(arrays)
    columns = {
        name: list(value) if name in each else [value] * count for name, value in values.items()
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _array(name: str, value: Any, manifest: Manifest) -> pa.Array | pa.ChunkedArray | None:
    """A whole column as Arrow converts it; None for one whose values are looked at one by one."""
    if isinstance(value, pa.Array | pa.ChunkedArray):
        return value
    if isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in _BULK_KINDS:
        return pa.array(value, from_pandas=True)
    if type(value).__name__ != "Series":
        return None
    if hasattr(value, "reset_index"):  # of pandas
        value = value.reset_index(drop=True)
    if not len(value):
        return pa.nulls(0)
    return _read(value.to_frame(name), manifest).batch.column(name)
