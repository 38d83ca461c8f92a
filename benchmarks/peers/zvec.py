"""zvec: an embedded store with HNSW over float32, codes of 8 or 4 bits, or RaBitQ codes, and
inverted indexes on its columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import zvec

from benchmarks.peers import Peer, Task, Vectors, Where

BATCH = 1_000
RABITQ = "RABITQ"


class Zvec(Peer):
    package = "zvec"
    filters = True

    def build(self, task: Task, folder: Path, args: Mapping[str, Any]) -> None:
        zvec.init(optimize_threads=task.threads, log_level=zvec.LogLevel.ERROR)
        metric = task.metric_as(
            {"cosine": zvec.MetricType.IP, "ip": zvec.MetricType.IP, "l2": zvec.MetricType.L2}
        )
        shape = {"m": args["M"], "ef_construction": args["ef_construction"]}
        if args["quantize"] == RABITQ:
            index = zvec.HnswRabitqIndexParam(metric, **shape)
        else:
            quantize = getattr(zvec.QuantizeType, args["quantize"])
            index = zvec.HnswIndexParam(
                metric, quantize_type=quantize, use_contiguous_memory=True, **shape
            )
        integer = zvec.DataType.INT64
        schema = zvec.CollectionSchema(
            "bench",
            fields=[
                zvec.FieldSchema(name, integer, False, zvec.InvertIndexParam())
                for name in task.columns
            ],
            vectors=zvec.VectorSchema("vector", zvec.DataType.VECTOR_FP32, task.dim, index),
        )
        collection = zvec.create_and_open(str(folder / "bench"), schema)
        for start in range(0, len(task.vectors), BATCH):
            rows = range(start, min(start + BATCH, len(task.vectors)))
            collection.insert([self._document(task, row) for row in rows])
        collection.optimize(zvec.OptimizeOption(concurrency=task.threads))
        collection.flush()
        collection.close()
        (folder / "quantize").write_text(args["quantize"])

    def open(self, task: Task, folder: Path) -> None:
        zvec.init(query_threads=task.threads, log_level=zvec.LogLevel.ERROR)
        self.threads = task.threads
        self.quantize = (folder / "quantize").read_text()
        self.collection = zvec.open(str(folder / "bench"), zvec.CollectionOption(read_only=True))

    def tune(self, args: Mapping[str, Any], k: int) -> None:
        kind = zvec.HnswRabitqQueryParam if self.quantize == RABITQ else zvec.HnswQueryParam
        self.parameters = kind(ef=args["ef"], is_using_refiner=self.quantize != "UNDEFINED")

    def search(self, query: Vectors, k: int, where: Where) -> Any:
        condition = None if where is None else f"{where[0]} = {where[1]}"
        nearest = zvec.Query("vector", vector=query, param=self.parameters)
        found = self.collection.query_internal_ids(nearest, topk=k, filter=condition)
        return self.collection.resolve_internal_ids(
            found[found >= 0]
        )  # faster than `query`, which makes a document of each

    def rows(self, answer: Any) -> Sequence[int]:
        return [int(name) for name in answer]

    @staticmethod
    def _document(task: Task, row: int) -> Any:
        fields = {name: int(values[row]) for name, values in task.columns.items()}
        return zvec.Doc(id=str(row), vectors={"vector": task.vectors[row].tolist()}, fields=fields)
