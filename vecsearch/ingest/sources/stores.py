"""Collections of other vector stores: Chroma, LanceDB, Qdrant -> ids, texts, metadata, vectors.

They are read by the stores' own packages, which are imported only then. Ids, texts and metadata are
held in memory; vectors are read batch by batch.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from vecsearch.common.optional import require
from vecsearch.errors import InvalidInputError, VecsearchError
from vecsearch.ingest.sources.base import Batches, Located, Part, SourceFile
from vecsearch.ingest.sources.dicts import rows_part
from vecsearch.ingest.sources.memory import vector_column
from vecsearch.ingest.sources.reading import Reading
from vecsearch.ingest.sources.values import unmixed
from vecsearch.ingest.vector_column import is_list_column
from vecsearch.types import VECTOR

INSIDE = "::"  # what comes before the name of a collection
# Keys under which others store a text.
TEXT_KEYS = ("text", "document", "page_content", "content")

Fetch = Callable[[int, int], "np.ndarray[Any, np.dtype[np.float32]]"]


class OtherStore(PathLike[str]):
    """The collection of another vector store, in a list of paths: `chroma:PATH`, `lancedb:PATH` or
    `qdrant:PATH`, and `::NAME` where there are several collections.

    Args:
        address: The kind, the path and the name.

    Example:
        >>> from vecsearch.ingest.sources.stores import OtherStore
        >>> store = OtherStore("chroma:old/store::papers")
        >>> store.kind, store.path, store.collection
        ('chroma', 'old/store', 'papers')
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.kind, _, rest = address.partition(":")
        path, _, self.collection = rest.partition(INSIDE)
        at_home = path.startswith("~/")  # no shell expands it after a colon
        self.path = str(Path(path).expanduser()) if at_home else path

    def __fspath__(self) -> str:
        return self.address


def is_store(path: str | PathLike[str]) -> bool:
    """Whether a path means the collection of another vector store."""
    kind, colon, rest = str(path if isinstance(path, str) else path.__fspath__()).partition(":")
    return bool(colon and rest) and kind in READERS


def store_part(store: OtherStore, file: SourceFile) -> Part:
    """The rows of the collection of another store.

    Raises:
        InvalidInputError: There is no such store or collection, or it cannot be read.
        MissingExtraError: The store's package is not installed.
    """
    if not Path(store.path).is_dir():
        what = "is no folder" if Path(store.path).exists() else "does not exist"
        raise InvalidInputError(
            f"{store.address}: {store.path!r} {what}; a store of {store.kind} is a folder"
        )
    try:
        return READERS[store.kind](store, file)
    except VecsearchError:
        raise
    except Exception as error:  # other packages raise anything
        raise _unreadable(store, error) from error


def _unreadable(store: OtherStore, error: Exception) -> InvalidInputError:
    reason = str(error) or type(error).__name__
    return InvalidInputError(f"{store.address} cannot be read: {reason}")


def _chosen(store: OtherStore, names: Sequence[str]) -> str:
    """The collection that is meant.

    Raises InvalidInputError if there is none of this name, or several and none was named.
    """
    shown = ", ".join(sorted(names)) or "none"
    if store.collection:
        if store.collection not in names:
            raise InvalidInputError(
                f"{store.address}: there is no collection {store.collection!r}; there are: {shown}"
            )
        return store.collection
    if not names:
        raise InvalidInputError(f"{store.address} holds no collection")
    if len(names) != 1:
        raise InvalidInputError(
            f"{store.address} holds {len(names)} collections ({shown}): name one, as in "
            f"{store.kind}:{store.path}{INSIDE}{min(names)}"
        )
    return names[0]


def _read_chroma(store: OtherStore, file: SourceFile) -> Part:
    chromadb = require("chromadb", "chromadb", "chroma", "Reading a store of Chroma")
    if not Path(store.path, "chroma.sqlite3").is_file():
        raise InvalidInputError(f"{store.address}: there is no chroma.sqlite3 in {store.path!r}")
    try:
        quiet = chromadb.config.Settings(anonymized_telemetry=False)
        client = chromadb.PersistentClient(path=store.path, settings=quiet)
    except ValueError:  # this process has it open already, with its own settings
        client = chromadb.PersistentClient(path=store.path)
    names = [getattr(each, "name", each) for each in client.list_collections()]
    collection = client.get_collection(_chosen(store, names), embedding_function=None)
    points: list[_Point] = []
    total = collection.count()
    for start in range(0, total, file.batch_rows):
        found = collection.get(
            limit=file.batch_rows, offset=start, include=["metadatas", "documents"]
        )
        for each, text, about in zip(
            found["ids"], found["documents"], found["metadatas"], strict=True
        ):
            points.append(_Point(each, text, dict(about or {})))
    ids = [point.key for point in points]

    def vectors(start: int, count: int) -> Any:
        wanted = ids[start : start + count]
        found = collection.get(ids=wanted, include=["embeddings"])
        by_id = dict(zip(found["ids"], found["embeddings"], strict=True))
        return np.array([by_id[each] for each in wanted], np.float32)

    return _part(store, file, points, vectors)


