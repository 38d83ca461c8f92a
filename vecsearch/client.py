"""A collection on a server: `vecsearch serve` at the other end."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NoReturn, overload
from urllib.parse import quote, urlsplit

from vecsearch import errors
from vecsearch.common.gate import gate, gated
from vecsearch.common.hosts import LOCAL_HOSTS
from vecsearch.common.media_types import ARROW, NDJSON
from vecsearch.common.optional import require
from vecsearch.common.show import shown
from vecsearch.types import Id, Mode, OnConflict

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

KEY_VARIABLE = "VECSEARCH_API_KEY"


@gated
def connect(address: str, *, key: str | None = None, timeout: float = 30.0) -> RemoteCollection:
    """Use a collection that `vecsearch serve` serves.

    Args:
        address: Where it is: "http://host:port/name".
        key: A key of the server. None: that of the variable VECSEARCH_API_KEY, if there is one.
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
    return RemoteCollection(address, key=key, timeout=timeout)


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

    def __init__(self, address: str, *, key: str | None = None, timeout: float = 30.0) -> None:
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
        self._client = httpx.Client(headers=headers, timeout=timeout, follow_redirects=False)
        self._transport_error: type[Exception] = httpx.TransportError
        self._id_column: str | None = None

    def search(
        self,
        query: str | Sequence[float] | npt.NDArray[Any],
        k: int = 10,
        *,
        mode: Mode = "vector",
        rerank: Literal["maxsim"] | None = None,
        rerank_top: int | None = None,
        where: str | None = None,
        ids: Sequence[Id] | None = None,
        recall: float | None = None,
        exact: bool = False,
        passages: bool = False,
        columns: Sequence[str] | None = None,
    ) -> RemoteHits:
        """Find the k documents most similar to a query, as `Collection.search` does.

        Args:
            query: A text, or a vector of shape (dim,).
            k: Maximum number of hits.
            mode: "vector", "text" or "hybrid".
            rerank: "maxsim" scores the best hits again, by the tokens of the collection's model.
            rerank_top: How many hits are scored again. None: 50, or k if that is more.
            where: Only documents for which this SQL is true.
            ids: Only documents with these ids.
            recall: The mean recall to deliver. None: the collection's target.
            exact: Score every matching row.
            passages: Find passages instead of documents.
            columns: Columns to return. None: all but the vector.

        Raises:
            VecsearchError: As of `Collection.search`.
            StorageError: The server cannot be reached.
        """
        asked = {
            "query": query if isinstance(query, str) else [float(each) for each in query],
            "k": k,
            "mode": mode,
            "rerank": rerank,
            "rerank_top": rerank_top,
            "where": where,
            "ids": None if ids is None else list(ids),
            "recall": recall,
            "exact": exact,
            "passages": passages,
            "columns": None if columns is None else [self.id_column, *columns],
            "plan": True,
        }
        answer = self._post("search", asked)
        hits = [self._hit(each) for each in answer["hits"]]
        return RemoteHits(hits, answer["plan"]["text"])

    def get(
        self, ids: Id | Iterable[Id], columns: Sequence[str] | None = None
    ) -> list[dict[str, Any] | None]:
        """Documents by id; None for an id that no document has."""
        wanted = [ids] if isinstance(ids, str | int) else list(ids)
        found: list[dict[str, Any] | None] = self._post("get", {"ids": wanted, "columns": columns})[
            "documents"
        ]
        return found

    def add(
        self,
        rows: Iterable[Mapping[str, Any]] | pa.Table,
        *,
        on_conflict: OnConflict = "error",
        idempotency_key: str | None = None,
    ) -> dict[str, int]:
        """Add documents in one commit: dicts, or an Arrow table.

        Args:
            rows: The documents. Values of dicts are those of JSON.
            on_conflict: What to do with an id that is there, as in `Collection.add`.
            idempotency_key: A name of this add, to send it again safely, as in `Collection.add`.

        Returns:
            How many were added, replaced, skipped and embedded, and the version.
        """
        if hasattr(rows, "schema"):
            import pyarrow as pa

            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, rows.schema) as writer:
                writer.write_table(rows)
            content, kind = sink.getvalue().to_pybytes(), ARROW
        else:
            lines = (json.dumps(dict(row), ensure_ascii=False) for row in rows)
            content, kind = "".join(f"{line}\n" for line in lines).encode(), NDJSON
        result: dict[str, int] = self._send(
            "POST",
            "/documents",
            content=content,
            headers={"Content-Type": kind}
            | ({"Idempotency-Key": idempotency_key} if idempotency_key else {}),
            params={"on_conflict": on_conflict},
        )
        return result

    def delete(
        self,
        ids: Id | Iterable[Id] | None = None,
        *,
        where: str | None = None,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Delete documents by ids or by a filter; how many, and the version."""
        wanted = [ids] if isinstance(ids, str | int) else None if ids is None else list(ids)
        asked = {"ids": wanted, "where": where, "dry_run": dry_run}
        result: dict[str, Any] = self._post("delete", asked)
        return result

    def info(self) -> dict[str, Any]:
        """What the collection holds: columns, model, indexes, version, recall."""
        found: dict[str, Any] = self._send("GET", "")
        return found

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

    def _hit(self, found: dict[str, Any]) -> RemoteHit:
        own = ("rank", "score", "span")
        columns = {name: value for name, value in found.items() if name not in own}
        return RemoteHit(found["rank"], found["score"], columns, self.id_column)

    def _post(self, verb: str, asked: Mapping[str, Any]) -> Any:
        return self._send("POST", f"/{verb}", json=asked)

    def _send(self, method: str, path: str, **options: Any) -> Any:
        try:
            response = self._client.request(method, self._place + path, **options)
        except self._transport_error as error:
            raise errors.StorageError(f"{self.address} cannot be reached: {error}") from error
        try:
            answer = response.json()
        except ValueError:
            answer = {}
        if response.is_success and isinstance(answer, dict):
            return answer
        raise _raised(response.status_code, answer, self.address)


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
