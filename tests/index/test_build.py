"""Indexes in a collection: recall against exact search, through every kind of change."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from support.data import brute_force, clustered

import vecsearch as vs
from vecsearch.evaluation.metrics import bootstrap_interval
from vecsearch.index import builder, measurer
from vecsearch.index.attached import CoveredRows
from vecsearch.index.auto import training_rows
from vecsearch.index.calibrate import Sample
from vecsearch.index.calibration import Calibration, OperatingPoint
from vecsearch.index.faiss import FaissIndex
from vecsearch.index.growth import Growth
from vecsearch.storage.manifest import IndexEntry

ROWS, DIM = 6000, 48


def table(vectors: npt.NDArray[np.float32], first: int = 0) -> pa.Table:
    """Vectors with a random share and a cluster to filter by."""
    rng = np.random.default_rng(first)
    owner = vectors[:, 0] + vectors[:, 1]
    return pa.table(
        {
            "id": np.arange(first, first + len(vectors)),
            "vector": pa.FixedSizeListArray.from_arrays(
                pa.array(vectors.ravel()), vectors.shape[1]
            ),
            "share": rng.random(len(vectors)),
            "side": owner,
        }
    )


def recalls(
    c: vs.Collection, queries: npt.NDArray[np.float32], k: int, **options: object
) -> npt.NDArray[np.float64]:
    """Recall of each query against the collection's own exact search."""
    where = options.get("where")
    out = []
    for query in queries:
        exact = c.search(query, k, where=where, exact=True)
        found = c.search(query, k, **options)
        assert len(found) == len(exact)
        if len(exact):
            kth = exact.scores[-1] - 1e-5 * abs(exact.scores[-1])
            assert len(set(found.ids)) == len(found)
            out.append(float((found.scores >= kth).sum()) / len(exact))
    return np.array(out)


@pytest.fixture(scope="module")
def data() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    vectors = clustered(ROWS + 1500 + 200, DIM, seed=7, clusters=60)
    return vectors[:-200], vectors[-200:]


@pytest.mark.parametrize(
    "metric", ["cosine", *(pytest.param(name, marks=pytest.mark.slow) for name in ("ip", "l2"))]
)
def test_recall_reaches_the_target_after_every_kind_of_change(
    root: Path,
    data: tuple[np.ndarray, np.ndarray],
    metric: str,
    small_exact: None,
) -> None:
    vectors, queries = data
    c = vs.create(root, dim=DIM, metric=metric)
    for part in np.array_split(np.arange(ROWS), 3):
        c.add(table(vectors[part], int(part[0])))
    result = c.build_index(recipe="low-latency", recall=0.9)
    assert (
        result.rows == ROWS and result.calibrated_on == "held-out rows" and c.info().recall == 0.9
    )
    used = 0

    def check(stage: str) -> None:
        nonlocal used
        for where in (None, "share < 0.5", "share < 0.1", "share < 0.01", "side > 2"):
            for k, target in ((1, 0.9), (10, 0.95), (50, 0.9)):
                values = recalls(c, queries[:40], k, where=where, recall=target)
                assert bootstrap_interval(values)[1] >= target, (
                    stage,
                    where,
                    k,
                    target,
                    values.mean(),
                )
                used += c.search(queries[0], k, where=where, recall=target).plan.method != "exact"

    check("built")
    c.add(table(vectors[ROWS:], ROWS))
    check("added")
    assert c.search(vectors[ROWS + 5], k=1).ids == [ROWS + 5]  # found at once, outside the index
    c.delete(range(0, ROWS + 1500, 5))
    check("deleted")
    assert all(name % 5 for hits in c.search_batch(queries, k=50) for name in hits.ids)
    before = [hits.ids for hits in c.search_batch(queries[:40], k=10, recall=0.9)]
    indexed = c.info().indexes[0].rows  # where codes cannot be compared, the added rows joined
    c.compact()
    assert c.info().segments == 1 and c.info().indexes[0].rows == indexed
    assert (indexed > ROWS) == (metric == "ip")
    after = [hits.ids for hits in c.search_batch(queries[:40], k=10, recall=0.9)]
    # The effort may differ: the vectors of deleted rows are gone, and others stand for them.
    same = [len(set(one) & set(other)) for one, other in zip(after, before, strict=True)]
    assert sum(same) >= 0.98 * 10 * len(before)
    check("compacted")
    assert used > 20  # the index did the work, not exact search in its place


