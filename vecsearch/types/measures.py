"""What was measured of a collection."""

from __future__ import annotations

from dataclasses import dataclass

from vecsearch.display import Shown, html_table, text_table
from vecsearch.types.names import counted


@dataclass(frozen=True, slots=True)
class DimensionPoint(Shown):
    """The size and quality of one way to reduce dimensions.

    Attributes:
        method: "full" (all dimensions), "pca" or "truncate".
        dim: Dimensions of the reduced vectors.
        bytes: Bytes of one vector.
        recall: Recall@k, where exact search in all dimensions is the truth.
        low: Lower end of recall's 99% bootstrap interval.
        ndcg: nDCG@k; None without relevance judgments.

    Example:
        >>> import numpy as np
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", dim=8)
        >>> _ = c.add(np.random.default_rng(0).standard_normal((200, 8)))
        >>> point = c.dimensions([4]).points[0]
        >>> point.method, point.dim, point.bytes, point.recall
        ('full', 8, 32, 1.0)
    """

    method: str
    dim: int
    bytes: int
    recall: float
    low: float
    ndcg: float | None


@dataclass(frozen=True, slots=True)
class DimensionReport(Shown):
    """What fewer dimensions cost in quality, from `Collection.dimensions`. `str` makes a table.

    Attributes:
        points: One `DimensionPoint` for each method and dimension, the full one first.
        k: Depth of recall@k and nDCG@k.
        rows: Rows that recall was measured on.
        queries: Queries that recall was measured with.
        fitted_on: Rows that PCA was fitted on; none of them is among `rows`.
        query_source: What the queries were, in words.
        metric: The collection's metric.

    Example:
        >>> import numpy as np
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", dim=8)
        >>> _ = c.add(np.random.default_rng(0).standard_normal((200, 8)))
        >>> [(point.method, point.dim) for point in c.dimensions([4]).points]
        [('full', 8), ('pca', 4), ('truncate', 4)]
    """

    points: tuple[DimensionPoint, ...]
    k: int
    rows: int
    queries: int
    fitted_on: int
    query_source: str
    metric: str

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Column names and rows of a table for people."""
        judged = self.points[0].ndcg is not None
        head = [
            "method",
            "dim",
            "bytes",
            "share",
            f"recall@{self.k}",
            "at least",
            *([f"nDCG@{self.k}"] if judged else []),
        ]
        full = self.points[0].bytes
        rows = []
        for point in self.points:
            gain = [] if point.ndcg is None else [f"{point.ndcg:.4f}"]
            quality = [f"{point.recall:.3f}", f"{point.low:.3f}", *gain]
            rows.append(
                [
                    point.method,
                    f"{point.dim:,}",
                    f"{point.bytes:,}",
                    f"{point.bytes / full:.0%}",
                    *quality,
                ]
            )
        return head, rows

    def cheapest(self, recall: float) -> int | None:
        """The number of the point with the fewest bytes whose recall reaches a target.

        The lower end of its interval counts. None if only all dimensions do.

        Example:
            >>> c.dimensions([4]).cheapest(0.999) is None
            True
        """
        enough = [
            at
            for at, each in enumerate(self.points)
            if each.method != "full" and each.low >= recall
        ]
        return min(enough, key=lambda at: self.points[at].bytes, default=None)

    def note(self) -> str:
        """How it was measured, in words."""
        judged = self.points[0].ndcg is not None
        return (
            f"{self.metric}; recall over {counted(self.rows, 'row')}, measured with "
            f"{self.queries:,} "
            f"{self.query_source}; components fitted on {counted(self.fitted_on, 'other row')}"
            + ("; nDCG over all rows, with components fitted on them" if judged else "")
        )

    def __str__(self) -> str:
        head, rows = self.table()
        return f"{text_table(head, rows, range(1, len(head)))}\n{self.note()}"

    def _repr_html_(self) -> str:
        head, rows = self.table()
        return html_table(head, rows, range(1, len(head)), self.note())


@dataclass(frozen=True, slots=True)
class RegionRecall(Shown):
    """Recall of the queries in one region of the data: a cluster that k-means found.

    Attributes:
        recall: Mean recall@k over the region's queries.
        low: Lower end of its 99% bootstrap interval.
        high: Upper end of the interval.
        queries: Number of queries in the region.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", dim=2)
        >>> _ = c.add([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        >>> worst = c.measure_recall(k=1, regions=2).regions[0]
        >>> worst.recall
        1.0
    """

    recall: float
    low: float
    high: float
    queries: int


@dataclass(frozen=True, slots=True)
class RecallReport(Shown):
    """Recall of a collection against exact search, from `Collection.measure_recall`.

    Recall@k of a query is the share of its exact top k that the search found. The exact answer is
    that of float64; scores that float32 cannot tell from the k-th are ties with it, and count as
    found. A mean hides what single queries get, so the report says that too.

    Attributes:
        recall: Mean recall@k over the queries.
        low: Lower end of its 99% bootstrap interval.
        high: Upper end of the interval.
        k: Number of hits of each search.
        queries: Number of queries.
        target: The recall that the searches were to reach.
        query_source: What the queries were, in words.
        below_target: Share of the queries whose recall is below the target, 0 to 1.
        worst_tenth: Mean recall of the tenth of the queries with the lowest recall.
        regions: Recall in each region of the data that has queries, the worst region first. A
            region with few queries says little: see its interval.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", dim=2)
        >>> _ = c.add([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        >>> c.measure_recall(k=1).recall  # exact search: there is no index
        1.0
    """

    recall: float
    low: float
    high: float
    k: int
    queries: int
    target: float
    query_source: str
    below_target: float = 0.0
    worst_tenth: float = 0.0
    regions: tuple[RegionRecall, ...] = ()
