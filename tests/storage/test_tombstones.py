"""Deleted rows on disk: the smaller of a list and a bit for each row."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import vecsearch as vs
from vecsearch.storage import disk, log
from vecsearch.storage.disk import FileRef
from vecsearch.storage.manifest import SegmentEntry
from vecsearch.storage.own_files import Removal
from vecsearch.storage.segment_file import write_batch
from vecsearch.storage.tombstones import read_tombstones, tombstone_batch


@pytest.mark.parametrize("rows", [1, 7, 8, 9, 63, 64, 65, 1000])
def test_deleted_rows_come_back_in_both_forms(tmp_path: Path, rows: int) -> None:
    rng = random.Random(rows)
    for count in {1, rows // 32, rows // 32 + 1, rows // 2, rows} - {0}:
        deleted = np.array(sorted(rng.sample(range(rows), count)), np.int64)
        batch = tombstone_batch(deleted, rows)
        assert batch.schema.names == (["row"] if count * 32 <= rows else ["deleted"])
        assert batch.nbytes <= min(4 * count, -(-rows // 8) + 4)
        path = tmp_path / f"{rows}-{count}"
        write_batch(path, batch)
        ref = disk.describe(tmp_path, path, path.name)
        entry = SegmentEntry(FileRef("segments/a", 1, ""), ref, rows, rows, count, ref)
        found = read_tombstones(tmp_path, ref, entry)
        assert found.dtype == np.int64 and found.tolist() == deleted.tolist()


def test_deleting_one_row_writes_at_most_a_bit_a_row(root: Path) -> None:
    rows = 40_000
    with vs.create(root, dim=1, metric="l2", auto_index=False) as c:
        c.add(pa.table({"id": range(rows), "vector": np.ones((rows, 1), np.float32).tolist()}))
        gone = set(range(0, rows, 2))
        c.delete(sorted(gone))
        for number in (1, 3):
            c.delete([number])
            gone.add(number)
            (entry,) = log.load(root).segments
            assert entry.tombstones is not None and entry.tombstones.bytes < rows // 8 + 1024
            assert entry.deleted == len(gone)
        assert c.get([0, 1, 3, 5], ["id"]) == [None, None, None, {"id": 5}]
        assert {*c.to_arrow(["id"])["id"].to_pylist()} == {*range(rows)} - gone
        assert c.delete([3, 5]).deleted == 1
    with vs.open(root) as c:
        assert c.count() == rows - len(gone) - 1
        assert c.check() == []


def test_a_file_is_unmapped_before_it_is_removed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last to let go of a file waits for the system to give back its memory."""
    removed = []
    remove = Removal.remove

    def checking(self: Removal, path: Path) -> None:
        if path.parent.name == "segments":
            mapped = Path("/proc/self/maps").read_text()
            assert path.name not in mapped
            removed.append(path.name)
        remove(self, path)

    with vs.create(root, dim=64, keep_versions=1) as c:
        c.add(np.ones((2000, 64), np.float32))
        (old,) = log.load(root).segments
        assert c.search(np.ones(64), k=1).ids
        assert old.name.split("/")[1] in Path("/proc/self/maps").read_text()
        c.delete([0])
        c.compact()
        monkeypatch.setattr(Removal, "remove", checking)
        for number in range(1, 12):
            c.delete([number])
    assert old.name.split("/")[1] in removed
