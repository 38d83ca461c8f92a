"""LanceDB: a table with an IVF_HNSW_SQ or IVF_RQ index, re-scored, and bitmap indexes on its
columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lancedb
import numpy as np
import pyarrow as pa
from lancedb.index import Bitmap, HnswSq, IvfRq

from benchmarks.peers import Peer, Task, Vectors, Where


class LanceDB(Peer):
    package = "lancedb"
    filters = True

    def build(self, task: Task, folder: Path, args: Mapping[str, Any]) -> None:
        n = len(task.vectors)
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(task.vectors.ravel()), task.dim)
        rows = pa.table(
            {
                "id": np.arange(n),
                "vector": vectors,
                **{name: pa.array(v) for name, v in task.columns.items()},
            }
        )
        table = lancedb.connect(str(folder)).create_table("bench", rows)
        table.create_index("vector", config=self._index(task, args))
        for name in task.columns:
            table.create_index(name, config=Bitmap())

    def open(self, task: Task, folder: Path) -> None:
        self.threads = task.threads
        self.distance = self._distance(task)
        self.table = lancedb.connect(str(folder)).open_table("bench")

    def tune(self, args: Mapping[str, Any], k: int) -> None:
        self.nprobes, self.refine = args["nprobes"], args["refine"]
        # It asks the graph for as many as it re-scores.
        self.ef = max(args["ef"], k * self.refine) if "ef" in args else None

    def search(self, query: Vectors, k: int, where: Where) -> Any:
        search = self.table.search(query).distance_type(self.distance).nprobes(self.nprobes)
        if self.ef is not None:
            search = search.ef(self.ef)
        search = search.refine_factor(self.refine).limit(k).select(["id", "_distance"])
        if where is not None:
            search = search.where(f"{where[0]} = {where[1]}", prefilter=True)
        return search.to_arrow()

    def rows(self, answer: Any) -> Sequence[int]:
        return [int(row) for row in answer["id"].to_pylist()]

    def index_bytes(self, folder: Path) -> int | None:
        return sum(
            file.stat().st_size
            for file in (folder / "bench.lance" / "_indices").rglob("*")
            if file.is_file()
        )

    def _index(self, task: Task, args: Mapping[str, Any]) -> Any:
        return HnswSq(
            distance_type=self._distance(task),
            num_partitions=args["partitions"],
            m=args["M"],
            ef_construction=args["ef_construction"],
        )

    @staticmethod
    def _distance(task: Task) -> Any:
        return task.metric_as({"cosine": "cosine", "ip": "dot", "l2": "l2"})


class LanceDBRaBitQ(LanceDB):
    """Lists of RaBitQ codes instead of a graph."""

    def _index(self, task: Task, args: Mapping[str, Any]) -> Any:
        return IvfRq(
            distance_type=self._distance(task),
            num_partitions=args["partitions"],
            num_bits=args["bits"],
        )
