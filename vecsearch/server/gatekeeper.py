"""What is looked at before a request is read: its host, its origin, its key, its size."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from vecsearch.common.media_types import JSON
from vecsearch.server.keys import Keys, Right, key_of
from vecsearch.server.problems import ProblemError, headers_of, problem

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

OPEN_PATHS = ("/healthz", "/readyz")  # need no key: they tell nothing of the data
# A page of another site can send these without asking the server first.
SIMPLE_KINDS = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data")


class Gatekeeper:
    """Refuses a request that should not reach the application.

    Args:
        app: The application.
        hosts: Names by which the server may be called. A page of another site whose name points at
            this machine would otherwise read the answers (DNS rebinding). Empty: any name.
        keys: Who may do what; None lets everybody do everything.
        needed: What a request needs: (method, path) -> right.
        largest: Bytes of a body, by path.
        public: Whether a path needs no key.
        note: Called with the route, the status and the seconds of each request.
    """

    def __init__(
        self,
        app: App,
        *,
        hosts: Collection[str],
        keys: Keys | None,
        needed: Callable[[str, str], Right],
        largest: Callable[[str], int],
        public: Callable[[str], bool],
        note: Callable[[str, int, float], None],
    ) -> None:
        self.app = app
        self._hosts = frozenset(hosts)
        self._keys = keys
        self._needed = needed
        self._largest = largest
        self._public = public
        self._note = note

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            pairs = scope["headers"]
            headers = {name.decode("latin-1"): text.decode("latin-1") for name, text in pairs}
            self._check(scope["method"], scope["path"], headers)
            most = self._largest(scope["path"])
            if int(headers.get("content-length") or 0) > most:
                raise _too_large(most)
            await self.app(scope, _bounded(receive, most), sending)
        except ProblemError as error:
            if status:
                raise
            await refuse(error, sending)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._note(route, status or 500, time.perf_counter() - began)

    def _check(self, method: str, path: str, headers: dict[str, str]) -> None:
        host = _host_of(headers.get("host", ""))
        if self._hosts and host not in self._hosts:
            raise ProblemError(
                400, "WrongHost", f"this server is not called {host!r}: start it with --allow-host"
            )
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != headers.get("host"):
            raise ProblemError(400, "WrongOrigin", "pages of other sites may not use this server")
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if method == "POST" and kind in SIMPLE_KINDS:
            raise ProblemError(
                400, "WrongContentType", f"the body is {kind}; send it as application/json"
            )
        length = headers.get("content-length", "0")
        if not length.isdecimal():
            raise ProblemError(400, "WrongLength", "Content-Length is no number")
        if self._keys is None or self._public(path):
            return
        key = key_of(headers.get("authorization"), headers.get("x-api-key"))
        right = self._keys.right_of(key)
        if right is Right.NONE:
            raise ProblemError(
                401, "Unauthorized", "send a key of this server as `Authorization: Bearer KEY`"
            )
        if right < self._needed(method, path):
            raise ProblemError(401, "Unauthorized", "this key may read only")


def _host_of(header: str) -> str:
    """The name in a Host header, without its port."""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def _too_large(most: int) -> ProblemError:
    return ProblemError(
        413, "TooLarge", f"the body is larger than {most:,} bytes: send it in parts"
    )


def _bounded(receive: Receive, most: int) -> Receive:
    """The messages of a request, as long as its body is not too large."""
    read = 0

    async def receiving() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > most:
            raise _too_large(most)
        return message

    return receiving


async def refuse(error: ProblemError, send: Send) -> None:
    """Answer with an error."""
    status, shown = problem(error)
    content = json.dumps(shown).encode()
    named = {"Content-Type": JSON, "Content-Length": str(len(content)), **headers_of(status)}
    headers = [(name.lower().encode(), value.encode()) for name, value in named.items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
