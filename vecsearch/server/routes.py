"""The routes: each calls one method of `Collection`."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, FastAPI, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect

from vecsearch.common.media_types import ARROW, JSON, NDJSON
from vecsearch.server import shapes
from vecsearch.server.answers import (
    arrow_parts,
    as_arrow,
    as_json,
    explanation,
    hits_as_dict,
    wants_arrow,
)
from vecsearch.server.bodies import (
    FEW_ROWS,
    MOST_ROWS,
    CountBody,
    DeleteBody,
    ExplainBody,
    FacetsBody,
    GetBody,
    RecommendBody,
    RowsBody,
    SearchBody,
    SearchManyBody,
    SimilarBody,
    UpdateBody,
    VectorBody,
)
from vecsearch.server.pages import points
from vecsearch.server.problems import ProblemError
from vecsearch.server.served import Collections, Served
from vecsearch.server.shapes import answers
from vecsearch.types import IndexInfo, OnConflict

if TYPE_CHECKING:
    from vecsearch.collection import Collection
    from vecsearch.query.results import Hits
    from vecsearch.server.metrics import Metrics

ONE = "/v1/collections/{name}"
WRITES = ("documents", "update", "delete")  # the last parts of addresses that change something
SHOWN_VERSIONS = 20
ROWS_AT_ONCE = 8192


async def _served(request: Request, name: str) -> Served:
    collections: Collections = request.app.state.collections
    return collections[name]


ServedOne = Annotated[Served, Depends(_served)]
Accept = Annotated[str | None, Header(include_in_schema=False)]
Asked = SearchBody | SimilarBody | RecommendBody


def _json(value: Any) -> Response:
    return Response(as_json(value), media_type=JSON)


def _hits(asked: Asked, accept: str | None, hits: Hits) -> tuple[Response, str]:
    """Hits as the client wants them, and how they were found."""
    if wants_arrow(accept):
        response = Response(as_arrow(hits.to_arrow(asked.columns)), media_type=ARROW)
    else:
        found = hits_as_dict(hits, asked.columns, plan=asked.plan, highlight=asked.highlight)
        response = _json(found)
    return response, hits.plan.method


def add_routes(app: FastAPI) -> None:
    """Give an application its routes; its state holds the collections, limits and metrics."""
    _server_routes(app)
    _search_routes(app)
    _reading_routes(app)
    _writing_routes(app)


def _server_routes(app: FastAPI) -> None:
    metrics: Metrics = app.state.metrics

    @app.get("/healthz", tags=["health"], responses=answers(shapes.Status))
    async def healthz() -> Response:
        """Whether the process answers."""
        return _json({"status": "ok"})

    @app.get("/readyz", tags=["health"], responses=answers(shapes.Status))
    async def readyz(request: Request) -> Response:
        """Whether every collection can be read."""
        for served in request.app.state.collections.all():
            await served.run(len)
        return _json({"status": "ready"})

    @app.get(
        "/metrics",
        tags=["server"],
        responses={
            200: {
                "description": "The figures.",
                "content": {"text/plain": {"schema": {"type": "string"}}},
            }
        },
        response_class=Response,
    )
    async def figures() -> Response:
        """Figures for Prometheus."""
        text = await asyncio.get_running_loop().run_in_executor(None, metrics.text)
        return Response(text, media_type="text/plain; version=0.0.4")

    @app.get("/v1/collections", tags=["collections"], responses=answers(shapes.CollectionNames))
    async def names(request: Request) -> Response:
        """The collections, with the number of documents in each."""
        found = [
            {"name": served.name, "documents": await served.run(len)}
            for served in request.app.state.collections.all()
        ]
        return _json({"collections": found})

    @app.get(ONE, tags=["collections"], responses=answers(shapes.About))
    async def info(served: ServedOne) -> Response:
        """What a collection holds: columns, model, indexes, version, recall."""
        return _json(await served.call(partial(_described, served)))


def _search_routes(app: FastAPI) -> None:
    seconds: float = app.state.limits.seconds
    metrics: Metrics = app.state.metrics
    found = answers(shapes.Hits, arrow=True)

    @app.post(f"{ONE}/search", tags=["search"], responses=found)
    async def search(served: ServedOne, asked: SearchBody, accept: Accept = None) -> Response:
        """The documents most similar to a text or a vector, or that have its words."""
        options, finish = asked.options(seconds), partial(_hits, asked, accept)
        if asked.text is None and asked.vector is None:
            response, method = await served.search(asked.query, options, finish)
        else:
            response, method = await served.call(lambda c: finish(c.search(asked.query, **options)))
        metrics.note_search(served.name, method)
        return response

    @app.post(f"{ONE}/search_batch", tags=["search"], responses=answers(shapes.HitsOfMany))
    async def search_batch(served: ServedOne, asked: SearchManyBody) -> Response:
        """Many searches at once, on all cores."""
        options = asked.options(seconds)

        def many(c: Collection) -> tuple[Response, list[str]]:
            all_hits = c.search_batch(asked.queries, **options)
            shown = partial(
                hits_as_dict, columns=asked.columns, plan=asked.plan, highlight=asked.highlight
            )
            methods: list[str] = [hits.plan.method for hits in all_hits]
            return _json({"results": [shown(hits) for hits in all_hits]}), methods

        response, methods = await served.call(many)
        for method in methods:
            metrics.note_search(served.name, method)
        return response

    @app.post(f"{ONE}/similar", tags=["search"], responses=found)
    async def similar(served: ServedOne, asked: SimilarBody, accept: Accept = None) -> Response:
        """The documents most similar to one that is there, without itself."""
        options, finish = asked.options(seconds), partial(_hits, asked, accept)
        response, method = await served.call(lambda c: finish(c.similar(asked.id, **options)))
        metrics.note_search(served.name, method)
        return response

    @app.post(f"{ONE}/recommend", tags=["search"], responses=found)
    async def recommend(served: ServedOne, asked: RecommendBody, accept: Accept = None) -> Response:
        """The documents that examples speak for: more like these, less like those."""
        options, finish = asked.options(seconds), partial(_hits, asked, accept)
        response, method = await served.call(lambda c: finish(c.recommend(**options)))
        metrics.note_search(served.name, method)
        return response

    @app.post(f"{ONE}/explain", tags=["search"], responses=answers(shapes.Explained))
    async def explain(served: ServedOne, asked: ExplainBody) -> Response:
        """Why a search finds a document: what carried its score, and how the search ran."""
        return _json(await served.call(partial(_explained, asked, seconds)))

    @app.post(f"{ONE}/facets", tags=["search"], responses=answers(shapes.Facets, arrow=True))
    async def facets(served: ServedOne, asked: FacetsBody, accept: Accept = None) -> Response:
        """How many documents have each value of some columns."""
        if wants_arrow(accept) and len(asked.columns) != 1:
            raise ProblemError(
                400,
                "InvalidInputError",
                "an Arrow answer is one table: ask for one column at a time, or for JSON",
            )
        tables = await served.call(
            lambda c: c.facets(
                asked.columns,
                where=asked.where,
                ids=asked.ids,
                exclude=asked.exclude,
                query=asked.query,
                mode=asked.mode,
                using=asked.using,
                passages=asked.passages,
                min_score=asked.min_score,
                bins=asked.bins,
                timeout=seconds,
            )
        )
        if wants_arrow(accept):
            (table,) = tables.values()
            return Response(as_arrow(table[: asked.limit]), media_type=ARROW)
        shown = {name: table[: asked.limit].to_pylist() for name, table in tables.items()}
        return _json({"facets": shown})

    @app.get(f"{ONE}/map", tags=["search"], responses=answers(shapes.Points, arrow=True))
    async def places(served: ServedOne, accept: Accept = None) -> Response:
        """Documents in two dimensions, for a picture: those near each other are alike."""
        table = await served.call(points)
        if wants_arrow(accept):
            return Response(as_arrow(table), media_type=ARROW)
        rounded = [
            {**row, "x": round(row["x"], 6), "y": round(row["y"], 6)} for row in table.to_pylist()
        ]
        return _json({"points": rounded})


def _reading_routes(app: FastAPI) -> None:
    seconds: float = app.state.limits.seconds

    @app.post(f"{ONE}/get", tags=["documents"], responses=answers(shapes.Documents, arrow=True))
    async def get(served: ServedOne, asked: GetBody, accept: Accept = None) -> Response:
        """Documents by id; null for an id that no document has. As Arrow, those that are there."""
        if wants_arrow(accept):
            table = await served.call(
                lambda c: c.to_arrow(asked.columns, ids=asked.ids, timeout=seconds)
            )
            return Response(as_arrow(table), media_type=ARROW)
        return _json({"documents": await served.call(lambda c: c.get(asked.ids, asked.columns))})

    @app.post(f"{ONE}/rows", tags=["documents"], responses=answers(shapes.Rows, arrow=True))
    async def rows(served: ServedOne, asked: RowsBody, accept: Accept = None) -> Response:
        """Rows by a filter or by ids, in the collection's order; as Arrow in a stream."""
        arrow = wants_arrow(accept)
        limit = asked.limit
        if not arrow:
            limit = FEW_ROWS if limit is None else limit
            if limit > MOST_ROWS:
                raise ProblemError(
                    400,
                    "InvalidInputError",
                    f"limit: as JSON there are at most {MOST_ROWS:,} rows; ask for Arrow",
                )

        def begun(c: Collection) -> Any:
            batches = c.scan(
                asked.columns,
                where=asked.where,
                ids=asked.ids,
                batch_rows=ROWS_AT_ONCE,
                timeout=seconds,
            )
            if arrow:
                schema = c.to_arrow(asked.columns, ids=[]).schema
                return arrow_parts(schema, _first(batches, limit))
            found: list[dict[str, Any]] = []
            for batch in _first(batches, None if limit is None else limit + 1):
                found += batch.to_pylist()
            return {"rows": found[:limit], "more": len(found) > (limit or 0)}

        answer = await served.call(begun)
        return StreamingResponse(answer, media_type=ARROW) if arrow else _json(answer)

    @app.post(f"{ONE}/count", tags=["documents"], responses=answers(shapes.Count))
    async def count(served: ServedOne, asked: CountBody) -> Response:
        """How many documents match a filter, or have one of some ids."""
        counted = lambda c: c.count(asked.where, ids=asked.ids, timeout=seconds)  # noqa: E731
        return _json({"count": await served.call(counted)})

    @app.post(f"{ONE}/vector", tags=["documents"], responses=answers(shapes.VectorOf))
    async def vector(served: ServedOne, asked: VectorBody) -> Response:
        """The vector of a document, or of a text as a query."""
        found = await served.call(lambda c: c.vector(asked.id, text=asked.text))
        return _json({"vector": found})


