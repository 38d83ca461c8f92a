"""Records → checked batches → passages → vectors → segments → one commit.

Checking, embedding and writing happen in staging, unlocked; only the commit holds the writer's lock and looks again at
what other writers did meanwhile. Vectors of an add that was interrupted are found again by the text they belong to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.common.arrays import Vectors
from vecsearch.common.batches import BatchBuffer, rebatch
from vecsearch.errors import ConflictError, DuplicateIdError, EmbedderError, InvalidInputError
from vecsearch.ingest.rows import RowChecker, Rows, check_vectors
from vecsearch.ingest.vector_cache import VectorCache
from vecsearch.storage.ids import Keys, id_keys
from vecsearch.storage.manifest import EmbedderEntry, Manifest, SegmentEntry
from vecsearch.storage.merge import merge_small
from vecsearch.storage.schema import encode_vectors
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.staging import Staging, delete_rows
from vecsearch.storage.store import Store
from vecsearch.types import CHUNK, END, ID, START, AddResult, Metric, OnConflict

Split = Callable[[str], Sequence[tuple[int, int]]]


class EmbedTexts(Protocol):
    """What ingest needs of the collection's model: vectors of documents, and who made them."""

    @property
    def entry(self) -> EmbedderEntry: ...

    def embed_documents(self, documents: Sequence[str]) -> Vectors: ...

    def project(self, vectors: Vectors) -> Vectors: ...


def add_documents(
    store: Store,
    batches: Iterable[pa.RecordBatch],
    *,
    on_conflict: OnConflict = "error",
    embedder: EmbedTexts | None = None,
    split: Split | None = None,
    id_column: str = "id",
    text_column: str | None = None,
    progress: Callable[[int], None] = lambda count: None,
) -> AddResult:
    """Add documents as one commit: all of them, or on any error none.

    Raises InvalidInputError (naming row and column), DuplicateIdError, EmbedderError, StorageError, LockTimeoutError.
    """
    base = store.snapshot()
    if embedder is not None and embedder.entry != base.manifest.embedder:
        raise ConflictError(
            "the collection was moved to another model just now: run this add again"
        )
    project = None if embedder is None else embedder.project
    with store.staging() as staging:
        task = _Add(
            store,
            base,
            staging,
            on_conflict,
            embedder,
            split,
            RowChecker(base.manifest, id_column, text_column, project),
        )
        first = 0
        for batch in rebatch(batches, store.limits.window_rows):
            task.take(batch, first)
            first += batch.num_rows
            progress(batch.num_rows)
        return task.finish()


class SeenKeys:
    """Keys of the ids met so far in one add: sorted runs that double, so a look-up is a few binary searches."""

    def __init__(self) -> None:
        self._runs: list[Keys] = []

    def contains(self, keys: Keys) -> npt.NDArray[np.bool_]:
        found = np.zeros(len(keys), bool)
        for run in self._runs:
            at = np.minimum(np.searchsorted(run, keys), len(run) - 1)
            found |= run[at] == keys
        return found

    def add(self, keys: Keys) -> None:
        run = np.sort(keys)
        while self._runs and len(self._runs[-1]) <= len(run):
            run = np.sort(np.concatenate([self._runs.pop(), run]))
        if len(run):
            self._runs.append(run)


