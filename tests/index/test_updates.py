"""Rows that changes leave outside the index are indexed before the call returns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from support.data import brute_force, clustered

import vecsearch as vs
from vecsearch.index import auto, updating
from vecsearch.index.attached import attach
from vecsearch.index.build import build_index
from vecsearch.index.faiss import projection
from vecsearch.index.kernels import numpy_hnsw
from vecsearch.index.kernels.loader import LOADER
from vecsearch.index.policy import Rules
from vecsearch.storage import log

DIM, FIRST = 40, 3000
RULES = Rules(
    first=2500,
    least=60,
    share=1 / 50,
    most=120,
    beside_tails=60,
    without_codes=60,
    join=1 / 6,
    ratio=2,
)
FloatRows = npt.NDArray[np.float32]


def table(vectors: FloatRows, ids: npt.NDArray[np.int64]) -> pa.Table:
    flat = pa.FixedSizeListArray.from_arrays(pa.array(vectors[ids].ravel()), vectors.shape[1])
    return pa.table({"id": ids, "vector": flat, "n": ids, "third": ids % 3})


@pytest.fixture(scope="module")
def vectors() -> FloatRows:
    return clustered(6000, DIM, seed=3, clusters=50)


@pytest.fixture(autouse=True)
def small_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits for a few thousand rows."""
    monkeypatch.setattr(updating, "RULES", RULES)
    monkeypatch.setattr(auto, "EXACT_BELOW", 1000)


def part_rows(c: vs.Collection) -> list[int]:
    return [index.rows for index in c.info().indexes]


def recalls(
    c: vs.Collection,
    vectors: FloatRows,
    live: npt.NDArray[np.int64],
    queries: FloatRows,
    k: int,
    recall: float,
    where: str | None = None,
) -> npt.NDArray[np.float64]:
    """Of each query, against float64."""
    metric, out = c.info().metric, []
    for query, hits in zip(
        queries, c.search_batch(queries, k=k, recall=recall, where=where), strict=True
    ):
        scores = brute_force(vectors[live], query, metric)
        kth = np.sort(scores)[-min(k, len(scores))]
        of = dict(zip(live.tolist(), scores.tolist(), strict=True))
        assert len(set(hits.ids)) == len(hits.ids) == min(k, len(scores))
        found = [of[name] for name in hits.ids]
        np.testing.assert_allclose(hits.scores, found, rtol=1e-4, atol=1e-5)
        out.append(np.mean([score >= kth - 1e-6 for score in found]))
    return np.array(out)


def require(values: npt.NDArray[np.float64], target: float) -> None:
    """The target lies inside or below the 99% interval of the mean."""
    assert values.mean() + 2.6 * values.std() / len(values) ** 0.5 >= target


@pytest.mark.parametrize(
    "metric", ["cosine", *(pytest.param(name, marks=pytest.mark.slow) for name in ("ip", "l2"))]
)
def test_recall_through_a_life_of_changes(
    root: Path, vectors: FloatRows, metric: str, small_exact: None
) -> None:
    queries = clustered(50, DIM, seed=4, clusters=50) * 0.3 + vectors[5950:] * 0.7
    c = vs.create(root, dim=DIM, metric=metric, recall=0.9)
    result = c.add(table(vectors, np.arange(FIRST)))
    assert result.indexed_rows == FIRST and result.version == c.info().version
    assert result.index_bytes == sum(index.bytes for index in c.info().indexes)
    live, used, tails = set(range(FIRST)), 0, 0

    def check() -> None:
        nonlocal used, tails
        tails += len(c.info().indexes) > 1
        rows = np.array(sorted(live))
        for k, target in ((1, 0.9), (10, 0.95), (50, 0.9)):
            require(recalls(c, vectors, rows, queries, k, target), target)
            used += c.search(queries[0], k, recall=target).plan.method != "exact"
        some = rows[rows % 3 == 1]
        require(recalls(c, vectors, some, queries[:40], 10, 0.9, "third = 1"), 0.9)

    check()
    at = FIRST
    for count in (90, 130, 1, 200, 70, 300):
        c.add(table(vectors, np.arange(at, at + count)))
        live |= set(range(at, at + count))
        at += count
        check()
    gone = list(range(0, at, 9))
    c.delete(gone)
    live -= set(gone)
    check()
    again = np.arange(5, 900, 7)
    vectors = vectors.copy()
    vectors[again] = vectors[again][:, ::-1]
    c.add(table(vectors, again), on_conflict="replace")
    live |= set(again.tolist())
    check()
    with vs.open(root) as opened:
        for query in queries[:20]:
            assert opened.search(query, 10).ids == c.search(query, 10).ids
    before = [hits.ids for hits in c.search_batch(queries, k=10)]
    c.compact()
    check()
    after = [hits.ids for hits in c.search_batch(queries, k=10)]
    assert np.mean([a == b for a, b in zip(before, after, strict=True)]) > 0.8
    c.build_index("auto")
    assert len(part_rows(c)) == 1
    check()
    assert tails >= 3 and used > 20
    assert c.check() == []


