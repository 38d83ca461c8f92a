"""How a search runs, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from vecsearch.display import Shown
from vecsearch.types.names import counted


class Ladder(NamedTuple):
    """The efforts of an index search, and when a query may stop at one; part of a `Plan`.

    A query may stop at an effort if its candidate of rank `rank` stands out from the rows at large
    by the contrast given there, and if so many candidates were scored that few hits are expected
    among the others. Otherwise it goes on with the next effort, in the end with exact search.

    Attributes:
        efforts: Efforts, ascending.
        contrasts: The least contrast at each of them, in standard deviations of the scores of the
            query with all rows.
        rank: The rank, counted from 1.
        farthest: A query whose candidate scores lower at the effort `far_from`, or at the last, is
            unlike all that the index was measured with, and is not searched so.
        recall: The share of hits to be found, 0 to 1.
        far_from: The place of an effort, counted from 0. Smaller ones do not find the candidate of
            that rank surely enough.
    """

    efforts: tuple[int, ...]
    contrasts: tuple[float, ...]
    rank: int
    farthest: float
    recall: float
    far_from: int = 1


@dataclass(frozen=True, slots=True)
class Plan(Shown):
    """How a search runs, and why. `str` says it in words.

    Attributes:
        method: "exact" (score every matching row), "index" (the index proposes candidates, which
            are scored by their true vectors), "scan" (as "index", but the candidates come from
            comparing the compressed codes of all matching rows), "empty" (no row matches), "text"
            (by words) or "hybrid" (by words and vectors).
        reason: Why this method, in words.
        rows: Rows that match the filter.
        expected_recall: Calibrated recall, a lower confidence bound; 1.0 for exact search.
        effort: Search effort of the index, such as nprobe or ef_search; 0 without an index.
        depth: Number of candidates the index proposes; 0 without an index.
        candidate_window: If fewer than k of the first `candidate_window` candidates match the
            filter, the search falls back to exact search. Equals k if every row matches.
        unindexed_rows: Matching rows outside the index; each of them is compared with the query.
        parts: Where the rows are in several indexes: the plan of each. The other attributes are
            those of the main index then, and `expected_recall` is the lowest.
        steps: What happened during the search, such as a fallback, in words.
        ladder: How far the search goes on for a hard query; None for exact search and for indexes
            of older versions.
        missing_shards: The shards that did not answer, in a partial answer that was asked for:
            hits of theirs are missing.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", embedder="toy:64")
        >>> _ = c.add(["a boat", "a ship"])
        >>> print(c.plan("boat"))
        exact search over 2 rows (an index pays from 4,096 rows on)
    """

    method: Literal["exact", "index", "scan", "empty", "text", "hybrid"]
    reason: str
    rows: int
    expected_recall: float = 1.0
    effort: int = 0
    depth: int = 0
    candidate_window: int = 0
    unindexed_rows: int = 0
    steps: tuple[str, ...] = field(default=())
    ladder: Ladder | None = field(default=None, repr=False)
    parts: tuple[Plan, ...] = field(default=())
    missing_shards: tuple[int, ...] = field(default=())

    def __str__(self) -> str:
        head = self.summary()
        if self.method in ("index", "scan") and self.unindexed_rows:
            outside = counted(self.unindexed_rows, "row")
            steps = (f"{outside} outside the index compared one by one", *self.steps)
            said = f"{head}: {self.reason}"
        else:
            steps = self.steps
            said = f"{head} ({self.reason})" if "(" not in head + self.reason else ""
            said = said or f"{head}: {self.reason}"
        if self.parts:
            more = ", ".join(f"{part.rows:,}" for part in self.parts[1:])
            said += f"; together with indexes of {more} other rows"
        if self.missing_shards:
            lost = ", ".join(map(str, self.missing_shards))
            steps = (*steps, f"partial answer: the shards {lost} are missing")
        return "; ".join((said, *steps))

    def summary(self) -> str:
        """How the search runs, without the reason.

        Example:
            >>> c.plan("boat").summary()
            'exact search over 2 rows'
        """
        rows = counted(self.rows, "row")
        if self.method == "empty":
            return "nothing to search"
        if self.method == "exact":
            return f"exact search over {rows}"
        if self.method in ("text", "hybrid"):
            return f"{'search by words' if self.method == 'text' else 'hybrid search'} over {rows}"
        candidates = counted(self.depth, "candidate")
        if self.method == "scan":
            return f"scan of the codes of {rows} ({candidates})"
        return (
            f"index search over {rows} (effort {self.effort}, {candidates}, "
            f"measured recall {self.expected_recall:.3f})"
        )

    def to_dict(self) -> dict[str, Any]:
        """The plan as a dict, for JSON: what does not apply to its method is left out.

        Example:
            >>> c.plan("boat").to_dict()["method"]
            'exact'
        """
        values: dict[str, Any] = {
            "method": self.method,
            "rows": self.rows,
            "recall": self.expected_recall,
            "reason": self.reason,
        }
        if self.method in ("index", "scan"):
            values |= {"effort": self.effort, "candidates": self.depth}
            values["unindexed_rows"] = self.unindexed_rows
        return values | ({"steps": list(self.steps)} if self.steps else {})

    def _shown_fields(self) -> dict[str, object]:
        return self.to_dict()
