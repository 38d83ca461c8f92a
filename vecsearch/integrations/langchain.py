"""LangChain: a collection as a VectorStore."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from vecsearch.collection import Collection
from vecsearch.common.optional import find_installed
from vecsearch.errors import FilterError, InvalidInputError
from vecsearch.integrations import conditions as sql
from vecsearch.integrations.documents import TEXT, Columns, Documents, MetricName
from vecsearch.query.results import Hits

find_installed("langchain_core", "langchain-core", "langchain", "The vector store of LangChain")

from langchain_core.documents import Document  # noqa: E402
from langchain_core.embeddings import Embeddings  # noqa: E402
from langchain_core.vectorstores import VectorStore  # noqa: E402

Filter: TypeAlias = "str | Mapping[str, Any] | Callable[[Document], bool]"


class VecsearchVectorStore(VectorStore):
    """A LangChain vector store in a collection on disk.

    The collection is made by the first documents that are added. Metadata of any keys and types
    goes into a JSON column.

    A `filter` is a dict such as {"lang": "en", "year": {"$gte": 2000}} ($eq, $ne, $gt, $gte, $lt,
    $lte, $in, $nin, $exists, $contains, $like, $and, $or, $not; $ne and $nin find documents without
    the key, too), SQL over `metadata` such as "metadata.year >= 2000", or a function of a
    `Document`, for which all documents are read.

    Args:
        embedding: LangChain's model.
        path: The collection's folder.
        collection: An open collection, instead of the path.
        columns: Metadata keys with a typed column of their own, such as {"year": "int64"}, which
            filters read faster.
        metric: The metric of a new collection: "cosine", "ip" or "l2".

    Raises:
        InvalidInputError: Both or neither of path and collection are given, or the collection has
            no JSON column `metadata`.

    Example:
        >>> from langchain_core.embeddings import DeterministicFakeEmbedding
        >>> from vecsearch.integrations.langchain import VecsearchVectorStore
        >>> store = VecsearchVectorStore(DeterministicFakeEmbedding(size=8), path="notes.vs")
        >>> store.add_texts(["a boat", "a bus"], [{"year": 1999}, {}], ids=["boat", "bus"])
        ['boat', 'bus']
        >>> [d.page_content for d in store.similarity_search("boat", filter={"year": 1999})]
        ['a boat']
    """

    def __init__(
        self,
        embedding: Embeddings,
        *,
        path: str | os.PathLike[str] | None = None,
        collection: Collection | None = None,
        columns: Columns | None = None,
        metric: MetricName = "cosine",
    ) -> None:
        self._embedding = embedding
        self._documents = Documents(path, collection, columns, metric=metric)

    @property
    def embeddings(self) -> Embeddings:
        """LangChain's model."""
        return self._embedding

    @property
    def collection(self) -> Collection | None:
        """The collection; None before the first document."""
        return self._documents.collection

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Embed and add texts in one commit; documents whose ids are there are replaced.

        Args:
            texts: The texts.
            metadatas: A dict for each text.
            ids: An id for each text. None, as a whole or for a text: a new one.
            **kwargs: Not used.

        Returns:
            The ids.
        """
        texts = list(texts)
        if not texts:
            return []
        metadatas = [{} for _ in texts] if metadatas is None else metadatas
        given = [None] * len(texts) if ids is None else list(ids)
        for name, values in (("metadatas", metadatas), ("ids", given)):
            if len(values) != len(texts):
                raise InvalidInputError(
                    f"{name} has {len(values)} items for {len(texts)} texts",
                    hint="give one for each text",
                )
        named = [str(uuid.uuid4()) if id is None else str(id) for id in given]
        last = {id: place for place, id in enumerate(named)}
        vectors = self._embedding.embed_documents(texts)
        rows = [
            self._documents.row(named[i], texts[i], metadatas[i] or {}, vector=vectors[i])
            for i in sorted(last.values())
        ]
        self._documents.created(len(vectors[0])).add(rows, on_conflict="replace", progress=False)
        return named

    def add_documents(self, documents: list[Document], **kwargs: Any) -> list[str]:
        """Embed and add documents in one commit; those whose ids are there are replaced."""
        kwargs.setdefault("ids", [document.id for document in documents])
        texts = [document.page_content for document in documents]
        return self.add_texts(texts, [document.metadata for document in documents], **kwargs)

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        """Delete documents by id, or those that match `filter=`; unknown ids are no error."""
        collection = self._documents.collection
        if ids is None and "filter" not in kwargs:
            raise InvalidInputError("delete needs ids or a filter", hint="give ids= or filter=")
        if collection is not None:
            where, chosen = self._selected(kwargs.get("filter"))
            if chosen is not None and ids is not None:
                chosen = [id for id in chosen if id in set(ids)]
            collection.delete(ids if chosen is None else chosen, where=where)
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Documents in the order of the ids; those that are not there are left out."""
        return [self._document(row) for row in self._documents.found(ids)]

    def similarity_search(
        self, query: str, k: int = 4, filter: Filter | None = None, **kwargs: Any
    ) -> list[Document]:
        """The k documents most similar to a text.

        Args:
            query: The text.
            k: Maximum number of documents.
            filter: A condition; see the class.
            **kwargs: Further arguments of `Collection.search`, such as `recall` or `min_score`;
                with `mode="hybrid"` the text is searched by its words, too.
        """
        found = self.similarity_search_with_score(query, k, filter, **kwargs)
        return [document for document, _ in found]

    def similarity_search_with_score(
        self, query: str, k: int = 4, filter: Filter | None = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """The same with scores: cosine and inner product, higher is nearer; l2 is the distance."""
        if kwargs.get("mode", "vector") != "vector":
            kwargs.setdefault("text", query)
        return self._scored(self._embedding.embed_query(query), k, filter, kwargs)

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, filter: Filter | None = None, **kwargs: Any
    ) -> list[Document]:
        """The k documents most similar to a vector."""
        return [document for document, _ in self._scored(embedding, k, filter, kwargs)]

    def max_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Filter | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """k documents that are similar to a text and differ from each other.

        Args:
            query: The text.
            k: Maximum number of documents.
            fetch_k: Not used: vecsearch chooses among the 100 best or 4 k.
            lambda_mult: 1 for similarity alone, 0 for difference alone.
            filter: A condition; see the class.
            **kwargs: Further arguments of `Collection.search`.
        """
        vector = self._embedding.embed_query(query)
        return self.max_marginal_relevance_search_by_vector(
            vector, k, fetch_k, lambda_mult, filter, **kwargs
        )

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Filter | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """The same for a vector."""
        kwargs["diversity"] = 1 - lambda_mult
        return self.similarity_search_by_vector(embedding, k, filter, **kwargs)

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> VecsearchVectorStore:
        """A store with these texts; further arguments are those of the class."""
        store = cls(embedding, **kwargs)
        store.add_texts(texts, metadatas, ids=ids)
        return store

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        collection = self._documents.collection
        metric = self._documents.metric if collection is None else collection.info().metric
        if metric == "l2":
            return lambda distance: float(self._euclidean_relevance_score_fn(distance))
        return lambda score: (score + 1) / 2

    def _scored(
        self, vector: Sequence[float], k: int, filter: Filter | None, options: dict[str, Any]
    ) -> list[tuple[Document, float]]:
        collection = self._documents.collection
        if collection is None:
            return []
        where, ids = self._selected(filter)
        question: dict[str, Any] = {"vector": vector} if "text" in options else {"query": vector}
        hits: Hits = collection.search(k=k, where=where, ids=ids, **question, **options)
        return [(self._document(hit.to_dict()), hit.score) for hit in hits]

    def _selected(self, filter: Filter | None) -> tuple[str | None, list[str] | None]:
        """A filter as SQL, or as ids."""
        if filter is None or isinstance(filter, str):
            return filter, None
        if isinstance(filter, Mapping):
            return condition(filter, self._documents.place), None
        if callable(filter):
            return None, self._documents.matching(lambda row: bool(filter(self._document(row))))
        raise FilterError(f"filter is {filter!r}; it must be a dict, SQL text or a function")

    def _document(self, row: Mapping[str, Any]) -> Document:
        return Document(
            id=row["id"],
            page_content=row.get(TEXT) or "",
            metadata=self._documents.metadata(row),
        )


