"""Labels of an index before and after segments were merged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import vecsearch as vs
from vecsearch.index.labels import positions_after_merge, within_segments
from vecsearch.storage.manifest import replace

VECTORS = np.random.default_rng(0).standard_normal((60, 4)).astype(np.float32)


@pytest.fixture
def snapshot(root: Path) -> vs.Collection:
    """Four segments of 10, 20, 5 and 25 rows; every seventh row is deleted."""
    c = vs.create(root, dim=4)
    for first, last in ((0, 10), (10, 30), (30, 35), (35, 60)):
        c.add(VECTORS[first:last])
    c.delete(range(0, 60, 7))
    return c


def test_labels_count_within_the_segments_that_hold_rows(snapshot: vs.Collection) -> None:
    manifest = snapshot._snapshot.manifest
    names = [entry.name for entry in manifest.segments]
    labels = np.array([12, -1, 59, 29, 36])
    covers, within = within_segments(manifest, labels)
    assert list(covers) == [names[1], names[3]]
    assert within.tolist() == [2, -1, 20 + 24, 19, 20 + 1]
    covers, within = within_segments(manifest, np.arange(60))
    assert list(covers) == names and within.tolist() == list(range(60))
    assert within_segments(manifest, np.array([-1, -1]))[0] == ()


@pytest.mark.parametrize(("first", "last"), [(0, 4), (1, 3), (2, 4), (0, 2)])
def test_rows_are_where_the_merged_segments_have_them(
    snapshot: vs.Collection, first: int, last: int
) -> None:
    latest = snapshot._snapshot
    segments = latest.manifest.segments
    live = sum(entry.live for entry in segments[first:last])
    merged = replace(
        segments[first],
        file=replace(segments[first].file, name="segments/merged.arrow"),
        rows=live,
        deleted=0,
        tombstones=None,
    )
    version = replace(latest.manifest, segments=(*segments[:first], merged, *segments[last:]))
    after = positions_after_merge(latest, version)
    expected, at = [], 0
    bounds = latest.starts.tolist()
    for number in range(len(segments)):
        for row in range(bounds[number], bounds[number + 1]):
            alive = row % 7 != 0
            if first <= number < last:
                expected.append(at if alive else -1)
                at += alive
            else:
                expected.append(at if alive else -1)
                at += 1
    assert after.tolist() == expected
