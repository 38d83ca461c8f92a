"""A collection's embedding model: loaded on first use, and checked by its fingerprint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vecsearch.common.arrays import Vectors
from vecsearch.common.fork import Lock
from vecsearch.common.keyed import embeds_ids
from vecsearch.common.kinds import is_encodable
from vecsearch.common.show import cut, shown
from vecsearch.common.table_rows import row_columns
from vecsearch.embedders.base import Embedder
from vecsearch.embedders.catalog import multilingual_here
from vecsearch.embedders.network import SWITCH, this_machine_only
from vecsearch.embedders.projected import ReducedEmbedder
from vecsearch.embedders.registry import resolve_embedder
from vecsearch.embedders.saved import lives_in_a_folder, save_copy
from vecsearch.errors import (
    CorruptedError,
    EmbedderError,
    EmbedderMismatchError,
    MissingExtraError,
    VecsearchError,
)
from vecsearch.storage.disk import CheckedFile
from vecsearch.storage.layout import EMBEDS_IDS, MODELS, ROW_COLUMNS, place_of
from vecsearch.storage.manifest import EmbedderEntry
from vecsearch.storage.own_files import folder_name
from vecsearch.storage.staging import Staging
from vecsearch.types import counted

LONGEST_REASON = 200  # characters of another exception's message


class Model:
    """The embedder of one collection.

    Opening a collection does not load the model; the first embedding loads and checks it.
    """

    def __init__(
        self, root: Path, entry: EmbedderEntry, dim: int, given: str | Embedder | None = None
    ) -> None:
        """Remember which model to load.

        Args:
            root: The collection's folder.
            entry: What the manifest says about the model.
            dim: The dimension of the collection's vectors.
            given: The user's own embedder or spec, used instead of the manifest's.
        """
        self.root = root
        self.entry = entry
        self.dim = dim
        self.given = given
        self._ready: Embedder | None = given if isinstance(given, Embedder) else None
        self._checked = False
        self._lock = Lock()

    @property
    def embedder(self) -> Embedder:
        """The loaded and checked model.

        Raises:
            EmbedderError: It cannot be found or loaded.
            EmbedderMismatchError: It is not the model that made the collection's vectors.
            MissingExtraError: The package that it needs is not installed.
            CorruptedError: The copy inside the collection is damaged.
        """
        with self._lock:
            if self._ready is None:
                self._ready = resolve_embedder(self.given) if self.given else self._stored()
            if not self._checked:
                self._check(self._ready)
                self._checked = True
            return self._ready

    def loaded_or_name(self) -> Embedder | str:
        """The model if it is loaded or stored in the collection, else its name.

        For an embedder that builds on this one, so that no model is loaded needlessly.
        """
        if self._ready is not None or self.entry.files:
            return self.embedder
        return self.given or self.entry.spec

    def multilingual(self) -> list[str]:
        """Names of models of several languages that are on this machine, best first."""
        return [model.name for model in multilingual_here()]

    def _stored(self) -> Embedder:
        """The model that the manifest names: the copy in the collection, or found by its name."""
        for ref in self.entry.files:
            CheckedFile(self.root, ref).verify_all()
        if self.entry.files:
            return resolve_embedder(f"saved:{self.root / place_of(self.entry.files[0])}")
        if self.entry.spec.endswith(":unsaved") or self.entry.spec.startswith(f"saved:{MODELS}/"):
            raise EmbedderError(
                f"the model of {self.root} ({self.entry.spec}) is not stored in the collection",
                hint="open the collection with the model: vecsearch.open(path, embedder=...)",
                command_hint="use the collection from Python, where its model can be given",
            )
        try:
            with this_machine_only():
                return resolve_embedder(self.entry.spec)
        except MissingExtraError:
            raise
        except EmbedderError as error:
            reason = error.message.rstrip(".")
        raise EmbedderError(
            f"{reason}. A model that only a collection names is looked for on this machine and not "
            "fetched",
            hint=f"vecsearch.open(path, embedder={self.entry.spec!r}) fetches it, if you trust "
            f"who made the collection; so does the variable {SWITCH}=1",
            command_hint=f"set {SWITCH}=1 to fetch it, if you trust who made the collection",
        )

    def _check(self, embedder: Embedder) -> None:
        if embedder.dim != self.dim:
            raise EmbedderMismatchError(
                f"{embedder.name} makes vectors of {counted(embedder.dim, 'number')}; those of "
                "the collection "
                f"have {self.dim} and were made by {self.entry.spec}"
            )
        if not has_fingerprint(embedder, self.entry.fingerprint):
            fingerprint = embedder.fingerprint()
            raise EmbedderMismatchError(
                f"{embedder.name} is not the model this collection was made with "
                f"({self.entry.spec}): weights, tokenizer, "
                f"pooling, length or prompts differ (fingerprint {fingerprint[:12]}, not "
                f"{self.entry.fingerprint[:12]})",
                hint="open the collection with the original model "
                "(vecsearch.open(path, embedder=...)), or make a new one with this model",
                command_hint="use the original model, or make a new collection with this one",
            )

    def embed_documents(self, documents: Sequence[Any]) -> Vectors:
        """float32, shape (len(documents), dim)."""
        return self._vectors(self.embedder.embed_documents, documents)

    def embed_queries(self, queries: Sequence[Any]) -> Vectors:
        """float32, shape (len(queries), dim)."""
        return self._vectors(self.embedder.embed_queries, queries)

    def project(self, vectors: Vectors) -> Vectors:
        """Project float32 (n, full_dim) to float32 (n, dim), in a collection of reduced vectors."""
        embedder = self.embedder
        if not isinstance(embedder, ReducedEmbedder) or embedder.full_dim != self.entry.full_dim:
            raise CorruptedError(
                f"the manifest of {self.root} says that its model projects vectors, but it does not"
            )
        return embedder.project(vectors)

    def _vectors(self, embed: Callable[[Sequence[Any]], Any], inputs: Sequence[Any]) -> Vectors:
        """What the embedder makes of inputs, checked: another package's embedder may be wrong."""
        count = f"{len(inputs)} input{'' if len(inputs) == 1 else 's'}"
        try:
            given = embed(inputs)
        except (VecsearchError, MemoryError):
            raise
        except Exception as error:
            raise EmbedderError(
                f"{self.entry.spec} failed on {count}, of which the first is {shown(inputs[0])}: "
                f"{type(error).__name__}: {cut(str(error), LONGEST_REASON)}"
            ) from error
        try:
            vectors = np.asarray(given)
        except Exception:  # rows of several lengths, or a tensor on another device
            vectors = np.empty(0, object)
        wanted = (len(inputs), self.dim)
        if vectors.dtype.kind not in "fiu":
            what = f"an array of {given.dtype}" if isinstance(given, np.ndarray) else shown(given)
            raise EmbedderError(
                f"{self.entry.spec} returned {what} for {count}, not an array of float32 of shape "
                f"{wanted}{_first_odd(given, self.dim)}"
            )
        if vectors.shape != wanted:
            raise EmbedderError(
                f"{self.entry.spec} returned an array of shape {vectors.shape} for {count}, not "
                f"{wanted}"
            )
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(vectors, np.float32)


