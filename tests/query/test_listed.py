"""Searches by FAISS: compiled code and numpy judge its candidates alike, and find what is there."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.data import brute_force, clustered

import vecsearch as vs
from vecsearch.index.faiss import LOADER
from vecsearch.index.kernels.arguments import FAR, UNSURE
from vecsearch.index.kernels.stages import stage_after
from vecsearch.index.recipe import IndexRecipe
from vecsearch.query.listed import FaissSearch
from vecsearch.query.paths import Answer, Found, Unanswered
from vecsearch.query.searcher import Searcher
from vecsearch.types import Ladder, Plan

ROWS, ADDED, DIM = 3_000, 100, 32
SMALL = vs.Limits(smallest_index_rows=100)
RECIPES = {
    "pq4": IndexRecipe("lists", "ivf", code="pq4", nlist=40),
    "sq8": IndexRecipe("lists", "ivf", code="sq8", nlist=40, reduced=24),
    "flat": "IVF40,Flat",
    "graph": "HNSW16",
}
FILTERS = (None, "n % 2 = 1", "n % 30 = 7", "n >= 3000")


def collection(folder: Path, recipe: str | IndexRecipe, metric: str) -> vs.Collection:
    """Rows in an index, some outside it, some deleted, and a group of near-duplicates."""
    vectors = clustered(ROWS + ADDED, DIM)
    vectors[:40] = vectors[40] + 1e-3 * clustered(40, DIM, seed=5)
    c = vs.create(folder / "c.vs", dim=DIM, metric=metric, limits=SMALL)
    rows = [{"id": n, "vector": vectors[n], "n": n} for n in range(len(vectors))]
    c.add(rows[:ROWS], auto_index=False)
    c.build_index(recipe, recall=0.95)
    c.add(rows[ROWS:], auto_index=False)
    c.delete(list(range(0, ROWS, 7)))
    return c


def queries() -> np.ndarray:
    """Like the rows, near-duplicates, and unlike them."""
    like = clustered(60, DIM, seed=0) + np.float32(0.05)
    same = clustered(ROWS + ADDED, DIM)[40] + 1e-3 * clustered(20, DIM, seed=6)
    unlike = np.random.default_rng(1).standard_normal((20, DIM))
    return np.concatenate([like, same, unlike]).astype(np.float32)


def plans(searcher: Searcher, k: int, where: str | None) -> list[Plan]:
    """What is planned, and ladders on which queries go on, are given up, or stay unsure."""
    selection = searcher.selector.select(where)
    planned = [searcher.plan(k, recall, False, selection) for recall in (0.8, 0.95, 0.99)]
    window = 4 * k
    ladders = [
        Ladder((2, 3, 8, 20), (6.0, 3.5, 2.0, -np.inf), 1, -np.inf, 0.95, 4),
        Ladder((2, 8), (3.5, 3.0), 5, -np.inf, 0.99, 1),
        Ladder((1, 2, 6, 30), (-np.inf,) * 4, 10, 0.0, 0.9, 2),
        Ladder((1, 2), (-np.inf,) * 2, 1, -1e9, 0.9999, 1),
    ]
    made = [Plan("index", "", 9, 0.9, 2, 30, window, 0, ladder=ladder) for ladder in ladders]
    old = [Plan("index", "", 9, 0.9, effort, 60, window, 0) for effort in (1, 30)]
    return [*(plan for plan in planned if plan.method == "index"), *made, *old]


def told(answer: Answer) -> object:
    if isinstance(answer, Unanswered):
        return answer
    return answer.positions.tolist(), answer.scores.tolist()


@pytest.mark.skipif(find_spec("numba") is None, reason="the extra 'fast' (numba) is not installed")
@pytest.mark.parametrize("metric", ["cosine", "l2", "ip"])
@pytest.mark.parametrize("name", RECIPES)
def test_compiled_code_judges_as_numpy(tmp_path: Path, name: str, metric: str) -> None:
    assert LOADER.load() is not None
    with collection(tmp_path, RECIPES[name], metric) as c:
        searcher = c._searching()
        index = searcher.attached.index
        assert index is not None and index.graph_search is None
        arguments = index, searcher.attached, searcher.scorer, searcher.states
        compiled = FaissSearch(*arguments, compiled=True)
        by_numpy = FaissSearch(*arguments)
        given = queries()
        if metric == "cosine":
            given /= np.linalg.norm(given, axis=1, keepdims=True)
        kinds = set()
        for where in FILTERS:
            selection = searcher.selector.select(where)
            for k in (1, 10):
                for plan in plans(searcher, k, where):
                    expected = by_numpy.run_many(given, k, selection, plan, 2)
                    found = compiled.run_many(given, k, selection, plan, 2)
                    assert [told(one) for one in found] == [told(one) for one in expected]
                    alone = compiled.run(given[3], k, selection, plan)
                    assert told(alone) == told(found[3])
                    kinds |= {Found if isinstance(one, Found) else one for one in found}
        assert kinds == {Found, Unanswered.TOO_FEW, Unanswered.UNSURE, Unanswered.FAR}


@pytest.mark.parametrize("metric", ["cosine", "l2", "ip"])
@pytest.mark.parametrize("name", RECIPES)
def test_the_recall_is_reached_with_filters_and_without(
    tmp_path: Path, name: str, metric: str
) -> None:
    vectors = clustered(ROWS + ADDED, DIM)
    vectors[:40] = vectors[40] + 1e-3 * clustered(40, DIM, seed=5)
    live = np.array([n for n in range(ROWS + ADDED) if n >= ROWS or n % 7])
    given = queries()
    with collection(tmp_path, RECIPES[name], metric) as c:
        for where, keep in ((None, live), ("n % 2 = 1", live[live % 2 == 1])):
            found = c.search_batch(given, k=10, recall=0.95, where=where)
            shares = []
            for query, hits in zip(given, found, strict=True):
                scores = brute_force(vectors[keep], query, metric)
                kth = np.sort(scores)[-10]
                own = brute_force(vectors[[int(id) for id in hits.ids]], query, metric)
                assert np.allclose(own, hits.scores, rtol=1e-5, atol=1e-5)
                shares.append(np.mean(own >= kth - 1e-6 * abs(kth)))
            assert np.mean(shares) >= 0.92


SIZES = SimpleNamespace(
    sizes=[2, 3, 4, 8], contrasts=[5.0, 4.0, 3.0, 2.0], farthest=0.1, far_from=2
)


@pytest.mark.parametrize(
    ("stage", "score", "contrast", "after"),
    [
        (0, 0.5, 5.0, 0),  # enough
        (0, 0.5, 4.5, 1),  # enough for the next
        (0, 0.5, 3.5, 2),
        (0, 0.5, 1.0, 3),  # the last is tried in any case
        (3, 0.5, 1.9, UNSURE),
        (3, 0.5, 2.0, 3),
        (0, 0.05, 9.0, 7),  # too far to be told at this effort: the stage that follows
        (1, 0.05, 9.0, 7),
        (2, 0.05, 9.0, FAR),
        (3, 0.05, 1.0, FAR),
        (0, np.inf, np.inf, 0),  # nothing is known
        (1, np.inf, -np.inf, 3),  # too few were found
        (0, np.nan, np.nan, 0),
    ],
)
def test_what_a_contrast_says(stage: int, score: float, contrast: float, after: int) -> None:
    assert stage_after(stage, 7, score, contrast, SIZES) == after
