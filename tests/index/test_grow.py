"""Graphs linked by compiled code: as good as FAISS's own, and the same on any threads."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import faiss
import numpy as np
import numpy.typing as npt
import pytest
from support import data

from vecsearch.index.faiss import LOADER, FaissIndex, read_index, train_index
from vecsearch.index.faiss.grow import GrowingGraph, growing
from vecsearch.index.kernels import loader
from vecsearch.index.recipe import IndexRecipe

pytestmark = pytest.mark.skipif(
    find_spec("numba") is None, reason="the extra 'fast' (numba) is not installed"
)

RECIPE = IndexRecipe("graph", "hnsw", code="sq8", M=24, ef_construction=128)
ROWS, DIM = 6000, 32
Vectors = npt.NDArray[np.float32]


def clustered(rows: int, dim: int, seed: int = 0) -> Vectors:
    vectors = data.clustered(rows, dim, seed=seed)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled code links graphs of any size."""
    monkeypatch.setattr(loader, "LARGE_BUILD", 0)


def built(vectors: Vectors, threads: int = 1, recipe: IndexRecipe = RECIPE) -> FaissIndex:
    return train_index(
        recipe,
        "cosine",
        vectors.shape[1],
        lambda: iter([vectors]),
        len(vectors),
        vectors,
        threads=threads,
    )


def recall(index: FaissIndex, vectors: Vectors, queries: Vectors, effort: int) -> float:
    """Of the 10 best: what is among 20 candidates. Rows that score like the tenth count."""
    labels, _ = index.candidates(queries, 20, effort)
    scores = queries @ vectors.T
    tenth = np.sort(scores, axis=1)[:, -10]
    hits = [
        np.count_nonzero(scores[i, labels[i][labels[i] >= 0]] >= tenth[i] - 1e-6)
        for i in range(len(queries))
    ]
    return float(np.minimum(hits, 10).mean() / 10)


def links(index: FaissIndex) -> tuple[bytes, ...]:
    graph = index._index.hnsw
    return tuple(
        faiss.vector_to_array(part).tobytes()
        for part in (graph.levels, graph.offsets, graph.neighbors)
    )


def test_recall_is_that_of_a_graph_linked_by_faiss(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, queries = clustered(ROWS, DIM), clustered(200, DIM, seed=3)
    by_faiss = built(vectors)
    monkeypatch.setattr(loader, "LARGE_BUILD", 0)
    ours = built(vectors)
    assert links(ours) != links(by_faiss)
    for effort in (16, 48, 128):
        assert (
            recall(ours, vectors, queries, effort)
            >= recall(by_faiss, vectors, queries, effort) - 0.01
        )
    assert recall(ours, vectors, queries, 256) > 0.99


def test_every_link_joins_two_nodes_of_a_level_once(always: None) -> None:
    """On each level a node links to other nodes of that level, to none twice."""
    vectors = clustered(ROWS, DIM)
    index = built(vectors)
    graph = index._index.hnsw
    levels = faiss.vector_to_array(graph.levels) - 1
    offsets = faiss.vector_to_array(graph.offsets).astype(np.int64)
    neighbors = faiss.vector_to_array(graph.neighbors)
    assert graph.max_level == levels.max() and levels[graph.entry_point] == levels.max()
    for node in range(ROWS):
        for level in range(levels[node] + 1):
            first = offsets[node] + graph.cum_nb_neighbors(level)
            there = neighbors[first : first + graph.nb_neighbors(level)]
            used = there[there >= 0]
            assert (there[: len(used)] >= 0).all() and len(set(used.tolist())) == len(used)
            assert node not in used and (levels[used] >= level).all()
            assert len(used) or (level and (levels >= level).sum() == 1)


def test_threads_and_batches_do_not_change_the_graph(always: None) -> None:
    vectors = clustered(ROWS, DIM)
    one, many = built(vectors), built(vectors, threads=3)
    assert links(one) == links(many)
    pieces = train_index(
        RECIPE, "cosine", DIM, lambda: iter(np.array_split(vectors, 7)), ROWS, vectors, threads=2
    )
    assert links(pieces) == links(one)


def test_copies_of_a_row_do_not_trap_the_search(always: None) -> None:
    """A search that meets hundreds of copies of a row leaves them, and finds enough of them."""
    vectors = clustered(ROWS, DIM)
    for first in range(0, 5000, 500):
        vectors[first : first + 500] = vectors[first]
    queries = vectors[5000::10]
    index = built(vectors)
    assert recall(index, vectors, queries, 128) > 0.97
    labels, _ = index.candidates(vectors[2000:2001], 100, 128)
    assert np.count_nonzero((labels >= 2000) & (labels < 2500)) > 90


def test_a_grown_index_keeps_its_recall_and_faiss_reads_it(always: None, tmp_path: Path) -> None:
    vectors, queries = clustered(ROWS, DIM), clustered(100, DIM, seed=3)
    index = built(vectors[:4000])
    index.add(vectors[4000:], threads=2)
    assert (
        index.n == ROWS
        and recall(index, vectors, queries, 128)
        > recall(built(vectors), vectors, queries, 128) - 0.02
    )
    index.write(tmp_path / "index.faiss")
    again = read_index(tmp_path / "index.faiss")
    assert np.array_equal(
        again.candidates(queries, 20, 64)[0], index.candidates(queries, 20, 64)[0]
    )
    bare = faiss.read_index(str(tmp_path / "index.faiss"))
    assert bare.ntotal == ROWS and bare.hnsw.entry_point == index._index.hnsw.entry_point


def test_two_rows_and_identical_rows_are_found(always: None) -> None:
    for vectors in (clustered(2, DIM), np.repeat(clustered(1, DIM), 300, axis=0)):
        index = built(vectors)
        labels, _ = index.candidates(vectors[:1], min(10, len(vectors)), 32)
        assert (labels >= 0).all() and len(set(labels[0].tolist())) == labels.shape[1]


@pytest.mark.parametrize("kind", ["float32", "inner product"])
def test_faiss_links_other_kinds_of_graphs(kind: str, always: None) -> None:
    measure = faiss.METRIC_INNER_PRODUCT if kind == "inner product" else faiss.METRIC_L2
    signed = faiss.ScalarQuantizer.QT_8bit_direct_signed
    index = (
        faiss.IndexHNSWFlat(32, 8)
        if kind == "float32"
        else faiss.IndexHNSWSQ(32, signed, 8, measure)
    )
    assert growing(index, 10**6, seed=0, threads=1) is index
    assert isinstance(
        growing(faiss.IndexHNSWSQ(32, signed, 8), 10**6, seed=0, threads=1), GrowingGraph
    )


def test_faiss_links_small_graphs_and_all_without_numba() -> None:
    assert (
        LOADER.for_rows(loader.LARGE_BUILD - 1) is None
        and LOADER.for_rows(loader.LARGE_BUILD) is not None
    )
    code = "from vecsearch.index.faiss import LOADER; assert LOADER.for_rows(10**6) is None"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {loader.SWITCH: "0"})