def test_index_results_have_true_scores(
    root: Path, data: tuple[np.ndarray, np.ndarray], small_exact: None
) -> None:
    vectors, queries = data
    c = vs.create(root, dim=DIM, metric="l2")
    c.add(vectors[:ROWS])
    c.build_index(recipe="low-latency")
    for query in queries[:20]:
        hits = c.search(query, k=20)
        assert hits.plan.method == "index"
        np.testing.assert_allclose(
            hits.scores, brute_force(vectors[hits.ids], query, "l2"), rtol=1e-4, atol=1e-4
        )
    batch = c.search_batch(queries, k=20)
    assert [hits.ids for hits in batch] == [c.search(query, k=20).ids for query in queries]


def test_far_rows_and_far_queries_are_searched_exactly(
    root: Path, data: tuple[np.ndarray, np.ndarray], small_exact: None
) -> None:
    vectors, queries = data
    for metric in ("ip", "l2"):
        c = vs.create(root.with_suffix(f".{metric}"), dim=DIM, metric=metric)
        c.add(vectors[:3000])
        c.build_index(recipe="low-latency")
        near, far = queries[:10], vectors[:10] * 40
        c.add(vectors[:50] * 40)
        together = c.search_batch(np.concatenate([near, far]), k=5, recall=0.9)
        for number, (query, batched) in enumerate(zip((*near, *far), together, strict=True)):
            alone, exact = c.search(query, k=5, recall=0.9), c.search(query, k=5, exact=True)
            assert alone.ids[0] == exact.ids[0] and alone.ids == batched.ids
            assert ("farther" in str(alone.plan)) == ("farther" in str(batched.plan))
            if number >= len(near):
                assert "farther" in str(alone.plan) and alone.ids == exact.ids
            else:
                assert alone.plan.method == "index"


@pytest.mark.parametrize(
    "recipe",
    [
        "exact",
        "fast-build",
        "low-memory",
        pytest.param("large-scale", marks=pytest.mark.slow),
        pytest.param("on-disk", marks=pytest.mark.slow),
        "IVF32,Flat",
        "PCA32,HNSW16_SQ8",
    ],
)
def test_every_recipe_reaches_its_recall(
    root: Path, data: tuple[np.ndarray, np.ndarray], recipe: str, small_exact: None
) -> None:
    vectors, queries = data
    c = vs.create(root, dim=DIM)
    c.add(vectors[:ROWS])
    result = c.build_index(recipe=recipe)
    values = recalls(c, queries[:60], 10, recall=0.9)
    assert bootstrap_interval(values)[1] >= 0.9
    method = "exact" if recipe == "exact" else "index"
    methods = [c.search(query, 10, recall=0.9).plan.method for query in queries[:60]]
    assert methods.count(method) >= 48  # some queries are hard, and searched exactly in the end
    assert (result.recipe == "exact") == (recipe == "exact") == (not c.info().indexes)


def test_auto_needs_no_index_for_few_rows(root: Path) -> None:
    c = vs.create(root, dim=4)
    c.add(clustered(500, 4))
    result = c.build_index()
    assert result.recipe == "exact" and "few rows" in result.promise and not c.info().indexes
    assert c.search([1, 2, 3, 4], k=3).plan.method == "exact"