def _writing_routes(app: FastAPI) -> None:
    seconds: float = app.state.limits.seconds

    @app.post(
        f"{ONE}/documents",
        tags=["documents"],
        responses=answers(shapes.Added),
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
        content_type: Annotated[str, Header(include_in_schema=False)] = NDJSON,
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
                try:
                    async for part in request.stream():
                        file.write(part)
                except ClientDisconnect:
                    raise ProblemError(
                        400, "Disconnected", "the body ended early: send it again"
                    ) from None
            result = await served.call(partial(_add, path, on_conflict, idempotency_key))
        return _json(result)

    @app.post(f"{ONE}/update", tags=["documents"], responses=answers(shapes.Updated))
    async def update(served: ServedOne, asked: UpdateBody) -> Response:
        """Set columns of documents, in one commit."""
        if asked.ids is None and asked.where is None:
            raise ProblemError(
                400, "InvalidInputError", "say which documents: give ids or where (TRUE for all)"
            )
        result = await served.call(
            lambda c: c.update(
                asked.where,
                _typed(c, asked.values),
                ids=asked.ids,
                dry_run=asked.dry_run,
                timeout=seconds,
            )
        )
        return _json(result)

    @app.post(f"{ONE}/delete", tags=["documents"], responses=answers(shapes.Deleted))
    async def delete(served: ServedOne, asked: DeleteBody) -> Response:
        """Delete documents by ids or by a filter."""
        if asked.ids is None and asked.where is None:
            raise ProblemError(400, "InvalidInputError", "say which documents: give ids or where")
        result = await served.call(
            lambda c: c.delete(asked.ids, where=asked.where, dry_run=asked.dry_run, timeout=seconds)
        )
        return _json(result)


def _first(batches: Iterator[Any], limit: int | None) -> Iterator[Any]:
    """The first rows of batches."""
    left = limit
    for batch in batches:
        if left is None:
            yield batch
            continue
        yield batch[:left]
        left -= len(batch)
        if left <= 0:
            return


def _explained(asked: ExplainBody, seconds: float, collection: Collection) -> dict[str, Any]:
    options = asked.options(seconds)
    if asked.like is not None:
        hits = collection.similar(asked.like, **options)
    else:
        hits = collection.search(asked.query, **options)
    for hit in hits:
        if hit.id == asked.id:
            return explanation(hit.explain())
    raise ProblemError(
        404,
        "IdNotFoundError",
        f"{asked.id!r} is not among the {len(hits)} hits of this search: give the arguments that "
        "found it, or a larger k",
    )


def _described(served: Served, collection: Collection) -> dict[str, Any]:
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
        "indexes": _indexes(info.indexes),
        "vector_indexes": {name: _indexes(some) for name, some in info.vector_indexes.items()},
        "versions": [
            {name: value for name, value in asdict(each).items() if name != "bytes"}
            for each in collection.versions()[-SHOWN_VERSIONS:]
        ],
    }


