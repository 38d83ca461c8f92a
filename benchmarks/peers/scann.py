"""scann: a tree over anisotropic 4-bit product codes, the best of them re-scored. Its Python
package has no filter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scann import scann_ops_pybind

from benchmarks.peers import Peer, Task, Vectors, Where


class Scann(Peer):
    package = "scann"

    def build(self, task: Task, folder: Path, args: Mapping[str, Any]) -> None:
        distance = task.metric_as(
            {"cosine": "dot_product", "ip": "dot_product", "l2": "squared_l2"}
        )
        n = len(task.vectors)
        leaves = max(1, round(args["leaves_per_sqrt_n"] * math.sqrt(n)))
        builder = (
            scann_ops_pybind.builder(task.vectors, 10, distance)
            .set_n_training_threads(task.threads)
            .tree(
                num_leaves=leaves, num_leaves_to_search=leaves, training_sample_size=min(n, 250_000)
            )
        )
        threshold = args["threshold"] if distance == "dot_product" else math.nan
        searcher = (
            builder.score_ah(2, anisotropic_quantization_threshold=threshold).reorder(100).build()
        )
        (folder / "index").mkdir()
        searcher.serialize(str(folder / "index"), relative_path=True)

    def open(self, task: Task, folder: Path) -> None:
        self.threads = task.threads
        self.searcher = scann_ops_pybind.load_searcher(str(folder / "index"))
        self.searcher.set_num_threads(task.threads)

    def tune(self, args: Mapping[str, Any], k: int) -> None:
        self.leaves = args["leaves"]
        self.reorder = args["reorder_per_k"] * k

    def search(self, query: Vectors, k: int, where: Where) -> Any:
        return self.searcher.search(query, k, self.reorder, self.leaves)[0]

    def rows(self, answer: Any) -> Sequence[int]:
        return [int(row) for row in answer]

    def search_batch(self, queries: Vectors, k: int) -> Any:
        return self.searcher.search_batched_parallel(queries, k, self.reorder, self.leaves)[0]
