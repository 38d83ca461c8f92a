"""Where the rows of one version are in a later one, for work that took so long that others changed the collection meanwhile."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.common.arrays import Positions
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import CHUNK, ID

COMPARED_ROWS = 16_384  # rows whose vectors are compared at a time


def rebase_positions(snapshot: Snapshot, latest: Snapshot, positions: Positions) -> Positions:
    """Where rows of a snapshot are in the latest version: -1 for rows gone (as -1 itself is) or changed since."""
    at = {
        entry.name: int(start)
        for entry, start in zip(latest.manifest.segments, latest.starts, strict=False)
    }
    out = np.full(len(positions), -1, np.int64)
    moved = []
    present = np.flatnonzero(positions >= 0)
    for number, within, rows in snapshot.split(positions[present]):
        indices = present[within]
        name = snapshot.manifest.segments[number].name
        if name in at:
            out[indices] = rows + at[name]
        else:
            moved.append(indices)
    if moved:
        lost = np.concatenate(moved)
        out[lost] = _found_again(snapshot, latest, positions[lost])
    return out


def _found_again(snapshot: Snapshot, latest: Snapshot, positions: Positions) -> Positions:
    """Rows of segments that were merged or rewritten meanwhile, found by id and passage, provided their vector is the same."""
    names = [ID, CHUNK] if CHUNK in snapshot.manifest.schema.names else [ID]
    before = snapshot.take(names, positions)
    owners, candidates = latest.locate(before.column(0))
    if len(names) == 2:
        now = latest.take([CHUNK], candidates).column(0)
        same = pc.equal(now, before.column(1).take(pa.array(owners))).to_numpy(zero_copy_only=False)
        owners, candidates = owners[same], candidates[same]
    out = np.full(len(positions), -1, np.int64)
    for at in range(0, len(owners), COMPARED_ROWS):
        owner, candidate = owners[at : at + COMPARED_ROWS], candidates[at : at + COMPARED_ROWS]
        equal = (snapshot.stored_vectors(positions[owner]) == latest.stored_vectors(candidate)).all(
            axis=1
        )
        out[owner[equal]] = candidate[equal]
    return out
