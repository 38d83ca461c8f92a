"""What a searcher knows of the rows that a filter selects, against plain Python."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.data import clustered

import vecsearch as vs
from vecsearch.index.outside import Outside
from vecsearch.query import selection_state
from vecsearch.query.paths import Found
from vecsearch.query.searcher import Searcher
from vecsearch.storage.selection import RowSelection
from vecsearch.types import Ladder, Plan

INDEXED, ADDED = 600, 50
SMALL = vs.Limits(smallest_index_rows=100)
FILTERS = (None, "n >= 0", "n % 2 = 1", "n >= 590", "n < 10", "n >= 600", "n < 0")


@pytest.fixture(scope="module")
def searcher(tmp_path_factory: pytest.TempPathFactory) -> Searcher:
    """600 rows in an index, 50 outside it; every tenth row is deleted."""
    vectors = clustered(INDEXED + ADDED, 16)
    c = vs.create(tmp_path_factory.mktemp("states") / "c.vs", dim=16, metric="l2", limits=SMALL)
    for part in (range(INDEXED), range(INDEXED, INDEXED + ADDED)):
        c.add([{"id": n, "vector": vectors[n], "n": n} for n in part])
        if not part.start:
            c.build_index("HNSW16")
    c.delete(range(0, INDEXED + ADDED, 10))
    return c._searching()


def selected(where: str | None) -> list[int]:
    """The positions that a filter selects, which are the ids too."""
    rules = {
        "n >= 0": lambda n: True,
        "n % 2 = 1": lambda n: n % 2 == 1,
        "n >= 590": lambda n: n >= 590,
        "n < 10": lambda n: n < 10,
        "n >= 600": lambda n: n >= 600,
        "n < 0": lambda n: False,
        None: lambda n: True,
    }
    return [n for n in range(INDEXED + ADDED) if n % 10 and rules[where](n)]


@pytest.mark.parametrize("where", FILTERS)
def test_the_selected_rows_inside_and_outside_the_index(
    searcher: Searcher, where: str | None
) -> None:
    state = searcher.states.of(searcher.selector.select(where))
    rows = selected(where)
    assert state.unindexed.tolist() == [n for n in rows if n >= INDEXED]
    row_map = searcher.attached.row_map
    assert row_map is not None
    assert sorted(row_map[state.nodes].tolist()) == [n for n in rows if n < INDEXED]
    assert (np.diff(state.nodes) > 0).all()
    candidates = np.array([3, 0, 601, -1, 595, 10, 5, -1])
    assert state.passing(candidates).tolist() == [n in rows for n in candidates.tolist()]
    stats = state.stats
    assert (stats.kept, stats.indexed_rows) == (len(rows), INDEXED)
    assert stats.indexed_kept == len([n for n in rows if n < INDEXED])
    calibration = searcher.attached.calibration
    assert stats.points == calibration.points and stats.points
    assert stats.codes == calibration.code_points
    assert stats.exact_micros_per_row == calibration.exact_micros_per_row
    assert stats.code_micros_per_row == calibration.code_micros_per_row
    assert state.enough(10) == min(10, stats.indexed_kept)
    assert state.enough(10**6) == stats.indexed_kept


def test_without_a_filter_all_candidates_are_the_window(searcher: Searcher) -> None:
    plan = Plan("index", "", 5, effort=16, depth=40, candidate_window=25)
    whole = RowSelection(None, searcher.snapshot.rows)
    assert searcher.states.of(whole).window(plan) == 40
    assert searcher.states.of(whole).passing(np.array([0, -1, 5])).tolist() == [True, False, True]
    assert searcher.states.of(whole).unindexed.tolist() == list(range(INDEXED, INDEXED + ADDED))
    assert searcher.states.of(searcher.selector.select("n < 10")).window(plan) == 25


def test_a_request_holds_the_plan_and_is_made_once(searcher: Searcher) -> None:
    state = searcher.states.of(searcher.selector.select("n < 10"))
    plan = Plan("index", "", 9, effort=16, depth=40, candidate_window=25)
    (request,) = state.requests(5, plan)
    assert request[9:] == (40, 25, 5) and request.effort.sizes.tolist() == [40]
    assert request.effort.misses == np.inf and request.effort.contrasts.tolist() == [-np.inf]
    assert request.metric == searcher.scorer.code
    assert request.mask.sum() == 9 and not len(request.unindexed)
    assert state.requests(5, plan)[0] is request
    assert state.requests(6, plan)[0] is not request and state.requests(60, plan)[0].enough == 9
    for other in (
        Plan("index", "", 9, effort=17, depth=40, candidate_window=25),
        Plan("index", "", 9, effort=16, depth=41, candidate_window=25),
        Plan("index", "", 9, effort=16, depth=40, candidate_window=24),
    ):
        assert state.requests(5, other)[0] is not request


def test_a_ladder_is_one_request_of_a_graph_and_several_of_a_scan(searcher: Searcher) -> None:
    state = searcher.states.of(searcher.selector.select("n < 10"))
    ladder = Ladder((16, 64), (4.0, 3.0), 12, 0.25, 0.95)
    plan = Plan("index", "", 9, effort=16, depth=40, candidate_window=25, ladder=ladder)
    (request,) = state.requests(5, plan)
    assert request.effort.sizes.tolist() == [16, 64]
    assert request.effort.contrasts.tolist() == [4.0, 3.0]
    assert request.effort[2:4] == (12, 0.25)
    assert request.effort.misses == pytest.approx(0.05 * 5 * 0.5 * 5 / 9)
    assert request[9:] == (16, 25, 5)  # at least 16 candidates are scored, whatever the plan says
    scans = state.requests(5, replace(plan, method="scan"))
    assert [scan.effort.sizes.tolist() for scan in scans] == [[16], [64]]


def test_plans_requests_and_states_are_remembered_but_not_without_end(
    searcher: Searcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection_state, "PLANS", 3)
    monkeypatch.setattr(selection_state, "CACHED_FILTERS", 3)
    states = selection_state.SelectionStates(
        searcher.attached, searcher.scorer, Outside(searcher.snapshot, searcher.attached)
    )
    selections = [RowSelection(None, searcher.snapshot.rows) for _ in range(4)]
    first = [states.of(selection) for selection in selections[:3]]
    assert [states.of(selection) for selection in selections[:3]] == first
    states.of(selections[3])
    assert states.of(selections[3]) is states.of(selections[3])
    assert states.of(selections[0]) is not first[0]
    state = first[0]
    for k in range(1, 4):
        state.remember((k, 0.9, False), Plan("exact", str(k), 5))
    assert [plan.reason for plan in state.plans.values()] == ["1", "2", "3"]
    state.remember((9, 0.9, False), Plan("exact", "9", 5))
    assert [plan.reason for plan in state.plans.values()] == ["9"]
    plan = Plan("index", "", 9, effort=16, depth=40, candidate_window=25)
    requests = [state.requests(k, plan)[0] for k in (1, 2, 3)]
    assert [state.requests(k, plan)[0] for k in (1, 2, 3)] == requests
    state.requests(4, plan)
    assert state.requests(1, plan)[0] is not requests[0]


@pytest.mark.parametrize("where", FILTERS)
def test_searches_by_index_find_the_selected_rows_alone_and_in_a_batch(
    searcher: Searcher, where: str | None
) -> None:
    """Each access path, whatever would be planned: of the index, k rows or None."""
    selection, rows = searcher.selector.select(where), selected(where)
    queries = searcher.snapshot.stored_vectors(np.arange(1, 600, 25))
    vectors = searcher.snapshot.stored_vectors(np.arange(INDEXED + ADDED)).astype(np.float64)
    inside = [n for n in rows if n < INDEXED]
    for k in (1, 10):
        plan = Plan(
            "index",
            "",
            len(rows),
            effort=INDEXED,
            depth=INDEXED,
            candidate_window=INDEXED,
            unindexed_rows=len(rows) - len(inside),
        )
        path = searcher.paths["index"]
        many = path.run_many(queries, k, selection, plan, 2)
        for query, together in zip(queries, many, strict=True):
            alone = path.run(query, k, selection, plan)
            assert isinstance(alone, Found) and isinstance(together, Found)
            positions = together.positions[together.positions >= 0]  # without padding
            assert np.array_equal(alone.positions, positions)
            scores = -((vectors[rows] - query.astype(np.float64)) ** 2).sum(axis=1)
            best = np.array(rows, np.int64)[np.argsort(-scores, kind="stable")][:k]
            assert alone.positions[:k].tolist() == best.tolist()
            np.testing.assert_allclose(alone.scores[:k], np.sort(scores)[::-1][:k], rtol=1e-4)
            assert alone.plan is plan and together.plan is plan


def test_too_few_selected_candidates_are_no_answer(searcher: Searcher) -> None:
    """Of the first 20 candidates ten must be selected; far from the query they are not."""
    selection = searcher.selector.select("n % 2 = 1")
    query = searcher.snapshot.stored_vectors(np.arange(1, 2))
    path = searcher.paths["index"]

    def answered(k: int, depth: int, window: int) -> bool:
        plan = Plan("index", "", 5, effort=64, depth=depth, candidate_window=window)
        alone = path.run(query[0], k, selection, plan)
        (together,) = path.run_many(query, k, selection, plan, 1)
        assert isinstance(alone, Found) == isinstance(together, Found)
        return isinstance(alone, Found)

    everything = Plan("index", "", 5, effort=INDEXED, depth=60, candidate_window=60)
    state = searcher.states.of(selection)
    order = path._candidates(query, everything, INDEXED, 1)[0][0]  # type: ignore[attr-defined]
    counts = np.cumsum(state.passing(order))
    for window in (10, 20, 30):
        here = int(counts[window - 1])
        assert 0 < here < window
        assert answered(here, 60, window) and not answered(here + 1, 60, window)


@pytest.mark.parametrize("metric", ["l2", "cosine"])
def test_a_scan_of_all_codes_finds_the_selected_rows(
    tmp_path_factory: pytest.TempPathFactory, metric: str
) -> None:
    """With as many candidates as there are rows the codes leave nothing out."""
    vectors = clustered(INDEXED + ADDED, 16)
    c = vs.create(tmp_path_factory.mktemp("scan") / "c.vs", dim=16, metric=metric, limits=SMALL)
    c.add([{"id": n, "vector": vectors[n], "n": n} for n in range(INDEXED)])
    c.build_index("low-latency")
    c.add([{"id": n, "vector": vectors[n], "n": n} for n in range(INDEXED, INDEXED + ADDED)])
    c.delete(range(0, INDEXED + ADDED, 10))
    searcher = c._searching()
    queries = searcher.snapshot.stored_vectors(np.arange(1, 600, 50))
    path = searcher.paths["scan"]
    for where in FILTERS:
        selection, rows = searcher.selector.select(where), selected(where)
        plan = Plan("scan", "", len(rows), depth=max(len(rows), 1), candidate_window=10)
        for query, together in zip(
            queries, path.run_many(queries, 10, selection, plan, 1), strict=True
        ):
            alone = path.run(query, 10, selection, plan)
            exact = searcher.exact.run(query, 10, selection, plan)
            assert isinstance(alone, Found) and isinstance(together, Found)
            assert np.array_equal(alone.positions, together.positions)
            assert alone.positions.tolist() == exact.positions[: len(alone.positions)].tolist()
            assert len(alone.positions) == min(len(rows), 10)
            assert set(alone.positions.tolist()) <= set(rows)
    few = Plan("scan", "", 585, depth=12, candidate_window=10)
    for query in queries:  # of 12 candidates and the rows outside the index, the best
        found = path.run(query, 10, searcher.snapshot.live, few)
        assert isinstance(found, Found) and len(found.positions) == 10
        best = searcher.exact.run(query, 1, searcher.snapshot.live, few).positions[0]
        assert found.positions[0] == best


@pytest.mark.parametrize(
    ("recipe", "dtype", "kernel"),
    [
        ("low-latency", "float32", "numba"),
        ("low-latency", "float16", "faiss"),
        ("HNSW16", "float32", "faiss"),
        ("exact", "float32", "faiss"),
    ],
)
def test_the_kernels_search_graphs_of_bytes_beside_vectors_of_float32(
    tmp_path: Path, recipe: str, dtype: str, kernel: str
) -> None:
    c = vs.create(tmp_path / "c.vs", dim=16, dtype=dtype, limits=SMALL)
    c.add(clustered(300, 16))
    c.build_index(recipe)
    searcher = c._searching()
    assert searcher.kernel == kernel
    paths = {name: type(path).__name__ for name, path in searcher.paths.items()}
    index = {"numba": "KernelSearch", "faiss": "FaissSearch"}[kernel]
    expected = {"exact": "ExactScan", "empty": "ExactScan"}
    if recipe != "exact":
        expected["index"] = index
    if recipe == "low-latency":
        expected["scan"] = "CodeScan"
    assert paths == expected
