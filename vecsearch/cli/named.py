"""Named vectors as a command line says them: NAME=MODEL or NAME=DIMENSION, then options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from vecsearch.embedders.named_vectors import NamedVector

VectorsOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=MODEL|DIM[,OPTION]",
        help="New collection: further vectors of each document, such as title=all-MiniLM-L6-v2 or "
        "picture=512. Options: multi (several a document), metric=ip, of=COLUMN. Repeatable.",
    ),
]
UsingVectors = Annotated[
    str | None,
    typer.Option("--using", metavar="NAME", help="Named vectors. Default: the collection's own."),
]


def named_vectors(items: list[str] | None) -> dict[str, NamedVector]:
    """What `create(vectors=)` takes. Raises typer.BadParameter."""
    from vecsearch.embedders.named_vectors import NamedVector

    found: dict[str, NamedVector] = {}
    for item in items or ():
        name, mark, rest = item.partition("=")
        kind, *options = rest.split(",")
        if not (name and mark and kind):
            raise _wrong(f"{item!r}: write NAME=MODEL or NAME=DIMENSION")
        if name in found:
            raise _wrong(f"{name!r} is there twice")
        given: dict[str, Any] = {"dim": int(kind)} if kind.isdecimal() else {"embedder": kind}
        for option in options:
            key, _, value = option.partition("=")
            if option == "multi":
                given["multi"] = True
            elif key in ("metric", "of") and value:
                given[key] = value
            else:
                raise _wrong(f"{option!r} of {name!r}: write multi, metric=NAME or of=COLUMN")
        found[name] = NamedVector(**given)
    return found


def _wrong(message: str) -> typer.BadParameter:
    return typer.BadParameter(message, param_hint="--vectors")