@dataclass
class _Add:
    """The state of one add between its batches."""

    store: Store
    base: Snapshot
    staging: Staging
    on_conflict: OnConflict
    embedder: EmbedTexts | None
    split: Split | None
    checker: RowChecker
    seen: SeenKeys = field(default_factory=SeenKeys)
    entries: list[SegmentEntry] = field(default_factory=list)
    skipped: int = 0
    embedded: int = 0
    cache: VectorCache | None = None

    def __post_init__(self) -> None:
        limits = self.store.limits
        self.pending = BatchBuffer(limits.segment_rows, limits.segment_bytes)

    def take(self, batch: pa.RecordBatch, first: int) -> None:
        """Check one window, embed it, and keep it for the next segment."""
        rows = self._resolve(self.checker.check(batch, first))
        if not rows.batch.num_rows:
            return
        passages, spans = self._passages(rows)
        vectors = (
            self._embed(rows, passages)
            if rows.vectors is None
            else self._repeat(rows.vectors, spans)
        )
        self.pending.add(self._assemble(passages, vectors, spans))
        if self.pending.full:
            self.flush()

    def flush(self) -> None:
        """Write what is pending as a segment in staging."""
        batch = self.pending.take()
        if batch is not None:
            self.entries.append(self.staging.write_segment(batch))

    # -- ids -------------------------------------------------------------------------------------------------------------

    def _resolve(self, rows: Rows) -> Rows:
        """Apply `on_conflict` to ids that repeat in the window, in earlier windows, or in the collection."""
        ids = rows.batch.column(ID)
        keys = id_keys(ids)
        rows, keys = self._repeated_in_window(rows, ids, keys)
        ids = rows.batch.column(ID)
        again = self._repeated_in_add(ids, keys)
        if self.on_conflict != "replace":
            owners, _ = self.base.locate(ids)
            again[owners] = True
            if again.any():
                self._refuse(
                    ids,
                    rows,
                    int(np.argmax(again)),
                    "is already in the collection" if len(owners) else "stands twice in the data",
                )
                self.skipped += int(np.count_nonzero(again))
                rows, keys = rows.keep(~again), keys[~again]
        self.seen.add(keys)
        return rows

    def _repeated_in_window(self, rows: Rows, ids: pa.Array, keys: Keys) -> tuple[Rows, Keys]:
        if len(np.unique(keys)) == len(keys):
            return rows, keys
        codes = ids.dictionary_encode().indices.to_numpy()
        if self.on_conflict == "replace":  # the last one counts
            keep = np.zeros(len(codes), bool)
            keep[len(codes) - 1 - np.unique(codes[::-1], return_index=True)[1]] = True
        else:
            keep = np.zeros(len(codes), bool)
            keep[np.unique(codes, return_index=True)[1]] = True
        if not keep.all():
            self._refuse(ids, rows, int(np.argmin(keep)), "stands twice in the data")
            self.skipped += int(np.count_nonzero(~keep))
        return rows.keep(keep), keys[keep]

    def _repeated_in_add(self, ids: pa.Array, keys: Keys) -> npt.NDArray[np.bool_]:
        """Which ids came in an earlier window of this add; to be replaced, those earlier rows are buried."""
        again = self.seen.contains(keys)
        if not again.any():
            return again
        self.flush()
        wanted = np.flatnonzero(again)
        really = np.zeros(len(again), bool)
        for number, entry in enumerate(self.entries):
            segment = self.staging.open_segment(entry)
            staged = segment.column(ID)
            if entry.tombstones is not None and self.on_conflict != "replace":
                raise AssertionError("rows are buried only when they are replaced")
            at = pc.index_in(staged, value_set=ids.take(pa.array(wanted)))
            hit = np.flatnonzero(at.is_valid().to_numpy(zero_copy_only=False))
            if not len(hit):
                continue
            really[wanted[at.take(pa.array(hit)).to_numpy()]] = True
            if self.on_conflict == "replace":
                before = entry.documents
                self.entries[number] = self.staging.add_tombstones(entry, segment, hit)
                self.skipped += before - self.entries[number].documents
        return really

    def _refuse(self, ids: pa.Array, rows: Rows, at: int, why: str) -> None:
        if self.on_conflict == "error":
            raise DuplicateIdError(
                f"row {rows.numbers[at]}, column '{self.checker.id_column}': id {ids[at].as_py()!r} {why}; "
                'pass on_conflict="skip" to keep what is there, or "replace" to put the new one in its place'
            )

    # -- passages and vectors --------------------------------------------------------------------------------------------

    def _passages(self, rows: Rows) -> tuple[pa.RecordBatch, npt.NDArray[np.int64] | None]:
        """Split documents: one row a passage, and (document row, ordinal, start, end) of each; None without a chunker."""
        text = self.checker.manifest.text_column
        if not self.checker.manifest.chunked or text is None:
            return rows.batch, None
        texts: list[str | None] = rows.batch.column(text).to_pylist()
        spans: list[tuple[int, int, int, int]] = []
        pieces: list[str | None] = []
        for row, document in enumerate(texts):
            for ordinal, (start, end) in enumerate(tile(self.split, document)):
                spans.append((row, ordinal, start, end))
                pieces.append(None if document is None else document[start:end])
        table = np.array(spans, np.int64).reshape(-1, 4)
        batch = rows.batch.take(pa.array(table[:, 0]))
        at = batch.schema.names.index(text)
        return batch.set_column(
            at, batch.schema.field(at), pa.array(pieces, pa.large_string())
        ), table

    @staticmethod
    def _repeat(vectors: Vectors, spans: npt.NDArray[np.int64] | None) -> Vectors:
        if spans is not None and len(spans) != len(vectors):
            raise InvalidInputError(
                "the data has ready-made vectors for documents that the chunker splits: give short texts, "
                "or use a collection without a chunker"
            )
        return vectors

    def _embed(self, rows: Rows, passages: pa.RecordBatch) -> Vectors:
        """Vectors of the passages; a text that has one already (replaced unchanged, or from an interrupted add) keeps it."""
        assert self.embedder is not None
        texts: list[str] = passages.column(self.checker.manifest.text_column).to_pylist()
        known = self._vectors_of_replaced(rows)
        if self.cache is None:
            self.cache = VectorCache(self.store.root, self.embedder.entry, self.base.manifest.dim)
        unique = list(dict.fromkeys(texts))
        known |= self.cache.find([text for text in unique if text not in known])
        new = [text for text in unique if text not in known]
        if new:
            made = self.embedder.embed_documents(new)
            check_made(made, self.base.manifest.metric, new)
            self.embedded += len(new)
            self.cache.put(
                new, made, more_to_come=len(rows.numbers) == self.store.limits.window_rows
            )
            if len(new) == len(texts):  # the common case: nothing known, nothing repeated
                return made
            known |= dict(zip(new, made, strict=True))
        return np.stack([known[text] for text in texts])

    def _vectors_of_replaced(self, rows: Rows) -> dict[str, Vectors]:
        if self.on_conflict != "replace" or not self.base.rows:
            return {}
        _, positions = self.base.locate(rows.batch.column(ID))
        if not len(positions):
            return {}
        text = self.checker.manifest.text_column or ""
        texts = self.base.take([text], positions).column(0).to_pylist()
        return dict(zip(texts, self.base.vectors_at(positions), strict=True))

    def _assemble(
        self, passages: pa.RecordBatch, vectors: Vectors, spans: npt.NDArray[np.int64] | None
    ) -> pa.RecordBatch:
        manifest = self.checker.manifest
        own = encode_vectors(vectors, manifest.metric, manifest.dtype)
        if spans is not None:
            for name, column in ((CHUNK, 1), (START, 2), (END, 3)):
                own[name] = pa.array(spans[:, column].astype(np.int32))
        schema = self.checker.schema()
        return pa.RecordBatch.from_arrays(
            [own[item.name] if item.name in own else passages.column(item.name) for item in schema],
            schema=schema,
        )

    # -- commit ----------------------------------------------------------------------------------------------------------

    def finish(self) -> AddResult:
        """Rebase on the latest version and commit."""
        self.flush()
        if not any(entry.documents for entry in self.entries):
            return AddResult(0, 0, self.skipped, self.embedded, self.base.manifest.version)
        with self.store.locked() as latest:
            self._check_unchanged(latest.manifest)
            if latest.manifest.version != self.base.manifest.version:
                self._rebase(latest)
            segments, replaced = self._delete_replaced(latest)
            new = [entry for entry in self.entries if entry.documents]
            version = latest.manifest.next(
                "add",
                schema=self.checker.schema(),
                segments=(*segments, *new),
                next_id=max(self.checker.next_id, latest.manifest.next_id),
                settings={
                    key: value
                    for key, value in latest.manifest.settings.items()
                    if key != "open_schema"
                },
            )
            version = merge_small(latest, version, self.staging)
            self.store.commit(self.staging, version)
        if self.cache is not None:
            self.cache.clear()
        documents = sum(entry.documents for entry in self.entries)
        return AddResult(
            documents - replaced, replaced, self.skipped, self.embedded, version.version
        )

    def _check_unchanged(self, latest: Manifest) -> None:
        before = self.base.manifest
        same = (latest.schema, latest.embedder, latest.dim, latest.metric) == (
            before.schema,
            before.embedder,
            before.dim,
            before.metric,
        )
        if not same:
            raise ConflictError(
                "the columns or the embedder of the collection changed while this add was running: run it again"
            )

    def _rebase(self, latest: Snapshot) -> None:
        """Other writers committed meanwhile: move made-up ids past theirs, and look for conflicts again."""
        if self.checker.made_up_ids and latest.manifest.next_id > self.base.manifest.next_id:
            shift = latest.manifest.next_id - self.base.manifest.next_id
            self.entries = [self._renumbered(entry, shift) for entry in self.entries]
            self.checker.next_id += shift
        if self.on_conflict == "replace":
            return
        for number, entry in enumerate(self.entries):
            segment = self.staging.open_segment(entry)
            ids = segment.column(ID)
            owners, _ = latest.locate(ids)
            if not len(owners):
                continue
            if self.on_conflict == "error":
                raise DuplicateIdError(
                    f"id {ids[int(owners[0])].as_py()!r} was added by another writer while this add was running"
                )
            self.entries[number] = self.staging.add_tombstones(entry, segment, np.unique(owners))
            self.skipped += entry.documents - self.entries[number].documents

    def _renumbered(self, entry: SegmentEntry, shift: int) -> SegmentEntry:
        batch = self.staging.open_segment(entry).batch
        at = batch.schema.names.index(ID)
        ids = pa.array(batch.column(at).to_numpy() + shift)
        return self.staging.write_segment(batch.set_column(at, batch.schema.field(at), ids))

    def _delete_replaced(self, latest: Snapshot) -> tuple[tuple[SegmentEntry, ...], int]:
        """Tombstones over the rows that this add replaces; how many documents those were."""
        if self.on_conflict != "replace":
            return latest.manifest.segments, 0
        dead = []
        for entry in self.entries:
            segment = self.staging.open_segment(entry)
            dead.append(latest.locate(segment.column(ID))[1])
        positions = np.unique(np.concatenate(dead))
        segments = delete_rows(latest, positions, self.staging)
        return segments, latest.manifest.documents - sum(entry.documents for entry in segments)


def check_made(made: Vectors, metric: Metric, texts: Sequence[str]) -> None:
    """A model may fail on a text without saying so. Raises EmbedderError."""
    try:
        check_vectors(made, metric, 0)
    except InvalidInputError as error:
        squares = np.einsum("ij,ij->i", made, made)
        at = int(np.argmax(~np.isfinite(squares) | (squares == 0)))
        raise EmbedderError(
            f"the model made no usable vector of the text {texts[at][:80]!r} ({error})"
        ) from error


def tile(split: Split | None, document: str | None) -> list[tuple[int, int]]:
    """The chunker's spans, stretched over the blanks between them so that they cover the whole document in order:
    a document is put together again from its passages without a loss."""
    spans = [] if split is None or document is None else list(split(document))
    length = len(document or "")
    if len(spans) <= 1:
        return [(0, length)]
    starts = [0, *(start for start, _ in spans[1:])]
    ends = [
        max(end, following)
        for (_, end), following in zip(spans, [*starts[1:], length], strict=True)
    ]
    return list(zip(starts, ends, strict=True))
