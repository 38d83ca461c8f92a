"""Indexes what a change added, before the call returns; `policy.py` says when and how."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from vecsearch.common.arrays import Positions
from vecsearch.common.cores import cores
from vecsearch.common.progress import progress_bar
from vecsearch.index.attached import AttachedIndex, attach
from vecsearch.index.auto import EXACT_BELOW
from vecsearch.index.build import build_index, open_builder
from vecsearch.index.commit import commit_part
from vecsearch.index.faiss import read_index
from vecsearch.index.growth import Extension
from vecsearch.index.merging import merge_newest
from vecsearch.index.named import NamedSnapshot, NamedStore
from vecsearch.index.outside import Outside, has_codes
from vecsearch.index.policy import RULES, PartSizes, Rules, Step, next_step, outside_limit
from vecsearch.index.recipe import stored_recipe
from vecsearch.index.tails import build_tail
from vecsearch.storage.layout import AUTO_INDEX_SETTING, NO_INDEX_SETTING
from vecsearch.storage.manifest import IndexEntry, Manifest
from vecsearch.storage.named_vectors import vector_columns
from vecsearch.storage.open_files import read_rows
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.store import Store

BLOCK_ROWS = 4096  # of vectors that are compared with what an index was trained for


class Indexed(NamedTuple):
    """What was indexed after a change.

    Attributes:
        rows: Rows that entered a graph.
        bytes: Size of the index files that were written.
        version: The version that was committed.
    """

    rows: int
    bytes: int
    version: int


def indexes_changes(manifest: Manifest) -> bool:
    """Whether changes of a collection index what they add, unless a call says otherwise."""
    return bool(manifest.settings.get(AUTO_INDEX_SETTING, True))


def index_all_changes(
    store: Store, snapshot: Snapshot, progress: bool | None = None
) -> Indexed | None:
    """`index_changes` for the collection's own vectors, then for its named ones."""
    done = index_changes(store, snapshot, progress)
    for name in vector_columns(snapshot.manifest.schema):
        named = NamedStore(store, name)
        more = index_changes(named, named.snapshot(), progress)
        if more is not None:
            before = Indexed(0, 0, 0) if done is None else done
            done = Indexed(before.rows + more.rows, before.bytes + more.bytes, more.version)
    return done


def index_changes(store: Store, snapshot: Snapshot, progress: bool | None = None) -> Indexed | None:
    """Index the rows that changes left outside the indexes, if there are enough of them.

    Args:
        store: The collection.
        snapshot: Its latest version.
        progress: Whether to show a progress bar; None shows it where stderr is a terminal.

    Returns:
        What was indexed; None if nothing had to be.

    Raises:
        StorageError: The disk is full or cannot be written.
        LockTimeoutError: Another process held the lock for too long.
        ConflictError: The collection was moved to another model meanwhile.
        CorruptedError: A segment that would be indexed is damaged.
    """
    manifest = snapshot.manifest
    if manifest.shards > 1:
        return _index_shards(store, snapshot, progress)
    if manifest.settings.get(NO_INDEX_SETTING) or _changed_little(snapshot, RULES):
        return None
    attached = attach(snapshot)
    if manifest.indexes and attached.entry is None:
        return None  # it is damaged: repair builds it again
    threads = cores()
    if attached.entry is None:
        if next_step(PartSizes(0, outside=snapshot.live.count), RULES).action == "none":
            return None
        snapshot.verify()  # never trains on what is damaged
        return _build(store, "auto", 0, threads, progress)
    waiting, unlike = _waiting(snapshot, attached)
    step = next_step(_sizes(snapshot, attached, len(waiting), unlike), RULES)
    if step.action == "build":
        seed = attached.calibration.seed
        snapshot.verify()
        return _build(store, attached.entry, seed, threads, progress)
    if step.action == "none":
        return None
    whole = store.whole if isinstance(store, NamedStore) else store
    if whole.snapshot().manifest.shards == 1:  # of several, each shard has segments of its own
        merge_newest(whole)
    merged = store.snapshot()
    if [entry.name for entry in merged.manifest.indexes] != [
        entry.name for entry in manifest.indexes
    ]:
        return None  # another writer indexed the rows
    waiting, _ = _waiting(merged, attach(merged))
    for number, _, _ in merged.split(waiting):
        merged.segments[number].verify_all()
    return _extend(store, merged, waiting, step, threads, progress)


def _build(
    store: Store,
    like: str | IndexEntry,
    seed: int,
    threads: int,
    progress: bool | None,
    *,
    extend: bool = False,
) -> Indexed | None:
    """Build an index over all rows."""
    recipe = like if isinstance(like, str) else stored_recipe(like.recipe)
    with progress_bar("building the index", None, progress) as advance:
        result = build_index(
            store,
            recipe,
            recall=None,
            memory=None,
            queries=None,
            seed=seed,
            threads=threads,
            progress=advance,
            extend=extend,
        )
    return Indexed(result.rows, result.bytes, result.version) if result.rows else None


