"""rabitqlib: SymphonyQG, whose neighbors' codes stand beside each node, and HNSW over RaBitQ codes.

Neither has filters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rabitqlib

from benchmarks.peers import Peer, Task, Vectors, Where

NO_ROW = 2**32 - 1
METRICS = {"cosine": "ip", "ip": "ip", "l2": "l2"}


class _Graph(Peer):
    """What both graphs share."""

    package = "rabitqlib"

    def tune(self, args: Mapping[str, Any], k: int) -> None:
        self.ef = args["ef"]

    def search(self, query: Vectors, k: int, where: Where) -> Any:
        return self.index.search(query[None], k, self.ef)[0]

    def rows(self, answer: Any) -> Sequence[int]:
        return [int(row) for row in np.ravel(answer) if row != NO_ROW]

    def search_batch(self, queries: Vectors, k: int) -> Any:
        return self.index.search(queries, k, self.ef, self.threads)[0]


class SymphonyQG(_Graph):
    """bits: 0 keeps float32 vectors, 8 and 4 codes in their place."""

    def build(self, task: Task, folder: Path, args: Mapping[str, Any]) -> None:
        metric = task.metric_as(METRICS)
        index = rabitqlib.SymqgIndex(task.dim, args["degree"], metric, args["bits"])
        index.build(task.vectors, args["ef_construction"], task.threads)
        index.save(str(folder / "index.bin"))

    def open(self, task: Task, folder: Path) -> None:
        self.threads = task.threads
        self.index = rabitqlib.SymqgIndex.load(str(folder / "index.bin"))

    def search_batch(self, queries: Vectors, k: int) -> Any:
        return self.index.search_batch(queries, k, self.ef, self.threads)[0]


class HnswRaBitQ(_Graph):
    def build(self, task: Task, folder: Path, args: Mapping[str, Any]) -> None:
        metric = task.metric_as(METRICS)
        means = rabitqlib.RaBitQKMeans(task.dim, args["clusters"], num_threads=task.threads)
        means.train(task.vectors)
        index = rabitqlib.HnswIndex(
            task.dim, len(task.vectors), args["M"], args["ef_construction"], args["bits"], metric
        )
        index.build(task.vectors, means.centroids, means.assignments, task.threads)
        index.save(str(folder / "index.bin"))

    def open(self, task: Task, folder: Path) -> None:
        self.threads = task.threads
        self.index = rabitqlib.HnswIndex.load(str(folder / "index.bin"))
