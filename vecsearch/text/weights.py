"""Terms with weights: what a sparse encoder makes of texts, or what a column of JSON holds."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

from vecsearch.common.kinds import is_model_name
from vecsearch.common.optional import require
from vecsearch.common.show import cut, first_line, shown
from vecsearch.errors import CorruptedError, EmbedderError, InvalidInputError

FORMAT = 1
BATCH = 32  # texts that are encoded together
PROBE = "Ships at sea 密码"  # what tells one model from another
LARGEST = 1e30  # a weight, so that sums stay finite
Weights = dict[str, float]


@dataclass(frozen=True)
class Weigher:
    """What gives terms their weights in a collection. Thread-safe.

    Args:
        encoder: The name or folder of a sparse encoder of sentence-transformers, such as SPLADE
            (Formal, Piwowarski and Clinchant, SIGIR 2021); None if there is none.
        given: Whether the columns hold weights, as JSON, and not texts.
        fingerprint: What the encoder gave for a probe when it was chosen; None for a new choice.
        local: Whether only files of this machine may be read.
    """

    encoder: str | None = None
    given: bool = False
    fingerprint: str | None = None
    local: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The full description, as the manifest stores it."""
        found = {"weights": self.given, "encoder": self.encoder, "format": FORMAT}
        return found | ({} if self.encoder is None else {"fingerprint": self._probe})

    def load(self) -> Weigher:
        """Load the encoder, if there is one.

        Raises:
            MissingExtraError: sentence-transformers is not installed.
            EmbedderError: The encoder cannot be loaded, or is another one than before.
        """
        if self.fingerprint is not None and self._probe != self.fingerprint:
            raise EmbedderError(
                f"the sparse encoder {self.encoder} gives other weights than when the text index "
                "was built",
                hint="call build_text_index with it again",
                command_hint="run `vecsearch build-text --encoder` with it again",
            )
        return self

    def documents(self, values: Sequence[Any]) -> list[Weights]:
        """The weights of the values of a column; a missing one has none.

        Raises InvalidInputError for a value that holds no weights, EmbedderError.
        """
        if self.given:
            return [_given(value, number) for number, value in enumerate(values)]
        texts = ["" if value is None else str(value) for value in values]
        here = [number for number, text in enumerate(texts) if text.strip()]
        found: list[Weights] = [{} for _ in texts]
        encoded = self._encoded("document", [texts[number] for number in here])
        for number, weights in zip(here, encoded, strict=True):
            found[number] = weights
        return found

    def query(self, given: Any) -> Weights:
        """The weights of a question: a text, if there is an encoder, or the weights themselves.

        Raises InvalidInputError, EmbedderError.
        """
        if isinstance(given, Mapping):
            return checked(given, "the query")
        if not isinstance(given, str):
            raise InvalidInputError(
                f"the query is {shown(given)}; it must be a text, or a dict of terms and weights"
            )
        if not given.strip():
            raise InvalidInputError("the query is an empty text")
        if self.encoder is None:
            raise InvalidInputError(
                "the text index holds weights of terms, and has no encoder for a text",
                hint='give a dict of terms and weights, such as {"ship": 1.5}',
                command_hint="run `vecsearch build-text --encoder` with the model of the weights",
            )
        return self._encoded("query", [given])[0]

    def _encoded(self, side: Literal["query", "document"], texts: list[str]) -> list[Weights]:
        if not texts:
            return []
        import numpy as np

        model, tokens = self._model, self._tokens
        run = model.encode_query if side == "query" else model.encode_document
        found: list[Weights] = []
        for first in range(0, len(texts), BATCH):
            try:
                rows = run(
                    texts[first : first + BATCH],
                    batch_size=BATCH,
                    show_progress_bar=False,
                    convert_to_tensor=True,
                    convert_to_sparse_tensor=False,
                )
            except Exception as error:  # whatever a model raises
                raise EmbedderError(f"the sparse encoder {self.encoder} failed: {error}") from error
            for row in np.asarray(rows.cpu().float().numpy()):
                if not np.isfinite(row).all():
                    raise EmbedderError(f"the sparse encoder {self.encoder} gave no finite weights")
                places = np.flatnonzero(row > 0).tolist()
                found.append({tokens[at]: float(row[at]) for at in places})
        return found

    @cached_property
    def _model(self) -> Any:
        library = require(
            "sentence_transformers", "sentence-transformers", "text", "A sparse encoder"
        )
        name = str(self.encoder)
        if not is_model_name(name):
            raise EmbedderError(f"{shown(name)} is not the name of a model or a folder")
        try:
            local = self.local or Path(name).is_dir()
            return library.SparseEncoder(name, device="cpu", local_files_only=local)
        except Exception as error:  # whatever loading a model raises
            raise EmbedderError(
                f"the sparse encoder {name} cannot be loaded: {cut(first_line(error), 200)}",
                hint="give the name of a model of sentence-transformers, or its folder",
                command_hint="give the name of a model of sentence-transformers, or its folder",
            ) from error

    @cached_property
    def _tokens(self) -> list[str]:
        """The term of each number that the model gives."""
        names = self._model.tokenizer.get_vocab()
        size = max(int(self._model.get_embedding_dimension() or 0), *names.values(), 0) + 1
        tokens = [f"#{number}" for number in range(size)]
        for name, number in names.items():
            tokens[number] = name
        return tokens

    @cached_property
    def _probe(self) -> str | None:
        if self.encoder is None:
            return None
        lines = []
        for side in ("query", "document"):
            found = self._encoded(side, [PROBE])[0]
            heavy = sorted(found.items(), key=lambda item: (-round(item[1], 2), item[0]))[:20]
            lines += [f"{side} {term} {round(weight, 2):.2f}" for term, weight in sorted(heavy)]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]


