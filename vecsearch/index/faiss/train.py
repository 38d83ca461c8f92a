"""Trains and fills an index from a recipe and a stream of vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Labels, Vectors
from vecsearch.common.faiss_errors import faiss_reason, is_faiss_error
from vecsearch.errors import InvalidInputError, RecipeError
from vecsearch.index.exact import omp_threads
from vecsearch.index.faiss.disk_lists import DiskIndex, centroids_in_two_levels
from vecsearch.index.faiss.graph import BLOCK, add_in_order, link_back
from vecsearch.index.faiss.grow import growing
from vecsearch.index.faiss.index import FaissIndex
from vecsearch.index.faiss.inside import inner_index
from vecsearch.index.faiss.projection import Projection, fit_projection
from vecsearch.index.faiss.sound import require_finite
from vecsearch.index.recipe import CODED_MOST, GRAPH_OVER_CENTROIDS, IndexRecipe, nlist_rule
from vecsearch.storage.build_folder import BuildFolder
from vecsearch.types import counted

IVF_CODES = {"float32": "Flat", "fp16": "SQfp16", "sq8": "SQ8", "rabitq": "RaBitQfs"}
LEAST_ROWS = 16  # of the sample for a centroid, where centroids are made in two levels
DISK_CODES = {"fp16": "SQfp16", "sq8": "SQ8", "sq4": "SQ4"} | {
    f"rabitq{n}": f"RaBitQ{n}" for n in (2, 3, 4)
}


def train_index(
    recipe: IndexRecipe,
    metric: str,
    dim: int,
    batches: Callable[[], Iterator[Vectors]],
    n: int,
    train_sample: Vectors,
    *,
    threads: int = 1,
    seed: int | None = None,
    progress: Callable[[int], None] = lambda rows: None,
    start: FaissIndex | None = None,
    checkpoint: Callable[[FaissIndex], None] = lambda index: None,
    projection: Projection | None = None,
    work: BuildFolder | None = None,
) -> FaissIndex:
    """Train on a sample, then add all rows.

    Besides the index, at most its codes and two blocks of rows are in memory. The result depends on
    the data, the recipe and the seed, not on `threads` or on how the rows are cut into batches.

    Args:
        recipe: What to build.
        metric: "cosine", "ip" or "l2".
        dim: Dimensions of a vector.
        batches: Yields the `n` rows in order, float32 (m, dim), in batches of any size.
        n: Rows in all.
        train_sample: float32 (m, dim), at least one row.
        threads: OpenMP threads to use.
        seed: Seed of the build; None for the recipe's.
        progress: Called with the number of rows just added, which may be 0; an exception it raises
            stops the build.
        start: An index given to `checkpoint` earlier, read from its file: the build resumes from it
            and gives the same result.
        checkpoint: Called with the partly filled index after each block.
        projection: That of another index, to be used instead of one fitted to the sample, so that
            the codes of both can be compared.
        work: Where rows wait that are to be in lists on disk.

    Raises:
        RecipeError: If the recipe does not fit the data.
        InvalidInputError: If the data has another shape or number of rows.
    """
    if metric not in ("cosine", "ip", "l2"):
        raise InvalidInputError(f"unknown metric '{metric}': cosine, ip or l2")
    if train_sample.ndim != 2 or train_sample.shape[1] != dim or not len(train_sample):
        raise InvalidInputError(
            f"the training sample has shape {train_sample.shape}; "
            f"at least one row of {dim} is needed"
        )
    seed = recipe.seed if seed is None else seed
    if start is not None:
        projection = start.parts[0]
    elif projection is None:
        projection = fit_projection(train_sample, recipe, metric)
    if recipe.neighbor_codes and (metric == "ip" or projection.dim_out > CODED_MOST):
        raise RecipeError(
            f"recipe '{recipe.name}' has codes of neighbors, which take the metric 'cosine' or "
            f"'l2' and at most {CODED_MOST:,} components, not '{metric}' and {projection.dim_out:,}"
        )
    try:
        with omp_threads(threads):
            if start:
                index = _resumed(start.parts[1], recipe, seed)
            else:
                index = _new_index(recipe, metric, projection.dim_out, len(train_sample), n, seed)
                _train(index, projection.rows(train_sample), metric, recipe)
            if recipe.kind == "disk":
                assert work is not None
                disk = start
                if not isinstance(disk, DiskIndex):
                    disk = DiskIndex(recipe, metric, projection, index, np.empty(0, np.int64))
                disk.work = work
                _fill_lists(disk, _blocks(batches(), dim), n, threads, progress, checkpoint)
                return disk
            filling = _Filling(growing(index, n, seed=seed, threads=threads))

            def added(rows: int) -> None:
                progress(rows)
                if filling.rows:
                    checkpoint(
                        FaissIndex(recipe, metric, projection, index, None, np.empty(0, np.int64))
                    )

            order, out_of_range = _fill(filling, projection, _blocks(batches(), dim), n, added)
    except RuntimeError as error:
        if not is_faiss_error(error):
            raise  # from the caller's batches or progress
        raise RecipeError(
            f"recipe '{recipe.name}' cannot be built on {counted(n, 'row')} of {dim}: "
            f"{faiss_reason(error)}"
        ) from error
    if recipe.kind == "hnsw":
        link_back(index.hnsw, n)
    found = FaissIndex(recipe, metric, projection, index, order, out_of_range)
    found.threads = threads
    return found


class _Filling:
    """Adds rows to an index, except those that an interrupted build added before."""

    def __init__(self, index: Any) -> None:
        self.rows = 0  # rows given so far; all of them are in the index
        self._index = index
        self._present = index.ntotal

    def add(self, rows: Vectors) -> None:
        if self.rows >= self._present:
            self._index.add(rows)
        self.rows += len(rows)


def _resumed(index: Any, recipe: IndexRecipe, seed: int) -> Any:
    """Restore what FAISS does not write: the state of a graph's random levels."""
    inner = inner_index(index)
    if isinstance(inner, faiss.IndexHNSW) and recipe.kind == "hnsw":
        inner.hnsw.rng = faiss.RandomGenerator(seed)
    _draw_levels(inner, inner.ntotal)
    return index


