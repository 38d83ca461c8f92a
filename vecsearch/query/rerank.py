"""Reranking: the best hits of any search are scored again by something slower and sharper.

It works on hits, so it knows nothing of how they were found. Their first ranks and scores are kept
in `Hits.parts`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from vecsearch.common.arguments import check_whole
from vecsearch.common.arrays import Vectors
from vecsearch.common.deadline import check_time
from vecsearch.common.fork import Lock
from vecsearch.common.show import shown
from vecsearch.embedders.cross_encoder import PairScorer, load_pair_scorer
from vecsearch.embedders.model_kind import WORDS, model_kind
from vecsearch.embedders.stored import Model
from vecsearch.embedders.token_vectors import (
    TokenModel,
    load_token_model,
    token_model,
    token_model_of,
)
from vecsearch.errors import InvalidInputError
from vecsearch.index.maxsim import maxsim
from vecsearch.ingest.heads import with_head
from vecsearch.ingest.sources.reading import takes_pictures
from vecsearch.ingest.texts import joined
from vecsearch.query.group_keys import group_keys
from vecsearch.query.hit import ListPlace
from vecsearch.query.order import ordered
from vecsearch.query.paths import Found
from vecsearch.query.results import Hits, scored_again
from vecsearch.query.shape import Shape
from vecsearch.query.vectors import many_queries
from vecsearch.types import counted

Doubles = npt.NDArray[np.float64]
Rerank = str | Callable[[Any, Hits], Sequence[float]]
"""What scores hits again: a model's name or folder, "maxsim", or a function of query and hits."""
TOP = 50  # hits that are scored again
MAXSIM = "maxsim"
REMEMBERED = 128 * 2**20  # bytes of token vectors of texts
MOST_LOADED = 4  # models that a collection keeps loaded


class Reranker(Protocol):
    """Scores hits again."""

    name: str

    def scores(self, query: Any, hits: Hits) -> Doubles:
        """A score for each hit, float64; larger is better."""