def checked(given: Mapping[Any, Any], what: str) -> Weights:
    """Terms with weights above 0, as a caller gives them; a weight of 0 says nothing.

    Raises InvalidInputError.
    """
    found: Weights = {}
    for term, weight in given.items():
        if not isinstance(term, str) or not term:
            raise InvalidInputError(f"{what} has the term {shown(term)}; terms are texts")
        try:
            number = math.nan if isinstance(weight, bool | str) else float(weight)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not 0 <= number <= LARGEST:
            raise InvalidInputError(
                f"{what} has the weight {shown(weight)} for {shown(term)}; a weight is a number of "
                "0 or more"
            )
        if number:
            found[term] = number
    return found


def _given(value: Any, number: int) -> Weights:
    if value is None:
        return {}
    found = json.loads(value) if isinstance(value, str) else value
    if found is None:
        return {}
    if isinstance(found, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in found):
        found = dict(found)  # a map of Arrow
    if not isinstance(found, Mapping):
        raise InvalidInputError(
            f"row {number} has {shown(found)}; weights are a dict of terms and numbers"
        )
    return checked(found, f"row {number}")


def stored_weigher(description: Mapping[str, Any]) -> Weigher | None:
    """What a manifest describes, if it is no analyzer.

    Raises:
        CorruptedError: This version of vecsearch does not know it.
        EmbedderError: The encoder cannot be loaded, or is another one than before.
    """
    if "weights" not in description:
        return None
    known = {"weights", "encoder", "format", "fingerprint"}
    if description.get("format") != FORMAT or not set(description) <= known:
        raise CorruptedError(
            f"the collection is searched by words with {shown(dict(description))}, which this "
            "vecsearch does not know: upgrade it, or call build_text_index again"
        )
    encoder, fingerprint = description.get("encoder"), description.get("fingerprint")
    return _loaded(encoder, bool(description["weights"]), fingerprint)


@lru_cache(maxsize=4)
def _loaded(encoder: str | None, given: bool, fingerprint: str | None) -> Weigher:
    return Weigher(encoder, given, fingerprint, local=True).load()
