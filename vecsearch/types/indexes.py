"""What an index is, what building it did, and which to build."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from vecsearch.display import Shown
from vecsearch.types.names import counted, shown_bytes


@dataclass(frozen=True, slots=True)
class IndexInfo(Shown):
    """One index of a collection, as `CollectionInfo.indexes` lists them.

    Attributes:
        name: Name of its folder.
        recipe: The recipe it was built from, as `IndexRecipe.to_dict` gives it.
        rows: Rows in the index.
        bytes: Size of its files.
        calibration: What was measured at the build: the recall and cost of each search effort,
            and the number (`queries`) and kind (`calibrated_on`) of queries it was measured with.
        kernel: What searches it in this process: "numba" (compiled kernels) or "faiss".

    Example:
        >>> import numpy as np
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", dim=8)
        >>> _ = c.add(np.random.default_rng(0).standard_normal((1500, 8)))
        >>> _ = c.build_index("HNSW8")
        >>> index = c.info().indexes[0]
        >>> index.rows, index.recipe["factory"], index.calibration["target"]
        (1500, 'HNSW8', 0.95)
    """

    name: str
    recipe: Mapping[str, Any]
    rows: int
    bytes: int
    calibration: Mapping[str, Any] = field(repr=False)
    kernel: Literal["numba", "faiss"] = "faiss"

    def __str__(self) -> str:
        name, rows = self.recipe.get("name"), counted(self.rows, "row")
        return f"{name}, {rows}, {shown_bytes(self.bytes)}, {self.measured}"

    @property
    def measured(self) -> str:
        """What its recall was measured with, in words."""
        if not self.calibration:
            return "its calibration is damaged"
        queries, source = self.calibration.get("queries"), self.calibration.get("calibrated_on")
        return f"measured with {queries:,} queries ({source})"

    def __repr__(self) -> str:
        measured = f"{self.calibration.get('queries')} {self.calibration.get('calibrated_on')}"
        return (
            f"IndexInfo(name={self.name!r}, recipe={self.recipe.get('name')!r}, "
            f"rows={self.rows}, bytes={self.bytes}, calibration=<measured with {measured}>, "
            f"kernel={self.kernel!r})"
        )


@dataclass(frozen=True, slots=True)
class BuildResult(Shown):
    """What `Collection.build_index` did.

    Attributes:
        recipe: Name of the recipe; "exact" if no index is worthwhile.
        rows: Rows in the index.
        seconds: Duration of the whole build, calibration included.
        bytes: Size of the index's files.
        memory_bytes: Memory the index takes when it is loaded rather than memory-mapped.
        calibrated_on: Which queries its recall was measured with.
        promise: The recall it was measured to reach, in words.
        version: The version that was committed.
        how: "built"; "extended" (new rows were added to the existing index); or "none".
        why: The reason for `how`, in words.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", dim=2)
        >>> _ = c.add([[1.0, 0.0], [0.0, 1.0]])
        >>> result = c.build_index()
        >>> result.recipe, result.rows, result.promise
        ('exact', 0, 'no index: exact search is fastest for few rows')
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
class IndexAdvice(Shown):
    """Whether it is worthwhile to build the index now. `str` says it in words.

    Attributes:
        action: What `build_index` with the same recipe would do: "build" a first index, "extend"
            the existing one, "rebuild" it, or "none".
        pays: Whether that is worthwhile.
        reason: Why, in words.
        indexed: Rows in the index.
        new: Rows outside the index; every search scores all of them.
        gone: Deleted rows in the index.
        micros: Cost of a search for 10 rows now, in microseconds, estimated from the calibration;
            0 without an index.
        micros_after: Estimated cost after building; 0 without an index.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", dim=2)
        >>> _ = c.add([[1.0, 0.0]])
        >>> advice = c.index_advice()
        >>> advice.action, advice.pays
        ('none', False)
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
        if self.action == "none":
            return self.reason if self.indexed else f"no build is needed: {self.reason}"
        task = {
            "build": "building an index",
            "extend": "extending the index",
            "rebuild": "rebuilding the index",
        }[self.action]
        verdict = "is worthwhile" if self.pays else "is not worthwhile yet"
        return f"{task} {verdict}: {self.reason}"
