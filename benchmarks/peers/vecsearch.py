"""vecsearch through its public API: the user states a recall, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.compute

import vecsearch as vs
from benchmarks.peers import Peer, Task, Vectors, Where

# Loaded with this module so that a process's memory "with the library loaded" has what every search
# of vecsearch needs.
LOADED = (faiss, pyarrow.compute, vs.Collection)


class Vecsearch(Peer):
    package = "vecsearch"
    filters = True
    recipe: ClassVar[str] = "auto"

    def build(self, task: Task, folder: Path, args: Mapping[str, Any]) -> None:
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(task.vectors.ravel()), task.dim)
        columns = {name: pa.array(values) for name, values in task.columns.items()}
        table = pa.table(
            {"id": pa.array(np.arange(len(task.vectors))), "vector": vectors, **columns}
        )
        with vs.create(folder / "bench.vs", dim=task.dim, metric=task.metric) as collection:
            collection.add(table, auto_index=False)  # one index is built, and that is timed
            collection.build_index(self.recipe, recall=args["recall"])

    def open(self, task: Task, folder: Path) -> None:
        self.collection = vs.open(folder / "bench.vs")

    def tune(self, args: Mapping[str, Any], k: int) -> None:
        self.recall = args["recall"]

    def search(self, query: Vectors, k: int, where: Where) -> Any:
        if where is None:
            return self.collection.search(query, k=k, recall=self.recall).ids
        return self.collection.search(
            query, k=k, recall=self.recall, where=f"{where[0]} = {where[1]}"
        ).ids

    def rows(self, answer: Any) -> Sequence[int]:
        return [int(row) for row in answer]

    def search_batch(self, queries: Vectors, k: int) -> Any:
        return [hits.ids for hits in self.collection.search_batch(queries, k=k, recall=self.recall)]

    def index_bytes(self, folder: Path) -> int | None:
        files = (folder / "bench.vs" / "indexes").rglob("*")
        return sum(file.stat().st_size for file in files if file.is_file())


class VecsearchFastest(Vecsearch):
    """Its largest and fastest index."""

    recipe = "fastest"