def test_the_same_ids_alone_in_a_batch_and_by_either_kernel(
    root: Path, vectors: FloatRows, small_exact: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = LOADER.load()
    if compiled is None:
        pytest.skip("numba is not installed")
    c = vs.create(root, dim=DIM, recall=0.9)
    c.add(table(vectors, np.arange(FIRST)))
    for first, count in ((FIRST, 130), (FIRST + 130, 50), (FIRST + 180, 130), (FIRST + 310, 25)):
        c.add(table(vectors, np.arange(first, first + count)))
    c.delete(range(0, 3300, 11))
    assert len(part_rows(c)) > 1 and len(attach(c._snapshot).unindexed_rows)
    queries = np.concatenate([vectors[FIRST : FIRST + 330 : 9], vectors[5000:5060]])
    answers = []
    for kernels in (compiled, numpy_hnsw, None):  # without any, FAISS searches
        monkeypatch.setattr(LOADER, "kernels", lambda queries=1, kernels=kernels: kernels)
        for where in (None, "third = 1", "n >= 2990"):
            for k in (1, 10, 60):
                alone = [c.search(query, k, where=where) for query in queries]
                batch = c.search_batch(queries, k=k, where=where)
                assert [hits.ids for hits in alone] == [hits.ids for hits in batch]
                assert [str(hits.plan) for hits in alone] == [str(hits.plan) for hits in batch]
                answers.append([(hits.ids, hits.scores.tolist()) for hits in alone])
    assert answers[:9] == answers[9:18] == answers[18:]
    searcher = c._searching()
    one, two = (
        searcher.batch(
            searcher.snapshot.stored_vectors(np.arange(0, 3000, 40)),
            10,
            [searcher.snapshot.live] * 75,
            0.9,
            False,
            threads,
        )
        for threads in (1, 2)
    )
    for first, second in zip(one, two, strict=True):
        assert first.positions.tolist() == second.positions.tolist()


def test_a_query_amid_the_rows_of_a_tail_finds_all_of_them(
    root: Path, vectors: FloatRows, small_exact: None
) -> None:
    """The tail is asked for few rows at first; where all ten are in it, it is asked again."""
    rng = np.random.default_rng(0)
    near = vectors.copy()
    near[FIRST : FIRST + 130] = vectors[17] + rng.normal(0, 0.01, (130, DIM))
    c = vs.create(root, dim=DIM, metric="l2", recall=0.95)
    c.add(table(near, np.arange(FIRST)))
    c.add(table(near, np.arange(FIRST, FIRST + 130)))
    assert part_rows(c) == [FIRST, 130]
    hits = [c.search(near[number], 10) for number in range(FIRST, FIRST + 130)]
    assert all(set(each.ids) <= {17, *range(FIRST, FIRST + 130)} for each in hits)
    live = np.arange(FIRST + 130)
    require(recalls(c, near, live, near[FIRST : FIRST + 130], 10, 0.95), 0.95)
    assert len(hits[0].plan.parts) == 2 and "other rows" in str(hits[0].plan)


def test_rows_outside_do_not_crowd_each_other_out(
    root: Path, vectors: FloatRows, small_exact: None
) -> None:
    """Forty new rows that codes cannot tell apart, in no index."""
    rng = np.random.default_rng(0)
    near = vectors.copy()
    near[FIRST : FIRST + 40] = vectors[17] + rng.normal(0, 0.003, (40, DIM))
    c = vs.create(root, dim=DIM, metric="l2", recall=0.95)
    c.add(table(near, np.arange(FIRST)))
    c.add(table(near, np.arange(FIRST, FIRST + 40)))
    assert part_rows(c) == [FIRST]
    searcher = c._searching()
    state = searcher.states.of(searcher.snapshot.live)
    codes = state.requests(10, c.plan(k=10))[0].outside_codes
    assert len(codes) == 40 and len(np.unique(codes, axis=0)) < 30
    assert (recalls(c, near, np.arange(FIRST + 40), near[FIRST : FIRST + 40], 10, 0.95) == 1).all()
    where = f"n >= {FIRST - 100}"
    some = np.arange(FIRST - 100, FIRST + 40)
    assert (recalls(c, near, some, near[FIRST : FIRST + 40], 10, 0.95, where) == 1).all()


def test_what_an_index_contains_follows_from_the_commits(
    tmp_path: Path, vectors: FloatRows
) -> None:
    """The same changes give the same parts and answers, whatever happens between them."""
    found = []
    for reopened in (False, True):
        c = vs.create(tmp_path / f"{reopened}.vs", dim=DIM)
        for first, last in ((0, 2400), (2400, 2700), (2700, 2780), (2780, 2850), (2850, 2860)):
            c.add(table(vectors, np.arange(first, last)))
            if reopened:
                c.search(vectors[0], 3)
                c.close()
                c = vs.open(tmp_path / f"{reopened}.vs")
        found.append((part_rows(c), [hits.ids for hits in c.search_batch(vectors[:50], k=5)]))
        assert c.info().segments <= 4
    assert found[0] == found[1] and found[0][0] == [2700, 150]


@pytest.mark.parametrize("off", ["create", "add", "exact"])
def test_nothing_is_indexed_where_that_is_not_wanted(
    root: Path, vectors: FloatRows, off: str
) -> None:
    c = vs.create(root, dim=DIM, auto_index=off != "create")
    if off == "exact":
        c.add(table(vectors, np.arange(2000)))
        c.build_index("exact")
        c.add(table(vectors, np.arange(2000, FIRST)))
        assert part_rows(c) == [] and c.search(vectors[0], 2).plan.method == "exact"
        c.build_index("low-latency")
        assert c.add(table(vectors, np.arange(FIRST, FIRST + 130))).indexed_rows == 130
        return
    wanted = False if off == "add" else None
    done = c.add(table(vectors, np.arange(FIRST)), auto_index=wanted)
    assert part_rows(c) == [] and done.indexed_rows == done.index_bytes == 0
    c.build_index("low-latency")
    c.add(table(vectors, np.arange(FIRST, FIRST + 900)), auto_index=wanted)
    assert part_rows(c) == [FIRST]
    assert c.search(vectors[FIRST + 7], 1).ids == [FIRST + 7]
    if off == "create":
        assert c.add(table(vectors, np.arange(3900, 3901)), auto_index=True).indexed_rows == 901
    else:
        assert c.add(table(vectors, np.arange(3900, 3901))).indexed_rows == 901
    with pytest.raises(vs.InvalidInputError, match="auto_index is 'yes'"):
        c.add([], auto_index="yes")  # type: ignore[arg-type]
    with pytest.raises(vs.InvalidInputError, match="auto_index is 1"):
        vs.create(root.with_suffix(".two"), dim=2, auto_index=1)  # type: ignore[arg-type]


def test_an_error_while_indexing_is_a_warning_for_the_rows_are_there(
    root: Path, vectors: FloatRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = vs.create(root, dim=DIM)

    def full(*_: object, **__: object) -> None:
        raise vs.StorageError("the disk is full")

    monkeypatch.setattr(updating, "build_index", full)
    with pytest.warns(RuntimeWarning, match="rows were not indexed: the disk is full"):
        result = c.add(table(vectors, np.arange(FIRST)))
    assert result.added == FIRST == len(c) and result.version == c.info().version == 2
    monkeypatch.setattr(updating, "build_index", build_index)
    assert c.add(table(vectors, np.arange(FIRST, FIRST + 1))).indexed_rows == FIRST + 1


def test_what_is_damaged_is_not_indexed(root: Path, vectors: FloatRows) -> None:
    c = vs.create(root, dim=DIM)
    c.add(table(vectors, np.arange(FIRST)), auto_index=False)
    c.close()
    (segment,) = log.load(root).segments
    with (root / segment.name).open("r+b") as file:
        file.seek(segment.file.bytes // 2)
        file.write(b"damage")
    with vs.open(root) as damaged:
        with pytest.warns(RuntimeWarning, match="not indexed.*checksum differs"):
            done = damaged.add(table(vectors, np.arange(FIRST, FIRST + 1)))
        assert done.added == 1 and done.indexed_rows == 0 and part_rows(damaged) == []


def test_damaged_tails_are_left_out_and_built_again(root: Path, vectors: FloatRows) -> None:
    c = vs.create(root, dim=DIM)
    c.add(table(vectors, np.arange(FIRST)))
    c.add(table(vectors, np.arange(FIRST, FIRST + 130)))
    tail = log.load(root).indexes[1]
    expected = [hits.ids for hits in c.search_batch(vectors[FIRST : FIRST + 130], k=1)]
    c.close()
    with (root / tail.name).open("r+b") as file:
        file.seek(200)
        file.write(b"damage")
    with vs.open(root) as opened, pytest.warns(RuntimeWarning, match="searches are exact"):
        assert [
            hits.ids for hits in opened.search_batch(vectors[FIRST : FIRST + 130], k=1)
        ] == expected
    done = vs.repair(root)
    assert all(done.version not in damage.versions for damage in done.left)
    with vs.open(root) as repaired:
        assert part_rows(repaired) == [FIRST + 130]
        assert [
            hits.ids for hits in repaired.search_batch(vectors[FIRST : FIRST + 130], k=1)
        ] == expected


def test_a_purge_drops_only_the_indexes_that_hold_deleted_rows(
    root: Path, vectors: FloatRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projection, "ERROR_MARGIN", 10)  # no row is left out of the main index
    c = vs.create(root, dim=DIM)
    c.add(table(vectors, np.arange(FIRST)))
    c.add(table(vectors, np.arange(FIRST, FIRST + 130)))
    c.delete([FIRST + 5])
    c.compact(purge=True)
    assert part_rows(c) == [FIRST] and len(c) == FIRST + 129
    c.delete([5])
    c.compact(purge=True)
    assert part_rows(c) == []
