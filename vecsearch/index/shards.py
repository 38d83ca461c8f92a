"""The indexes of a collection's shards: each is built by its own task, and one commit takes all.

A task is a function of its arguments: a version, a shard, a recipe and a seed. What it makes lies
in a folder that is named after a digest of these, so a task that runs again, because its worker was
killed or was slow, finds what is there or makes the same. Tasks run on any engine
(`vecsearch.distributed`); what they make does not depend on which.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vecsearch.common.arrays import Positions, Vectors
from vecsearch.common.cores import cores
from vecsearch.common.engines import Engine, engine_for
from vecsearch.errors import RecipeError
from vecsearch.index.auto import choose_recipe, needed_bytes
from vecsearch.index.builder import HELD_OUT_ROWS, OWN_QUERIES, Builder
from vecsearch.index.calibration import Calibration, describe_recall
from vecsearch.index.commit import adopt_index, commit_without_index, entry_of_rows, without_setting
from vecsearch.index.growth import UP_TO_DATE, is_up_to_date
from vecsearch.index.recipe import IndexRecipe, stored_recipe
from vecsearch.storage import disk
from vecsearch.storage.layout import NO_INDEX_SETTING
from vecsearch.storage.limits import Limits
from vecsearch.storage.manifest import IndexEntry
from vecsearch.storage.open_files import OpenFiles
from vecsearch.storage.snapshot import Snapshot, open_snapshot
from vecsearch.storage.store import Store
from vecsearch.types import BuildResult

GRAPH, LABELS, DONE = "index.faiss", "labels.npy", "done.json"


@dataclass(frozen=True)
class ShardTask:
    """What decides the index of a shard.

    Attributes:
        root: The collection.
        version: The version whose rows are indexed; the caller holds it open.
        shard: The shard.
        folder: Where the task's folder is made.
        recipe: A recipe, its name or path, a FAISS factory string, or "auto".
        target: The recall to reach.
        memory: Bytes the index of this shard may take; None for any number.
        queries: float32 (nq, dim), as stored, to calibrate with; None for held-out rows.
        query_source: What the queries are, in words.
        seed: Seed of the build.
        threads: Threads to build with.
        extend: Whether an index that is there is extended if that is enough.
        limits: How many rows are added at a time.
    """

    root: str
    version: int
    shard: int
    folder: str
    recipe: str | IndexRecipe
    target: float
    memory: int | None
    queries: Vectors | None
    query_source: str
    seed: int
    threads: int
    extend: bool
    limits: Limits

    def key(self, part: Snapshot) -> str:
        """A digest of all that decides the index."""
        queries = b"" if self.queries is None else self.queries.tobytes()
        recipe = self.recipe if isinstance(self.recipe, str) else self.recipe.to_mapping()
        decides = [
            *(part.manifest.row_state, [entry.name for entry in part.manifest.indexes]),
            *(recipe, self.target, self.memory, self.seed, self.threads, self.extend),
            hashlib.blake2b(queries, digest_size=16).hexdigest(),
            asdict(self.limits),
        ]
        text = json.dumps(decides, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class ShardIndex:
    """The index that a task made of a shard.

    Attributes:
        shard: The shard.
        folder: Where its files are; "" if none was made.
        rows: Rows in it.
        recipe: How it was built.
        calibration: What was measured of it.
        extended: Whether an index was extended.
        reason: Why it was extended or built, or why none was.
        kept: The indexes that stay as they are, by name, because they are up to date.
    """

    shard: int
    folder: str
    rows: int
    recipe: Mapping[str, Any]
    calibration: Mapping[str, Any]
    extended: bool = False
    reason: str = ""
    kept: tuple[str, ...] = ()


def index_shard(task: ShardTask) -> ShardIndex:
    """Build, calibrate and write the index of one shard; nothing is committed.

    Raises RecipeError, StorageError, CorruptedError.
    """
    root = Path(task.root)
    snapshot = open_snapshot(root, OpenFiles(root), task.version)
    part = snapshot.of_shards([task.shard])
    folder = Path(task.folder) / task.key(part)
    if (folder / DONE).exists():
        return _made(folder)
    part.verify()
    rows = part.live.rows
    recipe = choose_recipe(task.recipe, part, task.memory, task.target, task.seed)
    if recipe.kind == "exact" or len(rows) < task.limits.smallest_index_rows:
        why = "the recipe is exact search" if recipe.kind == "exact" else "few rows"
        return ShardIndex(task.shard, "", 0, recipe.to_mapping(), {}, reason=why)
    _require_memory(recipe, needed_bytes(recipe, len(rows), part.manifest.dim), task.memory)
    if (
        task.extend
        and task.queries is None
        and is_up_to_date(part, recipe, task.seed, task.target, HELD_OUT_ROWS)
    ):
        return _as_it_is(task, part, recipe)
    with Builder(
        part,
        recipe,
        task.seed,
        task.threads,
        lambda count: None,
        target=task.target,
        resumable=True,
        limits=task.limits,
    ) as builder:
        if task.extend:
            built = builder.extend_or_run(rows, task.queries, task.query_source)
        else:
            built = builder.run(rows, task.queries, task.query_source, "the index was outgrown")
    _require_memory(recipe, built.calibration.memory_bytes, task.memory)
    labels = built.labels.copy()
    labels[built.index.out_of_range] = -1  # searched exactly, like rows added since
    work = folder.with_name(f"{folder.name}-{uuid.uuid4().hex}")
    with disk.storage_errors("writing", work):
        work.mkdir(parents=True)
        disk.write_file(work / GRAPH, built.index.write)
        disk.write_file(work / LABELS, lambda path: np.save(path, labels, allow_pickle=False))
        made = ShardIndex(
            task.shard,
            str(folder),
            len(labels),
            built.recipe.to_mapping(),
            built.calibration.to_mapping(),
            built.extended,
            built.reason,
        )
        disk.write_text(work / DONE, json.dumps(asdict(made)))
        try:
            os.rename(work, folder)  # noqa: PTH104  whole, or not at all
        except OSError:
            if not (folder / DONE).exists():
                raise
            shutil.rmtree(work)  # the same task ran twice, and the other was faster
    return _made(folder)


def _made(folder: Path) -> ShardIndex:
    """What a finished task left."""
    return ShardIndex(**json.loads((folder / DONE).read_text(encoding="utf-8")))


def _as_it_is(task: ShardTask, part: Snapshot, recipe: IndexRecipe) -> ShardIndex:
    entries = part.manifest.indexes
    calibration = part.files.calibration(entries[0])
    names = tuple(entry.name for entry in entries)
    rows = sum(entry.rows for entry in entries)
    return ShardIndex(
        task.shard, "", rows, recipe.to_mapping(), calibration, reason=UP_TO_DATE, kept=names
    )


def _require_memory(recipe: IndexRecipe, needed: int, memory: int | None) -> None:
    """Raises RecipeError naming the size if the index of a shard does not fit."""
    if memory is not None and needed > memory:
        raise RecipeError(
            f"the index '{recipe.name}' of one shard takes {needed:,} bytes, more than its part of "
            f"the memory allowed, {memory:,}",
            hint='give more memory, or build "auto", which chooses an index that fits',
            command_hint="give more memory, or build the recipe auto, which chooses one that fits",
        )


def build_shards(
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
    """Build the index of each shard, and commit all of them as one version.

    The arguments are those of `build_index`. `memory` is divided among the shards; `engine` runs
    the tasks, which without one run one after the other in this process.

    Raises:
        RecipeError: The recipe is invalid, or does not fit the data or `memory`.
        ConflictError: The collection was moved to another model meanwhile.
        StorageError: The disk is full or cannot be written.
        LockTimeoutError: Another process held the lock for too long.
    """
    started = time.perf_counter()
    snapshot = store.snapshot(pulled=True)  # just now, by the caller
    shards = snapshot.manifest.shards
    target = snapshot.manifest.recall if recall is None else recall
    if threads is None:
        threads = 1 if engine is not None else cores()
    with store.staging() as staging:
        tasks = [
            ShardTask(
                str(store.root),
                snapshot.manifest.version,
                shard,
                str(staging.folder),
                recipe,
                target,
                None if memory is None else memory // shards,
                queries,
                query_source,
                seed,
                threads,
                extend,
                store.limits,
            )
            for shard in range(shards)
        ]
        parts = (engine or engine_for(1)).map(
            index_shard, tasks, done=lambda made: progress(made.rows)
        )
        if not any(part.folder or part.kept for part in parts):
            version = commit_without_index(
                store, target, wanted=_is_exact(parts) and recipe != "auto"
            )
            seconds = time.perf_counter() - started
            why = f"no index: {parts[0].reason}"
            return BuildResult("exact", 0, seconds, 0, 0, "", why, version)
        if all(part.kept or not part.folder for part in parts):
            entries: tuple[IndexEntry, ...] = snapshot.manifest.indexes
            return _result(parts, entries, snapshot.manifest.version, started)
        files = {
            part.shard: adopt_index(staging, Path(part.folder) / GRAPH, part.calibration)
            for part in parts
            if part.folder
        }
        with store.locked() as latest:
            entries = ()
            for part in parts:
                if part.folder:
                    base = snapshot.of_shards([part.shard])
                    labels: Positions = np.load(Path(part.folder) / LABELS, allow_pickle=False)
                    built = stored_recipe(part.recipe)
                    entry = entry_of_rows(staging, base, latest, labels, built, files[part.shard])
                    entries = (*entries, entry)
                entries += tuple(
                    entry for entry in latest.manifest.indexes if entry.name in part.kept
                )
            following = latest.manifest.next(
                "build_index",
                indexes=entries,
                recall=target,
                settings=without_setting(latest.manifest, NO_INDEX_SETTING),
            )
            store.commit(staging, following)
    return _result(parts, entries, following.version, started)


def _is_exact(parts: Sequence[ShardIndex]) -> bool:
    return all(part.recipe["kind"] == "exact" for part in parts)


def _result(
    parts: Sequence[ShardIndex], entries: Sequence[IndexEntry], version: int, started: float
) -> BuildResult:
    """One result for all shards; the recall is that of the first with an index."""
    indexed = [part for part in parts if part.folder or part.kept]
    calibrations = [Calibration.from_mapping(part.calibration) for part in indexed]
    first, reasons = calibrations[0], {part.reason for part in indexed}
    extended = any(part.extended for part in indexed)
    result = BuildResult(
        recipe=stored_recipe(indexed[0].recipe).name,
        rows=sum(part.rows for part in indexed),
        seconds=time.perf_counter() - started,
        bytes=sum(ref.bytes for entry in entries for ref in entry.files),
        memory_bytes=sum(calibration.memory_bytes for calibration in calibrations),
        calibrated_on=first.calibrated_on,
        promise=f"{describe_recall(first)}, in the first of {len(parts)} shards",
        version=version,
        why="; ".join(sorted(reasons)),
    )
    if reasons == {UP_TO_DATE}:
        return result
    return replace(result, how="extended" if extended else "built")
