"""An inverted file whose lists stay on disk: built in runs, mapped, searched list by list."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import pytest

import vecsearch as vs
from vecsearch.common import mapped
from vecsearch.common.arrays import Vectors
from vecsearch.index.faiss import DiskIndex, disk_lists, read_index, train_index
from vecsearch.index.faiss.disk_lists import ListRuns, centroids_in_two_levels
from vecsearch.index.recipe import IndexRecipe
from vecsearch.index.remembered_scores import RememberedScores
from vecsearch.storage.build_folder import BuildFolder

DIM = 16
CODES = ("rabitq2", "rabitq3", "rabitq4", "sq4", "sq8", "fp16")
SMALL = vs.Limits(smallest_index_rows=100, segment_rows=1_000)


def rows_of(count: int, seed: int = 0) -> Vectors:
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(99).standard_normal((30, DIM)) * 2
    found = centers[rng.integers(0, 30, count)] + rng.standard_normal((count, DIM))
    return np.ascontiguousarray(found, np.float32)


def trained(
    root: Path, rows: Vectors, code: str = "sq8", metric: str = "l2", nlist: int = 20
) -> DiskIndex:
    recipe = IndexRecipe("d", "disk", code=code, nlist=nlist)
    index = train_index(
        recipe,
        metric,
        DIM,
        lambda: iter([rows[:700], rows[700:]]),
        len(rows),
        rows[:800],
        work=BuildFolder(root),
    )
    assert isinstance(index, DiskIndex)
    return index


@pytest.fixture
def short_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that 2,000 rows are several runs."""
    monkeypatch.setattr(disk_lists, "RUN_BYTES", 1000)
    monkeypatch.setattr(disk_lists, "BLOCK", 300)