@dataclass(frozen=True, slots=True)
class Reranking:
    """How the hits of a search are ranked again.

    Attributes:
        reranker: What scores them.
        top: How many are scored again.
        shape: What is wanted of them then.
    """

    reranker: Reranker
    top: int
    shape: Shape

    @property
    def candidates(self) -> Shape:
        """The hits to find first. With groups, the best groups, as many as hold `top` hits."""
        shape = self.shape
        if shape.group_by is None:
            return Shape(max(self.top, shape.k))
        groups = max(-(-self.top // shape.group_size), shape.k)
        return Shape(groups, group_by=shape.group_by, group_size=shape.group_size)

    def apply(self, hits: Hits, query: Any) -> Hits:
        """The hits by their new scores. Of equal ones the first stays first."""
        check_time()
        scores = self._checked(self.reranker.scores(query, hits), len(hits))
        check_time()
        order = np.argsort(-scores, kind="stable")
        ranks = np.empty(len(order), np.int64)
        ranks[order] = np.arange(1, len(order) + 1)
        chosen = self._chosen(hits, scores.astype(np.float32), order)
        parts = [
            {**_first_parts(hits, at), "rerank": ListPlace(int(ranks[at]), float(scores[at]))}
            for at in chosen.tolist()
        ]
        said = f"{counted(len(hits), 'hit')} scored again by {self.reranker.name}"
        plan = replace(hits.plan, steps=(*hits.plan.steps, said))
        return scored_again(hits, chosen.tolist(), scores.astype(np.float32), parts, plan)

    def apply_all(self, found: Sequence[Hits], queries: Sequence[Any]) -> list[Hits]:
        """The hits of many queries."""
        return [self.apply(hits, query) for hits, query in zip(found, queries, strict=True)]

    def _checked(self, scores: Doubles, count: int) -> Doubles:
        if scores.shape != (count,):
            raise InvalidInputError(
                f"rerank: {self.reranker.name} returned scores of shape {scores.shape} for "
                f"{counted(count, 'hit')}; it must return one number for each"
            )
        wrong = np.flatnonzero(~np.isfinite(scores))
        if len(wrong):
            at = int(wrong[0])
            raise InvalidInputError(
                f"rerank: the score of hit {at} of {counted(count, 'hit')} is {scores[at]}; "
                "scores must be finite numbers"
            )
        return scores

    def _chosen(
        self, hits: Hits, scores: npt.NDArray[np.float32], order: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """Which hits to give, in their order."""
        shape = self.shape
        if shape.min_score is not None:
            order = order[scores[order].astype(np.float64) >= shape.min_score]
        if shape.group_by is None:
            order = order[: shape.k]
        else:
            keys = group_keys(hits.to_arrow([shape.group_by]).column(_named(hits, shape.group_by)))
            wanted = set(list(dict.fromkeys(keys[at] for at in order.tolist()))[: shape.k])
            order = np.array([at for at in order.tolist() if keys[at] in wanted], np.int64)
        if shape.order:
            found = Found(hits.positions[order], scores[order], hits.plan)
            order = order[ordered(found, shape.order, hits.snapshot)]
        return order


def _named(hits: Hits, column: str) -> str:
    return hits.output_names([column])[column]


def _first_parts(hits: Hits, at: int) -> Mapping[str, ListPlace]:
    """The rank and score that a hit had before, in each list that it was found by."""
    place = ListPlace(hits.ranks[at], float(hits.scores[at]))
    if hits.parts is not None:
        return {**hits.parts[at], "hybrid": place}
    return {"text" if hits.plan.method == "text" else "vector": place}


class Rerankers:
    """The rerankers of one collection, each loaded once."""

    def __init__(self) -> None:
        self._loaded: dict[Any, Reranker] = {}
        self._lock = Lock()

    def reranking(
        self, rerank: Any, top: Any, shape: Shape, model: Callable[[], Model | None]
    ) -> Reranking:
        """What the arguments of a search ask for.

        Args:
            rerank: A name, a function or a model, as the caller gave it.
            top: How many hits are scored again; None for 50, or as many as are wanted.
            shape: What is wanted of the hits.
            model: The collection's model.

        Raises:
            InvalidInputError: An argument is wrong, or two do not go together.
            EmbedderError: The model cannot be loaded.
        """
        if shape.diversity:
            raise InvalidInputError(
                "diversity weighs the scores of the collection's metric against the likeness of "
                "hits, and a reranker gives other scores",
                hint="give diversity= or rerank=",
                command_hint="give --diversity or --rerank",
            )
        count = max(TOP, shape.k) if top is None else check_whole("rerank_top", top, 1)
        if count < shape.k:
            raise InvalidInputError(
                f"rerank_top is {count}, and k is {shape.k}: only hits that are scored again can "
                "be ranked",
                hint="give a rerank_top of at least k",
                command_hint="give a --rerank-top of at least -k",
            )
        return Reranking(self._reranker(rerank, model), count, shape)

    def _reranker(self, rerank: Any, model: Callable[[], Model | None]) -> Reranker:
        if not isinstance(rerank, str):
            return _of_object(rerank)
        key: Any = rerank
        if rerank == MAXSIM:
            own = model()
            if own is None:
                raise InvalidInputError(
                    'rerank="maxsim" compares token vectors of the collection\'s model, and it has '
                    "none",
                    hint='name a model: rerank="maxsim:all-MiniLM-L6-v2"',
                    command_hint="name a model: --rerank maxsim:all-MiniLM-L6-v2",
                )
            key = (rerank, own.entry)
        with self._lock:
            found = self._loaded.pop(key, None)
            if found is None:
                found = _by_tokens_of(own) if rerank == MAXSIM else _loaded(rerank)
            self._loaded[key] = found  # the last one is the one used last
            while len(self._loaded) > MOST_LOADED:
                del self._loaded[next(iter(self._loaded))]
            return found


def no_reranking(top: Any) -> None:
    """Raises InvalidInputError for the number of hits to score again, if nothing scores them."""
    if top is not None:
        raise InvalidInputError(
            f"rerank_top is {shown(top)}, but there is no rerank",
            hint="say what scores the hits again: rerank=",
            command_hint="say what scores the hits again: --rerank",
        )


def _by_tokens_of(model: Model | None) -> Reranker:
    assert model is not None
    return _ByTokens(token_model_of(model.embedder))


def _loaded(name: str) -> Reranker:
    """The reranker that a name stands for."""
    prefix, colon, rest = name.partition(":")
    if colon and prefix == MAXSIM:
        return _ByTokens(load_token_model(rest))
    kind = model_kind(name)
    if kind == "multi-vector":
        return _ByTokens(load_token_model(name))
    if kind == "cross-encoder":
        return _ByPairs(load_pair_scorer(name))
    what = "neither a cross-encoder nor a model of token vectors"
    if kind is not None:
        what = f"{WORDS[kind]}, no cross-encoder"
    raise InvalidInputError(
        f"rerank: '{name}' is {what}",
        hint=f'rerank="maxsim:{name}" compares the vectors of its tokens',
        command_hint=f"--rerank maxsim:{name} compares the vectors of its tokens",
    )


def _of_object(rerank: Any) -> Reranker:
    """The reranker for a function, or for a model of sentence-transformers."""
    if not isinstance(rerank, type):
        name = type(rerank).__name__
        if callable(getattr(rerank, "predict", None)):
            return _ByPairs(PairScorer(name, rerank))
        if hasattr(rerank, "encode_query") and hasattr(rerank, "encode_document"):
            if name == "SentenceTransformer":
                raise InvalidInputError(
                    "rerank is an embedding model, which gives one vector for a text",
                    hint='rerank="maxsim:..." with its name compares the vectors of its tokens',
                    command_hint="give maxsim: and its name to compare the vectors of its tokens",
                )
            return _ByTokens(token_model(rerank, name))
        if callable(rerank):
            return _ByFunction(rerank)
    raise InvalidInputError(
        f"rerank is {shown(rerank)}; it must be the name or folder of a cross-encoder, "
        '"maxsim", or a function of the query and the hits'
    )


class _ByFunction:
    """A function of the user."""

    def __init__(self, function: Callable[[Any, Hits], Any]) -> None:
        self.name = getattr(function, "__name__", type(function).__name__)
        self._function = function

    def scores(self, query: Any, hits: Hits) -> Doubles:
        try:
            found = self._function(query, hits)
        except TypeError as error:
            at = error.__traceback__
            if at is None or at.tb_next is not None:
                raise  # it began in the function
            raise InvalidInputError(
                f"rerank: {self.name} cannot be called with the query and the hits: {error}"
            ) from error
        try:
            scores = np.asarray(found)
            if scores.dtype.kind in "fiu":
                return scores.astype(np.float64)
        except Exception:  # rows of several lengths, or a tensor on another device
            pass
        if isinstance(found, Sequence) and not len(found) and not len(hits):
            return np.empty(0)
        raise InvalidInputError(
            f"rerank: {self.name} returned {shown(found)}; it must return one number for each hit"
        )


class _ByPairs:
    """A model that reads query and text together."""

    def __init__(self, model: PairScorer) -> None:
        self.name = model.name
        self._model = model

    def scores(self, query: Any, hits: Hits) -> Doubles:
        return self._model.scores(_text_of(query), texts_to_read(hits))


class _ByTokens:
    """The MaxSim of token vectors. Those of the texts that were read last are remembered."""

    def __init__(self, model: TokenModel) -> None:
        self.name = f"{MAXSIM} of {model.name}"
        self._model = model
        self._known: dict[str, Vectors] = {}
        self._bytes = 0
        self._lock = Lock()

    def scores(self, query: Any, hits: Hits) -> Doubles:
        text = _text_of(query)
        if not len(hits):
            return np.empty(0)
        documents = self._documents(texts_to_read(hits))
        return maxsim(self._model.embed_queries([text])[0], documents)

    def _documents(self, texts: Sequence[str]) -> list[Vectors]:
        """The token vectors of texts: hits of one query are often hits of the next."""
        with self._lock:
            found = {text: self._known[text] for text in texts if text in self._known}
        new = [text for text in dict.fromkeys(texts) if text not in found]
        if new:
            found |= dict(zip(new, self._model.embed_documents(new), strict=True))
        with self._lock:
            for text in dict.fromkeys(texts):
                if self._known.pop(text, None) is None:
                    self._bytes += found[text].nbytes
                self._known[text] = found[text]  # the last one is the one used last
            while self._bytes > REMEMBERED:
                self._bytes -= self._known.pop(next(iter(self._known))).nbytes
        return [found[text] for text in texts]


def texts_beside(texts: Any, given: Sequence[str], vectors: Sequence[Any]) -> Sequence[Any]:
    """What a reranker reads of each query of a batch.

    Args:
        texts: Texts that were given beside vectors, or None.
        given: The queries, if they are texts; else empty.
        vectors: Their vectors.

    Raises:
        InvalidInputError: There is another number of texts.
    """
    if texts is None:
        return [
            text or vector
            for text, vector in zip(given or [""] * len(vectors), vectors, strict=True)
        ]
    listed = list(many_queries(texts))
    if len(listed) != len(vectors):
        raise InvalidInputError(
            f"there are {counted(len(listed), 'text')} for "
            f"{counted(len(vectors), 'query', 'queries')}: give one for each"
        )
    return listed


def _text_of(query: Any) -> str:
    if isinstance(query, str):
        return query
    raise InvalidInputError(
        "the reranker reads the query's text, and the query is a vector",
        hint="give text= beside the vector",
        command_hint="give a text",
    )


def texts_to_read(hits: Hits) -> list[str]:
    """The text of each hit, as it was embedded: a passage, with what stands over it.

    In a collection of vectors, the columns that are searched by words. Raises InvalidInputError if
    there are no texts.
    """
    manifest = hits.snapshot.manifest
    if manifest.text_columns and not takes_pictures(manifest):
        pairs = zip(hits.heads, hits.texts, strict=True)
        return [with_head(head, text or "") for head, text in pairs]
    full_text = manifest.full_text
    if full_text is None or not full_text.columns:
        raise InvalidInputError(
            "the collection has no texts that a model could read",
            hint="give a function: rerank=lambda query, hits: ..., or build_text_index(columns)",
            command_hint="`vecsearch build-text` says which columns are texts",
        )
    rows = zip(*map(hits.column, full_text.columns), strict=True)
    return [joined([text for text in row if text is not None]) or "" for row in rows]
