"""Make and open collections."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from vecsearch.common.accepted import (
    DtypeName,
    MetricName,
    Schema,
    StorageOptions,
)
from vecsearch.common.arguments import (
    check_column_names,
    check_dim,
    check_flag,
    check_keep_versions,
    check_one_of,
    check_recall,
    check_shards,
    parse_metric,
)
from vecsearch.common.gate import gated
from vecsearch.common.json_column import type_name
from vecsearch.common.keyed import embeds_ids
from vecsearch.common.table_rows import row_columns
from vecsearch.embedders import resolve_embedder
from vecsearch.embedders.base import Embedder
from vecsearch.embedders.named_vectors import NamedModels, NamedVector, declare_vectors
from vecsearch.embedders.stored import (
    embeds_texts,
    entry_of,
    settings_for,
)
from vecsearch.errors import (
    InvalidInputError,
)
from vecsearch.evaluation.query_sample import (
    check_count,
)
from vecsearch.ingest.auto import AutoChunker
from vecsearch.ingest.chunking import FunctionChunker, resolve_chunker
from vecsearch.maintenance.full_text import full_text_entry
from vecsearch.query.named import NamedSearch
from vecsearch.storage.describe import first_manifest
from vecsearch.storage.folders import make_collection_folders, removed_on_error
from vecsearch.storage.layout import AUTO_INDEX_SETTING, MANIFESTS, SAMPLE_SETTING
from vecsearch.storage.limits import DEFAULT_LIMITS, Limits
from vecsearch.storage.manifest import replace
from vecsearch.storage.manifest_check import LARGEST_DIM
from vecsearch.storage.objects.places import collection_path
from vecsearch.storage.origins import origin_of
from vecsearch.storage.schema import storable_type, with_json
from vecsearch.storage.store import Store
from vecsearch.text.analyzer import Analyzer
from vecsearch.types import (
    counted,
)

if TYPE_CHECKING:
    from vecsearch.distributed.serving import RayServing
from vecsearch.collection.facade import Collection
from vecsearch.collection.opened import LOCK_TIMEOUT, Chunking

DEFAULT_METRIC = "cosine"


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
