"""The page to search a collection: files of this package, and what they ask for beside the API."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from fastapi import APIRouter, Response

from vecsearch.server.problems import ProblemError

if TYPE_CHECKING:
    import pyarrow as pa

    from vecsearch.collection import Collection

KINDS = {
    "index.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "words.js": "text/javascript; charset=utf-8",
}
# Nothing comes from other sites, and nothing in a document can run.
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; frame-ancestors 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
MOST_POINTS = 5_000  # documents on the map


def is_page(path: str) -> bool:
    """Whether an address is part of the page, which needs no key: it holds no data."""
    return path == "/" or path.startswith("/page/")


def router() -> APIRouter:
    """The addresses of the page."""
    pages = APIRouter(include_in_schema=False)

    @pages.get("/")
    async def index() -> Response:
        return _file("index.html")

    @pages.get("/page/{name}")
    async def file(name: str) -> Response:
        return _file(name)

    return pages


def _file(name: str) -> Response:
    if name not in KINDS:
        raise ProblemError(404, "HTTPError", "there is no such address")
    content = files("vecsearch.server").joinpath("page", name).read_bytes()
    return Response(content, headers=HEADERS, media_type=KINDS[name])


def points(collection: Collection) -> pa.Table:
    """Documents in two dimensions: the first two principal components of their vectors.

    Args:
        collection: The collection. Of a large one, documents at equal distances are taken.

    Returns:
        A table of `id`, `x` and `y`.
    """
    import pyarrow as pa

    column = collection.info().id_column
    ids = list(dict.fromkeys(collection.to_arrow([column])[column].to_pylist()))
    some = ids[:: -(-len(ids) // MOST_POINTS) or 1]
    if not some:
        return pa.table({"id": pa.array([], pa.string()), "x": [0.0][:0], "y": [0.0][:0]})
    return collection.map("pca", ids=some).table
