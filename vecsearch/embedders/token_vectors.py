"""Models that give a vector for each token of a text, for late interaction (MaxSim).

Such models are the `MultiVectorEncoder`s of sentence-transformers (ColBERT and its like), and all
embedding models that pool vectors of tokens: theirs are compared before they are pooled.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vecsearch.common.arrays import Vectors
from vecsearch.common.fork import Lock
from vecsearch.common.optional import find_installed
from vecsearch.common.show import cut
from vecsearch.embedders.base import Embedder
from vecsearch.embedders.model_kind import WORDS, cannot_load, model_kind
from vecsearch.embedders.network import hub_offline, is_local_only
from vecsearch.embedders.projected import ReducedEmbedder
from vecsearch.embedders.registry import resolve_embedder
from vecsearch.embedders.sentence_transformers import (
    OFFLINE_NAMES,
    SentenceTransformerEmbedder,
    no_progress_bars,
)
from vecsearch.errors import EmbedderError

if TYPE_CHECKING:
    from sentence_transformers import MultiVectorEncoder

_log = logging.getLogger(__name__)


class TokenModel:
    """A model of token vectors.

    Args:
        name: What it is called.
        queries: Texts -> for each float32 (tokens, dim).
        documents: The same for documents.
    """

    def __init__(
        self,
        name: str,
        queries: Callable[[Sequence[str]], list[Vectors]],
        documents: Callable[[Sequence[str]], list[Vectors]],
    ) -> None:
        self.name = name
        self.embed_queries = queries
        self.embed_documents = documents


def token_model_of(embedder: Embedder) -> TokenModel:
    """The token vectors of an embedding model. Raises EmbedderError if it has none."""
    if isinstance(embedder, ReducedEmbedder) and embedder.has_model:
        return token_model_of(embedder.inner)
    if not isinstance(embedder, SentenceTransformerEmbedder):
        raise EmbedderError(
            f"{embedder.name} gives one vector for a text and none for its tokens",
            hint='give another model: "maxsim:all-MiniLM-L6-v2"',
        )
    return TokenModel(
        embedder.name,
        lambda texts: embedder.token_vectors(texts, embedder.query_prompt),
        lambda texts: embedder.token_vectors(texts, embedder.document_prompt),
    )


def token_model(model: MultiVectorEncoder | Any, name: str) -> TokenModel:
    """The token vectors of a `MultiVectorEncoder`."""
    lock = Lock()

    def embedding(encode: Callable[..., Any]) -> Callable[[Sequence[str]], list[Vectors]]:
        def embed(texts: Sequence[str]) -> list[Vectors]:
            try:
                with lock:
                    found = encode(list(texts), convert_to_numpy=True, show_progress_bar=False)
                return [np.asarray(each, np.float32) for each in found]
            except Exception as error:
                reason = cut(next(iter(str(error).splitlines()), ""), 200)
                raise EmbedderError(
                    f"'{name}' failed on {len(texts)} texts: {type(error).__name__}: {reason}"
                ) from error

        return embed

    return TokenModel(name, embedding(model.encode_query), embedding(model.encode_document))


def load_token_model(name: str) -> TokenModel:
    """Load a model of token vectors by a folder or a name.

    An embedding model is taken as it is: the library would put a projection of random numbers
    behind its tokens.

    Raises:
        EmbedderError: It cannot be found or loaded, or has no token vectors.
        MissingExtraError: A package that it needs is not installed.
    """
    if name in OFFLINE_NAMES or (":" in name and not Path(name).exists()):
        return token_model_of(resolve_embedder(name))
    kind = model_kind(name)
    if kind == "bi-encoder":
        return token_model_of(resolve_embedder(name))
    if kind != "multi-vector":
        what = "another kind of model" if kind is None else WORDS[kind]
        raise EmbedderError(f"'{name}' is {what}, which has no vectors of tokens to compare")
    find_installed("sentence_transformers", "sentence-transformers", "text", f"The model '{name}'")
    from sentence_transformers import MultiVectorEncoder

    with no_progress_bars(), hub_offline(name) as fault:
        local = fault is not None or is_local_only()
        try:
            model = MultiVectorEncoder(name, trust_remote_code=False, local_files_only=local)
        except Exception as error:
            _log.debug("loading '%s' failed", name, exc_info=True)
            raise cannot_load(name, fault or error) from error
    return token_model(model, name)
