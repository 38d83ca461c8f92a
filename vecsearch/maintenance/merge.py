"""Rows that give some columns of documents -> whole documents, with what is stored for the rest.

A vector is kept as it is stored where its text stays the same, so that the model is not called and
no bit changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.common.arrays import Mask, Positions
from vecsearch.common.show import shown_id
from vecsearch.errors import ConflictError, InvalidInputError
from vecsearch.ingest.add import MakeCompleter
from vecsearch.ingest.bad_rows import placed
from vecsearch.ingest.rows import RowChecker, Rows, check_texts
from vecsearch.ingest.sources import Places, Reading
from vecsearch.ingest.texts import without_text
from vecsearch.ingest.vector_column import first_true
from vecsearch.query.documents import whole_texts
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import NORM, VECTOR, Id

FEW_IDS = 10  # that a result names


def noting_columns(reading: Reading) -> Reading:
    """The options of a reading that notes which columns each row gives.

    Raises InvalidInputError if it leaves out bad rows.
    """
    if reading.skips:
        raise InvalidInputError(
            "rows cannot be left out where documents are updated",
            hint='give on_error="raise"',
            command_hint="give --on-error raise",
        )
    return replace(reading, given=[])


def merging(reading: Reading, places: Places) -> MakeCompleter:
    """What completes the rows of an upsert; `reading` notes the columns that each has."""

    def made(base: Snapshot, checker: RowChecker) -> DocumentMerger:
        return DocumentMerger(base, checker, reading.given, places, adds=True)

    return made


class DocumentMerger:
    """Completes rows of one change with what a version stores.

    Args:
        base: The version that the change began with.
        checker: What checked the rows.
        given: The columns that each row of the data has; None if all have the same.
        places: Where the rows of the data came from, for messages.
        adds: Whether rows with new ids are added, or else left out and counted.
        among: The rows of documents that may change; None for all.
    """

    def __init__(
        self,
        base: Snapshot,
        checker: RowChecker,
        given: Sequence[frozenset[str]] | None,
        places: Places,
        *,
        adds: bool,
        among: Mask | None = None,
    ) -> None:
        self.base = base
        self.checker = checker
        self.given = given
        self.places = places
        self.adds = adds
        self.among = among
        self.missing = 0
        self.unchanged = 0  # what stays the same is written again
        self.updated = 0
        self.changed_texts = 0
        self.first_ids: list[Id] = []
        self._old: list[pa.Array] = []
        self._new: list[pa.Array] = []

    def complete(self, rows: Rows, names: Sequence[str]) -> list[Rows]:
        """Whole documents, in parts: of given vectors, of stored ones, and to be embedded.

        Raises:
            InvalidInputError: A text or a vector that is needed is missing. The message names its
                row.
        """
        ids = rows.ids
        owners, positions = self.base.locate(ids)
        found, starts, passages = np.unique(owners, return_index=True, return_counts=True)
        first = np.full(len(ids), -1, np.int64)  # of each document: the position of its first row
        first[found] = positions[starts]
        count = np.zeros(len(ids), np.int64)
        count[found] = passages
        wanted = np.ones(len(ids), bool) if self.adds else first >= 0
        self.missing += int(np.count_nonzero(~wanted))
        if self.among is not None:
            wanted &= (first < 0) | self.among[first]
        rows, first, count = rows.keep(wanted), first[wanted], count[wanted]
        if not len(first):
            return []
        is_old = first >= 0
        ids = rows.ids
        self._note(ids, is_old)
        batch, same_text = self._overlaid(rows, names, first)
        whole = Rows(batch, rows.vectors, rows.numbers)
        self.changed_texts += int(np.count_nonzero(is_old & ~same_text))
        if rows.vectors is not None:
            return [whole]
        stays = is_old & same_text & (count == 1)
        kept = whole.keep(stays)
        stored = [name for name in (VECTOR, NORM) if name in self.base.manifest.schema.names]
        kept = Rows(kept.batch, None, kept.numbers, self.base.take_stored(stored, first[stays]))
        rest = whole.keep(~stays)
        if len(rest.numbers):
            self._require_texts(rest)
        return [kept, rest]

    def recheck(self, latest: Snapshot) -> None:
        """Raises ConflictError if another writer changed a document that was completed."""
        for ids in self._new:
            if len(latest.locate(ids)[0]):
                raise _conflict("added")
        names = self.base.manifest.schema.names
        for ids in self._old:
            before, now = self.base.locate(ids), latest.locate(ids)
            if not np.array_equal(before[0], now[0]):
                raise _conflict("changed")
            if _places(self.base, before[1]) == _places(latest, now[1]):
                continue  # the same rows of the same files
            old, new = (
                version.take_stored(names, rows)
                for version, rows in ((self.base, before[1]), (latest, now[1]))
            )
            if not old.equals(new):
                raise _conflict("changed")

    def _note(self, ids: pa.Array, is_old: Mask) -> None:
        old = ids.filter(pa.array(is_old))
        self.updated += len(old)
        self._old.append(old)
        self._new.append(ids.filter(pa.array(~is_old)))
        self.first_ids += old[: FEW_IDS - len(self.first_ids)].to_pylist()

    def _overlaid(
        self, rows: Rows, names: Sequence[str], first: Positions
    ) -> tuple[pa.RecordBatch, Mask]:
        """The rows with stored values where none was given, and which texts stay the same."""
        is_old = first >= 0
        texts = self.checker.manifest.read_columns
        schema = rows.batch.schema
        stored = self._stored(schema, first[is_old], rows.ids.filter(pa.array(is_old)))
        of_stored = np.cumsum(is_old) - 1 + len(first)
        arrays, same_text = [], np.ones(len(first), bool)
        for field in schema:
            column = rows.batch.column(field.name)
            if field.name != self.checker.manifest.id_column:
                given = self._given(field.name, names, rows.numbers)
                indices = np.where(is_old & ~given, of_stored, np.arange(len(first)))
                both = pa.concat_arrays([column, stored.column(field.name)])
                column = both.take(pa.array(indices))
            if field.name in texts and is_old.any():
                before = stored.column(field.name).to_pylist()
                now = column.filter(pa.array(is_old)).to_pylist()
                same_text[is_old] &= [old == new for old, new in zip(before, now, strict=True)]
            arrays.append(column)
        return pa.RecordBatch.from_arrays(arrays, schema=schema), same_text

    def _stored(self, schema: pa.Schema, first: Positions, ids: pa.Array) -> pa.RecordBatch:
        """The metadata and whole texts of documents, in the types of `schema`."""
        base, texts = self.base, self.base.manifest.text_columns
        if not base.rows:
            return pa.RecordBatch.from_pylist([], schema=schema)
        if not self.checker.schema().equals(base.manifest.schema):
            base = base.read_as(self.checker.schema())
        batch = base.take(schema.names, first)
        if base.manifest.chunked:
            for name, whole in zip(texts, whole_texts(base, ids, texts), strict=True):
                at = schema.get_field_index(name)
                batch = batch.set_column(
                    at, schema.field(at), pa.array(whole, schema.field(at).type)
                )
        return batch

    def _given(self, name: str, names: Sequence[str], numbers: npt.NDArray[np.int64]) -> Mask:
        """Which rows give a value for a column."""
        source = name
        if name == self.checker.manifest.text_column:
            source = self.checker.text_source or name
        if source not in names:
            return np.zeros(len(numbers), bool)
        if self.given is None:
            return np.ones(len(numbers), bool)
        return np.array([source in self.given[number] for number in numbers.tolist()], bool)

    def _require_texts(self, rows: Rows) -> None:
        """These rows have no vector: their texts are embedded."""
        if self.checker.has_embedder:
            manifest = self.checker.manifest
            if manifest.row_columns:
                return
            try:
                check_texts(rows, manifest.text_columns, str(self.checker.text_source))
            except InvalidInputError as error:
                at = first_true(without_text(rows.batch, manifest.text_columns))
                place = self.places.place(int(rows.numbers[at]))
                raise placed(error, str(place)) from None
            return
        place = self.places.place(int(rows.numbers[0]))
        new = shown_id(rows.ids[0].as_py())
        raise InvalidInputError(
            f"{place}, column 'vector': id {new} is new, and a new document needs a "
            "vector, as the collection has no embedder"
        )


def _places(snapshot: Snapshot, positions: Positions) -> list[tuple[str, list[int]]]:
    """The files and rows of positions."""
    return [
        (snapshot.manifest.segments[number].name, rows.tolist())
        for number, _, rows in snapshot.split(positions)
    ]


def _conflict(what: str) -> ConflictError:
    return ConflictError(
        f"another writer {what} one of the documents while this update was running: run it again"
    )
