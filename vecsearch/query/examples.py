"""Examples of what is wanted or not: documents by id, texts, vectors, a user's history."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.common.arrays import Vectors
from vecsearch.common.keyed import keyed
from vecsearch.common.show import shown, shown_id
from vecsearch.errors import IdNotFoundError, InvalidInputError
from vecsearch.ingest.passages import embedded_columns, embedded_texts
from vecsearch.query.documents import document_vectors
from vecsearch.query.encode import QueryEncoder
from vecsearch.storage.ids import as_ids, plain_id
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import Id, Metric

KINDS = ("id", "text", "vector")
HALF_LIFE = 30.0


@dataclass(frozen=True)
class Examples:
    """Examples of one sign.

    Attributes:
        vectors: float32 (n, dim), as queries are: of unit length for cosine.
        weights: float64 (n,), above 0.
        ids: The id of each; None for a text or a vector.
    """

    vectors: Vectors
    weights: npt.NDArray[np.float64]
    ids: tuple[Id | None, ...]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def mean(self) -> npt.NDArray[np.float64]:
        """The weighted mean of the vectors."""
        return np.asarray(self.sum / self.weights.sum())

    @property
    def sum(self) -> npt.NDArray[np.float64]:
        """The weighted sum of the vectors."""
        return np.asarray(self.weights @ self.vectors.astype(np.float64))


class ExampleReader:
    """Reads examples as callers give them."""

    def __init__(self, snapshot: Snapshot, encoder: QueryEncoder) -> None:
        self._snapshot = snapshot
        self._encoder = encoder
        self._int_ids = pa.types.is_integer(snapshot.manifest.id_type)

    def read(self, values: Any, name: str) -> list[tuple[Any, Id | None]]:
        """What each example is for the encoder, and its id.

        Args:
            values: An id, a text or a vector, or several. A str is an id if a document has it, or
                else a text; {"id": ...}, {"text": ...} and {"vector": ...} say which is meant.
            name: The argument's.

        Raises:
            InvalidInputError: A value is none of these.
            IdNotFoundError: No document has an id.
        """
        items = [
            (number, *self._kind(item, name)) for number, item in enumerate(listed_examples(values))
        ]
        asked = [value for _, kind, value in items if kind == "str"]
        known = self._known(asked) if asked else set()
        kinds = []
        for number, kind, value in items:
            if kind == "str":
                kind = "id" if value in known else "text"
                if kind == "text" and self._snapshot.manifest.embedder is None:
                    raise IdNotFoundError(
                        f"{name}: no document has the id {shown_id(value)}, and the collection "
                        "has no embedder for texts"
                    )
            kinds.append((number, kind, value))
        vectors = self._vectors([value for _, kind, value in kinds if kind == "id"], name)
        return [
            (vectors[value], value) if kind == "id" else (value, None) for _, kind, value in kinds
        ]

    def read_history(
        self, values: Any, half_life: float
    ) -> list[tuple[tuple[Any, Id | None], float]]:
        """The documents of a history, as `read` gives them, with their weights.

        Weights halve with every half-life of age. Without ages, a model of items weighs the
        documents by their place in the history, of which the last is the newest.

        Raises InvalidInputError, IdNotFoundError.
        """
        entries = _as_list(values)
        if not isinstance(entries, list):
            raise InvalidInputError(
                f"history is {shown(values)}; it must be a list of ids, or of tuples of id, "
                "weight and perhaps age"
            )
        weighted: list[tuple[Id, float]] = []
        aged = any(isinstance(item, tuple | list) and len(item) > 2 for item in entries)
        for number, item in enumerate(entries):
            entry = tuple(item) if isinstance(item, tuple | list) else (item,)
            weight, age = (*entry[1:], *(1.0, 0.0)[len(entry) - 1 :])[:2] if entry else (1.0, 0.0)
            if not 1 <= len(entry) <= 3 or not _is_number(weight) or not _is_number(age):
                raise InvalidInputError(
                    f"history: entry {number} is {shown(item)}; it must be an id, or a tuple of "
                    "id, weight and perhaps age"
                )
            if age < 0:
                raise InvalidInputError(
                    f"history: the age of entry {number} is {shown(age)}; it must be 0 or more"
                )
            weighted.append(
                (plain_id(entry[0]), float(weight) * 0.5 ** (float(age) / float(half_life)))
            )
        vectors = self._history([each for each, _ in weighted], aged)
        return [
            ((vector, each), weight)
            for vector, (each, weight) in zip(vectors, weighted, strict=True)
        ]

    def examples(self, weighted: Sequence[tuple[tuple[Any, Id | None], float]]) -> Examples:
        """Examples, as `read` gives them, with weights. Raises what encoding a query does."""
        listed, weights = [each for each, _ in weighted], [weight for _, weight in weighted]
        manifest = self._snapshot.manifest
        vectors = np.empty((len(listed), manifest.dim), np.float32)
        texts = [at for at, (value, _) in enumerate(listed) if isinstance(value, str)]
        if texts:
            vectors[texts] = self._encoder.encode_many([listed[at][0] for at in texts])
        for at, (value, which) in enumerate(listed):
            if isinstance(value, str):
                continue
            try:
                vectors[at] = self._encoder.encode(value)
            except InvalidInputError as error:
                if which is None:
                    raise
                raise InvalidInputError(
                    f"the document {shown_id(which)} is no example: its passages cancel out"
                ) from error
        return Examples(vectors, np.array(weights, np.float64), tuple(each for _, each in listed))

    def _vectors(self, ids: Sequence[Any], name: str) -> dict[Any, Vectors]:
        """The mean vector of each document. Raises InvalidInputError, IdNotFoundError."""
        if not ids:
            return {}
        self._check_ids(ids, name)
        vectors = self._of_model(ids) if self._snapshot.manifest.embeds_ids else {}
        return vectors | self._stored([each for each in ids if each not in vectors], name)

    def _history(self, ids: Sequence[Any], aged: bool) -> list[Any]:
        """The vectors of a history, oldest first; a model of items may weigh them by their place.

        Args:
            ids: The documents.
            aged: Whether the weights say how old they are.

        Raises:
            InvalidInputError, IdNotFoundError: As `_vectors`.
        """
        if aged or not self._snapshot.manifest.embeds_ids:
            found = self._vectors(ids, "history")
            return [found[each] for each in ids]
        self._check_ids(ids, "history")
        weigh = getattr(self._encoder.embedder, "history_vectors", None)
        if weigh is None or not ids:
            return self._history(ids, aged=True)
        vectors, known = weigh(self._as_embedded(ids))
        others = self._stored([ids[at] for at in np.flatnonzero(~known).tolist()], "history")
        return [vectors[at] if known[at] else others[each] for at, each in enumerate(ids)]

    def _check_ids(self, ids: Sequence[Any], name: str) -> None:
        wanted = str if not self._int_ids else int
        for each in ids:
            if not isinstance(each, wanted) or isinstance(each, bool):
                raise InvalidInputError(
                    f"{name}: {shown(each)} is no id; ids of this collection are {wanted.__name__}"
                )

    def _stored(self, ids: Sequence[Any], name: str) -> dict[Any, Vectors]:
        """The mean of each document's vectors. Raises IdNotFoundError."""
        if not ids:
            return {}
        try:
            return dict(zip(ids, document_vectors(self._snapshot, list(ids)), strict=True))
        except IdNotFoundError as error:
            raise IdNotFoundError(f"{name}: {error.message}") from error

    def _of_model(self, ids: Sequence[Any]) -> dict[Any, Vectors]:
        """The vector that the model has for a document as a query, where it knows the document.

        It may differ from the one that is stored. Raises what loading the model does.
        """
        find = getattr(self._encoder.embedder, "example_vectors", None)
        if find is None:
            return {}
        vectors, known = find(self._as_embedded(ids))
        return {ids[at]: vectors[at] for at in np.flatnonzero(known).tolist()}

    def _as_embedded(self, ids: Sequence[Any]) -> list[str]:
        """Documents as a model that looks vectors up by id is given them.

        One that is not in the collection is given without a text.
        """
        snapshot, manifest = self._snapshot, self._snapshot.manifest
        owners, positions = snapshot.locate(as_ids(ids, manifest.id_type))
        names = [manifest.id_column, *embedded_columns(manifest.schema, manifest.text_columns)]
        texts = embedded_texts(snapshot.take(names, positions), manifest.text_columns, keyed=True)
        asked = [keyed(each, None) for each in ids]
        for owner, text in zip(owners[::-1].tolist(), texts[::-1], strict=True):
            asked[owner] = text
        return asked

    def _known(self, ids: Sequence[str]) -> set[str]:
        owners, _ = self._snapshot.locate(as_ids(ids, self._snapshot.manifest.id_type))
        return {ids[owner] for owner in np.unique(owners).tolist()}

    def _kind(self, item: Any, name: str) -> tuple[str, Any]:
        """ "id", "text", "vector" or "str" for an id or a text, and the value."""
        if isinstance(item, Mapping):
            if len(item) != 1 or next(iter(item)) not in KINDS:
                raise InvalidInputError(
                    f"{name}: {shown(item)} is no example; give an id, a text or a vector, or a "
                    "dict with one of the keys id, text and vector"
                )
            kind, value = next(iter(item.items()))
            return kind, plain_id(value) if kind == "id" else value
        item = plain_id(item)
        if isinstance(item, str):
            return ("text" if self._int_ids else "str"), item
        if isinstance(item, Integral):
            return "id", item
        if isinstance(item, Real) or item is None:
            raise InvalidInputError(
                f"{name}: {shown(item)} is no example; give ids, texts or vectors"
            )
        return "vector", item


