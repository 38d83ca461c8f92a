"""Codes of neighbors stored beside each node: what they estimate, and the search that uses them."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from support.data import clustered

from vecsearch.index.faiss import LOADER, train_index
from vecsearch.index.faiss.graph_search import GraphSearch, table_of
from vecsearch.index.faiss.near import near_of
from vecsearch.index.kernels import neighbor_codes, numpy_hnsw
from vecsearch.index.kernels.arguments import (
    COSINE,
    NO_MASK,
    NOTHING_OUTSIDE,
    Request,
    fixed_effort,
)
from vecsearch.index.recipe import IndexRecipe

ROWS, QUERIES = 3000, 40
PROCESSORS = {
    "portable": ("generic", ""),
    "avx2": ("haswell", "+avx2,+ssse3"),
}


def signed_codes(rows: int, dim: int) -> np.ndarray:
    """Codes as a projection makes them: the first components vary most."""
    widths = 60 / np.sqrt(np.arange(1, dim + 1))
    values = np.random.default_rng(dim).normal(size=(rows, dim)) * widths
    return np.clip(np.rint(values), -127, 127)


@pytest.mark.parametrize("dim", [32, 96, 192, 256])
def test_the_rotation_keeps_distances_exactly(dim: int) -> None:
    turned = neighbor_codes.rotated(np.eye(dim, dtype=np.float32)).astype(np.float64)
    assert np.array_equal(turned @ turned.T, np.eye(dim))
    assert np.abs(turned).max() < 0.5  # every component goes to many


@pytest.mark.parametrize(("dim", "most"), [(32, 0.3), (96, 0.2), (192, 0.15), (256, 0.15)])
def test_estimates_lie_around_the_distances(dim: int, most: float) -> None:
    """Bounds that rise step by step show the estimate, beside distances in float64."""
    codes = signed_codes(200, dim)
    query = codes[0]
    links = np.random.default_rng(1).integers(1, 200, (200, 32)).astype(np.int32)
    blocks = made_blocks((codes + 128).astype(np.uint8), links)
    turned = neighbor_codes.rotated(query[None].astype(np.float32))[0]
    table, step, base = neighbor_codes.table_of(turned)
    true = np.square(codes - query).sum(axis=1)
    bounds = np.linspace(0, 3 * true.mean(), 301)
    seen, expected, margins = [], [], []
    for node in range(1, 40):
        args = blocks[node], table, step, base, int(true[node])
        found = [neighbor_codes.worth(*args, int(bound)) for bound in bounds]
        seen.append(bounds[-1] * (1 - np.mean(found, axis=0)))
        expected.append(true[links[node]])
        factor = blocks[node][dim * 4 :].view("<f4")[32:]
        margins.append(factor * neighbor_codes.MARGIN * np.sqrt(true[node]))
    error = np.array(seen) + np.array(margins) - np.array(expected)
    assert abs(error.mean()) < 0.02 * true.mean()
    assert error.std() < most * true.mean()


def test_a_slot_without_a_neighbor_is_never_worth_it() -> None:
    codes = (signed_codes(50, 64) + 128).astype(np.uint8)
    links = np.full((50, 32), -1, np.int32)
    links[:, :3] = np.random.default_rng(0).integers(0, 50, (50, 3))
    turned = neighbor_codes.rotated(codes[:1].astype(np.float32) - 128)[0]
    table = neighbor_codes.table_of(turned)
    for block in made_blocks(codes, links):
        worth = neighbor_codes.worth(block, *table, 1000, 2**31 - 1)
        assert worth.tolist() == [True] * 3 + [False] * 29


@pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed")
@pytest.mark.parametrize("links", [16, 32])
def test_compiled_code_and_numpy_leave_out_the_same_neighbors(links: int) -> None:
    assert_equal_searches(links)


@pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed")
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the names are of x86-64 processors")
@pytest.mark.parametrize("processor", PROCESSORS)
def test_older_processors_leave_out_the_same_neighbors(processor: str, tmp_path: Path) -> None:
    name, features = PROCESSORS[processor]
    found = subprocess.run(
        [sys.executable, "-c", "import test_neighbor_codes as t; t.assert_equal_masks()"],
        env=os.environ
        | {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features, "NUMBA_CACHE_DIR": str(tmp_path)}
        | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr


def assert_equal_masks() -> None:
    """One instruction after the other, beside numpy: only this is compiled."""
    import numba

    from vecsearch.index.kernels.neighbor_intrinsics import worth_mask

    @numba.njit
    def mask(block: Any, table: Any, distance: Any, step: Any, margin: Any, limit: Any) -> Any:
        place, tables = block.ctypes.data, table.shape[0] // 16
        return worth_mask(place, table.ctypes.data, tables, distance, step, margin, limit)

    for dim in (32, 96, 256):
        codes = signed_codes(100, dim)
        links = np.random.default_rng(4).integers(-1, 100, (100, 32)).astype(np.int32)
        turned = neighbor_codes.rotated(codes[:1].astype(np.float32))[0]
        table, step, base = neighbor_codes.table_of(turned)
        true = np.square(codes - codes[0]).sum(axis=1).astype(int)
        middle = int(np.median(true))
        seen = 0
        for node, block in enumerate(made_blocks((codes + 128).astype(np.uint8), links)):
            expected = neighbor_codes.worth(block, table, step, base, int(true[node]), middle)
            margin = base + np.float32(neighbor_codes.MARGIN * np.sqrt(float(true[node])))
            numbers = (np.float32(one) for one in (true[node], step, margin, middle))
            found = mask(block, table.astype(np.uint8).ravel(), *numbers)
            assert [bool(found >> slot & 1) for slot in range(32)] == expected.tolist()
            seen += int(expected.sum())
        assert 0.1 < seen / 3200 < 0.9


def made_blocks(codes: np.ndarray, links: np.ndarray) -> np.ndarray:
    """The blocks of all nodes."""
    width = neighbor_codes.coded_bytes(codes.shape[1], links.shape[1] // 2)
    blocks = np.empty((len(codes), width), np.uint8)
    nodes = np.arange(len(codes))
    neighbor_codes.write_codes(codes, nodes, links, blocks, neighbor_codes.NUMPY)
    return blocks


def assert_equal_searches(links: int) -> None:
    vectors = clustered(ROWS + QUERIES, 64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows, queries = np.ascontiguousarray(vectors[:ROWS]), vectors[ROWS:]
    recipe = IndexRecipe("graph", "hnsw", reduced=32, code="sq8", M=links, ef_construction=60)
    index = train_index(recipe, "cosine", 64, lambda: iter([rows]), ROWS, rows)
    projection, graph = index.parts
    coded = GraphSearch(graph, projection, COSINE, near_of(graph))
    plain = GraphSearch(graph, projection, COSINE)
    kernels = LOADER.load()
    assert kernels is not None
    starts, addresses = table_of([rows], np.zeros(1, np.int64)) or (None, None)
    exact = faiss.knn(queries, rows, 10, metric=faiss.METRIC_INNER_PRODUCT)[1]
    request = Request(
        *(index.row_map(None), NO_MASK, np.empty(0, np.int64), *NOTHING_OUTSIDE),
        *(starts, addresses, COSINE, fixed_effort(48), 40, 40, 0),
    )
    hits = {"coded": 0, "plain": 0}
    for query, best in zip(queries, exact, strict=True):
        one = coded.search(kernels, query, 10, request)
        two = coded.search(numpy_hnsw, query, 10, request)
        assert np.array_equal(one[0], two[0])
        assert np.array_equal(one[1], two[1])
        hits["coded"] += len(set(one[0]) & set(best))
        hits["plain"] += len(set(plain.search(kernels, query, 10, request)[0]) & set(best))
    proposed = [
        coded.candidates(kernels, queries, 20, 48, 1, index.row_map(None)),
        coded.candidates(numpy_hnsw, queries, 20, 48, 1, index.row_map(None)),
        plain.candidates(kernels, queries, 20, 48, 1, index.row_map(None)),
    ]
    assert all(np.array_equal(*pair) for pair in zip(*proposed[:2], strict=True))
    assert proposed[0][2] < 0.7 * proposed[2][2]  # so many nodes were compared
    assert hits["coded"] >= 0.97 * hits["plain"] > 0
