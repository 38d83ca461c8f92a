"""Rows of data -> checked windows -> passages -> vectors -> segments -> one commit.

Checking, embedding and writing happen in staging, without the writer's lock. Only the commit holds
the lock; it looks again at what other writers committed meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Protocol

import pyarrow as pa

from vecsearch.common.arrays import Vectors
from vecsearch.common.batches import rebatch
from vecsearch.common.deadline import check_time
from vecsearch.common.progress import Shares
from vecsearch.errors import ConflictError, InvalidInputError
from vecsearch.ingest.bad_rows import BadRows, placed
from vecsearch.ingest.conflicts import ConflictResolver
from vecsearch.ingest.embedding import DocumentEncoder, EmbedTexts
from vecsearch.ingest.passages import Passages, PassageSplitter
from vecsearch.ingest.requests import done_before, remembering
from vecsearch.ingest.rows import RowChecker, Rows
from vecsearch.ingest.segments import SegmentBuffer
from vecsearch.ingest.sources import Places, Reading
from vecsearch.ingest.splitting import Splitting
from vecsearch.storage.exact import require_exact
from vecsearch.storage.manifest import Manifest, SegmentEntry
from vecsearch.storage.manifest import replace as manifest_replace
from vecsearch.storage.merge import SmallMerge
from vecsearch.storage.names import OPEN_SETTINGS, named_by_data
from vecsearch.storage.schema import encode_vectors
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.staging import Staging
from vecsearch.storage.store import Store
from vecsearch.storage.widening import exact_cast, first_misfit
from vecsearch.types import AUTO, AddResult, OnConflict


def add_documents(
    store: Store,
    batches: Iterable[pa.RecordBatch],
    *,
    on_conflict: OnConflict = "error",
    embedder: EmbedTexts | None = None,
    split: Splitting | None = None,
    id_column: str | None = None,
    text_column: str | None = None,
    progress: Callable[[int], None] = lambda count: None,
    places: Places | None = None,
    reading: Reading | None = None,
    complete: MakeCompleter | None = None,
    operation: str = "add",
    leave_out: LeaveOut | None = None,
    request: str | None = None,
) -> AddResult:
    """Add documents as one commit: all of them, or on any error none.

    Args:
        store: The collection.
        batches: The rows, in batches of any size and one schema.
        on_conflict: What to do with an id that exists: "error", "skip", "replace", or "update" and
            "refresh", which need `complete`.
        embedder: The collection's model; None for a collection of given vectors.
        split: How texts are split; None keeps documents whole.
        id_column: The name of the id column in the data; None for the collection's own.
        text_column: The name of the text column in the data; None for the collection's own.
        progress: Called with the number of rows that are done since the last call.
        places: Where the rows come from, for messages; None calls them by their number.
        reading: Whether bad rows are left out, and the report on them; None raises.
        complete: Makes what completes rows that are parts of documents; None for whole documents.
        operation: What the version is called.
        leave_out: Returns the rows to store, of rows as a segment stores them; None stores all.
        request: A key of this add: if one was committed with it, that one's result is returned.

    Returns:
        What was added, replaced, skipped and embedded, and the new version.

    Raises:
        InvalidInputError: The data does not fit the collection; the message names row and column.
        DuplicateIdError: An id repeats, and on_conflict is "error".
        EmbedderError: The model failed.
        ConflictError: The columns or the embedder changed while the add was running.
        StorageError: Writing failed.
        LockTimeoutError: Another writer held the lock for too long.
    """
    bad_rows = BadRows(places or Places(), reading or Reading())
    with AddTransaction.begin(
        store, on_conflict, embedder, split, id_column, text_column, bad_rows, complete
    ) as transaction:
        if (done := done_before(transaction.base.manifest, request)) is not None:
            return done
        transaction.leave_out = leave_out
        for window in rebatch(batches, store.limits.window_rows, store.limits.segment_bytes):
            check_time()
            transaction.write(window, progress)
        check_time()
        return transaction.commit(operation, request)


class Completer(Protocol):
    """Completes rows that give some columns of documents, for `on_conflict="update"`; leaves out
    rows that change nothing, for "refresh".

    Attributes:
        unchanged: How many rows were left out since they change nothing.
    """

    unchanged: int

    def complete(self, rows: Rows, names: Sequence[str]) -> list[Rows]:
        """Whole documents; `names` are the columns of the data.

        Rows that stay as they are stored come with `stored`, those of given vectors with `vectors`;
        the texts of others are embedded.
        """

    def recheck(self, latest: Snapshot) -> None:
        """Raises ConflictError if another writer changed a document that was completed."""


LeaveOut = Callable[[pa.RecordBatch], pa.RecordBatch]
MakeCompleter = Callable[[Snapshot, RowChecker], Completer]


class AddTransaction:
    """One add: begin, write windows of rows, commit. Without a commit nothing is changed.

    Args:
        store: The collection.
        base: The version that the add began with.
        segments: The segments that the add stages.
        checker: Checks rows against the collection.
        conflicts: Applies `on_conflict`.
        splitter: Splits documents into passages.
        encoder: Embeds passages; None for a collection of given vectors.
        bad_rows: What happens to rows that cannot be added.
        completer: Completes parts of documents; None if the rows are whole ones.
    """

    def __init__(
        self,
        store: Store,
        base: Snapshot,
        segments: SegmentBuffer,
        checker: RowChecker,
        conflicts: ConflictResolver,
        splitter: PassageSplitter,
        encoder: DocumentEncoder | None,
        bad_rows: BadRows,
        completer: Completer | None = None,
    ) -> None:
        self.completer = completer
        self.leave_out: LeaveOut | None = None
        self.store = store
        self.base = base
        self.segments = segments
        self.checker = checker
        self.conflicts = conflicts
        self.splitter = splitter
        self.encoder = encoder
        self.bad_rows = bad_rows
        self.rows_read = 0

    @classmethod
    @contextmanager
    def begin(
        cls,
        store: Store,
        on_conflict: OnConflict,
        embedder: EmbedTexts | None,
        split: Splitting | None,
        id_column: str | None,
        text_column: str | None,
        bad_rows: BadRows,
        complete: MakeCompleter | None = None,
    ) -> Iterator[AddTransaction]:
        """A transaction with a staging folder of its own, which is removed at the end.

        The arguments are those of `add_documents`. Raises ConflictError if the collection has
        another embedder by now.
        """
        base = store.snapshot(pulled=True)  # the collection was refreshed for this add
        if embedder is not None and embedder.entry != base.manifest.embedder:
            raise ConflictError(
                "the embedder of the collection was just changed: run this add again"
            )
        project = None if embedder is None else embedder.project
        with store.staging() as staging:
            segments = SegmentBuffer(staging, store.limits)
            partial = on_conflict == "update"
            manifest = named_by_data(base.manifest, id_column, text_column)
            checker = RowChecker(manifest, id_column, text_column, project, partial=partial)
            yield cls(
                store,
                base,
                segments,
                checker,
                ConflictResolver(on_conflict, base, segments, checker.id_source, bad_rows.places),
                PassageSplitter(manifest, split),
                None if embedder is None else DocumentEncoder(embedder, base, store.root),
                bad_rows,
                None if complete is None else complete(base, checker),
            )

    def write(
        self, window: pa.RecordBatch, progress: Callable[[int], None] = lambda count: None
    ) -> None:
        """Check, split and embed one window of rows, and keep it for the next segment."""
        shares = Shares(window.num_rows, progress)
        if self.encoder is not None:
            self.encoder.advance = shares.add
        before = self.checker.metadata
        checked = self.bad_rows.check(self.checker, window, self.rows_read)
        if before is not None and not before.equals(self.checker.metadata):
            self._require_exact(before, checked)  # now, not after hours of embedding
        rows = self.conflicts.resolve(checked)
        self.rows_read += window.num_rows
        self.bad_rows.places.forget(self.rows_read)
        keep = window.num_rows == self.store.limits.window_rows
        whole = [rows]
        if self.completer is not None:
            whole = self.completer.complete(rows, window.schema.names)
        for part in whole:
            if part.batch.num_rows:
                self._store(part, keep=keep)
        shares.finish()

    def _store(self, rows: Rows, *, keep: bool) -> None:
        """Split and embed whole documents, and keep them for the next segment."""

        def stored(rows: Rows) -> pa.RecordBatch:
            has_vectors = rows.stored is not None or rows.vectors is not None
            passages = self.splitter.split(rows.batch, whole=has_vectors)
            if self.splitter.chunked:
                self.checker.add_passage_columns()
            if rows.stored is not None:
                return self._with_vectors(passages, rows.stored)
            if rows.vectors is None:
                return self._stored_batch(passages, self._embedded(rows, passages, keep=keep))
            return self._stored_batch(passages, rows.vectors)

        rows, batch = self.bad_rows.encode(rows, stored)
        if rows.batch.num_rows and self.leave_out is not None:
            batch = self.leave_out(batch)
        if batch.num_rows:
            self.segments.append(batch)

    def _require_exact(self, before: pa.Schema, rows: Rows) -> None:
        """`require_exact`; its error names the first row for which the column became wider."""
        try:
            require_exact(self.base, self.checker.schema())
        except InvalidInputError as error:
            for field in before:
                if not error.message.startswith(f"column {field.name!r} "):
                    continue
                row = first_misfit(rows.batch.column(field.name), partial(_cast_to, field.type))
                if row is not None:
                    place = self.bad_rows.places.place(int(rows.numbers[row]))
                    raise placed(error, str(place)) from error.__cause__
            raise

    def commit(self, operation: str = "add", request: str | None = None) -> AddResult:
        """Move generated ids past those of other writers, resolve conflicts again, and commit."""
        self.segments.flush()
        skipped, embedded = self.conflicts.skipped, self.encoder.embedded if self.encoder else 0
        if not self.segments.documents:
            unchanged = self.base.manifest.version
            report = self.bad_rows.reading.report()
            return AddResult(0, 0, skipped, embedded, unchanged, report, self._same())
        staging = self.segments.staging
        later = self.store.large_merges
        # What the add replaces is known under the lock only, and may be in the segments to merge.
        merge = None
        if not self.conflicts.replaces:
            base = self.store.snapshot(pulled=True)
            merge = SmallMerge(base, staging, beside=later.beside(base.manifest))
        with self.store.locked() as latest:
            if (done := done_before(latest.manifest, request)) is not None:
                return done  # the same add was sent twice, and the other one was faster
            self._check_unchanged(latest.manifest)
            if latest.manifest.version != self.base.manifest.version:
                require_exact(latest, self.checker.schema())
                self._move_generated_ids(latest.manifest)
                self.conflicts.recheck(latest)
                if self.completer is not None:
                    self.completer.recheck(latest)
            segments, replaced = self.conflicts.delete_replaced(latest)
            version = self._next_version(latest.manifest, segments, operation)
            merge = merge or SmallMerge(latest, staging, version, later.beside(version))
            version = merge.apply(version)
            result = AddResult(
                self.segments.documents - replaced,
                replaced,
                self.conflicts.skipped,
                embedded,
                version.version,
                self.bad_rows.reading.report(),
                self._same(),
            )
            if request is not None:
                settings = remembering(version.settings, request, result)
                version = manifest_replace(version, settings=settings)
            check_time()
            self.store.commit(staging, version)
        if merge.is_left:
            later.start(self.store)
        if self.encoder is not None:
            self.encoder.clear_cache()
            splits = (self.base.manifest.chunker or {}).get("kind") == AUTO
            self.encoder.fitness.warn(splits=splits, stacklevel=6)
        return result

    def _same(self) -> int:
        """How many documents were left out since they are the same as before."""
        left_out = 0 if self.completer is None else self.completer.unchanged
        return left_out + self.bad_rows.reading.unchanged

    def _embedded(self, rows: Rows, passages: Passages, *, keep: bool) -> Vectors:
        """The passages' vectors; a document that is replaced with the same text keeps its own."""
        assert self.encoder is not None  # the checker refuses rows without vector or embedder
        texts = passages.texts(self.checker.manifest)
        replaced = rows.ids if self.conflicts.replaces else None

        def place_of(number: int) -> str:
            row = number if passages.spans is None else int(passages.spans[number, 0])
            return str(self.bad_rows.places.place(int(rows.numbers[row])))

        return self.encoder.encode(texts, replaced, place_of, keep=keep)

    def _stored_batch(self, passages: Passages, vectors: Vectors) -> pa.RecordBatch:
        """The rows as a segment stores them."""
        manifest = self.base.manifest
        columns = encode_vectors(vectors, manifest.metric, manifest.dtype)
        return self._with_vectors(passages, pa.record_batch(columns))

    def _with_vectors(self, passages: Passages, vectors: pa.RecordBatch) -> pa.RecordBatch:
        columns = passages.columns()
        columns |= dict(zip(vectors.schema.names, vectors.columns, strict=True))
        schema = self.checker.schema()
        arrays = [
            columns[name] if name in columns else passages.batch.column(name)
            for name in schema.names
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _check_unchanged(self, latest: Manifest) -> None:
        before, named = self.base.manifest, self.checker.manifest
        own_names = named.id_column, named.text_columns
        is_renamed = own_names != (latest.id_column, latest.text_columns)
        if is_renamed and not latest.settings.get("open_schema"):
            raise ConflictError(
                "another writer named the columns of ids and texts while this add was running: run "
                "it again"
            )
        if (latest.schema, latest.embedder, latest.dim, latest.metric) != (
            before.schema,
            before.embedder,
            before.dim,
            before.metric,
        ):
            raise ConflictError(
                "the columns or the embedder of the collection changed while this add was running: "
                "run it again"
            )
        if latest.shards != before.shards:
            raise ConflictError(
                "the collection was divided among other shards while this add was running: "
                "run it again"
            )

    def _move_generated_ids(self, latest: Manifest) -> None:
        """Shift generated ids by as many as other writers generated or used meanwhile."""
        shift = latest.next_id - self.base.manifest.next_id
        if not self.checker.generates_ids or shift <= 0:
            return
        self.segments.replace_entries(
            shifted
            for entry in self.segments.entries
            for shifted in _with_shifted_ids(self.segments.staging, entry, shift)
        )
        self.checker.next_id += shift

    def _next_version(
        self, latest: Manifest, segments: tuple[SegmentEntry, ...], operation: str
    ) -> Manifest:
        staged = [entry for entry in self.segments.entries if entry.documents]
        schema = self.checker.schema()
        embedded = self.checker.manifest.text_columns
        pictures = any(pa.types.is_large_binary(schema.field(name).type) for name in embedded)
        return latest.next(
            operation,
            schema=schema,
            full_text=None if pictures else latest.full_text,  # pictures have no words
            segments=(*segments, *staged),
            text_column=self.checker.manifest.text_column,
            next_id=max(self.checker.next_id, latest.next_id),
            settings={
                name: value for name, value in latest.settings.items() if name not in OPEN_SETTINGS
            },
        )


def _cast_to(kind: pa.DataType, array: pa.Array) -> pa.Array:
    return exact_cast(array, kind)


def _with_shifted_ids(staging: Staging, entry: SegmentEntry, shift: int) -> list[SegmentEntry]:
    """Segments of the same rows under higher ids, which may be in other shards."""
    batch = staging.open_segment(entry).batch
    ids = pa.array(batch.column(0).to_numpy() + shift)
    batch = batch.set_column(0, batch.schema.field(0), ids)
    return [written for written, _ in staging.write_rows_by_shard(batch)]
