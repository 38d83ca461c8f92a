"""The automatic choice of a recipe: which kind of index, and with how many components.

The rules and their constants were measured with FAISS 1.15.1, one thread, k = 10, candidates
ranked by full vectors, on real sentence vectors (384 dimensions, 49k and 90k rows) and static word
vectors (256 dimensions, 236k rows).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Scores, Vectors
from vecsearch.common.pca import principal_axes
from vecsearch.errors import RecipeError
from vecsearch.index.attached import attach
from vecsearch.index.faiss.size import factory_bytes
from vecsearch.index.growth import growth
from vecsearch.index.kernels.loader import LOADER
from vecsearch.index.kernels.neighbor_codes import coded_bytes
from vecsearch.index.recipe import (
    GRAPH_OVER_CENTROIDS,
    REDUCED_STEP,
    ROWS_PER_CENTROID,
    IndexRecipe,
    load_recipe,
    nlist_rule,
    wanted_lists,
)
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import counted

TRAIN_ROWS = 65_536  # rows a transform or quantizer is trained on, or
TRAIN_BYTES = 512 * 1024 * 1024  # more for many centroids, up to this many bytes of float32
# Where memory is scarce, and centroids are made in two levels.
LEAN_ROWS_PER_CENTROID, LEAN_TRAIN_BYTES = 20, 256 * 1024 * 1024

EXACT_BELOW = 4_096  # scoring 4,096 rows of 384 dimensions takes 0.2 ms, twice a graph's search
GRAPH_UP_TO = 5_000_000  # rows; building a graph of more takes too long, it grows with n log n
DEGREE = 24  # as fast as 32 at recall .95, with 64 bytes a row less
DEGREE_HIGH, HIGH_RECALL = 32, 0.97  # at .99 this degree needs less effort
DEGREE_LEAN = 16  # to fit a memory budget
EF_CONSTRUCTION = 128  # 100 builds a fifth faster, but searches at recall .99 a tenth slower
# Of 236,000 rows 200 answers 1.3 to 1.7 times as fast from recall .97 on, and builds a fifth longer
EF_LARGE, LARGE = 200, 100_000
REDUCE_ABOVE = 128  # dimensions; fewer are cheap to compare as they are
REDUCED_SHARE = 0.5  # with half of 384, .998 of the true top 10 were in the top 30
REDUCED_MOST = 384
SMALLEST_REDUCED = 128

FULL_LINKS = 64  # of a node in a graph of float32 vectors, on the lowest level
CODED_LEAST = 64  # components; fewer are too few to leave neighbors out by
SHARED_BYTES = 32  # a row's part of the projection, at most

SAMPLE_ROWS = 8_192  # rows used to choose the number of components
QUERIES = 256  # of them, the queries
TOP = 10  # the true neighbors of each query
WITHIN = 15  # the rows that the components propose
WANTED = 0.97  # share of the true neighbors among these; gives 192 for 50,000 sentence vectors


def choose_recipe(
    recipe: str | IndexRecipe, snapshot: Snapshot, memory: int | None, target: float, seed: int = 0
) -> IndexRecipe:
    """The recipe to build.

    Args:
        recipe: A recipe, its name or path, a FAISS factory string, or "auto" to look at the data.
        snapshot: The rows to be indexed.
        memory: Bytes the index of "auto" may take; None for any number.
        target: Target recall, 0 to 1, for "auto".
        seed: Seed of the sample that "auto" looks at.

    Raises:
        RecipeError: If the recipe is unknown or invalid, or no index fits in `memory`.
    """
    n, dim, metric = snapshot.live.count, snapshot.manifest.dim, str(snapshot.manifest.metric)
    if recipe != "auto" or isinstance(recipe, IndexRecipe):
        given = recipe if isinstance(recipe, IndexRecipe) else load_recipe(recipe)
        return given if not given.neighbor_codes else coded_recipe(given, snapshot)
    by_rule, used = auto_recipe(n, dim, metric, memory, target), _in_use(snapshot)
    if by_rule.reduced is not None:  # not few dimensions, and an index
        components = used.get("reduced") or components_needed(_sample(snapshot, seed), metric)
        by_rule = auto_recipe(n, dim, metric, memory, target, reduced=components)
    if by_rule.kind == used.get("kind") == "hnsw":
        made_with = used.get("ef_construction") or by_rule.ef_construction
        return replace(by_rule, ef_construction=made_with)
    return by_rule


def coded_recipe(recipe: IndexRecipe, snapshot: Snapshot) -> IndexRecipe:
    """A recipe with codes of neighbors, and the number of its components.

    Without numba, the same without these codes, which FAISS does not know: it would search as fast,
    and numpy would calibrate them in some minutes.

    Raises:
        RecipeError: If such an index cannot be built of these vectors.
    """
    manifest = snapshot.manifest
    dim, metric, dtype = manifest.dim, str(manifest.metric), str(manifest.dtype)
    start = f"recipe '{recipe.name}' has codes of neighbors, which "
    hint, command_hint = "build 'auto', or 'low-latency'", "build the recipe auto, or low-latency"
    if metric == "ip" or dtype != "float32":
        what = "the metric 'ip'" if metric == "ip" else f"vectors of {dtype}"
        raise RecipeError(
            f"{start}take float32 vectors and the metric 'cosine' or 'l2', not {what}",
            hint=hint,
            command_hint=command_hint,
        )
    components = recipe.reduced or coded_components(dim, recipe.M or 0)
    if recipe.reduced is None and components < CODED_LEAST:
        raise RecipeError(
            f"{start}would make the index larger than float32 vectors in a graph of "
            f"{FULL_LINKS // 2} links, at {dim} dimensions",
            hint=f"{hint}; a recipe of your own may set 'reduced'",
            command_hint=f"{command_hint}; a recipe of your own may set 'reduced'",
        )
    if not LOADER.available():
        warnings.warn(
            f"{start}only compiled code uses, and numba is not available: the index is built "
            "without them. Install numba, and build it again",
            RuntimeWarning,
            stacklevel=2,
        )
        return replace(recipe, reduced=components, neighbor_codes=None)
    return replace(recipe, reduced=components)


def coded_components(dim: int, degree: int) -> int:
    """The most components with which a graph with codes of neighbors is not too large.

    It takes no more bytes than float32 vectors in a graph with 64 links on the lowest level. More
    than `REDUCED_MOST` gain nothing.

    Args:
        dim: Dimensions of a vector.
        degree: Half the links of a node on the lowest level.

    Returns:
        A multiple of 32; 0 if none fits.
    """
    fixed = _row_bytes(0, degree) + coded_bytes(0, degree) + SHARED_BYTES
    each = _row_bytes(1, degree) + coded_bytes(1, degree) + SHARED_BYTES - fixed
    most = (4 * dim + 4 * FULL_LINKS - fixed) / each
    return min(REDUCED_MOST, max(0, math.floor(most / REDUCED_STEP) * REDUCED_STEP))


def _row_bytes(codes: float, degree: int) -> float:
    """Bytes of a row in a graph: its codes, its links, and its level, offset and label."""
    links = 4 * (2 * degree + degree / max(1, degree - 1))  # lowest level, and those above
    return codes + links + 16


def _in_use(snapshot: Snapshot) -> Mapping[str, Any]:
    """The recipe of an index of "auto" that can be extended with more of the same data."""
    entry = attach(snapshot).entry
    if entry is None or entry.recipe["name"] != "auto" or growth(snapshot).outgrown():
        return {}
    return entry.recipe


def _sample(snapshot: Snapshot, seed: int) -> Vectors:
    """Vectors of some rows in random order, read from disk in theirs."""
    rows = snapshot.live.rows
    rng = np.random.default_rng([seed, len(rows)])
    sample = rng.choice(rows, min(SAMPLE_ROWS, len(rows)), replace=False)
    order = np.argsort(sample)
    return snapshot.stored_vectors(sample[order])[np.argsort(order)]


def training_rows(recipe: IndexRecipe, rows: int, dim: int) -> int:
    """How many rows to train on: more for more centroids than the usual sample can place."""
    lists, each, most_bytes = wanted_lists(recipe, rows), ROWS_PER_CENTROID, TRAIN_BYTES
    if recipe.kind == "disk" and lists >= GRAPH_OVER_CENTROIDS:
        each, most_bytes = LEAN_ROWS_PER_CENTROID, LEAN_TRAIN_BYTES
    return min(max(TRAIN_ROWS, each * lists), max(TRAIN_ROWS, most_bytes // (4 * dim)))


def auto_recipe(
    n: int,
    dim: int,
    metric: str,
    memory_budget_bytes: int | None = None,
    recall: float = 0.95,
    *,
    reduced: int | None = None,
) -> IndexRecipe:
    """The recipe to try first, by the measured rules of this module.

    Args:
        n: Rows to be indexed.
        dim: Dimensions of a vector.
        metric: "cosine", "ip" or "l2".
        memory_budget_bytes: Bytes the index itself may take (see `estimated_bytes`).
        recall: Target recall, 0 to 1.
        reduced: Number of components, for a caller that has looked at the data (see
            `components_needed`); None for a rule by dimension.

    Raises:
        RecipeError: If an argument is out of range, or no kind of index fits the budget.
    """
    if n < 0 or dim < 1 or not 0 < recall <= 1:
        raise RecipeError(
            f"cannot choose an index for n={n}, dim={dim}, recall={recall}: "
            "n must be at least 0, dim at least 1, and recall above 0 and at most 1"
        )
    if metric not in ("cosine", "ip", "l2"):
        raise RecipeError(f"unknown metric '{metric}': it must be cosine, ip or l2")
    if n < EXACT_BELOW or recall == 1:
        description = "few rows, or recall 1 requested: compare them all"
        return IndexRecipe("auto", "exact", description)
    components = reduced if reduced is not None else _reduced_rule(dim)
    choices = _choices(n, dim, components, recall)
    for recipe in choices:
        if memory_budget_bytes is None or estimated_bytes(recipe, n, dim) <= memory_budget_bytes:
            return recipe
    least = estimated_bytes(choices[-1], n, dim)
    raise RecipeError(
        f"no index of {counted(n, 'row')} fits in {memory_budget_bytes:,} bytes; the smallest "
        f"needs about {least:,}",
        hint="give more memory, or search without an index (recipe='exact')",
        command_hint="give more memory, or search without an index (--recipe exact)",
    )


def _choices(n: int, dim: int, components: int | None, recall: float) -> tuple[IndexRecipe, ...]:
    """The recipes worth trying, best first, smaller ones later."""
    graph = IndexRecipe(
        "auto",
        "hnsw",
        "reduced 8-bit graph; candidates ranked by the full vectors",
        code="sq8",
        reduced=components,
        M=DEGREE_HIGH if recall >= HIGH_RECALL else DEGREE,
        ef_construction=EF_CONSTRUCTION if n < LARGE else EF_LARGE,
    )
    lean = replace(
        graph,
        M=DEGREE_LEAN,
        description="reduced 8-bit graph of low degree, to fit the memory budget",
    )
    lists = IndexRecipe(
        "auto",
        "ivf",
        "inverted file with fast-scan codes; candidates ranked by the full vectors",
        code="pq4",
        reduced=components,
    )
    small = replace(
        lists,
        reduced=min(components or dim, SMALLEST_REDUCED),
        description="inverted file with few components",
    )
    bits = replace(
        small, code="rabitq", description="inverted file with 1-bit codes, to fit the memory budget"
    )
    disk = IndexRecipe(
        "auto",
        "disk",
        "inverted file with 4-bit codes in lists on disk, to fit the memory budget",
        code="sq4",
        reduced=components,
    )
    in_memory = (graph, lean, lists, small, bits) if n <= GRAPH_UP_TO else (lists, small, bits)
    return (*in_memory, disk)


def estimated_bytes(recipe: IndexRecipe, n: int, dim: int) -> int:
    """About how many bytes an index of `n` rows takes in memory; except for "disk" as many on disk.

    0 for "exact", which needs no index, and for a factory string, whose size only FAISS knows.
    """
    components = dim if recipe.reduced is None else min(dim, recipe.reduced)
    projection = 4 * components * dim
    if recipe.kind == "hnsw":
        padded = math.ceil(components / REDUCED_STEP) * REDUCED_STEP
        codes = {"float32": 4 * components, "fp16": 2 * components, "sq8": padded}
        degree = recipe.M or 0
        a_row = _row_bytes(codes[recipe.code or ""], degree)
        if recipe.neighbor_codes:
            a_row += coded_bytes(padded, degree)
        return round(n * a_row) + projection
    if recipe.kind == "disk":  # in memory only centroids, the links between them, and sizes
        lists = min(recipe.nlist or nlist_rule(n), max(1, n))
        return (4 * components + 24 + (300 if lists >= GRAPH_OVER_CENTROIDS else 0)) * lists + (
            projection + 4 * dim
        )
    if recipe.kind == "ivf":
        bits = {"float32": 32, "fp16": 16, "sq8": 8, "pq4": 2, "rabitq": 1}[recipe.code or ""]
        extra = 64 if recipe.code == "rabitq" else 0
        a_row = (bits * components + extra) / 8 + 8
        lists = min(recipe.nlist or nlist_rule(n), max(1, n))  # a list has at least one row
        return round(n * a_row) + 4 * components * lists + projection
    return 0


def _reduced_rule(dim: int) -> int | None:
    if dim <= REDUCE_ABOVE:
        return None
    half = math.ceil(dim * REDUCED_SHARE / REDUCED_STEP) * REDUCED_STEP
    return min(max(half, SMALLEST_REDUCED), REDUCED_MOST)


def components_needed(sample: Vectors, metric: str) -> int:
    """The fewest principal components that preserve near neighbors.

    With them, the nearest 15 rows of a query hold 97% of its true nearest 10. The sample is
    sparser than the collection, so treat the result as a starting point.

    Args:
        sample: float32 (rows, dim), in random order: the first rows are the queries.
        metric: "cosine", "ip" or "l2".

    Returns:
        A multiple of 32, or the whole dimension.
    """
    dim = int(sample.shape[1])
    count = min(QUERIES, len(sample) // 4)
    if len(sample) - count <= WITHIN or dim <= REDUCED_STEP:
        return dim
    rotated = _rotated(sample, centered=metric != "ip")
    queries, rows = rotated[:count], rotated[count:]
    true = _top(queries @ rows.T - _penalty(rows, metric), TOP)
    scores = np.zeros((count, len(rows)), np.float32)
    for first in range(0, dim, REDUCED_STEP):
        block = slice(first, first + REDUCED_STEP)
        scores += queries[:, block] @ rows[:, block].T - _penalty(rows[:, block], metric)
        found = _top(scores, WITHIN)
        if (true[:, :, None] == found[:, None, :]).any(axis=2).mean() >= WANTED:
            return min(first + REDUCED_STEP, dim)
    return dim


def _rotated(sample: Vectors, *, centered: bool) -> Vectors:
    """The sample in its principal components, most variance first."""
    center, _, axes = principal_axes(sample, centered=centered)
    rotated: Vectors = np.ascontiguousarray((sample - center) @ axes.T, np.float32)
    return rotated


def _penalty(rows: Vectors, metric: str) -> Scores:
    """Subtracted from an inner product, it makes it rank as the distance does."""
    zero = np.zeros(len(rows), np.float32)
    return zero if metric == "ip" else np.square(rows).sum(axis=1) / 2


def _top(scores: Scores, count: int) -> npt.NDArray[np.int64]:
    best: npt.NDArray[np.int64] = np.argpartition(-scores, count, axis=1)[:, :count]
    return best


def needed_bytes(recipe: IndexRecipe, rows: int, dim: int) -> int:
    """About how many bytes an index takes; 0 if that is not known before it is built."""
    if recipe.kind == "factory":
        return factory_bytes(recipe.factory or "", rows, dim)
    return estimated_bytes(recipe, rows, dim)
