"""NGT: a graph over float32, its edges optimized (ONNG). Its quantized graph (QG) is built by a
program that its package for Python does not bring.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ngtpy

from benchmarks.peers import Peer, Task, UnsupportedError, Vectors, Where


class Ngt(Peer):
    package = "ngt"

    def build(self, task: Task, folder: Path, args: Mapping[str, Any]) -> None:
        if task.metric == "ip":
            raise UnsupportedError("no metric ip")
        # Vectors of a cosine have length 1: their distances are in the order of their cosines.
        path = str(folder / "anng")
        ngtpy.create(path, task.dim, edge_size_for_creation=args["edges"], distance_type="L2")
        index = ngtpy.Index(path)
        index.batch_insert(task.vectors, num_threads=task.threads)
        index.save()
        index.close()
        optimizer = ngtpy.Optimizer(
            num_of_outgoings=args["outgoing"], num_of_incomings=args["incoming"], log_disabled=True
        )
        optimizer.set_processing_modes(  # the others take ten minutes for 5,000 rows
            shortcut_reduction=True,
            search_parameter_optimization=False,
            prefetch_parameter_optimization=False,
            accuracy_table_generation=False,
        )
        optimizer.execute(path, str(folder / "onng"))

    def open(self, task: Task, folder: Path) -> None:
        self.threads = task.threads
        self.index = ngtpy.Index(str(folder / "onng"), read_only=True)

    def tune(self, args: Mapping[str, Any], k: int) -> None:
        self.epsilon = args["epsilon"]

    def search(self, query: Vectors, k: int, where: Where) -> Any:
        return self.index.search(query, k, self.epsilon, with_distance=False)

    def rows(self, answer: Any) -> Sequence[int]:
        return [int(row) for row in answer]
