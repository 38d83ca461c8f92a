"""What a search returns: ranked hits whose columns are fetched from the snapshot when they are looked at."""

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
    """One hit. `hit["title"]` is a column's value; `hit.span` the characters of the document that the passage covers."""

    __slots__ = ("_at", "_hits")

    def __init__(self, hits: Hits, at: int) -> None:
        self._hits = hits
        self._at = at

    @property
    def id(self) -> Id:
        """The document's id."""
        return self._hits.ids[self._at]

    @property
    def score(self) -> float:
        """Larger is better: cosine similarity, inner product, or negative squared Euclidean distance."""
        return float(self._hits.scores[self._at])

    @property
    def rank(self) -> int:
        """1 for the best hit."""
        return self._at + 1

    @property
    def span(self) -> tuple[int, int] | None:
        """Start and end, in characters of the document, of the passage found; None in a collection without a chunker."""
        if not self._hits.snapshot.manifest.chunked:
            return None
        return self._hits.column(START)[self._at], self._hits.column(END)[self._at]

    def __getitem__(self, column: str) -> Any:
        """The value of a column as a Python value. Raises InvalidInputError for a column that is not there."""
        return self._hits.column(column)[self._at]

    def to_dict(self) -> dict[str, Any]:
        """Rank, score and every column but the vector."""
        names = [name for name in self._hits.snapshot.columns if name != VECTOR]
        out: dict[str, Any] = {"rank": self.rank, "score": self.score}
        out |= {name: self[name] for name in names}
        if self.span is not None:
            out["span"] = list(self.span)
        return out

    def __repr__(self) -> str:
        return f"Hit(rank={self.rank}, id={self.id!r}, score={self.score:.4f})"


class Hits(Sequence[Hit]):
    """Ranked hits, best first. Fewer than k when fewer rows match.

    scores: float32 array; plan: what was done and why. Columns come from the snapshot searched, whatever is committed later.
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
        """A column's values for all hits, as Python values. Raises InvalidInputError for a column that is not there."""
        values = self._columns.get(name)
        if values is None:
            self.snapshot.check_columns([name])
            values = self._columns[name] = (
                self.snapshot.take([name], self.positions).column(0).to_pylist()
            )
        return values

    def fetch(self, columns: Sequence[str] | None = None) -> Hits:
        """Fetch several columns at once (all but the vector, when none are named)."""
        names = (
            [name for name in self.snapshot.columns if name != VECTOR]
            if columns is None
            else list(columns)
        )
        self.snapshot.check_columns(names)
        batch = self.snapshot.take(names, self.positions)
        self._columns |= {name: batch.column(at).to_pylist() for at, name in enumerate(names)}
        return self

    def to_arrow(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The hits as a table: `rank` (int32), `score` (float32), then columns (all but the vector, when none are named)."""
        names = (
            [name for name in self.snapshot.columns if name != VECTOR]
            if columns is None
            else list(columns)
        )
        self.snapshot.check_columns(names)
        batch = self.snapshot.take(names, self.positions)
        ranks = pa.array(np.arange(1, len(self) + 1, dtype=np.int32))
        own = [pa.field("rank", pa.int32()), pa.field("score", pa.float32())]
        return pa.Table.from_arrays(
            [ranks, pa.array(self.scores), *batch.columns], schema=pa.schema([*own, *batch.schema])
        )

    def to_pandas(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """The same as a pandas DataFrame. Raises MissingExtraError without pandas."""
        require("pandas", "pandas", "pandas", "to_pandas()")
        return self.to_arrow(columns).to_pandas()

    def without(self, ids: Iterable[Id], k: int) -> Hits:
        """The first k of the hits that are none of these documents."""
        gone = set(ids)
        kept = np.array(
            [at for at, found in enumerate(self.ids) if found not in gone][:k], np.int64
        )
        return Hits(self.snapshot, self.positions[kept], self.scores[kept], self.plan)

    def __len__(self) -> int:
        return len(self.positions)

    @overload
    def __getitem__(self, at: int) -> Hit: ...
    @overload
    def __getitem__(self, at: slice) -> list[Hit]: ...
    def __getitem__(self, at: int | slice) -> Hit | list[Hit]:
        if isinstance(at, slice):
            return [Hit(self, number) for number in range(*at.indices(len(self)))]
        if not -len(self) <= at < len(self):
            raise IndexError(f"hit {at} of {len(self)}")
        return Hit(self, at % len(self))

    def __iter__(self) -> Iterator[Hit]:
        return (Hit(self, number) for number in range(len(self)))

    def __repr__(self) -> str:
        lines = [f"{hit.rank:>3}  {hit.score:8.4f}  {hit.id!r}" for hit in self[:10]]
        more = [f"... {len(self) - 10} more"] if len(self) > 10 else []
        return "\n".join([f"Hits({len(self)}; {self.plan})", *lines, *more])
