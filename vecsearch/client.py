"""A collection on a server: `vecsearch serve` at the other end."""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NoReturn, overload
from urllib.parse import quote, urlsplit

from vecsearch import errors
from vecsearch.common.gate import gate, gated
from vecsearch.common.hosts import LOCAL_HOSTS
from vecsearch.common.media_types import ARROW, JSON, NDJSON
from vecsearch.common.optional import require
from vecsearch.common.show import shown
from vecsearch.types import AddResult, DeleteResult, Id, Mode, OnConflict, UpdateResult

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

KEY_VARIABLE = "VECSEARCH_API_KEY"


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


@dataclass(frozen=True)
class RemoteHit:
    """A document that a search on a server found.

    Attributes:
        rank: 1 for the best.
        score: Its likeness, as of `Collection.search`.
        columns: Its columns.

    Example:
        >>> from vecsearch.client import RemoteHit
        >>> hit = RemoteHit(1, 0.9, {"id": 7, "year": 2001})
        >>> hit.id, hit["year"]
        (7, 2001)
    """

    rank: int
    score: float
    columns: Mapping[str, Any]
    id_column: str = field(default="id", repr=False)

    @property
    def id(self) -> Id:
        """The id of the document."""
        found: Id = self.columns[self.id_column]
        return found

    def __getitem__(self, column: str) -> Any:
        """The value of a column."""
        return self.columns[column]


