"""pyvsag: HGraph, a graph over codes of 8 or 4 bits; float32 vectors rank its candidates."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyvsag

from benchmarks.peers import Peer, Task, Vectors, Where


class Vsag(Peer):
    package = "pyvsag"

    def build(self, task: Task, folder: Path, args: Mapping[str, Any]) -> None:
        metric = task.metric_as({"cosine": "ip", "ip": "ip", "l2": "l2"})
        parameters = json.dumps(
            {
                "dtype": "float32",
                "metric_type": metric,
                "dim": task.dim,
                "index_param": {
                    "base_quantization_type": args["code"],
                    "use_reorder": True,
                    "precise_quantization_type": "fp32",
                    "max_degree": args["degree"],
                    "ef_construction": args["ef_construction"],
                    "build_thread_count": task.threads,
                },
            }
        )
        count = len(task.vectors)
        index = pyvsag.Index("hgraph", parameters)
        index.build(task.vectors.ravel(), np.arange(count, dtype=np.int64), count, task.dim)
        index.save(str(folder / "index.bin"))
        (folder / "parameters.json").write_text(parameters)

    def open(self, task: Task, folder: Path) -> None:
        self.threads = task.threads
        self.index = pyvsag.Index("hgraph", (folder / "parameters.json").read_text())
        self.index.load(str(folder / "index.bin"))

    def tune(self, args: Mapping[str, Any], k: int) -> None:
        self.parameters = json.dumps({"hgraph": {"ef_search": max(args["ef"], k)}})

    def search(self, query: Vectors, k: int, where: Where) -> Any:
        return self.index.knn_search(query, k, self.parameters)[0]

    def rows(self, answer: Any) -> Sequence[int]:
        return [int(row) for row in answer]
