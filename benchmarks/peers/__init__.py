"""What is compared: one small adapter for each library.

An adapter says how a library builds its index into a folder, opens it, and answers a query; the
runner (benchmarks/worker.py) does the timing, each adapter in processes of its own. Vectors are
float32, and of unit length where the metric is cosine. Inside `search` an adapter does what a user
of that library has to do for the answer, and nothing else: turning the answer into row numbers is
`rows`, which is not timed.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Where = tuple[str, int] | None
"""The filter of one query: this column equals this value. None: no filter."""

ADAPTERS = {
    "vecsearch": "benchmarks.peers.vecsearch:Vecsearch",
    "vecsearch-fastest": "benchmarks.peers.vecsearch:VecsearchFastest",
    "faiss-hnsw": "benchmarks.peers.faiss:FaissHnsw",
    "faiss-flat": "benchmarks.peers.faiss:FaissFlat",
    "autofaiss": "benchmarks.peers.faiss:AutoFaiss",
    "hnswlib": "benchmarks.peers.hnswlib:Hnswlib",
    "usearch": "benchmarks.peers.usearch:USearch",
    "voyager": "benchmarks.peers.voyager:Voyager",
    "zvec": "benchmarks.peers.zvec:Zvec",
    "scann": "benchmarks.peers.scann:Scann",
    "scalable-vs": "benchmarks.peers.svs:ScalableVS",
    "pyglass": "benchmarks.peers.glass:Glass",
    "symphonyqg": "benchmarks.peers.rabitq:SymphonyQG",
    "hnsw-rabitq": "benchmarks.peers.rabitq:HnswRaBitQ",
    "turbovec": "benchmarks.peers.turbovec:TurboVec",
    "vsag": "benchmarks.peers.vsag:Vsag",
    "ngt": "benchmarks.peers.ngt:Ngt",
    "lancedb": "benchmarks.peers.lancedb:LanceDB",
    "lancedb-rq": "benchmarks.peers.lancedb:LanceDBRaBitQ",
    "chromadb": "benchmarks.peers.chromadb:Chroma",
    "qdrant-edge": "benchmarks.peers.qdrant_edge:QdrantEdge",
    "milvus-lite": "benchmarks.peers.milvus_lite:MilvusLite",
}


class UnsupportedError(Exception):
    """The library cannot do this (a metric, a kind of filter): the report says so and the run goes
    on.
    """


@dataclass(frozen=True)
class Task:
    """What a library is given: vectors (n, dim), the metric (cosine, ip, l2), and int64 columns
    (n,) to filter on.
    """

    vectors: Vectors
    metric: str
    columns: Mapping[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    threads: int = 1

    @property
    def dim(self) -> int:
        return int(self.vectors.shape[1])

    def metric_as(self, names: Mapping[str, Any]) -> Any:
        """The library's own name of the metric; UnsupportedError when it has none."""
        if self.metric not in names:
            raise UnsupportedError(f"no metric {self.metric}")
        return names[self.metric]


class Peer(ABC):
    """One library. `package` is its name for pip; `filters` says whether it can search under a
    filter.
    """

    package: ClassVar[str]
    filters: ClassVar[bool] = False
    threads: int = 1

    @abstractmethod
    def build(self, task: Task, folder: Path, args: Mapping[str, Any]) -> None:
        """Builds the index of `task` and leaves it in `folder`, with `args` from the grid. Timed as
        a whole.
        """

    @abstractmethod
    def open(self, task: Task, folder: Path) -> None:
        """Opens what `build` left. The vectors of `task` must not be read: what a search needs
        belongs in `folder`.
        """

    @abstractmethod
    def tune(self, args: Mapping[str, Any], k: int) -> None:
        """Takes the query arguments of the searches that follow, all with this k."""

    @abstractmethod
    def search(self, query: Vectors, k: int, where: Where) -> Any:
        """The library's own answer to one query, shape (dim,). Timed."""

    @abstractmethod
    def rows(self, answer: Any) -> Sequence[int]:
        """Row numbers in an answer of `search`, best first. Not timed."""

    def search_batch(self, queries: Vectors, k: int) -> Any:
        """Answers to all `queries`, shape (n, dim), by all threads. Timed. For a library without
        one, a pool of threads.
        """
        with ThreadPoolExecutor(self.threads) as pool:
            return list(pool.map(lambda query: self.search(query, k, None), queries))

    def batch_rows(self, answer: Any) -> Sequence[Sequence[int]]:
        """Row numbers in an answer of `search_batch`, a line a query. Not timed."""
        return [self.rows(single) for single in answer]

    def index_bytes(self, folder: Path) -> int | None:
        """Bytes of the index alone, where they can be told from the stored vectors and columns."""
        return None


def load(name: str) -> Peer:
    """A new adapter. Raises ImportError when its library is not installed."""
    module, _, attribute = ADAPTERS[name].partition(":")
    peer: Peer = getattr(importlib.import_module(module), attribute)()
    return peer