def read_examples(
    reader: ExampleReader, positive: Any, negative: Any, history: Any, half_life: float
) -> tuple[Examples, Examples, list[Id]]:
    """Positive and negative examples, and the ids of all documents among them.

    A document of the history with a weight below 0 is a negative example; one of weight 0 is none,
    but was seen.

    Raises:
        InvalidInputError: An example is wrong, or there is none.
        IdNotFoundError: No document has an id.
    """
    if not _is_number(half_life) or half_life <= 0:
        raise InvalidInputError(
            f"half_life is {shown(half_life)}; it must be a number above 0, in the unit of ages"
        )
    wanted = [(each, 1.0) for each in reader.read(positive, "positive")]
    unwanted = [(each, 1.0) for each in reader.read(negative, "negative")]
    past = [] if history is None else reader.read_history(history, half_life)
    seen = [which for (_, which), _ in (*wanted, *unwanted, *past) if which is not None]
    wanted += [(each, weight) for each, weight in past if weight > 0]
    unwanted += [(each, -weight) for each, weight in past if weight < 0]
    if not wanted and not unwanted:
        raise InvalidInputError(
            "a recommendation needs an example",
            hint="give positive=, negative= or history=",
            command_hint="give --like, --unlike or --history",
        )
    return reader.examples(wanted), reader.examples(unwanted), seen


