"""scalable-vs: a Vamana graph over float32 or float16. Its LVQ and LeanVec codes run on Intel
processors only. No filter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import svs

from benchmarks.peers import Peer, Task, Vectors, Where

PARTS = ("config", "graph", "data")


class ScalableVS(Peer):
    package = "scalable-vs"

    def build(self, task: Task, folder: Path, args: Mapping[str, Any]) -> None:
        parameters = svs.VamanaBuildParameters(
            graph_max_degree=args["degree"],
            window_size=args["window"],
            max_candidate_pool_size=3 * args["degree"],
        )
        vectors = np.ascontiguousarray(task.vectors, dtype=args["dtype"])
        index = svs.Vamana.build(
            parameters, vectors, self._distance(task), num_threads=task.threads
        )
        index.save(*(str(folder / part) for part in PARTS))

    def open(self, task: Task, folder: Path) -> None:
        config, graph, data = (str(folder / part) for part in PARTS)
        self.index = svs.Vamana(
            config,
            svs.GraphLoader(graph),
            svs.VectorDataLoader(data),
            self._distance(task),
            num_threads=task.threads,
        )

    def tune(self, args: Mapping[str, Any], k: int) -> None:
        self.index.search_window_size = args["ef"]

    def search(self, query: Vectors, k: int, where: Where) -> Any:
        return self.index.search(query, k)[0][0]

    def rows(self, answer: Any) -> Sequence[int]:
        return [int(row) for row in answer]

    def search_batch(self, queries: Vectors, k: int) -> Any:
        return self.index.search(queries, k)[0]

    @staticmethod
    def _distance(task: Task) -> Any:
        return task.metric_as(
            {"cosine": svs.DistanceType.L2, "ip": svs.DistanceType.MIP, "l2": svs.DistanceType.L2}
        )
