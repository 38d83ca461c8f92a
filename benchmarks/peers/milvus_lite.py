"""milvus-lite: Milvus in the process, HNSW with inverted indexes on its columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import milvus_lite

from benchmarks.peers import Peer, Task, Vectors, Where

BATCH = 2_000


class MilvusLite(Peer):
    package = "milvus-lite"
    filters = True

    def build(self, task: Task, folder: Path, args: Mapping[str, Any]) -> None:
        kinds = milvus_lite.DataType
        fields = [
            milvus_lite.FieldSchema(name="id", dtype=kinds.INT64, is_primary=True),
            milvus_lite.FieldSchema(name="vector", dtype=kinds.FLOAT_VECTOR, dim=task.dim),
            *(milvus_lite.FieldSchema(name=name, dtype=kinds.INT64) for name in task.columns),
        ]
        with milvus_lite.MilvusLite(str(folder)) as database:
            collection = database.create_collection(
                "bench", milvus_lite.CollectionSchema(fields=fields)
            )
            for start in range(0, len(task.vectors), BATCH):
                rows = range(start, min(start + BATCH, len(task.vectors)))
                collection.insert([self._record(task, row) for row in rows])
            collection.flush()
            parameters = {"M": args["M"], "efConstruction": args["ef_construction"]}
            collection.create_index(
                "vector",
                {"index_type": "HNSW", "metric_type": self._metric(task), "params": parameters},
            )
            for name in task.columns:
                collection.create_index(name, {"index_type": "INVERTED"})
            collection.load()

    def open(self, task: Task, folder: Path) -> None:
        self.metric = self._metric(task)
        self.database = milvus_lite.MilvusLite(str(folder))
        self.collection = self.database.get_collection("bench")
        self.collection.load()

    def tune(self, args: Mapping[str, Any], k: int) -> None:
        self.parameters = {"ef": args["ef"]}

    def search(self, query: Vectors, k: int, where: Where) -> Any:
        return self._search([query], k, None if where is None else f"{where[0]} == {where[1]}")[0]

    def rows(self, answer: Any) -> Sequence[int]:
        return [int(hit["id"]) for hit in answer]

    def search_batch(self, queries: Vectors, k: int) -> Any:
        return self._search(list(queries), k, None)

    def _search(self, queries: list[Vectors], k: int, condition: str | None) -> Any:
        return self.collection.search(
            queries,
            top_k=k,
            metric_type=self.metric,
            expr=condition,
            output_fields=["id"],
            search_params=self.parameters,
        )

    @staticmethod
    def _metric(task: Task) -> str:
        return str(task.metric_as({"cosine": "COSINE", "ip": "IP", "l2": "L2"}))

    @staticmethod
    def _record(task: Task, row: int) -> dict[str, Any]:
        return {
            "id": row,
            "vector": task.vectors[row].tolist(),
            **{name: int(values[row]) for name, values in task.columns.items()},
        }
