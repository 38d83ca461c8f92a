"""voyager: HNSW over float32 or 8-bit floats. It has no filter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import voyager

from benchmarks.peers import Peer, Task, Vectors, Where


class Voyager(Peer):
    package = "voyager"

    def build(self, task: Task, folder: Path, args: Mapping[str, Any]) -> None:
        space = task.metric_as({"cosine": "InnerProduct", "ip": "InnerProduct", "l2": "Euclidean"})
        index = voyager.Index(
            getattr(voyager.Space, space),
            num_dimensions=task.dim,
            M=args["M"],
            ef_construction=args["ef_construction"],
            random_seed=1,
            storage_data_type=getattr(voyager.StorageDataType, args["storage"]),
        )
        index.add_items(task.vectors, num_threads=task.threads)
        index.save(str(folder / "index.voy"))

    def open(self, task: Task, folder: Path) -> None:
        self.threads = task.threads
        self.index = voyager.Index.load(str(folder / "index.voy"))

    def tune(self, args: Mapping[str, Any], k: int) -> None:
        self.ef = args["ef"]

    def search(self, query: Vectors, k: int, where: Where) -> Any:
        return self.index.query(query, k, num_threads=1, query_ef=self.ef)[0]

    def rows(self, answer: Any) -> Sequence[int]:
        return [int(row) for row in answer]

    def search_batch(self, queries: Vectors, k: int) -> Any:
        return self.index.query(queries, k, num_threads=self.threads, query_ef=self.ef)[0]