def _read_qdrant(store: OtherStore, file: SourceFile) -> Part:
    """Qdrant's client unpickles the points of a local store: open only those you trust."""
    qdrant = require("qdrant_client", "qdrant-client", "qdrant", "Reading a store of Qdrant")
    if not Path(store.path, "meta.json").is_file():
        raise InvalidInputError(
            f"{store.address} is no local store of qdrant-client (it has no meta.json); the folder "
            "of a Qdrant server is read by the server only"
        )
    client = qdrant.QdrantClient(path=store.path)
    try:
        name = _chosen(store, [each.name for each in client.get_collections().collections])
        found: list[_Point] = []
        matrices: list[Any] = []
        offset = None
        while True:
            points, offset = client.scroll(
                name, limit=file.batch_rows, offset=offset, with_payload=True, with_vectors=True
            )
            for point in points:
                about = dict(point.payload or {})
                key = next((key for key in (file.text_column, *TEXT_KEYS) if key in about), None)
                text = about.pop(key) if key is not None else None
                found.append(_Point(point.id, text, about))
            if points:
                matrices.append(np.array([_dense(store, p.vector) for p in points], np.float32))
            if offset is None:
                break
    finally:
        client.close()
    matrix = np.concatenate(matrices) if matrices else np.zeros((0, 0), np.float32)
    return _part(store, file, found, lambda start, count: matrix[start : start + count])


def _dense(store: OtherStore, vector: Any) -> Any:
    """The one vector of a point."""
    if isinstance(vector, dict):
        dense = {name: each for name, each in vector.items() if isinstance(each, list)}
        if len(dense) != 1:
            names = ", ".join(sorted(vector)) or "none"
            raise InvalidInputError(
                f"{store.address}: its points have the vectors {names}, and one is needed"
            )
        (vector,) = dense.values()
    if not isinstance(vector, list) or (vector and isinstance(vector[0], list)):
        raise InvalidInputError(f"{store.address}: a point has no vector, or several in one")
    return vector


def _read_lancedb(store: OtherStore, file: SourceFile) -> Part:
    lancedb = require("lancedb", "lancedb", "lancedb", "Reading a store of LanceDB")
    opened = lancedb.connect(store.path)
    listed = opened.list_tables() if hasattr(opened, "list_tables") else opened.table_names()
    names = list(getattr(listed, "tables", listed))
    table = opened.open_table(_chosen(store, names))
    schema = table.schema
    vectors = [field.name for field in schema if _is_vector(field.type)]
    vectors = vectors or [field.name for field in schema if _is_floats(field.type)]
    named = [name for name in vectors if name == VECTOR] or vectors
    if len(named) != 1:
        raise InvalidInputError(
            f"{store.address}: its columns of vectors are {', '.join(vectors) or 'none'}, and one "
            f"of them must be {VECTOR!r}, or the only one"
        )
    renamed = [VECTOR if name == named[0] else name for name in schema.names]
    schema = pa.schema([f.with_name(n) for f, n in zip(schema, renamed, strict=True)])

    def read(wanted: pa.Schema) -> Batches:
        try:
            for batch in table.search().to_batches(file.batch_rows):
                yield batch.select(table.schema.names).rename_columns(renamed)
        except Exception as error:
            raise _unreadable(store, error) from error

    return Part(store.address, table.count_rows(), schema, read)


def _is_vector(kind: pa.DataType) -> bool:
    return pa.types.is_fixed_size_list(kind) and _is_floats(kind)


def _is_floats(kind: pa.DataType) -> bool:
    """Whether values are lists of floating-point numbers."""
    return bool(is_list_column(kind) and pa.types.is_floating(kind.value_type))


class _Point(NamedTuple):
    key: Any
    text: Any
    about: dict[str, Any]


def _rows(file: SourceFile, points: Sequence[_Point]) -> list[dict[str, Any]]:
    """Points as rows; metadata that is called as the column of ids, texts or vectors gets an
    underscore, or as many as no other has.
    """
    taken = {name for point in points for name in point.about}
    renamed = {}
    for name in taken & {file.reading.id_column, file.text_column, VECTOR}:
        free = f"{name}_"
        while free in taken:
            free += "_"
        renamed[name] = free
        taken.add(free)
    rows = []
    for key, text, about in points:
        row: dict[str, Any] = {file.reading.id_column: key}
        if text is not None:
            row[file.text_column] = text if isinstance(text, str) else json.dumps(text)
        rows.append(row | {renamed.get(name, name): value for name, value in about.items()})
    unmixed(rows)
    return rows


def _part(store: OtherStore, file: SourceFile, points: list[_Point], vectors: Fetch) -> Part:
    rows = _rows(file, points)
    part = rows_part(rows, store.address, file.batch_rows, file.known, Reading())
    if not rows:
        return part
    try:
        dim = int(vectors(0, 1).shape[1])
    except (KeyError, ValueError, IndexError) as error:
        raise InvalidInputError(f"{store.address}: its documents have no vectors") from error
    schema = part.schema.append(pa.field(VECTOR, pa.list_(pa.float32(), dim)))

    def batches(wanted: pa.Schema) -> Iterator[pa.RecordBatch]:
        done = 0
        for item in part.read(part.schema):
            batch = item.batch if isinstance(item, Located) else item
            try:
                matrix = np.ascontiguousarray(vectors(done, batch.num_rows), np.float32)
            except Exception as error:
                raise _unreadable(store, error) from error
            done += batch.num_rows
            arrays = [*batch.columns, vector_column(matrix)]
            fields = [*batch.schema, schema.field(VECTOR)]
            yield pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))

    return Part(store.address, len(rows), schema, batches)


READERS: dict[str, Callable[[OtherStore, SourceFile], Part]] = {
    "chroma": _read_chroma,
    "lancedb": _read_lancedb,
    "qdrant": _read_qdrant,
}
