"""What `on_conflict` does to ids that repeat: in a window, in the add, and in the collection."""

from __future__ import annotations

from typing import NoReturn

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.common.arrays import Mask
from vecsearch.common.show import shown_id
from vecsearch.errors import DuplicateIdError
from vecsearch.ingest.rows import Rows
from vecsearch.ingest.segments import SegmentBuffer
from vecsearch.ingest.sources import Places
from vecsearch.storage.ids import Keys, id_keys
from vecsearch.storage.manifest import SegmentEntry
from vecsearch.storage.schema import id_name
from vecsearch.storage.segment import Segment
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.staging import delete_rows
from vecsearch.types import OnConflict

KEPT_ONCE = ("update", "refresh")  # they replace documents, and take each id once


class SeenKeys:
    """Keys of the ids seen so far in one add.

    They are kept in sorted runs of growing length, so that a lookup is a few binary searches.
    """

    def __init__(self) -> None:
        self._runs: list[Keys] = []

    def contains(self, keys: Keys) -> Mask:
        """Which of the keys were seen."""
        found = np.zeros(len(keys), bool)
        for run in self._runs:
            nearest = np.minimum(np.searchsorted(run, keys), len(run) - 1)
            found |= run[nearest] == keys
        return found

    def add(self, keys: Keys) -> None:
        """Note keys; runs that are not longer than the new one are merged into it."""
        run = np.sort(keys)
        while self._runs and len(self._runs[-1]) <= len(run):
            run = np.sort(np.concatenate([self._runs.pop(), run]))
        if len(run):
            self._runs.append(run)