def resume_growing(index: FaissIndex, added: int) -> FaissIndex:
    """Restore what FAISS does not write: the state of a graph's random levels.

    Args:
        index: An index that was read, extended by `added` rows, written, and read again.
        added: How many rows that were.
    """
    _draw_levels(inner_index(index.parts[1]), added)
    return index


def _draw_levels(inner: Any, count: int) -> None:
    if isinstance(inner, faiss.IndexHNSW):
        for _ in range(count):
            inner.hnsw.random_level()


def _fill_lists(
    index: DiskIndex,
    blocks: Iterator[Vectors],
    n: int,
    threads: int,
    progress: Callable[[int], None],
    checkpoint: Callable[[FaissIndex], None],
) -> None:
    """Add all rows, except those that an interrupted build added before."""
    present, given = index.n, 0
    for block in blocks:
        if given >= present:
            index.add(block, threads=threads)
        given += len(block)
        progress(len(block))
        if given == index.n:
            checkpoint(index)
    if given != n:
        raise InvalidInputError(f"the data has {counted(given, 'row')}; {n:,} were announced")
    index.settle()


def _fill(
    index: Any,
    projection: Projection,
    blocks: Iterator[Vectors],
    n: int,
    progress: Callable[[int], None],
) -> tuple[npt.NDArray[np.int32] | None, Labels]:
    """Add all rows; bytes are collected first and sorted.

    Returns:
        The label of each FAISS row (None if they are equal), and the labels out of range.
    """
    in_bytes = projection.scale > 0
    codes = np.empty((n if in_bytes else 0, projection.dim_out), np.int8)
    out_of_range, done = [np.empty(0, np.int64)], 0
    for block in blocks:
        if done + len(block) > n:
            raise InvalidInputError(f"the data has more than the {counted(n, 'row')} announced")
        out_of_range.append(np.flatnonzero(~projection.covers(block)) + done)
        stored = projection.rows(block)
        if in_bytes:
            codes[done : done + len(block)] = stored
        else:
            index.add(stored)
        done += len(block)
        progress(0 if in_bytes else len(block))
    if done != n:
        raise InvalidInputError(f"the data has {counted(done, 'row')}; {n:,} were announced")
    return add_in_order(index, codes, progress) if in_bytes else None, np.concatenate(out_of_range)


