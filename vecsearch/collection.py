"""A collection on disk. Every method delegates to the package that does the work."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.analysis.classify import MODELS, classify
from vecsearch.analysis.clusters import cluster, communities
from vecsearch.analysis.maps import Map, mapped
from vecsearch.analysis.nearest import check_joinable, duplicates, join, neighbors
from vecsearch.analysis.newcomers import Newcomers
from vecsearch.analysis.outliers import outliers
from vecsearch.analysis.tables import (
    Classification,
    Clusters,
    Duplicates,
    Joined,
    Neighbors,
    Outliers,
)
from vecsearch.analysis.units import Units
from vecsearch.common.accepted import (
    ArrowArray,
    ArrowStream,
    CsvOptions,
    Data,
    DtypeName,
    Examples,
    Ids,
    Judgments,
    MetricName,
    Queries,
    Query,
    Questions,
    Schema,
    StorageOptions,
    TypeName,
    Values,
    Vector,
    Vectors,
    Where,
)
from vecsearch.common.arguments import (
    check_column_names,
    check_dim,
    check_flag,
    check_k,
    check_keep_versions,
    check_min_score,
    check_names,
    check_one_of,
    check_recall,
    check_regions,
    check_seed,
    check_shards,
    check_timeout,
    check_whole,
    parse_bytes,
    parse_metric,
)
from vecsearch.common.deadline import at_most, is_limited, limited, time_limit
from vecsearch.common.engines import Engine
from vecsearch.common.fork import Lock
from vecsearch.common.gate import gate, gated
from vecsearch.common.invalid_data import invalid_data
from vecsearch.common.json_column import type_name
from vecsearch.common.keyed import embeds_ids
from vecsearch.common.memory import trim_heap
from vecsearch.common.progress import progress_bar
from vecsearch.common.table_rows import row_columns
from vecsearch.display import html_fields
from vecsearch.distributed.choice import EngineName, embedding_on, engine_of
from vecsearch.embedders import resolve_embedder
from vecsearch.embedders.base import Embedder
from vecsearch.embedders.named_vectors import NamedModels, NamedVector, declare_vectors
from vecsearch.embedders.stored import (
    Model,
    embeds_texts,
    entry_of,
    has_fingerprint,
    settings_for,
)
from vecsearch.embedders.torch_layer import EmbeddingRows
from vecsearch.errors import (
    CollectionClosedError,
    InvalidInputError,
    VecsearchError,
    VersionNotFoundError,
)
from vecsearch.evaluation.query_sample import (
    check_count,
    sampled_queries,
    set_sampling,
)
from vecsearch.evaluation.recall import measure_recall
from vecsearch.evaluation.search_monitor import SearchMonitor, search_monitor
from vecsearch.index.kernels.loader import kernel_for
from vecsearch.ingest import add
from vecsearch.ingest.add import MakeCompleter
from vecsearch.ingest.auto import AutoChunker
from vecsearch.ingest.chunking import AnyChunker, FunctionChunker, resolve_chunker, splitting_of
from vecsearch.ingest.embedding import EmbedTexts
from vecsearch.ingest.named_vectors import made_columns, with_vectors
from vecsearch.ingest.requests import check_key
from vecsearch.ingest.sources import Reading, open_source, reading_options, takes_pictures
from vecsearch.ingest.sources.base import Source
from vecsearch.ingest.sources.documents import FILE_COLUMNS, PICTURE_COLUMNS
from vecsearch.ingest.splitting import Splitting
from vecsearch.maintenance import compact, edit, versions
from vecsearch.maintenance.full_text import full_text_entry
from vecsearch.maintenance.merge import merging, noting_columns
from vecsearch.maintenance.refresh import refreshing
from vecsearch.maintenance.sync import FolderSync, stored_digests
from vecsearch.query.analogy import analogy_query
from vecsearch.query.documents import document_vectors, documents_by_id, first_documents
from vecsearch.query.duplicate_watch import DuplicateWatch
from vecsearch.query.encode import QueryEncoder
from vecsearch.query.examples import HALF_LIFE, ExampleReader, read_context, read_examples
from vecsearch.query.explain import all_examples, filter_words
from vecsearch.query.facets import document_rows, facets
from vecsearch.query.fusion import DEPTH, Fusion
from vecsearch.query.highlight import Question
from vecsearch.query.modes import (
    MODES,
    Asked,
    ModeSearch,
    filters_for,
    only_one,
    only_with_words,
    plain_hybrid,
    plain_text,
    question_of,
    questions_of,
)
from vecsearch.query.named import NamedSearch, listed_queries, text_of
from vecsearch.query.recommend import STRATEGIES, discovery, recommendation
from vecsearch.query.request import Request, answers
from vecsearch.query.rerank import Rerank, Rerankers, Reranking, no_reranking, texts_beside
from vecsearch.query.results import Hits, asked, frame_of
from vecsearch.query.searcher import Searcher
from vecsearch.query.shape import OrderBy, Shape, check_shape, excluded_rows
from vecsearch.query.torch_layer import torch_embedding
from vecsearch.query.vectors import texts_of
from vecsearch.storage import log
from vecsearch.storage.describe import describe, first_manifest, list_versions
from vecsearch.storage.folders import folder_path, make_collection_folders, removed_on_error
from vecsearch.storage.layout import AUTO_INDEX_SETTING, MANIFESTS, SAMPLE_SETTING
from vecsearch.storage.limits import DEFAULT_LIMITS, Limits
from vecsearch.storage.manifest import EmbedderEntry, Manifest, replace
from vecsearch.storage.manifest_check import LARGEST_DIM
from vecsearch.storage.names import named_by_data
from vecsearch.storage.objects.places import collection_path, new_file, path_again, read_again
from vecsearch.storage.origins import origin_of, pull
from vecsearch.storage.origins import shown as shown_place
from vecsearch.storage.schema import source_schema, storable_type, with_json
from vecsearch.storage.selection import RowSelection
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.store import Store
from vecsearch.text.analyzer import Analyzer
from vecsearch.types import (
    BEIR_ID,
    ID,
    SOURCE,
    TEXT,
    AddResult,
    BuildResult,
    CollectionInfo,
    DeleteResult,
    DimensionReport,
    Id,
    IndexAdvice,
    Mode,
    OnConflict,
    OnError,
    Plan,
    RecallReport,
    ReembedResult,
    SyncResult,
    UpdateResult,
    VersionInfo,
    counted,
)

if TYPE_CHECKING:
    from vecsearch.distributed.serving import RayServing
    from vecsearch.evaluation.fusion import FusionReport
    from vecsearch.evaluation.quality import QualityReport
    from vecsearch.index.recipe import IndexRecipe
    from vecsearch.index.updating import Indexed
    from vecsearch.maintenance.check import Damage

DEFAULT_METRIC = "cosine"
T = TypeVar("T")
C = TypeVar("C", DeleteResult, UpdateResult)
Chunking: TypeAlias = (
    "Literal['auto', 'default'] | bool | int | AnyChunker | Callable[[str], Sequence[Any]] | None"
)
LOCK_TIMEOUT = 60.0


@gated
def create(
    path: str | os.PathLike[str],
    *,
    embedder: str | Embedder | None = None,
    dim: int | None = None,
    metric: MetricName | None = None,
    dtype: DtypeName = "float32",
    id_column: str | None = None,
    text_column: str | None = None,
    text_columns: Sequence[str] | None = None,
    chunker: Chunking = "auto",
    recall: float = 0.95,
    keep_versions: int = 16,
    sample_queries: int = 0,
    auto_index: bool = True,
    shards: int = 1,
    schema: Schema | None = None,
    json_columns: Sequence[str] | None = None,
    vectors: Mapping[str, int | str | Embedder | NamedVector] | None = None,
    full_text: bool | str | Mapping[str, Any] | Analyzer | None = None,
    exist_ok: bool = False,
    lock_timeout: float = LOCK_TIMEOUT,
    limits: Limits = DEFAULT_LIMITS,
    storage_options: StorageOptions | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> Collection:
    """Create a collection in a folder that does not exist yet, or is empty.

    Args:
        path: The folder.
        embedder: A model's name (such as "all-MiniLM-L6-v2" or "toy:64") or an `Embedder`. Trained
            embedders are stored inside the collection; other models are found again by name.
        dim: Without an embedder: the dimension of the ready-made vectors, 1 or more.
        metric: "cosine", "ip" (inner product) or "l2" (Euclidean distance). None: what the embedder
            was trained for, else "cosine".
        dtype: How vectors are stored: "float32" or "float16".
        id_column: Your name for the column of ids. None: the name in the first `add`, or else `id`.
        text_column: Your name for the column that is embedded. None: the name in the first `add`,
            or else that of a trained embedder, or `text`.
        text_columns: Several columns to embed, such as ["title", "text"], instead of `text_column`.
            Their texts are joined by an empty line, leaving out blank ones; with a chunker, each is
            split for itself. Texts without a column name go to the last one.
        chunker: How long texts are split into passages. "auto" splits what is longer than the model
            reads, or represents well, at headings, paragraphs and sentences; shorter texts, and
            rows that bring their own vector, stay as they are. Or a maximum number of characters, a
            `Chunker`, or a function from a text to passages. None: one vector for each document.
        recall: The recall that searches deliver by default, above 0 and at most 1.
        keep_versions: How many older versions stay readable, 1 or more.
        sample_queries: How many queries to store as vectors, to measure recall with; see
            `Collection.sample_queries`.
        auto_index: Whether changes index the rows they add before they return, once there are
            20,000 rows or an index; see `Collection.add`. False: only `build_index` does.
        shards: How many shards the rows are in, 1 to 1024: each has segments and an index of its
            own, which can be built and searched on a machine of its own. A row's shard follows from
            its id. Every method works as without shards, and `Collection.reshard` changes the
            number.
        schema: Types of metadata columns, as a `pyarrow.Schema` or as a dict of column name ->
            type ("int64", "string", "timestamp[us]", "json", ...). Columns that it does not name
            take their types from the first `add`.
        json_columns: Columns that hold JSON: objects whose keys and types differ from row to row.
            The same as the type "json" in `schema`.
        vectors: Further vectors of each document, by name, for `search(using=)`: the dimension of
            given ones, a model (an embedder or its name) that reads the column of that name, or a
            `NamedVector`. They are columns: `title` for given ones, `title_vector` for those that a
            model makes of the column `title`. The first vector, which an index may hold, is that of
            `embedder` or `dim`.
        full_text: Whether texts are also found by their words (`mode="text"` and "hybrid" of
            `search`): False, or the language of their endings, such as "german", or an `Analyzer`.
            None and True: with the default analyzer, if texts are embedded.
        exist_ok: Open a collection that is there already. Its model, dimension, metric, chunker and
            columns must be those given here; what is left at its default is not compared.
        lock_timeout: Seconds to wait for another writer.
        limits: Sizes that bound the memory of this object's operations; see `vecsearch.Limits`.
        storage_options: Of a URL: credentials, an endpoint and the like, as in obstore. None: from
            the environment.
        cache_dir: Of a URL: the folder of local copies. None: that of the variable
            VECSEARCH_CACHE, or the user's cache.

    Returns:
        The collection, open for reading and writing.

    Raises:
        InvalidInputError: An argument is wrong.
        CollectionExistsError: The folder holds a collection or other files.
        EmbedderError: The model cannot be found or loaded.
        StorageError: The disk is full, read-only, or cannot guarantee atomic commits.

    Example:
        >>> import vecsearch as vs
        >>> vs.create("points.vs", dim=3, metric="l2").info().metric
        'l2'
    """
    root = collection_path(path, storage_options, cache_dir)
    origin = origin_of(root)
    check_one_of("dtype", dtype, ("float32", "float16"))
    recall, keep_versions = check_recall(recall), check_keep_versions(keep_versions)
    sample_queries = check_count(sample_queries)
    auto_index = check_flag("auto_index", auto_index)
    shards = check_shards(shards)
    settings: dict[str, Any] = {SAMPLE_SETTING: sample_queries} if sample_queries else {}
    if not auto_index:
        settings[AUTO_INDEX_SETTING] = False
    texts = check_column_names(id_column, text_column, text_columns)
    parsed_metric = parse_metric(DEFAULT_METRIC if metric is None else metric)
    exist_ok = check_flag("exist_ok", exist_ok)
    if origin is not None:
        origin.prepare()
    if exist_ok and (root / MANIFESTS).is_dir():
        given = chunker if callable(chunker) or isinstance(chunker, FunctionChunker) else None
        opened = Collection(
            root, embedder=embedder, chunker=given, lock_timeout=lock_timeout, limits=limits
        )
        wanted = {"dim": dim, "id_column": id_column, "text_columns": texts or None}
        wanted |= {"shards": None if shards == 1 else shards}
        wanted |= {"metric": None if metric in (None, DEFAULT_METRIC) else str(parsed_metric)}
        wanted |= {"dtype": None if dtype == "float32" else dtype}
        declared = with_json(schema, json_columns)
        _require_same(opened, embedder, wanted, chunker, declared)
        for name in vectors or ():
            NamedSearch(opened._searching(), name, opened._named)  # raises for another name
        return opened
    model = resolve_embedder(embedder) if embedder is not None else None
    settings = settings_for(settings, model)
    if metric is None:
        parsed_metric = parse_metric(getattr(model, "metric", None) or DEFAULT_METRIC)
    texts = texts or check_column_names(
        id_column, None, getattr(model, "text_columns", None) or None
    )
    has_texts = model is not None and embeds_texts(model)
    if texts and model is not None and row_columns(model):
        raise InvalidInputError(
            f"the model {model.name} reads the columns {', '.join(row_columns(model)[:5])} of a "
            "table, and no text",
            hint="leave text_column= out, and add the table",
            command_hint="leave --text-column out",
        )
    splitter = resolve_chunker(chunker)
    if isinstance(splitter, AutoChunker) and (not has_texts or embeds_ids(model)):
        splitter = None
    if splitter is not None and not has_texts:
        raise InvalidInputError(
            "a chunker splits texts, so it needs an embedder",
            hint="give embedder= too",
            command_hint="give --embedder too",
        )
    first = first_manifest(
        dim=_dimension(dim, model),
        metric=parsed_metric,
        dtype=dtype,
        id_column=id_column,
        text_columns=texts if has_texts else (),
        chunker=splitter.to_dict() if splitter is not None else None,
        recall=recall,
        keep_versions=keep_versions,
        settings=settings,
        columns=with_json(schema, json_columns),
    )
    has_words = has_texts and all(
        pa.types.is_large_string(first.schema.field(name).type) for name in first.text_columns
    )
    first = replace(first, full_text=full_text_entry(full_text, has_texts=has_words))
    first = replace(first, shards=shards)
    named = NamedModels()
    if vectors is not None:
        schema_with = declare_vectors(first.schema, first.text_columns, vectors, named)
        first = replace(first, schema=schema_with)
    with removed_on_error(root, []):
        make_collection_folders(root)
        store = Store(root, lock_timeout, limits)
        with store.staging() as staging:
            entry = entry_of(model, staging) if model is not None else None
            store.commit(staging, replace(first, embedder=entry))
    made = Collection(
        root, embedder=model, chunker=splitter, lock_timeout=lock_timeout, limits=limits
    )
    made._named = named
    return made


def _require_same(
    collection: Collection,
    embedder: str | Embedder | None,
    wanted: Mapping[str, Any],
    chunker: Chunking,
    declared: pa.Schema | Mapping[str, object] | None,
) -> None:
    """Raise InvalidInputError where a collection differs from what `create` was asked for."""

    def refuse(name: str, found: object, value: object) -> None:
        raise InvalidInputError(
            f"{collection.path} is there already, with {name} {found!r}, not {value!r}",
            hint="leave it out, or choose another path",
            command_hint="choose another path",
        )

    try:
        info = collection.info()
        found = {name: getattr(info, name) for name in wanted}
        named = embedder if isinstance(embedder, str) else getattr(embedder, "name", None)
        if named is not None and info.embedder is None:
            wanted, found = {**wanted, "embedder": named}, {**found, "embedder": None}
        elif isinstance(embedder, str) and info.embedder != embedder:
            model = collection._model_of(collection._snapshot.manifest)
            assert model is not None
            _ = model.embedder  # raises if it is another one
        for name, value in wanted.items():
            value = tuple(value) if isinstance(value, list) else value
            is_open = name in ("id_column", "text_columns") and not info.documents
            if value is not None and value != found[name] and not is_open:
                refuse(name, found[name], value)
        if isinstance(chunker, str) and chunker == "auto":  # the default
            splitter = info.chunker
        else:
            resolved = resolve_chunker(chunker)
            splitter = None if resolved is None else resolved.to_dict()
        if splitter != info.chunker:
            refuse("chunker", info.chunker, splitter)
        if declared is not None:
            if isinstance(declared, pa.Schema):
                declared = dict(zip(declared.names, declared.types, strict=True))
            for name, kind in declared.items():
                stored, found_kind = type_name(storable_type(name, kind)), info.columns.get(name)
                if stored != found_kind:
                    refuse(f"column {name!r} of type", found_kind, stored)
    except BaseException:
        collection.close()
        raise


@gated
def open_or_create(path: str | os.PathLike[str], **options: Any) -> Collection:
    """Open a collection, or create it if there is none: `create` with `exist_ok=True`.

    Args:
        path: The folder.
        **options: As in `create`.

    Returns:
        The collection, open for reading and writing.

    Raises:
        InvalidInputError: The collection that is there has another model, dimension, metric, type
            or columns.
        CollectionExistsError: The folder holds other files.
        EmbedderError: The model cannot be found or loaded.

    Example:
        >>> import vecsearch as vs
        >>> with vs.open_or_create("notes.vs", embedder="toy:64") as c:
        ...     _ = c.add([{"id": 1, "text": "a note"}])
        >>> len(vs.open_or_create("notes.vs", embedder="toy:64"))
        1
    """
    return create(path, **options, exist_ok=True)


@gated
def open_collection(
    path: str | os.PathLike[str],
    *,
    version: int | None = None,
    embedder: str | Embedder | None = None,
    chunker: Chunking = None,
    lock_timeout: float = LOCK_TIMEOUT,
    limits: Limits = DEFAULT_LIMITS,
    serving: RayServing | None = None,
    storage_options: StorageOptions | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> Collection:
    """Open a collection, or an older version of it for reading.

    Args:
        path: The collection's folder, or its URL (s3://, gs://, az://).
        version: A version that `Collection.versions` lists. None: the latest.
        embedder: The collection's model, where its stored name does not lead to it. Another model
            is refused at the first embedding.
        chunker: The collection's chunker, where it is a function of your own.
        lock_timeout: Seconds to wait for another writer.
        limits: Sizes that bound the memory of this object's operations; see `vecsearch.Limits`.
        serving: A `RayServing`: actors of a Ray cluster hold the shards, and searches ask them.
            None: searches run in this process.
        storage_options: Of a URL, as in `create`.
        cache_dir: Of a URL, as in `create`.

    Returns:
        The collection. Opened at a version, it can only be read.

    Raises:
        CollectionNotFoundError: There is no collection at the path.
        VersionNotFoundError: The version was never committed, or is no longer kept.
        CorruptedError: The manifest is damaged.

    Example:
        >>> import vecsearch as vs
        >>> vs.create("notes.vs", embedder="toy:64").close()
        >>> with vs.open("notes.vs") as c:
        ...     len(c)
        0
    """
    return Collection(
        collection_path(path, storage_options, cache_dir),
        version=version,
        embedder=embedder,
        chunker=chunker,
        lock_timeout=lock_timeout,
        limits=limits,
        serving=serving,
    )


@gate
class Collection:
    """Documents and their vectors on disk, searched by similarity.

    `vecsearch.create` and `vecsearch.open` make collections. A collection reads one version (a
    snapshot): it sees its own changes at once, and those of other processes after `refresh`. It is
    safe to use from several threads, and a context manager that closes it.

    The examples of the methods use this collection.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("notes.vs", embedder="toy:64")
        >>> c.add([
        ...     {"id": "boat", "text": "a small boat on the lake", "year": 1999},
        ...     {"id": "ship", "text": "a large ship at sea", "year": 2021},
        ...     {"id": "bus", "text": "a red bus in town", "year": 2003},
        ... ])
        AddResult(added=3, replaced=0, skipped=0, embedded=3, version=2)
        >>> c.search("a large ship", k=1).ids
        ['ship']
    """

    def __init__(
        self,
        root: Path,
        *,
        version: int | None = None,
        embedder: str | Embedder | None = None,
        chunker: Chunking = None,
        lock_timeout: float = LOCK_TIMEOUT,
        limits: Limits = DEFAULT_LIMITS,
        serving: RayServing | None = None,
    ) -> None:
        self.path = root
        self._serving = serving
        self._store = Store(root, lock_timeout, limits)
        self._pinned = version
        self._lock = Lock()
        self._searcher: Searcher | None = self._searcher_of(self._store.snapshot(version))
        self._last_encoder: QueryEncoder | None = None
        manifest = self._snapshot.manifest
        self._monitor: SearchMonitor | None = (
            search_monitor(None, root, manifest) if version is None else None
        )
        self._given_chunker = chunker
        self._models: dict[EmbedderEntry, Model] = {}
        self._rerankers = Rerankers()
        self._named = NamedModels()
        if manifest.embedder is not None:
            self._models[manifest.embedder] = Model(root, manifest.embedder, manifest.dim, embedder)

    # -- Changing

    def add(
        self,
        data: Data,
        *,
        on_conflict: OnConflict = "error",
        id_column: str | None = None,
        text_column: str | None = None,
        on_error: OnError = "raise",
        encoding: str | None = None,
        csv: CsvOptions | None = None,
        exclude: str | Sequence[str] = (),
        on_duplicate: Literal["report", "skip"] | None = None,
        duplicate_score: float = 0.95,
        auto_index: bool | None = None,
        idempotency_key: str | None = None,
        engine: EngineName = None,
        progress: bool | None = None,
    ) -> AddResult:
        """Add documents, all of them or, on any error, none.

        One call is one commit. An interrupted call resumes when it is repeated: texts that were
        embedded already are not embedded again.

        Searches stay fast: new rows are indexed before the call returns, as a second commit. Few
        new rows, up to 2,048 or a 16th of the index, wait for later ones; searches compare their
        codes meanwhile. A collection without an index gets one when it has 20,000 rows, unless
        exact search was asked for (`build_index("exact")`).

        Args:
            data: A pyarrow Table or reader, a pandas or polars frame, a list of dicts or of texts,
                a float matrix (rows, dim), an address (https://...), or paths: of tables (.parquet,
                .csv, .tsv, .json, .jsonl, .arrow, .xlsx), of vectors (.npy, .hdf5, .faiss), of
                documents (.txt, .md, .rst, .html, .pdf, .docx, .pptx, .epub, .eml, .mbox, .ipynb,
                .srt, source code), and of folders of these. Columns are `id` (generated when
                absent), the text column or a ready-made `vector`, and any others, which are stored
                as typed metadata; documents have `title`, `modified`, `source` (where the file is)
                and `digest` (of its bytes). With a model of pictures, pictures (.jpg, .png, ...)
                are read instead: paths, folders, PIL images, bytes, addresses; those of files have
                `folder`, `taken` (EXIF), `width`, `height` and `thumbnail`, too. In JSON columns, a
                str of a row is a JSON string, and a column of texts (CSV, Arrow, pandas) holds
                JSON text.
            on_conflict: What to do with an id that is already there: "error", "skip" the new
                document, "replace" the old one, "update" the columns that the data gives (see
                `upsert`), or "refresh": "replace" those that changed, and leave out what is the
                same. Rows without ids are then left out if the collection has the same row.
            id_column: The data's column that holds the ids. None: the collection's name for it; and
                where that is `id`, BEIR's `_id` if there is no `id`. The first data names the
                column, unless `create` did.
            text_column: The same for the column that holds the text.
            on_error: "raise", or "skip" to leave out rows, files and pictures that cannot be
                added; the result's `report` lists them. What cannot be read in a folder is always
                left out and listed: empty and damaged files, archives, hidden files, and files
                larger than 100 MB. Ids that repeat are `on_conflict`'s.
            encoding: The encoding of text files, such as "latin-1". None: UTF-8, UTF-16 with a
                byte order mark, or GB18030 or Big5 where that is sure.
            csv: How CSV files are written: "delimiter", "quote" ("" for none), "comment" (lines
                that begin with it are left out) and "null" (cells that mean a missing value, as a
                list). What is not given is found, or is as usual. An empty cell is a missing value;
                in quotes it is an empty text, where a column holds texts.
            exclude: Patterns of files in folders to leave out, written as in `.gitignore`, beside
                those in the folders' own `.gitignore` and `.vecsearchignore` files.
            auto_index: Whether to index the new rows before returning. False: leave it to
                `build_index` or a later change. None: as `create` was told.
            on_duplicate: What to do with documents that are nearly the same as one that is there,
                or as an earlier one of this call: "report" them in the result's `duplicates`, or
                "skip" them, too. None: they are not looked for. The vectors of the call stay in
                memory for that.
            duplicate_score: The least score of such a pair.
            idempotency_key: A name of this add, such as a UUID. If one with this name was committed
                already, nothing is done, and its result is returned: so an add may be sent again
                when its answer was lost. The names of the last 100 such adds are kept.
            engine: Where texts are embedded: None for here, "processes" of this machine, or "ray",
                the nodes of a Ray cluster. Workers load the model by its name, or from the
                collection.
            progress: Whether to show a progress bar. None: on a terminal and in notebooks.

        Returns:
            How many documents were added, replaced and skipped, what was left out, and what was
            indexed.

        Raises:
            InvalidInputError: The data is wrong; the message names file, line or row, and column.
            DuplicateIdError: An id is already there and `on_conflict` is "error", or is twice in
                the data.
            EmbedderError: The model failed, or is not the collection's.
            ConflictError: Another writer changed the columns or the model meanwhile.
            LockTimeoutError: Another writer held the lock for too long.
            StorageError: The disk is full or read-only.

        Example:
            >>> c.add([{"id": "boat", "text": "a rowing boat"}], on_conflict="replace").replaced
            1
        """
        choices = ("error", "skip", "replace", "update", "refresh")
        check_one_of("on_conflict", on_conflict, choices)
        if auto_index is not None:
            auto_index = check_flag("auto_index", auto_index)
        if idempotency_key is not None:
            check_key(idempotency_key)
        reading = reading_options(on_error, encoding, csv, exclude)
        if on_conflict == "update":
            reading = noting_columns(reading)
        columns = id_column, text_column
        nearly_same = on_duplicate, duplicate_score
        runs_on = engine_of(engine)
        return self._add(
            data,
            reading,
            on_conflict,
            *columns,
            progress,
            auto_index,
            idempotency_key,
            nearly_same,
            runs_on,
        )

    def _opened(
        self,
        data: Data,
        reading: Reading,
        manifest: Manifest,
        known: pa.Schema,
        text_column: str | None,
        id_column: str | None,
        on_conflict: OnConflict,
    ) -> Source:
        """The rows of data, read as those of a collection with these columns."""
        reading.id_column = id_column or manifest.id_column
        reading.beir_id = reading.id_column == ID and BEIR_ID not in manifest.schema.names
        reading.columns = None if manifest.settings.get("open_schema") else frozenset(known.names)
        reading.pictures = takes_pictures(manifest)
        if on_conflict == "refresh":
            reading.stored = stored_digests(self._snapshot)
        with invalid_data():
            return open_source(
                data,
                text_column=text_column or manifest.text_column or TEXT,
                schema=known,
                reading=reading,
            )

    def _add(
        self,
        data: Data,
        reading: Reading,
        on_conflict: OnConflict = "error",
        id_column: str | None = None,
        text_column: str | None = None,
        progress: bool | None = None,
        auto_index: bool | None = None,
        request: str | None = None,
        nearly_same: tuple[Literal["report", "skip"] | None, float] = (None, 0.0),
        engine: Engine | None = None,
    ) -> AddResult:
        """What `add` does, with the options of reading; they hold the report, too."""
        self._writable()
        # Another process may have moved the collection to another model.
        manifest = self.refresh()._snapshot.manifest
        manifest = named_by_data(manifest, id_column, text_column)
        known = source_schema(manifest, id_column, text_column)
        complete: MakeCompleter | None = refreshing if on_conflict == "refresh" else None
        source = self._opened(data, reading, manifest, known, text_column, id_column, on_conflict)
        if on_conflict == "update":
            complete = merging(reading, source.places)
        watch = self._duplicate_watch(*nearly_same, on_conflict)
        embedder: EmbedTexts | None = self._model_of(manifest)
        if engine is not None and isinstance(embedder, Model):
            from vecsearch.distributed.embedding import EngineModel

            embedder = EngineModel(embedder, engine)
        with (
            invalid_data(),
            progress_bar(f"adding {source.name}", source.total, progress) as advance,
        ):
            batches: Iterable[pa.RecordBatch] = source.batches
            if made_columns(manifest.schema):
                text = text_column or manifest.text_column
                batches = with_vectors(batches, manifest, self._named, reading, text)
            done = add.add_documents(
                self._store,
                batches,
                on_conflict=on_conflict,
                embedder=embedder,
                split=self._splitting(manifest),
                id_column=id_column,
                text_column=text_column,
                progress=advance,
                places=source.places,
                reading=reading,
                complete=complete,
                operation="upsert" if on_conflict == "update" else "add",
                leave_out=None if watch is None else watch.filtered,
                request=request,
            )
        if watch is not None:
            done = dataclasses.replace(done, duplicates=tuple(watch.pairs))
        self._refreshed(pulled=True)
        indexed = self._index_changes(auto_index, progress)
        if indexed is None:
            return done
        return dataclasses.replace(
            done,
            version=indexed.version,
            indexed_rows=indexed.rows,
            index_bytes=indexed.bytes,
        )

    def upsert(
        self,
        data: Data,
        *,
        id_column: str | None = None,
        text_column: str | None = None,
        encoding: str | None = None,
        csv: CsvOptions | None = None,
        auto_index: bool | None = None,
        progress: bool | None = None,
    ) -> AddResult:
        """Add documents with new ids, and update those whose ids are there, as one commit.

        An existing document keeps the columns that the data does not give, as with SQL's `INSERT
        ... ON CONFLICT DO UPDATE`, LanceDB's `merge_insert` and Chroma's `upsert`. (Qdrant's and
        Pinecone's replace the whole document: that is `add(..., on_conflict="replace")`.) In dicts
        and JSON lines, a key that a row lacks is not given; a null is, and sets the column to
        null. A text that stays the same is not embedded again.

        It is the same as `add(..., on_conflict="update")`. Updated documents are indexed like new
        ones; `update` of metadata leaves them in the index.

        Args:
            data: Data of any kind that `add` takes, with ids.
            id_column: As in `add`.
            text_column: As in `add`.
            encoding: As in `add`.
            csv: As in `add`.
            auto_index: As in `add`.
            progress: As in `add`.

        Returns:
            How many documents were added, and how many were updated (`replaced`).

        Raises:
            InvalidInputError: The data is wrong, has no ids, or lacks the text or vector of a new
                document; the message names file, line or row, and column.
            DuplicateIdError: An id is twice in the data.
            ConflictError: Another writer changed one of the documents, the columns or the model
                meanwhile.
            EmbedderError: The model failed, or is not the collection's.
            LockTimeoutError: Another writer held the lock for too long.
            StorageError: The disk is full or read-only.

        Example:
            >>> c.upsert([{"id": "boat", "year": 2000}, {"id": "car", "text": "a fast car"}])
            AddResult(added=1, replaced=1, skipped=0, embedded=1, version=3)
            >>> c.get(["boat"])
            [{'id': 'boat', 'text': 'a small boat on the lake', 'year': 2000}]
        """
        return self.add(
            data,
            on_conflict="update",
            id_column=id_column,
            text_column=text_column,
            encoding=encoding,
            csv=csv,
            auto_index=auto_index,
            progress=progress,
        )

    def sync(
        self,
        folder: str | os.PathLike[str],
        *,
        exclude: str | Sequence[str] = (),
        encoding: str | None = None,
        delete_all: bool = False,
        dry_run: bool = False,
        progress: bool | None = None,
    ) -> SyncResult:
        """Bring the collection to what a folder of files holds now.

        New files are added, those whose content changed are read again, and the documents of files
        that are gone are deleted. Only documents that came from files in this folder are deleted or
        replaced. Whether a file changed is seen by its content (the column `digest`), not its time.

        Args:
            folder: The folder.
            exclude: As in `add`. Files that are left out now count as gone.
            encoding: As in `add`.
            delete_all: Delete even if the folder holds no file that is read, or if more than half
                of what it brought in would go.
            dry_run: Only say what would change. New files are read, to see which hold something; a
                warning says if more than half would go.
            progress: As in `add`.

        Returns:
            How many documents were added, replaced and deleted, and what was left out.

        Raises:
            InvalidInputError: There is no such folder, it holds no file that is read, or more than
                half would be deleted.
            EmbedderError: The model failed, or is not the collection's.
            ConflictError: Another writer changed the columns or the model meanwhile.
            LockTimeoutError: Another writer held the lock for too long.
            StorageError: The disk is full or read-only.

        Example:
            >>> from pathlib import Path
            >>> Path("memos").mkdir()
            >>> _ = Path("memos/boat.txt").write_text("a boat on the lake")
            >>> memos = vs.create("memos.vs", embedder="toy:64")
            >>> memos.sync("memos").added
            1
            >>> _ = Path("memos/ship.txt").write_text("a ship at sea")
            >>> done = memos.sync("memos")
            >>> done.added, done.unchanged
            (1, 1)
        """
        reading = reading_options("raise", encoding, None, exclude)
        self._writable()
        path = folder_path(folder)
        reading.pictures = takes_pictures(self.refresh()._snapshot.manifest)

        def add(fresh: Reading) -> AddResult:
            self._need_file_columns()
            return self._add(path, fresh, "refresh", progress=progress)

        def find(fresh: Reading) -> set[str]:
            manifest = self._snapshot.manifest
            columns = source_schema(manifest, None, None)
            missing = [field for field in FILE_COLUMNS if field.name not in columns.names]
            known = pa.schema([*columns, *missing])
            source = self._opened(path, fresh, manifest, known, None, None, "refresh")
            with invalid_data():
                return {name for batch in source.batches for name in batch[SOURCE].to_pylist()}

        sync = FolderSync(
            path,
            reading,
            lambda: self.refresh()._snapshot,
            add,
            lambda ids: self.delete(ids).version,
            find,
        )
        return sync.run(delete_all=delete_all, dry_run=dry_run)

    def _need_file_columns(self) -> None:
        """Add the columns of files to a collection that has others."""
        manifest = self.refresh()._snapshot.manifest
        if manifest.settings.get("open_schema"):
            return
        for field in (*FILE_COLUMNS, *(PICTURE_COLUMNS if takes_pictures(manifest) else ())):
            if field.name not in manifest.schema.names:
                self.add_column(field.name, field.type)

    def delete(
        self,
        ids: Ids | None = None,
        *,
        where: Where | None = None,
        dry_run: bool = False,
        timeout: float | None = None,
    ) -> DeleteResult:
        """Delete whole documents, by id, by filter, or those to which both apply.

        Args:
            ids: An id or several, as in `search`. Ids that no document has are counted, not an
                error. An empty list deletes nothing.
            where: A filter. With a chunker, a filter on the text sees whole documents here.
            dry_run: Only say what would be deleted: nothing is written, and no lock is taken.
            timeout: Seconds that the call may take, waiting for another writer included; nothing is
                deleted if they do not suffice. The time is looked at as in `search`, and last
                before the change is published. None: no limit.

        Returns:
            How many documents were deleted, and how many ids were missing; of a dry run also the
            first ids.

        Raises:
            InvalidInputError: Neither ids nor a filter was given, or an id has the wrong type.
            FilterError: The filter is wrong.
            OperationTimeoutError: It was not done within `timeout`.
            LockTimeoutError: Another writer held the lock for too long.
            StorageError: The disk is full or read-only.

        Example:
            >>> c.delete(where="year < 2010", dry_run=True)
            DeleteResult(deleted=2, missing=0, version=2, ids=('boat', 'bus'))
            >>> c.delete(["boat", "plane"])
            DeleteResult(deleted=1, missing=1, version=3)
            >>> c.delete(where="year > 2020").deleted
            1
        """
        if timeout is not None:
            with time_limit(check_timeout(timeout)):
                return self.delete(ids, where=where, dry_run=dry_run)
        self._writable()
        done = edit.delete(self._store, ids, where, dry_run=dry_run)
        return self._with_index(done, dry_run=dry_run)

    def update(
        self,
        where: Where | None = None,
        values: Values | None = None,
        *,
        ids: Ids | None = None,
        dry_run: bool = False,
        timeout: float | None = None,
    ) -> UpdateResult:
        """Set columns of documents, all to the same values or each to its own. One commit.

        A document whose text changes is embedded again, and split again with a chunker; one whose
        text stays the same is not. Metadata is set where the rows are, so an index still covers
        them; documents with a new text or vector are outside it until the next `build_index`.

        Args:
            where: The documents to change, as a filter; None for all. With a chunker, a filter on
                the text sees whole documents here.
            values: A dict of column -> value is for all documents. With `ids`, or with a column
                `id` instead of them, there may be values for each document: a list of dicts, a
                table or frame, or a dict of column -> list or array. A key that a dict of the list
                lacks stays as it is; None sets null. In a dict, one list is a value for all where
                the column holds lists, and a list of lists one value for each.
            ids: The ids of documents, as in `search`, in the order of the values. Each may be given
                once if the values differ. Ids that no document has are counted. With `where`, both
                must hold.
            dry_run: Only check the values and say what would be updated: nothing is embedded or
                written, and no lock is taken.
            timeout: Seconds that the call may take, as in `delete`; the time is also looked at
                between windows of texts that are embedded.

        Returns:
            How many documents were changed, how many ids were missing, and how many texts were
            embedded; of a dry run also the first ids.

        Raises:
            InvalidInputError: A column does not exist, or a value does not fit; the message names
                the row where there are values for each document.
            DuplicateIdError: An id comes twice with values for each document.
            FilterError: The filter is wrong.
            EmbedderError: The model failed, or is not the collection's.
            OperationTimeoutError: It was not done within `timeout`.
            ConflictError: Other writers kept changing the same documents.
            LockTimeoutError: Another writer held the lock for too long.
            StorageError: The disk is full or read-only.

        Example:
            >>> c.update("year < 2010", {"year": 2010}).updated
            2
            >>> c.update(ids=["ship", "bus"], values=[{"year": 1}, {"text": "a blue bus"}])
            UpdateResult(updated=2, version=4, embedded=1)
            >>> c.update(ids=["ship", "bus"], values={"year": [5, 6]}).updated
            2
            >>> c.get(["ship", "bus"], ["text", "year"])
            [{'text': 'a large ship at sea', 'year': 5}, {'text': 'a blue bus', 'year': 6}]
        """
        from vecsearch.maintenance.update import Models, update

        if timeout is not None:
            with time_limit(check_timeout(timeout)):
                return self.update(where, values, ids=ids, dry_run=dry_run)
        self._writable()
        manifest = self.refresh()._snapshot.manifest
        models = Models(
            lambda: self._model_of(manifest), lambda: self._splitting(manifest), self._named
        )
        with invalid_data():
            done = update(self._store, where, values, ids, models, dry_run=dry_run)
        return self._with_index(done, dry_run=dry_run)

    def add_column(self, name: str, kind: TypeName, value: object = None) -> int:
        """Add a metadata column.

        Args:
            name: The column's name.
            kind: A pyarrow type, or its name: "string", "int64", "double", "bool", "date32",
                "json", ...
            value: The value in every row; None for no value.

        Returns:
            The version that was committed.

        Raises:
            InvalidInputError: The name is taken, or the type or value is wrong.

        Example:
            >>> _ = c.add_column("language", "string", "en")
            >>> c.count("language = 'en'")
            3
        """
        self._writable()
        return self._changed(edit.add_column(self._store, name, kind, value))

    def drop_column(self, name: str) -> int:
        """Remove a metadata column and its values. Older versions keep it.

        The values are marked as gone; `compact` removes them from the files, and with `purge=True`
        nothing of them is left.

        Args:
            name: The column; not the id, the text or the vector.

        Returns:
            The version that was committed.

        Raises:
            InvalidInputError: There is no such column, or it cannot be removed.

        Example:
            >>> _ = c.add_column("draft", "bool", True)
            >>> _ = c.drop_column("draft")
            >>> "draft" in c.info().columns
            False
        """
        self._writable()
        return self._changed(edit.drop_column(self._store, name))

    def alter_column(self, name: str, kind: TypeName) -> int:
        """Give a metadata column a wider type that holds each of its values exactly.

        Any column of values that JSON has can become "json"; one of texts, if each is JSON text. A
        column of JSON can become "string", which holds the JSON text.

        Args:
            name: The column.
            kind: A pyarrow type, or its name.

        Returns:
            The version that was committed.

        Raises:
            InvalidInputError: There is no such column, or the type does not hold its values.

        Example:
            >>> _ = c.add_column("price", "int64", 3)
            >>> _ = c.alter_column("price", "double")
            >>> c.info().columns["price"]
            'double'
        """
        self._writable()
        return self._changed(edit.alter_column(self._store, name, kind))

    def build_text_index(
        self,
        columns: Sequence[str] | str | None = None,
        analyzer: str | Mapping[str, Any] | Analyzer | None = None,
        *,
        encoder: str | os.PathLike[str] | None = None,
        progress: bool | None = None,
    ) -> int:
        """Let documents be found by their words, with `mode="text"` and "hybrid" of `search`.

        Collections whose texts are embedded are made so. This is for others, for other columns, and
        for another analyzer. Documents that are added later are found at once.

        Args:
            columns: The columns of texts to search. None: those that are embedded.
            analyzer: What makes words of texts: a language, whose endings are cut off, or an
                `Analyzer`. None: the default, which knows English endings and reads Chinese,
                Japanese and Korean by pairs of characters.
            encoder: The name or folder of a sparse encoder of sentence-transformers (SPLADE),
                which says what words weigh in texts and queries; a document then scores the
                product of both, instead of BM25. Columns of JSON objects such as
                {"ship": 1.5, "sea": 0.4} hold such weights already: then `encoder` is only for
                queries that are texts, and without it a query is such a dict.
            progress: Whether to show a progress bar. None: on a terminal and in notebooks.

        Returns:
            The version that was committed.

        Raises:
            InvalidInputError: There is no such column, or it does not hold texts.
            MissingExtraError: What the analyzer needs is not installed.
            LockTimeoutError: Another writer held the lock for too long.
            StorageError: The disk is full or read-only.

        Example:
            >>> _ = c.add_column("title", "string", "On ships")
            >>> _ = c.build_text_index(["title", "text"])
            >>> c.search("title:ship", k=1, mode="text").ids
            ['boat']
        """
        from vecsearch.maintenance.full_text import build_text_index

        self._writable()
        rows = self.refresh()._snapshot.manifest.rows
        with progress_bar("reading texts", rows, progress) as advance:
            return self._changed(build_text_index(self._store, columns, analyzer, encoder, advance))

    def build_index(
        self,
        recipe: str | IndexRecipe = "auto",
        *,
        recall: float | None = None,
        memory: int | str | None = None,
        queries: Queries | None = None,
        using: str | None = None,
        seed: int = 0,
        threads: int | None = None,
        engine: EngineName = None,
        progress: bool | None = None,
    ) -> BuildResult:
        """Build an index and measure the recall it reaches on the collection's own data.

        Others can add and search meanwhile. An interrupted build resumes when it is called again.
        Small collections get no index: exact search is faster there.

        Args:
            recipe: "auto" chooses by size, dimension, `memory` and `recall`. Or a recipe's name
                ("low-latency", "low-memory", ...), the path of a .toml file, an `IndexRecipe`, or a
                FAISS factory string such as "IVF1024,PQ32x4fs".
            recall: The recall that searches deliver by default from now on. None: leave it as it
                is.
            memory: Memory the finished index may take: bytes, or text such as "2GB". A recipe
                that needs more is an error that says how much.
            queries: Queries to measure with: texts, or a float matrix (n, dim); real queries differ
                from documents. "sampled" takes those that `sample_queries` stored. None: rows held
                out of the index while it is measured.
            using: The name of vectors of `create(vectors=)`, to build their index; of several
                vectors a row, recall is that of MaxSim. None: the collection's own vectors.
            seed: Seed of the held-out rows and of the build.
            threads: Threads to use. None: all cores; one for each task of an engine.
            engine: Where the shards are indexed, each by a task of its own: None for one after the
                other in this process, "processes" of this machine, or "ray", the nodes of a Ray
                cluster. All make the same indexes.
            progress: Whether to show a progress bar. None: on a terminal and in notebooks.

        Returns:
            What was built, and the recall it was measured to reach.

        Raises:
            RecipeError: The recipe is wrong, or cannot be built on this data.
            InvalidInputError: An argument is wrong.
            LockTimeoutError: Another writer held the lock for too long.
            StorageError: The disk is full or read-only.

        Example:
            >>> c.build_index().recipe
            'exact'
        """
        from vecsearch.index.build import build_index
        from vecsearch.index.named import NamedStore

        self._writable()
        manifest = self.refresh()._snapshot.manifest
        recall = None if recall is None else check_recall(recall)
        seed = check_whole("seed", seed, 0)
        threads = None if threads is None else check_whole("threads", threads, 1)
        budget = parse_bytes(memory)
        named = None if using is None else self._by_name("vector", using, 0.0)
        asked, query_source = self._questions(queries, manifest, named)
        if asked is not None and not len(asked):
            raise InvalidInputError(
                "queries is empty",
                hint="give some, or leave queries= out",
                command_hint="give some, or leave --queries out",
            )
        self._store.snapshot(pulled=True).verify()
        store = self._store if named is None else NamedStore(self._store, named.name)
        with progress_bar("building the index", len(self), progress) as advance:
            result = build_index(
                store,
                recipe,
                recall=recall,
                memory=budget,
                queries=asked,
                query_source=query_source,
                seed=seed,
                threads=threads,
                progress=advance,
                engine=engine_of(engine),
            )
        trim_heap()
        return self._changed(result)

    def bench(
        self,
        recipes: Sequence[str],
        *,
        k: int = 10,
        queries: Queries | None = None,
        seed: int = 0,
        progress: bool | None = None,
    ) -> dict[str, Any]:
        """Compare index recipes on this collection: recall, cost, memory and build time.

        Nothing is committed.

        Args:
            recipes: Recipes, as in `build_index`.
            k: Number of hits of each search.
            queries: Queries to measure with, as in `build_index`.
            seed: Seed of the held-out rows and of the builds.
            progress: Whether to show a progress bar. None: on a terminal and in notebooks.

        Returns:
            A report that can be written as JSON.

        Raises:
            RecipeError: A recipe is wrong, or cannot be built on this data.
            InvalidInputError: An argument is wrong.

        Example:
            >>> import numpy as np
            >>> points = vs.create("points.vs", dim=4)
            >>> _ = points.add(np.random.default_rng(0).normal(size=(2000, 4)))
            >>> report = points.bench(["IVF16,Flat"])
            >>> report["rows"]
            2000
        """
        from vecsearch.evaluation.bench import compare_recipes

        recipes, k = check_names("recipes", recipes), check_k(k)
        seed = check_whole("seed", seed, 0)
        asked, _ = self._questions(queries, self._snapshot.manifest)
        with progress_bar("comparing recipes", len(recipes), progress) as advance:
            return compare_recipes(
                self._store,
                recipes,
                k=k,
                queries=asked,
                seed=seed,
                progress=lambda name: advance(1),
            )

    def compact(self, *, purge: bool = False) -> int:
        """Merge small segments and drop deleted rows. Search results stay the same.

        Args:
            purge: Also remove older versions, so that no file holds anything of deleted rows.

        Returns:
            The version that was committed.

        Raises:
            ConflictError: Readers still hold older versions, so they could not be purged.
            LockTimeoutError: Another writer held the lock for too long.
            StorageError: The disk is full or read-only.

        Example:
            >>> _ = c.delete("bus")
            >>> _ = c.compact(purge=True)
            >>> c.info().deleted_rows
            0
        """
        self._writable()
        version = self._changed(compact.compact(self._store, purge))
        if purge:
            if self._monitor is not None:
                self._monitor.forget()
            self._store.purge()
        trim_heap()
        return version

    def reshard(self, shards: int) -> int:
        """Divide the documents among another number of shards. Search results stay the same.

        Searches go on meanwhile, and writers wait. Indexes are built again, by the same recipe.
        See `create` for what shards are.

        Args:
            shards: How many shards there are to be, 1 to 1024.

        Returns:
            The version that was committed.

        Raises:
            InvalidInputError: `shards` is out of range.
            LockTimeoutError: Another writer held the lock for too long.
            StorageError: The disk is full or read-only.

        Example:
            >>> _ = c.reshard(4)
            >>> c.info().shards
            4
        """
        from vecsearch.maintenance.reshard import reshard

        self._writable()
        version = self._changed(reshard(self._store, check_shards(shards)))
        trim_heap()
        return version

    def rollback(self, version: int) -> int:
        """Make an older version the latest again, as a new version.

        Args:
            version: A version that `versions` lists.

        Returns:
            The version that was committed.

        Raises:
            VersionNotFoundError: The version was never committed, or is no longer kept.

        Example:
            >>> _ = c.delete("boat")
            >>> c.rollback(2)
            4
            >>> len(c)
            3
        """
        self._writable()
        return self._changed(versions.rollback(self._store, version))

    # -- Maintenance

    def check(self) -> list[Damage]:
        """Compare every file of every version with its checksum.

        `vecsearch.repair` rebuilds damaged files that derive from documents.

        Returns:
            What is damaged and how to fix it; empty if nothing is.

        Raises:
            StorageError: The files cannot be read.

        Example:
            >>> c.check()
            []
        """
        from vecsearch.maintenance.check import find_damage

        self._require_in_place()
        with read_again(self.path) as root:
            return find_damage(root)

    def backup(
        self, target: str | os.PathLike[str], *, storage_options: StorageOptions | None = None
    ) -> int:
        """Copy the version that this object reads to a new folder, and verify every byte.

        Others may write meanwhile. A backup is a collection: `vecsearch.open` opens it, and
        `vecsearch.restore` makes another collection of it.

        Args:
            target: The new folder, or a URL.
            storage_options: Of a URL, as in `vecsearch.create`.

        Returns:
            The version that was copied.

        Raises:
            CollectionExistsError: Something is at the target.
            CorruptedError: A file is damaged.
            StorageError: The disk is full or read-only.

        Example:
            >>> c.backup("monday.vs")
            2
            >>> vs.restore("monday.vs", "restored.vs")
            3
        """
        from vecsearch.maintenance.backup import write_backup

        self._require_in_place()
        root = collection_path(target, storage_options)
        return write_backup(self.path, root, self._snapshot.manifest.version)

    def export(
        self,
        target: str | os.PathLike[str],
        *,
        where: Where | None = None,
        columns: Sequence[str] | None = None,
        ids: Ids | None = None,
        storage_options: StorageOptions | None = None,
    ) -> int:
        """Write documents, with columns and vectors, to one file: all, or some of them.

        The ending of its name says how: .parquet, .csv, .jsonl (JSON lines) or .arrow (an Arrow IPC
        file). `vecsearch.restore` makes a collection of a Parquet file, and `add` reads each of
        them. In CSV and JSON lines, dates and times are in ISO 8601, bytes in base64, and CSV has
        nested values and vectors as JSON text. A null is an empty cell of CSV, and an empty text is
        `""`; `add` reads both as null. Of a chunked collection, a Parquet file holds passages, the
        others whole documents without vectors. A Parquet file of chosen columns is like the others:
        it holds whole documents, and `restore` does not take it.

        Args:
            target: Path or URL of the new file.
            where: The documents to write, as a filter; None for all. With a chunker, a filter on
                the text sees whole documents here.
            columns: The columns to write, in this order, such as ["id", "vector"]. None: all.
            ids: The ids of documents to write, as in `search`, in the collection's order.
            storage_options: Of a URL, as in `vecsearch.create`.

        Returns:
            Number of rows written.

        Raises:
            CollectionExistsError: Something is at the target.
            InvalidInputError: The ending is another, a column does not exist, or the format cannot
                hold one, such as NaN in CSV and JSON lines.
            FilterError: The filter is wrong.
            CorruptedError: A file is damaged.
            StorageError: The disk is full or read-only.

        Example:
            >>> c.export("notes.parquet"), c.export("notes.jsonl")
            (3, 3)
            >>> c.export("old.csv", where="year < 2010", columns=["id", "year"])
            2
            >>> print(open("old.csv").read(), end="")
            "id","year"
            "boat",1999
            "bus",2003
        """
        from vecsearch.maintenance.export import export

        self._require_in_place()
        version = self._snapshot.manifest.version
        with new_file(target, storage_options) as file:
            return export(self.path, file, version, where, columns, ids)

    def reembed(
        self,
        embedder: str | Embedder,
        *,
        engine: EngineName = None,
        progress: bool | None = None,
    ) -> ReembedResult:
        """Embed every text again with another model. Ids, texts, metadata and passages stay.

        One call is one commit: searches use the old model until then, and documents that others add
        or delete meanwhile are not lost. An interrupted call resumes when it is repeated. Indexes
        are dropped; `build_index` makes a new one. `rollback` brings the old model back.

        Args:
            embedder: The new model's name, or an `Embedder`.
            engine: Where texts are embedded, as in `add`.
            progress: Whether to show a progress bar. None: on a terminal and in notebooks.

        Returns:
            How many documents there are, and how many passages were embedded.

        Raises:
            InvalidInputError: A document has a vector but no text.
            EmbedderError: The model cannot be loaded or failed.
            LockTimeoutError: Another writer held the lock for too long.
            StorageError: The disk is full or read-only.

        Example:
            >>> c.reembed("toy:32")
            ReembedResult(documents=3, embedded=3, version=3)
            >>> c.info().dim
            32
        """
        from vecsearch.maintenance.reembed import reembed_documents

        manifest = self._writable().manifest
        model = resolve_embedder(embedder)
        spread = embedding_on(engine, embedder)
        with progress_bar("embedding again", manifest.rows - manifest.deleted, progress) as advance:
            result = self._changed(reembed_documents(self._store, model, advance, spread))
        now = self._snapshot.manifest
        if now.embedder is not None and has_fingerprint(model, now.embedder.fingerprint):
            self._models[now.embedder] = Model(self.path, now.embedder, now.dim, model)
        return result

    def dimensions(
        self,
        dims: Sequence[int] | None = None,
        *,
        k: int = 10,
        queries: Questions | Queries | None = None,
        qrels: Judgments | None = None,
        n_queries: int = 500,
        seed: int = 0,
        progress: bool | None = None,
    ) -> DimensionReport:
        """Measure what fewer dimensions cost: bytes of a vector against recall@k and nDCG@k.

        Two ways are compared: principal component analysis, and truncation (for models trained with
        Matryoshka representation learning, Kusupati et al., NeurIPS 2022). PCA is fitted on other
        rows than recall is measured on.

        Args:
            dims: Dimensions to measure. None: the usual ones.
            k: Depth of recall@k and nDCG@k.
            queries: Texts or vectors, query id -> text, a file, or a folder in the BEIR layout.
                None: rows held out of the collection.
            qrels: Relevance judgments: a file, or query id -> document id -> grade. None: no nDCG.
            n_queries: Number of rows to hold out.
            seed: Seed of the choice of rows.
            progress: Whether to show a progress bar. None: on a terminal and in notebooks.

        Returns:
            One point for each method and dimension.

        Raises:
            InvalidInputError: An argument is wrong, or there are too few rows.

        Example:
            >>> import numpy as np
            >>> points = vs.create("points.vs", dim=8)
            >>> _ = points.add(np.random.default_rng(0).normal(size=(200, 8)))
            >>> [(point.method, point.dim) for point in points.dimensions([4]).points]
            [('full', 8), ('pca', 4), ('truncate', 4)]
        """
        from vecsearch.evaluation.dimensions import measure_dimensions, read_judged

        n_queries, seed = check_whole("n_queries", n_queries, 1), check_whole("seed", seed, 0)
        snapshot = self._snapshot
        asked, judged = (
            (None, None) if queries is None and qrels is None else read_judged(queries, qrels)
        )
        vectors = None if asked is None else self._encoder(snapshot.manifest).encode_many(asked)
        if vectors is not None and not len(vectors):
            raise InvalidInputError(
                "queries is empty",
                hint="give some, or leave queries= out",
                command_hint="give some, or leave --queries out",
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
        """Copy the collection to a new one with fewer dimensions.

        The projection becomes part of the new collection's embedder: texts and vectors of the full
        dimension that are added or searched for are projected too. `dimensions` measures the cost.

        Args:
            path: Folder of the new collection.
            dim: Its dimension, from 1 to one less than the current one.
            method: "pca" (principal component analysis) or "truncate" (keep the first numbers).
            seed: Seed of the rows that PCA is fitted on.
            progress: Whether to show a progress bar. None: on a terminal and in notebooks.

        Returns:
            The new collection.

        Raises:
            InvalidInputError: An argument is wrong, or the collection is empty.
            CollectionExistsError: Something is at the path.
            StorageError: The disk is full or read-only.

        Example:
            >>> with c.reduce("small.vs", 16, method="truncate") as small:
            ...     small.info().dim
            16
        """
        from vecsearch.maintenance.reduce import write_reduced

        seed = check_whole("seed", seed, 0)
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
                self._store.limits,
            )
        return Collection(
            folder_path(path),
            embedder=embedder,
            chunker=self._given_chunker,
            lock_timeout=self._store.lock_timeout,
            limits=self._store.limits,
        )

    # -- Searching

    def search(
        self,
        query: Query | None = None,
        k: int = 10,
        *,
        text: str | Mapping[str, float] | None = None,
        vector: Vector | None = None,
        mode: Mode = "vector",
        using: str | Sequence[str] | None = None,
        fusion: str | Mapping[str, Any] | Fusion | None = None,
        rerank: Rerank | None = None,
        rerank_top: int | None = None,
        where: Where | None = None,
        ids: Ids | None = None,
        exclude: Ids | None = None,
        min_score: float | None = None,
        diversity: float = 0.0,
        group_by: str | None = None,
        group_size: int = 1,
        order_by: OrderBy | None = None,
        recall: float | None = None,
        exact: bool = False,
        passages: bool = False,
        timeout: float | None = None,
    ) -> Hits:
        """Find the k documents most similar to a query, or that have its words, or both.

        Args:
            query: A text for the collection's embedder, or a vector: numbers of shape (dim,). With
                mode "text", words; with "hybrid", a text that is both embedded and searched by its
                words.
            k: Maximum number of hits. There are fewer if fewer documents match.
            text: The words of a hybrid search, where they are not `query`; the text that `rerank`
                reads, where the query is a vector.
            vector: The vector of a hybrid search, or the text that is embedded for it, where it is
                not `query`.
            mode: "vector" finds similar documents; "text" documents with the words (BM25), in a
                syntax of its own, such as '"large ship" -sea'; "hybrid" makes one list of both.
            using: The columns to search by words, some with a weight, such as ["title^3", "text"].
                None: all that are searched so. With mode "vector", the name of vectors that
                `create(vectors=)` declared: every matching document that has them is scored.
            fusion: How a hybrid search makes one list: "weighted", "rrf", "dbsf" or a `Fusion`.
                None: what `tune_fusion` chose, or else "weighted".
            rerank: What scores the best hits again: the name or folder of a cross-encoder of
                sentence-transformers; "maxsim" for late interaction with the token vectors of the
                collection's model, or "maxsim:" and another model; or a function of the query and
                the hits that returns a score for each. `Hit.parts` has the scores of before.
            rerank_top: How many hits are scored again, at least k. None: 50, or k if that is more.
                With groups: the hits of as many groups as hold so many.
            where: Only search documents for which this is true: SQL text such as
                "year >= 2000 AND lang IN ('en', 'zh')", or a pyarrow Expression. With a chunker, a
                filter on the text sees the passages that are searched, not whole documents.
            ids: Only search documents with one of these ids: an id, or a list, set, numpy array,
                Arrow array or Series of them. Ids that no document has are left out in silence.
                With `where`, both must hold.
            exclude: Leave out the documents with these ids.
            min_score: The lowest score of a hit.
            diversity: How much hits shall differ from each other, from 0 to 1 (maximal marginal
                relevance, among the 100 best or 4 k). They come in the order of choice.
            group_by: A column. k is then the number of groups, of hits with the same value in this
                column; `Hits.groups` lists them. Each is filled if the data has enough for it.
            group_size: How many hits a group has at most.
            order_by: Sort the k hits by a column instead of by score: "year", "year desc", or
                several in a list. Missing values come last, equal ones by score.
            recall: The mean recall to deliver at the least cost. None: the collection's target.
            exact: Score every matching row (recall 1).
            passages: Find passages instead of documents, in a collection with a chunker.
            timeout: Seconds that the call may take; the time is looked at between segments, and in
                a filter every 131,072 rows or 32 MB. None: no limit.

        Returns:
            Hits, best first.

        Raises:
            InvalidInputError: The query, k, recall or an id is wrong.
            QueryError: The words cannot be read, or the collection is not searched by words.
            FilterError: The filter is wrong.
            OperationTimeoutError: The search was not done within `timeout`.
            EmbedderError: The model cannot be loaded or failed.
            EmbedderMismatchError: The model is not the one that made the collection's vectors.

        Example:
            >>> hit = c.search("ship", k=1, where="year > 2000")[0]
            >>> hit.id, hit["year"]
            ('ship', 2021)
            >>> c.search("ship", ids=["bus", "boat", "plane"]).ids
            ['bus', 'boat']
            >>> c.search("ship", exclude="ship", order_by="year desc").column("year")
            [2003, 1999]
            >>> c.search("sea OR lake -ship", mode="text").ids
            ['boat']
            >>> def newest(query, hits):
            ...     return hits.column("year")
            >>> hit = c.search("ship", k=1, rerank=newest)[0]
            >>> hit.id, hit.score, hit.parts["vector"].rank
            ('ship', 2021.0, 1)
        """
        if (  # most searches
            (using is None and fusion is None and rerank is None and rerank_top is None)
            and (ids is None and exclude is None and min_score is None)
            and (group_by is None and order_by is None and timeout is None)
            and (type(diversity) is float and diversity == 0)
            and (type(group_size) is int and group_size == 1)
        ):
            if query is not None and text is None and vector is None:
                if mode == "vector" and where is None:
                    return self._plain_search(query, k, recall, exact, passages)
                if mode == "text" and type(query) is str and recall is None and not passages:
                    return self._plain_text(query, k, where)
            if mode == "hybrid" and type(k) is int and 1 <= k <= DEPTH and not passages:
                asked = question_of(query, text, vector, mode)
                if not self._snapshot.manifest.chunked:
                    return self._plain_hybrid(asked, k, where, recall, exact)
        with at_most(timeout):
            read = None
            has_vector = query is not None or vector is not None
            if rerank is not None and mode == "vector" and has_vector:
                read, text = text, None
            wanted = question_of(query, text, vector, mode)
            searcher = self._searching()
            snapshot = searcher.snapshot
            named = self._by_name(mode, using, diversity)
            shape = check_shape(
                snapshot,
                k,
                min_score=min_score,
                diversity=diversity,
                group_by=group_by,
                group_size=group_size,
                order_by=order_by,
                scores=mode == "vector" and rerank is None and named is None,
            )
            reranking = self._reranking(rerank, rerank_top, shape)
            if reranking is not None:
                shape = reranking.candidates
            if mode == "vector":
                only_with_words(fusion=fusion)
            if mode == "vector" and named is None:
                encoded = self._encoder(snapshot.manifest).encode(wanted.vector)
            request = Request(
                searcher,
                searcher.selector.select(where, ids),
                self._target(recall, snapshot),
                exact,
                passages,
                shape,
                excluded_rows(snapshot, exclude),
            )
            if mode != "vector":
                search = ModeSearch(request, self._encoder, mode, using, fusion)
                (hits,) = self._by_words(search, [wanted], [request.selection])
                hits.filter = filter_words(where)
                return hits if reranking is None else reranking.apply(hits, wanted.words)
            if named is not None:
                hits = request.answer(named.ranking(named.encode(wanted.vector), request))
                hits.question = Question(text_of(wanted.vector))
                hits.filter = filter_words(where)
                if reranking is None:
                    return hits
                return reranking.apply(hits, wanted.vector if read is None else read)
            hits = self._nearest(request, wanted.vector, encoded)
            hits.filter = filter_words(where)
            if reranking is None:
                return hits
            return reranking.apply(hits, wanted.vector if read is None else read)

    def _plain_search(
        self, query: Query, k: int, recall: float | None, exact: bool, passages: bool
    ) -> Hits:
        """A search by a vector with no other options."""
        searcher = self._searching()
        snapshot = searcher.snapshot
        shape = check_shape(snapshot, k)
        encoded = self._encoder(snapshot.manifest).encode(query)
        target = self._target(recall, snapshot)
        request = Request(searcher, snapshot.live, target, exact, passages, shape)
        return self._nearest(request, query, encoded)

    def _plain_text(self, query: str, k: int, where: Where | None) -> Hits:
        """A search by words with no other options, among the rows that match a filter."""
        searcher = self._searching()
        k = check_k(k)
        selection = searcher.snapshot.live
        if where is not None:
            selection = searcher.selector.select(where)
        hits = plain_text(searcher, query, k, selection)
        hits.filter = filter_words(where)
        return hits

    def _plain_hybrid(
        self, asked: Asked, k: int, where: Where | None, recall: float | None, exact: bool
    ) -> Hits:
        """A hybrid search of rows with no other options."""
        searcher = self._searching()
        snapshot = searcher.snapshot
        shape = check_shape(snapshot, k)
        selection = snapshot.live if where is None else searcher.selector.select(where)
        target = self._target(recall, snapshot)
        request = Request(searcher, selection, target, exact, False, shape)
        hits, vector = plain_hybrid(request, self._encoder, asked)
        hits.question = self._question(asked.words, vector, snapshot.manifest)
        hits.filter = filter_words(where)
        return hits

    def _nearest(self, request: Request, query: Any, encoded: npt.NDArray[np.float32]) -> Hits:
        """The hits of a vector, which was made of a query."""
        hits = request.search(encoded)
        if self._monitor is not None:
            self._monitor.note(
                request.searcher,
                encoded[None],
                request.shape.k,
                request.selection,
                request.recall,
                exact=request.exact,
            )
        hits.question = self._question(query, encoded, request.searcher.snapshot.manifest)
        return hits

    def search_batch(
        self,
        queries: Queries | None = None,
        k: int = 10,
        *,
        texts: Sequence[str | Mapping[str, float]] | None = None,
        vectors: Vectors | None = None,
        mode: Mode = "vector",
        using: str | Sequence[str] | None = None,
        fusion: str | Mapping[str, Any] | Fusion | None = None,
        rerank: Rerank | None = None,
        rerank_top: int | None = None,
        where: Where | Sequence[Where | None] | None = None,
        ids: Ids | None = None,
        exclude: Ids | None = None,
        min_score: float | None = None,
        diversity: float = 0.0,
        group_by: str | None = None,
        group_size: int = 1,
        order_by: OrderBy | None = None,
        recall: float | None = None,
        exact: bool = False,
        passages: bool = False,
        timeout: float | None = None,
    ) -> list[Hits]:
        """Search for many queries at once, on all cores. Results are the same as one by one.

        Args:
            queries: Texts, or a float matrix (n, dim).
            k: Maximum number of hits for each query.
            texts: The words of hybrid searches, where they are not `queries`, and what `rerank`
                reads, where the queries are vectors.
            vectors: The vectors of hybrid searches, where they are not `queries`.
            mode: "vector", "text" or "hybrid", as in `search`.
            using: The columns to search by words, as in `search`.
            fusion: How hybrid searches make one list, as in `search`.
            rerank: What scores the best hits again, as in `search`.
            rerank_top: How many hits are scored again for each query.
            where: One filter for all queries, or a list with one for each (None: no filter).
            ids: The ids of documents to search, as in `search`, the same for all queries.
            exclude: As in `search`, the same for all queries.
            min_score: As in `search`.
            diversity: As in `search`.
            group_by: As in `search`.
            group_size: As in `search`.
            order_by: As in `search`.
            recall: The mean recall to deliver. None: the collection's target.
            exact: Score every matching row (recall 1).
            passages: Find passages instead of documents.
            timeout: Seconds that the whole call may take, as in `search`; the time is looked at
                after every 1,024 queries, too, and in exact search every few of them. No limit by
                default.

        Returns:
            The hits of each query, in order.

        Raises:
            InvalidInputError: A query (the message says which), k, recall or an id is wrong.
            FilterError: A filter is wrong.
            OperationTimeoutError: The searches were not done within `timeout`.
            EmbedderError: The model cannot be loaded or failed.

        Example:
            >>> [hits.ids for hits in c.search_batch(["ship at sea", "bus in town"], k=1)]
            [['ship'], ['bus']]
        """
        with at_most(timeout):
            searcher = self._searching()
            snapshot = searcher.snapshot
            read = None
            named = self._by_name(mode, using, diversity)
            if mode == "vector":
                only_with_words(fusion=fusion)
                if rerank is not None and (queries is not None or vectors is not None):
                    read, texts = texts, None
                given = only_one(queries, texts, vectors)
                if named is None:
                    encoded = self._encoder(snapshot.manifest).encode_many(given)
                else:
                    asked_for = named.encode_many(given)
                wheres = filters_for(where, len(encoded if named is None else asked_for))
            else:
                wanted = questions_of(queries, texts, vectors, mode)
                wheres = filters_for(where, len(wanted))
            ids = None if ids is None else searcher.selector.as_ids(ids)
            selections = [searcher.selector.select(item, ids) for item in wheres]
            shape = check_shape(
                snapshot,
                k,
                min_score=min_score,
                diversity=diversity,
                group_by=group_by,
                group_size=group_size,
                order_by=order_by,
                scores=mode == "vector" and rerank is None and named is None,
            )
            reranking = self._reranking(rerank, rerank_top, shape)
            if reranking is not None:
                shape = reranking.candidates
            request = Request(
                searcher,
                snapshot.live,
                self._target(recall, snapshot),
                exact,
                passages,
                shape,
                excluded_rows(snapshot, exclude),
            )
            if mode != "vector":
                search = ModeSearch(request, self._encoder, mode, using, fusion)
                found = self._by_words(search, wanted, selections)
                for hits, which in zip(found, wheres, strict=True):
                    hits.filter = filter_words(which)
                if reranking is None:
                    return found
                return reranking.apply_all(found, [each.words for each in wanted])
            if named is not None:
                found = []
                for query, each, which, selection in zip(
                    asked_for, listed_queries(given), wheres, selections, strict=True
                ):
                    one = dataclasses.replace(request, selection=selection)
                    hits = one.answer(named.ranking(query, one))
                    hits.question = Question(text_of(each))
                    hits.filter = filter_words(which)
                    found.append(hits)
                if reranking is None:
                    return found
                return reranking.apply_all(found, texts_beside(read, (), listed_queries(given)))
            found = answers(encoded, request, selections)
            if self._monitor is not None and len(encoded):
                self._monitor.note(
                    searcher, encoded, shape.k, selections[0], request.recall, exact=exact
                )
            listed = texts_of(given) or [""] * len(found)
            for hits, each, vector, which in zip(found, listed, encoded, wheres, strict=True):
                hits.question = self._question(each, vector, snapshot.manifest)
                hits.filter = filter_words(which)
            if reranking is None:
                return found
            return reranking.apply_all(found, texts_beside(read, texts_of(given), list(encoded)))

    def _by_words(
        self,
        search: ModeSearch,
        wanted: Sequence[Asked],
        selections: Sequence[RowSelection],
    ) -> list[Hits]:
        """The hits of searches by words, and of hybrid ones."""
        found = search.run(wanted, selections)
        for hits, each, vector in zip(found, wanted, search.vectors, strict=True):
            if vector is None:
                hits.question = Question(each.words if isinstance(each.words, str) else "")
            else:
                hits.question = self._question(each.words, vector, self._snapshot.manifest)
        return found

    def search_range(
        self,
        query: Query,
        min_score: float,
        *,
        where: Where | None = None,
        ids: Ids | None = None,
        timeout: float | None = None,
    ) -> Hits:
        """Find every row that scores at least `min_score`, by exact search.

        Args:
            query: A text, or a vector of shape (dim,).
            min_score: The lowest score. For "l2", `min_score=-r * r` finds all rows within distance
                r.
            where: A filter, as in `search`.
            ids: The ids of documents to search, as in `search`.
            timeout: Seconds that the call may take, as in `search`.

        Returns:
            Hits, best first: passages in a collection with a chunker, or else documents.

        Raises:
            InvalidInputError: The query, min_score or an id is wrong.
            FilterError: The filter is wrong.
            OperationTimeoutError: The search was not done within `timeout`.
            EmbedderError: The model cannot be loaded or failed.

        Example:
            >>> c.search_range("a large ship at sea", 0.99).ids
            ['ship']
        """
        if timeout is not None:
            with time_limit(check_timeout(timeout)):
                return self.search_range(query, min_score, where=where, ids=ids)
        searcher = self._searching()
        snapshot = searcher.snapshot
        min_score = check_min_score(min_score, snapshot.manifest.metric)
        vector = self._encoder(snapshot.manifest).encode(query)
        found = searcher.within(vector, min_score, searcher.selector.select(where, ids))
        hits = Hits(snapshot, found.positions, found.scores, found.plan)
        hits.question = self._question(query, vector, snapshot.manifest)
        return hits

    def similar(
        self,
        id: Id,
        k: int = 10,
        *,
        where: Where | None = None,
        ids: Ids | None = None,
        exclude: Ids | None = None,
        min_score: float | None = None,
        diversity: float = 0.0,
        group_by: str | None = None,
        group_size: int = 1,
        order_by: OrderBy | None = None,
        recall: float | None = None,
        exact: bool = False,
        passages: bool = False,
        timeout: float | None = None,
    ) -> Hits:
        """The k documents most similar to a document, without itself.

        A document of several passages is compared by the mean of their vectors, as `vector` gives
        it.

        Args:
            id: The document's id.
            k: As in `search`.
            where: As in `search`.
            ids: As in `search`.
            exclude: Ids of documents to leave out beside it.
            min_score: As in `search`.
            diversity: As in `search`.
            group_by: As in `search`.
            group_size: As in `search`.
            order_by: As in `search`.
            recall: As in `search`.
            exact: As in `search`.
            passages: As in `search`.
            timeout: As in `search`.

        Raises:
            IdNotFoundError: No document has the id.
            InvalidInputError: An argument is wrong.
            FilterError: The filter is wrong.
            OperationTimeoutError: The search was not done within `timeout`.

        Example:
            >>> c.similar("ship").ids
            ['boat', 'bus']
        """
        return self.recommend(
            [{"id": id}],
            k=k,
            where=where,
            ids=ids,
            exclude=exclude,
            min_score=min_score,
            diversity=diversity,
            group_by=group_by,
            group_size=group_size,
            order_by=order_by,
            recall=recall,
            exact=exact,
            passages=passages,
            timeout=timeout,
        )

    def recommend(
        self,
        positive: Examples | None = None,
        negative: Examples | None = None,
        *,
        history: Iterable[Any] | None = None,
        strategy: Literal["average", "best_score", "sum_scores"] = "average",
        k: int = 10,
        where: Where | None = None,
        ids: Ids | None = None,
        exclude: Ids | None = None,
        exclude_seen: bool = True,
        half_life: float = HALF_LIFE,
        min_score: float | None = None,
        diversity: float = 0.0,
        group_by: str | None = None,
        group_size: int = 1,
        order_by: OrderBy | None = None,
        recall: float | None = None,
        exact: bool = False,
        passages: bool = False,
        timeout: float | None = None,
    ) -> Hits:
        """The k documents that examples speak for: more like these, less like those.

        Args:
            positive: What is wanted: ids, texts or vectors, one or several. A str is an id if a
                document has it, or else a text; {"id": ...}, {"text": ...} or {"vector": ...}
                says which is meant.
            negative: What is not wanted, in the same way.
            history: What a user had: ids, or tuples (id, weight) or (id, weight, age). A weight is
                1 unless given, and halves with every `half_life` of age. Weights below 0 speak
                against a document.
            strategy: "average": the score with the mean of the positives, moved away from the mean
                of the negatives. "best_score": the best score with a positive; it is minus the
                square of the best score with a negative, where that is no less. "sum_scores": the
                sum of the scores with positives less those with negatives.
            k: How many documents to return.
            where: As in `search`.
            ids: As in `search`.
            exclude: Ids of documents to leave out.
            exclude_seen: Leave out the documents of the examples and of the history.
            half_life: The age at which a weight has halved, in the same unit.
            min_score: The lowest score of a hit, as the strategy gives it.
            diversity: As in `search`.
            group_by: As in `search`.
            group_size: As in `search`.
            order_by: As in `search`.
            recall: As in `search`.
            exact: As in `search`.
            passages: As in `search`.
            timeout: As in `search`.

        Returns:
            Hits, best first; `plan` says whether every row was scored.

        Raises:
            IdNotFoundError: No document has the id of an example.
            InvalidInputError: An argument is wrong, there is no example, or they cancel out.
            FilterError: The filter is wrong.
            OperationTimeoutError: The search was not done within `timeout`.
            EmbedderError: The model cannot be loaded or failed.

        Example:
            >>> c.recommend(["boat", "a trip on the water"], negative="bus").ids
            ['ship']
            >>> c.recommend(history=[("boat", 1.0, 400), ("bus", 2.0)], half_life=365).ids
            ['ship']
        """
        with at_most(timeout):
            check_one_of("strategy", strategy, STRATEGIES)
            snapshot = self._snapshot
            reader = ExampleReader(snapshot, self._encoder(snapshot.manifest))
            wanted, unwanted, seen = read_examples(reader, positive, negative, history, half_life)
            shape = check_shape(
                snapshot,
                k,
                min_score=min_score,
                diversity=diversity,
                group_by=group_by,
                group_size=group_size,
                order_by=order_by,
                scores=strategy == "average",
            )
            request = Request(
                self._searching(),
                self._searching().selector.select(where, ids),
                self._target(recall, snapshot),
                exact,
                passages,
                shape,
                excluded_rows(snapshot, exclude, seen if exclude_seen else ()),
            )
            hits = request.answer(recommendation(strategy, wanted, unwanted, request))
            hits.question = self._question("", None, snapshot.manifest)
            hits.examples = all_examples(wanted, unwanted)
            hits.filter = filter_words(where)
            return hits

    def discover(
        self,
        target: Query | None = None,
        context: Iterable[tuple[Query, Query]] = (),
        *,
        k: int = 10,
        where: Where | None = None,
        ids: Ids | None = None,
        exclude: Ids | None = None,
        exclude_seen: bool = True,
        min_score: float | None = None,
        diversity: float = 0.0,
        group_by: str | None = None,
        group_size: int = 1,
        order_by: OrderBy | None = None,
        passages: bool = False,
        timeout: float | None = None,
    ) -> Hits:
        """The k documents that lie on the right side of pairs of examples. Every row is scored.

        With a target, documents are ranked by how many more pairs they are on the positive side of
        than on the negative one, then by their similarity to the target (the part of the score
        between 0 and 1). Without, by how far they are on the wrong side of pairs: 0 at best.

        Args:
            target: What to look for: an id, a text or a vector.
            context: Pairs of a positive and a negative example, each an id, a text or a vector.
            k: How many documents to return.
            where: As in `search`.
            ids: As in `search`.
            exclude: Ids of documents to leave out.
            exclude_seen: Leave out the documents of target and pairs.
            min_score: The lowest score of a hit.
            diversity: As in `search`.
            group_by: As in `search`.
            group_size: As in `search`.
            order_by: As in `search`.
            passages: As in `search`.
            timeout: As in `search`.

        Raises:
            IdNotFoundError: No document has the id of an example.
            InvalidInputError: An argument is wrong, or there is neither target nor context.
            FilterError: The filter is wrong.
            OperationTimeoutError: The search was not done within `timeout`.
            EmbedderError: The model cannot be loaded or failed.

        Example:
            >>> c.discover("a trip", context=[("boat", "bus")]).ids
            ['ship']
        """
        with at_most(timeout):
            snapshot = self._snapshot
            reader = ExampleReader(snapshot, self._encoder(snapshot.manifest))
            goal, wanted, unwanted, seen = read_context(reader, target, context)
            shape = check_shape(
                snapshot,
                k,
                min_score=min_score,
                diversity=diversity,
                group_by=group_by,
                group_size=group_size,
                order_by=order_by,
                scores=False,
            )
            request = Request(
                self._searching(),
                self._searching().selector.select(where, ids),
                1.0,
                True,
                passages,
                shape,
                excluded_rows(snapshot, exclude, seen if exclude_seen else ()),
            )
            hits = request.answer(discovery(goal, wanted, unwanted, request))
            hits.question = self._question("", None, snapshot.manifest)
            hits.examples = all_examples(goal if len(goal) else wanted, unwanted)
            hits.filter = filter_words(where)
            return hits

    def pages(
        self,
        query: Query | None = None,
        size: int = 20,
        *,
        text: str | Mapping[str, float] | None = None,
        vector: Vector | None = None,
        mode: Mode = "vector",
        using: str | Sequence[str] | None = None,
        fusion: str | Mapping[str, Any] | Fusion | None = None,
        where: Where | None = None,
        ids: Ids | None = None,
        exclude: Ids | None = None,
        min_score: float | None = None,
        group_by: str | None = None,
        group_size: int = 1,
        order_by: OrderBy | None = None,
        recall: float | None = None,
        exact: bool = False,
        passages: bool = False,
        timeout: float | None = None,
    ) -> Iterator[Hits]:
        """All documents that match, in pages, best first. None comes twice and none is left out.

        All pages are of the version that was open at the call. Later pages are searched for when
        they are asked for. What an approximate search missed comes on a later page.

        Args:
            query: As in `search`.
            size: Hits of a page; with `group_by` groups of a page.
            text: The words of a hybrid search, as in `search`.
            vector: The vector of a hybrid search, as in `search`.
            mode: "vector", "text" or "hybrid", as in `search`.
            using: The columns to search by words, as in `search`.
            fusion: How hybrid searches make one list, as in `search`.
            where: As in `search`.
            ids: As in `search`.
            exclude: As in `search`.
            min_score: The lowest score of a hit; pages end there.
            group_by: As in `search`: each page has the next best groups.
            group_size: As in `search`.
            order_by: As in `search`, but all matches are in this order; it needs `min_score`.
            recall: As in `search`.
            exact: As in `search`.
            passages: As in `search`.
            timeout: Seconds from the call until the last page is asked for. None: no limit.

        Returns:
            An iterator of Hits. Their ranks go on from page to page.

        Raises:
            InvalidInputError: An argument is wrong.
            FilterError: The filter is wrong.
            OperationTimeoutError: It was not done within `timeout`, here or at a page.
            EmbedderError: The model cannot be loaded or failed.

        Example:
            >>> [page.ids for page in c.pages("ship", size=2)]
            [['ship', 'bus'], ['boat']]
        """
        with at_most(timeout) as deadline:
            snapshot = self._snapshot
            named = self._by_name(mode, using, 0.0)
            shape = check_shape(
                snapshot,
                1,
                min_score=min_score,
                group_by=group_by,
                group_size=group_size,
                order_by=order_by,
                scores=mode == "vector" and named is None,
            )
            wanted = question_of(query, text, vector, mode)
            request = Request(
                self._searching(),
                self._searching().selector.select(where, ids),
                self._target(recall, snapshot),
                exact,
                passages,
                shape,
                excluded_rows(snapshot, exclude),
            )
            if mode == "vector":
                only_with_words(fusion=fusion)
            if named is not None:
                question = Question(text_of(wanted.vector))
                ranking = named.ranking(named.encode(wanted.vector), request)
                found = asked(request.pages(ranking, size), question)
            elif mode == "vector":
                encoded = self._encoder(snapshot.manifest).encode(wanted.vector)
                question = self._question(wanted.vector, encoded, snapshot.manifest)
                found = asked(request.pages(request.by_vector(encoded), size), question)
            else:
                search = ModeSearch(request, self._encoder, mode, using, fusion)
                found = search.pages(wanted, size)
                words = wanted.words if isinstance(wanted.words, str) else ""
                found = asked(found, Question(words))
            return found if deadline is None else limited(found, deadline)

    def facets(
        self,
        columns: Sequence[str] | str,
        *,
        where: Where | None = None,
        ids: Ids | None = None,
        exclude: Ids | None = None,
        query: Query | None = None,
        mode: Literal["vector", "text"] = "vector",
        using: str | Sequence[str] | None = None,
        min_score: float | None = None,
        bins: object = None,
        passages: bool = False,
        timeout: float | None = None,
    ) -> dict[str, pa.Table]:
        """How many documents have each value of some columns, over all that match.

        Args:
            columns: The columns. Each value of a list counts, once for a document.
            where: A filter, as in `search`. With a chunker and without a query, a filter on the
                text sees whole documents.
            ids: As in `search`.
            exclude: As in `search`.
            query: Count only documents that score at least `min_score` with this text or vector;
                with `mode="text"`, those that have its words, as in `search`.
            mode: "vector" or "text".
            using: The columns to search by words, as in `search`.
            min_score: The lowest score. A query of vectors needs it, for every document has some
                score.
            bins: Count ranges of values instead: a number of equal bins, a list of edges, or for
                dates "year", "quarter", "month", "week", "day", "hour", "minute" or "second". A
                dict gives columns bins of their own.
            passages: Count passages instead of documents, in a collection with a chunker.
            timeout: As in `search`.

        Returns:
            For each column a pyarrow Table of `value` and `count`, most frequent first, then by
            value. Missing values count as null. With bins, by value, with the upper edge as `end`;
            the last of numbered bins has both its edges.

        Raises:
            InvalidInputError: A column does not exist, or an argument is wrong.
            FilterError: The filter is wrong.
            OperationTimeoutError: It was not done within `timeout`.
            EmbedderError: The model cannot be loaded or failed.

        Example:
            >>> c.facets("year", where="year > 2000")["year"].to_pydict()
            {'value': [2003, 2021], 'count': [1, 1]}
            >>> c.facets("year", bins=[1990, 2000, 2030])["year"]["count"].to_pylist()
            [1, 2]
            >>> c.facets("year", query="ship OR bus", mode="text")["year"]["value"].to_pylist()
            [2003, 2021]
        """
        with at_most(timeout):
            searcher = self._searching()
            snapshot = searcher.snapshot
            check_one_of("mode", mode, ("vector", "text"))
            if mode == "vector":
                only_with_words(using=using)
            by_words = mode == "text" and query is not None
            if (query is None) != (min_score is None) and not by_words:
                raise InvalidInputError(
                    "facets of a query need min_score, which says what matches, and min_score a "
                    "query",
                    hint="give query= and min_score=, or neither",
                    command_hint="give --query and --min-score, or neither",
                )
            if query is None:
                choose = searcher.selector.select
                if not passages:
                    choose = searcher.selector.select_documents
                rows = choose(where, ids).rows
            elif by_words:
                request = Request(
                    searcher,
                    searcher.selector.select(where, ids),
                    self._target(None, snapshot),
                    False,
                    passages,
                    check_shape(snapshot, 1, min_score=min_score, scores=False),
                )
                search = ModeSearch(request, self._encoder, mode, using, None)
                ranking = search.ranking(question_of(query, None, None, mode))
                lowest = -np.inf if request.shape.min_score is None else request.shape.min_score
                rows = np.sort(ranking.matches(lowest).positions)
            else:
                lowest = check_min_score(min_score, snapshot.manifest.metric)
                selection = searcher.selector.select(where, ids)
                vector = self._encoder(snapshot.manifest).encode(query)
                rows = np.sort(searcher.within(vector, lowest, selection).positions)
            excluded = excluded_rows(snapshot, exclude)
            if excluded is not None:
                rows = rows[~np.isin(rows, excluded)]
            rows = rows if passages else document_rows(snapshot, rows)
            return facets(snapshot, rows, columns, bins)

    # -- The whole collection

    def neighbors(
        self,
        k: int = 10,
        *,
        where: Where | None = None,
        ids: Ids | None = None,
        recall: float | None = None,
        exact: bool = False,
        passages: bool = False,
        timeout: float | None = None,
    ) -> Neighbors:
        """The k nearest neighbors of each document, as an edge table.

        Two documents of several passages score as their most similar passages.

        Args:
            k: How many neighbors of each.
            where: Only these documents, on both sides; as in `search`.
            ids: As in `search`.
            recall: As in `search`. The table's recall is measured on 200 documents.
            exact: Score all pairs.
            passages: Compare passages, not documents; their ids repeat.
            timeout: As in `search`.

        Returns:
            A table of `id`, `neighbor`, `rank` and `score`, with a report.

        Raises:
            InvalidInputError: An argument is wrong.
            FilterError: The filter is wrong.
            OperationTimeoutError: It was not done within `timeout`.

        Example:
            >>> c.neighbors(1).to_pylist()[0]
            {'id': 'boat', 'neighbor': 'ship', 'rank': 1, 'score': 0.78...}
        """
        with at_most(timeout):
            searcher, selection, units = self._whole(where, ids, passages=passages)
            target = self._target(recall, searcher.snapshot)
            return neighbors(searcher, selection, units, check_k(k), target, exact)

    def duplicates(
        self,
        threshold: float,
        *,
        where: Where | None = None,
        ids: Ids | None = None,
        recall: float | None = None,
        exact: bool = False,
        passages: bool = False,
        timeout: float | None = None,
    ) -> Duplicates:
        """All pairs of documents that score at least a threshold with each other.

        Args:
            threshold: The least score, such as 0.95 for cosine.
            where: Only these documents; as in `search`.
            ids: As in `search`.
            recall: As in `search`. The table's recall is measured on 200 documents.
            exact: Score all pairs.
            passages: Compare passages, not documents; their ids repeat.
            timeout: As in `search`.

        Returns:
            A table of `id` (the earlier one), `duplicate` and `score`, with a report.

        Raises:
            InvalidInputError: An argument is wrong.
            FilterError: The filter is wrong.
            OperationTimeoutError: It was not done within `timeout`.

        Example:
            >>> print(c.duplicates(0.9))
            0 pairs in 0 groups score at least 0.9 among 3 documents, all compared exactly
        """
        with at_most(timeout):
            searcher, selection, units = self._whole(where, ids, passages=passages)
            least = check_min_score(threshold, searcher.metric, "threshold")
            target = self._target(recall, searcher.snapshot)
            return duplicates(searcher, selection, units, least, target, exact)

    def join(
        self,
        other: Collection | str | os.PathLike[str],
        k: int = 1,
        *,
        where: Where | None = None,
        other_where: Where | None = None,
        min_score: float | None = None,
        recall: float | None = None,
        exact: bool = False,
        timeout: float | None = None,
    ) -> Joined:
        """For each document the k nearest of another collection.

        Args:
            other: The other collection, or its folder: of the same model, metric and dimension.
            k: How many partners of each.
            where: Only these documents; as in `search`.
            other_where: Only these partners.
            min_score: The lowest score of a pair.
            recall: As in `search`.
            exact: Score all pairs.
            timeout: As in `search`.

        Returns:
            A table of `id`, `other`, `rank` and `score`, with a report.

        Raises:
            InvalidInputError: The collections do not fit, or an argument is wrong.
            FilterError: A filter is wrong.
            OperationTimeoutError: It was not done within `timeout`.

        Example:
            >>> c.join(c, k=1, where="year < 2000").to_pylist()
            [{'id': 'boat', 'other': 'boat', 'rank': 1, 'score': 1.0}]
        """
        with at_most(timeout):
            right = other if isinstance(other, Collection) else open_collection(other)
            k = check_k(k)
            _, _, units = self._whole(where, None)
            searcher, selection, others = right._whole(other_where, None)
            check_joinable(units.snapshot.manifest, searcher.snapshot.manifest)
            if min_score is not None:
                min_score = check_min_score(min_score, searcher.metric)
            target = self._target(recall, searcher.snapshot)
            return join(units, searcher, selection, others, k, min_score, target, exact)

    def outliers(
        self,
        k: int = 10,
        *,
        where: Where | None = None,
        ids: Ids | None = None,
        recall: float | None = None,
        exact: bool = False,
        passages: bool = False,
        timeout: float | None = None,
    ) -> Outliers:
        """How far each document is from what is usual around it, the farthest first.

        The score is the local outlier factor: how many times as far a document is from its k
        neighbors as these are from theirs. It is about 1 for most.

        Args:
            k: How many neighbors each is compared with.
            where: Only these documents; as in `search`.
            ids: As in `search`.
            recall: As in `search`.
            exact: Find the neighbors by exact search.
            passages: Look at passages, not documents.
            timeout: As in `search`.

        Returns:
            A table of `id` and `score`, with a report.

        Raises:
            InvalidInputError: The metric is "ip", or an argument is wrong.
            FilterError: The filter is wrong.
            OperationTimeoutError: It was not done within `timeout`.

        Example:
            >>> c.outliers(1)["id"][0].as_py()
            'bus'
        """
        with at_most(timeout):
            searcher, selection, units = self._whole(where, ids, passages=passages)
            target = self._target(recall, searcher.snapshot)
            return outliers(searcher, selection, units, check_k(k), target, exact)

    def cluster(
        self,
        clusters: int | None = None,
        *,
        links: Any = None,
        resolution: float | None = None,
        share: float | None = None,
        where: Where | None = None,
        ids: Ids | None = None,
        seed: int = 0,
        passages: bool = False,
        timeout: float | None = None,
    ) -> Clusters:
        """Documents in clusters, with labels from their own words: k-means, or Leiden with links.

        All vectors are in memory. A document of several passages is the mean of their vectors.
        With `links`, the clusters are communities: the Leiden algorithm (Traag, Waltman and van
        Eck, "From Louvain to Leiden", Scientific Reports 2019) on the links and on links from each
        document to the ten nearest. The report compares with Leiden on the links alone.

        Args:
            clusters: How many clusters. None: that number, up to 50, whose clusters are separated
                best. With links Leiden finds the number.
            links: Links between documents, by their ids: a table of `source`, `target` and perhaps
                `weight`, of anything that `add` takes; pairs; or a networkx graph. They count in
                both directions.
            resolution: With links: above 1 gives more clusters, below 1 fewer. None: 1.
            share: With links: the total weight of the links to near documents, in parts of that
                of the given links. 0 takes these alone. None: 0.5.
            where: Only these documents; as in `search`.
            ids: As in `search`.
            seed: For the beginning of k-means. The same seed gives the same clusters.
            passages: Cluster passages, not documents.
            timeout: As in `search`.

        Returns:
            A table of `id`, `cluster`, `label` and `score`, with a report.

        Raises:
            InvalidInputError: There are fewer documents than clusters, no link is between two of
                the documents, or an argument is wrong.
            FilterError: The filter is wrong.
            MissingExtraError: Links need the extra `graphs`.
            OperationTimeoutError: It was not done within `timeout`.

        Example:
            >>> c.cluster(2).sizes
            (2, 1)
        """
        if clusters is not None:
            clusters = check_whole("clusters", clusters, 1)
        seed = check_seed(seed)
        if links is None and (resolution is not None or share is not None):
            raise InvalidInputError("resolution and share need links: k-means knows neither")
        if links is not None and clusters is not None:
            raise InvalidInputError(
                "with links the number of clusters is found: give clusters or links, not both",
                hint="resolution= above 1 gives more clusters, below 1 fewer",
                command_hint="--resolution above 1 gives more clusters, below 1 fewer",
            )
        if links is not None and passages:
            raise InvalidInputError("links are between documents: give passages or links, not both")
        with at_most(timeout):
            _, _, units = self._whole(where, ids, passages=passages)
            if links is None:
                return cluster(units, clusters, seed)
            settings = {"resolution": resolution, "share": share}
            given = {name: value for name, value in settings.items() if value is not None}
            return communities(units, links, seed, **given)

    def classify(
        self,
        labels: str | Mapping[Id, Any],
        *,
        model: Literal["neighbors", "logistic", "tf-idf", "logistic+tf-idf"] | None = None,
        neighbors: int = 15,
        where: Where | None = None,
        ids: Ids | None = None,
        seed: int = 0,
        timeout: float | None = None,
    ) -> Classification:
        """Learn the labels of documents from their vectors and texts, and predict those of all.

        The models are the nearest labeled neighbors, logistic regression of the vectors, logistic
        regression of words and pairs of words (tf-idf), and the mean of what the last two think.
        Each is measured on documents that it has not seen, and the best one predicts.

        Args:
            labels: The column of the labels, or a dict of id -> label. Documents without a label
                are only predicted.
            model: Only this model. None: the most accurate on held-out documents.
            neighbors: How many labeled neighbors vote, the nearer the more.
            where: Only these documents; as in `search`.
            ids: As in `search`.
            seed: For the choice of held-out documents.
            timeout: As in `search`.

        Returns:
            A table of `id`, `label`, `confidence` and `given` (the label that it has), with a
            report. What it says of a labeled document comes from a model that has not seen its
            label. Its `predict(texts)` labels documents that are not in the collection.

        Raises:
            InvalidInputError: There are not two labels with two documents each, or an argument is
                wrong.
            IdNotFoundError: No document has an id of `labels`.
            FilterError: The filter is wrong.
            OperationTimeoutError: It was not done within `timeout`.

        Example:
            >>> notes = vs.create("kinds.vs", embedder="toy:64")
            >>> texts = ["red apple", "ripe apple", "sour apple", "fast car", "old car", "new car"]
            >>> _ = notes.add([{"id": n, "text": text} for n, text in enumerate(texts)])
            >>> found = notes.classify({0: "fruit", 1: "fruit", 3: "car", 4: "car"})
            >>> found["label"].to_pylist()[-1]
            'car'
        """
        if model is not None:
            check_one_of("model", model, MODELS)
        neighbors = check_whole("neighbors", neighbors, 1)
        with at_most(timeout):
            searcher, _, units = self._whole(where, ids)
            manifest = searcher.snapshot.manifest
            newcomers = Newcomers(
                manifest, self._model_of(manifest), lambda: self._splitting(manifest)
            )
            return classify(units, labels, check_seed(seed), model, neighbors, newcomers)

    def map(
        self,
        method: Literal["pca", "umap"] = "pca",
        *,
        where: Where | None = None,
        ids: Ids | None = None,
        seed: int = 0,
        passages: bool = False,
        timeout: float | None = None,
    ) -> Map:
        """Documents as points in the plane; `picture` draws them, `atlas` writes them for a viewer.

        Args:
            method: "pca" keeps large distances; "umap" (extra `map`) keeps near documents together.
            where: Only these documents; as in `search`.
            ids: As in `search`.
            seed: For UMAP.
            passages: Map passages, not documents.
            timeout: As in `search`.

        Returns:
            A table of `id`, `x` and `y`, with a report.

        Raises:
            InvalidInputError: There is no document, or an argument is wrong.
            FilterError: The filter is wrong.
            MissingExtraError: `umap-learn` is not installed.
            OperationTimeoutError: It was not done within `timeout`.

        Example:
            >>> c.map().table.column_names
            ['id', 'x', 'y']
        """
        with at_most(timeout):
            check_one_of("method", method, ("pca", "umap"))
            searcher, selection, units = self._whole(where, ids, passages=passages)
            target = self._target(None, searcher.snapshot)
            return mapped(searcher, selection, units, method, target, check_seed(seed))

    def _whole(
        self, where: Where | None, ids: Ids | None, *, passages: bool = False
    ) -> tuple[Searcher, RowSelection, Units]:
        """What questions about whole collections look at."""
        searcher = self._searching()
        selector = searcher.selector
        selection = (selector.select if passages else selector.select_documents)(where, ids)
        return searcher, selection, Units(searcher.snapshot, selection, passages=passages)

    # -- Measuring

    def measure_recall(
        self,
        k: int = 10,
        n_queries: int = 500,
        *,
        where: Where | None = None,
        ids: Ids | None = None,
        recall: float | None = None,
        queries: Queries | None = None,
        using: str | None = None,
        passages: bool = False,
        seed: int = 0,
        regions: int = 10,
    ) -> RecallReport:
        """Measure recall@k against exact search, with a 99% bootstrap interval.

        A RecallWarning says if the target is missed by more than chance.

        Args:
            k: Number of hits of each search.
            n_queries: Maximum number of queries.
            where: A filter, as in `search`.
            ids: The ids of documents to search, as in `search`.
            recall: The recall that searches are to deliver. None: the collection's target.
            queries: Texts, vectors, or "sampled" for those that `sample_queries` stored. None:
                random rows, each searching for its neighbors but not for itself.
            using: The name of vectors of `create(vectors=)`; with several vectors a row, recall is
                that of MaxSim. None: the collection's own vectors.
            passages: Whether passages are to be found. Otherwise documents are, each by its best
                passage.
            seed: Seed of the choice of rows.
            regions: Regions of the data (clusters by k-means) to report apart; 0 for none.

        Returns:
            Mean recall, its interval, what it was measured with, the share of queries below the
            target, the recall of the worst tenth of the queries, and that of each region.

        Raises:
            InvalidInputError: An argument is wrong, or there is nothing to measure.
            FilterError: The filter is wrong.

        Example:
            >>> c.measure_recall(k=2).recall
            1.0
        """
        n_queries, seed = check_whole("n_queries", n_queries, 1), check_whole("seed", seed, 0)
        searcher = self._searching()
        snapshot = searcher.snapshot
        named = None if using is None else self._by_name("vector", using, 0.0)
        asked, query_source = self._questions(queries, snapshot.manifest, named)
        asked = None if asked is None else asked[:n_queries]
        target = self._target(recall, snapshot)
        selection = searcher.selector.select(where, ids)
        return measure_recall(
            searcher if named is None else named.searcher,
            check_k(k),
            n_queries,
            selection if named is None else named.among(selection),
            target,
            asked,
            seed,
            query_source,
            check_regions(regions),
            documents=snapshot.manifest.chunked and not passages,
        )

    def sample_queries(self, count: int) -> int:
        """Store a random sample of future queries, to measure recall with.

        Queries are stored as vectors, not as texts, in the collection's folder. Backups leave them
        out, and `compact(purge=True)` removes them. `build_index` and `measure_recall` take
        `queries="sampled"`. While sampling, a few searches are checked against exact ones; a
        RecallWarning says if they fall short.

        Args:
            count: Maximum number of queries to store; 0 stops sampling and removes them.

        Returns:
            The version that was committed.

        Raises:
            InvalidInputError: The count is wrong.
            LockTimeoutError: Another writer held the lock for too long.
            StorageError: The disk is full or read-only.

        Example:
            >>> _ = c.sample_queries(1000)
            >>> _ = c.search("ship")
            >>> c.measure_recall(queries="sampled").query_source
            'queries sampled from searches'
        """
        self._writable()
        return self._changed(set_sampling(self._store, count))

    def index_advice(self) -> IndexAdvice:
        """Whether it is worthwhile to build the index now.

        Returns:
            What to do and why: rows added and deleted since the build, and what they cost a search.

        Example:
            >>> c.index_advice().action
            'none'
        """
        from vecsearch.index.advice import advise

        return advise(self._snapshot)

    def evaluate(
        self,
        queries: Questions | None = None,
        qrels: Judgments | None = None,
        *,
        k: int | Sequence[int] | None = None,
        mode: Mode = "vector",
        using: str | Sequence[str] | None = None,
        fusion: str | Mapping[str, Any] | Fusion | None = None,
        rerank: Rerank | None = None,
        rerank_top: int | None = None,
        where: Where | None = None,
        ids: Ids | None = None,
        recall: float | None = None,
        exact: bool = False,
        n_queries: int = 500,
        seed: int = 0,
    ) -> QualityReport:
        """Measure search quality, as means with 95% bootstrap intervals and for each query.

        With relevance judgments: nDCG, MRR, recall and MAP at each k, over whole documents, as
        ir-measures computes them. Without: success@k and MRR of questions generated from the
        documents (known-item search).

        Args:
            queries: A folder in the BEIR layout, a file, or query id -> text or vector.
            qrels: A file (BEIR or TREC), or query id -> document id -> grade.
            k: Depth or depths. None: 10 and 100; with `rerank` 10.
            mode: "vector", "text" or "hybrid", as in `search`. The last two need judgments.
            using: The columns to search by words, as in `search`.
            fusion: How hybrid searches make one list, as in `search`.
            rerank: Measure searches with `rerank`, as in `search`, and what it changes against
                those without: `gains` of the report. It needs judgments.
            rerank_top: How many hits are scored again. None: 50, or the largest k if that is more.
            where: A filter, as in `search`.
            ids: The ids of documents to search, as in `search`.
            recall: The recall to deliver. None: the collection's target.
            exact: Use exact search.
            n_queries: Without judgments: number of questions to generate.
            seed: Without judgments: seed of the choice of documents.

        Returns:
            The scores, and what they were measured with.

        Raises:
            InvalidInputError: Queries or judgments are wrong; the message names file and line.
            EmbedderError: There is no model to embed questions with.
            MissingExtraError: ir-measures is not installed.

        Example:
            >>> report = c.evaluate({"q1": "ship"}, {"q1": {"ship": 1}}, k=10)
            >>> report.scores["nDCG@10"].mean
            1.0
        """
        from vecsearch.evaluation.judged import (
            judged_quality,
            only_with_judgments,
            reranked_quality,
        )
        from vecsearch.evaluation.known_items import known_item_quality

        check_one_of("mode", mode, MODES)
        n_queries, seed = check_whole("n_queries", n_queries, 1), check_whole("seed", seed, 0)
        snapshot = self._snapshot
        ids = None if ids is None else self._searching().selector.as_ids(ids)
        search = functools.partial(
            self.search_batch,
            mode=mode,
            using=using,
            fusion=fusion,
            where=where,
            ids=ids,
            recall=recall,
            exact=exact,
        )
        if queries is None and qrels is None and (mode != "vector" or rerank is not None):
            raise only_with_judgments()
        if rerank is not None:
            again = functools.partial(search, rerank=rerank, rerank_top=rerank_top)
            return reranked_quality(snapshot, search, again, queries, qrels, k)
        no_reranking(rerank_top)
        if queries is not None or qrels is not None:
            return judged_quality(snapshot, search, queries, qrels, k)
        rows = self._searching().selector.select(where, ids).rows
        model, splitting = self._model_of(snapshot.manifest), self._splitting(snapshot.manifest)
        split = None if splitting is None else splitting.split
        return known_item_quality(snapshot, search, rows, model, split, n_queries, seed)

    def tune_fusion(
        self,
        queries: Questions | None = None,
        qrels: Judgments | None = None,
        *,
        recall: float | None = None,
        n_queries: int = 500,
        seed: int = 0,
    ) -> FusionReport:
        """Choose how hybrid searches make one list of words and vectors.

        Methods, weights and k are chosen on one half of the queries (nDCG@10), and stored only if
        the other half proves them better than what the collection has: if the 95% interval of the
        difference lies above zero.

        Args:
            queries: As in `evaluate`, but texts. None: questions generated from the documents,
                which favor words, because they are copied from the texts.
            qrels: Relevance judgments, as in `evaluate`.
            recall: The recall of the search by vectors. None: the collection's target.
            n_queries: Without judgments: number of questions to generate.
            seed: Seed of the halves.

        Returns:
            What was chosen, and whether it was kept.

        Raises:
            InvalidInputError: Queries or judgments are wrong, or there are fewer than 20.
            QueryError: The collection is not searched by words.
            LockTimeoutError: Another writer held the lock for too long.

        Example:
            >>> _ = c.add([{"id": f"note {n}", "text": f"about topic{n}"} for n in range(40)])
            >>> queries = {str(n): f"topic{n}" for n in range(40)}
            >>> report = c.tune_fusion(queries, {str(n): {f"note {n}": 1} for n in range(40)})
            >>> report.kept
            False
        """
        from vecsearch.evaluation.fusion import tune_fusion

        self._writable()
        searcher = self.refresh()._searching()
        return self._changed(
            tune_fusion(
                self._store,
                searcher,
                self._encoder,
                queries,
                qrels,
                self._target(recall, searcher.snapshot),
                check_whole("n_queries", n_queries, 1),
                check_whole("seed", seed, 0),
            )
        )

    def plan(
        self,
        query: Query | None = None,
        k: int = 10,
        *,
        where: Where | None = None,
        ids: Ids | None = None,
        recall: float | None = None,
        exact: bool = False,
    ) -> Plan:
        """How `search` would run, and why. No vector is compared.

        Args:
            query: Ignored: a plan does not depend on the query.
            k: Maximum number of hits.
            where: A filter, as in `search`.
            ids: The ids of documents to search, as in `search`.
            recall: The recall to deliver. None: the collection's target.
            exact: Whether to use exact search.

        Returns:
            The plan; `str` says it in words.

        Raises:
            InvalidInputError: k or recall is wrong.
            FilterError: The filter is wrong.

        Example:
            >>> print(c.plan(where="year > 2000"))
            exact search over 2 rows (an index pays from 4,096 rows on)
        """
        searcher = self._searching()
        selection = searcher.selector.select(where, ids)
        target = self._target(recall, searcher.snapshot)
        return searcher.plan(check_k(k), target, exact, selection)

    @staticmethod
    def _target(recall: float | None, snapshot: Snapshot) -> float:
        if recall is None:
            return snapshot.manifest.recall
        return check_recall(recall)

    def _encoder(self, manifest: Manifest) -> QueryEncoder:
        """The encoder of a version, the same as long as the version is the same."""
        encoder = self._last_encoder
        if encoder is None or encoder.manifest is not manifest:
            encoder = QueryEncoder(manifest, self._model_of(manifest))
            self._last_encoder = encoder
        return encoder

    def _by_name(self, mode: Any, using: Any, diversity: Any) -> NamedSearch | None:
        """What searches by named vectors, if `using` names some."""
        if mode != "vector" or using is None:
            return None
        if diversity:
            raise InvalidInputError(
                "diversity compares hits by the collection's own vectors, and using= searches by "
                "others",
                hint="give diversity= or using=",
                command_hint="give --diversity or --using",
            )
        return NamedSearch(self._searching(), using, self._named)

    def _reranking(self, rerank: Any, top: Any, shape: Shape) -> Reranking | None:
        """How the hits of a search are ranked again, if they are."""
        if rerank is None:
            no_reranking(top)
            return None
        manifest = self._snapshot.manifest
        return self._rerankers.reranking(rerank, top, shape, lambda: self._model_of(manifest))

    def _question(
        self, query: Any, vector: npt.NDArray[np.float32] | None, manifest: Manifest
    ) -> Question:
        """What a search was for, with which its hits say what they have in common with it."""
        return self._encoder(manifest).question(query, vector)

    def _questions(
        self, queries: Any, manifest: Manifest, named: NamedSearch | None = None
    ) -> tuple[Any, str]:
        """Queries to measure with, as the searcher takes them, and what they are; None: rows."""
        if named is not None and queries is not None:
            if isinstance(queries, str) and queries == "sampled":
                raise InvalidInputError(
                    "sampled queries are those of the collection's own vectors",
                    hint="give a list of queries, or leave using= out",
                    command_hint="give a file of queries, or leave --using out",
                )
            return named.prepared(named.encode_many(queries)), "the user's own queries"
        if isinstance(queries, str) and queries == "sampled":
            if self._monitor is not None:
                self._monitor.flush()
            return sampled_queries(self.path, manifest), "queries sampled from searches"
        return (
            None if queries is None else self._encoder(manifest).encode_many(queries)
        ), "the user's own queries"

    def _model_of(self, manifest: Manifest) -> Model | None:
        """The model of a version; `reembed` changes it."""
        if manifest.embedder is None:
            return None
        return self._models.get(manifest.embedder) or self._models.setdefault(
            manifest.embedder, Model(self.path, manifest.embedder, manifest.dim)
        )

    # -- Reading

    def get(
        self, ids: Iterable[Id] | Id, columns: Sequence[str] | None = None
    ) -> list[dict[str, Any] | None]:
        """Whole documents by id.

        Args:
            ids: An id or several.
            columns: Columns to return. None: all but the vector.

        Returns:
            A dict for each id, in order; None for an id that no document has.

        Raises:
            InvalidInputError: A column does not exist, or an id has the wrong type.

        Example:
            >>> c.get(["ship", "plane"], ["year"])
            [{'year': 2021}, None]
        """
        return documents_by_id(self._snapshot, ids, columns)

    def head(
        self,
        k: int = 10,
        *,
        where: Where | None = None,
        ids: Ids | None = None,
        columns: Sequence[str] | None = None,
    ) -> list[dict[str, Any]]:
        """The first documents, whole, in the order in which they were added.

        Args:
            k: Maximum number of documents.
            where: A filter. With a chunker, a filter on the text sees whole documents here.
            ids: Only documents with one of these ids, as in `search`.
            columns: Columns to return. None: all but the vector.

        Returns:
            A dict for each document.

        Raises:
            InvalidInputError: A column does not exist, or an id has the wrong type.
            FilterError: The filter is wrong.

        Example:
            >>> c.head(1, columns=["id", "year"])
            [{'id': 'boat', 'year': 1999}]
        """
        selection = self._searching().selector.select_documents(where, ids)
        return first_documents(self._snapshot, selection, check_k(k), columns)

    def vector(self, id: Id | None = None, *, text: str | None = None) -> npt.NDArray[np.float32]:
        """The vector of a document, or of a text as a query.

        Vectors can be added and subtracted, then searched for:
        `c.search(c.vector("king") - c.vector("man") + c.vector("woman"))`.

        Args:
            id: Id of a document. The vector is returned as it was given; for a document of several
                passages, the mean of theirs.
            text: A text, instead of an id. Its vector is the one that a search for it uses.

        Returns:
            float32, shape (dim,).

        Raises:
            IdNotFoundError: No document has the id.
            InvalidInputError: Neither or both were given.
            EmbedderError: The model cannot be loaded or failed.

        Example:
            >>> c.vector("ship").shape
            (64,)
            >>> c.search(c.vector("ship"), k=1).ids
            ['ship']
        """
        if (id is None) == (text is None):
            raise InvalidInputError("vector takes the id of a document, or text=, one of them")
        snapshot = self._snapshot
        if id is None:
            return np.asarray(self._encoder(snapshot.manifest).embed([text])[0], np.float32)
        return np.asarray(document_vectors(snapshot, [id])[0], np.float32)

    def features(
        self, ids: Ids | ArrowArray | ArrowStream, *, missing: Literal["error", "zeros"] = "error"
    ) -> npt.NDArray[np.float32]:
        """The vectors of many documents, as input of another model.

        Args:
            ids: Ids, or an Arrow column of them.
            missing: What an id that no document has gives: an "error", or a row of "zeros".

        Returns:
            float32, shape (len(ids), dim), in the order of `ids`, each as it was given; for a
            document of several passages, the mean of theirs.

        Raises:
            IdNotFoundError: No document has the id, and `missing` is "error".
            InvalidInputError: An id has the wrong type.

        Example:
            >>> c.features(["ship", "bus"]).shape
            (2, 64)
        """
        return document_vectors(self._snapshot, ids, missing)

    def analogy(
        self,
        positive: Iterable[Id] | Id,
        negative: Iterable[Id] | Id = (),
        k: int = 10,
        *,
        where: Where | None = None,
        ids: Ids | None = None,
        recall: float | None = None,
        exact: bool = False,
    ) -> Hits:
        """The k documents nearest to the sum of some documents less others, leaving these out.

        `analogy(positive=["king", "woman"], negative=["man"])` asks: as man is to king, so is woman
        to what? The score is the cosine with the sum (3CosAdd: Mikolov, Yih and Zweig, "Linguistic
        Regularities in Continuous Space Word Representations", NAACL 2013).

        Args:
            positive: Ids of documents whose vectors are added, each with unit length.
            negative: Ids of documents whose vectors are subtracted.
            k: How many documents to return.
            where: As in `search`.
            ids: As in `search`.
            recall: As in `search`.
            exact: As in `search`.

        Raises:
            IdNotFoundError: If a document is missing.
            InvalidInputError: If the metric is not cosine, or the vectors cancel out.

        Example:
            >>> import vecsearch as vs
            >>> words = vs.create("words", dim=2)
            >>> vectors = {"man": [0, 1], "king": [2, 1], "woman": [0, 2], "queen": [2, 1.5]}
            >>> _ = words.add([{"id": word, "vector": vector} for word, vector in vectors.items()])
            >>> words.analogy(positive=["king", "woman"], negative=["man"], k=1).ids
            ['queen']
        """
        metric = self._snapshot.manifest.metric
        target, given = analogy_query(metric, self.features, positive, negative)
        hits = self.search(target, k + len(given), where=where, ids=ids, recall=recall, exact=exact)
        return hits.without(given, k)

    def torch_embedding(
        self,
        ids: Iterable[Id] | None = None,
        *,
        trainable: bool = False,
        missing: Literal["error", "zeros"] = "error",
        padding: bool = False,
        unknown: Literal["mean", "zeros"] | None = None,
    ) -> tuple[Any, EmbeddingRows]:
        """A `torch.nn.Embedding` with documents' vectors as its weight.

        It can be a layer of Wide & Deep, DeepFM, a language model or any other network.

        Args:
            ids: Ids of documents. None: all, in order.
            trainable: Whether training may change the weight. It never changes the collection.
            missing: What an id that no document has gives: an "error", or a row of "zeros". With
                `unknown` it shares the row of unknown ids instead of being an error.
            padding: Make row 0 one of zeros, which fills short sequences and is never trained.
            unknown: Make a row for every other id, which begins with the "mean" of all vectors or
                with "zeros".

        Returns:
            The layer, with weight float32 (rows, dim), and the row of each id. Its `padded` makes a
            matrix of rows from several lists of ids.

        Raises:
            IdNotFoundError: No document has the id, and `missing` is "error".
            InvalidInputError: An id has the wrong type, or there are no documents.

        Example:
            >>> layer, row_of = c.torch_embedding(["ship", "bus"])
            >>> tuple(layer.weight.shape), row_of
            ((2, 64), {'ship': 0, 'bus': 1})
            >>> layer, row_of = c.torch_embedding(padding=True, unknown="mean")
            >>> row_of.padded([["bus", "rocket"], ["ship"]]).shape, row_of["rocket"]
            (torch.Size([2, 2]), 1)
        """
        return torch_embedding(self._snapshot, ids, trainable, missing, padding, unknown)

    def count(
        self,
        where: Where | None = None,
        *,
        ids: Ids | None = None,
        timeout: float | None = None,
    ) -> int:
        """Number of documents that match a filter, or have one of some ids.

        Args:
            where: A filter. None: all documents. With a chunker, a filter on the text sees whole
                documents here.
            ids: The ids of documents to count, as in `search`: those that are not there, and
                repetitions, do not count.
            timeout: Seconds that the call may take, as in `search`.

        Raises:
            FilterError: The filter is wrong.
            InvalidInputError: An id has the wrong type.
            OperationTimeoutError: The count was not done within `timeout`.

        Example:
            >>> c.count("year > 2000")
            2
            >>> c.count(ids=["bus", "plane"])
            1
        """
        if timeout is not None:
            with time_limit(check_timeout(timeout)):
                return self.count(where, ids=ids)
        snapshot = self._snapshot
        if where is None and ids is None:
            return snapshot.manifest.documents
        return snapshot.documents_in(self._searching().selector.select_documents(where, ids))

    def __len__(self) -> int:
        return self._snapshot.manifest.documents

    def to_arrow(
        self,
        columns: Sequence[str] | None = None,
        *,
        where: Where | None = None,
        ids: Ids | None = None,
        timeout: float | None = None,
    ) -> pa.Table:
        """All rows as a pyarrow Table: one row for each document or, with a chunker, each passage.

        Args:
            columns: Columns to return. None: all of the user's, and the vector.
            where: A filter, as in `search`.
            ids: The ids of documents to return, as in `search`. The rows come in the collection's
                order, each once; `get` gives them in the order of the ids.
            timeout: Seconds that the call may take, as in `search`.

        Returns:
            The table. Cosine collections store unit vectors and lengths, so vectors come back
            within a relative error of 1e-6 (1e-3 with dtype "float16").

        Raises:
            InvalidInputError: A column does not exist, or an id has the wrong type.
            FilterError: The filter is wrong.
            OperationTimeoutError: It was not done within `timeout`.

        Example:
            >>> c.to_arrow(["id", "year"], where="year < 2010").to_pylist()
            [{'id': 'boat', 'year': 1999}, {'id': 'bus', 'year': 2003}]
        """
        if timeout is not None:
            with time_limit(check_timeout(timeout)):
                return self.to_arrow(columns, where=where, ids=ids)
        snapshot = self._snapshot
        names = snapshot.columns if columns is None else check_names("columns", columns)
        snapshot.check_columns(names)
        return pa.Table.from_batches(
            snapshot.scan(
                names, self._searching().selector.select(where, ids), snapshot.table_rows(names)
            ),
            schema=snapshot.schema_of(names),
        )

    def to_pandas(
        self,
        columns: Sequence[str] | None = None,
        *,
        where: Where | None = None,
        ids: Ids | None = None,
        timeout: float | None = None,
    ) -> Any:
        """The same as `to_arrow`, as a pandas DataFrame.

        Integers beside missing values have a nullable type of pandas, such as Int64, so that large
        ones stay exact. Values of JSON columns are Python's.

        Args:
            columns: Columns to return. None: all of the user's, and the vector.
            where: A filter, as in `search`.
            ids: The ids of documents to return, as in `to_arrow`.
            timeout: Seconds that the call may take, as in `search`.

        Raises:
            InvalidInputError: A column does not exist, or pandas cannot hold its values.
            MissingExtraError: pandas is not installed.

        Example:
            >>> c.to_pandas(["id", "year"])["year"].tolist()
            [1999, 2021, 2003]
        """
        return frame_of(self.to_arrow(columns, where=where, ids=ids, timeout=timeout))

    def to_ray(
        self,
        columns: Sequence[str] | None = None,
        *,
        where: Where | None = None,
        ids: Ids | None = None,
    ) -> Any:
        """The same as `to_arrow`, as a data set of Ray (`ray.data.Dataset`).

        The workers of the cluster read the rows of this version in parallel, when they are used;
        the collection has to be at the same path on their nodes. `add` takes such data sets.

        Args:
            columns: As of `to_arrow`.
            where: As of `to_arrow`.
            ids: As of `to_arrow`.

        Returns:
            The data set. While this process holds it, garbage collection leaves its version alone.

        Raises:
            MissingExtraError: Ray is not installed (extra `ray`).
            InvalidInputError: A column does not exist, or an id has the wrong type.
            FilterError: The filter is wrong.

        Example:
            >>> c.to_ray(["id", "year"]).count()  # doctest: +SKIP
            3
        """
        from vecsearch.distributed.datasets import ray_dataset

        snapshot = self._snapshot
        names = snapshot.columns if columns is None else check_names("columns", columns)
        snapshot.check_columns(names)
        return ray_dataset(snapshot, names, self._searching().selector.select(where, ids))

    def scan(
        self,
        columns: Sequence[str] | None = None,
        *,
        where: Where | None = None,
        ids: Ids | None = None,
        batch_rows: int = 8192,
        timeout: float | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Stream all rows in batches, from one version whatever is committed meanwhile.

        Args:
            columns: Columns to return. None: all of the user's, and the vector.
            where: A filter, as in `search`.
            ids: The ids of documents to return, as in `to_arrow`.
            batch_rows: Maximum number of rows in a batch.
            timeout: Seconds from the call until the last batch is asked for. The time is looked at
                before each batch. None: no limit.

        Returns:
            An iterator of pyarrow RecordBatches.

        Raises:
            InvalidInputError: A column does not exist, or an id has the wrong type.
            FilterError: The filter is wrong.
            OperationTimeoutError: It was not done within `timeout`, here or at a batch.

        Example:
            >>> [batch.num_rows for batch in c.scan(["id"], batch_rows=2)]
            [2, 1]
        """
        searcher = self._searching()
        batch_rows = check_whole("batch_rows", batch_rows, 1)
        if columns is not None:
            columns = check_names("columns", columns)
            searcher.snapshot.check_columns(columns)
        if timeout is None:
            selection = searcher.selector.select(where, ids)
            return searcher.snapshot.scan(columns, selection, batch_rows)
        with time_limit(check_timeout(timeout)) as deadline:
            selection = searcher.selector.select(where, ids)
            return limited(searcher.snapshot.scan(columns, selection, batch_rows), deadline)

    def info(self) -> CollectionInfo:
        """The collection's documents, columns, embedder and indexes.

        Example:
            >>> info = c.info()
            >>> info.documents, info.dim, info.metric
            (3, 64, 'cosine')
        """
        manifest = self._snapshot.manifest
        return describe(
            self.path,
            manifest,
            lambda entry: kernel_for(entry.recipe, manifest.metric, manifest.dtype),
            self._store.files.calibration,
        )

    def versions(self) -> list[VersionInfo]:
        """The versions that can be opened or rolled back to, oldest first.

        Example:
            >>> [(item.version, item.operation) for item in c.versions()]
            [(1, 'create'), (2, 'add')]
        """
        self._require_in_place()
        pull(self.path)
        return list_versions(self.path)

    # -- Lifetime

    def refresh(self) -> Collection:
        """Read the latest version, with what other processes committed.

        A collection opened at a version stays there.

        Returns:
            The collection itself.

        Example:
            >>> with vs.open("notes.vs") as other:
            ...     _ = other.delete("bus")
            >>> len(c), len(c.refresh())
            (3, 2)
        """
        return self._refreshed()

    def _refreshed(self, *, pulled: bool = False) -> Collection:
        """`refresh`. `pulled`: whether a local copy was brought up to date just now, as by a commit
        of this object."""
        with self._lock:
            current = self._searching().snapshot
            self._require_in_place()
            if self._pinned is not None:
                return self
            if self._store.latest_version(pulled=pulled) != current.manifest.version:
                self._searcher = self._searcher_of(self._store.snapshot(pulled=True))
                self._monitor = search_monitor(
                    self._monitor, self.path, self._searcher.snapshot.manifest
                )
        return self

    def close(self) -> None:
        """Release the files. Hits found before can still be read.

        Example:
            >>> c.close()
            >>> c
            Collection('.../notes.vs', closed)
        """
        self._store.large_merges.wait()
        with self._lock:
            self._searcher = None
            self._store.files.folder.close()
            if self._monitor is not None:
                self._monitor.close()

    def __enter__(self) -> Collection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """A collection is pickled as its path and version, with a model or chunker of your own."""
        manifest = self._snapshot.manifest
        model = None
        if manifest.embedder is not None and manifest.embedder.spec.endswith(":unsaved"):
            model = self._models[manifest.embedder].loaded_or_name()
        given = self._given_chunker
        chunker = given if isinstance(given, FunctionChunker) or callable(given) else None
        return _reopened, (
            self.path.absolute(),
            shown_place(self.path),
            manifest.version,
            self._pinned is not None,
            {
                "embedder": model,
                "chunker": chunker,
                "lock_timeout": self._store.lock_timeout,
                "limits": self._store.limits,
                "serving": self._serving,
            },
        )

    def __repr__(self) -> str:
        if self._searcher is None:
            return f"Collection({shown_place(self.path)!r}, closed)"
        manifest = self._snapshot.manifest
        return (
            f"Collection({shown_place(self.path)!r}, version={manifest.version}, "
            f"documents={manifest.documents}, dim={manifest.dim})"
        )

    def _duplicate_watch(
        self, on_duplicate: str | None, score: float, on_conflict: str
    ) -> DuplicateWatch | None:
        """What looks for duplicates during an add."""
        if on_duplicate is None:
            return None
        check_one_of("on_duplicate", on_duplicate, ("report", "skip"))
        searcher = self._searching()
        score = check_min_score(score, searcher.metric, "duplicate_score")
        if on_conflict == "update":
            raise InvalidInputError(
                "on_duplicate does not go with on_conflict='update', which changes documents",
                hint='take on_conflict="error", "skip", "replace" or "refresh"',
                command_hint="take --on-conflict error, skip, replace or refresh",
            )
        recall, skip = searcher.snapshot.manifest.recall, on_duplicate == "skip"
        return DuplicateWatch(searcher, score, recall, skip=skip)

    def _repr_html_(self) -> str:
        if self._searcher is None:
            return html_fields({"collection": f"{shown_place(self.path)} (closed)"})
        return self.info()._repr_html_()

    def _searching(self) -> Searcher:
        """The searcher; raises CollectionClosedError if the collection was closed."""
        searcher = self._searcher
        if searcher is None:
            raise CollectionClosedError(
                f"the collection {shown_place(self.path)} was closed",
                hint="open it again with vecsearch.open",
                command_hint="run the command again",
            )
        return searcher

    def _searcher_of(self, snapshot: Snapshot) -> Searcher:
        return Searcher(snapshot) if self._serving is None else self._serving.searcher(snapshot)

    @property
    def _snapshot(self) -> Snapshot:
        return self._searching().snapshot

    def _writable(self) -> Snapshot:
        """The snapshot; raises InvalidInputError if the collection was opened at a version."""
        if self._pinned is not None:
            raise InvalidInputError(
                f"the collection was opened at version {self._pinned}, which is history",
                hint=f"open it without version= to change it, or rollback({self._pinned}) there",
                command_hint="leave --version out to change it, or make that version the latest "
                f"with `vecsearch rollback {self.path} {self._pinned}`",
            )
        return self._snapshot

    def _require_in_place(self) -> None:
        """Raise an error if the folder was moved, removed or replaced since it was opened."""
        folder = self._store.files.folder
        folder.check()
        if not self._snapshot.is_in_place():
            folder.check(log.load(self.path))

    def _changed(self, result: T) -> T:
        """Pass on a result after reading the version that was committed."""
        self._refreshed(pulled=True)
        return result

    def _with_index(self, result: C, *, dry_run: bool) -> C:
        """The result of a change, after what it left outside the indexes was indexed."""
        self._refreshed(pulled=True)
        indexed = None if dry_run else self._index_changes(None, None)
        if indexed is None:
            return result
        return dataclasses.replace(result, version=indexed.version)

    def _index_changes(self, wanted: bool | None, progress: bool | None) -> Indexed | None:
        """Index what a change left outside the indexes, unless that is not wanted.

        The change is committed, so an error here is a warning. With a time limit nothing is
        indexed: that is left to a later change.
        """
        from vecsearch.index.updating import index_all_changes, indexes_changes

        if wanted is None:
            wanted = indexes_changes(self._snapshot.manifest)
        if not wanted or is_limited():
            return None
        try:
            indexed = index_all_changes(self._store, self._snapshot, progress)
        except (VecsearchError, OSError, MemoryError) as error:
            warnings.warn(
                f"the change was committed, but its rows were not indexed: {error}",
                RuntimeWarning,
                stacklevel=4,
            )
            return None
        if indexed is None:
            return None
        trim_heap()
        return self._changed(indexed)

    def _splitting(self, manifest: Manifest) -> Splitting | None:
        """How texts are split into passages; None without a chunker."""
        if manifest.chunker is None:
            return None
        given: Any = self._given_chunker
        if given is None or given is False:
            given = manifest.chunker
        chunker = resolve_chunker(given)
        if chunker is None or chunker.to_dict() != dict(manifest.chunker):
            raise InvalidInputError(
                f"the collection was made with the chunker {dict(manifest.chunker)}",
                hint="open it with that one (chunker=)",
                command_hint="use this collection from Python, where the chunker can be given",
            )
        if isinstance(chunker, AutoChunker):
            model = self._model_of(manifest)
            chunker = AutoChunker(lambda: None if model is None else model.embedder)
        return splitting_of(chunker)


def _reopened(
    root: Path, place: str, version: int, pinned: bool, options: dict[str, Any]
) -> Collection:
    """A collection that was pickled: at the version it read, or the latest if that is gone."""
    root = path_again(root, place)
    collection = Collection(root, version=version if pinned else None, **options)
    if not pinned and collection._snapshot.manifest.version != version:
        with contextlib.suppress(VersionNotFoundError):
            collection._searcher = collection._searcher_of(collection._store.snapshot(version))
    return collection


def _dimension(dim: int | None, model: Embedder | None) -> int:
    """The dimension of a new collection: the model's, or the given one."""
    if model is not None:
        if dim is not None and dim != model.dim:
            raise InvalidInputError(
                f"dim is {dim}, but {model.name} makes vectors of {counted(model.dim, 'number')}",
                hint="leave dim= out",
                command_hint="leave --dim out",
            )
        dim = model.dim
    if dim is None:
        raise InvalidInputError(
            "the collection needs an embedder, or the dimension of its vectors",
            hint="give embedder= or dim=",
            command_hint="give --embedder or --dim",
        )
    return check_dim(dim, LARGEST_DIM)
