"""The argument `engine=` of public methods; what it names is loaded when it is used."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

from vecsearch.common.engines import Engine

if TYPE_CHECKING:
    from vecsearch.embedders.stored import Model
    from vecsearch.ingest.embedding import EmbedTexts

EngineName: TypeAlias = "Literal['local', 'processes', 'ray'] | Engine | None"


def engine_of(engine: object) -> Engine | None:
    """As `engines.engine_named`. Raises InvalidInputError."""
    if engine is None:
        return None
    from vecsearch.distributed.engines import engine_named

    return engine_named(engine)


def embedding_on(engine: object, embedder: object) -> Callable[[Model], EmbedTexts]:
    """What makes of a model one that embeds on an engine; `embedder` is how it was given."""
    runs_on = engine_of(engine)

    def spread(model: Model) -> EmbedTexts:
        if runs_on is None:
            return model
        from vecsearch.distributed.embedding import EngineModel

        return EngineModel(model, runs_on, embedder if isinstance(embedder, str) else None)

    return spread
