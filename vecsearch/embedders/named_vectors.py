"""Named vectors: what `create(vectors=)` takes, and the models that make them of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from vecsearch.common.arguments import check_flag, check_whole, parse_metric
from vecsearch.common.arrays import Vectors
from vecsearch.common.fork import Lock
from vecsearch.common.gate import gate
from vecsearch.common.show import shown
from vecsearch.embedders.base import Embedder
from vecsearch.embedders.network import this_machine_only
from vecsearch.embedders.registry import resolve_embedder
from vecsearch.embedders.saved import lives_in_a_folder
from vecsearch.embedders.stored import has_fingerprint
from vecsearch.embedders.token_vectors import TokenModel, token_model_of
from vecsearch.errors import EmbedderError, EmbedderMismatchError, InvalidInputError
from vecsearch.storage.manifest_check import LARGEST_DIM
from vecsearch.storage.named_vectors import VectorColumn, vector_columns
from vecsearch.storage.schema import check_column_name, metadata_schema
from vecsearch.types import Metric

SUFFIX = "_vector"  # of the column of vectors that are made of a column of texts


@gate
class NamedVector:
    """What a kind of named vectors is, in `create(vectors=)`.

    Args:
        dim: The dimension of given vectors.
        embedder: The model that makes them of texts: its name, or an `Embedder` that is found again
            by its name. With `multi`, an embedding model whose token vectors are taken.
        metric: "cosine", "ip" or "l2"; with `multi` one of the first two.
        multi: Whether a document has several, which are compared by MaxSim: each vector of the
            query counts with its most similar one of the document, and the score is the sum.
        of: The column of texts that the model reads. None: the one that the vectors are named
            after.

    Raises:
        InvalidInputError: An argument is wrong.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", dim=2, vectors={"colors": vs.NamedVector(dim=3, multi=True)})
        >>> _ = c.add([{"id": 1, "vector": [1, 0], "colors": [[1, 0, 0], [0, 1, 0]]}])
        >>> c.search([[0, 1, 0]], using="colors")[0].score
        1.0
    """

    def __init__(
        self,
        dim: int | None = None,
        *,
        embedder: str | Embedder | None = None,
        metric: str = "cosine",
        multi: bool = False,
        of: str | None = None,
    ) -> None:
        multi = check_flag("multi", multi)
        self.metric = parse_metric(metric)
        if (dim is None) == (embedder is None):
            raise InvalidInputError("named vectors have a dim, or an embedder that makes them")
        if of is not None and (embedder is None or not isinstance(of, str)):
            raise InvalidInputError(
                f"of is {shown(of)}; it must be the name of the column that the embedder reads"
            )
        if multi and self.metric is Metric.L2:
            raise InvalidInputError(
                "several vectors of a document are compared by their products (MaxSim): metric "
                "must be 'cosine' or 'ip'"
            )
        self.dim = None if dim is None else check_whole("dim", dim, 1)
        if self.dim is not None and self.dim > LARGEST_DIM:
            raise InvalidInputError(f"dim is {shown(dim)}; it must be at most {LARGEST_DIM}")
        self.embedder, self.multi, self.of = embedder, multi, of


class NamedModels:
    """The models of named vectors, loaded when they are first used."""

    def __init__(self) -> None:
        self._loaded: dict[tuple[str, str], Embedder] = {}
        self._lock = Lock()

    def put(self, embedder: Embedder) -> None:
        """Keep a model that was loaded by its name, or given."""
        self._loaded[embedder.name, embedder.fingerprint()] = embedder

    def _model(self, column: VectorColumn) -> Embedder:
        assert column.embedder is not None
        key = column.embedder, column.fingerprint
        with self._lock:
            if key not in self._loaded:
                with this_machine_only():
                    found = resolve_embedder(column.embedder)
                if not has_fingerprint(found, column.fingerprint):
                    raise EmbedderMismatchError(
                        f"{column.embedder} is not the model that the vectors were made with: its "
                        "fingerprint differs"
                    )
                self._loaded[key] = found
            return self._loaded[key]

    def documents(self, column: VectorColumn, texts: Sequence[str]) -> list[Any]:
        """What the column holds of each text: a vector, or float32 (tokens, dim)."""
        model = self._model(column)
        if column.multi:
            return list(token_model_of(model).embed_documents(texts))
        of_pictures = getattr(model, "texts_are_queries", False) is True
        embed = model.embed_queries if of_pictures else model.embed_documents
        return list(np.asarray(embed(texts), np.float32))

    def query(self, column: VectorColumn, text: Any) -> Vectors:
        """The vector of a text, or of a picture; with `multi` those of a text's tokens."""
        model = self._model(column)
        if column.multi:
            return token_model_of(model).embed_queries([text])[0]
        vectors: Vectors = np.asarray(model.embed_queries([text]), np.float32)
        return np.asarray(vectors[0])


