"""What a search returns: ranked hits whose columns are read from the snapshot on access."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.common.arrays import Positions
from vecsearch.common.optional import require
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import END, ID, START, VECTOR, Id, Plan

if TYPE_CHECKING:
    import pandas as pd


class Hit:
    """One hit of a search. `hit["title"]` is the value of a column.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("notes.vs", embedder="toy:64")
        >>> _ = c.add([{"id": "boat", "text": "a small boat", "year": 1999}])
        >>> hit = c.search("boat")[0]
        >>> hit.rank, hit.id, hit["year"]
        (1, 'boat', 1999)
    """

    __slots__ = ("_hits", "_number")

    def __init__(self, hits: Hits, number: int) -> None:
        self._hits = hits
        self._number = number

    @property
    def id(self) -> Id:
        """The document's id."""
        return self._hits.ids[self._number]

    @property
    def score(self) -> float:
        """Cosine similarity, inner product or negative squared distance; larger is better."""
        return float(self._hits.scores[self._number])

    @property
    def rank(self) -> int:
        """1 for the best hit."""
        return self._number + 1

    @property
    def span(self) -> tuple[int, int] | None:
        """Start and end of the passage, in characters of the document; None without a chunker."""
        if not self._hits.snapshot.manifest.chunked:
            return None
        return self._hits.column(START)[self._number], self._hits.column(END)[self._number]

    def __getitem__(self, column: str) -> Any:
        """The value of a column, as a Python value.

        Raises:
            InvalidInputError: The column does not exist.
        """
        return self._hits.column(column)[self._number]

    def to_dict(self) -> dict[str, Any]:
        """Rank, score, every column but the vector and, with a chunker, the span.

        Example:
            >>> sorted(hit.to_dict())
            ['id', 'rank', 'score', 'text', 'year']
        """
        names = [name for name in self._hits.snapshot.columns if name != VECTOR]
        out: dict[str, Any] = {"rank": self.rank, "score": self.score}
        out |= {name: self[name] for name in names}
        if self.span is not None:
            out["span"] = list(self.span)
        return out

    def __repr__(self) -> str:
        return f"Hit(rank={self.rank}, id={self.id!r}, score={self.score:.4f})"


class Hits(Sequence[Hit]):
    """The ranked hits of a search, best first; fewer than k if fewer documents match.

    Columns are fetched when they are read, from the snapshot that was searched: later commits do
    not change them.

    Attributes:
        ids: Ids of the documents, as Python int or str.
        scores: float32, shape (number of hits,), in descending order.
        plan: How the search ran, and why.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("notes.vs", embedder="toy:64")
        >>> _ = c.add([
        ...     {"id": "boat", "text": "a small boat", "year": 1999},
        ...     {"id": "ship", "text": "a large ship", "year": 2021},
        ... ])
        >>> hits = c.search("a large ship")
        >>> hits.ids, hits[0]["year"], hits.scores.dtype
        (['ship', 'boat'], 2021, dtype('float32'))
    """

    def __init__(
        self, snapshot: Snapshot, positions: Positions, scores: npt.NDArray[np.float32], plan: Plan
    ) -> None:
        self.snapshot = snapshot
        self.positions = positions
        self.scores = scores
        self.plan = plan
        self._columns: dict[str, list[Any]] = {}

    @property
    def ids(self) -> list[Id]:
        """Ids of the documents found, as Python int or str."""
        ids = self._columns.get(ID)
        if ids is None:
            ids = self._columns[ID] = self.snapshot.ids_at(self.positions)
        return ids

    def column(self, name: str) -> list[Any]:
        """The values of a column for all hits, as Python values.

        Raises:
            InvalidInputError: The column does not exist.

        Example:
            >>> hits.column("year")
            [2021, 1999]
        """
        values = self._columns.get(name)
        if values is None:
            self.snapshot.check_columns([name])
            values = self._columns[name] = (
                self.snapshot.take([name], self.positions).column(0).to_pylist()
            )
        return values

    def fetch(self, columns: Sequence[str] | None = None) -> Hits:
        """Read several columns at once, which is faster than one after another.

        Args:
            columns: The columns. None: all but the vector.

        Returns:
            The hits themselves.

        Raises:
            InvalidInputError: A column does not exist.

        Example:
            >>> [hit["year"] for hit in hits.fetch(["year"])]
            [2021, 1999]
        """
        names = (
            [name for name in self.snapshot.columns if name != VECTOR]
            if columns is None
            else list(columns)
        )
        self.snapshot.check_columns(names)
        batch = self.snapshot.take(names, self.positions)
        self._columns |= {name: batch.column(n).to_pylist() for n, name in enumerate(names)}
        return self

    def to_arrow(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The hits as a pyarrow Table: `rank` (int32), `score` (float32) and columns.

        Args:
            columns: The columns. None: all but the vector.

        Raises:
            InvalidInputError: A column does not exist.

        Example:
            >>> hits.to_arrow(["id"]).column_names
            ['rank', 'score', 'id']
        """
        names = (
            [name for name in self.snapshot.columns if name != VECTOR]
            if columns is None
            else list(columns)
        )
        self.snapshot.check_columns(names)
        batch = self.snapshot.take(names, self.positions)
        ranks = pa.array(np.arange(1, len(self) + 1, dtype=np.int32))
        fields = [pa.field("rank", pa.int32()), pa.field("score", pa.float32())]
        return pa.Table.from_arrays(
            [ranks, pa.array(self.scores), *batch.columns],
            schema=pa.schema([*fields, *batch.schema]),
        )

    def to_pandas(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """The same as `to_arrow`, as a pandas DataFrame.

        Args:
            columns: The columns. None: all but the vector.

        Raises:
            MissingExtraError: pandas is not installed.

        Example:
            >>> hits.to_pandas(["id"])["rank"].tolist()
            [1, 2]
        """
        require("pandas", "pandas", "pandas", "to_pandas()")
        return self.to_arrow(columns).to_pandas()

    def without(self, ids: Iterable[Id], k: int) -> Hits:
        """The first k hits, leaving some documents out.

        Args:
            ids: Ids of the documents to leave out.
            k: Maximum number of hits.

        Example:
            >>> hits.without(["ship"], k=1).ids
            ['boat']
        """
        excluded = set(ids)
        left = [number for number, found in enumerate(self.ids) if found not in excluded]
        first = np.array(left[:k], np.int64)
        return Hits(self.snapshot, self.positions[first], self.scores[first], self.plan)

    def __len__(self) -> int:
        return len(self.positions)

    @overload
    def __getitem__(self, number: int) -> Hit: ...
    @overload
    def __getitem__(self, number: slice) -> list[Hit]: ...
    def __getitem__(self, number: int | slice) -> Hit | list[Hit]:
        if isinstance(number, slice):
            return [Hit(self, each) for each in range(*number.indices(len(self)))]
        if not -len(self) <= number < len(self):
            raise IndexError(f"hit {number} of {len(self)}")
        return Hit(self, number % len(self))

    def __iter__(self) -> Iterator[Hit]:
        return (Hit(self, number) for number in range(len(self)))

    def __repr__(self) -> str:
        lines = [f"{hit.rank:>3}  {hit.score:8.4f}  {hit.id!r}" for hit in self[:10]]
        more = [f"... {len(self) - 10} more"] if len(self) > 10 else []
        return "\n".join([f"Hits({len(self)}; {self.plan})", *lines, *more])