def condition(filter: Mapping[str, Any], place: Callable[[str], str]) -> str:
    """A filter as LangChain's stores take it, as SQL.

    Args:
        filter: A dict of keys and values, or of operators.
        place: Gives the place of a metadata key in SQL.
    """
    parts = []
    for key, value in filter.items():
        if key in ("$and", "$or"):
            if not isinstance(value, list | tuple):
                raise FilterError(f"{key} needs a list of conditions, not {value!r}")
            items = [condition(item, place) for item in value]
            parts.append(sql.all_of(items) if key == "$and" else sql.any_of(items))
        elif key == "$not":
            parts.append(sql.none_of(condition(value, place)))
        elif key.startswith("$"):
            raise FilterError(f"filter: there is no operator {key!r} outside of a key")
        elif isinstance(value, Mapping):
            parts.extend(_operator(place(key), name, item) for name, item in value.items())
        else:
            parts.append(sql.equals(place(key), value))
    return sql.all_of(parts)


def _operator(place: str, name: str, value: Any) -> str:
    if name in _ORDER:
        return sql.compares(place, _ORDER[name], value)
    if name in ("$in", "$nin") and not isinstance(value, list | tuple | set):
        raise FilterError(f"{name} needs a list of values, not {value!r}")
    operators: dict[str, Callable[[], str]] = {
        "$eq": lambda: sql.equals(place, value),
        "$ne": lambda: sql.differs(place, value),
        "$in": lambda: sql.one_of(place, value),
        "$nin": lambda: sql.none_of(sql.one_of(place, value)),
        "$exists": lambda: sql.none_of(sql.is_null(place)) if value else sql.is_null(place),
        "$contains": lambda: sql.has_item(place, value),
        "$like": lambda: f"(({place} LIKE {sql.literal(value)}) IS TRUE)",
    }
    if name not in operators:
        raise FilterError(
            f"filter: there is no operator {name!r}",
            hint=f"there are {', '.join([*operators, *_ORDER, '$and', '$or', '$not'])}",
        )
    return operators[name]()


_ORDER = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
