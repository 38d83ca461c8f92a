"""Find the rows of one version in a later one.

Long work needs this: others change the collection meanwhile.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.common.arrays import Positions
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import CHUNK

COMPARED_ROWS = 16_384  # rows whose vectors are compared at a time


def rebase_positions(snapshot: Snapshot, latest: Snapshot, positions: Positions) -> Positions:
    """Positions in the latest version of rows of an older snapshot.

    Args:
        snapshot: The older version.
        latest: The latest version.
        positions: Positions in `snapshot`, int64; -1 stands for no row.

    Returns:
        A position in `latest` for each, int64; -1 for no row, and for a row that was deleted or
        got another vector.
    """
    starts = {
        entry.name: int(start)
        for entry, start in zip(latest.manifest.segments, latest.starts, strict=False)
    }
    out = np.full(len(positions), -1, np.int64)
    moved = []
    present = np.flatnonzero(positions >= 0)
    for number, within, rows in snapshot.split(positions[present]):
        indices = present[within]
        name = snapshot.manifest.segments[number].name
        if name in starts:
            out[indices] = rows + starts[name]
        else:
            moved.append(indices)
    if moved:
        indices = np.concatenate(moved)
        out[indices] = _find_moved(snapshot, latest, positions[indices])
    return out


def _find_moved(snapshot: Snapshot, latest: Snapshot, positions: Positions) -> Positions:
    """Find rows of merged or rewritten segments by id and passage, if their vector is the same."""
    names = [snapshot.manifest.id_column, *([CHUNK] if snapshot.manifest.chunked else [])]
    before = snapshot.take(names, positions)
    owners, candidates = latest.locate(before.column(0))
    if len(names) == 2:
        now = latest.take([CHUNK], candidates).column(0)
        same = pc.equal(now, before.column(1).take(pa.array(owners))).to_numpy(zero_copy_only=False)
        owners, candidates = owners[same], candidates[same]
    out = np.full(len(positions), -1, np.int64)
    for start in range(0, len(owners), COMPARED_ROWS):
        owner = owners[start : start + COMPARED_ROWS]
        candidate = candidates[start : start + COMPARED_ROWS]
        same_numbers = snapshot.stored_vectors(positions[owner]) == latest.stored_vectors(candidate)
        equal = same_numbers.all(axis=1)
        out[owner[equal]] = candidate[equal]
    return out
