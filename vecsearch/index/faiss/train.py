"""Recipe + stream of vectors -> a trained and filled index."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Labels, Vectors
from vecsearch.errors import InvalidInputError, RecipeError
from vecsearch.index.exact import omp_threads
from vecsearch.index.faiss.graph import BLOCK, add_in_order, link_back
from vecsearch.index.faiss.grow import growing
from vecsearch.index.faiss.index import FaissIndex, inner_index, is_faiss_error, reason
from vecsearch.index.faiss.projection import Projection, fit_projection
from vecsearch.index.recipe import IndexRecipe, nlist_rule

GRAPH_OVER_CENTROIDS = 4096  # from this many centroids on, the nearest are found through a graph
IVF_CODES = {
    "float32": "Flat",
    "fp16": "SQfp16",
    "sq8": "SQ8",
    "rabitq": "RaBitQfs",
}  # pq4 depends on the dimension


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
) -> FaissIndex:
    """Train on the sample and add all rows.

    batches() yields the `n` rows in order, float32 (m, dim), in pieces of any size; besides the index, its codes and two blocks
    are the most that is in memory. The result depends on the data, the recipe and the seed, not on the pieces or on `threads`.
    progress is told how many rows were just added, which may be 0; what it raises stops the build. checkpoint is given the
    index as far as it is filled, after each block; such an index, written and read again, is a `start` from which the same
    build goes on to the same result. Raises RecipeError when the recipe does not fit the data, InvalidInputError when the data
    is not as said.
    """
    if metric not in ("cosine", "ip", "l2"):
        raise InvalidInputError(f"unknown metric '{metric}': cosine, ip or l2")
    if train_sample.ndim != 2 or train_sample.shape[1] != dim or not len(train_sample):
        raise InvalidInputError(
            f"the training sample has shape {train_sample.shape}; at least one row of {dim} is needed"
        )
    seed = recipe.seed if seed is None else seed
    projection = start._projection if start else fit_projection(train_sample, recipe, metric)
    try:
        with omp_threads(threads):
            if start:
                index = _going_on(start._index, recipe, seed)
            else:
                index = _new_index(recipe, metric, projection.dim_out, len(train_sample), n, seed)
                _train(index, projection.rows(train_sample), metric)
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
            f"recipe '{recipe.name}' cannot be built on {n:,} rows of {dim}: {reason(error)}"
        ) from error
    if recipe.kind == "hnsw":
        link_back(index.hnsw, n)
    return FaissIndex(recipe, metric, projection, index, order, out_of_range)


class _Filling:
    """Adds rows to an index, but for those that it has already from before an interruption."""

    def __init__(self, index: Any) -> None:
        self.rows = 0  # rows that came so far and are in the index
        self._index = index
        self._there = index.ntotal

    def add(self, rows: Vectors) -> None:
        if self.rows >= self._there:
            self._index.add(rows)
        self.rows += len(rows)


def _going_on(index: Any, recipe: IndexRecipe, seed: int) -> Any:
    """An index read from a file, in the state it was written in: FAISS does not store how far a graph's random levels are."""
    inner = inner_index(index)
    if isinstance(inner, faiss.IndexHNSW) and recipe.kind == "hnsw":
        inner.hnsw.rng = faiss.RandomGenerator(seed)
    _draw_levels(inner, inner.ntotal)
    return index


def resume_growing(index: FaissIndex, added: int) -> FaissIndex:
    """An index that was read, had `added` rows added, and was written and read again, in the state it was written in."""
    _draw_levels(inner_index(index._index), added)
    return index


def _draw_levels(inner: Any, count: int) -> None:
    if isinstance(inner, faiss.IndexHNSW):
        for _ in range(count):
            inner.hnsw.random_level()


def _fill(
    index: Any,
    projection: Projection,
    blocks: Iterator[Vectors],
    n: int,
    progress: Callable[[int], None],
) -> tuple[npt.NDArray[np.int32] | None, Labels]:
    """Add all rows; bytes are collected first, to be added in an order of their own. Returns order and outliers."""
    in_bytes = projection.scale > 0
    codes = np.empty((n if in_bytes else 0, projection.dim_out), np.int8)
    out_of_range, done = [np.empty(0, np.int64)], 0
    for block in blocks:
        if done + len(block) > n:
            raise InvalidInputError(f"the data has more than the {n:,} rows announced")
        out_of_range.append(np.flatnonzero(~projection.covers(block)) + done)
        stored = projection.rows(block)
        if in_bytes:
            codes[done : done + len(block)] = stored
        else:
            index.add(stored)
        done += len(block)
        progress(0 if in_bytes else len(block))
    if done != n:
        raise InvalidInputError(f"the data has {done:,} rows; {n:,} were announced")
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
    if recipe.kind == "ivf":
        nlist = min(recipe.nlist or nlist_rule(n, sample), sample)
        code = f"PQ{-(-dim // 2)}x4fs" if recipe.code == "pq4" else IVF_CODES[str(recipe.code)]
        factory = f"IVF{nlist}{'_HNSW32' if nlist >= GRAPH_OVER_CENTROIDS else ''},{code}"
    index = faiss.index_factory(dim, factory, measure)
    inner = inner_index(index)
    if isinstance(inner, faiss.IndexIVF):
        inner.cp.seed = seed + 1
    for part in (index, inner):
        if hasattr(part, "pq"):
            part.pq.cp.seed = seed + 1
    return index


def _train(index: Any, sample: Vectors, metric: str) -> None:
    """Train; a factory's PCA is made to keep the mean in for inner products, whose ranking centring would change."""
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
    index.train(sample)


def _blocks(batches: Iterator[Vectors], dim: int) -> Iterator[Vectors]:
    """The same rows in blocks of BLOCK, so that the pieces they come in leave no trace."""
    held: list[Vectors] = []
    count = 0
    for batch in batches:
        if batch.ndim != 2 or batch.shape[1] != dim:
            raise InvalidInputError(f"a batch has shape {batch.shape}; (rows, {dim}) is needed")
        at = 0
        while at < len(batch):
            piece = batch[at : at + BLOCK - count]
            held.append(np.asarray(piece, np.float32))
            at, count = at + len(piece), count + len(piece)
            if count == BLOCK:
                yield np.ascontiguousarray(np.concatenate(held))
                held, count = [], 0
    if held:
        yield np.ascontiguousarray(np.concatenate(held))
