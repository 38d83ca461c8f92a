"""Snapshot + recipe -> trained, calibrated index -> one commit.

A build runs unlocked on a snapshot, while adding and searching continue. The commit works on the
latest version: rows added meanwhile stay outside the index and are searched exactly; rows moved
by a merge are found again by id.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

from vecsearch.common.arrays import Vectors
from vecsearch.common.cores import cores
from vecsearch.common.engines import Engine
from vecsearch.errors import RecipeError
from vecsearch.index.attached import attach
from vecsearch.index.auto import choose_recipe, needed_bytes
from vecsearch.index.builder import HELD_OUT_ROWS, OWN_QUERIES, Builder
from vecsearch.index.calibration import describe_recall
from vecsearch.index.commit import BuiltIndex, commit_index, commit_without_index
from vecsearch.index.growth import UP_TO_DATE, is_up_to_date
from vecsearch.index.maxsim_builder import MaxSimBuilder
from vecsearch.index.named import NamedSnapshot
from vecsearch.index.recipe import IndexRecipe
from vecsearch.index.shards import build_shards
from vecsearch.storage.garbage import remove_build_checkpoints
from vecsearch.storage.manifest import IndexEntry
from vecsearch.storage.own_files import Removal
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.store import Store
from vecsearch.types import BuildResult


def build_index(
    store: Store,
    recipe: str | IndexRecipe,
    *,
    recall: float | None,
    memory: int | None,
    queries: Vectors | None,
    query_source: str = OWN_QUERIES,
    seed: int,
    threads: int | None,
    progress: Callable[[int], None] = lambda count: None,
    extend: bool = True,
    engine: Engine | None = None,
) -> BuildResult:
    """Build and calibrate an index over the live rows, and commit it.

    An existing index of the same recipe and seed is extended if that is enough, and left as it is
    if nothing changed.

    Args:
        store: The collection to build for.
        recipe: A recipe, its name or path, a FAISS factory string, or "auto".
        recall: Target recall, 0 to 1; becomes the collection's default. None keeps it.
        memory: Bytes the index may take, whatever the recipe; None for any number.
        queries: float32 (nq, dim), as stored (unit length for cosine), to calibrate with instead
            of held-out rows.
        query_source: What the queries are, in words.
        seed: Seed of the build.
        threads: Threads to build with; None for all.
        progress: Called with the number of rows just added.
        extend: Extend the existing index where that is enough.
        engine: What runs the builds of the shards side by side; None builds here.

    Raises:
        RecipeError: If the recipe is invalid, or does not fit the data or `memory`.
        InvalidInputError: If an argument is out of range.
        ConflictError: If the collection was moved to another model meanwhile.
        StorageError: If the disk is full or cannot be written.
        LockTimeoutError: If another process holds the lock for too long.
    """
    started = time.perf_counter()
    snapshot = store.snapshot(pulled=True)  # just now, by the caller
    # Named vectors have one index, whatever the shards: it is built here.
    if not snapshot.column and (engine is not None or snapshot.manifest.shards > 1):
        result = build_shards(
            store,
            recipe,
            recall=recall,
            memory=memory,
            queries=queries,
            query_source=query_source,
            seed=seed,
            threads=threads,
            progress=progress,
            extend=extend,
            engine=engine,
        )
        _remove_checkpoints(store)
        return result
    target = snapshot.manifest.recall if recall is None else recall
    rows = snapshot.live.rows
    chosen = choose_recipe(recipe, snapshot, memory, target, seed)
    if chosen.kind == "exact" or len(rows) < store.limits.smallest_index_rows:
        by_recipe = chosen.kind == "exact" and recipe != "auto"
        why = "the recipe is exact search" if by_recipe else "exact search is fastest for few rows"
        version = commit_without_index(store, target, wanted=by_recipe)
        seconds = time.perf_counter() - started
        return BuildResult("exact", 0, seconds, 0, 0, "", f"no index: {why}", version)
    if memory is not None:
        needed = needed_bytes(chosen, len(rows), snapshot.manifest.dim)
        _require_memory(chosen, needed, memory, "needs about")
    if queries is None and is_up_to_date(snapshot, chosen, seed, target, HELD_OUT_ROWS):
        return _as_it_is(snapshot, chosen, memory, time.perf_counter() - started)
    threads = threads or cores()
    with open_builder(
        snapshot,
        chosen,
        seed,
        threads,
        progress,
        target=target,
        resumable=True,
        limits=store.limits,
    ) as builder:
        if extend:
            built = builder.extend_or_run(rows, queries, query_source)
        else:
            built = builder.run(rows, queries, query_source, "the index was outgrown")
        if memory is not None:
            _require_memory(chosen, built.calibration.memory_bytes, memory, "takes")
        entry, version = commit_index(store, snapshot, built)
    _remove_checkpoints(store)
    return _result(built, entry, version, time.perf_counter() - started)


def _remove_checkpoints(store: Store) -> None:
    with contextlib.suppress(OSError):  # the index is committed; a later commit tidies up
        removal = Removal()
        remove_build_checkpoints(store.root, removal)
        removal.warn()


def open_builder(snapshot: Snapshot, *arguments: Any, **options: Any) -> Builder:
    """What builds an index of a snapshot's vectors; the arguments are those of `Builder`."""
    if isinstance(snapshot, NamedSnapshot) and snapshot.kind.multi:
        return MaxSimBuilder(snapshot, *arguments, **options)
    return Builder(snapshot, *arguments, **options)


def _require_memory(recipe: IndexRecipe, needed: int, memory: int, verb: str) -> None:
    """Raises RecipeError naming the size if an index does not fit."""
    if needed > memory:
        raise RecipeError(
            f"the index '{recipe.name}' {verb} {needed:,} bytes, more than the {memory:,} allowed",
            hint='give more memory, or build "auto", which chooses an index that fits',
            command_hint="give more memory, or build the recipe auto, which chooses one that fits",
        )


def _as_it_is(
    snapshot: Snapshot, recipe: IndexRecipe, memory: int | None, seconds: float
) -> BuildResult:
    """The result of a build that has nothing to do."""
    attached = attach(snapshot)
    entry, calibration = attached.entry, attached.calibration
    assert entry is not None
    if memory is not None:
        _require_memory(recipe, calibration.memory_bytes, memory, "takes")
    return BuildResult(
        recipe=recipe.name,
        rows=entry.rows,
        seconds=seconds,
        bytes=sum(ref.bytes for ref in entry.files),
        memory_bytes=calibration.memory_bytes,
        calibrated_on=calibration.calibrated_on,
        promise=describe_recall(calibration),
        version=snapshot.manifest.version,
        why=UP_TO_DATE,
    )


def _result(built: BuiltIndex, entry: IndexEntry, version: int, seconds: float) -> BuildResult:
    return BuildResult(
        recipe=built.recipe.name,
        rows=len(built.labels),
        seconds=seconds,
        bytes=sum(ref.bytes for ref in entry.files),
        memory_bytes=built.calibration.memory_bytes,
        calibrated_on=built.calibration.calibrated_on,
        promise=describe_recall(built.calibration),
        version=version,
        how="extended" if built.extended else "built",
        why=built.reason,
    )
