"""Chroma: its persistent local client, HNSW with metadata filters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import chromadb
from chromadb.api.shared_system_client import SharedSystemClient

from benchmarks.peers import Peer, Task, Vectors, Where


class Chroma(Peer):
    package = "chromadb"
    filters = True

    def build(self, task: Task, folder: Path, args: Mapping[str, Any]) -> None:
        client = self._client(folder)
        space = task.metric_as({"cosine": "cosine", "ip": "ip", "l2": "l2"})
        hnsw = {
            "space": space,
            "max_neighbors": args["M"],
            "ef_construction": args["ef_construction"],
        }
        hnsw["num_threads"] = task.threads
        collection = client.create_collection(
            "bench", configuration={"hnsw": hnsw}, embedding_function=None
        )
        step = client.get_max_batch_size()
        vectors = task.vectors
        for start in range(0, len(vectors), step):
            rows = range(start, min(start + step, len(vectors)))
            metadata = [
                {name: int(values[row]) for name, values in task.columns.items()} for row in rows
            ]
            collection.add(
                ids=[str(row) for row in rows],
                embeddings=vectors[start : rows.stop],
                metadatas=metadata if task.columns else None,
            )

    def open(self, task: Task, folder: Path) -> None:
        self.threads = task.threads
        self.folder = folder
        self.ef = 0
        self._reopen()

    def tune(self, args: Mapping[str, Any], k: int) -> None:
        if (
            args["ef"] != self.ef
        ):  # an index that was searched keeps its ef until it is opened again
            self.ef = args["ef"]
            self.collection.modify(configuration={"hnsw": {"ef_search": self.ef}})
            self._reopen()

    def search(self, query: Vectors, k: int, where: Where) -> Any:
        condition = None if where is None else {where[0]: where[1]}
        return self.collection.query(
            query_embeddings=query[None], n_results=k, where=condition, include=[]
        )["ids"][0]

    def rows(self, answer: Any) -> Sequence[int]:
        return [int(row) for row in answer]

    def search_batch(self, queries: Vectors, k: int) -> Any:
        return self.collection.query(query_embeddings=queries, n_results=k, include=[])["ids"]

    def _reopen(self) -> None:
        SharedSystemClient.clear_system_cache()
        self.collection = self._client(self.folder).get_collection("bench", embedding_function=None)

    @staticmethod
    def _client(folder: Path) -> Any:
        return chromadb.PersistentClient(
            str(folder), settings=chromadb.Settings(anonymized_telemetry=False)
        )
