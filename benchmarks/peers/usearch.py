"""usearch: HNSW over float32 or smaller scalars. Its Python package has no filter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from usearch.index import Index

from benchmarks.peers import Peer, Task, Vectors, Where


class USearch(Peer):
    package = "usearch"

    def build(self, task: Task, folder: Path, args: Mapping[str, Any]) -> None:
        index = Index(
            ndim=task.dim,
            metric=task.metric_as({"cosine": "ip", "ip": "ip", "l2": "l2sq"}),
            dtype=args["dtype"],
            connectivity=args["M"],
            expansion_add=args["ef_construction"],
        )
        index.add(np.arange(len(task.vectors), dtype=np.uint64), task.vectors, threads=task.threads)
        index.save(str(folder / "index.usearch"))

    def open(self, task: Task, folder: Path) -> None:
        self.threads = task.threads
        index = Index.restore(str(folder / "index.usearch"))
        if index is None:
            raise OSError("usearch could not read the index it wrote")
        self.index = index

    def tune(self, args: Mapping[str, Any], k: int) -> None:
        self.index.expansion_search = args["ef"]

    def search(self, query: Vectors, k: int, where: Where) -> Any:
        return self.index.search(query, k, threads=1).keys

    def rows(self, answer: Any) -> Sequence[int]:
        return [int(row) for row in answer]

    def search_batch(self, queries: Vectors, k: int) -> Any:
        return self.index.search(queries, k, threads=self.threads).keys
