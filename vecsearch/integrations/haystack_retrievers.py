"""Haystack's retrievers for a VecsearchDocumentStore, as components of pipelines."""

from __future__ import annotations

import asyncio
from typing import Any

from vecsearch.common.optional import find_installed
from vecsearch.errors import InvalidInputError

find_installed("haystack", "haystack-ai", "haystack", "The retrievers of Haystack")

from haystack import Document, component, default_from_dict, default_to_dict  # noqa: E402
from haystack.document_stores.types import FilterPolicy, apply_filter_policy  # noqa: E402

from vecsearch.integrations.haystack import VecsearchDocumentStore  # noqa: E402


class _Retriever:
    """What the retrievers share: their settings, and how these go into a pipeline's file."""

    def __init__(
        self,
        document_store: VecsearchDocumentStore,
        *,
        filters: dict[str, Any] | None = None,
        top_k: int = 10,
        filter_policy: FilterPolicy | str = FilterPolicy.REPLACE,
    ) -> None:
        if not isinstance(document_store, VecsearchDocumentStore):
            raise InvalidInputError("document_store must be a VecsearchDocumentStore")
        if top_k <= 0:
            raise InvalidInputError(f"top_k is {top_k}; it must be 1 or more")
        self.document_store = document_store
        self.filters = filters
        self.top_k = top_k
        self.filter_policy = FilterPolicy(filter_policy)

    def to_dict(self) -> dict[str, Any]:
        """The component as a pipeline's file has it."""
        data: dict[str, Any] = default_to_dict(
            self,
            document_store=self.document_store.to_dict(),
            filters=self.filters,
            top_k=self.top_k,
            filter_policy=self.filter_policy.value,
        )
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Any:
        """The component from what `to_dict` gave."""
        given = dict(data["init_parameters"])
        if isinstance(given["document_store"], dict):
            given["document_store"] = VecsearchDocumentStore.from_dict(given["document_store"])
        return default_from_dict(cls, {**data, "init_parameters": given})

    def _options(self, filters: dict[str, Any] | None, top_k: int | None) -> dict[str, Any]:
        return {
            "filters": apply_filter_policy(self.filter_policy, self.filters, filters),
            "top_k": self.top_k if top_k is None else top_k,
        }


@component
class VecsearchEmbeddingRetriever(_Retriever):
    """Finds documents by the embedding of a query.

    Args:
        document_store: The store.
        filters: Filters of every run; see `filter_policy`.
        top_k: Maximum number of documents.
        filter_policy: Whether filters of a run "replace" or "merge" with those.
    """

    @component.output_types(documents=list[Document])
    def run(
        self,
        query_embedding: list[float],
        filters: dict[str, Any] | None = None,
        top_k: int | None = None,
    ) -> dict[str, list[Document]]:
        """The documents most similar to the embedding."""
        options = self._options(filters, top_k)
        return {"documents": self.document_store.embedding_retrieval(query_embedding, **options)}

    @component.output_types(documents=list[Document])
    async def run_async(
        self,
        query_embedding: list[float],
        filters: dict[str, Any] | None = None,
        top_k: int | None = None,
    ) -> dict[str, list[Document]]:
        """`run` in a thread."""
        return await asyncio.to_thread(self.run, query_embedding, filters, top_k)


@component
class VecsearchBM25Retriever(_Retriever):
    """Finds documents by the words of a query.

    Args:
        document_store: The store.
        filters: Filters of every run; see `filter_policy`.
        top_k: Maximum number of documents.
        filter_policy: Whether filters of a run "replace" or "merge" with those.
    """

    @component.output_types(documents=list[Document])
    def run(
        self, query: str, filters: dict[str, Any] | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """The documents with the words, best first."""
        options = self._options(filters, top_k)
        return {"documents": self.document_store.bm25_retrieval(query, **options)}

    @component.output_types(documents=list[Document])
    async def run_async(
        self, query: str, filters: dict[str, Any] | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """`run` in a thread."""
        return await asyncio.to_thread(self.run, query, filters, top_k)


@component
class VecsearchHybridRetriever(_Retriever):
    """Finds documents by the words and the embedding of a query together.

    Args:
        document_store: The store.
        filters: Filters of every run; see `filter_policy`.
        top_k: Maximum number of documents.
        filter_policy: Whether filters of a run "replace" or "merge" with those.
    """

    @component.output_types(documents=list[Document])
    def run(
        self,
        query: str,
        query_embedding: list[float],
        filters: dict[str, Any] | None = None,
        top_k: int | None = None,
    ) -> dict[str, list[Document]]:
        """The best documents by both."""
        options = self._options(filters, top_k)
        found = self.document_store.hybrid_retrieval(query, query_embedding, **options)
        return {"documents": found}

    @component.output_types(documents=list[Document])
    async def run_async(
        self,
        query: str,
        query_embedding: list[float],
        filters: dict[str, Any] | None = None,
        top_k: int | None = None,
    ) -> dict[str, list[Document]]:
        """`run` in a thread."""
        return await asyncio.to_thread(self.run, query, query_embedding, filters, top_k)
