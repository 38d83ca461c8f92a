"""Divide the rows of a collection among another number of shards."""

from __future__ import annotations

import numpy as np

from vecsearch.common.arrays import Positions
from vecsearch.common.batches import BatchBuffer
from vecsearch.common.deadline import check_time
from vecsearch.index.build import build_index
from vecsearch.index.derived import relabeled
from vecsearch.index.recipe import stored_recipe
from vecsearch.storage.manifest import SegmentEntry
from vecsearch.storage.shards import in_shard_order
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.staging import Staging
from vecsearch.storage.store import Store


def reshard(store: Store, shards: int) -> int:
    """Divide the rows among so many shards, as one commit; then index each shard as before.

    Between the two, and if building fails, the old indexes serve: their labels follow the rows.

    Returns:
        The version committed, or the latest version if there was nothing to do.

    Raises:
        CorruptedError: A segment is damaged.
        LockTimeoutError: Another writer held the lock for too long.
        StorageError: Writing failed.
    """
    with store.locked() as latest, store.staging() as staging:
        before = latest.manifest
        if before.shards == shards:
            return before.version
        written = _divided(store, latest, staging, shards)
        segments = tuple(entry for entry, _ in written)
        version = in_shard_order(before.next("reshard", segments=segments, shards=shards))
        starts, start = {}, 0
        for entry in version.segments:
            starts[entry.name] = start
            start += entry.rows
        after = np.full(latest.rows, -1, np.int64)
        for entry, positions in written:
            after[positions] = starts[entry.name] + np.arange(entry.rows)
        version = relabeled(latest, version, after, staging)
        store.commit(staging, version)
    if not before.indexes:
        return version.version
    seed = int(store.files.calibration(before.indexes[0]).get("seed", 0))
    built = build_index(
        store,
        stored_recipe(before.indexes[0].recipe),
        recall=None,
        memory=None,
        queries=None,
        seed=seed,
        threads=None,
        extend=False,
    )
    return built.version


def _divided(
    store: Store, latest: Snapshot, staging: Staging, shards: int
) -> list[tuple[SegmentEntry, Positions]]:
    """New segments of all live rows, each with the positions that its rows had."""
    limits, names = store.limits, latest.manifest.schema.names
    waiting = BatchBuffer(limits.segment_rows, limits.segment_bytes)
    positions: list[Positions] = []
    written: list[tuple[SegmentEntry, Positions]] = []

    def flush() -> None:
        batch = waiting.take()
        if batch is not None:
            old = np.concatenate(positions)
            for entry, rows in staging.write_rows_by_shard(batch, shards):
                written.append((entry, old[rows]))
            positions.clear()

    for segment in latest.segments:
        segment.verify_all()
    rows = latest.live.rows
    for first in range(0, len(rows), limits.window_rows):
        check_time()
        some = rows[first : first + limits.window_rows]
        waiting.add(latest.take_stored(names, some))
        positions.append(some)
        if waiting.full:
            flush()
    flush()
    return written
