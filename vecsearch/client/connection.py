"""Requests to a collection on a server, and its answers and errors."""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from vecsearch import errors
from vecsearch.common.hosts import LOCAL_HOSTS
from vecsearch.common.media_types import ARROW, JSON
from vecsearch.common.optional import require
from vecsearch.common.show import shown
from vecsearch.common.tls import tls_context
from vecsearch.query.for_json import value_for_json

if TYPE_CHECKING:
    import pyarrow as pa

KEY_VARIABLE = "VECSEARCH_API_KEY"


class Connection:
    """Connections to the server of one collection.

    Attributes:
        address: Where the collection is.
    """

    def __init__(
        self,
        address: str,
        *,
        key: str | None,
        uds: str | os.PathLike[str] | None,
        timeout: float,
    ) -> None:
        """As `vecsearch.connect` takes them. Raises InvalidInputError and MissingExtraError."""
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
        tls = tls_context()
        transport = None
        if uds is not None:
            transport = httpx.HTTPTransport(uds=os.fspath(uds), verify=tls)
        self._client = httpx.Client(
            headers=headers,
            timeout=timeout,
            verify=tls,
            follow_redirects=False,
            transport=transport,
        )
        self._transport_error: type[Exception] = httpx.TransportError

    def post(self, verb: str, asked: Mapping[str, Any]) -> Any:
        """The answer to a request, as Python values."""
        return self.send("POST", f"/{verb}", **_json(asked)).json()

    def table(self, verb: str, asked: Mapping[str, Any]) -> pa.Table:
        """The answer to a request, as a table."""
        import pyarrow as pa

        found = self.send("POST", f"/{verb}", **_json(asked, {"Accept": ARROW}))
        try:
            return pa.ipc.open_stream(found.content).read_all()
        except (pa.ArrowException, OSError) as error:
            raise errors.StorageError(f"{self.address} stopped in the middle") from error

    def batches(self, verb: str, asked: Mapping[str, Any]) -> Iterator[pa.RecordBatch]:
        """A table as it arrives."""
        import pyarrow as pa

        sent = _json(asked, {"Accept": ARROW})
        streaming = self._client.stream("POST", f"{self._place}/{verb}", **sent)
        with self._reaching(), streaming as response:
            if not response.is_success:
                response.read()
                raise self._refusal(response)
            try:
                yield from pa.ipc.open_stream(pa.PythonFile(_Parts(response.iter_bytes())))
            except (pa.ArrowException, OSError) as error:
                raise errors.StorageError(f"{self.address} stopped in the middle") from error

    def send(self, method: str, path: str, **options: Any) -> Any:
        """The response to a request that httpx takes. Raises what the server answers."""
        with self._reaching():
            response = self._client.request(method, self._place + path, **options)
        kind = response.headers.get("content-type", "")
        if response.is_success and kind.partition(";")[0] in (JSON, ARROW):
            return response
        raise self._refusal(response)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

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


def _json(asked: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A request in JSON, as httpx takes it."""
    try:
        content = json.dumps(dict(asked), default=value_for_json, allow_nan=False)
    except ValueError as error:  # NaN and infinities
        raise errors.InvalidInputError(f"this cannot be sent as JSON: {error}") from error
    return {"content": content, "headers": {"Content-Type": JSON, **(headers or {})}}


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
