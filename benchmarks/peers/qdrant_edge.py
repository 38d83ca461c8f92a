"""qdrant-edge: Qdrant in the process, HNSW with filters on indexed integer payloads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import qdrant_edge as qe

from benchmarks.peers import Peer, Task, Vectors, Where

BATCH = 2_000


class QdrantEdge(Peer):
    package = "qdrant-edge-py"
    filters = True

    def build(self, task: Task, folder: Path, args: Mapping[str, Any]) -> None:
        hnsw = qe.HnswIndexConfig(
            m=args["M"],
            ef_construct=args["ef_construction"],
            full_scan_threshold=10,
            max_indexing_threads=task.threads,
        )
        shard = qe.EdgeShard.create(
            str(folder),
            qe.EdgeConfig(
                vectors=self._vectors(task),
                hnsw_config=hnsw,
                optimizers=qe.EdgeOptimizersConfig(default_segment_number=1, indexing_threshold=10),
            ),
        )
        for name in task.columns:
            shard.update(
                qe.UpdateOperation.create_field_index(
                    name, qe.IntegerIndexParams(lookup=True, range=False)
                )
            )
        for start in range(0, len(task.vectors), BATCH):
            rows = range(start, min(start + BATCH, len(task.vectors)))
            shard.update(qe.UpdateOperation.upsert_points([self._point(task, row) for row in rows]))
        while shard.optimize():
            pass
        shard.flush()
        shard.close()

    def open(self, task: Task, folder: Path) -> None:
        config = qe.EdgeConfig(vectors=self._vectors(task), max_search_threads=task.threads)
        self.shard = qe.EdgeShard.load(str(folder), config)

    def tune(self, args: Mapping[str, Any], k: int) -> None:
        self.parameters = qe.SearchParams(hnsw_ef=args["ef"])

    def search(self, query: Vectors, k: int, where: Where) -> Any:
        condition = None
        if where is not None:
            condition = qe.Filter(
                must=[qe.FieldCondition(key=where[0], match=qe.MatchValue(value=where[1]))]
            )
        nearest = qe.Query.Nearest(query.tolist())
        return self.shard.search(
            qe.SearchRequest(query=nearest, limit=k, filter=condition, params=self.parameters)
        )

    def rows(self, answer: Any) -> Sequence[int]:
        return [int(point.id) for point in answer]

    @staticmethod
    def _vectors(task: Task) -> Any:
        distance = task.metric_as(
            {"cosine": qe.Distance.Dot, "ip": qe.Distance.Dot, "l2": qe.Distance.Euclid}
        )
        return {"": qe.EdgeVectorParams(size=task.dim, distance=distance)}

    @staticmethod
    def _point(task: Task, row: int) -> Any:
        payload = {name: int(values[row]) for name, values in task.columns.items()}
        return qe.Point(row, task.vectors[row].tolist(), payload)
