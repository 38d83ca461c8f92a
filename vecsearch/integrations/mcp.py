"""MCP: tools with which language models search collections, and change them if that is allowed."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from vecsearch.collection import Collection, open_collection
from vecsearch.common.json_values import plain
from vecsearch.common.local_files import no_local_files
from vecsearch.common.optional import find_installed
from vecsearch.common.suggest import did_you_mean
from vecsearch.errors import InvalidInputError, VecsearchError

find_installed("mcp.server.mcpserver", "mcp", "mcp", "Serving language models")

from mcp.server.mcpserver import MCPServer  # noqa: E402
from mcp.server.mcpserver.exceptions import ResourceError, ToolError  # noqa: E402
from mcp_types import ToolAnnotations  # noqa: E402
from pydantic import Field  # noqa: E402

T = TypeVar("T")
MOST_HITS = 100
MOST_VALUES = 1000
MOST_DOCUMENTS = 1000
LONGEST_TEXT = 4000  # characters of a value in an answer; `get` gives whole documents
SUFFIX = ".vs"

Name = Annotated[str, Field(description="A collection's name; `describe` without one lists them")]
Count = Annotated[int, Field(description="How many hits", ge=1, le=MOST_HITS)]
Condition = Annotated[
    str | None,
    Field(description="SQL condition on the columns, such as year >= 2000 AND lang = 'en'"),
]
Columns = Annotated[list[str] | None, Field(description="Columns to return; all if left out")]
DocumentId = int | str


@dataclass
class Found:
    """A hit: its score, higher is nearer (with the metric l2: lower), and the document."""

    id: DocumentId
    score: float
    document: dict[str, Any]


@dataclass
class Answer:
    """Hits, best first, and how the search was done."""

    hits: list[Found]
    plan: str


@dataclass
class Got:
    """Documents in the order of the ids, and the ids that no document has."""

    documents: list[dict[str, Any]]
    missing: list[DocumentId]


@dataclass
class ValueCount:
    """A value and how many documents have it."""

    value: Any
    count: int


@dataclass
class Facets:
    """Values of each column, most frequent first."""

    columns: dict[str, list[ValueCount]]
    cut: list[str] = field(default_factory=list)


@dataclass
class Description:
    """A collection's size, columns and promise of recall."""

    name: str
    documents: int
    version: int
    embedder: str | None
    metric: str
    recall: float
    searched_by_words: list[str]
    columns: dict[str, str]


@dataclass
class Descriptions:
    """The collections that are served."""

    collections: list[Description]
    can_write: bool


@dataclass
class Changed:
    """What a change did: it is one commit, of this version."""

    added: int = 0
    replaced: int = 0
    deleted: int = 0
    missing: int = 0
    version: int = 0


class _Shelf:
    """The open collections by name, used one call at a time each."""

    def __init__(self, folders: Iterable[str | Path]) -> None:
        self._collections: dict[str, Collection] = {}
        self._locks: dict[str, threading.Lock] = {}
        for folder in folders:
            name = Path(folder).resolve().name.removesuffix(SUFFIX)
            if name in self._collections:
                raise InvalidInputError(
                    f"two collections are called {name!r}",
                    hint="a collection's name is its folder's; serve one of them",
                )
            self._collections[name] = open_collection(folder)
            self._locks[name] = threading.Lock()
        if not self._collections:
            raise InvalidInputError("there is no collection to serve", hint="name one or more")

    @property
    def names(self) -> list[str]:
        return list(self._collections)

    def call(self, name: str, function: Callable[[Collection], T]) -> T:
        """Do something with the newest version of a collection; its errors are the tool's."""
        if name not in self._collections:
            raise ToolError(
                f"there is no collection {name!r}{did_you_mean(name, self.names)}; there are: "
                f"{', '.join(self.names)}"
            )
        try:
            with self._locks[name], no_local_files():  # a question is no path
                return function(self._collections[name].refresh())
        except VecsearchError as error:
            raise ToolError(str(error)) from error


