"""The application: routes over collections, and what wraps all of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import tempfile
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, FastAPI, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from vecsearch.common.media_types import ARROW, JSON, NDJSON
from vecsearch.errors import VecsearchError
from vecsearch.server.answers import as_arrow, as_json, hits_as_json, wants_arrow
from vecsearch.server.bodies import DeleteBody, FacetsBody, GetBody, SearchBody, SimilarBody
from vecsearch.server.gatekeeper import OPEN_PATHS, Gatekeeper
from vecsearch.server.keys import Keys, Right
from vecsearch.server.metrics import Metrics
from vecsearch.server.pages import is_page, points, router
from vecsearch.server.problems import ProblemError, body, headers_of, problem
from vecsearch.server.served import Collections, Served
from vecsearch.types import OnConflict

if TYPE_CHECKING:
    from vecsearch.collection import Collection as OpenCollection
    from vecsearch.query.results import Hits

LOG = logging.getLogger("vecsearch.server")
WRITES = ("documents", "delete")  # the last parts of addresses that change something
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {JSON: {"schema": {"type": "object"}}}}
    for status, text in (
        (400, "The request is wrong."),
        (401, "A key is missing, or may not do this."),
        (404, "There is no such collection."),
        (409, "It does not fit what is there, such as an id that is taken."),
        (413, "The body is too large."),
        (429, "Too many searches wait."),
        (503, "Not now: another writer, a time limit, or the files."),
    )
}


@dataclass(frozen=True)
class ServerLimits:
    """What one request may take.

    Attributes:
        body_bytes: Of a body, but for documents.
        document_bytes: Of a body of documents.
        seconds: Of a search or a change.
        waiting: Searches that may wait for a collection.
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
    _routes(app)
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


async def _served(request: Request, name: str) -> Served:
    collections: Collections = request.app.state.collections
    return collections[name]


ServedOne = Annotated[Served, Depends(_served)]
Accept = Annotated[str | None, Header()]


def _json(value: Any) -> Response:
    return Response(as_json(value), media_type=JSON)


def _hits(asked: SearchBody | SimilarBody, accept: str | None, hits: Hits) -> tuple[Response, str]:
    """Hits as the client wants them, and how they were found."""
    if wants_arrow(accept):
        response = Response(as_arrow(hits.to_arrow(asked.columns)), media_type=ARROW)
    else:
        content = hits_as_json(hits, asked.columns, plan=asked.plan, highlight=asked.highlight)
        response = Response(content, media_type=JSON)
    return response, hits.plan.method