class ConflictResolver:
    """Applies `on_conflict` to the windows of one add.

    Args:
        on_conflict: "error" raises DuplicateIdError, "skip" keeps the first row of an id, and
            "replace" the last. "update" replaces documents of the collection, and raises
            DuplicateIdError for an id that is twice in the data; so does "refresh".
        base: The version that the add began with.
        segments: The segments that the add has staged.
        id_column: The id column's name in the data, for messages.
        places: Where the rows of the data came from, for messages.
    """

    def __init__(
        self,
        on_conflict: OnConflict,
        base: Snapshot,
        segments: SegmentBuffer,
        id_column: str,
        places: Places,
    ) -> None:
        self.replaces = on_conflict in ("replace", *KEPT_ONCE)  # documents of the collection
        self.on_conflict = "error" if on_conflict in KEPT_ONCE else on_conflict  # within the data
        self.base = base
        self.segments = segments
        self.id_column = id_column
        self.places = places
        self.skipped = 0
        self._seen = SeenKeys()

    def resolve(self, rows: Rows) -> Rows:
        """The rows of a window that stay.

        With "replace", rows of earlier windows that come again get tombstones; documents of the
        collection are replaced at the commit.

        Raises:
            DuplicateIdError: An id repeats, and on_conflict is "error".
        """
        keys = id_keys(rows.ids)
        for find_repeated in (self._in_window, self._in_add, self._in_collection):
            repeated = find_repeated(rows, keys)
            if repeated.any():
                self.skipped += int(np.count_nonzero(repeated))
                rows, keys = rows.keep(~repeated), keys[~repeated]
        self._seen.add(keys)
        return rows

    def recheck(self, latest: Snapshot) -> None:
        """Apply `on_conflict` to ids that other writers committed while the add was running.

        Raises:
            DuplicateIdError: Another writer added one of the ids, and on_conflict is "error".
        """
        if self.replaces:
            return  # they are replaced like the others: delete_replaced looks at `latest`
        for number, entry in enumerate(self.segments.entries):
            segment = self.segments.open(entry)
            ids = segment.column(id_name(segment.schema))
            owners, _ = latest.locate(ids)
            if not len(owners):
                continue
            if self.on_conflict == "error":
                raise DuplicateIdError(
                    f"id {shown_id(ids[int(owners[0])].as_py())} was added by another writer while "
                    "this add was running",
                    hint='pass on_conflict="skip" or on_conflict="replace"',
                    command_hint="pass --on-conflict skip or --on-conflict replace",
                )
            self._delete_staged(number, segment, np.unique(owners))

    def delete_replaced(self, latest: Snapshot) -> tuple[tuple[SegmentEntry, ...], int]:
        """Delete the documents of `latest` that the add replaces.

        Returns:
            The segments of `latest` with their new tombstones, and how many documents were deleted.
        """
        if not self.replaces:
            return latest.manifest.segments, 0
        positions = [
            latest.locate(segment.column(id_name(segment.schema)))[1]
            for segment in map(self.segments.open, self.segments.entries)
        ]
        segments = delete_rows(latest, np.unique(np.concatenate(positions)), self.segments.staging)
        documents_left = sum(entry.documents for entry in segments)
        return segments, latest.manifest.documents - documents_left

    def _in_window(self, rows: Rows, keys: Keys) -> Mask:
        """The rows to leave out since another row of the window has their id."""
        repeated = np.zeros(len(keys), bool)
        if len(np.unique(keys)) == len(keys):
            return repeated
        # Keys of text ids are digests: compare the ids themselves.
        ids = rows.ids
        codes = ids.dictionary_encode().indices.to_numpy()
        _, first = np.unique(codes, return_index=True)
        _, last = np.unique(codes[::-1], return_index=True)
        repeated[:] = True
        repeated[len(codes) - 1 - last if self.on_conflict == "replace" else first] = False
        if self.on_conflict == "error" and repeated.any():
            row = int(np.argmax(repeated))
            self._refuse_repeated(ids[row], rows.numbers[first[codes[row]]], rows.numbers[row])
        return repeated

    def _in_add(self, rows: Rows, keys: Keys) -> Mask:
        """The rows to leave out since an earlier window of the add had their id.

        With "replace" no row is left out: the earlier ones get tombstones.
        """
        repeated = np.zeros(len(keys), bool)
        candidates = np.flatnonzero(self._seen.contains(keys))
        if not len(candidates):
            return repeated
        self.segments.flush()
        ids = rows.ids
        wanted = ids.take(pa.array(candidates))
        twice: list[tuple[int, int]] = []  # the numbers in the data of an id's two rows
        for number, entry in enumerate(self.segments.entries):
            segment = self.segments.open(entry)
            found = pc.index_in(segment.column(id_name(segment.schema)), value_set=wanted)
            staged_rows = np.flatnonzero(found.is_valid().to_numpy(zero_copy_only=False))
            if not len(staged_rows):
                continue
            if self.on_conflict == "replace":
                self._delete_staged(number, segment, staged_rows)
                continue
            repeats = candidates[found.take(pa.array(staged_rows)).to_numpy()]
            if self.on_conflict == "error":
                earlier = self._data_row(number, segment, int(staged_rows[0]))
                twice.append((earlier, int(repeats[0])))
            repeated[repeats] = True
        if twice:
            earlier, row = min(twice)
            self._refuse_repeated(ids[row], earlier, rows.numbers[row])
        return repeated

    def _in_collection(self, rows: Rows, keys: Keys) -> Mask:
        """The rows to leave out since the collection has their id."""
        stored = np.zeros(len(keys), bool)
        if self.replaces:
            return stored
        ids = rows.ids
        owners, _ = self.base.locate(ids)
        stored[owners] = True
        if self.on_conflict == "error" and len(owners):
            row = int(np.argmax(stored))
            raise DuplicateIdError(
                f"{self.places.place(int(rows.numbers[row]))}, column {self.id_column!r}: id "
                f"{shown_id(ids[row].as_py())} is already in the collection",
                hint='pass on_conflict="skip" to keep the old document, or "replace" to replace it',
                command_hint="--on-conflict skip keeps the old document, "
                "--on-conflict replace replaces it",
            )
        return stored

    def _delete_staged(self, number: int, segment: Segment, rows: npt.NDArray[np.int64]) -> None:
        """Add tombstones to a staged segment; the documents they delete count as skipped."""
        entry = self.segments.entries[number]
        rewritten = self.segments.staging.add_tombstones(entry, segment, rows)
        self.segments.entries[number] = rewritten
        self.skipped += entry.documents - rewritten.documents

    def _data_row(self, number: int, segment: Segment, staged_row: int) -> int:
        """The number in the data of a staged row; only for "error", which leaves no row out."""
        return self.segments.number_of(number, segment, staged_row)

    def _refuse_repeated(self, id_value: pa.Scalar, earlier: int, row: int) -> NoReturn:
        places = [self.places.place(int(number)) for number in (earlier, row)]
        where = " and ".join(map(str, places))
        if places[0].file is None:
            where = f"rows {earlier} and {row}"
        raise DuplicateIdError(
            f"duplicate id {shown_id(id_value.as_py())} in the data: {where}, column "
            f"{self.id_column!r}",
            hint="give each id once"
            if self.replaces
            else 'pass on_conflict="skip" to keep the first, or "replace" to keep the last',
            command_hint="give each id once"
            if self.replaces
            else "--on-conflict skip keeps the first, --on-conflict replace the last",
        )