def declare_vectors(
    schema: pa.Schema, texts: Sequence[str], given: Any, models: NamedModels
) -> Any:
    """A schema with columns of named vectors, and of the texts that they are made of.

    Args:
        schema: That of an empty collection.
        texts: The columns that are embedded anyway.
        given: Name -> a dimension, an embedder or its name, or a `NamedVector`.
        models: Keeps the models.

    Raises:
        InvalidInputError: A name or a kind of vectors is wrong.
        EmbedderError: A model cannot be found or loaded.
    """
    if not isinstance(given, Mapping):
        raise InvalidInputError(
            f"vectors is {shown(given)}; it must be a dict of name -> dimension, embedder or "
            "NamedVector"
        )
    for name, kind in given.items():
        check_column_name(name)
        if not isinstance(kind, NamedVector):
            is_dim = isinstance(kind, int) and not isinstance(kind, bool)
            kind = NamedVector(kind) if is_dim else NamedVector(embedder=kind)
        column = name
        if kind.embedder is not None and kind.of in (None, name):
            column = name + SUFFIX
        described = _described(name, kind, texts, models)
        for new in (column, described.of):
            taken = new in schema.names
            if not new or (new == described.of and taken):
                continue
            if taken or new == "vector":
                raise InvalidInputError(f"vectors: the name {new!r} is taken by another column")
            field = pa.field(new, pa.large_string())
            at = len(metadata_schema(schema))
            schema = schema.insert(at, described.field(new) if new == column else field)
    for name, column_kind in vector_columns(schema).items():
        source = column_kind.of
        if source and schema.field(source).type != pa.large_string():
            raise InvalidInputError(
                f"vectors: {name!r} are made of column {source!r}, which holds no texts"
            )
    return schema


def _described(
    name: str, kind: NamedVector, texts: Sequence[str], models: NamedModels
) -> VectorColumn:
    """What a column of vectors holds."""
    if kind.embedder is None:
        assert kind.dim is not None
        return VectorColumn(kind.dim, kind.metric, kind.multi)
    if not isinstance(kind.embedder, str | Embedder):
        raise InvalidInputError(
            f"vectors: {name!r} is {shown(kind.embedder)}; it must be a dimension, an embedder or "
            "its name, or a NamedVector"
        )
    model = resolve_embedder(kind.embedder)
    if lives_in_a_folder(model):
        raise EmbedderError(
            f"vectors: {model.name} was trained on your data, and only the collection's own "
            "embedder is stored with it",
            hint="give the vectors that it makes: vectors={name: dim}",
            command_hint="",
        )
    dim = int(model.dim)
    if kind.multi:
        tokens: TokenModel = token_model_of(model)
        dim = int(tokens.embed_documents(["a"])[0].shape[1])
    models.put(model)
    of = kind.of if kind.of is not None else name
    if texts and of == texts[-1]:
        of = ""
    return VectorColumn(dim, kind.metric, kind.multi, model.name, model.fingerprint(), of)
