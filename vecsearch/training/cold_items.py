"""Vectors of items that no session has, from their texts: a ridge regression."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vecsearch.common.show import shown
from vecsearch.common.suggest import did_you_mean
from vecsearch.embedders import resolve_embedder
from vecsearch.embedders.items import Cold
from vecsearch.embedders.terms import fit_terms
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.table_columns import id_column
from vecsearch.ingest.texts import joined
from vecsearch.ingest.whole_table import as_table
from vecsearch.types import ID

if TYPE_CHECKING:
    import pyarrow as pa

    from vecsearch.embedders.base import Embedder
    from vecsearch.training.sessions import Floats

PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)


@dataclass(frozen=True)
class Catalogue:
    """The items' texts, as `train_items` is given them.

    Attributes:
        items: The catalogue, of anything that `add` takes; None if there is none.
        text_columns: The columns with texts; None for all that hold texts.
        embedder: The model for the texts; None for words, weighted by tf-idf.
    """

    items: Any = None
    text_columns: Sequence[str] | None = None
    embedder: str | Embedder | None = None

    def read(self, item: str) -> tuple[dict[str, str], tuple[str, ...]]:
        """The text of each item, and the columns that it is of; nothing without a catalogue.

        Args:
            item: The column of items in the sessions.

        Raises:
            InvalidInputError: There is no column of ids or texts, or an id is missing or repeated.
        """
        if self.items is None:
            for name, value in (
                ("text_columns", self.text_columns),
                ("text_embedder", self.embedder),
            ):
                if value is not None:
                    raise InvalidInputError(
                        f"{name} is about the texts of items, and there are none",
                        hint="give the catalogue too: items=",
                        command_hint="give the catalogue too: --items",
                    )
            return {}, ()
        table = as_table(self.items)
        key = next((name for name in (item, ID) if name in table.column_names), None)
        if key is None:
            raise InvalidInputError(
                f"the catalogue (items) has no column '{item}' or '{ID}' that names the items"
                f"{did_you_mean(item, table.column_names)}"
            )
        columns = self._columns(table, key)
        if table[key].null_count:
            row = table[key].is_null().to_pylist().index(True)
            raise InvalidInputError(f"the catalogue (items), row {row}: no '{key}'")
        keys = id_column(table, key).tolist()
        texts = zip(*(table[name].to_pylist() for name in columns), strict=True)
        found = {each: joined(row) or "" for each, row in zip(keys, texts, strict=True)}
        if len(found) < len(keys):
            repeated = Counter(keys).most_common(1)[0][0]
            raise InvalidInputError(f"the catalogue (items) has {shown(repeated)} more than once")
        return {each: text for each, text in found.items() if text.strip()}, columns

    def _columns(self, table: pa.Table, key: str) -> tuple[str, ...]:
        import pyarrow as pa

        def has_texts(name: str) -> bool:
            kind = table[name].type
            kind = kind.value_type if pa.types.is_dictionary(kind) else kind
            return any(
                check(kind)
                for check in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
            )

        names = self.text_columns
        if names is None:
            chosen = [name for name in table.column_names if name != key and has_texts(name)]
            if not chosen:
                raise InvalidInputError(
                    "the catalogue (items) has no column of texts beside the ids"
                )
            return tuple(chosen)
        if isinstance(names, str) or not names:
            raise InvalidInputError(f"text_columns is {shown(names)}; it must be a list of columns")
        for name in names:
            if name not in table.column_names:
                raise InvalidInputError(
                    f"the catalogue (items) has no column {shown(name)}"
                    f"{did_you_mean(name, table.column_names)}"
                )
            if not has_texts(name):
                raise InvalidInputError(
                    f"the catalogue (items), column '{name}': {table[name].type}, not texts"
                )
        return tuple(names)


def cold_items(
    texts: dict[str, str],
    keys: Sequence[str],
    documents: Floats,
    queries: Floats,
    embedder: str | Embedder | None,
) -> tuple[Cold, float]:
    """What predicts the vectors of items from their texts.

    Ridge regression (Hoerl and Kennard 1970) of both vectors of an item on the vector of its text
    and a constant; the penalty has the smallest leave-one-out error, which has a closed form.

    Args:
        texts: The text of each item of the catalogue.
        keys: The items of the sessions.
        documents: float64 (items, dim): their vectors as documents.
        queries: The same as parts of histories.
        embedder: The model of the texts, or its name; None fits one of words.

    Returns:
        The predictor, and the share of the vectors' variance that it tells of items left out.

    Raises:
        InvalidInputError: Fewer than two items of the sessions have a text.
    """
    rows = [at for at, key in enumerate(keys) if key in texts]
    if len(rows) < 2:
        raise InvalidInputError(
            f"{len(rows)} of the {len(keys):,} items of the sessions are in the catalogue (items) "
            "with a text: are these the same ids?"
        )
    known = [texts[keys[at]] for at in rows]
    model = fit_terms(list(texts.values())) if embedder is None else resolve_embedder(embedder)
    inputs = np.asarray(model.embed_documents(known), np.float64)
    wanted = np.hstack([documents[rows], queries[rows]])
    center, mean = inputs.mean(axis=0), wanted.mean(axis=0)
    inputs, wanted = inputs - center, wanted - mean
    left, singular, right = np.linalg.svd(inputs, full_matrices=False)
    values, axes = np.square(singular), right.T
    rotated = left * singular
    onto = rotated.T @ wanted
    best = (np.inf, PENALTIES[0])
    for penalty in PENALTIES:
        shrunk = 1.0 / (values + penalty)
        leverage = np.square(rotated) @ shrunk + 1.0 / len(rows)
        errors = (wanted - rotated @ (shrunk[:, None] * onto)) / (1.0 - leverage)[:, None]
        best = min(best, (float(np.square(errors).sum()), penalty))
    weights = axes @ (onto / (values + best[1])[:, None])
    constant = mean - center @ weights
    total = float(np.square(wanted).sum()) * (len(rows) / (len(rows) - 1)) ** 2
    told = 1.0 - best[0] / total if total > 0 else 0.0
    return Cold(model, np.vstack([constant, weights]).astype(np.float32)), told
