"""A collection as other libraries' document stores want it: text, any metadata, a vector.

Ids are strings. Metadata of any keys and types is in the JSON column `metadata`; keys that were
declared have typed columns of their own, which filters read about a hundred times faster.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vecsearch.collection import Collection, create, open_collection
from vecsearch.errors import CollectionExistsError, InvalidInputError
from vecsearch.integrations import conditions as sql

METADATA = "metadata"
TEXT = "text"
Columns = Mapping[str, str]
MetricName = Literal["cosine", "ip", "l2"]


class Documents:
    """A collection that is opened, or created with the first vectors.

    Args:
        path: The collection's folder, which may not exist yet.
        collection: An open collection, instead of a path.
        columns: Metadata keys with a column of their own, and its type: {"year": "int64"}.
        extra: Further columns that the adapter needs, and their types.
        metric: The metric of a new collection.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        collection: Collection | None,
        columns: Columns | None,
        *,
        extra: Columns | None = None,
        metric: MetricName = "cosine",
    ) -> None:
        if (path is None) == (collection is None):
            raise InvalidInputError(
                "a store needs either the path of a collection or an open one",
                hint="give path= or collection=",
            )
        taken = {"id", TEXT, METADATA, "vector", *(extra or {})} & set(columns or {})
        if taken:
            raise InvalidInputError(
                f"columns names {min(taken)!r}, which is a column of the store itself",
                hint="leave it out: the key is kept in the metadata",
            )
        self.path = Path(path) if path is not None else None
        self.metric = metric
        self.extra = dict(extra or {})
        self._columns = dict(columns or {})
        self._lock = threading.Lock()
        self._collection = collection
        if collection is not None:
            self._check(collection)
        elif self.path is not None and (self.path / "manifests").is_dir():
            self._collection = self._check(open_collection(self.path))

    @property
    def collection(self) -> Collection | None:
        """The collection with what others committed; None before the first vectors."""
        return None if self._collection is None else self._collection.refresh()

    @property
    def columns(self) -> Columns:
        """The declared metadata columns and their types."""
        return self._columns

    def created(self, dim: int) -> Collection:
        """The collection, created for vectors of this dimension if it is not there yet."""
        with self._lock:
            if self._collection is None:
                assert self.path is not None
                try:
                    self._collection = create(
                        self.path,
                        dim=dim,
                        metric=self.metric,
                        schema={"id": "string", TEXT: "string", **self.extra, **self._columns},
                        json_columns=[METADATA],
                    )
                    self._collection.build_text_index([TEXT], progress=False)
                except CollectionExistsError:
                    self._collection = self._check(open_collection(self.path))
            return self._collection

    def place(self, key: str) -> str:
        """Where a metadata key is, in SQL."""
        return sql.named(key) if key in self._columns else sql.path(METADATA, [key])

    def row(
        self, id: str, text: str | None, metadata: Mapping[str, Any], **more: Any
    ) -> dict[str, Any]:
        """A document as a row."""
        free = {key: value for key, value in metadata.items() if key not in self._columns}
        declared = {key: metadata.get(key) for key in self._columns}
        return {"id": id, TEXT: text, METADATA: free, **declared, **more}

    def metadata(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The metadata of a row."""
        declared = {key: row[key] for key in self._columns if row.get(key) is not None}
        return {**(row.get(METADATA) or {}), **declared}

    def found(self, ids: Iterable[str]) -> list[dict[str, Any]]:
        """The rows with these ids, in their order; without those that are not there."""
        collection = self.collection
        if collection is None:
            return []
        return [row for row in collection.get(list(ids)) if row is not None]

    def rows(
        self, where: str | None = None, ids: Sequence[str] | None = None
    ) -> list[dict[str, Any]]:
        """The rows that match, in the collection's order."""
        collection = self.collection
        if collection is None:
            return []
        table = collection.to_arrow(["id"], where=where, ids=ids)
        return self.found(table["id"].to_pylist())

    def matching(self, matches: Callable[[dict[str, Any]], bool]) -> list[str]:
        """The ids of the rows for which a function is true. It reads every row."""
        return [row["id"] for row in self.rows() if matches(row)]

    def vectors(self, ids: Sequence[str]) -> npt.NDArray[np.float32]:
        """The vectors of these ids, in their order."""
        assert self._collection is not None
        return self._collection.features(ids)

    def _check(self, collection: Collection) -> Collection:
        """The collection, if it has the columns of a store."""
        there = collection.info().columns
        lacking = [name for name in (METADATA, *self._columns, *self.extra) if name not in there]
        if lacking or there[METADATA] != "json":
            raise InvalidInputError(
                f"{collection.path} lacks the columns of a store: "
                f"{', '.join(lacking) or METADATA + ' is not JSON'}",
                hint=f'add them: add_column("{(lacking or [METADATA])[0]}", ...), where metadata '
                'is of the type "json"',
            )
        return collection
