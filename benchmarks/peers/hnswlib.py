"""hnswlib: HNSW over float32, with a Python function as filter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import hnswlib
import numpy as np

from benchmarks.peers import Peer, Task, Vectors, Where


class Hnswlib(Peer):
    package = "hnswlib"
    filters = True

    def build(self, task: Task, folder: Path, args: Mapping[str, Any]) -> None:
        index = self._empty(task)
        index.init_index(
            len(task.vectors), M=args["M"], ef_construction=args["ef_construction"], random_seed=1
        )
        index.set_num_threads(task.threads)
        index.add_items(task.vectors, np.arange(len(task.vectors)))
        index.save_index(str(folder / "index.bin"))

    def open(self, task: Task, folder: Path) -> None:
        self.threads = task.threads
        self.columns = {name: values.tolist() for name, values in task.columns.items()}
        self.index = self._empty(task)
        self.index.load_index(str(folder / "index.bin"))

    def tune(self, args: Mapping[str, Any], k: int) -> None:
        self.index.set_ef(args["ef"])

    def search(self, query: Vectors, k: int, where: Where) -> Any:
        if where is None:
            return self.index.knn_query(query, k=k, num_threads=1)[0][0]
        values, wanted = self.columns[where[0]], where[1]
        try:
            return self.index.knn_query(
                query, k=k, num_threads=1, filter=lambda row: values[row] == wanted
            )[0][0]
        except RuntimeError:  # it found fewer than k rows, and then hands out none
            return []

    def rows(self, answer: Any) -> Sequence[int]:
        return [int(row) for row in answer]

    def search_batch(self, queries: Vectors, k: int) -> Any:
        return self.index.knn_query(queries, k=k, num_threads=self.threads)[0]

    def _empty(self, task: Task) -> Any:
        return hnswlib.Index(
            space=task.metric_as({"cosine": "ip", "ip": "ip", "l2": "l2"}), dim=task.dim
        )
