"""Which recipe a build follows, where it is left to the data, and how many rows it is trained on."""

from __future__ import annotations

import numpy as np

from vecsearch.advice import growth
from vecsearch.recipe import ROWS_PER_CENTROID, IndexRecipe, auto_recipe, load_recipe, wanted_lists
from vecsearch.snapshot import Snapshot
from vecsearch.spectrum import SAMPLE_ROWS, components_needed

TRAIN_ROWS = 65_536  # rows a transform or quantizer is trained on, or
TRAIN_BYTES = 512 * 1024 * 1024  # more for many centroids, up to this many bytes of float32


def choose_recipe(
    recipe: str | IndexRecipe, snapshot: Snapshot, memory: int | None, target: float, seed: int = 0
) -> IndexRecipe:
    """The recipe meant by a name, a path, a factory string or "auto". Raises RecipeError."""
    if isinstance(recipe, IndexRecipe):
        return recipe
    if recipe != "auto":
        return load_recipe(recipe)
    rows, dim, metric = snapshot.live.rows, snapshot.facts.dim, str(snapshot.facts.metric)
    made = auto_recipe(len(rows), dim, metric, memory, target)
    if made.reduced is None:
        return made  # few dimensions, or no index
    entry = snapshot.index_entry
    if (
        entry is not None
        and entry.recipe["name"] == made.name
        and entry.recipe.get("reduced")
        and not growth(snapshot).outgrown()
    ):
        kept = int(entry.recipe["reduced"])  # more of the same data: the index there is can be extended
    else:
        some = np.random.default_rng([seed, len(rows)]).choice(rows, min(SAMPLE_ROWS, len(rows)), replace=False)
        order = np.argsort(some)
        vectors = snapshot.stored_vectors(some[order])[np.argsort(order)]  # read in order, asked at random
        kept = components_needed(vectors, metric)
    return auto_recipe(len(rows), dim, metric, memory, target, reduced=kept)


def training_rows(recipe: IndexRecipe, rows: int, dim: int) -> int:
    """How many rows to train on: more where the recipe has more centroids than the usual sample can place."""
    most = max(TRAIN_ROWS, TRAIN_BYTES // (4 * dim))
    return min(max(TRAIN_ROWS, ROWS_PER_CENTROID * wanted_lists(recipe, rows)), most)
