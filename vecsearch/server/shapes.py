"""What the server answers, for its OpenAPI description."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from vecsearch.common.media_types import ARROW


class Fault(BaseModel):
    type: str = Field(description="A word for programs, such as FilterError.")
    message: str = Field(description="What was wrong, and where.")
    hint: str = Field("", description="What to do.")


class Problem(BaseModel):
    error: Fault


class Status(BaseModel):
    status: Literal["ok", "ready"]


class CollectionName(BaseModel):
    name: str
    documents: int


class CollectionNames(BaseModel):
    collections: list[CollectionName]


class Measured(BaseModel):
    recall: float
    low: float
    high: float
    queries: int
    how: str


class Recall(BaseModel):
    target: float = Field(description="What searches ask for by default.")
    promised: float = Field(description="What calibration measured for it, a lower bound.")
    measured: Measured | None = Field(description="Measured by this server.")


class ServedIndex(BaseModel):
    recipe: str | None
    rows: int
    bytes: int


class ServedVersion(BaseModel):
    version: int
    created: str = Field(description="When, in ISO 8601.")
    operation: str
    documents: int


class About(BaseModel):
    name: str
    documents: int
    rows: int
    version: int
    bytes: int
    dim: int
    metric: str
    embedder: str | None
    id_column: str
    text_columns: list[str]
    full_text: list[str]
    columns: dict[str, str]
    recall: Recall
    indexes: list[ServedIndex]
    vector_indexes: dict[str, list[ServedIndex]] = Field(description="Those of named vectors.")
    versions: list[ServedVersion]


class Hit(BaseModel):
    """Rank, score, and the columns of a document."""

    model_config = ConfigDict(extra="allow")
    rank: int
    score: float | None


class HighlightOf(BaseModel):
    text: str
    sentence: list[int] = Field(description="Start and end of it in the text, in characters.")
    words: list[list[int]] = Field(description="Starts and ends of the words in common.")
    page: int | None = Field(description="The page on which it begins, in texts with pages.")
    line: int | None = Field(description="The line in which it begins, in other texts.")


class Hits(BaseModel):
    hits: list[Hit]
    plan: dict[str, Any] | None = Field(None, description="How the search was done.")
    highlights: list[HighlightOf | None] | None = None


class HitsOfMany(BaseModel):
    results: list[Hits] = Field(description="One for each query, in their order.")


class CarrierOf(BaseModel):
    text: str
    span: dict[str, Any]
    weight: float | None


class Explained(BaseModel):
    """Why a document was found: the fields of `Explanation`, and all of it as `says`."""

    model_config = ConfigDict(extra="allow")
    rank: int
    score: float | None
    parts: dict[str, Any]
    plan: str
    sentences: list[CarrierOf]
    words: list[CarrierOf]
    says: str


class FacetValue(BaseModel):
    model_config = ConfigDict(extra="allow")
    value: Any
    count: int


class Facets(BaseModel):
    facets: dict[str, list[FacetValue]]


class Documents(BaseModel):
    documents: list[dict[str, Any] | None]


class Rows(BaseModel):
    rows: list[dict[str, Any]]
    more: bool = Field(description="Whether `limit` left some out.")


class Count(BaseModel):
    count: int


class VectorOf(BaseModel):
    vector: list[float]


class Point(BaseModel):
    id: int | str
    x: float
    y: float


class Points(BaseModel):
    points: list[Point]


class Added(BaseModel):
    added: int
    replaced: int
    skipped: int
    embedded: int
    version: int


class Updated(BaseModel):
    model_config = ConfigDict(extra="allow")
    updated: int
    version: int


class Deleted(BaseModel):
    model_config = ConfigDict(extra="allow")
    deleted: int
    version: int


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text}
    for status, text in (
        (400, "The request is wrong."),
        (401, "A key is missing, or may not do this."),
        (404, "There is no such collection or document."),
        (409, "It does not fit what is there, such as an id that is taken."),
        (413, "The body is too large."),
        (429, "Too many requests wait."),
        (503, "Not now: another writer, a time limit, or the files."),
    )
}


def answers(model: type[BaseModel], *, arrow: bool = False) -> dict[int | str, dict[str, Any]]:
    """How a route answers when all is well."""
    found: dict[str, Any] = {"model": model, "description": "The answer."}
    if arrow:
        found["content"] = {ARROW: {"schema": {"type": "string", "format": "binary"}}}
    return {200: found}


def described(found: dict[str, Any], *, keys: bool) -> dict[str, Any]:
    """The OpenAPI description that FastAPI made, as this server behaves.

    Wrong arguments are 400 here, not 422; and with keys, every route but those of health needs one.
    """
    for path in found["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
            if keys and "health" not in operation.get("tags", ()):
                operation["security"] = [{"key": []}]
    schemas = found.get("components", {}).get("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    if keys:
        scheme = {"type": "http", "scheme": "bearer", "description": "A key of the server."}
        found.setdefault("components", {})["securitySchemes"] = {"key": scheme}
    return found
