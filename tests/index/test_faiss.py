"""Every kind of index against exact search, on every metric, written and read, and extended."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import faiss
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vecsearch.errors import CorruptedError, InvalidInputError, RecipeError, StorageError
from vecsearch.index.faiss import FaissIndex, read_index, train_index
from vecsearch.index.faiss.projection import fit_projection
from vecsearch.index.recipe import IndexRecipe, load_recipe

Floats = npt.NDArray[np.float32]
N, DIM, QUERIES = 3000, 48, 60
METRICS = ("cosine", "ip", "l2")

GRAPH = IndexRecipe("graph", "hnsw", code="sq8", reduced=32, M=12, ef_construction=60)
RECIPES = {
    "exact": IndexRecipe("exact", "exact"),
    "graph in bytes": GRAPH,
    "graph in bytes, whole": IndexRecipe("g", "hnsw", code="sq8", M=12, ef_construction=60),
    "graph in floats": IndexRecipe("g", "hnsw", code="float32", M=12, ef_construction=60),
    "graph in halves, reduced": IndexRecipe(
        "g", "hnsw", code="fp16", reduced=32, M=12, ef_construction=60
    ),
    "lists in floats": IndexRecipe("l", "ivf", code="float32", nlist=16),
    "lists in bytes": IndexRecipe("l", "ivf", code="sq8", reduced=32),
    "lists in 2 bits": IndexRecipe("l", "ivf", code="pq4", nlist=16),
    "lists in 1 bit": IndexRecipe("l", "ivf", code="rabitq", nlist=16),
}
FACTORIES = (
    "Flat",
    "IVF16,PQ16x4fs",
    "HNSW16_SQ8",
    "PCA32,HNSW16_SQ8",
    "IVF16,Flat,RFlat",
    "NSG16",
    "SQ8",
    "PCA32,IVF16_HNSW8,SQ8",
)


def clustered(n: int, metric: str, seed: int = 0) -> Floats:
    """Vectors around 40 centers whose components shrink, as those of real embeddings do.

    Of varied length, except for cosine.
    """
    rng = np.random.default_rng(seed)
    weights = 0.93 ** np.arange(DIM)
    centers = np.random.default_rng(99).standard_normal((40, DIM))
    vectors = (
        centers[rng.integers(0, 40, n)] + 0.6 * rng.standard_normal((n, DIM))
    ) * weights + 0.2
    if metric == "cosine":
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.ascontiguousarray(vectors, np.float32)


def distances(queries: Floats, vectors: Floats, metric: str) -> npt.NDArray[np.float64]:
    """What exact search sorts by: smaller is nearer."""
    dots = queries.astype(np.float64) @ vectors.astype(np.float64).T
    return -dots if metric == "ip" else (vectors.astype(np.float64) ** 2).sum(axis=1) - 2 * dots


def recall(
    index: FaissIndex, queries: Floats, vectors: Floats, depth: int = 100, effort: int | None = None
) -> float:
    """Share of the true 10 nearest among the candidates."""
    labels, _ = index.candidates(queries, depth, effort or index.efforts()[-1])
    truth = np.argsort(distances(queries, vectors, index.metric), axis=1, kind="stable")[:, :10]
    return float(
        np.mean(
            [np.isin(wanted, found).mean() for wanted, found in zip(truth, labels, strict=True)]
        )
    )


def pieces(vectors: Floats, size: int) -> Callable[[], Iterator[Floats]]:
    return lambda: (vectors[at : at + size] for at in range(0, len(vectors), size))


def built(
    recipe: IndexRecipe,
    metric: str,
    vectors: Floats,
    *,
    size: int = 1000,
    threads: int = 1,
    seed: int = 0,
) -> FaissIndex:
    return train_index(
        recipe,
        metric,
        vectors.shape[1],
        pieces(vectors, size),
        len(vectors),
        vectors,
        threads=threads,
        seed=seed,
    )


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", RECIPES)
def test_every_kind_finds_what_exact_search_finds(name: str, metric: str) -> None:
    vectors, queries = clustered(N, metric), clustered(QUERIES, metric, seed=1)
    index = built(RECIPES[name], metric, vectors)
    assert (index.n, index.dim, index.metric, index.kind) == (N, DIM, metric, RECIPES[name].kind)
    assert recall(index, queries, vectors, depth=150) >= 0.99


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("factory", FACTORIES)
def test_any_factory_string_finds_what_exact_search_finds(
    factory: str, metric: str, tmp_path: Path
) -> None:
    if factory == "NSG16" and metric == "ip":
        pytest.skip("FAISS's NSG knows Euclidean distance only")
    vectors, queries = clustered(N, metric), clustered(QUERIES, metric, seed=1)
    index = built(load_recipe(factory), metric, vectors)
    assert recall(index, queries, vectors, depth=200) >= 0.97
    index.write(tmp_path / "index")
    again = read_index(tmp_path / "index")
    effort = index.efforts()[-1]
    assert np.array_equal(
        again.candidates(queries, 20, effort)[0], index.candidates(queries, 20, effort)[0]
    )


@pytest.mark.parametrize("metric", METRICS)
def test_the_exact_kind_equals_numpy(metric: str) -> None:
    vectors, queries = clustered(500, metric), clustered(20, metric, seed=1)
    labels, found = built(RECIPES["exact"], metric, vectors).candidates(queries, 7, 1)
    expected = np.argsort(distances(queries, vectors, metric), axis=1)[:, :7]
    assert np.array_equal(labels, expected)
    assert labels.dtype == np.int64
    assert found.dtype == np.float32
    assert (np.diff(found, axis=1) >= 0).all()


def test_more_effort_finds_more() -> None:
    vectors, queries = clustered(N, "cosine"), clustered(QUERIES, "cosine", seed=1)
    index = built(
        IndexRecipe("g", "hnsw", code="sq8", reduced=32, M=4, ef_construction=20), "cosine", vectors
    )
    efforts = index.efforts()
    assert list(efforts) == sorted(set(efforts))
    assert recall(index, queries, vectors, 20, efforts[0]) < recall(
        index, queries, vectors, 20, efforts[-1]
    )
    lists = built(RECIPES["lists in floats"], "cosine", vectors)
    assert lists.efforts()[-1] == 16
    assert recall(lists, queries, vectors, 20, 1) < recall(lists, queries, vectors, 20, 16) == 1


@pytest.mark.parametrize("name", ["graph in bytes", "graph in floats", "lists in 2 bits", "exact"])
def test_fewer_rows_than_asked_for_are_padded(name: str) -> None:
    vectors = clustered(300, "l2")
    index = built(RECIPES[name], "l2", vectors)
    labels, _ = index.candidates(vectors[:2], 400, index.efforts()[-1])
    assert labels.shape == (2, 400)
    for row in labels:
        found = row[row >= 0]
        assert len(np.unique(found)) == len(found)
        assert found.max() < 300
        assert (row[len(found) :] == -1).all()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize(
    "name", ["graph in bytes", "graph in floats", "lists in 2 bits", "lists in 1 bit", "exact"]
)
def test_written_and_read_back_it_answers_the_same(
    name: str, mmap: bool, metric: str, tmp_path: Path
) -> None:
    vectors, queries = clustered(N, metric), clustered(QUERIES, metric, seed=1)
    vectors[7] *= 1 if metric == "cosine" else 50
    index = train_index(RECIPES[name], metric, DIM, pieces(vectors, 999), N, vectors[100:])
    path = tmp_path / "an index.faiss"
    index.write(path)
    again = read_index(path, mmap)
    for effort in (index.efforts()[0], index.efforts()[-1]):
        found, again_found = (
            index.candidates(queries, 30, effort),
            again.candidates(queries, 30, effort),
        )
        assert np.array_equal(found[0], again_found[0])
        assert np.array_equal(found[1], again_found[1])
    assert (again.recipe, again.metric, again.dim, again.n) == (index.recipe, metric, DIM, N)
    assert list(again.out_of_range) == list(index.out_of_range)
    assert np.array_equal(again.covers(vectors), index.covers(vectors))
    assert again.can_extend is not mmap
    assert faiss.read_index(str(path)).ntotal == N  # bare FAISS reads the file too


def test_the_file_is_the_same_every_time(tmp_path: Path) -> None:
    vectors = clustered(N, "cosine")
    for name in "ab":
        built(GRAPH, "cosine", vectors).write(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("kind", ["bytes", "floats", "lists"])
def test_the_result_depends_on_data_recipe_and_seed_only(kind: str, tmp_path: Path) -> None:
    vectors = clustered(10_500, "cosine")  # more than one block
    code = "sq8" if kind == "bytes" else "float32"
    graph = IndexRecipe("g", "hnsw", code=code, reduced=16, M=4, ef_construction=12)
    recipe = RECIPES["lists in 2 bits"] if kind == "lists" else graph
    for file, size, threads, seed in (("a", 10_500, 1, 0), ("b", 777, 2, 0), ("c", 777, 2, 1)):
        built(recipe, "cosine", vectors, size=size, threads=threads, seed=seed).write(
            tmp_path / file
        )
    a, b, c = ((tmp_path / file).read_bytes() for file in "abc")
    assert a == b
    assert a != c


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", RECIPES)
def test_added_rows_are_found(name: str, metric: str, tmp_path: Path) -> None:
    vectors, queries = clustered(N, metric), clustered(QUERIES, metric, seed=1)
    index = built(RECIPES[name], metric, vectors[:2000])
    index.add(vectors[2000:2500])
    index.write(tmp_path / "index")
    index = read_index(tmp_path / "index", mmap=False)
    index.add(vectors[2500:])
    assert index.n == N
    assert recall(index, queries, vectors) >= 0.985
    nearest = index.candidates(vectors[2900:2950], 40, index.efforts()[-1])[0]
    if metric != "ip":
        assert (
            np.mean([row in found for row, found in zip(range(2900, 2950), nearest, strict=True)])
            == 1
        )


def test_adding_to_an_index_that_cannot_be_extended_is_refused(tmp_path: Path) -> None:
    vectors = clustered(1000, "l2")
    built(GRAPH, "l2", vectors).write(tmp_path / "index")
    with pytest.raises(InvalidInputError, match="mmap=False"):
        read_index(tmp_path / "index").add(vectors)
    finished = built(load_recipe("NSG16"), "l2", vectors)
    assert not finished.can_extend
    with pytest.raises(InvalidInputError, match="build it again"):
        finished.add(vectors)
    with pytest.raises(InvalidInputError, match=r"\(rows, 48\)"):
        built(GRAPH, "l2", vectors).add(vectors[:, :40])


@pytest.mark.parametrize("name", ["graph in bytes", "graph in floats", "lists in 2 bits", "exact"])
@pytest.mark.parametrize("metric", ["ip", "l2"])
def test_vectors_unlike_the_training_sample_are_not_covered(metric: str, name: str) -> None:
    vectors = clustered(N, metric)
    seen, far = vectors[:2900], vectors[2900:].copy()
    far[:30] *= 20
    index = built(RECIPES[name], metric, seen)
    covered = index.covers(far)
    assert not covered[:30].any()
    assert covered[30:].mean() > 0.9
    before = index.out_of_range
    index.add(far)
    assert np.isin(np.arange(2900, 2930), index.out_of_range).all()
    assert list(index.out_of_range) == [*before, *(2900 + np.flatnonzero(~covered))]


def test_no_unit_vector_like_the_sample_is_out_of_range() -> None:
    """Rows outside are scored in each search: with many lengths of code errors they were many."""
    random = np.random.default_rng(8)
    vectors = random.normal(size=(20_000, 64)) * np.arange(1, 65) ** -1.0
    vectors[::2000, 32:] *= 5  # a few have more of what the codes leave out
    vectors = (vectors / np.linalg.norm(vectors, axis=1)[:, None]).astype(np.float32)
    fitted = fit_projection(vectors[:10_000], GRAPH, "cosine")
    assert fitted.covers(vectors[:10_000]).all()
    assert fitted.covers(vectors[10_000:]).mean() > 0.9995
    assert not fit_projection(vectors[:10_000], GRAPH, "l2").covers(vectors).all()
    unlike = np.zeros((1, 64), np.float32)
    unlike[0, -1] = 1  # the direction with the least of all vectors
    assert not fitted.covers(unlike)[0]


def test_rows_unlike_the_training_sample_are_out_of_range() -> None:
    vectors = clustered(N, "l2")
    vectors[[5, 2800]] *= 30
    index = train_index(GRAPH, "l2", DIM, pieces(vectors, 500), N, vectors[1000:2000])
    assert np.isin([5, 2800], index.out_of_range).all()
    assert len(index.out_of_range) < N / 100


def test_a_direction_outside_the_components_is_not_covered() -> None:
    rng = np.random.default_rng(0)
    flat = np.zeros((1000, DIM), np.float32)
    flat[:, :8] = rng.standard_normal((1000, 8))
    index = built(
        IndexRecipe("g", "hnsw", code="sq8", reduced=8, M=8, ef_construction=40), "l2", flat
    )
    beside = np.zeros((1, DIM), np.float32)
    beside[0, 40] = 2
    assert index.covers(flat).mean() > 0.99
    assert not index.covers(beside)[0]


def test_equal_vectors_and_a_sample_of_one_can_be_indexed() -> None:
    same = np.tile(clustered(1, "cosine"), (500, 1))
    index = train_index(GRAPH, "cosine", DIM, pieces(same, 100), 500, same[:1])
    assert not len(index.out_of_range)
    assert len(set(index.candidates(same[:1], 20, 64)[0][0])) == 20


def incoming_links(graph: faiss.IndexHNSW) -> np.ndarray:
    """How many links of the lowest level lead to each node."""
    width = graph.hnsw.nb_neighbors(0)
    starts = faiss.vector_to_array(graph.hnsw.offsets).astype(np.int64)[:-1]
    links = faiss.vector_to_array(graph.hnsw.neighbors)[starts[:, None] + np.arange(width)]
    return np.bincount(links[links >= 0], minlength=graph.ntotal)


def test_nodes_with_few_incoming_links_are_found() -> None:
    """In a graph that grows, too: rows that come later get such links then."""
    rng = np.random.default_rng(5)
    centers = rng.standard_normal((30, DIM))
    vectors = (centers[rng.integers(0, 30, N)] + 0.001 * rng.standard_normal((N, DIM))).astype(
        np.float32
    )
    recipe = IndexRecipe("g", "hnsw", code="float32", M=8, ef_construction=40)
    index, half = built(recipe, "l2", vectors), built(recipe, "l2", vectors[: N // 2])
    for start in range(N // 2, N, N // 8):
        half.add(vectors[start : start + N // 8])
    plain = faiss.IndexHNSWFlat(DIM, 8)
    plain.hnsw.efConstruction = 40
    plain.add(vectors)
    lost = np.count_nonzero(incoming_links(plain) == 0)
    assert np.count_nonzero(incoming_links(index._index) == 0) < lost / 2
    assert np.count_nonzero(incoming_links(half._index) == 0) < lost / 2


def test_concurrent_searches_do_not_disturb_each_other() -> None:
    vectors, queries = clustered(N, "cosine"), clustered(200, "cosine", seed=1)
    index = built(GRAPH, "cosine", vectors)
    expected = {effort: index.candidates(queries, 10, effort)[0] for effort in (16, 64)}
    wrong: list[int] = []

    def search(effort: int) -> None:
        for number, query in enumerate(queries):
            if not np.array_equal(
                index.candidates(query[None], 10, effort)[0][0], expected[effort][number]
            ):
                wrong.append(number)

    threads = [threading.Thread(target=search, args=(effort,)) for effort in (16, 64) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("damage", ["cut", "cut in half", "no end", "rest", "empty"])
@pytest.mark.parametrize("mmap", [True, False])
def test_a_damaged_file_is_named(damage: str, mmap: bool, tmp_path: Path) -> None:
    path = tmp_path / "index.faiss"
    built(GRAPH, "cosine", clustered(1000, "cosine")).write(path)
    raw = path.read_bytes()
    length = int.from_bytes(raw[-16:-8], "little")
    broken = {
        "cut": raw[:-1],
        "cut in half": raw[: len(raw) // 4] + raw[-16 - length :],
        "no end": raw[:-16],
        "rest": raw[: -16 - length] + bytes(length) + raw[-16:],
        "empty": b"",
    }
    path.write_bytes(broken[damage])
    with pytest.raises(CorruptedError, match=r"index\.faiss"):
        read_index(path, mmap)


def test_a_missing_file_and_a_missing_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(CorruptedError, match="gone"):
        read_index(tmp_path / "gone")
    with pytest.raises(StorageError, match="nowhere"):
        built(RECIPES["exact"], "l2", clustered(100, "l2")).write(tmp_path / "nowhere" / "index")


@pytest.mark.parametrize("factory", ["IVF16,PQ7x4fs", "HNSW16_XY", "PCA99,Flat", "IVF5000,Flat"])
def test_a_factory_string_that_does_not_fit_says_why(factory: str) -> None:
    with pytest.raises(RecipeError, match=r"cannot be built on 1,000 rows of 48: \w+"):
        built(load_recipe(factory), "l2", clustered(1000, "l2"))


def test_data_other_than_announced_is_refused() -> None:
    vectors = clustered(1000, "l2")
    for announced, message in (
        (900, "more than the 900"),
        (1100, "has 1,000 rows; 1,100 were announced"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            train_index(GRAPH, "l2", DIM, pieces(vectors, 300), announced, vectors)
    with pytest.raises(InvalidInputError, match="unknown metric"):
        train_index(GRAPH, "manhattan", DIM, pieces(vectors, 300), 1000, vectors)
    with pytest.raises(InvalidInputError, match="training sample"):
        train_index(GRAPH, "l2", DIM, pieces(vectors, 300), 1000, vectors[:0])
    with pytest.raises(InvalidInputError, match="a batch has shape"):
        train_index(GRAPH, "l2", DIM, pieces(vectors[:, :9], 300), 1000, vectors)
    with pytest.raises(InvalidInputError, match=r"shape \(2, 40\)"):
        built(GRAPH, "l2", vectors).candidates(vectors[:2, :40], 3, 16)


@pytest.mark.parametrize("name", ["graph in bytes", "lists in floats"])
def test_progress_counts_every_row_and_can_stop_the_build(name: str) -> None:
    vectors = clustered(1000, "l2")
    counts: list[int] = []
    train_index(
        RECIPES[name], "l2", DIM, pieces(vectors, 300), 1000, vectors, progress=counts.append
    )
    assert sum(counts) == 1000

    def stop(rows: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_index(RECIPES[name], "l2", DIM, pieces(vectors, 300), 1000, vectors, progress=stop)

    def broken() -> Iterator[Floats]:
        raise RuntimeError("the disk went away")

    with pytest.raises(RuntimeError, match="the disk went away"):
        train_index(RECIPES[name], "l2", DIM, broken, 1000, vectors)


def test_the_callers_thread_setting_is_restored() -> None:
    before = faiss.omp_get_max_threads()
    try:
        faiss.omp_set_num_threads(3)
        index = built(RECIPES["lists in floats"], "l2", clustered(1000, "l2"), threads=2)
        index.candidates(clustered(5, "l2"), 3, 4, threads=1)
        assert faiss.omp_get_max_threads() == 3
    finally:
        faiss.omp_set_num_threads(before)


def test_memory_is_what_the_file_holds(tmp_path: Path) -> None:
    for name, recipe in RECIPES.items():
        index = built(recipe, "l2", clustered(N, "l2"))
        index.write(tmp_path / "index")
        assert index.memory_bytes() == pytest.approx(
            (tmp_path / "index").stat().st_size, rel=0.15
        ), name


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.sampled_from(METRICS), st.integers(1, 40))
def test_bytes_keep_the_order_of_distances(seed: int, metric: str, reduced: int) -> None:
    """Coded distances differ from true ones by no more than the errors `covers` allows for."""
    vectors, queries = clustered(200, metric, seed), clustered(5, metric, seed + 1)
    projection = fit_projection(
        vectors,
        IndexRecipe("g", "hnsw", code="sq8", reduced=reduced, M=4, ef_construction=8),
        metric,
    )
    stored = projection.rows(vectors)
    assert stored.shape[1] % 32 == 0
    assert np.abs(stored).max() <= 127
    assert np.array_equal(stored, np.rint(stored))
    if metric == "ip":
        return
    covered = projection.covers(vectors)
    asked = projection.queries(vectors)  # within the errors allowed, as these are rows
    for row in np.flatnonzero(covered)[:5]:
        true = np.linalg.norm(vectors - vectors[row], axis=1)
        coded = np.linalg.norm(stored - asked[row], axis=1) / projection.scale
        assert (np.abs(true - coded)[covered] <= 2 * projection.max_error * 1.001 + 1e-4).all()
    assert np.isfinite(projection.queries(queries)).all()
