"""Which of FAISS, the kernels and numpy a search by index is handed to, and with what."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from vecsearch.index.kernels import numpy_hnsw
from vecsearch.index.kernels.arguments import FAR, TOO_FEW, UNSURE
from vecsearch.query import paths
from vecsearch.query.paths import Answer, CodeScan, KernelSearch, Unanswered
from vecsearch.storage.selection import RowSelection
from vecsearch.types import Plan

PLAN = Plan("index", "", 9, effort=16, depth=20, candidate_window=15)
SELECTION = RowSelection(None, 9)
QUERIES = np.arange(8, dtype=np.float32).reshape(4, 2)
KERNELS = object()


class Graph:
    """Notes what it is asked for. The first request does not settle query 3, and the second finds
    it far away; query 1 has too few candidates."""

    def __init__(self, verdict: int = 2) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.verdict = verdict

    def search(self, *arguments: Any) -> tuple[np.ndarray, np.ndarray, int]:
        self.asked.append(arguments)
        return np.array([4, 2]), np.array([0.5, 0.25], np.float32), self.verdict

    def search_many(self, kernels: Any, queries: np.ndarray, *rest: Any) -> tuple[np.ndarray, ...]:
        self.asked.append((kernels, queries.tolist(), *rest))
        if len(queries) == 1:
            return np.full((1, 3), -1), np.zeros((1, 3), np.float32), np.array([FAR])
        rows = np.array([[4, 2, -1], [-1, -1, -1], [7, -1, -1], [-1, -1, -1]])
        return rows, -rows.astype(np.float32), np.array([2, TOO_FEW, 1, UNSURE])


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
    state = SimpleNamespace(requests=lambda k, plan: ["easy", "hard"], nodes="nodes")
    return SimpleNamespace(of=lambda selection: state)


def lists(found: list[Answer]) -> list[Any]:
    return [
        one if isinstance(one, Unanswered) else (one.positions.tolist(), one.scores.tolist())
        for one in found
    ]


MANY = [([4, 2], [-4.0, -2.0]), Unanswered.TOO_FEW, ([7], [-7.0]), Unanswered.FAR]


def test_the_kernels_search_once_they_are_loaded_and_faiss_until_then(
    asked_kernels: SimpleNamespace,
) -> None:
    graph: Any = Graph()
    path = KernelSearch(graph, states(), Faiss())  # type: ignore[arg-type]
    found: Any = path.run(QUERIES[0], 5, SELECTION, PLAN)
    assert lists([found]) == [([4, 2], [0.5, 0.25])] and found.plan is PLAN
    many: Any = path.run_many(QUERIES, 5, SELECTION, PLAN, 2)
    assert lists(many) == MANY and many[0].plan is PLAN
    alone, together, again = graph.asked
    assert alone[0] is KERNELS and alone[2:] == (5, "easy", None)
    assert together[0] is KERNELS and together[2:] == (5, "easy", 2, None)
    assert again[1:] == ([QUERIES[3].tolist()], 5, "hard", 2, None)
    assert asked_kernels.told == [1, 4]
    asked_kernels.has = False
    by_faiss: Any = path.run(QUERIES[0], 5, SELECTION, PLAN)
    assert by_faiss[0] == "faiss" and by_faiss[2:] == (5, SELECTION, PLAN)
    (many_by_faiss,) = path.run_many(QUERIES, 5, SELECTION, PLAN, 2)
    assert many_by_faiss[2:] == (5, SELECTION, PLAN, 2)  # type: ignore[index]
    assert len(graph.asked) == 3


@pytest.mark.parametrize("verdict", [TOO_FEW, UNSURE, FAR])
def test_the_kernels_say_why_there_is_no_answer(
    asked_kernels: SimpleNamespace, verdict: int
) -> None:
    graph: Any = Graph(verdict)
    path = KernelSearch(graph, states(), Faiss())  # type: ignore[arg-type]
    assert path.run(QUERIES[0], 5, SELECTION, PLAN) is Unanswered(verdict)
    tried = [asked[3] for asked in graph.asked]
    assert tried == (["easy", "hard"] if verdict == UNSURE else ["easy"])


def test_codes_are_scanned_by_the_kernels_or_by_numpy(asked_kernels: SimpleNamespace) -> None:
    for has, compiled in ((True, True), (True, False), (False, True)):
        graph: Any = Graph()
        asked_kernels.has = has
        path = CodeScan(graph, states(), compiled=compiled)
        assert lists([path.run(QUERIES[0], 5, SELECTION, PLAN)]) == [([4, 2], [0.5, 0.25])]
        assert lists(path.run_many(QUERIES, 5, SELECTION, PLAN, 2)) == MANY
        alone, together, _ = graph.asked
        kernels = KERNELS if has and compiled else numpy_hnsw
        assert alone[0] is together[0] is kernels
        assert alone[2:] == (5, "easy", "nodes") and together[2:] == (5, "easy", 2, "nodes")