def _index_shards(store: Store, snapshot: Snapshot, progress: bool | None) -> Indexed | None:
    """Index what changed in a collection of several shards: all of them, or none.

    Shards are random samples of the rows, so one step fits all. There are no tails.
    """
    manifest, rules = snapshot.manifest, RULES
    if manifest.settings.get(NO_INDEX_SETTING):
        return None
    threads = cores()
    if not manifest.indexes:
        if snapshot.live.count < max(rules.first, manifest.shards * EXACT_BELOW):
            return None
        return _build(store, "auto", 0, threads, progress)
    attached = attach(snapshot)
    if attached.entry is None:
        return None  # it is damaged: repair builds it again
    held = sum(_rows_of(snapshot, entry) for entry in manifest.indexes)
    main = sum(entry.rows for entry in manifest.indexes)
    sizes = PartSizes(
        main=main,
        deleted=main - held + manifest.deleted,
        outside=manifest.rows - held,
        has_codes=has_codes(manifest, attached.entry),
        has_tails=False,
        can_extend=attached.index is not None and attached.index.grows,
    )
    if next_step(sizes, rules).action == "none":
        return None
    waiting, unlike = _waiting(snapshot, attached)
    sizes = replace(sizes, outside=len(waiting), unlike=unlike)
    step = next_step(sizes, rules)
    if step.action == "none":
        return None
    extend, seed = step.action == "join", attached.calibration.seed
    return _build(store, attached.entry, seed, threads, progress, extend=extend)


def _extend(
    store: Store,
    snapshot: Snapshot,
    waiting: Positions,
    step: Step,
    threads: int,
    progress: bool | None,
) -> Indexed | None:
    """Let rows join the main index, or make a tail of them."""
    attached = attach(snapshot)
    entry = attached.entry
    assert entry is not None
    with (
        progress_bar("indexing new rows", len(waiting), progress) as advance,
        open_builder(
            snapshot,
            stored_recipe(entry.recipe),
            attached.calibration.seed,
            threads,
            advance,
            target=attached.calibration.target,
            limits=store.limits,
        ) as builder,
    ):
        taken = attached.tails[len(attached.tails) - step.tails :]
        if step.action == "join":
            taken = attached.tails
            live, later = snapshot.live, [tail.own_rows for tail in taken]
            rows = np.sort(np.concatenate([*later, waiting]))
            rows = rows if live.mask is None else rows[live.mask[rows]]
            index = read_index(snapshot.root / entry.files[0].name, mmap=False)
            built = builder.extend(Extension(entry, index, rows))
            replaced = [part.entry.name for part in attached.parts if part.entry]
            added = len(rows)
        else:
            built = build_tail(builder, taken, waiting)
            replaced = [tail.entry.name for tail in taken if tail.entry]
            kept = max((len(tail.own_rows) for tail in taken), default=0)
            added = len(built.labels) - kept
    committed = commit_part(store, snapshot, built, replaced, first=step.action == "join")
    if committed is None:
        return None
    new, version = committed
    return Indexed(added, sum(ref.bytes for ref in new.files), version)


def _waiting(snapshot: Snapshot, attached: AttachedIndex) -> tuple[Positions, int]:
    """Positions of the live rows outside that an index can take, and the number of the others."""
    index, live = attached.index, snapshot.live
    assert index is not None
    rows = attached.unindexed_rows
    rows = rows if live.mask is None else rows[live.mask[rows]]
    if has_codes(snapshot.manifest, attached.entry):
        coded = Outside(snapshot, attached).codes.coded  # computed once for each segment
        fitting = np.intersect1d(coded, rows, assume_unique=True)
        if len(coded) or not len(rows):
            return fitting, len(rows) - len(fitting)
    fits = [
        index.covers(snapshot.stored_vectors(rows[first : first + BLOCK_ROWS]))
        for first in range(0, len(rows), BLOCK_ROWS)
    ]
    fitting = rows[np.concatenate([np.empty(0, bool), *fits])]
    return fitting, len(rows) - len(fitting)


def _sizes(snapshot: Snapshot, attached: AttachedIndex, outside: int, unlike: int) -> PartSizes:
    entry, index, live = attached.entry, attached.index, snapshot.live
    assert entry is not None and index is not None
    indexed = live.count - live.count_in(attached.later_rows)
    return PartSizes(
        main=entry.rows,
        deleted=entry.rows - indexed,
        tails=[live.count_in(tail.own_rows) for tail in attached.tails],
        outside=outside,
        unlike=unlike,
        has_codes=has_codes(snapshot.manifest, entry),
        has_tails=index.kind == "hnsw" and not _has_lists(snapshot),
        can_extend=index.grows,
    )


def _has_lists(snapshot: Snapshot) -> bool:
    """Whether a row has several vectors: their indexes are searched one at a time."""
    return isinstance(snapshot, NamedSnapshot) and snapshot.kind.multi


def _changed_little(snapshot: Snapshot, rules: Rules) -> bool:
    """Whether nothing has to be done, as far as the manifest tells: no index is opened."""
    manifest = snapshot.manifest
    if not manifest.indexes:
        return manifest.rows - manifest.deleted < rules.first
    main, *tails = (_rows_of(snapshot, entry) for entry in manifest.indexes)
    first = manifest.indexes[0]
    sizes = PartSizes(first.rows, tails=tails, has_codes=has_codes(manifest, first))
    outside = manifest.rows - main - sum(tails)
    deleted = first.rows - main + manifest.deleted
    most = replace(sizes, outside=outside, deleted=deleted, unlike=outside)
    return outside < outside_limit(sizes, rules) and next_step(most, rules).action == "none"


def _rows_of(snapshot: Snapshot, entry: IndexEntry) -> int:
    """Rows of the segments that an index holds, deleted ones included."""
    if entry.labels is None:
        return entry.rows
    return int(np.count_nonzero(read_rows(snapshot.root, entry.labels, pa.int64()) >= 0))
