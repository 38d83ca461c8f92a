"""Labels of an index: which row of the segments each stands for, before and after a merge."""

from __future__ import annotations

import numpy as np

from vecsearch.common.arrays import Positions
from vecsearch.storage.manifest import Manifest
from vecsearch.storage.snapshot import Snapshot


def within_segments(manifest: Manifest, labels: Positions) -> tuple[tuple[str, ...], Positions]:
    """The segments that hold rows of an index, and its labels counted within them.

    labels: positions in a version, -1 for no row.
    """
    sizes = np.array([entry.rows for entry in manifest.segments], np.int64)
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    present = labels >= 0
    owner = np.searchsorted(starts, labels[present], "right") - 1
    is_empty = np.bincount(owner, minlength=len(sizes)) == 0  # of rows of the index
    within = labels.copy()
    within[present] -= np.cumsum(np.where(is_empty, sizes, 0))[owner]
    names = (
        entry.name for entry, empty in zip(manifest.segments, is_empty, strict=True) if not empty
    )
    return tuple(names), within


def positions_after_merge(latest: Snapshot, version: Manifest) -> Positions:
    """Where each row of a version is after neighboring segments were merged; -1 for deleted rows.

    version: the segments of `latest`, some of them replaced by one with their live rows.
    """
    starts, start = {}, 0
    for entry in version.segments:
        starts[entry.name] = start
        start += entry.rows
    after, at = np.full(latest.rows, -1, np.int64), 0
    live = latest.live.mask
    bounds = latest.starts.tolist()
    for number, entry in enumerate(latest.manifest.segments):
        rows = np.arange(bounds[number], bounds[number + 1])
        alive = rows if live is None else rows[live[rows]]
        if entry.name in starts:
            first = starts[entry.name]
            after[alive] = first + alive - bounds[number]
            at = first + entry.rows
        else:
            after[alive] = at + np.arange(len(alive))
            at += len(alive)
    return after
