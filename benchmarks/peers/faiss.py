"""Bare FAISS: float32 HNSW and exact search, with its own bitmap selector for filters; and
autofaiss, which picks for FAISS.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from benchmarks.peers import Peer, Task, Vectors, Where


class _Faiss(Peer):
    """What they share: an index file, and one bitmap kept for each filter seen."""

    package = "faiss-cpu"
    filters = True

    def open(self, task: Task, folder: Path) -> None:
        faiss.omp_set_num_threads(task.threads)
        self.index = faiss.read_index(str(folder / "index.faiss"))
        self.columns = task.columns
        self.bitmaps: dict[Where, tuple[Any, Any]] = {}

    def selector(self, where: Where) -> Any:
        if where is None:
            return None
        if where not in self.bitmaps:
            bits = np.packbits(self.columns[where[0]] == where[1], bitorder="little")
            self.bitmaps[where] = (
                faiss.IDSelectorBitmap(bits),
                bits,
            )  # the selector points into the bits
        return self.bitmaps[where][0]

    def rows(self, answer: Any) -> Sequence[int]:
        return [int(row) for row in answer]


class FaissHnsw(_Faiss):
    def build(self, task: Task, folder: Path, args: Mapping[str, Any]) -> None:
        faiss.omp_set_num_threads(task.threads)
        metric = task.metric_as(
            {"cosine": faiss.METRIC_L2, "ip": faiss.METRIC_INNER_PRODUCT, "l2": faiss.METRIC_L2}
        )
        index = faiss.IndexHNSWFlat(task.dim, args["M"], metric)
        index.hnsw.efConstruction = args["ef_construction"]
        index.add(task.vectors)
        faiss.write_index(index, str(folder / "index.faiss"))

    def tune(self, args: Mapping[str, Any], k: int) -> None:
        self.ef = args["ef"]
        self.unfiltered = faiss.SearchParametersHNSW(efSearch=self.ef)

    def search(self, query: Vectors, k: int, where: Where) -> Any:
        parameters = self.unfiltered
        if where is not None:
            parameters = faiss.SearchParametersHNSW(efSearch=self.ef, sel=self.selector(where))
        return self.index.search(query[None], k, params=parameters)[1][0]

    def search_batch(self, queries: Vectors, k: int) -> Any:
        return self.index.search(queries, k, params=self.unfiltered)[1]


class FaissFlat(_Faiss):
    def build(self, task: Task, folder: Path, args: Mapping[str, Any]) -> None:
        metrics = {
            "cosine": faiss.METRIC_INNER_PRODUCT,
            "ip": faiss.METRIC_INNER_PRODUCT,
            "l2": faiss.METRIC_L2,
        }
        index = faiss.IndexFlat(task.dim, task.metric_as(metrics))
        index.add(task.vectors)
        faiss.write_index(index, str(folder / "index.faiss"))

    def tune(self, args: Mapping[str, Any], k: int) -> None:
        """Exact search has nothing to tune."""

    def search(self, query: Vectors, k: int, where: Where) -> Any:
        parameters = None if where is None else faiss.SearchParameters(sel=self.selector(where))
        return self.index.search(query[None], k, params=parameters)[1][0]

    def search_batch(self, queries: Vectors, k: int) -> Any:
        return self.index.search(queries, k)[1]


class AutoFaiss(_Faiss):
    """autofaiss chooses the index; the efforts are then measured one by one. Effort 0 keeps the one
    it tuned itself.
    """

    package = "autofaiss"
    filters = False

    def build(self, task: Task, folder: Path, args: Mapping[str, Any]) -> None:
        import autofaiss

        index, _ = autofaiss.build_index(
            task.vectors,
            save_on_disk=False,  # what it writes beside the index does not work with numpy 2
            metric_type=task.metric_as({"cosine": "ip", "ip": "ip", "l2": "l2"}),
            max_index_query_time_ms=args["query_time_ms"],
            max_index_memory_usage="4G",
            current_memory_available="16G",
            nb_cores=task.threads,
            verbose=logging.ERROR,
        )
        faiss.write_index(index, str(folder / "index.faiss"))

    def tune(self, args: Mapping[str, Any], k: int) -> None:
        index = faiss.downcast_index(
            self.index.index if isinstance(self.index, faiss.IndexPreTransform) else self.index
        )
        if args["effort"] and isinstance(index, faiss.IndexHNSW):
            index.hnsw.efSearch = args["effort"]
        elif args["effort"] and isinstance(index, faiss.IndexIVF):
            index.nprobe = args["effort"]

    def search(self, query: Vectors, k: int, where: Where) -> Any:
        return self.index.search(query[None], k)[1][0]

    def search_batch(self, queries: Vectors, k: int) -> Any:
        return self.index.search(queries, k)[1]