def _indexes(indexes: Iterable[IndexInfo]) -> list[dict[str, Any]]:
    return [
        {"recipe": index.recipe.get("name"), "rows": index.rows, "bytes": index.bytes}
        for index in indexes
    ]


def _add(
    path: Path, on_conflict: OnConflict, key: str | None, collection: Collection
) -> dict[str, Any]:
    data: Any = path if path.suffix != ".arrow" else _sound_stream(path)
    result = collection.add(data, on_conflict=on_conflict, idempotency_key=key, progress=False)
    return {
        "added": result.added,
        "replaced": result.replaced,
        "skipped": result.skipped,
        "embedded": result.embedded,
        "version": result.version,
    }


def _typed(collection: Collection, values: Any) -> Any:
    """New values with dates, bytes and others that JSON has not, as their columns hold them."""
    from vecsearch.maintenance.typed_values import value_of_json

    schema = collection.to_arrow(ids=[]).schema
    rows = [
        {name: value_of_json(schema, name, value) for name, value in row.items()}
        for row in (values if isinstance(values, list) else [values])
    ]
    return rows if isinstance(values, list) else rows[0]


def _sound_stream(path: Path) -> Any:
    """A reader of an Arrow stream that somebody sent: what is damaged in it is found first."""
    import pyarrow as pa

    try:
        reader = pa.ipc.open_stream(path)
        len(reader.schema.names)  # names are decoded late
        for batch in reader:
            batch.validate(full=True)
        return pa.ipc.open_stream(path)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ProblemError(
            400, "InvalidInputError", f"the body is no sound Arrow stream: {error}"
        ) from None