def test_given_queries_calibrate_and_held_out_rows_join_few_of_them(
    root: Path, data: tuple[np.ndarray, np.ndarray]
) -> None:
    vectors, queries = data
    c = vs.create(root, dim=DIM)
    c.add(vectors[:ROWS])
    many = np.concatenate([queries, queries * 0.9 + 0.1 * vectors[: len(queries)]])
    assert (
        c.build_index(recipe="low-latency", queries=many).calibrated_on == "the user's own queries"
    )
    assert c.info().indexes[0].calibration["queries"] == len(many) == 400
    few = c.build_index(
        recipe="low-latency", queries=queries[:30]
    )  # that all are answered perfectly says little
    assert few.calibrated_on == "the user's own queries and held-out rows" and few.rows == ROWS
    assert c.info().indexes[0].calibration["queries"] == 400
    with pytest.raises(vs.InvalidInputError, match="queries is empty"):
        c.build_index(queries=[])


def test_held_out_rows_are_not_in_the_index_while_it_is_measured(
    root: Path, data: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A query in the index would be its own nearest row, at distance 0; so would any near it."""
    vectors, _ = data
    original, measured = measurer.calibrate_index, []

    def spy(index: FaissIndex, sample: Sample, *rest: Any, **named: Any) -> list[OperatingPoint]:
        distances = index.candidates(sample.queries, 1, 16)[1]  # exact: all 16 lists are searched
        measured.append((index.n, len(sample.queries), float(distances.min())))
        return original(index, sample, *rest, **named)

    monkeypatch.setattr(measurer, "calibrate_index", spy)
    c = vs.create(root, dim=DIM, metric="l2")
    c.add(table(vectors[:ROWS]))
    assert c.build_index(recipe="IVF16,Flat").rows == ROWS
    c.add(table(vectors[ROWS:], ROWS), auto_index=False)
    extended = c.build_index(recipe="IVF16,Flat")
    assert extended.how == "extended"
    (before, after) = measured
    assert before[:2] == (ROWS - 600, 600 + 400)  # with 200 made ones of each kind
    assert after[:2] == (extended.rows - builder.MIN_QUERIES, builder.MIN_QUERIES + 400)
    assert min(before[2], after[2]) > 0.01


def test_builds_are_reproducible_whatever_the_threads(
    tmp_path: Path, data: tuple[np.ndarray, np.ndarray], small_exact: None
) -> None:
    vectors, queries = data
    results = []
    for threads in (1, 2):
        c = vs.create(tmp_path / f"{threads}.vs", dim=DIM)
        c.add(vectors[:ROWS])
        c.build_index(recipe="low-latency", seed=3, threads=threads)
        index = c._searching().attached.index
        assert index is not None
        surface = c.info().indexes[0].calibration["surface"]
        points = [point[:6] for point in surface]  # without the latency
        found = [
            c.search(query, k, recall=recall)
            for k, recall in ((1, 0.9), (10, 0.95), (50, 0.99))
            for query in queries
        ]
        plans = [(hits.plan.method, hits.plan.effort, hits.plan.depth) for hits in found]
        results.append(
            (
                index.candidates(queries, 20, 32)[0].tolist(),
                points,
                plans,
                [hits.ids for hits in found],
            )
        )
    assert results[0] == results[1]


def test_rows_added_merged_and_deleted_during_a_build_are_found_or_gone(
    root: Path,
    data: tuple[np.ndarray, np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
    small_exact: None,
) -> None:
    vectors, queries = data
    c = vs.create(root, dim=DIM)
    for part in np.array_split(np.arange(ROWS), 6):
        c.add(table(vectors[part], int(part[0])))
    original = builder.Builder.run

    def run(self: builder.Builder, *arguments: object) -> object:
        result = original(self, *arguments)
        with vs.open(root) as other:  # while the build was running
            for number in range(8):
                other.add(table(vectors[ROWS + number : ROWS + number + 1], ROWS + number))
            other.delete(range(100))
            other.compact()  # merges all segments
            other.add(table(vectors[:1] * 0.5 + vectors[3000:3001], 3000), on_conflict="replace")
        return result

    monkeypatch.setattr(builder.Builder, "run", run)
    c.build_index(recipe="low-latency", recall=0.9)
    assert len(c) == ROWS + 8 - 100
    live, attached = c._snapshot.live.mask, c._searching().attached
    assert live is not None
    assert attached.labels is not None and (attached.labels >= 0).sum() < ROWS
    assert len(live) - 1 in attached.unindexed_rows and live[-1]
    assert bootstrap_interval(recalls(c, queries[:60], 10, recall=0.9))[1] >= 0.9
    assert c.search(vectors[ROWS + 3], k=1).ids == [ROWS + 3]
    assert all(name >= 100 for hits in c.search_batch(vectors[:100], k=10) for name in hits.ids)


def test_without_its_files_an_index_is_replaced_by_exact_search(
    root: Path, data: tuple[np.ndarray, np.ndarray]
) -> None:
    vectors, queries = data
    c = vs.create(root, dim=DIM)
    c.add(vectors[:ROWS])
    expected = c.search(queries[0], k=5, exact=True).ids
    c.build_index(recipe="low-latency")
    c.close()
    for path in (root / "indexes").iterdir():
        path.unlink()
    with vs.open(root) as again:
        with pytest.warns(RuntimeWarning, match="searches are exact"):
            hits = again.search(queries[0], k=5)
        assert hits.ids == expected and hits.plan.method == "exact"
        again.build_index(recipe="exact")
        assert again.search(queries[0], k=5).ids == expected


def test_more_centroids_are_trained_on_more_rows() -> None:
    """39 rows for each of 4 sqrt(n) centroids; at least 65,536 rows, at most 512 MB."""
    lists = vs.IndexRecipe("lists", "ivf", code="pq4")
    assert training_rows(lists, 100_000, 384) == 65_536
    assert training_rows(lists, 1_000_000, 256) == 39 * 4000
    assert training_rows(lists, 9_000_000, 256) == 39 * 12_000
    assert training_rows(lists, 9_000_000, 1024) == 512 * 2**20 // 4096
    assert training_rows(lists, 9_000_000, 4096) == 65_536
    named = vs.IndexRecipe("lists", "ivf", code="pq4", nlist=4096)
    assert training_rows(named, 200_000, 64) == 39 * 4096
    assert (
        training_rows(vs.IndexRecipe("f", "factory", factory="PCA64,IVF4k,Flat"), 10**6, 64)
        == 39 * 4096
    )
    assert training_rows(vs.IndexRecipe("f", "factory", factory="HNSW32"), 10**7, 64) == 65_536


def test_an_unknown_recipe_or_bad_argument_is_refused(root: Path) -> None:
    c = vs.create(root, dim=4)
    c.add(clustered(2000, 4))
    with pytest.raises(vs.RecipeError, match="low-memory"):
        c.build_index(recipe="low-memroy")
    with pytest.raises(vs.InvalidInputError, match="memory is"):
        c.build_index(memory="much")
    with pytest.raises(vs.InvalidInputError, match="recall is"):
        c.build_index(recall=1.5)


def test_measured_recall_equals_recall_by_hand(
    root: Path, data: tuple[np.ndarray, np.ndarray], small_exact: None
) -> None:
    vectors, queries = data
    c = vs.create(root, dim=DIM)
    c.add(vectors[:ROWS])
    assert c.measure_recall(10, 100).recall == 1.0  # no index: exact
    c.build_index(recipe="low-latency", recall=0.9)
    report = c.measure_recall(10, 150, queries=queries)
    assert (
        report.low <= report.recall <= report.high
        and report.high >= 0.9
        and report.query_source == "the user's own queries"
    )
    mine = recalls(c, queries[:150], 10, recall=0.9).mean()
    assert report.recall == pytest.approx(mine, abs=0.005)
    with pytest.raises(vs.InvalidInputError, match="nothing to measure"):
        vs.create(root.with_suffix(".empty"), dim=2).measure_recall()


def test_building_again_extends_the_index(
    root: Path, data: tuple[np.ndarray, np.ndarray], small_exact: None
) -> None:
    vectors, queries = data
    c = vs.create(root, dim=DIM, auto_index=False)
    c.add(table(vectors[:ROWS]))
    c.build_index(recipe="low-latency", recall=0.9)
    c.delete(range(200))
    c.add(table(vectors[ROWS:], ROWS))
    again = c.build_index(recipe="low-latency")
    assert again.calibrated_on == "held-out rows"  # a check showed that it still holds
    assert again.how == "extended" and again.why.endswith(
        "new rows were added to the existing index"
    )
    outside = np.count_nonzero(c._snapshot.live.mask[c._searching().attached.unindexed_rows])
    assert (
        outside < 20 and again.rows >= ROWS + 1480
    )  # but for the few that are farther out than any row seen at training
    assert bootstrap_interval(recalls(c, queries[:60], 10, recall=0.9))[1] >= 0.9
    assert c.search(vectors[ROWS + 5], k=1).ids == [ROWS + 5]
    c.compact()
    c.add(table(vectors[:20], 9000))
    few = c.build_index(recipe="low-latency")
    assert few.calibrated_on == "held-out rows" and few.rows >= ROWS + 1500
    assert c.search(vectors[3], k=1).ids == [9003]
    assert bootstrap_interval(recalls(c, queries[:60], 10, recall=0.9))[1] >= 0.9
    c.delete(where="id < 3000")
    rebuilt = c.build_index(recipe="low-latency")
    assert rebuilt.calibrated_on == "held-out rows" and rebuilt.how == "built"
    assert "were deleted" in rebuilt.why
    assert (
        c.build_index(recipe="IVF16,Flat").why
        == "the recipe differs from that of the existing index"
    )
    assert (
        c.build_index(recipe="IVF16,Flat", seed=1).why
        == "the seed differs from that of the existing index"
    )
    assert c.build_index(recipe="exact").how == "none"


def test_an_extension_is_measured_again_if_its_calibration_does_not_hold(
    root: Path, data: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checked with at most 400 of the new rows that are held out, measured with all of them."""
    vectors, queries = data
    c = vs.create(root, dim=DIM, auto_index=False)
    c.add(table(vectors[:ROWS]))
    c.build_index(recipe="low-latency", recall=0.9)
    c.add(table(vectors[ROWS:], ROWS))
    asked: list[int] = []

    def fails(*arguments: Any) -> bool:
        asked.append(len(arguments[3]))
        return False

    monkeypatch.setattr(builder, "still_holds", fails)
    again = c.build_index(recipe="low-latency")
    assert again.calibrated_on == "held-out rows and held-out new rows"
    assert len(asked) == 1 and 100 < asked[0] <= 400
    assert bootstrap_interval(recalls(c, queries[:60], 10, recall=0.9))[1] >= 0.9


def test_advice_says_what_building_again_would_do(
    root: Path, data: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Costs by hand: 100 µs by index, 200 µs with many deleted rows, 1 µs for each row scored."""
    vectors, _ = data
    points = [
        OperatingPoint(16, 20, 10, 0.96, 0.96, 100.0),
        OperatingPoint(64, 100, 50, 0.96, 0.96, 200.0),
    ]
    monkeypatch.setattr(measurer, "calibrate_index", lambda *arguments, **named: points)
    monkeypatch.setattr(measurer, "row_micros", lambda dim: 1.0)
    c = vs.create(root, dim=DIM, auto_index=False)
    c.add(table(vectors[:3000]))
    assert (c.index_advice().action, c.index_advice().pays, c.index_advice().new) == (
        "none",
        False,
        3000,
    )
    c.add(table(vectors[3000:ROWS], 3000))
    advice = c.index_advice()
    assert (advice.action, advice.pays) == (
        "build",
        True,
    ) and "every search scores all of them" in str(advice)
    c.build_index(recipe="IVF32,Flat")
    outside = len(
        c._searching().attached.unindexed_rows
    )  # farther out than nearly all of the training sample: not in the index
    advice = c.index_advice()
    assert (
        advice.indexed == ROWS
        and advice.new == outside < 20
        and advice.gone == outside
        and not advice.pays
    )
    c.add(table(vectors[ROWS : ROWS + 20], ROWS))
    advice = c.index_advice()
    assert (advice.action, advice.pays, advice.new) == ("extend", outside > 5, outside + 20)
    c.add(table(vectors[ROWS + 20 :], ROWS + 20))
    advice = c.index_advice()
    assert (advice.action, advice.pays, advice.new) == ("extend", True, outside + 1500)
    assert advice.micros - advice.micros_after == outside + 1500
    assert str(advice).startswith(
        "extending the index is worthwhile: 1,5"
    ) and f"rows deleted; a search takes about {advice.micros:,.0f}" in str(advice)
    assert c.build_index(recipe="IVF32,Flat").how == "extended"
    c.delete(where="id < 3000")
    advice = c.index_advice()
    assert (advice.action, advice.pays) == ("rebuild", True) and 3000 <= advice.gone < 3030
    assert advice.micros - advice.new == 200 and advice.micros_after == 100
    assert c.build_index(recipe="IVF32,Flat").how == "built"
    assert not c.index_advice().pays


def test_advice_is_to_rebuild_when_all_indexed_rows_were_deleted(
    root: Path, data: tuple[np.ndarray, np.ndarray]
) -> None:
    vectors, _ = data
    c = vs.create(root, dim=DIM)
    c.add(table(vectors[:2000]))
    c.build_index(recipe="IVF16,Flat")
    c.add(table(vectors[2000:2100], 2000))
    c.delete(where="id < 2000")
    advice = c.index_advice()
    assert (advice.action, advice.pays, advice.new) == ("rebuild", True, 100)
    assert advice.gone == advice.indexed


def test_an_index_whose_recipe_holds_the_removed_key_rescore_is_extended() -> None:
    recipe = vs.IndexRecipe("g", "hnsw", code="sq8", M=8, ef_construction=40)
    changes = Growth(indexed=1000, new=10, deleted=0)

    def reason(**stored: object) -> str:
        entry = IndexEntry("a", (), (), 1000, asdict(recipe) | stored)
        return changes.why_rebuild(entry, Calibration(), recipe, 0)

    assert reason(rescore=True) == reason(rescore=False) == reason() == ""
    assert reason(description="other words") == ""
    assert "recipe differs" in reason(M=9)
    assert "recipe differs" in reason(later=1)  # a key of a later version


def test_the_promise_holds_after_adding_rows_that_are_easier_to_find(
    root: Path, small_exact: None
) -> None:
    """Rows spread evenly are hard, fifty heaps easy; the promise still holds for the hard ones."""
    rng = np.random.default_rng(2)
    hard = rng.standard_normal((6200, 24)).astype(np.float32)
    heaps = np.repeat(rng.standard_normal((50, 24)), 40, axis=0).astype(np.float32)
    easy = heaps + rng.standard_normal((2000, 24)).astype(np.float32) * 1e-3
    c = vs.create(root, dim=24, auto_index=False)
    c.add(table(hard[:6000]))
    c.build_index(recipe="IVF64,Flat", recall=0.9)
    c.add(table(easy, 6000))
    again = c.build_index(recipe="IVF64,Flat")
    assert again.how == "extended"
    assert all(c.search(query, 10).plan.method == "index" for query in hard[6000:6010])
    for k in (1, 10):
        values = recalls(c, hard[6000:], k, recall=0.9)
        assert bootstrap_interval(values)[1] >= 0.9, (k, values.mean())


def test_range_search_equals_numpy(root: Path, data: tuple[np.ndarray, np.ndarray]) -> None:
    vectors, queries = data
    c = vs.create(root, dim=DIM, metric="l2")
    c.add(table(vectors[:3000]))
    for query in queries[:5]:
        truth = brute_force(vectors[:3000], query, "l2")
        limit = float(np.sort(truth)[-40])
        hits = c.search_range(query, limit - 1e-3)
        assert set(hits.ids) == set(np.flatnonzero(truth >= limit - 1e-3).tolist())
        assert list(hits.scores) == sorted(hits.scores, reverse=True)
        assert set(c.search_range(query, limit - 1e-3, where="id < 1000").ids) == {
            name for name in hits.ids if name < 1000
        }
    assert c.search_range(queries[0], 0.0).ids == []
    with pytest.raises(vs.InvalidInputError, match="min_score"):
        c.search_range(queries[0], float("nan"))


def test_what_belongs_to_an_index_survives_commits_that_leave_its_rows_in_place(
    root: Path, data: tuple[np.ndarray, np.ndarray]
) -> None:
    vectors, _ = data
    with vs.create(root, dim=DIM) as c:
        c.add(table(vectors[:2000]))
        c.build_index(recipe="IVF16,Flat")
        indexed: list[list[Any]] = []  # the ids of the labels, each time

        def checked() -> CoveredRows:
            """What is attached, after comparing it with the rows of the index one by one."""
            attached, rows = c._searching().attached, c._snapshot.rows
            assert attached.covered is not None and attached.index is not None
            labels = np.arange(2000) if attached.labels is None else attached.labels
            assert attached.unindexed_rows.tolist() == sorted({*range(rows)} - {*labels.tolist()})
            assert attached.has_gaps == (-1 in labels)
            ids = c._snapshot.ids_at(labels[labels >= 0])
            indexed.append([number for number in ids if number != 7])
            assert indexed[-1] == indexed[0]
            return attached.covered

        first = checked()
        c.add(table(vectors[2000:2010], 2000))
        assert checked() is first
        c.delete([7, 2003])
        assert checked() is first
        with vs.open(root, version=3) as older:
            assert older._searching().attached.unindexed_rows.tolist() == []
        c.compact()
        moved = checked()
        assert moved is not first and moved.has_gaps
        c.add(table(vectors[2010:2020], 2010))
        assert checked() is moved
        c.build_index(recipe="IVF8,Flat")
        assert c._searching().attached.covered is not moved


def test_building_again_without_a_change_is_up_to_date(root: Path, small_exact: None) -> None:
    rng = np.random.default_rng(0)
    c = vs.create(root, dim=8, metric="l2", auto_index=False)
    vectors = rng.standard_normal((1500, 8))
    c.add(vectors)
    built = c.build_index("low-latency")
    again = c.build_index("low-latency")
    assert (again.how, again.why, again.version) == ("none", "up to date", built.version)
    assert (again.rows, again.bytes, again.promise) == (built.rows, built.bytes, built.promise)
    assert re.fullmatch(r"up to date( \(.* compared one by one\))?", str(c.index_advice()))
    c.add(np.full((1, 8), 1e4))  # so unusual that the index does not take it
    assert re.fullmatch(
        r"up to date \(\d unusual vectors? (is|are) compared one by one\)", str(c.index_advice())
    )
    assert c.index_advice().action == "none" and not c.index_advice().pays
    assert c.build_index("low-latency").how == "none"
    with pytest.raises(vs.RecipeError, match="more than"):
        c.build_index("low-latency", memory=10)
    c.add(rng.standard_normal((1, 8)))
    assert c.index_advice().action == "extend"
    assert c.build_index("low-latency").how == "extended"
    assert c.build_index("low-latency").how == "none"
    assert c.build_index("low-latency", recall=0.9).how != "none"
