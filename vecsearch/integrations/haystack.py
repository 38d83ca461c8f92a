"""Haystack: a collection as a document store, and retrievers for it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping
from typing import Any

from vecsearch.collection import Collection
from vecsearch.common.optional import find_installed
from vecsearch.errors import DuplicateIdError
from vecsearch.integrations import conditions as sql
from vecsearch.integrations.documents import METADATA, TEXT, Columns, Documents, MetricName

find_installed("haystack", "haystack-ai", "haystack", "The document store of Haystack")

from haystack import Document, default_from_dict, default_to_dict  # noqa: E402
from haystack.document_stores.errors import DuplicateDocumentError  # noqa: E402
from haystack.document_stores.types import DuplicatePolicy  # noqa: E402
from haystack.errors import FilterError  # noqa: E402
from haystack.utils.filters import document_matches_filter  # noqa: E402

EMBEDDED = "embedded"
REST = "rest"
_POLICIES = {
    DuplicatePolicy.NONE: "error",
    DuplicatePolicy.FAIL: "error",
    DuplicatePolicy.SKIP: "skip",
    DuplicatePolicy.OVERWRITE: "replace",
}
Filters = dict[str, Any]


class VecsearchDocumentStore:
    """A Haystack document store in a collection on disk.

    The collection is made by the first documents that are written. Metadata of any keys and types
    goes into a JSON column. Documents without an embedding are kept, counted and found by words,
    and left out of searches by embedding. Embeddings are stored as float32.

    Filters follow Haystack's rules: `!=` and `not in` find documents without the key, too.
    Comparisons of dates read the metadata of every document; others are SQL.

    Args:
        path: The collection's folder.
        collection: An open collection, instead of the path.
        embedding_dim: The length of embeddings, where the first documents have none.
        columns: Metadata keys with a typed column of their own, such as {"year": "int64"}, which
            filters read faster.
        metric: The metric of a new collection: "cosine", "ip" or "l2".

    Raises:
        InvalidInputError: Both or neither of path and collection are given, or the collection has
            no JSON column `metadata`.

    Example:
        >>> from haystack import Document
        >>> from vecsearch.integrations.haystack import VecsearchDocumentStore
        >>> store = VecsearchDocumentStore("notes.vs")
        >>> store.write_documents([Document(content="a boat", embedding=[1.0, 0.0])])
        1
        >>> [document.content for document in store.embedding_retrieval([1.0, 0.0])]
        ['a boat']
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        collection: Collection | None = None,
        embedding_dim: int = 768,
        columns: Columns | None = None,
        metric: MetricName = "cosine",
    ) -> None:
        self.embedding_dim = embedding_dim
        self._documents = Documents(
            path,
            collection,
            columns,
            extra={EMBEDDED: "bool", REST: "json"},
            metric=metric,
        )

    @property
    def collection(self) -> Collection | None:
        """The collection; None before the first document."""
        return self._documents.collection

    def to_dict(self) -> dict[str, Any]:
        """The store as a pipeline's file has it; the documents stay in the collection."""
        path = self._documents.path
        if path is None:
            assert self.collection is not None
            path = self.collection.path
        data: dict[str, Any] = default_to_dict(
            self,
            path=str(path),
            embedding_dim=self.embedding_dim,
            columns=dict(self._documents.columns),
            metric=self._documents.metric,
        )
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> VecsearchDocumentStore:
        """A store from what `to_dict` gave."""
        store: VecsearchDocumentStore = default_from_dict(cls, data)
        return store

    # -- Writing

    def write_documents(
        self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE
    ) -> int:
        """Write documents in one commit.

        Args:
            documents: The documents.
            policy: What happens to ids that are there: FAIL (also NONE), SKIP or OVERWRITE. Of
                documents with the same id in one call, SKIP takes the first, OVERWRITE the last.

        Returns:
            How many documents were written.

        Raises:
            ValueError: They are not a list of documents.
            DuplicateDocumentError: An id is there already; nothing was written.
        """
        if not isinstance(documents, Iterable) or isinstance(documents, str):
            raise ValueError("write_documents needs a list of documents")
        documents = list(documents)
        if not all(isinstance(document, Document) for document in documents):
            raise ValueError("write_documents needs a list of documents")
        if not documents:
            return 0
        if policy is DuplicatePolicy.SKIP:
            documents = list({document.id: document for document in reversed(documents)}.values())
            documents.reverse()
        elif policy is DuplicatePolicy.OVERWRITE:
            documents = list({document.id: document for document in documents}.values())
        known = (len(document.embedding) for document in documents if document.embedding)
        collection = self._documents.created(next(known, self.embedding_dim))
        rows = [self._row(document, collection.info().dim) for document in documents]
        try:
            done = collection.add(rows, on_conflict=_POLICIES[policy], progress=False)  # type: ignore[arg-type]
        except DuplicateIdError as error:
            raise DuplicateDocumentError(str(error)) from error
        return done.added + done.replaced

    def delete_documents(self, document_ids: list[str]) -> None:
        """Delete documents by id; unknown ids are no error."""
        collection = self._documents.collection
        if collection is not None:
            collection.delete(document_ids)

    def delete_all_documents(self, recreate_index: bool = False) -> None:
        """Delete all documents. The collection stays, with its columns and settings."""
        collection = self._documents.collection
        if collection is not None:
            collection.delete(where=sql.TRUE)

    def delete_by_filter(self, filters: Filters) -> int:
        """Delete the documents that match, in one commit, and return how many."""
        collection = self._documents.collection
        if collection is None:
            return 0
        where, ids = self._selected(filters)
        return collection.delete(
            ids, where=where or (None if ids is not None else sql.TRUE)
        ).deleted

    def update_by_filter(self, filters: Filters, meta: dict[str, Any]) -> int:
        """Set metadata of the documents that match, in one commit, and return how many."""
        rows = self._rows(filters)
        if rows:
            changed = [
                self._documents.row(row["id"], row[TEXT], {**self._documents.metadata(row), **meta})
                for row in rows
            ]
            self._documents.created(self.embedding_dim).upsert(changed, progress=False)
        return len(rows)

    # -- Reading

    def count_documents(self) -> int:
        """How many documents there are."""
        collection = self._documents.collection
        return 0 if collection is None else len(collection)

    def count_documents_by_filter(self, filters: Filters) -> int:
        """How many documents match."""
        collection = self._documents.collection
        where, ids = self._selected(filters)
        return 0 if collection is None else collection.count(where, ids=ids)

    def filter_documents(self, filters: Filters | None = None) -> list[Document]:
        """The documents that match, with their embeddings, in the collection's order."""
        rows = self._rows(filters)
        with_vector = [row["id"] for row in rows if row[EMBEDDED]]
        vectors: dict[str, list[float]] = {}
        if with_vector:
            found = self._documents.vectors(with_vector)
            vectors = dict(zip(with_vector, found.tolist(), strict=True))
        return [self._document(row, embedding=vectors.get(row["id"])) for row in rows]

    def embedding_retrieval(
        self,
        query_embedding: list[float],
        *,
        filters: Filters | None = None,
        top_k: int = 10,
        return_embedding: bool = False,
        **options: Any,
    ) -> list[Document]:
        """The documents most similar to an embedding.

        Args:
            query_embedding: The vector.
            filters: Haystack's filters.
            top_k: Maximum number of documents.
            return_embedding: Whether the documents come with their embeddings.
            **options: Further arguments of `Collection.search`, such as `recall`.
        """
        return self._search(filters, top_k, return_embedding, {"query": query_embedding, **options})

    def bm25_retrieval(
        self, query: str, *, filters: Filters | None = None, top_k: int = 10, **options: Any
    ) -> list[Document]:
        """The documents with the words of a query, best first."""
        return self._search(filters, top_k, False, {"query": query, "mode": "text", **options})

    def hybrid_retrieval(
        self,
        query: str,
        query_embedding: list[float],
        *,
        filters: Filters | None = None,
        top_k: int = 10,
        **options: Any,
    ) -> list[Document]:
        """The documents that are best by words and embedding together."""
        asked = {"text": query, "vector": query_embedding, "mode": "hybrid", **options}
        return self._search(filters, top_k, False, asked)

    # -- Metadata

    def count_unique_metadata_by_filter(
        self, filters: Filters, metadata_fields: list[str]
    ) -> dict[str, int]:
        """How many different values some fields have among the documents that match."""
        return {
            field.removeprefix("meta."): len(self._values(field, filters))
            for field in metadata_fields
        }

    def get_metadata_fields_info(self) -> dict[str, dict[str, str]]:
        """The type of each metadata field: keyword, int, float, boolean or mixed."""
        kinds: dict[str, set[str]] = {}
        for row in self._rows(None):
            for key, value in self._documents.metadata(row).items():
                kinds.setdefault(key, set()).add(_kind(value))
        return {
            key: {"type": next(iter(found)) if len(found) == 1 else "mixed"}
            for key, found in kinds.items()
        }

    def get_metadata_field_min_max(self, metadata_field: str) -> dict[str, Any]:
        """The smallest and largest value of a field; None without values that have an order."""
        values = [
            value
            for value in self._values(metadata_field, None)
            if isinstance(value, int | float | str)
        ]
        numbers = [value for value in values if not isinstance(value, str)]
        ordered: list[Any] = numbers or [value for value in values if isinstance(value, str)]
        return {"min": min(ordered, default=None), "max": max(ordered, default=None)}

    def get_metadata_field_unique_values(
        self,
        metadata_field: str,
        search_term: str | None = None,
        from_: int = 0,
        size: int = 10,
        filters: Filters | None = None,
    ) -> tuple[list[Any], int]:
        """A page of the different values of a field, in order, and how many there are."""
        values = sorted(
            self._values(metadata_field, filters), key=lambda value: (str(value), _kind(value))
        )
        if search_term:
            values = [value for value in values if search_term.lower() in str(value).lower()]
        return values[from_ : from_ + size], len(values)

    # -- The same without blocking the event loop

    async def write_documents_async(
        self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE
    ) -> int:
        """`write_documents` in a thread."""
        return await asyncio.to_thread(self.write_documents, documents, policy)

    async def delete_documents_async(self, document_ids: list[str]) -> None:
        """`delete_documents` in a thread."""
        await asyncio.to_thread(self.delete_documents, document_ids)

    async def delete_all_documents_async(self, recreate_index: bool = False) -> None:
        """`delete_all_documents` in a thread."""
        await asyncio.to_thread(self.delete_all_documents, recreate_index)

    async def delete_by_filter_async(self, filters: Filters) -> int:
        """`delete_by_filter` in a thread."""
        return await asyncio.to_thread(self.delete_by_filter, filters)

    async def update_by_filter_async(self, filters: Filters, meta: dict[str, Any]) -> int:
        """`update_by_filter` in a thread."""
        return await asyncio.to_thread(self.update_by_filter, filters, meta)

    async def count_documents_async(self) -> int:
        """`count_documents` in a thread."""
        return await asyncio.to_thread(self.count_documents)

    async def count_documents_by_filter_async(self, filters: Filters) -> int:
        """`count_documents_by_filter` in a thread."""
        return await asyncio.to_thread(self.count_documents_by_filter, filters)

    async def filter_documents_async(self, filters: Filters | None = None) -> list[Document]:
        """`filter_documents` in a thread."""
        return await asyncio.to_thread(self.filter_documents, filters)

    async def count_unique_metadata_by_filter_async(
        self, filters: Filters, metadata_fields: list[str]
    ) -> dict[str, int]:
        """`count_unique_metadata_by_filter` in a thread."""
        return await asyncio.to_thread(
            self.count_unique_metadata_by_filter, filters, metadata_fields
        )

    async def get_metadata_fields_info_async(self) -> dict[str, dict[str, str]]:
        """`get_metadata_fields_info` in a thread."""
        return await asyncio.to_thread(self.get_metadata_fields_info)

    async def get_metadata_field_min_max_async(self, metadata_field: str) -> dict[str, Any]:
        """`get_metadata_field_min_max` in a thread."""
        return await asyncio.to_thread(self.get_metadata_field_min_max, metadata_field)

    async def get_metadata_field_unique_values_async(
        self,
        metadata_field: str,
        search_term: str | None = None,
        from_: int = 0,
        size: int = 10,
        filters: Filters | None = None,
    ) -> tuple[list[Any], int]:
        """`get_metadata_field_unique_values` in a thread."""
        return await asyncio.to_thread(
            self.get_metadata_field_unique_values, metadata_field, search_term, from_, size, filters
        )

    # -- Inside

    def _row(self, document: Document, dim: int) -> dict[str, Any]:
        """A document as a row. Without an embedding it gets a vector that no search looks at."""
        rest = {
            key: value
            for key, value in document.to_dict(flatten=False).items()
            if key in ("blob", "sparse_embedding") and value is not None
        }
        vector = document.embedding or [1.0] + [0.0] * (dim - 1)
        return self._documents.row(
            document.id,
            document.content,
            document.meta,
            vector=vector,
            **{EMBEDDED: bool(document.embedding), REST: rest or None},
        )

    def _document(self, row: Mapping[str, Any], **more: Any) -> Document:
        data = {
            "id": row["id"],
            "content": row[TEXT],
            "meta": self._documents.metadata(row),
            **(row.get(REST) or {}),
            **more,
        }
        return Document.from_dict(data)

    def _rows(self, filters: Filters | None) -> list[dict[str, Any]]:
        return self._documents.rows(*self._selected(filters))

    def _search(
        self,
        filters: Filters | None,
        top_k: int,
        return_embedding: bool,
        asked: dict[str, Any],
    ) -> list[Document]:
        collection = self._documents.collection
        if collection is None or top_k == 0:
            return []
        where, ids = self._selected(filters)
        if asked.get("mode") != "text":
            where = sql.all_of([EMBEDDED, *([] if where is None else [where])])
        hits = collection.search(k=top_k, where=where, ids=ids, **asked)
        vectors: list[Any] = [None] * len(hits)
        if return_embedding and len(hits):
            vectors = self._documents.vectors([str(id) for id in hits.ids]).tolist()
        return [
            self._document(hit.to_dict(), score=hit.score, embedding=vector)
            for hit, vector in zip(hits, vectors, strict=True)
        ]

    def _values(self, field: str, filters: Filters | None) -> list[Any]:
        """The different values of a field: 1, 1.0, "1" and true are four."""
        key = field.removeprefix("meta.")
        values: dict[str, Any] = {}
        for row in self._rows(filters):
            value = self._documents.metadata(row).get(key)
            if value is not None:
                values.setdefault(f"{type(value).__name__} {value!r}", value)
        return list(values.values())

    def _selected(self, filters: Filters | None) -> tuple[str | None, list[str] | None]:
        """Filters as SQL, or as ids where SQL cannot say what Haystack means."""
        if not filters:
            return None, None
        try:
            return self._condition(filters), None
        except _NotInSqlError:
            return None, self._documents.matching(
                lambda row: bool(document_matches_filter(filters, self._document(row)))
            )

    def _condition(self, filters: Filters) -> str:
        if "field" in filters:
            return self._comparison(filters)
        for key in ("operator", "conditions"):
            if key not in filters:
                raise FilterError(f"'{key}' key missing in {filters}")
        parts = [self._condition(part) for part in filters["conditions"]]
        if filters["operator"] == "AND":
            return sql.all_of(parts)
        if filters["operator"] == "OR":
            return sql.any_of(parts)
        if filters["operator"] == "NOT":
            return sql.none_of(sql.all_of(parts))
        raise FilterError(f"unknown logical operator {filters['operator']!r}: AND, OR or NOT")

    def _comparison(self, filters: Filters) -> str:
        for key in ("operator", "value"):
            if key not in filters:
                raise FilterError(f"'{key}' key missing in {filters}")
        operator, value = filters["operator"], filters["value"]
        place = self._place(filters["field"])
        if operator in ("<", "<=", ">", ">="):
            if isinstance(value, list):
                raise FilterError(f"{operator} cannot compare with a list")
            if value is not None and (isinstance(value, bool) or not _is_number(value)):
                raise _NotInSqlError
            return sql.compares(place, operator, value)
        if operator in ("in", "not in"):
            if not isinstance(value, list):
                raise FilterError(f"{operator} needs a list, not {value!r}")
            found = sql.one_of(place, [_plain(item) for item in value])
            return found if operator == "in" else sql.none_of(found)
        if operator == "==":
            return sql.equals(place, _plain(value))
        if operator == "!=":
            return sql.differs(place, _plain(value))
        raise FilterError(f"unknown comparison operator {operator!r}")

    def _place(self, field: str) -> str:
        """Where a field is, in SQL."""
        if field in ("id", "content"):
            return {"id": '"id"', "content": f'"{TEXT}"'}[field]
        if field in ("embedding", "sparse_embedding", "blob", "score", "meta"):
            raise FilterError(f"documents cannot be filtered by {field!r}")
        keys = field.split(".")
        if keys[0] == "meta":
            keys = keys[1:]
        elif len(keys) > 1:
            raise _NotInSqlError
        if len(keys) == 1:
            return self._documents.place(keys[0])
        return sql.path(METADATA, keys)


class _NotInSqlError(Exception):
    """A filter has a meaning in Haystack that SQL lacks."""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _plain(value: Any) -> Any:
    """A value that SQL compares as Haystack does. Dates in texts are equal as instants, so not."""
    is_date = isinstance(value, str) and len(value) >= 10 and value[4:5] == "-" == value[7:8]
    if is_date or not (value is None or isinstance(value, str | bool) or _is_number(value)):
        raise _NotInSqlError
    return value


def _kind(value: Any) -> str:
    kinds: dict[type, str] = {bool: "boolean", int: "int", float: "float", str: "keyword"}
    return kinds.get(type(value), type(value).__name__)
