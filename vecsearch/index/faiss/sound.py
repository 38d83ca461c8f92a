"""Whether the parts of an index file fit together, so that no search reads outside an array.

FAISS and the compiled kernels follow the numbers of an index without looking at them. A checksum
says that a file is as written, not that its writer meant well. A file that does not pass is no
index: searches are exact without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Labels, Vectors
from vecsearch.errors import CorruptedError
from vecsearch.index.faiss.graph import BLOCK
from vecsearch.index.faiss.graph_search import is_byte_graph
from vecsearch.index.faiss.projection import Projection
from vecsearch.index.recipe import CODED_LINKS, CODED_MOST, IndexRecipe

METRICS = ("cosine", "ip", "l2")


def require_sound(
    recipe: IndexRecipe,
    metric: Any,
    projection: Projection,
    index: Any,
    order: npt.NDArray[np.int32] | None,
    out_of_range: Labels,
) -> None:
    """Raises ValueError saying what does not fit."""
    _require(metric in METRICS, f"its metric is {metric!r:.40}")
    _require_projection(projection, metric)
    n = int(index.ntotal)
    _require(int(index.d) == projection.dim_out, f"its vectors have {index.d} components")
    wanted = faiss.METRIC_INNER_PRODUCT if metric == "ip" else faiss.METRIC_L2
    _require(index.metric_type == wanted, "it compares by another metric")
    _require_index(index, n, with_ids=recipe.kind != "disk")
    graph = isinstance(index, faiss.IndexHNSW)
    _require(recipe.kind != "hnsw" or graph, f"its recipe is {recipe.kind!r}, and it is another")
    if order is not None:
        fits = _is(order, np.int32, 1) and len(order) == n + 1 and order[-1] == -1
        _require(fits and is_permutation(order[:-1]), "the order of its rows is none")
    fits = _is(out_of_range, np.int64, 1) and bool((np.diff(out_of_range) > 0).all())
    _require(fits and _within(out_of_range, 0, n), "its list of unusual rows is none of its rows")


def require_coded(index: Any) -> None:
    """Raises ValueError if nodes of an index cannot hold codes of their neighbors."""
    _require(is_byte_graph(index), "it has codes of neighbors, and is no graph of bytes")
    width, size = int(index.hnsw.nb_neighbors(0)), int(index.storage.sa_code_size())
    fits = width > 0 and width % CODED_LINKS == 0 and size <= CODED_MOST
    _require(fits, "its nodes cannot hold codes of neighbors")


def is_permutation(numbers: npt.NDArray[np.integer]) -> bool:
    """Whether these are the numbers 0, 1, 2, ... in any order."""
    return _within(numbers, 0, len(numbers)) and are_distinct(numbers, len(numbers))


def are_distinct(numbers: npt.NDArray[np.integer], end: int) -> bool:
    """Whether no number is there twice; all are from 0 to `end` - 1."""
    seen = np.zeros(end, bool)
    seen[numbers] = True
    return int(np.count_nonzero(seen)) == len(numbers)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _is(array: Any, dtype: Any, dimensions: int) -> bool:
    return (
        isinstance(array, np.ndarray)
        and array.dtype == np.dtype(dtype)
        and array.ndim == dimensions
    )


def _within(numbers: npt.NDArray[np.integer], low: int, end: int) -> bool:
    return not numbers.size or bool(int(numbers.min()) >= low and int(numbers.max()) < end)


def _require_projection(projection: Projection, metric: str) -> None:
    _require(projection.inner_product == (metric == "ip"), "its projection is of another metric")
    center, matrix, offset = projection.center, projection.matrix, projection.offset
    _require(_is(center, np.float32, 1) and len(center) > 0, "its center is no vector")
    rows = 0
    if matrix is not None:
        fits = _is(matrix, np.float32, 2) and matrix.shape[1] == len(center) and len(matrix) > 0
        _require(fits, "its projection has another shape")
        rows = len(matrix)
    _require(_is(offset, np.float32, 1) and len(offset) == rows, "its offset has another shape")
    _require(matrix is not None or not projection.scale, "it has a scale without a projection")
    for part in (center, offset, *([] if matrix is None else [matrix])):
        _require(bool(np.isfinite(part).all()), "its projection has numbers that are not finite")
    mean, variances = projection.mean, projection.variances
    _require((mean is None) == (variances is None), "it has a mean without variances")
    if mean is not None and variances is not None:
        fits = _is(mean, np.float32, 1) and len(mean) == len(center)
        _require(fits, "its mean has another shape")
        fits = _is(variances, np.float32, 1) and len(variances) == projection.dim_out
        _require(fits, "its variances have another shape")
        _require(bool(np.isfinite(mean).all()), "its mean has numbers that are not finite")
        fits = bool(np.isfinite(variances).all() and (variances >= 0).all())
        _require(fits, "its variances are no variances")
    for value in (
        *(projection.scale, projection.max_radius, projection.max_error),
        *(projection.rest, projection.own_mean, projection.own_variance),
    ):
        _require(bool(np.isfinite(value)) and value >= 0, f"its projection has the bound {value}")


def _require_index(index: Any, n: int, *, with_ids: bool = True) -> None:
    """FAISS's own parts; those of a class that is not listed here are FAISS's responsibility.

    with_ids: whether the labels in lists are looked at. Where lists stay on disk, a search looks at
    those that it finds.
    """
    index = faiss.downcast_index(index)
    _require(int(index.ntotal) == n >= 0, f"a part of it has {index.ntotal} rows, not {n}")
    if isinstance(index, faiss.IndexPreTransform):
        d = int(index.d)
        for number in range(index.chain.size()):
            step = index.chain.at(number)
            _require(int(step.d_in) == d, "its transforms do not fit together")
            d = int(step.d_out)
        _require(int(index.index.d) == d, "its transforms do not fit together")
        _require_index(index.index, n)
    elif isinstance(index, faiss.IndexRefine):
        for part in (index.base_index, index.refine_index):
            _require(int(part.d) == int(index.d), "its parts have other components")
            _require_index(part, n)
    elif isinstance(index, faiss.IndexHNSW | faiss.IndexNSG):
        _require(int(index.storage.d) == int(index.d), "its codes have other components")
        _require_index(index.storage, n)
        if isinstance(index, faiss.IndexHNSW):
            _require_graph(index.hnsw, n)
    elif isinstance(index, faiss.IndexIVF):
        _require_lists(index, n, with_ids=with_ids)
    elif isinstance(index, faiss.IndexFlatCodes):
        size = int(index.code_size)
        _require(
            size == int(index.sa_code_size()) and index.codes.size() == n * size,
            "its codes have another size",
        )


def _require_graph(hnsw: Any, n: int) -> None:
    """Every link leads to a node that is there, on its level."""
    levels = faiss.vector_to_array(hnsw.levels)
    starts = faiss.vector_to_array(hnsw.cum_nneighbor_per_level).astype(np.int64)
    count = hnsw.neighbors.size()
    _require(len(levels) == n and hnsw.offsets.size() == n + 1, "its graph has other nodes")
    if not n:
        return
    rising = len(starts) > 1 and starts[0] == 0 and bool((np.diff(starts) >= 0).all())
    _require(rising and starts[1] > 0, "its levels have no places for links")
    _require(_within(levels, 1, len(starts)), "a node of it has a level that is not there")
    offsets = faiss.rev_swig_ptr(hnsw.offsets.data(), n + 1).view(np.int64)
    _require(
        int(offsets[0]) == 0
        and int(offsets[-1]) == count
        and bool((np.diff(offsets) == starts[levels]).all()),
        "the links of its nodes overlap",
    )
    entry, top = int(hnsw.entry_point), int(hnsw.max_level)
    _require(0 <= entry < n and top >= 0, "its entry point is not there")
    _require(int(levels[entry]) == int(levels.max()) == top + 1, "its entry point is not on top")
    links = faiss.rev_swig_ptr(hnsw.neighbors.data(), count)
    _require(_within(links, -1, n), "a link of it leads to a node that is not there")
    for level in range(1, top + 1):
        nodes = np.flatnonzero(levels > level)
        slots = np.arange(starts[level], starts[level + 1])
        for first in range(0, len(nodes), BLOCK):
            targets = links[offsets[nodes[first : first + BLOCK], None] + slots]
            _require(
                bool((levels[targets[targets >= 0]] > level).all()),
                "a link of it leads to a level that its node is not on",
            )


def _require_lists(index: Any, n: int, *, with_ids: bool) -> None:
    """Every row is in one list."""
    lists, quantizer = index.invlists, index.quantizer
    nlist = int(index.nlist)
    _require(int(lists.nlist) == nlist > 0 and int(quantizer.ntotal) == nlist, "it has other lists")
    _require(int(quantizer.d) == int(index.d), "its centers have other components")
    _require_index(quantizer, nlist)
    sizes = [lists.list_size(number) for number in range(nlist)]
    _require(sum(sizes) == n, f"its lists do not hold {n} rows")
    if with_ids:
        require_one_list_a_row(lists, sizes, n)


def require_one_list_a_row(lists: Any, sizes: Sequence[int], n: int) -> None:
    """Raises ValueError if a row of an inverted file is in two lists, or none."""
    seen = np.zeros(n, bool)
    for number, size in enumerate(sizes):
        if size:
            ids = faiss.rev_swig_ptr(lists.get_ids(number), size)
            _require(_within(ids, 0, n), "a list of it has rows that are not there")
            seen[ids] = True
    _require(bool(seen.all()), "a row of it is in two lists")


def require_finite(vectors: Vectors) -> None:
    """Refuse what would end the process within k-means. Raises CorruptedError.

    Vectors are checked when they are added, so only damaged or forged files have such.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        squares = 4 * np.vecdot(vectors, vectors)  # of the longest difference of two
    if not np.isfinite(squares).all():
        raise CorruptedError(
            "stored vectors are damaged: they are not of finite numbers, or too long; "
            "`check` names the file, and `repair` or a backup helps"
        )
