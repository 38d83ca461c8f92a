"""The same documents under another model, as one commit.

The rows of each segment get new vectors in a segment of staging, without the writer's lock: searches go on under the old model.
Then what others committed meanwhile is caught up with: segments that are new are done too, rows deleted since are buried.
Vectors are kept by text until the commit, as those of an add are, so an interrupted move is resumed by asking for it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from vecsearch.embedders.base import Embedder
from vecsearch.errors import InvalidInputError
from vecsearch.ingest import SEGMENT_BYTES, SEGMENT_ROWS, WINDOW_ROWS, check_made
from vecsearch.manifest import SegmentEntry
from vecsearch.model import Model, entry_of
from vecsearch.records import Vectors, normalise
from vecsearch.segment import vector_array, vector_type
from vecsearch.snapshot import Positions, Snapshot
from vecsearch.store import Staging, Store
from vecsearch.types import ID, NORM, VECTOR, Metric, ReembedResult
from vecsearch.vector_cache import VectorCache

CATCH_UPS = 3  # rounds of catching up before the lock is taken; what comes after them is done while others wait


def reembed(store: Store, embedder: Embedder, progress: Callable[[int], None] = lambda rows: None) -> ReembedResult:
    """Embed every document again with another model, and commit that; a collection that has this model stays as it is.

    Indexes are dropped. Raises InvalidInputError for a collection or a document without text, EmbedderError, StorageError,
    LockTimeoutError.
    """
    base = store.snapshot()
    if base.facts.text_column is None:
        raise InvalidInputError(
            f"{store.root} has no text column, only vectors that were given, so no model can embed it again: make a collection "
            "with the model, and add the documents to it"
        )
    if _has(base, embedder):
        return ReembedResult(base.facts.documents, 0, base.facts.version)
    with store.staging() as staging:
        model = Model(store.root, entry_of(embedder, staging), embedder.dim, embedder)
        texts = _Texts(store, model, base)
        task = Remaking(staging, embedder.dim, texts.vectors, progress)
        task.take(base)
        for _ in range(CATCH_UPS):
            latest = store.snapshot()
            if not task.missing(latest):
                break
            texts.reopen()
            task.take(latest)
        with store.locked() as latest:
            if _has(latest, embedder):  # another process was quicker
                return ReembedResult(latest.facts.documents, texts.embedded, latest.facts.version)
            if task.missing(latest):
                texts.reopen()
                task.take(latest)
            version = latest.facts.next(
                "reembed",
                schema=remade_schema(latest, embedder.dim),
                dim=embedder.dim,
                embedder=model.entry,
                segments=task.segments(latest),
                indexes=(),
            )
            store.commit(staging, version)
    texts.cache.clear()
    return ReembedResult(version.documents, texts.embedded, version.version)


def _has(snapshot: Snapshot, embedder: Embedder) -> bool:
    entry = snapshot.facts.embedder
    return entry is not None and entry.fingerprint == embedder.fingerprint()


class _Texts:
    """Vectors of passages by their text; those found in the cache are not embedded again."""

    def __init__(self, store: Store, model: Model, base: Snapshot) -> None:
        self.model = model
        self.column = base.facts.text_column
        self.metric = base.facts.metric
        self.several = base.live.count > WINDOW_ROWS
        self.embedded = 0
        self.root = store.root
        self.cache = VectorCache(self.root, model.entry, model.dim)

    def reopen(self) -> None:
        """Find what was embedded so far, too."""
        self.cache = VectorCache(self.root, self.model.entry, self.model.dim)

    def vectors(self, rows: pa.RecordBatch) -> Vectors:
        """float32 (rows, dim). Raises InvalidInputError for a row without text."""
        texts: list[str | None] = rows.column(self.column).to_pylist()
        for at, text in enumerate(texts):
            if text is None or not text.strip():
                raise InvalidInputError(
                    f"document {rows.column(ID)[at].as_py()!r} has a vector but no text in column {self.column!r}, so another "
                    "model cannot embed it: add it again with its text, or delete it"
                )
        unique = [text for text in dict.fromkeys(texts) if text is not None]
        known = self.cache.find(unique)
        new = [text for text in unique if text not in known]
        if new:
            made = self.model.embed_documents(new)
            check_made(made, self.metric, new)
            self.embedded += len(new)
            self.cache.put(new, made, more_to_come=self.several)
            known |= dict(zip(new, made, strict=True))
        return np.stack([known[text] for text in texts if text is not None])


@dataclass(frozen=True)
class _Part:
    """A segment made out of some rows of another one."""

    entry: SegmentEntry
    rows: Positions


@dataclass(frozen=True)
class _Done:
    """What became of a segment, all of it but the rows that were deleted then."""

    parts: list[_Part]
    dead: Positions


class Remaking:
    """Segments again with other vectors: `make` is given rows as they are stored, and makes float32 (rows, dim) for them."""

    def __init__(
        self, staging: Staging, dim: int, make: Callable[[pa.RecordBatch], Vectors], progress: Callable[[int], None]
    ) -> None:
        self.staging = staging
        self.dim = dim
        self.make = make
        self.progress = progress
        self._done: dict[str, _Done] = {}

    def missing(self, snapshot: Snapshot) -> list[int]:
        """The segments of a snapshot that are not done: new ones, and those in which a restore brought deleted rows back."""
        return [number for number, entry in enumerate(snapshot.facts.segments) if not self._has(snapshot, entry)]

    def _has(self, snapshot: Snapshot, entry: SegmentEntry) -> bool:
        done = self._done.get(entry.name)
        return done is not None and bool(np.isin(done.dead, snapshot.files.tombstones(entry)).all())

    def take(self, snapshot: Snapshot) -> None:
        """Do the segments of a snapshot that are not done yet."""
        for number in self.missing(snapshot):
            entry = snapshot.facts.segments[number]
            self._done[entry.name] = _Done(list(self._parts(snapshot, number)), snapshot.files.tombstones(entry))

    def segments(self, latest: Snapshot) -> tuple[SegmentEntry, ...]:
        """The segments instead of those of a version, all of which are done. Rows deleted since they were done are buried."""
        out = []
        for entry in latest.facts.segments:
            dead = latest.files.tombstones(entry)
            for part in self._done[entry.name].parts:
                gone = np.flatnonzero(np.isin(part.rows, dead))
                made = self.staging.bury(part.entry, self.staging.open_segment(part.entry), gone) if len(gone) else part.entry
                out += [made] if made.live else []
        return tuple(out)

    def _parts(self, snapshot: Snapshot, number: int) -> Iterator[_Part]:
        """Write the live rows of one segment, in segments that take a bounded amount of memory."""
        segment, entry = snapshot.segments[number], snapshot.facts.segments[number]
        segment.file.verify_all()
        rows = np.setdiff1d(np.arange(entry.rows), snapshot.files.tombstones(entry), assume_unique=True)
        waiting: list[pa.RecordBatch] = []
        first = 0
        for at in range(0, len(rows), WINDOW_ROWS):
            batch = segment.take(snapshot.facts.schema.names, rows[at : at + WINDOW_ROWS])
            waiting.append(self._remade(snapshot, batch))
            self.progress(batch.num_rows)
            end = at + batch.num_rows
            full = end - first >= SEGMENT_ROWS or sum(item.nbytes for item in waiting) >= SEGMENT_BYTES
            if full or end == len(rows):
                whole = waiting[0] if len(waiting) == 1 else pa.concat_batches(waiting)
                yield _Part(self.staging.write_segment(whole), rows[first:end])
                waiting, first = [], end

    def _remade(self, snapshot: Snapshot, batch: pa.RecordBatch) -> pa.RecordBatch:
        facts = snapshot.facts
        vectors = self.make(batch)
        own: dict[str, pa.Array] = {}
        if facts.metric is Metric.COSINE:
            vectors, norms = normalise(vectors)
            own[NORM] = pa.array(norms)
        own[VECTOR] = vector_array(np.ascontiguousarray(vectors, np.dtype(facts.dtype)))
        schema = remade_schema(snapshot, self.dim)
        return pa.RecordBatch.from_arrays([own.get(name, batch.column(name)) for name in schema.names], schema=schema)


def remade_schema(snapshot: Snapshot, dim: int) -> pa.Schema:
    """The schema of a version with vectors of another dimension."""
    schema = snapshot.facts.schema
    field = pa.field(VECTOR, vector_type(dim, snapshot.facts.dtype), nullable=False)
    return schema.set(schema.get_field_index(VECTOR), field)