def server(collections: Iterable[str | Path], *, write: bool = False) -> MCPServer:
    """An MCP server with tools for some collections.

    The tools are `search`, `similar`, `get`, `facets` and `describe`; with `write`, also `add` and
    `delete`. The resources are `vecsearch://NAME/schema` and `vecsearch://NAME/doc/ID`.

    Args:
        collections: Folders of collections; a collection's name is its folder's, without `.vs`.
        write: Whether models may add and delete documents.

    Returns:
        The server; `run("stdio")` and `run("streamable-http")` are the SDK's.

    Raises:
        InvalidInputError: There is no collection, or two have the same name.
        CollectionNotFoundError: A folder is none.

    Example:
        >>> import vecsearch as vs
        >>> from vecsearch.integrations.mcp import server
        >>> vs.create("notes.vs", embedder="toy:64").close()
        >>> server(["notes.vs"]).name
        'vecsearch'
    """
    shelf = _Shelf(collections)
    served = MCPServer(
        "vecsearch",
        instructions="Search collections of documents by meaning, by words, or both. Call "
        "`describe` first: it lists the collections, their columns and sizes.",
    )
    _add_reading_tools(served, shelf, write)
    if write:
        _add_writing_tools(served, shelf)
    _add_resources(served, shelf)
    return served


def _add_reading_tools(served: MCPServer, shelf: _Shelf, write: bool) -> None:
    reading = ToolAnnotations(read_only_hint=True, open_world_hint=False)

    @served.tool(annotations=reading)
    def search(
        collection: Name,
        query: Annotated[str, Field(description="What to look for, in plain words")],
        k: Count = 10,
        where: Condition = None,
        mode: Annotated[
            Literal["vector", "text", "hybrid"],
            Field(description="By meaning, by the words themselves, or both"),
        ] = "vector",
        columns: Columns = None,
    ) -> Answer:
        """Find the documents that answer a query best. Long texts are cut; `get` has them whole."""
        return shelf.call(
            collection,
            lambda c: _answer(c.search(query, k, where=where, mode=mode), columns),
        )

    @served.tool(annotations=reading)
    def similar(
        collection: Name,
        id: Annotated[DocumentId, Field(description="The document's id")],
        k: Count = 10,
        where: Condition = None,
        columns: Columns = None,
    ) -> Answer:
        """Find the documents most similar to a document, without itself."""
        return shelf.call(
            collection,
            lambda c: _answer(c.similar(_known(c, id), k, where=where), columns),
        )

    @served.tool(annotations=reading)
    def get(
        collection: Name,
        ids: Annotated[list[DocumentId], Field(max_length=MOST_DOCUMENTS)],
        columns: Columns = None,
    ) -> Got:
        """Whole documents by id."""

        def got(c: Collection) -> Got:
            found = c.get([_known(c, id) for id in ids], columns)
            return Got(
                [plain(row) for row in found if row is not None],
                [id for id, row in zip(ids, found, strict=True) if row is None],
            )

        return shelf.call(collection, got)

    @served.tool(annotations=reading)
    def facets(
        collection: Name,
        columns: Annotated[list[str], Field(min_length=1)],
        where: Condition = None,
        most: Annotated[int, Field(description="Values of a column", ge=1, le=MOST_VALUES)] = 50,
    ) -> Facets:
        """Count how many documents have each value of some columns, of all that match."""

        def counted(c: Collection) -> Facets:
            tables = c.facets(columns, where=where)
            return Facets(
                {
                    name: [
                        ValueCount(plain(row["value"]), row["count"])
                        for row in table.slice(0, most).to_pylist()
                    ]
                    for name, table in tables.items()
                },
                [name for name, table in tables.items() if table.num_rows > most],
            )

        return shelf.call(collection, counted)

    @served.tool(annotations=reading)
    def describe(
        collection: Annotated[str | None, Field(description="A name; all if left out")] = None,
    ) -> Descriptions:
        """The collections: documents, columns and their types, model, recall."""
        names = shelf.names if collection is None else [collection]
        described = [shelf.call(name, partial(_described, name)) for name in names]
        return Descriptions(described, write)


