"""Embed texts on the workers of an engine, which load the model once each."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vecsearch.common.arrays import Vectors
from vecsearch.common.engines import Engine
from vecsearch.embedders.base import Embedder
from vecsearch.embedders.stored import Model
from vecsearch.errors import InvalidInputError
from vecsearch.storage.manifest import EmbedderEntry

PART = 128  # texts of a task; a multiple of what models embed together


@dataclass(frozen=True)
class EmbeddingTask:
    """Texts to embed, and the model: a function of its arguments, as `index_shard` is.

    Attributes:
        root: The collection, which may hold the model.
        entry: What its manifest says about the model.
        dim: The dimension of the vectors.
        given: The name of the model, if it was named otherwise.
        texts: What to embed.
    """

    root: str
    entry: EmbedderEntry
    dim: int
    given: str | None
    texts: tuple[Any, ...]


def embed_part(task: EmbeddingTask) -> Vectors:
    """float32 (texts, dim). Raises EmbedderError."""
    return _model(task.root, task.entry, task.dim, task.given).embed_documents(task.texts)


@functools.lru_cache(maxsize=2)
def _model(root: str, entry: EmbedderEntry, dim: int, given: str | None) -> Model:
    """The model of this worker, loaded for its first task."""
    return Model(Path(root), entry, dim, given)


class EngineModel:
    """A collection's model, whose documents are embedded on an engine. Queries are not.

    Args:
        model: The model.
        engine: What runs the tasks.
        name: What loads the model on a worker, if the collection does not say it.
    """

    def __init__(self, model: Model, engine: Engine, name: str | None = None) -> None:
        self.model = model
        self.engine = engine
        self.entry = model.entry
        self.name = model.given if isinstance(model.given, str) else name
        stored = all((model.root / ref.name).exists() for ref in self.entry.files)
        if self.name is None and (self.entry.spec.endswith(":unsaved") or not stored):
            raise InvalidInputError(
                f"engine= needs a model that workers can load, and {self.entry.spec} was given as "
                "an object",
                hint="name the model, or save it and name its folder; or leave engine= out",
                command_hint="name the model, or save it and name its folder",
            )

    @property
    def embedder(self) -> Embedder:
        """The model itself, loaded here."""
        return self.model.embedder

    def project(self, vectors: Vectors) -> Vectors:
        """As `Model.project`."""
        return self.model.project(vectors)

    def embed_documents(self, documents: Sequence[Any]) -> Vectors:
        """float32 (documents, dim), in parts of `PART`."""
        model = self.model
        tasks = [
            EmbeddingTask(
                str(model.root),
                model.entry,
                model.dim,
                self.name,
                tuple(documents[first : first + PART]),
            )
            for first in range(0, len(documents), PART)
        ]
        return np.concatenate(self.engine.map(embed_part, tasks))