def _routes(app: FastAPI) -> None:
    limits: ServerLimits = app.state.limits
    metrics: Metrics = app.state.metrics

    @app.get("/healthz", tags=["server"])
    async def healthz() -> dict[str, str]:
        """Whether the process answers."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["server"])
    async def readyz(request: Request) -> Response:
        """Whether every collection can be opened."""
        for served in request.app.state.collections.all():
            await served.call(lambda c: len(c))
        return _json({"status": "ready"})

    @app.get("/metrics", tags=["server"])
    async def figures() -> Response:
        """Figures for Prometheus."""
        text = await asyncio.get_running_loop().run_in_executor(None, metrics.text)
        return Response(text, media_type="text/plain; version=0.0.4")

    @app.get("/v1/collections", tags=["collections"])
    async def names(request: Request) -> Response:
        """The collections, with the number of documents in each."""
        found = [
            {"name": served.name, "documents": await served.call(len)}
            for served in request.app.state.collections.all()
        ]
        return _json({"collections": found})

    @app.get("/v1/collections/{name}", tags=["collections"])
    async def info(served: ServedOne) -> Response:
        """What a collection holds: columns, model, indexes, version, recall."""
        return _json(await served.call(lambda c: _described(served, c)))

    @app.get("/v1/collections/{name}/map", tags=["collections"])
    async def places(served: ServedOne) -> Response:
        """Documents in two dimensions, for a picture: those near each other are alike."""
        return _json({"points": await served.call(points)})

    @app.post("/v1/collections/{name}/search", tags=["search"])
    async def search(served: ServedOne, asked: SearchBody, accept: Accept = None) -> Response:
        """The documents most similar to a text or a vector."""
        options, finish = asked.options(limits.seconds), partial(_hits, asked, accept)
        if asked.text is None and asked.vector is None:
            response, method = await served.search(asked.query, options, finish)
        else:
            response, method = await served.call(lambda c: finish(c.search(asked.query, **options)))
        metrics.note_search(served.name, method)
        return response

    @app.post("/v1/collections/{name}/similar", tags=["search"])
    async def similar(served: ServedOne, asked: SimilarBody, accept: Accept = None) -> Response:
        """The documents most similar to one that is there, without itself."""
        options = asked.options(limits.seconds)
        finish = partial(_hits, asked, accept)
        response, method = await served.call(lambda c: finish(c.similar(asked.id, **options)))
        metrics.note_search(served.name, method)
        return response

    @app.post("/v1/collections/{name}/facets", tags=["search"])
    async def facets(served: ServedOne, asked: FacetsBody) -> Response:
        """How many documents have each value of some columns."""
        found = await served.call(
            lambda c: c.facets(
                asked.columns,
                where=asked.where,
                ids=asked.ids,
                query=asked.query,
                min_score=asked.min_score,
                bins=asked.bins,
                timeout=limits.seconds,
            )
        )
        tables = {name: table[: asked.limit].to_pylist() for name, table in found.items()}
        return _json({"facets": tables})

    @app.post("/v1/collections/{name}/get", tags=["documents"])
    async def get(served: ServedOne, asked: GetBody, accept: Accept = None) -> Response:
        """Documents by id; null for an id that no document has."""
        if wants_arrow(accept):
            table = await served.call(lambda c: c.to_arrow(asked.columns, ids=asked.ids))
            return Response(as_arrow(table), media_type=ARROW)
        return _json({"documents": await served.call(lambda c: c.get(asked.ids, asked.columns))})

    @app.post(
        "/v1/collections/{name}/documents",
        tags=["documents"],
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    NDJSON: {"schema": {"type": "string"}},
                    ARROW: {"schema": {"type": "string", "format": "binary"}},
                },
            }
        },
    )
    async def documents(
        request: Request,
        served: ServedOne,
        on_conflict: Annotated[OnConflict, Query()] = "error",
        content_type: Annotated[str, Header()] = NDJSON,
        idempotency_key: Annotated[str | None, Header()] = None,
    ) -> Response:
        """Add documents: one JSON object a line, or an Arrow stream. All of them, or none."""
        kind = content_type.partition(";")[0].strip().lower()
        if kind not in (NDJSON, "application/jsonl", ARROW):
            raise ProblemError(
                400, "WrongContentType", f"the body is {kind}; send {NDJSON} or {ARROW}"
            )
        with tempfile.TemporaryDirectory(prefix="vecsearch-") as folder:
            path = Path(folder, "documents.arrow" if kind == ARROW else "documents.jsonl")
            with path.open("wb") as file:
                async for part in request.stream():
                    file.write(part)
            result = await served.call(lambda c: _add(c, path, on_conflict, idempotency_key))
        return _json(result)

    @app.post("/v1/collections/{name}/delete", tags=["documents"])
    async def delete(served: ServedOne, asked: DeleteBody) -> Response:
        """Delete documents by ids or by a filter."""
        if asked.ids is None and asked.where is None:
            raise ProblemError(400, "InvalidInputError", "give ids or where")
        result = await served.call(
            lambda c: c.delete(
                asked.ids, where=asked.where, dry_run=asked.dry_run, timeout=limits.seconds
            )
        )
        return _json(result)


def _described(served: Served, collection: OpenCollection) -> dict[str, Any]:
    info = collection.info()
    measured = served.measured
    return {
        "name": served.name,
        "documents": info.documents,
        "rows": info.rows,
        "version": info.version,
        "bytes": info.bytes,
        "dim": info.dim,
        "metric": info.metric,
        "embedder": info.embedder,
        "id_column": info.id_column,
        "text_columns": info.text_columns,
        "full_text": info.full_text,
        "columns": info.columns,
        "recall": {
            "target": info.recall,
            "promised": collection.plan().expected_recall,
            "measured": measured
            and {
                "recall": measured.recall,
                "low": measured.low,
                "high": measured.high,
                "queries": measured.queries,
                "how": measured.query_source,
            },
        },
        "indexes": [
            {"recipe": index.recipe.get("name"), "rows": index.rows, "bytes": index.bytes}
            for index in info.indexes
        ],
        "versions": [
            {"version": each.version, "operation": each.operation, "documents": each.documents}
            for each in collection.versions()[-20:]
        ],
    }


def _add(
    collection: OpenCollection, path: Path, on_conflict: OnConflict, key: str | None
) -> dict[str, Any]:
    data: Any = path
    if path.suffix == ".arrow":
        import pyarrow as pa

        try:
            reader = pa.ipc.open_stream(path)
        except pa.ArrowException as error:
            raise ProblemError(
                400, "InvalidInputError", f"the body is no Arrow stream: {error}"
            ) from None
        data = reader
    result = collection.add(data, on_conflict=on_conflict, idempotency_key=key, progress=False)
    return {
        "added": result.added,
        "replaced": result.replaced,
        "skipped": result.skipped,
        "embedded": result.embedded,
        "version": result.version,
    }
