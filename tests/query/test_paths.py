"""Which of FAISS, the kernels and numpy a search by index is handed to, and with what."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from vecsearch.query import paths
from vecsearch.query.paths import CodeScan, Found, KernelSearch
from vecsearch.storage.selection import RowSelection
from vecsearch.types import Plan

PLAN = Plan("index", "", 9, effort=16, depth=20, candidate_window=15)
SELECTION = RowSelection(None, 9)
QUERIES = np.arange(6, dtype=np.float32).reshape(3, 2)
KERNELS = object()


class Graph:
    """Notes what it is asked for; of three queries the second has too few candidates."""

    def __init__(self, missing: bool = False) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.missing = missing

    def search(self, *arguments: Any) -> tuple[np.ndarray, np.ndarray] | None:
        self.asked.append(("search", *arguments))
        return None if self.missing else (np.array([4, 2]), np.array([0.5, 0.25], np.float32))

    def search_many(self, *arguments: Any) -> tuple[np.ndarray, ...]:
        self.asked.append(("search_many", *arguments))
        rows = np.array([[4, 2, -1], [-1, -1, -1], [7, -1, -1]])
        return rows, -rows.astype(np.float32), np.array([2, -1, 1])

    def scan(self, *arguments: Any) -> tuple[np.ndarray, np.ndarray]:
        self.asked.append(("scan", *arguments))
        return np.array([4, 2]), np.array([0.5, 0.25], np.float32)

    def nearest_codes(self, query: np.ndarray, depth: int, nodes: Any) -> np.ndarray:
        self.asked.append(("nearest_codes", depth, nodes))
        return np.array([1, 0])


class Faiss:
    def run(self, *arguments: Any) -> tuple[Any, ...]:
        return ("faiss", *arguments)

    def run_many(self, *arguments: Any) -> list[Any]:
        return [("faiss", *arguments)]


@pytest.fixture
def asked_kernels(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A loader that has kernels or not, and counts the queries it is told of."""
    loader = SimpleNamespace(has=True, told=[])

    def kernels(queries: int = 1) -> object | None:
        loader.told.append(queries)
        return KERNELS if loader.has else None

    monkeypatch.setattr(paths, "LOADER", SimpleNamespace(kernels=kernels))
    return loader


def states() -> Any:
    state = SimpleNamespace(
        request=lambda k, plan: ("request", k, plan), nodes="nodes", unindexed=np.array([90])
    )
    return SimpleNamespace(of=lambda selection: state)


def lists(found: list[Found | None]) -> list[tuple[list[int], list[float]] | None]:
    return [one and (one.positions.tolist(), one.scores.tolist()) for one in found]


MANY = [([4, 2], [-4.0, -2.0]), None, ([7], [-7.0])]


def test_the_kernels_search_once_they_are_loaded_and_faiss_until_then(
    asked_kernels: SimpleNamespace,
) -> None:
    graph: Any = Graph()
    path = KernelSearch(graph, states(), Faiss())  # type: ignore[arg-type]
    found = path.run(QUERIES[0], 5, SELECTION, PLAN)
    assert lists([found]) == [([4, 2], [0.5, 0.25])] and found is not None and found.plan is PLAN
    many = path.run_many(QUERIES, 5, SELECTION, PLAN, 2)
    assert lists(many) == MANY and many[0] is not None and many[0].plan is PLAN
    request = ("request", 5, PLAN)
    (alone, together) = graph.asked
    assert alone[0] == "search" and alone[1] is KERNELS and alone[3:] == (5, request)
    assert together[0] == "search_many" and together[3:] == (5, request, 2)
    assert asked_kernels.told == [1, 3]
    asked_kernels.has = False
    by_faiss: Any = path.run(QUERIES[0], 5, SELECTION, PLAN)
    assert by_faiss[0] == "faiss" and by_faiss[2:] == (5, SELECTION, PLAN)
    (many_by_faiss,) = path.run_many(QUERIES, 5, SELECTION, PLAN, 2)
    assert many_by_faiss is not None and many_by_faiss[2:] == (5, SELECTION, PLAN, 2)
    assert len(graph.asked) == 2


def test_too_few_candidates_of_the_kernels_are_no_answer(asked_kernels: SimpleNamespace) -> None:
    graph: Any = Graph(missing=True)
    path = KernelSearch(graph, states(), Faiss())  # type: ignore[arg-type]
    assert path.run(QUERIES[0], 5, SELECTION, PLAN) is None


def test_codes_are_scanned_by_the_kernels_or_by_numpy(asked_kernels: SimpleNamespace) -> None:
    graph: Any = Graph()
    scored: list[tuple[list[int], int]] = []

    def best(query: np.ndarray, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        scored.append((rows.tolist(), k))
        return np.array([0.5], np.float32), rows[:1]

    attached: Any = SimpleNamespace(row_map=np.array([30, 40, -1], np.int32))
    scorer: Any = SimpleNamespace(best_final=best)

    def path(compiled: bool) -> CodeScan:
        return CodeScan(graph, attached, scorer, states(), compiled=compiled)

    request = ("request", 5, PLAN)
    found = path(True).run(QUERIES[0], 5, SELECTION, PLAN)
    assert lists([found]) == [([4, 2], [0.5, 0.25])] and found.plan is PLAN
    assert lists(path(True).run_many(QUERIES, 5, SELECTION, PLAN, 2)) == MANY
    (alone, together) = graph.asked
    assert alone[0] == "scan" and alone[1] is KERNELS
    assert alone[3:] == (5, "nodes", request)
    assert together[0] == "search_many" and together[3:] == (5, request, 2, "nodes")
    assert asked_kernels.told == [1, 3] and not scored

    def by_numpy(compiled: bool) -> None:
        graph.asked.clear()
        scored.clear()
        for one in (
            path(compiled).run(QUERIES[0], 5, SELECTION, PLAN),
            *path(compiled).run_many(QUERIES, 5, SELECTION, PLAN, 2),
        ):
            assert lists([one]) == [([40], [0.5])]
        assert graph.asked == [("nearest_codes", 20, "nodes")] * 4
        assert scored == [([40, 30, 90], 5)] * 4  # those outside the index last

    by_numpy(compiled=False)
    asked_kernels.has = False
    by_numpy(compiled=True)
