"""Which recipe a build follows, where it is left to the data, and how many rows it is trained on."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Scores, Vectors
from vecsearch.common.pca import principal_axes
from vecsearch.errors import RecipeError
from vecsearch.index.attached import attach
from vecsearch.index.growth import growth
from vecsearch.index.recipe import (
    REDUCED_STEP,
    ROWS_PER_CENTROID,
    IndexRecipe,
    load_recipe,
    nlist_rule,
    wanted_lists,
)
from vecsearch.storage.snapshot import Snapshot

TRAIN_ROWS = 65_536  # rows a transform or quantizer is trained on, or
TRAIN_BYTES = 512 * 1024 * 1024  # more for many centroids, up to this many bytes of float32
# How the automatic choice is made. Measured with FAISS 1.15.1, one thread, k = 10, re-scored with the full vectors, on real
# sentence vectors (384 dimensions, 49k and 90k rows) and static word vectors (256 dimensions, 236k rows).
EXACT_BELOW = 4_096  # comparing 4,096 rows of 384 dimensions takes about 0.2 ms, twice a graph's search, and is never wrong
GRAPH_UP_TO = 5_000_000  # a graph of 236k rows took four times the build time of an inverted file; it grows with n log n
DEGREE, DEGREE_HIGH = (
    24,
    32,
)  # as fast at recall .95, with 64 bytes a row less; at .99 degree 32 needs a little less effort
HIGH_RECALL = 0.97
EF_CONSTRUCTION = (
    128  # 100 saves a fifth of the links' time, and costs a tenth of the searches' at recall .99
)
REDUCE_ABOVE = 128  # fewer dimensions than this are cheap to compare as they are
REDUCED_SHARE = 0.5  # half of 384 dimensions kept .90 of the variance; the true top 10 were in the top 30 at .998
REDUCED_MOST = 384
SMALLEST_REDUCED = 128
SAMPLE_ROWS = 8_192
QUERIES = 256
TOP = 10  # the true neighbours looked for
WITHIN = 15  # among so many rows that the components propose
WANTED = 0.97  # at this share of them; 50,000 sentence vectors of 384 dimensions then get the 192 that tuning had found


def choose_recipe(
    recipe: str | IndexRecipe, snapshot: Snapshot, memory: int | None, target: float, seed: int = 0
) -> IndexRecipe:
    """The recipe meant by a name, a path, a factory string or "auto". Raises RecipeError."""
    if isinstance(recipe, IndexRecipe):
        return recipe
    if recipe != "auto":
        return load_recipe(recipe)
    rows, dim, metric = snapshot.live.rows, snapshot.manifest.dim, str(snapshot.manifest.metric)
    made = auto_recipe(len(rows), dim, metric, memory, target)
    if made.reduced is None:
        return made  # few dimensions, or no index
    entry = attach(snapshot).entry
    if (
        entry is not None
        and entry.recipe["name"] == made.name
        and entry.recipe.get("reduced")
        and not growth(snapshot).outgrown()
    ):
        kept = int(
            entry.recipe["reduced"]
        )  # more of the same data: the index there is can be extended
    else:
        some = np.random.default_rng([seed, len(rows)]).choice(
            rows, min(SAMPLE_ROWS, len(rows)), replace=False
        )
        order = np.argsort(some)
        vectors = snapshot.stored_vectors(some[order])[
            np.argsort(order)
        ]  # read in order, asked at random
        kept = components_needed(vectors, metric)
    return auto_recipe(len(rows), dim, metric, memory, target, reduced=kept)


def training_rows(recipe: IndexRecipe, rows: int, dim: int) -> int:
    """How many rows to train on: more where the recipe has more centroids than the usual sample can place."""
    most = max(TRAIN_ROWS, TRAIN_BYTES // (4 * dim))
    return min(max(TRAIN_ROWS, ROWS_PER_CENTROID * wanted_lists(recipe, rows)), most)


def auto_recipe(
    n: int,
    dim: int,
    metric: str,
    memory_budget_bytes: int | None = None,
    recall: float = 0.95,
    *,
    reduced: int | None = None,
) -> IndexRecipe:
    """The recipe to try first for `n` rows of `dim` dimensions at this target recall, by the measured rules above.

    `memory_budget_bytes` bounds the index itself (see `estimated_bytes`). `reduced` replaces the rule for the number of
    components kept, for a caller that has looked at the data (`spectrum.components_needed`). Raises RecipeError for
    arguments out of range, or when no kind fits the budget.
    """
    if n < 0 or dim < 1 or not 0 < recall <= 1:
        raise RecipeError(
            f"cannot choose an index for n={n}, dim={dim}, recall={recall}: n >= 0, dim >= 1, 0 < recall <= 1"
        )
    if metric not in ("cosine", "ip", "l2"):
        raise RecipeError(f"unknown metric '{metric}': cosine, ip or l2")
    if n < EXACT_BELOW or recall == 1:
        return IndexRecipe(
            name="auto",
            kind="exact",
            description="few rows, or recall 1 asked for: compare them all",
        )
    keep = reduced if reduced is not None else _reduced_rule(dim)
    degree = DEGREE_HIGH if recall >= HIGH_RECALL else DEGREE
    graph = IndexRecipe(
        name="auto",
        kind="hnsw",
        code="sq8",
        reduced=keep,
        M=degree,
        ef_construction=EF_CONSTRUCTION,
        description="reduced 8-bit graph; candidates ranked by the full vectors",
    )
    lean = dataclasses.replace(
        graph, M=16, description="reduced 8-bit graph of low degree, to fit the memory budget"
    )
    lists = IndexRecipe(
        name="auto",
        kind="ivf",
        code="pq4",
        reduced=keep,
        description="inverted file with fast-scan codes; candidates ranked by the full vectors",
    )
    small = dataclasses.replace(
        lists,
        reduced=min(keep or dim, SMALLEST_REDUCED),
        description="inverted file with few components",
    )
    bits = dataclasses.replace(
        small, code="rabitq", description="inverted file with 1-bit codes, to fit the memory budget"
    )
    choices = (graph, lean, lists, small, bits) if n <= GRAPH_UP_TO else (lists, small, bits)
    for recipe in choices:
        if memory_budget_bytes is None or estimated_bytes(recipe, n, dim) <= memory_budget_bytes:
            return recipe
    least = estimated_bytes(choices[-1], n, dim)
    raise RecipeError(
        f"no index of {n:,} rows fits in {memory_budget_bytes:,} bytes; the smallest needs about {least:,}. "
        f"Give more memory, or search without an index (recipe='exact')"
    )


def estimated_bytes(recipe: IndexRecipe, n: int, dim: int) -> int:
    """About how many bytes the index of `n` rows takes, in memory and on disk; 0 for `exact`, which needs no index of its
    own, and for a factory string, whose size only FAISS knows."""
    d = dim if recipe.reduced is None else min(dim, recipe.reduced)
    if recipe.kind == "hnsw":
        per_code = {
            "float32": 4 * d,
            "fp16": 2 * d,
            "sq8": math.ceil(d / REDUCED_STEP) * REDUCED_STEP,
        }[recipe.code or ""]
        degree = recipe.M or 0
        graph = (
            4 * (2 * degree + degree / max(1, degree - 1)) + 12
        )  # links of the lowest level, the upper ones, levels, offsets
        return (
            round(n * (per_code + graph + 4)) + 4 * d * dim
        )  # four bytes a row say where it stands in the collection
    if recipe.kind == "ivf":
        bits = {"float32": 32 * d, "fp16": 16 * d, "sq8": 8 * d, "pq4": 2 * d, "rabitq": d + 64}[
            recipe.code or ""
        ]
        return round(n * (bits / 8 + 8)) + 4 * d * (recipe.nlist or nlist_rule(n)) + 4 * d * dim
    return 0


def _reduced_rule(dim: int) -> int | None:
    if dim <= REDUCE_ABOVE:
        return None
    half = math.ceil(dim * REDUCED_SHARE / REDUCED_STEP) * REDUCED_STEP
    return min(max(half, SMALLEST_REDUCED), REDUCED_MOST)


def components_needed(sample: Vectors, metric: str) -> int:
    """The fewest components, a multiple of 32 or the whole dimension, whose nearest 15 rows hold 97% of the true nearest 10.

    sample: float32 (rows, dim), in random order: the first rows are asked for their neighbours among the others. The sample is
    thinner than the collection, whose neighbours lie closer together: take the result as a first choice, to be measured.
    """
    dim = int(sample.shape[1])
    asked = min(QUERIES, len(sample) // 4)
    if len(sample) - asked <= WITHIN or dim <= REDUCED_STEP:
        return dim
    rotated = _rotated(sample, centred=metric != "ip")
    queries, rows = rotated[:asked], rotated[asked:]
    true = _top(queries @ rows.T - _penalty(rows, metric), TOP)
    scores = np.zeros((asked, len(rows)), np.float32)
    for first in range(0, dim, REDUCED_STEP):
        block = slice(first, first + REDUCED_STEP)
        scores += queries[:, block] @ rows[:, block].T - _penalty(rows[:, block], metric)
        found = _top(scores, WITHIN)
        if (true[:, :, None] == found[:, None, :]).any(axis=2).mean() >= WANTED:
            return min(first + REDUCED_STEP, dim)
    return dim


def _rotated(sample: Vectors, *, centred: bool) -> Scores:
    """The sample in its principal components, those with most variance first."""
    centre, _, axes = principal_axes(sample, centred=centred)
    rotated: Scores = np.ascontiguousarray((sample - centre) @ axes.T, np.float32)
    return rotated


def _penalty(rows: Scores, metric: str) -> Scores:
    """What makes an inner product rank as a distance does."""
    zero = np.zeros(len(rows), np.float32)
    return zero if metric == "ip" else np.square(rows).sum(axis=1) / 2


def _top(scores: Scores, count: int) -> npt.NDArray[np.int64]:
    best: npt.NDArray[np.int64] = np.argpartition(-scores, count, axis=1)[:, :count]
    return best
