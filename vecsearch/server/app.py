"""The application: routes over collections, and what wraps all of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from vecsearch.common.media_types import JSON
from vecsearch.errors import VecsearchError
from vecsearch.server.answers import as_json
from vecsearch.server.gatekeeper import OPEN_PATHS, Gatekeeper
from vecsearch.server.keys import Keys, Right
from vecsearch.server.metrics import Metrics
from vecsearch.server.pages import is_page, router
from vecsearch.server.problems import ProblemError, body, headers_of, problem
from vecsearch.server.routes import WRITES, add_routes
from vecsearch.server.served import Collections
from vecsearch.server.shapes import PROBLEMS, described

LOG = logging.getLogger("vecsearch.server")


@dataclass(frozen=True)
class ServerLimits:
    """What one request may take.

    Attributes:
        body_bytes: Of a body, but for documents.
        document_bytes: Of a body of documents.
        seconds: Of a search or a change.
        waiting: Requests that may wait for a collection.
        measure_seconds: Between two measurements of the recall; 0 for none.
    """

    body_bytes: int = 4 << 20
    document_bytes: int = 1 << 30
    seconds: float = 30.0
    waiting: int = 1000
    measure_seconds: float = 3600.0


def create_app(
    folders: Sequence[str | os.PathLike[str]],
    *,
    keys: Keys | None = None,
    hosts: Collection[str] = (),
    limits: ServerLimits | None = None,
) -> FastAPI:
    """An ASGI application that serves collections.

    Args:
        folders: Their folders. A collection's name is its folder's without `.vs`.
        keys: Who may read and write. None: everybody may do everything.
        hosts: Names by which the server may be called. Empty: any name.
        limits: What one request may take.

    Raises:
        CollectionNotFoundError: There is no collection in a folder.
        InvalidInputError: Two have one name.
    """
    limits = limits or ServerLimits()
    collections = Collections([Path(folder) for folder in folders], limits.waiting)
    metrics = Metrics(collections)

    @contextlib.asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        measuring = asyncio.create_task(_measure(collections, limits.measure_seconds))
        yield
        measuring.cancel()
        await asyncio.get_running_loop().run_in_executor(None, collections.close)

    app = FastAPI(
        title="vecsearch",
        summary="Collections of documents, searched by what they mean.",
        version="1",
        lifespan=running,
        docs_url=None,  # these pages load scripts from other sites
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        responses=PROBLEMS,
    )
    app.state.collections, app.state.limits, app.state.metrics = collections, limits, metrics
    _answer_errors(app)
    add_routes(app)
    generated = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            described(generated(), keys=keys is not None)
        return generated()

    app.openapi = openapi  # type: ignore[method-assign]
    app.include_router(router())
    app.add_middleware(
        Gatekeeper,
        hosts=tuple(hosts),
        keys=keys,
        needed=_needed,
        largest=lambda path: (
            limits.document_bytes if path.endswith("/documents") else limits.body_bytes
        ),
        public=lambda path: path in OPEN_PATHS or is_page(path),
        note=metrics.note,
    )
    return app


async def _measure(collections: Collections, seconds: float) -> None:
    """Measure the recall of all collections from time to time."""
    while seconds:
        for served in collections.all():
            try:
                await asyncio.get_running_loop().run_in_executor(None, served.measure)
            except Exception:
                LOG.warning("the recall of %s could not be measured", served.name, exc_info=True)
        await asyncio.sleep(seconds)


def _needed(method: str, path: str) -> Right:
    last = path.rstrip("/").rpartition("/")[2]
    return Right.WRITE if method != "GET" and last in WRITES else Right.READ


def _answer_errors(app: FastAPI) -> None:
    """Give every error the one shape."""

    async def known(request: Request, error: Exception) -> Response:
        status, shown = problem(error)
        if status >= 500 and status != 503:
            LOG.error("a request failed", exc_info=error)
        return _problem_response(status, shown)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return _problem_response(400, body("InvalidInputError", _first_fault(error)))

    async def other(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        words = {404: "there is no such address", 405: "this address does not take that method"}
        message = words.get(error.status_code, str(error.detail))
        response = _problem_response(error.status_code, body("HTTPError", message))
        response.headers.update(error.headers or {})
        return response

    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, other)
    app.add_exception_handler(Exception, known)
    app.add_exception_handler(VecsearchError, known)
    app.add_exception_handler(ProblemError, known)


def _problem_response(status: int, shown: Mapping[str, Any]) -> Response:
    return Response(as_json(shown), status, headers_of(status), JSON)


def _first_fault(error: RequestValidationError) -> str:
    """The first thing that is wrong with a request, in words."""
    faults = error.errors()
    first = faults[0]
    place = ".".join(str(part) for part in first["loc"] if part != "body")
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return f"{place or 'the body'}: {first['msg']}{more}"