def has_fingerprint(embedder: Embedder, fingerprint: str) -> bool:
    """Whether an embedder is the model that a collection was made with.

    The fingerprints are equal, or the embedder knows better: one whose numbers vary a little says
    by `is_same_model(fingerprint)` whether it is the same.
    """
    if embedder.fingerprint() == fingerprint:
        return True
    is_same = getattr(embedder, "is_same_model", None)
    return is_same is not None and bool(is_same(fingerprint))


def _first_odd(given: Any, dim: int) -> str:
    """Which item of a list is no vector, for a message."""
    if isinstance(given, list | tuple):
        for number, item in enumerate(given):
            if not isinstance(item, list | tuple | np.ndarray) or len(item) != dim:
                return f": number {number} is {shown(item)}"
    return ""


def settings_for(settings: Mapping[str, Any], embedder: Embedder | None) -> dict[str, Any]:
    """A collection's settings with what they say about its model."""
    told = {
        name: value for name, value in settings.items() if name not in (EMBEDS_IDS, ROW_COLUMNS)
    }
    if embeds_ids(embedder):
        told[EMBEDS_IDS] = True
    if row_columns(embedder):
        told[ROW_COLUMNS] = list(row_columns(embedder))
    return told


def embeds_texts(embedder: Embedder) -> bool:
    """Whether a collection with this model has a text column.

    A projection without a model takes vectors only, a model of table rows reads other columns.
    """
    if row_columns(embedder):
        return False
    return not isinstance(embedder, ReducedEmbedder) or embedder.has_model


def entry_of(embedder: Embedder, staging: Staging) -> EmbedderEntry:
    """What a manifest stores about a model; a trained model is written into `staging` as well."""
    fingerprint = embedder.fingerprint()
    if not isinstance(fingerprint, str) or not fingerprint or not is_encodable(fingerprint):
        raise EmbedderError(
            f"the fingerprint of the embedder {shown(embedder.name)} is {shown(fingerprint)}; it "
            "must be a str, such as a hex digest"
        )
    full_dim = embedder.full_dim if isinstance(embedder, ReducedEmbedder) else 0
    if not lives_in_a_folder(embedder):
        return EmbedderEntry(embedder.name, fingerprint, (), full_dim)
    files = staging.write_model(
        folder_name(fingerprint), lambda folder: save_copy(embedder, folder)
    )
    return EmbedderEntry(f"saved:{place_of(files[0])}", fingerprint, files, full_dim)
