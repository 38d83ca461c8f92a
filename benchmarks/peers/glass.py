"""pyglass (the wheel pyglass-portable): HNSW over 8-bit or wider codes, re-scored. It has no
filter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import glass
import numpy as np

from benchmarks.peers import Peer, Task, Vectors, Where


class Glass(Peer):
    package = "pyglass-portable"

    def build(self, task: Task, folder: Path, args: Mapping[str, Any]) -> None:
        vectors = task.vectors
        glass.set_num_threads(task.threads)
        graph = glass.Index("HNSW", self._metric(task), args["quant"], args["R"], args["L"]).build(
            vectors
        )
        graph.save(str(folder / "graph.glass"))
        np.save(
            folder / "vectors.npy", vectors
        )  # it saves the graph only, and asks for the vectors again
        (folder / "quant").write_text(args["quant"])

    def open(self, task: Task, folder: Path) -> None:
        self.threads = task.threads
        quant = (folder / "quant").read_text()
        graph = glass.Graph(str(folder / "graph.glass"))
        vectors = np.load(folder / "vectors.npy")
        self.searcher = glass.Searcher(
            graph, vectors, self._metric(task), quant, "" if quant == "FP32" else "FP32"
        )
        self.searcher.optimize(task.threads)

    def tune(self, args: Mapping[str, Any], k: int) -> None:
        self.searcher.set_ef(args["ef"])

    def search(self, query: Vectors, k: int, where: Where) -> Any:
        return self.searcher.search(query, k)[0]

    def rows(self, answer: Any) -> Sequence[int]:
        return [int(row) for row in answer]

    def search_batch(self, queries: Vectors, k: int) -> Any:
        return self.searcher.batch_search(queries, k, self.threads)[0]

    @staticmethod
    def _metric(task: Task) -> str:
        return str(task.metric_as({"cosine": "L2", "ip": "IP", "l2": "L2"}))
