"""The small values that pass between the rooms: frozen, typed, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

Id = int | str
OnConflict = Literal["error", "skip", "replace"]
# Columns vecsearch adds beside the user's. Those that begin with "_" are not handed out unless they are asked for by name.
ID = "id"
VECTOR = "vector"
NORM = "_norm"  # length of the vector as given; cosine collections store the unit vector
CHUNK = "_chunk"  # ordinal of the passage in its document, from 0
START = "_start"  # span of the passage in its document, in characters
END = "_end"
RESERVED = (NORM, CHUNK, START, END)


class Metric(StrEnum):
    """How two vectors are compared. The score is always "larger is better": cosine similarity, inner product, or the
    negative squared Euclidean distance."""

    COSINE = "cosine"
    IP = "ip"
    L2 = "l2"


@dataclass(frozen=True, slots=True)
class AddResult:
    """What one `add` did, counted in documents; `embedded` counts the passages that went through the model."""

    added: int
    replaced: int
    skipped: int
    embedded: int
    version: int


@dataclass(frozen=True, slots=True)
class DeleteResult:
    """What one `delete` did, counted in documents; `missing` are ids that were not there."""

    deleted: int
    missing: int
    version: int


@dataclass(frozen=True, slots=True)
class UpdateResult:
    """How many documents one `update` changed."""

    updated: int
    version: int


@dataclass(frozen=True, slots=True)
class ReembedResult:
    """What one `reembed` did: documents there are, and passages that went through the model."""

    documents: int
    embedded: int
    version: int


@dataclass(frozen=True, slots=True)
class DimensionPoint:
    """What one way to fewer dimensions costs. method: "full", "pca" or "truncate"; bytes: of a row's vector; recall: recall@k
    against all dimensions, low: the lower end of its 99% bootstrap interval; ndcg: nDCG@k, None without judgements."""

    method: str
    dim: int
    bytes: int
    recall: float
    low: float
    ndcg: float | None


@dataclass(frozen=True, slots=True)
class DimensionReport:
    """Bytes against quality, a point each; `str` is a table.

    rows, queries: how many recall was measured with; fitted_on: rows the components were fitted on, which are others.
    """

    points: tuple[DimensionPoint, ...]
    k: int
    rows: int
    queries: int
    fitted_on: int
    query_source: str
    metric: str

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Head and rows for people."""
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

    def note(self) -> str:
        """What was measured, in words."""
        judged = self.points[0].ndcg is not None
        return (
            f"{self.metric}; recall over {self.rows:,} rows, asked with {self.queries:,} {self.query_source}; "
            f"components fitted on {self.fitted_on:,} other rows"
            + ("; nDCG over all rows, with components fitted on them" if judged else "")
        )

    def __str__(self) -> str:
        head, rows = self.table()
        widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head))]
        lines = [
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
            for row in [head, *rows]
        ]
        return "\n".join([*lines, self.note()])


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """One committed state of a collection."""

    version: int
    created: str  # ISO 8601, UTC
    operation: str
    documents: int


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """One index of a collection: what it is, what it covers, what it was measured to reach.

    kernel: what searches it in this process, "numba" (compiled kernels) or "faiss".
    """

    name: str
    recipe: Mapping[str, Any]
    rows: int
    bytes: int
    calibration: Mapping[str, Any]
    kernel: Literal["numba", "faiss"] = "faiss"


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What one `build_index` did.

    recipe: the recipe built, "exact" where no index pays. rows: rows in the index. seconds: all of it, calibration included.
    bytes: its files; memory_bytes: what it takes in memory when not mapped. calibrated_on: which queries its recall was
    measured with. promise: what it was measured to reach, in words. how: "built", "extended" (the rows that came since were
    added to the index there was), or "none"; why: what decided that, in words.
    """

    recipe: str
    rows: int
    seconds: float
    bytes: int
    memory_bytes: int
    calibrated_on: str
    promise: str
    version: int
    how: Literal["built", "extended", "none"] = "none"
    why: str = ""


@dataclass(frozen=True, slots=True)
class IndexAdvice:
    """Whether `build_index` pays now. `str(advice)` says it in words.

    action: what `build_index` with the same recipe would do: "build" a first index, "extend" the one there is, "rebuild" it, or
    "none". pays: whether it is worth doing. indexed, new, gone: rows in the index, live rows outside it (every search scores
    them all), rows of it that are deleted. micros: what a search for 10 rows costs now, by what was measured at the build, and
    micros_after: about what it would cost after building; 0 where there is no index.
    """

    action: Literal["build", "extend", "rebuild", "none"]
    pays: bool
    reason: str
    indexed: int
    new: int
    gone: int
    micros: float = 0.0
    micros_after: float = 0.0

    def __str__(self) -> str:
        return f"build_index() {'pays' if self.pays else 'does not pay yet'}: {self.reason}"


@dataclass(frozen=True, slots=True)
class RecallReport:
    """Recall of the live collection against exact search: mean, and a 99% bootstrap interval of it."""

    recall: float
    low: float
    high: float
    k: int
    queries: int
    target: float
    query_source: str


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """The facts of a collection at one version."""

    path: str
    version: int
    documents: int
    rows: int
    deleted_rows: int
    segments: int
    bytes: int
    dim: int
    metric: str
    dtype: str
    embedder: str | None
    fingerprint: str | None
    text_column: str | None
    chunker: Mapping[str, Any] | None
    columns: Mapping[str, str]
    recall: float
    indexes: tuple[IndexInfo, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a search does, and why. `str(plan)` says it in words.

    method: "exact" (every row that may match is scored), "index" (the index proposes, true vectors decide), "scan"
        (the codes of all matching rows propose), "empty".
    effort and depth: search effort of the index, and how many candidates it proposes (0 without an index).
    reach: k rows must match among this many of the first candidates for the measured recall to hold; otherwise the search
    turns exact. Without a filter or deleted rows it is k.
    expected_recall: what was measured for this effort and reach, lower confidence bound (1.0 for exact search).
    rows: rows that may match; fresh_rows: those of them outside the index, always scored exactly.
    """

    method: Literal["exact", "index", "scan", "empty"]
    reason: str
    rows: int
    expected_recall: float = 1.0
    effort: int = 0
    depth: int = 0
    candidate_window: int = 0
    unindexed_rows: int = 0
    steps: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        if self.method == "empty":
            return f"nothing to search: {self.reason}"
        if self.method == "exact":
            head = f"exact search over {self.rows:,} rows: {self.reason}"
        elif self.method == "scan":
            head = (
                f"scan of the codes of {self.rows:,} rows ({self.depth} candidates): {self.reason}"
            )
        else:
            head = (
                f"index search over {self.rows:,} rows (effort {self.effort}, {self.depth} candidates, "
                f"measured recall {self.expected_recall:.3f}): {self.reason}"
            )
        if self.method in ("index", "scan") and self.unindexed_rows:
            head += f"; {self.unindexed_rows:,} rows outside the index scored exactly"
        return "; ".join((head, *self.steps))
