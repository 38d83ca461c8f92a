"""Requests to a model's server: retries, limits, and a key that goes to one host only."""

from __future__ import annotations

import email.utils
import json
import logging
import os
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from vecsearch.common.hosts import is_this_machine
from vecsearch.common.optional import require
from vecsearch.common.show import cut
from vecsearch.common.tls import tls_context
from vecsearch.errors import EmbedderError, InvalidInputError

_log = logging.getLogger(__name__)
FIRST_PAUSE = 0.5  # seconds before the second attempt; each pause is twice the one before
LONGEST_PAUSE = 60.0  # a server that asks for more is not waited for
LARGEST_ANSWER = 64 << 20  # bytes
CONNECT_SECONDS = 10.0
PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})  # worth another attempt
_TOO_LARGE = ("too large", "too long", "too many", "maximum context", "max_tokens", "batch size")
_sleep: Callable[[float], None] = time.sleep  # tests wait less


class RefusedError(EmbedderError):
    """The server refused a request; `too_large` where a smaller one may be taken."""

    too_large = False


class Requests:
    """POST requests in JSON to one endpoint.

    Args:
        name: The model, for messages.
        endpoint: The address that paths are put behind.
        key_variable: The variable that holds the key; "" sends none.
        kind_variable: The variable of the kind, for a hint where no key was sent.
        endpoint_variable: The variable of the address, for a hint.
        timeout: Seconds until a request counts as failed.
        attempts: How often a request is sent at most.
    """

    def __init__(
        self,
        name: str,
        endpoint: str,
        key_variable: str,
        kind_variable: str,
        endpoint_variable: str,
        timeout: float,
        attempts: int,
    ) -> None:
        if not timeout > 0:
            raise InvalidInputError(f"timeout is {timeout}; it must be more than 0 seconds")
        if attempts < 1:
            raise InvalidInputError(f"attempts is {attempts}; it must be 1 or more")
        self.name = name
        self._endpoint = endpoint
        self._host = urlsplit(endpoint).hostname or ""
        self._key_variable = key_variable
        self._kind_variable = kind_variable
        self._endpoint_variable = endpoint_variable
        self._timeout = timeout
        self._attempts = attempts
        self._httpx: Any = require("httpx", "httpx", "servers", f"The embedder '{name}'")

    def post(self, path: str, body: object) -> Any:
        """What the server answers, decoded.

        Raises:
            RefusedError: The server refused the request.
            EmbedderError: It could not be reached, or failed at every attempt.
        """
        reason = ""
        for attempt in range(self._attempts):
            status, headers, answer, failure = self._send(path, body)
            if failure:
                reason, pause = failure, FIRST_PAUSE * 2**attempt
            elif status == HTTPStatus.OK:
                return self._decoded(answer)
            else:
                said = self._said(answer)
                if status not in PASSING or "insufficient_quota" in said:
                    raise self._refused(status, headers, said)
                reason = f"it answered {_named(status)}{said and ': ' + said}"
                pause = _asked_pause(headers.get("retry-after"))
                if pause is None:
                    pause = FIRST_PAUSE * 2**attempt
                elif pause > LONGEST_PAUSE:
                    raise EmbedderError(
                        f"{self.name}: the server at {self._endpoint} asks to wait {pause:.0f} s "
                        f"({reason})"
                    )
            if attempt + 1 < self._attempts:
                pause = min(pause, LONGEST_PAUSE)
                _log.debug("%s: %s; again in %.1f s", self.name, reason, pause)
                _sleep(pause)
        raise EmbedderError(
            f"{self.name}: no answer from the server at {self._endpoint} after "
            f"{self._attempts} attempts: {reason}",
            hint=f"start the server, or give its address by endpoint= or the variable "
            f"{self._endpoint_variable}",
            command_hint=f"start the server, or set {self._endpoint_variable} to its address",
        )

    def _send(self, path: str, body: object) -> tuple[int, Any, bytes, str]:
        """(status, headers, answer, "") of one attempt, or what failed in the last place."""
        httpx = self._httpx
        key = os.environ.get(self._key_variable, "").strip() if self._key_variable else ""
        headers = {"content-type": "application/json", "accept": "application/json"}
        if key:
            self._require_private(key)
            headers["authorization"] = f"Bearer {key}"
        until = time.monotonic() + self._timeout
        try:
            # A client for each request: its connections would not survive a fork. Proxies of the
            # environment are not asked for this machine.
            with (
                httpx.Client(
                    timeout=httpx.Timeout(
                        self._timeout, connect=min(CONNECT_SECONDS, self._timeout)
                    ),
                    follow_redirects=False,
                    trust_env=not is_this_machine(self._host),
                    verify=tls_context(),
                ) as client,
                client.stream(
                    "POST",
                    self._endpoint + path,
                    content=json.dumps(body).encode(),
                    headers=headers,
                ) as response,
            ):
                answer = bytearray()
                for piece in response.iter_bytes():
                    answer += piece
                    if len(answer) > LARGEST_ANSWER:
                        raise EmbedderError(
                            f"{self.name}: the answer of the server at {self._endpoint} is larger "
                            f"than {LARGEST_ANSWER >> 20} MB"
                        )
                    if time.monotonic() > until:
                        return 0, {}, b"", f"it took longer than {self._timeout:g} s"
                return response.status_code, response.headers, bytes(answer), ""
        except httpx.TimeoutException:
            return 0, {}, b"", f"it took longer than {self._timeout:g} s"
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            return 0, {}, b"", self._clean(str(error) or type(error).__name__)

    def _require_private(self, key: str) -> None:
        """A key is sent encrypted, or not over a network."""
        if not key.isascii() or any(character.isspace() for character in key):
            raise EmbedderError(f"the variable {self._key_variable} holds no key: it has spaces")
        if urlsplit(self._endpoint).scheme == "http" and not is_this_machine(self._host):
            raise EmbedderError(
                f"{self.name}: the key in {self._key_variable} would be sent to {self._endpoint} "
                "unencrypted",
                hint="give an endpoint that begins with https://",
                command_hint=f"set {self._endpoint_variable} to an address that begins with "
                "https://",
            )

    def _decoded(self, answer: bytes) -> Any:
        try:
            return json.loads(answer)
        except (ValueError, RecursionError):
            raise EmbedderError(
                f"{self.name}: the server at {self._endpoint} answered no JSON, but "
                f"{self._clean(answer[:60].decode('utf-8', 'replace'))!r}"
            ) from None

    def _said(self, answer: bytes) -> str:
        """The message of an error, as one short line without the key."""
        try:
            found = json.loads(answer)
        except (ValueError, RecursionError):
            found = None
        error = found.get("error", found) if isinstance(found, dict) else found
        if isinstance(error, dict):
            message = error.get("message") or error.get("detail") or json.dumps(error)
            code = error.get("code")
            error = f"{message} ({code})" if isinstance(code, str) else message
        text = error if isinstance(error, str) else answer[:500].decode("utf-8", "replace")
        return cut(self._clean(" ".join(text.split())), 200)

    def _clean(self, text: str) -> str:
        """A text without the key, which a server may repeat."""
        key = os.environ.get(self._key_variable, "").strip() if self._key_variable else ""
        return text.replace(key, "***") if key else text

    def _refused(self, status: int, headers: Any, said: str) -> EmbedderError:
        where = f"{self.name}: the server at {self._endpoint}"
        if 300 <= status < 400:
            host = urlsplit(headers.get("location", "")).hostname or "another address"
            return EmbedderError(
                f"{where} redirects to {host}; that is not followed, as texts and key are meant "
                "for the first",
                hint="give the right address by endpoint=",
                command_hint=f"set {self._endpoint_variable} to the right address",
            )
        hint = ""
        if status in (401, 403):
            if self._key_variable:
                hint = f"the key is read from the variable {self._key_variable}"
            elif self._kind_variable:
                hint = (
                    f"no key was sent, as the one in {self._kind_variable} belongs to another "
                    "host: name the variable of this one's by key_variable="
                )
        error = RefusedError(f"{where} answered {_named(status)}{said and ': ' + said}", hint=hint)
        is_about_size = any(words in said.lower() for words in _TOO_LARGE)
        error.too_large = status == 413 or (status in (400, 422) and is_about_size)
        return error


def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _asked_pause(header: str | None) -> float | None:
    """Seconds that a Retry-After header asks for: a number, or a date."""
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(header).timestamp() - time.time()
        except (TypeError, ValueError, OverflowError):
            return None
    return max(seconds, 0.0) if seconds == seconds else None
