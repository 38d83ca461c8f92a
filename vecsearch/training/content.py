"""Fit the model of what a table of nodes says about them: a text column, or other columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vecsearch.common.arguments import check_names
from vecsearch.common.show import shown
from vecsearch.common.suggest import did_you_mean
from vecsearch.embedders.base import Embedder
from vecsearch.embedders.content import ContentEmbedder
from vecsearch.embedders.registry import resolve_embedder
from vecsearch.errors import InvalidInputError
from vecsearch.training.lsa import fit_lsa
from vecsearch.training.table import fit_table

if TYPE_CHECKING:
    import pyarrow as pa

TEXT = "text"
_WORDS = 3  # words of a value on average, from which on a column holds texts


def fit_content(
    nodes: pa.Table,
    *,
    node: str,
    text: str | None,
    columns: Sequence[str] | None,
    embedder: str | Embedder | None,
    dim: int,
    seed: int,
) -> ContentEmbedder | None:
    """Fit the model of the nodes' texts and columns.

    Args:
        nodes: One row for each node.
        node: The column with the ids.
        text: The column with the texts; None takes the one called `text`, or else the string
            column with the most words, if these are three or more on average.
        columns: Other columns to use; None uses all others where there are no texts, else none.
        embedder: The model of the texts; None fits tf-idf and latent semantic analysis.
        dim: The dimensions of the latter.
        seed: Its seed.

    Returns:
        The model; None where the table has nothing but ids.

    Raises:
        InvalidInputError: A column is missing, or of a type that cannot be used.
    """
    others = [name for name in nodes.column_names if name != node]
    if text is not None and text not in others:
        raise InvalidInputError(
            f"the nodes have no column {shown(text)}{did_you_mean(text, others)}"
        )
    text = text or _text_column(nodes, others)
    chosen = list(check_names("columns", columns)) if columns is not None else None
    for name in chosen or []:
        if name not in others:
            raise InvalidInputError(
                f"the nodes have no column {shown(name)}{did_you_mean(name, others)}"
            )
    part = None
    if text is not None and (chosen is None or text not in chosen):
        texts = _texts(nodes, text)
        filled = [each for each in texts if each and each.strip()]
        if filled:
            if embedder is None:
                model: Embedder = fit_lsa(filled, dim=dim, seed=seed)
            else:
                model = resolve_embedder(embedder)
            part = text, model
    if chosen is None:
        chosen = [] if part else _usable(nodes, others)
    table = fit_table(nodes, columns=chosen) if chosen and _varies(nodes, chosen) else None
    return ContentEmbedder(part, table) if part or table else None


def _text_column(nodes: pa.Table, names: list[str]) -> str | None:
    if TEXT in names:
        return TEXT
    most, best = float(_WORDS), None
    for name in names:
        if not _is_text(nodes[name].type):
            continue
        words = [len(value.split()) for value in nodes[name].to_pylist() if value]
        if words and float(np.mean(words)) >= most:
            most, best = float(np.mean(words)), name
    return best


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _texts(nodes: pa.Table, name: str) -> list[str | None]:
    if not _is_text(nodes[name].type):
        raise InvalidInputError(f"column '{name}' of the nodes holds {nodes[name].type}, not texts")
    texts: list[str | None] = nodes[name].to_pylist()
    return texts


def _usable(nodes: pa.Table, names: list[str]) -> list[str]:
    """The columns that describe a node: numbers, dates, booleans, and strings with repetitions."""
    import pyarrow as pa

    found = []
    for name in names:
        kind = nodes[name].type
        plain = (
            pa.types.is_integer(kind)
            or pa.types.is_floating(kind)
            or pa.types.is_boolean(kind)
            or pa.types.is_decimal(kind)
            or pa.types.is_temporal(kind)
        )
        repeated = _is_text(kind) and len(nodes[name].unique()) < max(len(nodes[name]), 2)
        if plain or repeated:
            found.append(name)
    return found


def _varies(nodes: pa.Table, names: list[str]) -> bool:
    return any(len(nodes[name].drop_null().unique()) > 1 for name in names)
