"""Errors -> one shape and a status.

{"error": {"type": "FilterError", "message": "…", "hint": "…"}}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vecsearch import errors

# The first that fits counts.
STATUS: tuple[tuple[type[BaseException], int], ...] = (
    (errors.IdNotFoundError, 404),
    (errors.CollectionNotFoundError, 404),
    (errors.VersionNotFoundError, 404),
    (errors.DuplicateIdError, 409),
    (errors.ConflictError, 409),
    (errors.LockTimeoutError, 503),
    (errors.OperationTimeoutError, 503),
    (errors.StorageError, 503),
    (errors.CorruptedError, 503),
    (errors.NoEmbedderError, 400),
    (errors.EmbedderError, 503),
    (errors.MissingExtraError, 503),
    (errors.CollectionClosedError, 503),
    (errors.InvalidInputError, 400),
    (errors.RecipeError, 400),
)
# Hints in the words of HTTP where those of Python name arguments that a request has not.
HINTS: dict[type[BaseException], str] = {
    errors.OperationTimeoutError: "narrow it with `where` or `ids`, or start the server with a "
    "longer --timeout",
    errors.LockTimeoutError: "another writer is at work: send the request again",
}
RETRY_SECONDS = 1  # what a client that came at a bad moment should wait


@dataclass
class ProblemError(Exception):
    """A request that is refused before a collection sees it.

    Attributes:
        status: The HTTP status.
        kind: A word for programs.
        message: A sentence for people: what was wrong, and what to do.
    """

    status: int
    kind: str
    message: str


def problem(error: BaseException) -> tuple[int, dict[str, Any]]:
    """The status and the body of an error."""
    if isinstance(error, ProblemError):
        return error.status, body(error.kind, error.message)
    if isinstance(error, errors.VecsearchError):
        status = next((status for kind, status in STATUS if isinstance(error, kind)), 500)
        own = (words for kind, words in HINTS.items() if isinstance(error, kind))
        hint = next(own, getattr(error, "hint", ""))
        return status, body(type(error).__name__, error.message, hint)
    return 500, body("InternalError", "the server failed; its log says more")


def headers_of(status: int) -> dict[str, str]:
    """The headers that say what to do after an error."""
    if status == 401:
        return {"WWW-Authenticate": "Bearer"}
    return {"Retry-After": str(RETRY_SECONDS)} if status in (429, 503) else {}


def body(kind: str, message: str, hint: str = "") -> dict[str, Any]:
    """The one shape of an error."""
    return {"error": {"type": kind, "message": message} | ({"hint": hint} if hint else {})}