def _add_writing_tools(served: MCPServer, shelf: _Shelf) -> None:
    @served.tool(annotations=ToolAnnotations(destructive_hint=True, idempotent_hint=False))
    def add(
        collection: Name,
        documents: Annotated[
            list[dict[str, Any]],
            Field(min_length=1, max_length=MOST_DOCUMENTS, description="Columns and values"),
        ],
        on_conflict: Annotated[
            Literal["error", "skip", "replace", "update"],
            Field(description="What to do with ids that are there already"),
        ] = "error",
    ) -> Changed:
        """Add documents, all of them or, on any error, none."""

        def added(c: Collection) -> Changed:
            done = c.add(documents, on_conflict=on_conflict, progress=False)
            return Changed(added=done.added, replaced=done.replaced, version=done.version)

        return shelf.call(collection, added)

    @served.tool(annotations=ToolAnnotations(destructive_hint=True, idempotent_hint=True))
    def delete(
        collection: Name,
        ids: Annotated[list[DocumentId], Field(min_length=1, max_length=MOST_DOCUMENTS)],
    ) -> Changed:
        """Delete documents by id."""

        def deleted(c: Collection) -> Changed:
            done = c.delete([_known(c, id) for id in ids])
            return Changed(deleted=done.deleted, missing=done.missing, version=done.version)

        return shelf.call(collection, deleted)


def _add_resources(served: MCPServer, shelf: _Shelf) -> None:
    @served.resource("vecsearch://{collection}/schema", mime_type="application/json")
    def schema(collection: str) -> str:
        """A collection's columns and their types."""
        return _resource(shelf, collection, lambda c: dict(_described(collection, c).columns))

    @served.resource("vecsearch://{collection}/doc/{id}", mime_type="application/json")
    def document(collection: str, id: str) -> str:
        """A whole document."""

        def read(c: Collection) -> dict[str, Any]:
            (row,) = c.get([_known(c, id)])
            if row is None:
                raise ToolError(f"no document of {collection!r} has the id {id!r}")
            return row

        return _resource(shelf, collection, read)


def _resource(shelf: _Shelf, name: str, read: Callable[[Collection], dict[str, Any]]) -> str:
    try:
        return json.dumps(plain(shelf.call(name, read)), ensure_ascii=False)
    except ToolError as error:
        raise ResourceError(str(error)) from error


def _known(collection: Collection, id: DocumentId) -> DocumentId:
    """An id in the type of the collection's ids: models and addresses write 7 as "7", and so on."""
    info = collection.info()
    kind = info.columns.get(info.id_column, "")
    if isinstance(id, str) and "int" in kind and id.lstrip("-").isdecimal():
        return int(id)
    if isinstance(id, int) and "string" in kind:
        return str(id)
    return id


def _answer(hits: Any, columns: list[str] | None) -> Answer:
    found = [Found(hit.id, float(hit.score), _shortened(hit.to_dict(columns))) for hit in hits]
    return Answer(found, str(hits.plan))


def _shortened(row: dict[str, Any]) -> dict[str, Any]:
    """A row without what a hit says beside it, with long texts cut."""
    row = {name: value for name, value in row.items() if name not in ("rank", "score")}
    short: dict[str, Any] = plain(row)
    for name, value in short.items():
        if isinstance(value, str) and len(value) > LONGEST_TEXT:
            short[name] = value[:LONGEST_TEXT] + f" ... ({len(value):,} characters)"
    return short


def _described(name: str, collection: Collection) -> Description:
    info = collection.info()
    return Description(
        name=name,
        documents=info.documents,
        version=info.version,
        embedder=info.embedder,
        metric=info.metric,
        recall=info.recall,
        searched_by_words=list(info.full_text),
        columns={
            key: kind.removeprefix("large_")
            for key, kind in info.columns.items()
            if key != "vector" and not key.startswith("_")
        },
    )