def read_context(
    reader: ExampleReader, target: Any, context: Any
) -> tuple[Examples, Examples, Examples, list[Id]]:
    """A target or none, the positives and negatives of pairs, and the ids of all documents.

    Raises:
        InvalidInputError: An example is wrong, a pair is none, or there is nothing.
        IdNotFoundError: No document has an id.
    """
    goal = [] if target is None else reader.read([target], "target")
    pairs = _as_list(context)
    if not isinstance(pairs, list):
        raise InvalidInputError(
            f"context is {shown(context)}; it must be a list of pairs of a positive and a negative "
            "example"
        )
    for number, pair in enumerate(pairs):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise InvalidInputError(
                f"context: entry {number} is {shown(pair)}; it must be a pair of a positive and a "
                "negative example"
            )
    if not goal and not pairs:
        raise InvalidInputError(
            "discover needs a target or a pair of examples",
            hint="give target= or context=",
            command_hint="give a TARGET, or --like and --unlike",
        )
    wanted = reader.read([pair[0] for pair in pairs], "context")
    unwanted = reader.read([pair[1] for pair in pairs], "context")
    listed = [*goal, *wanted, *unwanted]
    parts = [reader.examples([(each, 1.0) for each in part]) for part in (goal, wanted, unwanted)]
    return parts[0], parts[1], parts[2], [which for _, which in listed if which is not None]


def listed_examples(values: Any) -> list[Any]:
    """The examples of an argument."""
    if values is None:
        return []
    listed = _as_list(values)
    if not isinstance(listed, list):
        listed = [listed]
    elif listed and all(isinstance(item, float | np.floating) for item in listed):
        listed = [np.asarray(listed, np.float32)]  # the numbers of one vector
    return listed


def _as_list(values: Any) -> Any:
    """Several values as a list; one value as it is."""
    if isinstance(values, str | bytes | Mapping):
        return values
    for convert in ("to_pylist", "tolist", "to_list"):
        if hasattr(values, convert):
            return getattr(values, convert)()
    if isinstance(values, Iterable):
        return list(values)
    return values


def _is_number(value: Any) -> bool:
    """Whether a value is a number that a float can hold."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def cosine_direction(total: npt.NDArray[np.float64], metric: Metric) -> npt.NDArray[np.float64]:
    """A sum of examples that is searched for. Raises InvalidInputError if it has no direction."""
    if metric is Metric.COSINE and np.linalg.norm(total) < 1e-6:
        raise InvalidInputError("the examples cancel out: their sum has no direction")
    return total
