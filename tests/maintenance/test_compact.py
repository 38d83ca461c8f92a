"""Compaction: the same answers from fewer, larger segments."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from support.data import clustered

import vecsearch as vs
from vecsearch.index.attached import attach
from vecsearch.maintenance.check import find_damage

SMALL = vs.Limits(smallest_index_rows=100, compact_rows=250)


def test_an_index_survives_two_compactions_with_deletes(root: Path, small_exact: None) -> None:
    """From the second compaction on there are labels of deleted rows to carry over."""
    vectors = clustered(600, 16)
    with vs.create(root, dim=16, limits=SMALL) as c:
        c.add(vectors)
        c.build_index("HNSW16")
        for first in (0, 1):
            c.delete(range(first, 600, 3))
            c.compact()
        labels = attach(c._snapshot).labels
        assert labels is not None and int((labels < 0).sum()) == 400
        assert np.array_equal(np.sort(labels[labels >= 0]), np.arange(200))
        for query in vectors[:100]:
            hits = c.search(query, k=10, recall=0.9)
            assert len(set(hits.ids)) == 10 and all(name % 3 == 2 for name in hits.ids)
        exact = [c.search(query, k=10, exact=True).ids for query in vectors[:100]]
        found = [c.search(query, k=10, recall=0.95).ids for query in vectors[:100]]
        assert c.search(vectors[0], recall=0.95).plan.method == "index"
        overlap = [len(set(one) & set(other)) for one, other in zip(found, exact, strict=True)]
        assert sum(overlap) >= 0.95 * 1000
        assert find_damage(root) == []


def test_compacted_segments_end_at_the_limit(root: Path) -> None:
    with vs.create(root, dim=4, limits=SMALL) as c:
        for part in np.split(clustered(700, 4), 7):
            c.add(part)
        before = c.to_arrow()
        c.compact()
        assert [entry.rows for entry in c._snapshot.manifest.segments] == [200, 200, 200, 100]
        assert c.to_arrow().equals(before)
        version = c.info().version
        assert c.compact() == version  # nothing left to merge


def test_what_was_compacted_without_deleted_rows_stays_as_it_is(root: Path) -> None:
    """Segments end at so many bytes, of which deleted rows take some before, and none after."""
    limits = vs.Limits(segment_rows=1000, compact_bytes=260_000)
    with vs.create(root, dim=16, limits=limits, auto_index=False) as c:
        for part in np.split(clustered(4000, 16), 4):
            c.add(part)
        assert len(c._snapshot.manifest.segments) == 4
        c.delete([name for name in range(4000) if name % 5 == 0])
        before = c.to_arrow()
        version = c.compact()
        assert max(entry.file.bytes for entry in c._snapshot.manifest.segments) <= 260_000
        assert c.compact() == version
        assert c.to_arrow().equals(before)


def test_an_index_stays_in_use_when_a_covered_segment_is_emptied(
    root: Path, small_exact: None
) -> None:
    vectors = clustered(600, 16)
    with vs.create(root, dim=16, limits=SMALL) as c:
        for part in np.split(vectors, 3):
            c.add(part)
        c.build_index("HNSW16")
        c.delete(range(200))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            hits = c.search(vectors[5], k=10, recall=0.9)
        assert hits.plan.method == "index" and min(hits.ids) >= 200
        assert find_damage(root) == []


def test_a_compacted_segment_holds_as_many_rows_as_the_limit_says(root: Path) -> None:
    with vs.create(root, dim=4, limits=vs.Limits(compact_rows=3)) as c:
        for row in clustered(7, 4):
            c.add(row[None])
        c.compact()
        assert [entry.rows for entry in c._snapshot.manifest.segments] == [3, 3, 1]
