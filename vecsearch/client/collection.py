"""A collection on a server: `vecsearch serve` at the other end."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from vecsearch.client.connection import Connection
from vecsearch.client.hits import RemoteHit, RemoteHits
from vecsearch.common.accepted import Data, Examples, Ids, Values, Vector, Vectors
from vecsearch.common.gate import gate, gated
from vecsearch.query.for_json import (
    examples_for_json,
    give_types,
    new_values_for_json,
    queries_for_json,
    query_for_json,
    rows_to_send,
    value_for_json,
)
from vecsearch.storage.ids import listed_ids
from vecsearch.types import AddResult, DeleteResult, Id, Mode, OnConflict, Span, UpdateResult

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa


@gated
def connect(
    address: str,
    *,
    key: str | None = None,
    uds: str | os.PathLike[str] | None = None,
    timeout: float = 30.0,
) -> RemoteCollection:
    """Use a collection that `vecsearch serve` serves.

    Args:
        address: Where it is: "http://host:port/name".
        key: A key of the server. None: that of the variable VECSEARCH_API_KEY, if there is one.
        uds: The socket of a server that was started with `--uds`; the address is then
            "http://localhost/name".
        timeout: Seconds to wait for an answer.

    Returns:
        The collection, with the methods of `Collection` that a server offers.

    Raises:
        InvalidInputError: The address is none, or a key would travel unencrypted to another
            machine.
        MissingExtraError: The package httpx is not installed.

    Example:
        >>> import vecsearch as vs
        >>> vs.connect("http://localhost:8000/notes")
        RemoteCollection('http://localhost:8000/notes')
    """
    return RemoteCollection(address, key=key, uds=uds, timeout=timeout)


@gate
class RemoteCollection:
    """A collection on a server; see `vecsearch.connect`. It may be used from several threads.

    Errors are those of `Collection`: the server names them, and they are raised here again.

    Example:
        >>> import vecsearch as vs
        >>> with vs.connect("http://localhost:8000/notes", key="a-key-of-the-server") as notes:
        ...     print(notes.address)
        http://localhost:8000/notes
    """

    def __init__(
        self,
        address: str,
        *,
        key: str | None = None,
        uds: str | os.PathLike[str] | None = None,
        timeout: float = 30.0,
    ) -> None:
        self.address = address
        self._connection = Connection(address, key=key, uds=uds, timeout=timeout)

    def search(
        self,
        query: str | Vector | Vectors | None = None,
        k: int = 10,
        *,
        text: str | None = None,
        vector: Vector | None = None,
        mode: Mode = "vector",
        using: str | Sequence[str] | None = None,
        fusion: str | None = None,
        rerank: Literal["maxsim"] | None = None,
        rerank_top: int | None = None,
        where: str | None = None,
        ids: Ids | None = None,
        exclude: Ids | None = None,
        min_score: float | None = None,
        diversity: float = 0.0,
        group_by: str | None = None,
        group_size: int = 1,
        order_by: str | None = None,
        recall: float | None = None,
        exact: bool = False,
        passages: bool = False,
        columns: Sequence[str] | None = None,
    ) -> RemoteHits:
        """Find the k documents most similar to a query, as `Collection.search` does.

        The arguments are those of `Collection.search`, and `columns`.

        Args:
            query: A text, a vector of shape (dim,), or several vectors for MaxSim.
            k: Maximum number of hits.
            text: The words of a hybrid search, beside a vector.
            vector: The vector, beside a text.
            mode: "vector", "text" or "hybrid".
            using: The columns to search by words; with mode "vector" the name of vectors.
            fusion: How a hybrid search makes one list of two: "weighted", "rrf" or "dbsf".
            rerank: "maxsim" scores the best hits again, by the tokens of the collection's model.
            rerank_top: How many hits are scored again. None: 50, or k if that is more.
            where: Only documents for which this SQL is true.
            ids: Only documents with these ids.
            exclude: No documents with these ids.
            min_score: The lowest score of a hit.
            diversity: From 0 to 1: how different hits are to be.
            group_by: A column: few hits of each of its values.
            group_size: How many hits of each value.
            order_by: A column that orders the hits.
            recall: The mean recall to deliver. None: the collection's target.
            exact: Score every matching row.
            passages: Find passages instead of documents.
            columns: Columns to return. None: all but the vector.

        Raises:
            VecsearchError: As of `Collection.search`.
            StorageError: The server cannot be reached.
        """
        own = {"query": query_for_json(query), "text": text, "vector": query_for_json(vector)}
        own |= {"mode": mode, "using": _listed(using), "fusion": fusion}
        own |= {"rerank": rerank, "rerank_top": rerank_top}
        asked = _asked(locals(), ("k", *_OPTIONS)) | own
        return self._hits(self._connection.post("search", asked | self._shown(columns)))

    def search_batch(
        self,
        queries: Sequence[str] | Vectors | Sequence[Vectors] | None = None,
        k: int = 10,
        *,
        texts: Sequence[str] | None = None,
        vectors: Vectors | None = None,
        mode: Mode = "vector",
        using: str | Sequence[str] | None = None,
        fusion: str | None = None,
        rerank: Literal["maxsim"] | None = None,
        rerank_top: int | None = None,
        where: str | None = None,
        ids: Ids | None = None,
        exclude: Ids | None = None,
        min_score: float | None = None,
        diversity: float = 0.0,
        group_by: str | None = None,
        group_size: int = 1,
        order_by: str | None = None,
        recall: float | None = None,
        exact: bool = False,
        passages: bool = False,
        columns: Sequence[str] | None = None,
    ) -> list[RemoteHits]:
        """Find the k documents most similar to each of many queries, as one request.

        Args:
            queries: Texts, vectors, or lists of vectors for MaxSim.
            k: Maximum number of hits of each.
            texts: The words of hybrid searches, beside vectors.
            vectors: The vectors, beside texts.
            mode: As in `search`, and so are the others.
            using: As in `search`.
            fusion: As in `search`.
            rerank: As in `search`.
            rerank_top: As in `search`.
            where: As in `search`.
            ids: As in `search`.
            exclude: As in `search`.
            min_score: As in `search`.
            diversity: As in `search`.
            group_by: As in `search`.
            group_size: As in `search`.
            order_by: As in `search`.
            recall: As in `search`.
            exact: As in `search`.
            passages: As in `search`.
            columns: As in `search`.

        Raises:
            VecsearchError: As of `Collection.search_batch`.
            StorageError: The server cannot be reached.
        """
        asked = _asked(locals(), ("k", "mode", "fusion", "rerank", "rerank_top", *_OPTIONS))
        asked["using"] = _listed(using)
        for name, given in (("queries", queries), ("texts", texts), ("vectors", vectors)):
            asked[name] = None if given is None else queries_for_json(given)
        found = self._connection.post("search_batch", asked | self._shown(columns))
        return [self._hits(each) for each in found["results"]]

    def similar(
        self,
        id: Id,
        k: int = 10,
        *,
        where: str | None = None,
        ids: Ids | None = None,
        exclude: Ids | None = None,
        min_score: float | None = None,
        diversity: float = 0.0,
        group_by: str | None = None,
        group_size: int = 1,
        order_by: str | None = None,
        recall: float | None = None,
        exact: bool = False,
        passages: bool = False,
        columns: Sequence[str] | None = None,
    ) -> RemoteHits:
        """Find the k documents most similar to a document, without itself.

        Args:
            id: The document's id.
            k: Maximum number of hits.
            where: As in `search`, and so are the others.
            ids: As in `search`.
            exclude: As in `search`.
            min_score: As in `search`.
            diversity: As in `search`.
            group_by: As in `search`.
            group_size: As in `search`.
            order_by: As in `search`.
            recall: As in `search`.
            exact: As in `search`.
            passages: As in `search`.
            columns: As in `search`.

        Raises:
            IdNotFoundError: No document has the id.
            VecsearchError: As of `Collection.similar`.
            StorageError: The server cannot be reached.
        """
        asked = _asked(locals(), ("k", *_OPTIONS)) | {"id": value_for_json(id)}
        return self._hits(self._connection.post("similar", asked | self._shown(columns)))

    def recommend(
        self,
        positive: Examples | None = None,
        negative: Examples | None = None,
        *,
        history: Iterable[Any] | None = None,
        strategy: Literal["average", "best_score", "sum_scores"] = "average",
        k: int = 10,
        where: str | None = None,
        ids: Ids | None = None,
        exclude: Ids | None = None,
        exclude_seen: bool = True,
        half_life: float = 30.0,
        min_score: float | None = None,
        diversity: float = 0.0,
        group_by: str | None = None,
        group_size: int = 1,
        order_by: str | None = None,
        recall: float | None = None,
        exact: bool = False,
        passages: bool = False,
        columns: Sequence[str] | None = None,
    ) -> RemoteHits:
        """Find the k documents that examples speak for, as `Collection.recommend` does.

        Args:
            positive: What is wanted: an id, or several ids, texts or vectors.
            negative: What is not wanted.
            history: What a user had: ids, or tuples (id, weight) or (id, weight, age).
            strategy: How the examples make one score.
            k: Maximum number of hits.
            where: As in `search`, and so are the others.
            ids: As in `search`.
            exclude: As in `search`.
            exclude_seen: Leave out the documents of the examples and of the history.
            half_life: The age at which a weight of the history has halved.
            min_score: As in `search`.
            diversity: As in `search`.
            group_by: As in `search`.
            group_size: As in `search`.
            order_by: As in `search`.
            recall: As in `search`.
            exact: As in `search`.
            passages: As in `search`.
            columns: As in `search`.

        Raises:
            VecsearchError: As of `Collection.recommend`.
            StorageError: The server cannot be reached.
        """
        asked = _asked(locals(), ("strategy", "exclude_seen", "half_life", "k", *_OPTIONS))
        asked["history"] = None if history is None else value_for_json(list(history))
        for name, given in (("positive", positive), ("negative", negative)):
            asked[name] = examples_for_json(given)
        return self._hits(self._connection.post("recommend", asked | self._shown(columns)))

    def facets(
        self,
        columns: Sequence[str] | str,
        *,
        where: str | None = None,
        ids: Ids | None = None,
        exclude: Ids | None = None,
        query: str | Vector | None = None,
        mode: Literal["vector", "text"] = "vector",
        using: str | Sequence[str] | None = None,
        min_score: float | None = None,
        bins: int | str | Sequence[float] | None = None,
        passages: bool = False,
    ) -> dict[str, pa.Table]:
        """How many documents have each value of some columns, as `Collection.facets` says.

        Args:
            columns: The columns. The 10,000 most frequent values of each come back.
            where: Count only documents for which this SQL is true.
            ids: Count only documents with these ids.
            exclude: Count no documents with these ids.
            query: Count only documents like this.
            mode: "vector" or "text".
            using: The columns to search by words.
            min_score: The lowest score of a document like it.
            bins: Count ranges: a number of bins, edges, or "year", "month", …
            passages: Count passages instead of documents.

        Raises:
            VecsearchError: As of `Collection.facets`.
            StorageError: The server cannot be reached.
        """
        asked = {"where": where, "ids": _ids(ids), "query": query_for_json(query), "mode": mode}
        asked |= {"min_score": min_score, "limit": 10_000, "passages": passages}
        asked |= {"exclude": _ids(exclude), "using": _listed(using)}
        asked["bins"] = value_for_json(bins)
        names = [columns] if isinstance(columns, str) else list(columns)
        return {
            name: self._connection.table("facets", asked | {"columns": [name]}) for name in names
        }

    def get(self, ids: Ids, columns: Sequence[str] | None = None) -> list[dict[str, Any] | None]:
        """Documents by id; None for an id that no document has."""
        asked = {"ids": _ids(ids), "columns": _listed(columns)}
        found: list[dict[str, Any] | None] = self._connection.post("get", asked)["documents"]
        self._type([row for row in found if row is not None])
        return found

    def count(self, where: str | None = None, *, ids: Ids | None = None) -> int:
        """How many documents match a filter, or have one of some ids."""
        return int(self._connection.post("count", {"where": where, "ids": _ids(ids)})["count"])

    def vector(self, id: Id | None = None, *, text: str | None = None) -> npt.NDArray[np.float32]:
        """The vector of a document, or of a text as a query: float32, shape (dim,)."""
        import numpy as np

        asked = {"id": value_for_json(id), "text": text}
        return np.array(self._connection.post("vector", asked)["vector"], np.float32)

    def scan(
        self,
        columns: Sequence[str] | None = None,
        *,
        where: str | None = None,
        ids: Ids | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Stream rows in batches, from one version whatever is committed meanwhile.

        Args:
            columns: Columns to return. None: all, and the vector.
            where: Only documents for which this SQL is true.
            ids: Only documents with these ids.

        Raises:
            VecsearchError: As of `Collection.scan`.
            StorageError: The server cannot be reached, or stopped in the middle.
        """
        asked = {"columns": _listed(columns), "where": where, "ids": _ids(ids)}
        yield from self._connection.batches("rows", asked)

    def to_arrow(
        self,
        columns: Sequence[str] | None = None,
        *,
        where: str | None = None,
        ids: Ids | None = None,
    ) -> pa.Table:
        """Rows as a pyarrow Table, as `Collection.to_arrow` gives them.

        Args:
            columns: Columns to return. None: all, and the vector.
            where: Only documents for which this SQL is true.
            ids: Only documents with these ids.

        Raises:
            VecsearchError: As of `Collection.to_arrow`.
            StorageError: The server cannot be reached.
        """
        return self._connection.table(
            "rows", {"columns": _listed(columns), "where": where, "ids": _ids(ids)}
        )

    def add(
        self,
        data: Data,
        *,
        on_conflict: OnConflict = "error",
        idempotency_key: str | None = None,
    ) -> AddResult:
        """Add documents in one commit.

        Args:
            data: The documents, in all forms that `Collection.add` takes; files are read here.
            on_conflict: What to do with an id that is there, as in `Collection.add`.
            idempotency_key: A name of this add, to send it again safely, as in `Collection.add`.

        Returns:
            How many were added, replaced, skipped and embedded, and the version.
        """
        merging = on_conflict == "update"
        names = self._about["text_columns"]
        content, kind = rows_to_send(data, names[0] if names else "text", merging=merging)
        found = self._connection.send(
            "POST",
            "/documents",
            content=content,
            headers={"Content-Type": kind}
            | ({"Idempotency-Key": idempotency_key} if idempotency_key else {}),
            params={"on_conflict": on_conflict},
        ).json()
        return AddResult(**found)

    def upsert(self, data: Data) -> AddResult:
        """Add documents with new ids, and update those whose ids are there, as one commit."""
        return self.add(data, on_conflict="update")

    def update(
        self,
        where: str | None = None,
        values: Values | None = None,
        *,
        ids: Ids | None = None,
        dry_run: bool = False,
    ) -> UpdateResult:
        """Set columns of documents by ids or by a filter, as one commit.

        Args:
            where: The documents to change, as a filter.
            values: Column -> value for all of them, or a dict for each of `ids`.
            ids: The documents to change.
            dry_run: Only say what would be changed.
        """
        self.__dict__.pop("_schema", None)  # others may have changed it
        each = new_values_for_json(values, self._schema)
        asked = {"where": where, "values": each, "ids": _ids(ids), "dry_run": dry_run}
        found = self._connection.post("update", asked)
        return UpdateResult(**found | {"ids": tuple(found["ids"])})

    def delete(
        self,
        ids: Ids | None = None,
        *,
        where: str | None = None,
        dry_run: bool = False,
    ) -> DeleteResult:
        """Delete documents by ids or by a filter; how many, and the version."""
        asked = {"ids": _ids(ids), "where": where, "dry_run": dry_run}
        found = self._connection.post("delete", asked)
        return DeleteResult(**found | {"ids": tuple(found["ids"])})

    def info(self) -> dict[str, Any]:
        """What the collection holds: columns, model, indexes, version, recall."""
        found: dict[str, Any] = self._connection.send("GET", "").json()
        return found

    def refresh(self) -> RemoteCollection:
        """Nothing: a server looks for the newest version at each request."""
        return self

    @property
    def id_column(self) -> str:
        """The column of ids."""
        return str(self._about["id_column"])

    @functools.cached_property
    def _about(self) -> dict[str, Any]:
        """What `info` said first: what stays as it is."""
        return self.info()

    def __len__(self) -> int:
        """How many documents there are."""
        return int(self.info()["documents"])

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    def __enter__(self) -> RemoteCollection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[NoReturn]:
        raise TypeError("a collection on a server cannot be listed; search it, or get documents")

    def __repr__(self) -> str:
        return f"RemoteCollection({self.address!r})"

    def _shown(self, columns: Sequence[str] | None) -> dict[str, Any]:
        """What each search says of its answer: the columns, with that of ids, and the plan."""
        if columns is None:
            return {"columns": None, "plan": True}
        return {"columns": list(dict.fromkeys([self.id_column, *columns])), "plan": True}

    def _type(self, rows: Sequence[dict[str, Any]]) -> None:
        """Give values that JSON has not, such as dates, the types of their columns."""
        if not give_types(rows, self._schema):
            del self._schema  # a column is new, or became wider
            give_types(rows, self._schema)

    @functools.cached_property
    def _schema(self) -> pa.Schema:
        return self.to_arrow(ids=[]).schema

    def _hits(self, answer: Mapping[str, Any]) -> RemoteHits:
        own = ("rank", "score", "span")
        rows = [
            {name: value for name, value in each.items() if name not in own}
            for each in answer["hits"]
        ]
        self._type(rows)
        spans = [Span(**each["span"]) if "span" in each else None for each in answer["hits"]]
        hits = [
            RemoteHit(each["rank"], each["score"], row, self.id_column, span)
            for each, row, span in zip(answer["hits"], rows, spans, strict=True)
        ]
        return RemoteHits(hits, answer["plan"]["text"])


# What all searches take.
_OPTIONS = (
    "where",
    "ids",
    "exclude",
    "min_score",
    "diversity",
    "group_by",
    "group_size",
    "order_by",
    "recall",
    "exact",
    "passages",
)


def _asked(given: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Some of a method's arguments, for JSON."""
    asked = {name: given[name] for name in names}
    return asked | {name: _ids(asked[name]) for name in ("ids", "exclude")}


def _listed(names: str | Iterable[str] | None) -> list[str] | None:
    """One or several names as a list."""
    if names is None:
        return None
    return [names] if isinstance(names, str) else list(names)


def _ids(ids: Any) -> list[Any] | None:
    """One or several ids, however they are held, as a list."""
    return None if ids is None else listed_ids(ids)
