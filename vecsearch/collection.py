"""The façade: a collection on disk. Every method delegates to the room that does the work."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.common.arguments import check_k, check_recall, parse_bytes, parse_metric
from vecsearch.common.memory import trim_heap
from vecsearch.common.optional import require
from vecsearch.common.progress import progress_bar
from vecsearch.embedders import resolve_embedder
from vecsearch.embedders.base import Embedder
from vecsearch.embedders.stored import Model, embeds_texts, entry_of
from vecsearch.errors import (
    CollectionClosedError,
    EmbedderError,
    InvalidInputError,
    VersionNotFoundError,
)
from vecsearch.evaluation.query_sample import (
    SETTING,
    check_count,
    sampled_queries,
    set_sampling,
)
from vecsearch.evaluation.recall import measure_recall
from vecsearch.evaluation.search_monitor import SearchMonitor, search_monitor
from vecsearch.ingest import add
from vecsearch.ingest.chunking import Chunker, FunctionChunker, resolve_chunker
from vecsearch.ingest.sources import open_source
from vecsearch.maintenance import compact, edit, versions
from vecsearch.query.documents import document_vectors, documents_by_id
from vecsearch.query.results import Hits
from vecsearch.query.searcher import Found, Searcher
from vecsearch.query.torch_layer import torch_embedding
from vecsearch.storage import log
from vecsearch.storage.folders import folder_path, make_collection_folders
from vecsearch.storage.manifest import EmbedderEntry, Manifest
from vecsearch.storage.manifest_check import LARGEST_DIM
from vecsearch.storage.schema import source_schema, vector_type
from vecsearch.storage.selection import RowSelection
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.store import Store
from vecsearch.types import (
    CHUNK,
    END,
    ID,
    NORM,
    RESERVED,
    START,
    VECTOR,
    AddResult,
    BuildResult,
    CollectionInfo,
    DeleteResult,
    DimensionReport,
    Id,
    IndexAdvice,
    IndexInfo,
    Metric,
    OnConflict,
    Plan,
    RecallReport,
    ReembedResult,
    UpdateResult,
    VersionInfo,
)

if TYPE_CHECKING:
    from vecsearch.evaluation.quality import QualityReport
    from vecsearch.index.recipe import IndexRecipe
    from vecsearch.maintenance.check import Damage

T = TypeVar("T")
Where: TypeAlias = "str | pc.Expression"
LOCK_TIMEOUT = 60.0


def create(
    path: str | os.PathLike[str],
    *,
    embedder: str | Embedder | None = None,
    dim: int | None = None,
    metric: str | Metric = "cosine",
    dtype: str = "float32",
    text_column: str = "text",
    chunker: Any = None,
    recall: float = 0.95,
    keep_versions: int = 16,
    sample_queries: int = 0,
    lock_timeout: float = LOCK_TIMEOUT,
) -> Collection:
    """Make a new collection in a folder that is not there yet (or is empty).

    embedder: a model's name or an Embedder; without one give `dim`, and add ready-made vectors. An embedder that was trained is
    kept inside the collection; a model that has a name is found by that.
    metric: "cosine", "ip" (inner product) or "l2" (Euclidean). dtype: how vectors are stored, "float32" or "float16".
    text_column: the column that is embedded. chunker: how long texts are split (True, a number of characters, a Chunker).
    recall: what `search` delivers when nothing else is asked for. keep_versions: how many older versions stay readable.
    sample_queries: how many of the queries asked are kept, as vectors, to measure with (see `Collection.sample_queries`).

    Raises InvalidInputError, CollectionExistsError, EmbedderError, StorageError.
    """
    root = folder_path(path)
    metric = parse_metric(metric)
    if dtype not in ("float32", "float16"):
        raise InvalidInputError(f"dtype is {dtype!r}; it must be 'float32' or 'float16'")
    check_recall(recall)
    if not isinstance(keep_versions, int) or keep_versions < 1:
        raise InvalidInputError(
            f"keep_versions is {keep_versions!r}; it must be a whole number, 1 or more"
        )
    check_count(sample_queries)
    if not isinstance(text_column, str) or text_column in ("", ID, VECTOR, *RESERVED):
        raise InvalidInputError(
            f"text_column is {text_column!r}; it must be a column's name, and not one that vecsearch uses itself"
        )
    model = resolve_embedder(embedder) if embedder is not None else None
    dim = _dimension(dim, model)
    has_texts = model is not None and embeds_texts(model)
    splitter = resolve_chunker(chunker)
    if splitter is not None and not has_texts:
        raise InvalidInputError(
            "a chunker splits texts, so it needs an embedder: give embedder= too"
        )
    fields = [pa.field(ID, pa.int64(), nullable=False)]
    if has_texts:
        fields.append(pa.field(text_column, pa.large_string()))
    fields.append(pa.field(VECTOR, vector_type(dim, dtype), nullable=False))
    if metric is Metric.COSINE:
        fields.append(pa.field(NORM, pa.float32(), nullable=False))
    if splitter is not None:
        fields += [pa.field(name, pa.int32(), nullable=False) for name in (CHUNK, START, END)]
    first = Manifest(
        version=0,
        schema=pa.schema(fields),
        metric=metric,
        dim=dim,
        dtype=dtype,
        text_column=text_column if has_texts else None,
        chunker=splitter.to_dict() if splitter is not None else None,
        recall=recall,
        keep_versions=keep_versions,
        settings={"open_schema": True} | ({SETTING: sample_queries} if sample_queries else {}),
    ).next("create")
    make_collection_folders(root)
    store = Store(root, lock_timeout)
    with store.staging() as staging:
        store.commit(
            staging,
            replace(first, embedder=entry_of(model, staging) if model is not None else None),
        )
    return Collection(root, embedder=model, chunker=splitter, lock_timeout=lock_timeout)


def open_collection(
    path: str | os.PathLike[str],
    *,
    version: int | None = None,
    embedder: str | Embedder | None = None,
    chunker: Any = None,
    lock_timeout: float = LOCK_TIMEOUT,
) -> Collection:
    """Open a collection, or an older version of it to read.

    embedder: where to find the collection's model when its stored name does not lead to it; another model is refused at the
    first embedding. chunker: needed only where the collection was made with a function of one's own.

    Raises CollectionNotFoundError, VersionNotFoundError, CorruptedError.
    """
    return Collection(
        folder_path(path),
        version=version,
        embedder=embedder,
        chunker=chunker,
        lock_timeout=lock_timeout,
    )


class Collection:
    """Documents and their vectors on disk, searched by likeness. Safe to use from several threads.

    What it reads is one version (a snapshot): its own changes are seen at once, those of other processes after `refresh`.
    """

    def __init__(
        self,
        root: Path,
        *,
        version: int | None = None,
        embedder: str | Embedder | None = None,
        chunker: Any = None,
        lock_timeout: float = LOCK_TIMEOUT,
    ) -> None:
        self.path = root
        self._store = Store(root, lock_timeout)
        self._pinned = version
        self._lock = threading.Lock()
        self._searcher: Searcher | None = Searcher(self._store.snapshot(version))
        manifest = self._snapshot.manifest
        self._monitor: SearchMonitor | None = (
            search_monitor(None, root, manifest) if version is None else None
        )
        self._given_chunker = chunker
        self._models: dict[EmbedderEntry, Model] = {}
        if manifest.embedder is not None:
            self._models[manifest.embedder] = Model(root, manifest.embedder, manifest.dim, embedder)

    # -- changing --------------------------------------------------------------------------------------------------------

    def add(
        self,
        data: object,
        *,
        on_conflict: OnConflict = "error",
        id_column: str = "id",
        text_column: str | None = None,
        progress: bool | None = None,
    ) -> AddResult:
        """Add documents: a pyarrow Table or reader, a pandas or polars frame, dicts, texts, a matrix of vectors, or paths of
        .parquet, .csv, .tsv, .jsonl, .arrow files or of folders of .txt and .md files.

        Columns: `id` (made up when absent), the text column or a ready-made `vector`, and any others, kept as typed metadata.
        One add is one commit: on any error the collection is exactly as before. An interrupted add is resumed by calling it
        again; what was embedded is not embedded twice.
        on_conflict: what to do with an id that is there already: "error", "skip" it, or "replace" the old document.

        Raises InvalidInputError (with row and column), DuplicateIdError, EmbedderError, StorageError, LockTimeoutError.
        """
        if on_conflict not in ("error", "skip", "replace"):
            raise InvalidInputError(
                f"on_conflict is {on_conflict!r}; it must be 'error', 'skip' or 'replace'"
            )
        self._writable()
        manifest = (
            self.refresh()._snapshot.manifest
        )  # another process may have moved the collection to another model
        known = (
            None
            if manifest.settings.get("open_schema")
            else source_schema(manifest, id_column, text_column)
        )
        with _readable():
            source = open_source(
                data, text_column=text_column or manifest.text_column or "text", schema=known
            )
        with _readable(), progress_bar(f"adding {source.name}", source.total, progress) as advance:
            done = add.add_documents(
                self._store,
                source.batches,
                on_conflict=on_conflict,
                embedder=self._model_of(manifest),
                split=self._splitter(manifest),
                id_column=id_column,
                text_column=text_column,
                progress=advance,
            )
        self.refresh()
        return done

    def delete(
        self, ids: Iterable[Id] | Id | None = None, *, where: Where | None = None
    ) -> DeleteResult:
        """Delete whole documents by id or by filter. An id that is not there is counted, not an error.

        Raises InvalidInputError, FilterError, LockTimeoutError, StorageError.
        """
        self._writable()
        listed: list[Id] | None = (
            None if ids is None else [ids] if isinstance(ids, str | int) else list(ids)
        )
        return self._changed(edit.delete(self._store, listed, where))

    def update(self, where: Where | None, values: Mapping[str, Any]) -> UpdateResult:
        """Set metadata columns to constants in the documents for which `where` is true (in all, when None).

        Text and vectors are changed by `add(..., on_conflict="replace")`. Raises InvalidInputError, FilterError.
        """
        self._writable()
        return self._changed(edit.update(self._store, where, values))

    def add_column(self, name: str, kind: pa.DataType | str, value: Any = None) -> int:
        """Add a metadata column of an Arrow type (or its name, "string", "int64", "date32"), holding `value` in every row.

        Returns the version committed. Raises InvalidInputError.
        """
        self._writable()
        try:
            arrow_type = pa.type_for_alias(kind) if isinstance(kind, str) else kind
        except ValueError as error:
            raise InvalidInputError(
                f"{kind!r} is not the name of an Arrow type such as 'string', 'int64', 'date32'"
            ) from error
        return self._changed(edit.add_column(self._store, name, arrow_type, value))

    def build_index(
        self,
        recipe: str | IndexRecipe = "auto",
        *,
        recall: float | None = None,
        memory: int | str | None = None,
        queries: Any = None,
        seed: int = 0,
        threads: int | None = None,
        progress: bool | None = None,
    ) -> BuildResult:
        """Build an index and measure what it reaches on this collection's own data.

        recipe: "auto" chooses by size, dimension, `memory` and `recall`; or a name ("low-latency", "low-memory", ...), a
        .toml path, or any FAISS factory string ("IVF1024,PQ32x4fs"). recall: becomes what `search` delivers by default.
        memory: bytes the index may take, or "2GB". queries: your own questions (texts or vectors) to measure with; real ones
        differ from documents; "sampled" takes those that `sample_queries` kept. Without them, rows held out of the index while
        it is measured. An interrupted build is resumed by calling it again.

        Adding and searching go on meanwhile. Raises RecipeError, InvalidInputError, StorageError, LockTimeoutError.
        """
        from vecsearch.index.build import build_index

        self._writable()
        manifest = self.refresh()._snapshot.manifest
        if recall is not None:
            check_recall(recall)
        asked, query_source = self._questions(queries, manifest)
        if asked is not None and not len(asked):
            raise InvalidInputError(
                "queries is empty: give questions to measure with, or leave it out"
            )
        self._store.snapshot().verify()
        with progress_bar("building the index", len(self), progress) as advance:
            budget = parse_bytes(memory)
            result = build_index(
                self._store,
                recipe,
                recall=recall,
                memory=budget,
                queries=asked,
                query_source=query_source,
                seed=seed,
                threads=threads,
                progress=advance,
            )
        trim_heap()
        return self._changed(result)

    def bench(
        self,
        recipes: Sequence[str],
        *,
        k: int = 10,
        queries: Any = None,
        seed: int = 0,
        progress: bool | None = None,
    ) -> dict[str, Any]:
        """Build each recipe on this collection's data, measure recall and cost, commit nothing; a report for JSON.

        Raises RecipeError, InvalidInputError.
        """
        from vecsearch.evaluation.bench import compare_recipes

        asked, _ = self._questions(queries, self._snapshot.manifest)
        with progress_bar("comparing recipes", len(recipes), progress) as advance:
            return compare_recipes(
                self._store,
                recipes,
                k=check_k(k),
                queries=asked,
                seed=seed,
                progress=lambda name: advance(1),
            )

    def compact(self, *, purge: bool = False) -> int:
        """Run small segments together and drop deleted rows; results stay the same. Returns the version committed.

        purge: nothing of deleted rows stays in any file; older versions go. Raises ConflictError while readers hold them.
        """
        self._writable()
        version = self._changed(compact.compact(self._store, purge))
        if purge:
            if self._monitor is not None:
                self._monitor.forget()
            self._store.purge()
        return version

    def rollback(self, version: int) -> int:
        """Make an older version the latest again, as a new version; its number. Raises VersionNotFoundError."""
        self._writable()
        return self._changed(versions.rollback(self._store, version))

    # -- care ------------------------------------------------------------------------------------------------------------

    def check(self) -> list[Damage]:
        """Read every file of every version whole and compare it with its checksums: what is damaged, and what to do about it.

        `vecsearch.repair(path)` makes again what can be made again. Raises StorageError."""
        from vecsearch.maintenance.check import find_damage

        return find_damage(self.path)

    def backup(self, target: str | os.PathLike[str]) -> int:
        """Copy the version that this object reads to a new folder, every byte verified, while others write; its number.

        A backup is a collection: `vecsearch.open` searches it, `vecsearch.restore` makes another of it. Raises
        CollectionExistsError, CorruptedError, StorageError."""
        from vecsearch.maintenance.backup import write_backup

        return write_backup(self.path, folder_path(target), self._snapshot.manifest.version)

    def export(self, target: str | os.PathLike[str]) -> int:
        """Write the documents with all their columns and vectors to one Parquet file, for other tools and for
        `vecsearch.restore`; how many rows. Raises CollectionExistsError, InvalidInputError, CorruptedError,
        StorageError."""
        from vecsearch.maintenance.parquet import export_parquet

        return export_parquet(self.path, folder_path(target), self._snapshot.manifest.version)

    def reembed(self, embedder: str | Embedder, *, progress: bool | None = None) -> ReembedResult:
        """Move the collection to another model: every text is embedded again, ids, texts, metadata and passages stay.

        One commit: searches are answered by the old model until then. What others add or delete meanwhile is not lost. An
        interrupted move is resumed by calling it again; what was embedded is not embedded twice. Indexes are dropped:
        build_index makes a new one. `rollback` to the version before brings the old model back.

        Raises InvalidInputError where there is no text, EmbedderError, StorageError, LockTimeoutError.
        """
        from vecsearch.maintenance.reembed import reembed_documents

        manifest = self._writable().manifest
        model = resolve_embedder(embedder)
        with progress_bar("embedding again", manifest.rows - manifest.deleted, progress) as advance:
            result = self._changed(reembed_documents(self._store, model, advance))
        now = self._snapshot.manifest
        if now.embedder is not None and now.embedder.fingerprint == model.fingerprint():
            self._models[now.embedder] = Model(self.path, now.embedder, now.dim, model)
        return result

    def dimensions(
        self,
        dims: Sequence[int] | None = None,
        *,
        k: int = 10,
        queries: Any = None,
        qrels: Any = None,
        n_queries: int = 500,
        seed: int = 0,
        progress: bool | None = None,
    ) -> DimensionReport:
        """What fewer dimensions cost: bytes against recall@k, by principal components and by truncation (for Matryoshka).

        Asked with rows held out, or with `queries`: texts or vectors, id -> text, a file, or a BEIR folder; with `qrels` (a
        file, or query id -> document id -> grade) nDCG@k too. dims: which to measure; a ladder of the usual ones when None.
        Components are fitted on other rows than recall is measured with. Raises InvalidInputError.
        """
        from vecsearch.evaluation.dimensions import measure_dimensions, read_judged

        snapshot = self._snapshot
        asked, judged = (
            (None, None) if queries is None and qrels is None else read_judged(queries, qrels)
        )
        vectors = None if asked is None else self._queries(asked, snapshot.manifest)
        if vectors is not None and not len(vectors):
            raise InvalidInputError(
                "queries is empty: give questions to measure with, or leave it out"
            )
        total = snapshot.live.count * (2 if judged else 1)
        with progress_bar("measuring dimensions", total, progress) as advance:
            return measure_dimensions(
                snapshot, dims, check_k(k), vectors, judged, n_queries, seed, advance
            )

    def reduce(
        self,
        path: str | os.PathLike[str],
        dim: int,
        *,
        method: Literal["pca", "truncate"] = "pca",
        seed: int = 0,
        progress: bool | None = None,
    ) -> Collection:
        """A new collection with the same documents in fewer dimensions; `dimensions` shows what that costs.

        The projection is kept inside it as part of its embedder, so texts that are added or searched for are projected too, and
        so are vectors of the full dimension. Raises InvalidInputError, CollectionExistsError, StorageError.
        """
        from vecsearch.maintenance.reduce import write_reduced

        snapshot = self._snapshot
        with progress_bar("projecting", snapshot.live.count, progress) as advance:
            embedder = write_reduced(
                snapshot,
                self._model_of(snapshot.manifest),
                folder_path(path),
                dim,
                method,
                seed,
                advance,
            )
        return Collection(
            folder_path(path),
            embedder=embedder,
            chunker=self._given_chunker,
            lock_timeout=self._store.lock_timeout,
        )

    # -- searching -------------------------------------------------------------------------------------------------------

    def search(
        self,
        query: Any,
        k: int = 10,
        *,
        where: Where | None = None,
        recall: float | None = None,
        exact: bool = False,
        passages: bool = False,
    ) -> Hits:
        """The k documents most like a query: a text for the collection's embedder, or a vector.

        where: SQL text ("year >= 2000 AND lang IN ('en','zh')") or a pyarrow Expression. recall: what to deliver at the least
        cost, on average; the collection's own target when None. exact: score every row that matches. passages: hits are
        passages, not documents, in a collection with a chunker.

        Raises InvalidInputError, FilterError, EmbedderError, EmbedderMismatchError.
        """
        searcher = self._searching()
        snapshot = searcher.snapshot
        vector = self._query(query, snapshot.manifest)
        selection = searcher.selector.select(where)
        found = self._run(searcher, vector, check_k(k), selection, recall, exact, passages)
        if self._monitor is not None:
            target = self._target(recall, snapshot)
            self._monitor.note(searcher, vector[None], k, selection, target, exact=exact)
        return Hits(snapshot, found.positions, found.scores, found.plan)

    def search_batch(
        self,
        queries: Sequence[Any] | npt.NDArray[np.floating],
        k: int = 10,
        *,
        where: Where | Sequence[Where | None] | None = None,
        recall: float | None = None,
        exact: bool = False,
        passages: bool = False,
    ) -> list[Hits]:
        """Search many queries at once (texts, or a float (n, dim) matrix), on all cores. `where`: one filter for all, or a
        list with one a query (None for none). The same results as one by one, in order."""
        searcher = self._searching()
        snapshot = searcher.snapshot
        vectors = self._queries(queries, snapshot.manifest)
        wheres = list(where) if isinstance(where, list | tuple) else [where] * len(vectors)
        if len(wheres) != len(vectors):
            raise InvalidInputError(
                f"{len(wheres)} filters for {len(vectors)} queries: give one for all, or one a query"
            )
        selections = [searcher.selector.select(item) for item in wheres]
        k = check_k(k)
        if snapshot.chunked and not passages:
            found = [
                self._run(searcher, vector, k, selection, recall, exact, passages)
                for vector, selection in zip(vectors, selections, strict=True)
            ]
        else:
            found = searcher.batch(vectors, k, selections, self._target(recall, snapshot), exact)
        if self._monitor is not None and len(vectors):
            self._monitor.note(
                searcher, vectors, k, selections[0], self._target(recall, snapshot), exact=exact
            )
        return [Hits(snapshot, item.positions, item.scores, item.plan) for item in found]

    def search_range(self, query: Any, min_score: float, *, where: Where | None = None) -> Hits:
        """Every row that scores at least `min_score`, best first, by exact search; passages, where there is a chunker.

        For "l2" the score is the negative squared distance: `min_score=-r*r` asks for all within distance r.
        """
        searcher = self._searching()
        snapshot = searcher.snapshot
        if not min_score > -np.inf:
            raise InvalidInputError(f"min_score is {min_score!r}; it must be a number")
        found = searcher.within(
            self._query(query, snapshot.manifest), min_score, searcher.selector.select(where)
        )
        return Hits(snapshot, found.positions, found.scores, found.plan)

    def measure_recall(
        self,
        k: int = 10,
        n_queries: int = 500,
        *,
        where: Where | None = None,
        recall: float | None = None,
        queries: Any = None,
        seed: int = 0,
    ) -> RecallReport:
        """Measure the live collection's recall@k against exact search, with a 99% bootstrap interval.

        Asked with `queries` (texts, vectors, or "sampled" for those that `sample_queries` kept), or with random rows, each
        looking for its neighbours but not for itself. Warns (RecallWarning) when the target is missed by more than chance.
        Raises InvalidInputError, FilterError.
        """
        searcher = self._searching()
        snapshot = searcher.snapshot
        asked, query_source = self._questions(queries, snapshot.manifest)
        asked = None if asked is None else asked[:n_queries]
        target = self._target(recall, snapshot)
        return measure_recall(
            searcher,
            check_k(k),
            n_queries,
            searcher.selector.select(where),
            target,
            asked,
            seed,
            query_source,
        )

    def sample_queries(self, count: int) -> int:
        """Keep a random sample of at most `count` of the queries asked from now on; 0 stops, and removes it. The version
        committed.

        Kept are vectors, not texts, in the collection's folder; backups leave them out, and `compact(purge=True)` removes them.
        `build_index` and `measure_recall` take queries="sampled". While sampling, a few searches are checked against exact
        ones, and a RecallWarning says when they fall short. Raises InvalidInputError, LockTimeoutError, StorageError.
        """
        self._writable()
        return self._changed(set_sampling(self._store, count))

    def index_advice(self) -> IndexAdvice:
        """Whether `build_index` pays now: rows that came and went since, and what a search costs because of them."""
        from vecsearch.index.advice import advise

        return advise(self._snapshot)

    def evaluate(
        self,
        queries: Any = None,
        qrels: Any = None,
        *,
        k: int | Sequence[int] | None = None,
        where: Where | None = None,
        recall: float | None = None,
        exact: bool = False,
        n_queries: int = 500,
        seed: int = 0,
    ) -> QualityReport:
        """How good the answers are, as means with 95% bootstrap intervals, and for every query.

        With judgements: nDCG, MRR, recall and MAP at each k (10 and 100 by default), over whole documents. queries: a folder in
        the BEIR layout, or a file, or id -> text or vector; qrels: a file (BEIR or TREC), or query id -> document id -> grade.
        Without: `n_queries` questions made out of the documents (`vecsearch.evaluation.known_items` says what that measures).

        Raises InvalidInputError (with file and line), EmbedderError, MissingExtraError.
        """
        from vecsearch.evaluation.judged import judged_quality
        from vecsearch.evaluation.known_items import known_item_quality

        snapshot = self._snapshot
        search = functools.partial(self.search_batch, where=where, recall=recall, exact=exact)
        if queries is not None or qrels is not None:
            return judged_quality(snapshot, search, queries, qrels, k)
        rows = self._searching().selector.select(where).rows
        model, split = self._model_of(snapshot.manifest), self._splitter(snapshot.manifest)
        return known_item_quality(snapshot, search, rows, model, split, n_queries, seed)

    def plan(
        self,
        query: Any = None,
        k: int = 10,
        *,
        where: Where | None = None,
        recall: float | None = None,
        exact: bool = False,
    ) -> Plan:
        """What `search` would do and why; str() of it is for people. No vector is compared."""
        searcher = self._searching()
        selection = searcher.selector.select(where)
        return searcher.plan(
            min(check_k(k), max(selection.count, 1)),
            self._target(recall, searcher.snapshot),
            exact,
            selection,
        )

    @staticmethod
    def _target(recall: float | None, snapshot: Snapshot) -> float:
        if recall is None:
            return snapshot.manifest.recall
        check_recall(recall)
        return recall

    def _run(
        self,
        searcher: Searcher,
        vector: npt.NDArray[np.float32],
        k: int,
        selection: RowSelection,
        recall: float | None,
        exact: bool,
        passages: bool,
    ) -> Found:
        target = self._target(recall, searcher.snapshot)
        k = min(k, max(selection.count, 1))
        if passages or not searcher.snapshot.chunked:
            return searcher.search(vector, k, selection, target, exact)
        return searcher.documents(vector, k, selection, target, exact)

    def _query(self, query: Any, manifest: Manifest) -> npt.NDArray[np.float32]:
        """One query as a vector to compare with stored ones: float32 (dim,), unit length for cosine."""
        if type(query) is np.ndarray or (
            isinstance(query, Sequence) and not isinstance(query, str) and _numeric(query)
        ):
            vector = np.ascontiguousarray(query, np.float32)
            if vector.shape == (1, manifest.dim):
                vector = vector[0]
        else:
            vector = self._embed_queries([query], manifest)[0]
        if manifest.embedder is not None and vector.shape == (manifest.embedder.full_dim,):
            vector = self._projected(vector[None], manifest)[0]
        if vector.shape != (manifest.dim,):
            raise InvalidInputError(
                f"the query has shape {vector.shape}; vectors of this collection have {manifest.dim} numbers"
            )
        square = float(vector.dot(vector))
        if not square < np.inf:
            raise InvalidInputError(
                "the query vector has a NaN or an infinite number, or numbers too large for float32"
            )
        if manifest.metric is not Metric.COSINE:
            return vector
        if square == 0:
            raise InvalidInputError("the query is a zero vector: it has no direction, so no cosine")
        return np.multiply(vector, np.float32(1 / square**0.5))

    def _questions(
        self, queries: Any, manifest: Manifest
    ) -> tuple[npt.NDArray[np.float32] | None, str]:
        """Queries to measure with, and what they are; None: rows."""
        if isinstance(queries, str) and queries == "sampled":
            if self._monitor is not None:
                self._monitor.flush()
            return sampled_queries(self.path, manifest), "queries sampled from searches"
        return (
            None if queries is None else self._queries(queries, manifest)
        ), "the user's own queries"

    def _queries(self, queries: Any, manifest: Manifest) -> npt.NDArray[np.float32]:
        if isinstance(queries, str):
            raise InvalidInputError("search_batch takes a list of queries; search takes one")
        if not isinstance(queries, np.ndarray):
            queries = list(queries)
            if queries and not all(_numeric(item) for item in queries):
                queries = self._embed_queries(queries, manifest)
        if len(queries) == 0:
            return np.empty((0, manifest.dim), np.float32)
        try:
            matrix = np.ascontiguousarray(queries, np.float32)
        except ValueError as error:
            raise InvalidInputError(
                f"the queries are not vectors of {manifest.dim} numbers each: {error}"
            ) from error
        if (
            matrix.ndim == 2
            and manifest.embedder is not None
            and matrix.shape[1] == manifest.embedder.full_dim
        ):
            matrix = self._projected(matrix, manifest)
        if matrix.ndim != 2 or matrix.shape[1] != manifest.dim:
            raise InvalidInputError(
                f"the queries have shape {matrix.shape}; expected (number of queries, {manifest.dim})"
            )
        rows = []
        for number, vector in enumerate(matrix):
            try:
                rows.append(self._query(vector, manifest))
            except InvalidInputError as error:
                raise InvalidInputError(f"query {number}: {error}") from error
        return np.stack(rows)

    def _embed_queries(self, queries: Sequence[Any], manifest: Manifest) -> npt.NDArray[np.float32]:
        model = self._model_of(manifest)
        if model is None:
            raise EmbedderError(
                "this collection has no embedder, so it is searched by vector: give a list or array of numbers"
            )
        for number, query in enumerate(queries):
            if isinstance(query, str) and not query.strip():
                raise InvalidInputError(f"query {number} is an empty text")
        return model.embed_queries(queries)

    def _projected(
        self, vectors: npt.NDArray[np.float32], manifest: Manifest
    ) -> npt.NDArray[np.float32]:
        model = self._model_of(manifest)
        assert model is not None
        return model.project(vectors)

    def _model_of(self, manifest: Manifest) -> Model | None:
        """The model of a version: it is another one after `reembed`."""
        if manifest.embedder is None:
            return None
        return self._models.get(manifest.embedder) or self._models.setdefault(
            manifest.embedder, Model(self.path, manifest.embedder, manifest.dim)
        )

    # -- reading ---------------------------------------------------------------------------------------------------------

    def get(
        self, ids: Iterable[Id] | Id, columns: Sequence[str] | None = None
    ) -> list[dict[str, Any] | None]:
        """Whole documents by id, in the order asked for; None for an id that is not there. The vector only when it is among
        `columns`."""
        return documents_by_id(self._snapshot, ids, columns)

    def vector(self, id: Id | None = None, *, text: str | None = None) -> npt.NDArray[np.float32]:
        """The vector of the document with this id, as it was given: float32 (dim,); of several passages, their mean.

        Vectors can be reckoned with: `c.search(c.vector("king") - c.vector("man") + c.vector("woman"))`. A string is an id and
        nothing else; `text=` gives instead the vector that a search for that text is made with.
        Raises IdNotFoundError, InvalidInputError, EmbedderError.
        """
        if (id is None) == (text is None):
            raise InvalidInputError("vector takes the id of a document, or text=, one of them")
        snapshot = self._snapshot
        found: npt.NDArray[np.float32]
        found = (
            self._embed_queries([text], snapshot.manifest)[0]
            if id is None
            else document_vectors(snapshot, [id])[0]
        )
        return found

    def features(
        self, ids: Any, *, missing: Literal["error", "zeros"] = "error"
    ) -> npt.NDArray[np.float32]:
        """The vectors of documents, in the order of `ids`: float32 (len(ids), dim), each as it was given; of a document of
        several passages, their mean. missing: an id that is not there is an error, or a row of zeros.

        Raises IdNotFoundError, InvalidInputError.
        """
        return document_vectors(self._snapshot, ids, missing)

    def torch_embedding(
        self,
        ids: Iterable[Id] | None = None,
        *,
        trainable: bool = False,
        missing: Literal["error", "zeros"] = "error",
    ) -> tuple[Any, dict[Id, int]]:
        """A torch.nn.Embedding with the vectors of some documents (of all, in order) as its weight, and the row of each id: for
        Wide & Deep, DeepFM and other networks. trainable: whether training may change it; it never changes the collection.

        Raises IdNotFoundError, InvalidInputError.
        """
        return torch_embedding(self._snapshot, ids, trainable, missing)

    def count(self, where: Where | None = None) -> int:
        """How many documents there are for which `where` is true."""
        snapshot = self._snapshot
        return (
            snapshot.manifest.documents
            if where is None
            else snapshot.documents_in(self._searching().selector.select(where))
        )

    def __len__(self) -> int:
        return self._snapshot.manifest.documents

    def to_arrow(
        self, columns: Sequence[str] | None = None, *, where: Where | None = None
    ) -> pa.Table:
        """The live rows as a table: a row a document, or a passage where there is a chunker. Cosine collections give vectors
        back with the length they had, to float32's precision (relative 1e-6; float16 storage 1e-3)."""
        snapshot = self._snapshot
        names = snapshot.columns if columns is None else list(columns)
        snapshot.check_columns(names)
        return pa.Table.from_batches(
            snapshot.scan(names, self._searching().selector.select(where)),
            schema=snapshot.schema_of(names),
        )

    def to_pandas(self, columns: Sequence[str] | None = None, *, where: Where | None = None) -> Any:
        """The same as a pandas DataFrame. Raises MissingExtraError without pandas."""
        require("pandas", "pandas", "pandas", "to_pandas()")
        return self.to_arrow(columns, where=where).to_pandas()

    def scan(
        self,
        columns: Sequence[str] | None = None,
        *,
        where: Where | None = None,
        batch_rows: int = 8192,
    ) -> Iterator[pa.RecordBatch]:
        """Stream the live rows, `batch_rows` at most at a time, from one version whatever is committed meanwhile."""
        searcher = self._searching()
        return searcher.snapshot.scan(columns, searcher.selector.select(where), batch_rows)

    def info(self) -> CollectionInfo:
        """The facts of the collection."""
        manifest = self._snapshot.manifest
        return CollectionInfo(
            path=str(self.path),
            version=manifest.version,
            documents=manifest.documents,
            rows=manifest.rows - manifest.deleted,
            deleted_rows=manifest.deleted,
            segments=len(manifest.segments),
            bytes=sum(ref.bytes for ref in manifest.files()),
            dim=manifest.dim,
            metric=str(manifest.metric),
            dtype=manifest.dtype,
            embedder=manifest.embedder.spec if manifest.embedder else None,
            fingerprint=manifest.embedder.fingerprint if manifest.embedder else None,
            text_column=manifest.text_column,
            chunker=manifest.chunker,
            columns={field.name: str(field.type) for field in manifest.schema},
            recall=manifest.recall,
            indexes=tuple(
                IndexInfo(
                    entry.name,
                    entry.recipe,
                    entry.rows,
                    sum(ref.bytes for ref in entry.files),
                    entry.calibration,
                )
                for entry in manifest.indexes
            ),
        )

    def versions(self) -> list[VersionInfo]:
        """The versions that can be opened or restored, oldest first."""
        out = []
        for number in log.versions(self.path):
            try:
                manifest = log.load(self.path, number)
            except VersionNotFoundError:
                continue  # removed by another process since the folder was listed
            out.append(
                VersionInfo(number, manifest.created, manifest.operation, manifest.documents)
            )
        return out

    # -- life ------------------------------------------------------------------------------------------------------------

    def refresh(self) -> Collection:
        """See what other processes committed. A collection opened at a version stays there."""
        with self._lock:
            current = self._searching().snapshot
            if self._pinned is None and log.versions(self.path)[-1:] != [current.manifest.version]:
                self._searcher = Searcher(self._store.snapshot())
                self._monitor = search_monitor(
                    self._monitor, self.path, self._searcher.snapshot.manifest
                )
        return self

    def close(self) -> None:
        """Let go of the files. Hits found before can still be read."""
        with self._lock:
            self._searcher = None
            if self._monitor is not None:
                self._monitor.close()

    def __enter__(self) -> Collection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._searcher is None:
            return f"Collection({str(self.path)!r}, closed)"
        manifest = self._snapshot.manifest
        return f"Collection({str(self.path)!r}, version={manifest.version}, documents={manifest.documents}, dim={manifest.dim})"

    def _searching(self) -> Searcher:
        searcher = self._searcher
        if searcher is None:
            raise CollectionClosedError(
                f"the collection {self.path} was closed: open it again with vecsearch.open"
            )
        return searcher

    @property
    def _snapshot(self) -> Snapshot:
        return self._searching().snapshot

    def _writable(self) -> Snapshot:
        if self._pinned is not None:
            raise InvalidInputError(
                f"the collection was opened at version {self._pinned}, which is history: open it without version= to "
                f"change it, or rollback({self._pinned}) there"
            )
        return self._snapshot

    def _changed(self, result: T) -> T:
        self.refresh()
        return result

    def _splitter(self, manifest: Manifest) -> Any:
        if manifest.chunker is None:
            return None
        chunker: Chunker | FunctionChunker | None = resolve_chunker(
            self._given_chunker or manifest.chunker
        )
        if chunker is None or chunker.to_dict() != dict(manifest.chunker):
            raise InvalidInputError(
                f"the collection was made with the chunker {dict(manifest.chunker)}: open it with that one (chunker=)"
            )
        return chunker.split


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    """Say what is wrong with data that Arrow or Python cannot walk through."""
    try:
        yield
    except RecursionError as error:
        raise InvalidInputError(
            "the data holds lists or objects nested too deeply to be read: flatten them"
        ) from error
    except pa.ArrowInvalid as error:
        raise InvalidInputError(f"the data is not valid Arrow: {error}") from error


def _dimension(dim: int | None, model: Embedder | None) -> int:
    if model is not None:
        if dim is not None and dim != model.dim:
            raise InvalidInputError(
                f"dim is {dim}, but {model.name} makes vectors of {model.dim} numbers: leave dim out"
            )
        dim = model.dim
    if dim is None:
        raise InvalidInputError("give an embedder, or dim= for vectors of your own")
    if not isinstance(dim, int) or isinstance(dim, bool) or not 1 <= dim <= LARGEST_DIM:
        raise InvalidInputError(f"dim is {dim!r}; it must be from 1 to {LARGEST_DIM:,}")
    return dim


def _numeric(item: Any) -> bool:
    if isinstance(item, np.ndarray):
        return item.dtype.kind in "fiu"
    if isinstance(item, str | bytes) or not isinstance(item, Sequence):
        return False
    return len(item) > 0 and all(
        isinstance(value, int | float | np.number) and not isinstance(value, bool) for value in item
    )