@gate
class RemoteHits(Sequence[RemoteHit]):
    """What a search on a server found, best first.

    Attributes:
        plan: How the search was done.

    Example:
        >>> from vecsearch.client import RemoteHit, RemoteHits
        >>> hits = RemoteHits([RemoteHit(1, 0.9, {"id": 7})], "exact search over 1 row")
        >>> hits.ids, hits.scores, hits[0].rank
        ([7], [0.9], 1)
    """

    def __init__(self, hits: Sequence[RemoteHit], plan: str) -> None:
        self._hits = list(hits)
        self.plan = plan

    @property
    def ids(self) -> list[Id]:
        """The ids, best first."""
        return [hit.id for hit in self._hits]

    @property
    def scores(self) -> list[float]:
        """The scores, best first."""
        return [hit.score for hit in self._hits]

    def __len__(self) -> int:
        return len(self._hits)

    @overload
    def __getitem__(self, at: int) -> RemoteHit: ...
    @overload
    def __getitem__(self, at: slice) -> RemoteHits: ...
    def __getitem__(self, at: int | slice) -> RemoteHit | RemoteHits:
        if isinstance(at, slice):
            return RemoteHits(self._hits[at], self.plan)
        return self._hits[at]

    def __repr__(self) -> str:
        return f"RemoteHits({len(self)}; {self.plan})"


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
        parts = urlsplit(address)
        name = parts.path.strip("/")
        if parts.scheme not in ("http", "https") or not parts.hostname or not name:
            raise errors.InvalidInputError(
                f"address is {shown(address)}; it must be http://host:port/name"
            )
        if "/" in name or parts.query or parts.username:
            raise errors.InvalidInputError(
                f"address is {shown(address)}; it has more than a host, a port and a name"
            )
        key = key if key is not None else os.environ.get(KEY_VARIABLE)
        local = parts.hostname in LOCAL_HOSTS
        if key and parts.scheme == "http" and not local:
            raise errors.InvalidInputError(
                f"a key for {parts.hostname!r} would travel unencrypted: use https"
            )
        httpx = require("httpx", "httpx", "serve", "vecsearch.connect")
        self.address = address
        self._place = f"{parts.scheme}://{parts.netloc}/v1/collections/{quote(name)}"
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        # No redirection is followed, so that the key reaches this server only.
        transport = None if uds is None else httpx.HTTPTransport(uds=os.fspath(uds))
        self._client = httpx.Client(
            headers=headers, timeout=timeout, follow_redirects=False, transport=transport
        )
        self._transport_error: type[Exception] = httpx.TransportError
        self._id_column: str | None = None

    def search(
        self,
        query: str | Sequence[float] | Sequence[Sequence[float]] | npt.NDArray[Any] | None = None,
        k: int = 10,
        *,
        text: str | None = None,
        vector: Sequence[float] | npt.NDArray[Any] | None = None,
        mode: Mode = "vector",
        using: str | Sequence[str] | None = None,
        fusion: str | None = None,
        rerank: Literal["maxsim"] | None = None,
        rerank_top: int | None = None,
        where: str | None = None,
        ids: Iterable[Id] | None = None,
        exclude: Iterable[Id] | None = None,
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
        own = {"query": _numbers(query), "text": text, "vector": _numbers(vector)}
        own |= {"mode": mode, "using": _listed(using), "fusion": fusion}
        own |= {"rerank": rerank, "rerank_top": rerank_top}
        asked = _asked(locals(), ("k", *_OPTIONS)) | own
        return self._hits(self._post("search", asked | self._shown(columns)))

    def search_batch(
        self,
        queries: Sequence[str]
        | Sequence[Sequence[float]]
        | Sequence[Sequence[Sequence[float]]]
        | npt.NDArray[Any]
        | None = None,
        k: int = 10,
        *,
        texts: Sequence[str] | None = None,
        vectors: Sequence[Sequence[float]] | npt.NDArray[Any] | None = None,
        mode: Mode = "vector",
        using: str | Sequence[str] | None = None,
        fusion: str | None = None,
        rerank: Literal["maxsim"] | None = None,
        rerank_top: int | None = None,
        where: str | None = None,
        ids: Iterable[Id] | None = None,
        exclude: Iterable[Id] | None = None,
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
            asked[name] = None if given is None else [_numbers(query) for query in given]
        found = self._post("search_batch", asked | self._shown(columns))
        return [self._hits(each) for each in found["results"]]

    def similar(
        self,
        id: Id,
        k: int = 10,
        *,
        where: str | None = None,
        ids: Iterable[Id] | None = None,
        exclude: Iterable[Id] | None = None,
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
        asked = _asked(locals(), ("id", "k", *_OPTIONS)) | {"id": _plain(id)}
        return self._hits(self._post("similar", asked | self._shown(columns)))

    def recommend(
        self,
        positive: Id | Iterable[Any] | None = None,
        negative: Id | Iterable[Any] | None = None,
        *,
        history: Iterable[Any] | None = None,
        strategy: Literal["average", "best_score", "sum_scores"] = "average",
        k: int = 10,
        where: str | None = None,
        ids: Iterable[Id] | None = None,
        exclude: Iterable[Id] | None = None,
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
        asked["history"] = None if history is None else [_had(each) for each in history]
        asked |= {"positive": _examples(positive), "negative": _examples(negative)}
        return self._hits(self._post("recommend", asked | self._shown(columns)))

    def facets(
        self,
        columns: Sequence[str] | str,
        *,
        where: str | None = None,
        ids: Iterable[Id] | None = None,
        exclude: Iterable[Id] | None = None,
        query: str | Sequence[float] | npt.NDArray[Any] | None = None,
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
        asked = {"where": where, "ids": _listed(ids), "query": _numbers(query), "mode": mode}
        asked |= {"min_score": min_score, "limit": 10_000, "passages": passages}
        asked |= {"exclude": _listed(exclude), "using": _listed(using)}
        asked["bins"] = bins if isinstance(bins, int | str | None) else list(bins)
        names = [columns] if isinstance(columns, str) else list(columns)
        return {name: self._table("facets", asked | {"columns": [name]}) for name in names}

    def get(
        self, ids: Id | Iterable[Id], columns: Sequence[str] | None = None
    ) -> list[dict[str, Any] | None]:
        """Documents by id; None for an id that no document has."""
        asked = {"ids": _listed(ids), "columns": _listed(columns)}
        found: list[dict[str, Any] | None] = self._post("get", asked)["documents"]
        return found

    def count(self, where: str | None = None, *, ids: Iterable[Id] | None = None) -> int:
        """How many documents match a filter, or have one of some ids."""
        return int(self._post("count", {"where": where, "ids": _listed(ids)})["count"])

    def vector(self, id: Id | None = None, *, text: str | None = None) -> npt.NDArray[np.float32]:
        """The vector of a document, or of a text as a query: float32, shape (dim,)."""
        import numpy as np

        return np.array(
            self._post("vector", {"id": _plain(id), "text": text})["vector"], np.float32
        )

    def scan(
        self,
        columns: Sequence[str] | None = None,
        *,
        where: str | None = None,
        ids: Iterable[Id] | None = None,
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
        import pyarrow as pa

        asked = {"columns": _listed(columns), "where": where, "ids": _listed(ids)}
        address, headers = f"{self._place}/rows", {"Accept": ARROW}
        streaming = self._client.stream("POST", address, json=asked, headers=headers)
        with self._reaching(), streaming as response:
            if not response.is_success:
                response.read()
                raise self._refusal(response)
            try:
                yield from pa.ipc.open_stream(pa.PythonFile(_Parts(response.iter_bytes())))
            except (pa.ArrowException, OSError) as error:
                raise errors.StorageError(f"{self.address} stopped in the middle") from error

    def to_arrow(
        self,
        columns: Sequence[str] | None = None,
        *,
        where: str | None = None,
        ids: Iterable[Id] | None = None,
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
        return self._table(
            "rows", {"columns": _listed(columns), "where": where, "ids": _listed(ids)}
        )

    def add(
        self,
        data: Iterable[Mapping[str, Any]] | pa.Table,
        *,
        on_conflict: OnConflict = "error",
        idempotency_key: str | None = None,
    ) -> AddResult:
        """Add documents in one commit: dicts, or an Arrow table.

        Args:
            data: The documents. Values of dicts are those of JSON.
            on_conflict: What to do with an id that is there, as in `Collection.add`.
            idempotency_key: A name of this add, to send it again safely, as in `Collection.add`.

        Returns:
            How many were added, replaced, skipped and embedded, and the version.
        """
        if hasattr(data, "schema"):
            import pyarrow as pa

            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, data.schema) as writer:
                writer.write_table(data)
            content, kind = sink.getvalue().to_pybytes(), ARROW
        else:
            lines = (json.dumps(dict(row), ensure_ascii=False) for row in data)
            content, kind = "".join(f"{line}\n" for line in lines).encode(), NDJSON
        found = self._send(
            "POST",
            "/documents",
            content=content,
            headers={"Content-Type": kind}
            | ({"Idempotency-Key": idempotency_key} if idempotency_key else {}),
            params={"on_conflict": on_conflict},
        ).json()
        return AddResult(**found)

    def upsert(self, data: Iterable[Mapping[str, Any]] | pa.Table) -> AddResult:
        """Add documents with new ids, and update those whose ids are there, as one commit."""
        return self.add(data, on_conflict="update")

    def update(
        self,
        where: str | None = None,
        values: Mapping[str, Any] | Iterable[Mapping[str, Any]] | None = None,
        *,
        ids: Iterable[Id] | None = None,
        dry_run: bool = False,
    ) -> UpdateResult:
        """Set columns of documents by ids or by a filter, as one commit.

        Args:
            where: The documents to change, as a filter.
            values: Column -> value for all of them, or a dict for each of `ids`.
            ids: The documents to change.
            dry_run: Only say what would be changed.
        """
        each = dict(values) if isinstance(values, Mapping) else [dict(row) for row in values or []]
        asked = {"where": where, "values": each, "ids": _listed(ids), "dry_run": dry_run}
        found = self._post("update", asked)
        return UpdateResult(**found | {"ids": tuple(found["ids"])})

    def delete(
        self,
        ids: Id | Iterable[Id] | None = None,
        *,
        where: str | None = None,
        dry_run: bool = False,
    ) -> DeleteResult:
        """Delete documents by ids or by a filter; how many, and the version."""
        asked = {"ids": _listed(ids), "where": where, "dry_run": dry_run}
        found = self._post("delete", asked)
        return DeleteResult(**found | {"ids": tuple(found["ids"])})

    def info(self) -> dict[str, Any]:
        """What the collection holds: columns, model, indexes, version, recall."""
        found: dict[str, Any] = self._send("GET", "").json()
        return found

    def refresh(self) -> RemoteCollection:
        """Nothing: a server looks for the newest version at each request."""
        return self

    @property
    def id_column(self) -> str:
        """The column of ids."""
        if self._id_column is None:
            self._id_column = str(self.info()["id_column"])
        return self._id_column

    def __len__(self) -> int:
        """How many documents there are."""
        return int(self.info()["documents"])

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

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

    def _hits(self, answer: Mapping[str, Any]) -> RemoteHits:
        own = ("rank", "score", "span")
        hits = [
            RemoteHit(
                each["rank"],
                each["score"],
                {name: value for name, value in each.items() if name not in own},
                self.id_column,
            )
            for each in answer["hits"]
        ]
        return RemoteHits(hits, answer["plan"]["text"])

    def _post(self, verb: str, asked: Mapping[str, Any]) -> Any:
        return self._send("POST", f"/{verb}", json=asked).json()

    def _table(self, verb: str, asked: Mapping[str, Any]) -> pa.Table:
        import pyarrow as pa

        found = self._send("POST", f"/{verb}", json=asked, headers={"Accept": ARROW})
        try:
            return pa.ipc.open_stream(found.content).read_all()
        except (pa.ArrowException, OSError) as error:
            raise errors.StorageError(f"{self.address} stopped in the middle") from error

    def _send(self, method: str, path: str, **options: Any) -> Any:
        with self._reaching():
            response = self._client.request(method, self._place + path, **options)
        kind = response.headers.get("content-type", "")
        if response.is_success and kind.partition(";")[0] in (JSON, ARROW):
            return response
        raise self._refusal(response)

    @contextlib.contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except self._transport_error as error:
            raise errors.StorageError(f"{self.address} cannot be reached: {error}") from error

    def _refusal(self, response: Any) -> errors.VecsearchError:
        try:
            answer = response.json()
        except ValueError:
            answer = None
        return _raised(response.status_code, answer, self.address)


class _Parts(io.RawIOBase):
    """The parts of an answer as a file."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts, self._left = parts, b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self._left) < size:
            part = next(self._parts, None)
            if part is None:
                break
            self._left += part
        size = len(self._left) if size < 0 else size
        found, self._left = self._left[:size], self._left[size:]
        return found


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
    return asked | {name: _listed(asked[name]) for name in ("ids", "exclude")}


def _listed(values: Any) -> list[Any] | None:
    """One or several values as a list, for JSON."""
    if values is None:
        return None
    if hasattr(values, "to_pylist"):
        return list(values.to_pylist())
    if isinstance(values, str | int) or not getattr(values, "shape", True):
        return [_plain(values)]
    return [_plain(each) for each in values]


def _plain(value: Any) -> Any:
    """A value for JSON: a number of numpy as one of Python."""
    return value.item() if getattr(value, "shape", None) == () else value


def _numbers(query: Any) -> Any:
    """A query for JSON: a text or an id as it is, a vector, or several, as a list."""
    if query is None or isinstance(query, str | int):
        return query
    if isinstance(query, Mapping):  # an example that says what it is
        return {name: _numbers(each) for name, each in query.items()}
    if getattr(query, "shape", None) == ():
        return _plain(query)
    return [_numbers(each) if hasattr(each, "__len__") else float(each) for each in query]


def _examples(given: Any) -> list[Any]:
    """One or several examples, for JSON. Numbers with a fraction are a vector."""
    if given is None:
        return []
    is_one = isinstance(given, str | int | Mapping) or not getattr(given, "shape", True)
    some = [given] if is_one else list(given)
    if some and not is_one and all(_is_fraction(each) for each in some):
        some = [some]
    return [_numbers(each) for each in some]


def _is_fraction(value: Any) -> bool:
    if getattr(value, "shape", None) == ():
        value = value.item()
    return isinstance(value, float)


def _had(each: Any) -> Any:
    """What a user had, for JSON: an id, or a list of id, weight and age."""
    return each if isinstance(each, str | int) else [_plain(part) for part in each]


def _raised(status: int, answer: Any, address: str) -> errors.VecsearchError:
    """The error that a server answered with."""
    told = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(told, dict):
        return errors.StorageError(f"{address} answered with status {status}, and not as vecsearch")
    message, hint = str(told.get("message")), str(told.get("hint", ""))
    kind = getattr(errors, str(told.get("type")), None)
    if not (isinstance(kind, type) and issubclass(kind, errors.VecsearchError)):
        kind = errors.StorageError if status >= 429 else errors.InvalidInputError
    try:
        return kind(message, hint=hint)
    except TypeError:
        return errors.StorageError(message, hint=hint)
