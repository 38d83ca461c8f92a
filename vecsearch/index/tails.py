"""Tail indexes: graphs over later rows, with the projection and the codes of the main index."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vecsearch.common.arrays import Positions
from vecsearch.index.attached import AttachedIndex
from vecsearch.index.builder import NEW_ROWS, Builder
from vecsearch.index.calibration import Calibration
from vecsearch.index.commit import BuiltIndex
from vecsearch.index.faiss import FaissIndex, read_index, train_index
from vecsearch.index.growth import DELETED_SHARE

HELD_OUT_MOST = 1 / 8  # of the new rows: without more of them a tail would be easier to search
CHECK_QUERIES = 200  # half of them new rows, half rows of the main index


def build_tail(builder: Builder, taken: Sequence[AttachedIndex], outside: Positions) -> BuiltIndex:
    """Index rows outside the indexes, and those of some tails, in one new tail.

    The largest of these tails is extended, so that its rows are not linked again.

    Args:
        builder: Of the snapshot, with the recipe of its main index.
        taken: The tails that the new one replaces.
        outside: Positions of live rows that are in no index.
    """
    live = builder.snapshot.live
    rng = np.random.default_rng([builder.seed, len(outside)])
    start = _to_extend(builder, taken)
    more = [tail.own_rows for tail in taken if tail is not start]
    later = np.concatenate([*more, outside])
    later = np.sort(later if live.mask is None else later[live.mask[later]])
    held_out = np.sort(
        rng.choice(outside, min(CHECK_QUERIES // 2, int(HELD_OUT_MOST * len(outside))), False)
    )
    rows = np.setdiff1d(later, held_out, assume_unique=True)
    if start is None:
        index, labels = _new(builder, rows), rows
    else:
        assert start.entry is not None
        index = read_index(builder.snapshot.root / start.entry.files[0].name, mmap=False)
        labels = np.arange(index.n) if start.labels is None else start.labels
        builder.add(index, rows)
        labels = np.concatenate([labels, rows])
    calibration = _calibration(builder, start, index, labels, held_out, rng)
    builder.add(index, held_out)
    labels = np.concatenate([labels, held_out])
    return builder.built(index, labels, calibration, "later rows")


def _to_extend(builder: Builder, taken: Sequence[AttachedIndex]) -> AttachedIndex | None:
    """The largest tail, unless many of its rows were deleted."""
    largest = max(taken, key=lambda tail: len(tail.own_rows), default=None)
    if largest is None or largest.entry is None:
        return None
    live = builder.snapshot.live.count_in(largest.own_rows)
    return largest if live >= (1 - DELETED_SHARE) * largest.entry.rows else None


def _new(builder: Builder, rows: Positions) -> FaissIndex:
    main, manifest = builder.attached.index, builder.snapshot.manifest
    assert main is not None
    return train_index(
        builder.recipe,
        str(manifest.metric),
        manifest.dim,
        lambda: builder.batches(rows),
        len(rows),
        builder.snapshot.stored_vectors(rows[:1]),
        threads=builder.threads,
        seed=builder.seed,
        projection=main.parts[0],
        progress=builder.progress,
    )


def _calibration(
    builder: Builder,
    start: AttachedIndex | None,
    index: FaissIndex,
    labels: Positions,
    held_out: Positions,
    rng: np.random.Generator,
) -> Calibration:
    """That of the tail that was extended, if it holds; else what is measured.

    That of the main index does not serve: among fewer rows, those found are farther from the query.
    """
    main = builder.attached
    own = main.own_rows
    own = own if builder.snapshot.live.mask is None else own[builder.snapshot.live.mask[own]]
    sample = np.sort(rng.choice(own, min(CHECK_QUERIES // 2, len(own)), replace=False))
    # Apart from each other: the rows of a tail may be closer together than all others.
    groups = [builder.snapshot.stored_vectors(rows) for rows in (held_out, sample) if len(rows)]

    def holds(calibration: Calibration) -> bool:
        return all(builder.still_holds(index, labels, group, calibration) for group in groups)

    if start is not None and holds(start.calibration):
        return start.calibration
    on = main.calibration.calibrated_on.removesuffix(NEW_ROWS) + NEW_ROWS
    measured = builder.calibrate(index, labels, np.concatenate(groups), on)
    if holds(measured):
        return measured
    first, *others = (builder.calibrate(index, labels, queries, on) for queries in groups)
    for other in others:
        first = first.merged_with(other)
    return first