@pytest.mark.parametrize("code", CODES)
def test_the_file_is_what_faiss_writes(
    short_runs: None, tmp_path: Path, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, runs, spill = rows_of(2000), [], ListRuns._spill

    def counted(self: ListRuns) -> None:
        runs.append(1)
        spill(self)

    monkeypatch.setattr(ListRuns, "_spill", counted)
    index = trained(tmp_path, rows, code)
    index.write(tmp_path / "ours.faiss")
    assert len(runs) > 4
    whole = disk_lists._from_head(index._head, index.parts[1])
    whole.add(index.parts[0].rows(rows))
    faiss.write_index(whole, str(tmp_path / "faiss.faiss"))
    expected = (tmp_path / "faiss.faiss").read_bytes()
    assert (tmp_path / "ours.faiss").read_bytes()[: len(expected)] == expected


@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
def test_all_lists_find_what_exact_search_finds(
    short_runs: None, tmp_path: Path, metric: str
) -> None:
    rows = rows_of(2000)
    if metric == "cosine":
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    index = trained(tmp_path, rows, "fp16", metric)
    queries = rows[:20] + np.float32(0.01)
    labels, distances = index.candidates(queries, 5, 20)
    wide = queries.astype(np.float64) @ rows.astype(np.float64).T
    if metric != "ip":
        wide -= np.square(rows.astype(np.float64)).sum(axis=1) / 2
    best = np.argsort(-wide, axis=1)[:, :8]
    assert all(set(found) <= set(true) for found, true in zip(labels, best, strict=True))
    assert (np.diff(distances, axis=1) >= 0).all()


def test_inserted_rows_are_between_the_others(short_runs: None, tmp_path: Path) -> None:
    rows = rows_of(2000)
    held = np.sort(np.random.default_rng(5).choice(2000, 150, replace=False))
    base = np.setdiff1d(np.arange(2000), held)
    index = trained(tmp_path, rows[base])
    index.out_of_range = np.array([0, 1000, 1849])
    for part in np.array_split(held, 4):
        index.insert(rows[part], part)
    assert index.n == 2000
    np.testing.assert_array_equal(index.out_of_range, base[[0, 1000, 1849]])
    index.write(tmp_path / "whole.faiss")
    read = read_index(tmp_path / "whole.faiss")
    assert isinstance(read, DiskIndex)
    for found in (index, read):
        labels, _ = found.candidates(rows, 1, 20)
        assert (labels[:, 0] == np.arange(2000)).mean() > 0.995  # of the others, codes are near
        np.testing.assert_array_equal(found.out_of_range, base[[0, 1000, 1849]])
        found_rows = np.sort(found.candidates(rows[:1], 2000, 20)[0][0])
        np.testing.assert_array_equal(found_rows, np.arange(2000))
    read.require_whole()


def test_rows_are_added_to_a_read_index(short_runs: None, tmp_path: Path) -> None:
    rows = rows_of(2000)
    trained(tmp_path, rows[:1500]).write(tmp_path / "part.faiss")
    index = read_index(tmp_path / "part.faiss", mmap=False)
    assert isinstance(index, DiskIndex)
    index.work = BuildFolder(tmp_path)
    index.add(rows[1500:1800])
    assert index.candidates(rows[1700:1701], 1, 20)[0].tolist() == [[1700]]
    index.add(rows[1800:])
    index.write(tmp_path / "whole.faiss")
    trained(tmp_path, rows[:1500])
    read = read_index(tmp_path / "whole.faiss")
    assert read.n == 2000
    assert read.candidates(rows[1900:1901], 1, 20)[0].tolist() == [[1900]]
    assert read_index(tmp_path / "part.faiss").n == 1500


def test_many_lists_have_a_graph_over_their_centroids(tmp_path: Path) -> None:
    rows = rows_of(9000)
    index = train_index(
        IndexRecipe("d", "disk", code="sq8", nlist=4096),
        "l2",
        DIM,
        lambda: iter([rows]),
        len(rows),
        rows,
        work=BuildFolder(tmp_path),
    )
    index.write(tmp_path / "many.faiss")
    read = read_index(tmp_path / "many.faiss")
    assert isinstance(read, DiskIndex)
    quantizer = faiss.downcast_index(read.parts[1].quantizer)
    assert isinstance(quantizer, faiss.IndexHNSW) and quantizer.ntotal == 4096
    read.require_whole()
    labels, _, cost = read.estimated(rows[:500], 1, 64)
    assert (labels[:, 0] == np.arange(500)).mean() > 0.97
    assert read.memory_bytes() > 4096 * (4 * DIM + 256) and 84 < cost < 200


def test_the_folder_of_a_build_goes_with_it(tmp_path: Path) -> None:
    index = trained(tmp_path, rows_of(1000))
    (folder,) = (tmp_path / "staging").iterdir()
    assert folder == index.work.path  # type: ignore[union-attr]
    del index
    assert list((tmp_path / "staging").iterdir()) == []


@pytest.mark.parametrize(
    ("metric", "dtype"), [("cosine", "float16"), ("l2", "float32"), ("ip", "float32")]
)
def test_a_collection_keeps_its_recall(tmp_path: Path, metric: str, dtype: str) -> None:
    rows, root = rows_of(2000), tmp_path / "c.vs"
    recipe = IndexRecipe("d", "disk", code="sq4", nlist=16)
    with vs.create(
        root,
        dim=DIM,
        metric=metric,  # type: ignore[arg-type]
        dtype=dtype,  # type: ignore[arg-type]
        limits=SMALL,
        auto_index=False,
    ) as c:
        c.add(rows[:1600], progress=False)
        built = c.build_index(recipe, progress=False)
        assert built.rows == 1600 and "held-out rows" in built.calibrated_on
        assert built.memory_bytes < built.bytes / 4
        if metric == "cosine":  # in the others, a few rows may be unlike the sample
            assert not list((root / "indexes").glob("*.labels.arrow"))
        assert c.search(rows[1700], 10).plan.method == "index"
        assert c.measure_recall(k=10, n_queries=100).high >= 0.95
        c.add(rows[1600:], progress=False)
        grown = c.build_index(recipe, progress=False)
        assert grown.how == "extended" and grown.rows >= 1990
        assert c.measure_recall(k=10, n_queries=100).high >= 0.95
        c.delete(range(100))
        assert c.check() == []
        assert list((root / "staging").iterdir()) == []
    with vs.open(root) as c:
        found, exact = (c.search_batch(rows[-50:], 10, exact=exact) for exact in (False, True))
        for one, true in zip(found, exact, strict=True):
            assert len(set(one.ids) & set(true.ids)) >= 6
            scores = dict(zip(true.ids, true.scores, strict=True))
            assert all(scores.get(hit.id, hit.score) == hit.score for hit in one)


def test_an_exact_search_costs_reading_all_rows_from_the_disk(tmp_path: Path) -> None:
    """300 MB a second: so few queries are left to exact search, which takes longest here."""
    rows = rows_of(3000)
    per_row = {}
    for recipe in ("on-disk", "low-latency"):
        with vs.create(tmp_path / recipe, dim=DIM, dtype="float16", limits=SMALL) as c:
            c.add(rows, progress=False)
            c.build_index(recipe, progress=False)
            per_row[recipe] = c.info().indexes[0].calibration["exact_micros_per_row"]
    assert per_row["on-disk"] - per_row["low-latency"] == pytest.approx(DIM * 2 / 300)


def test_every_shard_has_its_lists(tmp_path: Path) -> None:
    rows = rows_of(1000)
    with vs.create(tmp_path / "c.vs", dim=DIM, shards=2, limits=SMALL, auto_index=False) as c:
        c.add(rows, progress=False)
        recipe = IndexRecipe("d", "disk", code="sq8", nlist=10)
        assert c.build_index(recipe, progress=False).rows == 1000
        assert len(c.info().indexes) == 2 and c.check() == []
        assert c.search(rows[7], 3).plan.method == "index" and c.search(rows[7], 1).ids == [7]


def test_a_list_that_names_other_rows_is_noticed(tmp_path: Path) -> None:
    rows, root = rows_of(2000), tmp_path / "c.vs"
    with vs.create(root, dim=DIM, metric="l2", limits=SMALL, auto_index=False) as c:
        c.add(rows, progress=False)
        c.build_index(IndexRecipe("d", "disk", code="sq8", nlist=10), progress=False)
    (path,) = (root / "indexes").glob("*.faiss")
    index = read_index(path)
    assert isinstance(index, DiskIndex)
    whole = path.read_bytes()
    labels = faiss.rev_swig_ptr(
        index._index.invlists.get_ids(3), index._index.invlists.list_size(3)
    ).copy()
    at = whole.index(labels.tobytes())
    damaged = np.full(len(labels), 10**6).tobytes()
    path.write_bytes(whole[:at] + damaged + whole[at + len(damaged) :])
    with pytest.raises(vs.CorruptedError, match="a list names rows that are not there"):
        read_index(path).candidates(rows[labels], 1, 1)
    with pytest.raises(vs.CorruptedError, match="rows that are not there"):
        read_index(path).require_whole()  # type: ignore[attr-defined]
    with vs.open(root) as c:
        assert any("indexes" in str(problem) for problem in c.check())


def test_an_automatic_index_of_little_memory_is_on_disk(tmp_path: Path) -> None:
    with vs.create(tmp_path / "c.vs", dim=DIM, auto_index=False) as c:
        c.add(rows_of(4200), progress=False)
        assert c.build_index(memory=40_000, progress=False).recipe == "auto"
        assert c.info().indexes[0].recipe["kind"] == "disk"


def test_rows_read_apart_are_the_stored_ones(tmp_path: Path) -> None:
    rows = rows_of(2500)
    with vs.create(tmp_path / "c.vs", dim=DIM, dtype="float16", limits=SMALL) as c:
        c.add(rows, progress=False, auto_index=False)
        snapshot = c._snapshot
        listed = np.array([0, 2499, 3, 3, 1000, 999])
        np.testing.assert_array_equal(
            snapshot.scattered_vectors(listed), snapshot.stored_vectors(listed)
        )


def test_ranges_of_a_page_are_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []

    def advise(start: int, length: int, advice: int) -> int:
        asked.append((start, length))
        return 0

    monkeypatch.setattr(mapped, "_advise", lambda: advise)
    page = mapped.PAGE
    starts = np.array([5 * page + 7, 10, 20, page - 1, 5 * page])
    mapped.will_need(starts, starts + 50)
    assert asked == [(0, page + 49), (5 * page, 57)]


def test_scores_are_remembered() -> None:
    rng = np.random.default_rng(0)
    true, calls = rng.standard_normal((3, 50)), [0]

    def score(queries: Vectors, labels: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        calls[0] += int((labels >= 0).sum())
        numbers = queries[:, 0].astype(int)
        found = true[numbers[:, None], np.maximum(labels, 0)]
        return np.where(labels < 0, -np.inf, found)

    remembered = RememberedScores(score)
    queries = np.arange(3, dtype=np.float32)[:, None]
    for _ in range(4):
        labels = rng.integers(-1, 50, (3, 30))
        np.testing.assert_array_equal(remembered(queries, labels), score(queries, labels))
        np.testing.assert_array_equal(
            remembered(queries[1:], labels[1:]), score(queries[1:], labels[1:])
        )
    calls[0] = 0
    everything = np.tile(np.arange(50), (3, 1))
    remembered(queries, everything)
    first, calls[0] = calls[0], 0
    remembered(queries, everything)
    assert first < 150 and calls[0] == 0


def test_centroids_in_two_levels() -> None:
    rows = rows_of(3000)
    found = centroids_in_two_levels(rows, 100, 1, spherical=False)
    assert found.shape == (100, DIM) and np.isfinite(found).all()
    np.testing.assert_array_equal(found, centroids_in_two_levels(rows, 100, 1, spherical=False))
    plain = faiss.Kmeans(DIM, 100, niter=10, seed=1)
    plain.train(rows)
    error, least = (
        np.square(rows[:, None, :] - centroids).sum(axis=2).min(axis=1).mean()
        for centroids in (found, plain.centroids)
    )
    assert error < 1.15 * least
