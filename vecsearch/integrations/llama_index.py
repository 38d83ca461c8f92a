"""LlamaIndex: a collection as a vector store that also keeps the nodes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from vecsearch.collection import Collection
from vecsearch.common.optional import find_installed
from vecsearch.errors import FilterError, InvalidInputError
from vecsearch.integrations import conditions as sql
from vecsearch.integrations.documents import Columns, Documents, MetricName
from vecsearch.query.fusion import Fusion

find_installed("llama_index.core", "llama-index-core", "llama-index", "The store of LlamaIndex")

from llama_index.core.bridge.pydantic import PrivateAttr  # noqa: E402
from llama_index.core.schema import BaseNode, MetadataMode  # noqa: E402
from llama_index.core.vector_stores.types import (  # noqa: E402
    BasePydanticVectorStore,
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)
from llama_index.core.vector_stores.utils import (  # noqa: E402
    metadata_dict_to_node,
    node_to_metadata_dict,
)

_DOCUMENT = "ref_doc_id"
_COMPARISONS = {
    FilterOperator.GT: ">",
    FilterOperator.GTE: ">=",
    FilterOperator.LT: "<",
    FilterOperator.LTE: "<=",
}
_WORDS = {
    VectorStoreQueryMode.TEXT_SEARCH: "text",
    VectorStoreQueryMode.SPARSE: "text",
    VectorStoreQueryMode.HYBRID: "hybrid",
    VectorStoreQueryMode.SEMANTIC_HYBRID: "hybrid",
}


class VecsearchVectorStore(BasePydanticVectorStore):
    """A LlamaIndex vector store in a collection on disk, with texts and nodes in it.

    The collection is made by the first nodes that are added. Metadata of any keys and types goes
    into a JSON column. Filters may be nested, and have all of LlamaIndex's operators; `!=` and
    `nin` find nodes without the key, too. The modes are DEFAULT, MMR, TEXT_SEARCH and SPARSE (by
    words, BM25), HYBRID and SEMANTIC_HYBRID (by both).

    Args:
        path: The collection's folder.
        collection: An open collection, instead of the path.
        columns: Metadata keys with a typed column of their own, such as {"year": "int64"}, which
            filters read faster.
        metric: The metric of a new collection: "cosine", "ip" or "l2".

    Raises:
        InvalidInputError: Both or neither of path and collection are given, or the collection has
            no JSON column `metadata`.

    Example:
        >>> from llama_index.core.schema import TextNode
        >>> from llama_index.core.vector_stores.types import VectorStoreQuery
        >>> from vecsearch.integrations.llama_index import VecsearchVectorStore
        >>> store = VecsearchVectorStore(path="notes.vs")
        >>> store.add([TextNode(id_="boat", text="a boat", embedding=[1.0, 0.0])])
        ['boat']
        >>> store.query(VectorStoreQuery(query_embedding=[1.0, 0.0])).ids
        ['boat']
    """

    stores_text: bool = True
    flat_metadata: bool = False
    _documents: Documents = PrivateAttr()

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        collection: Collection | None = None,
        columns: Columns | None = None,
        metric: MetricName = "cosine",
    ) -> None:
        super().__init__(stores_text=True)
        self._documents = Documents(
            path, collection, columns, extra={_DOCUMENT: "string"}, metric=metric
        )

    @classmethod
    def class_name(cls) -> str:
        """The name by which LlamaIndex knows the class."""
        return "VecsearchVectorStore"

    @property
    def client(self) -> Collection | None:
        """The collection; None before the first node."""
        return self._documents.collection

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Add nodes with embeddings in one commit; nodes whose ids are there are replaced."""
        rows: dict[str, dict[str, Any]] = {}
        for node in nodes:
            metadata = node_to_metadata_dict(node, remove_text=True, flat_metadata=False)
            rows.pop(node.node_id, None)
            rows[node.node_id] = self._documents.row(
                node.node_id,
                node.get_content(metadata_mode=MetadataMode.NONE),
                metadata,
                vector=node.get_embedding(),
                **{_DOCUMENT: node.ref_doc_id},
            )
        if rows:
            collection = self._documents.created(len(nodes[0].get_embedding()))
            collection.add(list(rows.values()), on_conflict="replace", progress=False)
        return [node.node_id for node in nodes]

    def delete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Delete the nodes of a source document."""
        collection = self._documents.collection
        if collection is not None:
            collection.delete(where=sql.equals(_DOCUMENT, ref_doc_id))

    def get_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> list[BaseNode]:
        """The nodes with these ids, in their order, that match the filters."""
        rows = self._documents.rows(self._where(filters), node_ids)
        if node_ids is not None:
            by_id = {row["id"]: row for row in rows}
            rows = [by_id[id] for id in node_ids if id in by_id]
        return [self._node(row) for row in rows]

    def delete_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        **delete_kwargs: Any,
    ) -> None:
        """Delete the nodes with these ids that match the filters."""
        collection = self._documents.collection
        where = self._where(filters)
        if node_ids is None and where is None:
            raise InvalidInputError(
                "delete_nodes needs node_ids or filters", hint="clear() deletes all nodes"
            )
        if collection is not None:
            collection.delete(node_ids, where=where)

    def clear(self) -> None:
        """Delete all nodes."""
        collection = self._documents.collection
        if collection is not None:
            collection.delete(where=sql.TRUE)

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """The nodes that are most similar to a query.

        Args:
            query: LlamaIndex's query: embedding, text, k, ids, filters and mode.
            **kwargs: `mmr_threshold`, or further arguments of `Collection.search`, such as
                `recall`.

        Raises:
            InvalidInputError: The mode is one that is not offered.
            FilterError: A filter has a value that the operator does not take.
        """
        mode = VectorStoreQueryMode(query.mode)
        options = dict(kwargs)
        threshold = options.pop("mmr_threshold", query.mmr_threshold)
        k = query.similarity_top_k
        if mode in _WORDS:
            options["mode"] = _WORDS[mode]
            if options["mode"] == "text":
                k = query.sparse_top_k or k
                options["query"] = query.query_str
            else:
                k = query.hybrid_top_k or k
                options["text"] = query.query_str
                options["vector"] = query.query_embedding
                if query.alpha is not None:
                    options.setdefault("fusion", Fusion(text=1 - query.alpha))
        elif mode in (VectorStoreQueryMode.DEFAULT, VectorStoreQueryMode.MMR):
            options["query"] = query.query_embedding
            if mode is VectorStoreQueryMode.MMR:
                options["diversity"] = 1 - (0.5 if threshold is None else threshold)
        else:
            raise InvalidInputError(
                f"the mode {mode.value!r} is not offered",
                hint="take default, mmr, text_search, sparse, hybrid or semantic_hybrid",
            )
        collection = self._documents.collection
        if collection is None:
            return VectorStoreQueryResult(nodes=[], similarities=[], ids=[])
        parts = [] if (filters := self._where(query.filters)) is None else [filters]
        if query.doc_ids:
            parts.append(sql.one_of(_DOCUMENT, query.doc_ids))
        # LlamaIndex's retriever gives an empty list of node ids when it means all.
        hits = collection.search(
            k=k, ids=query.node_ids or None, where=sql.all_of(parts) if parts else None, **options
        )
        return VectorStoreQueryResult(
            nodes=[self._node(hit.to_dict()) for hit in hits],
            similarities=[hit.score for hit in hits],
            ids=[str(hit.id) for hit in hits],
        )

    def _node(self, row: dict[str, Any]) -> BaseNode:
        return metadata_dict_to_node(self._documents.metadata(row), text=row["text"])

    def _where(self, filters: MetadataFilters | None) -> str | None:
        if filters is None or not filters.filters:
            return None
        parts = [
            self._where(item) or f"({sql.TRUE})"
            if isinstance(item, MetadataFilters)
            else self._leaf(item)
            for item in filters.filters
        ]
        if filters.condition is FilterCondition.OR:
            return sql.any_of(parts)
        if filters.condition is FilterCondition.NOT:
            return sql.none_of(sql.any_of(parts))
        return sql.all_of(parts)

    def _leaf(self, item: MetadataFilter) -> str:
        place, value, operator = self._documents.place(item.key), item.value, item.operator
        kind = self._documents.columns.get(item.key)
        if operator in _COMPARISONS:
            return sql.compares(place, _COMPARISONS[operator], value)
        if operator is FilterOperator.IS_EMPTY:
            return sql.is_blank(place) if kind in (None, "string") else sql.is_null(place)
        if operator is FilterOperator.EQ:
            return f"({sql.FALSE})" if value is None else sql.equals(place, value)
        if operator is FilterOperator.NE:
            return f"({sql.TRUE})" if value is None else sql.differs(place, value)
        if operator in (FilterOperator.TEXT_MATCH, FilterOperator.TEXT_MATCH_INSENSITIVE):
            if not isinstance(value, str):
                raise FilterError(f"{operator.value} needs a text, not {value!r}")
            return sql.has_text(
                place, value, any_case=operator is FilterOperator.TEXT_MATCH_INSENSITIVE
            )
        if operator is FilterOperator.CONTAINS:
            return _contains(place, value, kind)
        if not isinstance(value, list):
            raise FilterError(f"{operator.value} needs a list, not {value!r}")
        if operator is FilterOperator.IN:
            return sql.one_of(place, value)
        if operator is FilterOperator.NIN:
            return sql.none_of(sql.one_of(place, value))
        parts = [_contains(place, part, kind) for part in value]
        if operator is FilterOperator.ALL:
            return sql.all_of([sql.none_of(sql.is_null(place)), *parts])
        return sql.any_of(parts)


def _contains(place: str, value: Any, kind: str | None) -> str:
    """A list has the item, or a text has the part. In JSON a value may be either."""
    if kind == "string":
        return sql.has_text(place, value)
    item = sql.has_item(place, value)
    if kind is not None or not isinstance(value, str):
        return item
    return sql.any_of([item, sql.has_text(place, value)])