def _new_index(recipe: IndexRecipe, metric: str, dim: int, sample: int, n: int, seed: int) -> Any:
    measure = faiss.METRIC_INNER_PRODUCT if metric == "ip" else faiss.METRIC_L2
    if recipe.kind == "hnsw":
        quantizer = faiss.ScalarQuantizer
        degree, codes = (
            recipe.M,
            {"sq8": quantizer.QT_8bit_direct_signed, "fp16": quantizer.QT_fp16},
        )
        plain = recipe.code == "float32"
        index = (
            faiss.IndexHNSWFlat(dim, degree, measure)
            if plain
            else faiss.IndexHNSWSQ(dim, codes[str(recipe.code)], degree, measure)
        )
        index.hnsw.efConstruction = recipe.ef_construction
        index.hnsw.rng = faiss.RandomGenerator(seed)
        return index
    factory = recipe.factory if recipe.kind == "factory" else "Flat"
    if recipe.kind in ("ivf", "disk"):
        on_disk = recipe.kind == "disk"
        lists = min(nlist_rule(n), -(-sample // LEAST_ROWS)) if on_disk else nlist_rule(n, sample)
        nlist = min(recipe.nlist or lists, sample)
        codes = DISK_CODES if recipe.kind == "disk" else IVF_CODES
        code = f"PQ{-(-dim // 2)}x4fs" if recipe.code == "pq4" else codes[str(recipe.code)]
        factory = f"IVF{nlist}{'_HNSW32' if nlist >= GRAPH_OVER_CENTROIDS else ''},{code}"
    index = faiss.index_factory(dim, factory, measure)
    inner = inner_index(index)
    if isinstance(inner, faiss.IndexIVF):
        inner.cp.seed = seed + 1
    for part in (index, inner):
        if hasattr(part, "pq"):
            part.pq.cp.seed = seed + 1
    return index


def _train(index: Any, sample: Vectors, metric: str, recipe: IndexRecipe) -> None:
    """Train; for inner products a factory's PCA must not center, which would change the ranking."""
    require_finite(sample)
    if metric == "ip" and isinstance(index, faiss.IndexPreTransform):
        for number in range(index.chain.size()):
            transform = faiss.downcast_VectorTransform(index.chain.at(number))
            transform.train(sample)
            if isinstance(transform, faiss.PCAMatrix):
                faiss.copy_array_to_vector(np.zeros(transform.d_out, np.float32), transform.b)
            sample = transform.apply(sample)
        index.index.train(sample)
        index.is_trained = True
        return
    inner = inner_index(index)
    if recipe.kind == "disk" and inner.nlist >= GRAPH_OVER_CENTROIDS:
        centroids = centroids_in_two_levels(sample, inner.nlist, inner.cp.seed, metric == "ip")
        inner.quantizer.add(centroids)
    index.train(sample)


def _blocks(batches: Iterator[Vectors], dim: int) -> Iterator[Vectors]:
    """The same rows in blocks of BLOCK rows."""
    held: list[Vectors] = []
    count = 0
    for batch in batches:
        if batch.ndim != 2 or batch.shape[1] != dim:
            raise InvalidInputError(f"a batch has shape {batch.shape}; (rows, {dim}) is needed")
        start = 0
        while start < len(batch):
            piece = batch[start : start + BLOCK - count]
            held.append(np.asarray(piece, np.float32))
            start, count = start + len(piece), count + len(piece)
            if count == BLOCK:
                yield np.ascontiguousarray(np.concatenate(held))
                held, count = [], 0
    if held:
        yield np.ascontiguousarray(np.concatenate(held))
