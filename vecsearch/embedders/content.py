"""Rows of a table as vectors: a text column by a text model, other columns by their values.

Nodes of a graph are described by such rows, so that a node without links has a vector too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vecsearch.common.arrays import Vectors
from vecsearch.common.show import shown
from vecsearch.embedders.base import Embedder
from vecsearch.embedders.registry import resolve_embedder
from vecsearch.embedders.saved import (
    Saved,
    SavedEmbedder,
    TrainedEmbedder,
    lives_in_a_folder,
    load_saved,
    write_saved,
)
from vecsearch.embedders.tabular import TableEmbedder
from vecsearch.embedders.tabular import from_saved as table_from_saved
from vecsearch.errors import EmbedderMismatchError, InvalidInputError


class ContentEmbedder(TrainedEmbedder):
    """Embeds rows by a text column, by other columns, or by both side by side.

    Each part has length 1, or 0 where the row lacks it, and so has the whole.

    Args:
        text: The text column and its model; None without.
        table: The model of the other columns; None without.
        name: The embedder's name.
    """

    def __init__(
        self,
        text: tuple[str, Embedder] | None,
        table: TableEmbedder | None,
        name: str = "content:unsaved",
    ) -> None:
        self.text = text
        self.table = table
        super().__init__(name, (text[1].dim if text else 0) + (table.dim if table else 0))

    @property
    def columns(self) -> list[str]:
        """The columns that are read."""
        text = [self.text[0]] if self.text else []
        return text + ([column.name for column in self.table.columns] if self.table else [])

    def embed_documents(self, documents: Sequence[Mapping[str, Any]]) -> Vectors:
        """Embed rows: float32, shape (len(documents), dim).

        Args:
            documents: Mappings from column name to value; a missing value counts as the mean.

        Raises:
            InvalidInputError: A value is of another type than its column's; the message names it.
        """
        parts = []
        if self.text is not None:
            column, model = self.text
            vectors = np.zeros((len(documents), model.dim), dtype=np.float32)
            texts = [document.get(column) for document in documents]
            for row, text in enumerate(texts):
                if text is not None and not isinstance(text, str):
                    raise InvalidInputError(
                        f"row {row}: '{column}' is {shown(text)}; it must be a text"
                    )
            rows = [row for row, text in enumerate(texts) if text and text.strip()]
            if rows:
                vectors[rows] = model.embed_documents([texts[row] for row in rows])
            parts.append(_unit(vectors))
        if self.table is not None:
            names = {column.name for column in self.table.columns}
            given = [{k: v for k, v in row.items() if k in names} for row in documents]
            rows_of = self.table.embed_documents(given)
            rows_of[[row for row, values in enumerate(given) if not _any(values)]] = 0
            parts.append(_unit(rows_of))
        return _unit(np.concatenate(parts, axis=1))

    def _compute_fingerprint(self) -> str:
        digest = hashlib.sha256(repr(self.columns).encode())
        for model in (self.text and self.text[1], self.table):
            digest.update((model.fingerprint() if model else "").encode())
        return digest.hexdigest()

    def _stored_inner(self) -> SavedEmbedder | None:
        model = self.text[1] if self.text else None
        return model if model is not None and lives_in_a_folder(model) else None

    def _write(self, folder: str | Path) -> Path:
        return write_saved(self._saved(), folder, self._stored_inner())

    def _saved(self) -> Saved:
        table = self.table._saved() if self.table else Saved("table")
        settings: dict[str, Any] = {"table": dict(table.settings) if self.table else None}
        if self.text is not None:
            column, model = self.text
            inside = self._stored_inner() is not None
            spec = "" if inside else model.name
            settings["text"] = {
                "column": column,
                "model": spec,
                "inside": inside,
                "fingerprint": model.fingerprint(),
            }
        return Saved("content", settings, (), table.arrays)


def _any(values: Mapping[str, Any]) -> bool:
    return any(value is not None for value in values.values())


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)


def from_saved(saved: Saved, name: str) -> ContentEmbedder:
    """The embedder that `ContentEmbedder.save` wrote."""
    settings, text = saved.settings.get("text"), None
    if settings is not None:
        folder = Path(name.removeprefix("saved:")) / "inner"
        model = load_saved(folder) if settings["inside"] else resolve_embedder(settings["model"])
        if not settings["inside"] and model.fingerprint() != settings["fingerprint"]:
            raise EmbedderMismatchError(
                f"{model.name} is not the model of the texts: its fingerprint differs"
            )
        text = settings["column"], model
    table = None
    if saved.settings["table"] is not None:
        table = table_from_saved(
            Saved("table", saved.settings["table"], (), saved.arrays), "table:unsaved"
        )
    return ContentEmbedder(text, table, name)
