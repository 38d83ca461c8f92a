"""Which shard a row is in, and what a shard's part of a version is.

The shard of a row follows from its id alone: the 64-bit key of the id (`ids.id_keys`), mixed by the
finalizer of SplitMix64 (Steele, Lea and Flood, 2014), modulo the number of shards. It is the same
in every process and on every machine, and the passages of a document are in one shard. Mixing makes
the shards equal in size and a random sample of the rows, whatever the ids are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.common.arrays import Positions
from vecsearch.storage.ids import id_keys
from vecsearch.storage.manifest import Manifest, replace


def shard_of_ids(ids: pa.Array, shards: int) -> npt.NDArray[np.int64]:
    """The shard of each id, 0 to `shards` - 1.

    Args:
        ids: Ids, of the collection's id type.
        shards: How many shards there are.
    """
    mixed = id_keys(ids).view(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return (mixed % np.uint64(shards)).astype(np.int64)


def by_shard(ids: pa.Array, shards: int) -> Iterator[tuple[int, Positions]]:
    """The shards that hold some of these ids, each with the numbers of its ids, ascending."""
    if shards == 1:
        yield 0, np.arange(len(ids))
        return
    owner = shard_of_ids(ids, shards)
    order = np.argsort(owner, kind="stable")
    bounds = np.searchsorted(owner[order], np.arange(shards + 1))
    for shard in range(shards):
        if bounds[shard] < bounds[shard + 1]:
            yield shard, order[bounds[shard] : bounds[shard + 1]]


def in_shard_order(version: Manifest) -> Manifest:
    """A version whose segments are in the order of their shards, as every version is stored."""
    if version.shards == 1:
        return version
    ordered = tuple(sorted(version.segments, key=lambda entry: entry.shard))
    return version if ordered == version.segments else replace(version, segments=ordered)


def runs_of_shards(shards: Iterable[int]) -> Iterator[range]:
    """Where the segments of each shard are, of segments in the order of their shards."""
    start = stop = 0
    before: int | None = None
    for stop, shard in enumerate(shards, 1):
        if shard != before and stop - 1 > start:
            yield range(start, stop - 1)
            start = stop - 1
        before = shard
    if stop > start:
        yield range(start, stop)


def part_of(version: Manifest, shards: Iterable[int]) -> Manifest:
    """The part of a version that is in some shards: their segments and indexes.

    An index of named vectors is one for all shards, so a part has none.
    """
    wanted = frozenset(shards)
    segments = tuple(entry for entry in version.segments if entry.shard in wanted)
    names = {entry.name for entry in segments}
    indexes = tuple(
        entry for entry in version.indexes if entry.covers and names.issuperset(entry.covers)
    )
    return replace(version, segments=segments, indexes=indexes, vector_indexes={})
