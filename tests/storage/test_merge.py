"""Small segments become fewer, and each row is copied a few times only."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import vecsearch as vs
from vecsearch.storage import disk, log
from vecsearch.storage.disk import FileRef
from vecsearch.storage.manifest import IndexEntry, Manifest, SegmentEntry, replace
from vecsearch.storage.merge import FAN_OUT, LARGE_BYTES, MANY, TIERS, SmallMerge, due, due_of, tier
from vecsearch.storage.store import Store
from vecsearch.types import Metric

FULL = FAN_OUT**TIERS


def entries(*rows: int, size: int = 1) -> tuple[SegmentEntry, ...]:
    return tuple(
        SegmentEntry(FileRef(f"segments/{n}", size, ""), FileRef("segments/i", 1, ""), r, r)
        for n, r in enumerate(rows)
    )


def due_in(*rows: int, covered: int = 0, size: int = 1) -> slice | None:
    segments = entries(*rows, size=size)
    index = IndexEntry("i", (), tuple(item.name for item in segments[:covered]), 1, {}, None, None)
    manifest = Manifest(1, pa.schema([]), Metric.L2, 1, "float32", None, segments=segments)
    runs = due(replace(manifest, indexes=(index,) if covered else ()))
    return runs[0] if runs else None


def test_a_tier_holds_an_eighth_of_the_next() -> None:
    for rows, wanted in ((0, 0), (1, 0), (7, 0), (8, 1), (63, 1), (64, 2), (FULL - 1, 5)):
        assert tier(rows) == wanted
    assert tier(FULL) == tier(100 * FULL) == TIERS


def test_eight_neighbors_of_one_tier_are_due() -> None:
    assert due_in(*[1] * 7) is None
    assert due_in(*[1] * 8) == slice(0, 8)
    assert due_in(100_000, *[1] * 8) == slice(1, 9)
    assert due_in(8, *[1] * 7) is None  # the eight are not of one tier
    assert due_in(*[5000] * 8) == slice(0, 8)
    assert due_in(*[5000] * 7, *[1] * 7) is None
    assert due_in(*[5000] * 7, *[1] * 7, 4096) == slice(0, 15)  # with those between
    assert due_in(*[1] * 8, 5000, *[1] * 7) == slice(0, 8)
    assert due_in(*[1] * 8, 5000, *[1] * 8) == slice(9, 17)  # the newest first


def test_each_shard_has_a_run_of_its_own() -> None:
    segments = [replace(entry, shard=n // 9) for n, entry in enumerate(entries(*[1] * 27))]
    manifest = Manifest(
        *(1, pa.schema([]), Metric.L2, 1, "float32", None), segments=tuple(segments), shards=4
    )
    assert due(manifest) == [slice(0, 9), slice(9, 18), slice(18, 27)]
    assert due(replace(manifest, segments=tuple(segments[2:20]))) == [slice(7, 16)]


def test_large_and_covered_segments_stay() -> None:
    assert due_in(*[FULL] * 20) is None
    assert due_in(*[FULL - 1] * 8) == slice(0, 8)
    assert due_in(*[5000] * 8, size=LARGE_BYTES - 1) == slice(0, 8)
    assert due_in(*[5000] * 20, size=LARGE_BYTES) is None
    assert due_in(*[1] * 10, covered=3) is None
    assert due_in(*[1] * 11, covered=3) == slice(3, 11)
    assert due_in(0, *[1] * 8) == slice(0, 9)


@dataclass
class Run:
    """What merging did in a simulated run."""

    added: int
    copied: int
    most: int
    left: int


def simulated(adds: Sequence[int], before: Iterable[int] = ()) -> Run:
    sizes, copied, most = list(before), 0, 0
    for rows in adds:
        run = due_of(sizes)
        if run is not None:
            merged = sizes[run]
            assert len(merged) > 1 and max(merged) <= FAN_OUT * (sum(merged) - max(merged))
            copied += sum(merged)
            sizes[run] = [sum(merged)]
        sizes.append(rows)
        most = max(most, sum(size < FULL for size in sizes))
    return Run(sum(adds), copied, most, len(sizes))


LOADED = (FULL, FULL, FULL, 213_568)  # a million rows added at once


@pytest.mark.parametrize("before", [(), LOADED], ids=["empty", "loaded"])
@pytest.mark.parametrize(
    ("rows", "times", "copies"), [(1, 10_000, 4), (1000, 500, 3), (100, 2000, 4)]
)
def test_each_row_is_copied_once_a_tier(
    before: tuple[int, ...], rows: int, times: int, copies: float
) -> None:
    run = simulated([rows] * times, before)
    assert run.copied <= copies * run.added + sum(before[3:])  # which joins others once
    assert run.left <= 26 + len(before) and run.most <= 32 + len(before)


def mixtures() -> Iterator[list[int]]:
    rng = random.Random(4)
    yield [int(10 ** rng.uniform(0, 4)) for _ in range(4000)]
    yield [8 ** min(int(rng.expovariate(2)), 5) for _ in range(4000)]
    yield ([1] * 7 + [8]) * 500
    yield [32768, 4096, 512, 64, 8, 1] * 500
    yield [1, 8, 64, 512, 4096, 32768] * 500
    yield [40_000, 1] * 1000
    yield [5000, 600, *[1] * 7, 70, *[1] * 7, 9] * 200


@pytest.mark.parametrize("adds", list(mixtures()))
def test_adds_of_all_sizes_leave_few_segments(adds: list[int]) -> None:
    run = simulated(adds)
    assert run.copied <= 4 * run.added
    assert run.most <= MANY + 8


# -- in a collection ------------------------------------------------------------------------------


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The bytes of all files written so far, by the end of their names."""
    sizes: dict[str, int] = {}
    write_file = disk.write_file

    def counting(path: Path, write: object) -> None:
        write_file(path, write)  # type: ignore[arg-type]
        kind = path.name.partition(".")[2]
        sizes[kind] = sizes.get(kind, 0) + path.stat().st_size

    monkeypatch.setattr(disk, "write_file", counting)
    return sizes


def test_one_row_adds_after_a_bulk_load_write_little(root: Path, written: dict[str, int]) -> None:
    singles = 75
    vectors = np.random.default_rng(0).standard_normal((20_000 + singles, 16)).astype(np.float32)
    with vs.create(root, dim=16, auto_index=False) as c:
        c.add(vectors[:20_000])
        loaded = log.load(root).segments
        written.clear()
        for number in range(singles):
            c.add(vectors[20_000 + number : 20_001 + number])
        segments = log.load(root).segments
        assert segments[: len(loaded)] == loaded and len(segments) <= len(loaded) + 20
        assert sum(entry.rows for entry in segments[len(loaded) :]) == singles
        assert c.to_arrow()["id"].to_pylist() == list(range(20_000 + singles))
        assert np.allclose(np.stack(c.to_pandas()["vector"].to_list()), vectors, atol=1e-6)
    rows = (singles + singles * 2.7) * 16 * 4  # each copied about twice so far
    assert written["arrow"] < singles * 1.4 * 2048 + rows  # and what Arrow says of each file
    assert sum(written.values()) < singles * 16_384  # the file of 20,000 rows is 1.4 MB


def test_updates_of_one_row_are_merged_too(root: Path) -> None:
    with vs.create(root, dim=2, metric="l2") as c:
        c.add([{"id": n, "n": 0, "vector": [n, 1]} for n in range(100)])
        for n in range(40):
            c.update(f"id = {n}", {"n": n + 1})
        assert len(log.load(root).segments) <= 13
        table = c.to_arrow(["id", "n"]).sort_by("id")
        rows = table.to_pylist()
        assert rows == [{"id": n, "n": n + 1 if n < 40 else 0} for n in range(100)]


@pytest.mark.parametrize("change", ["delete", "replace", "index", "add", "none"])
def test_what_others_commit_while_segments_are_merged_stays(root: Path, change: str) -> None:
    limits = vs.Limits(smallest_index_rows=1)
    with vs.create(root, dim=2, metric="l2", limits=limits) as c:
        for n in range(8):
            c.add([{"id": n, "vector": [n, 1]}])
        store = Store(root, 10)
        with store.staging() as staging:
            merge = SmallMerge(store.snapshot(), staging)
            wanted = {n: [float(n), 1.0] for n in range(8)}
            if change == "delete":
                c.delete([3])
                del wanted[3]
            elif change == "replace":
                c.add([{"id": 3, "vector": [9, 9]}], on_conflict="replace")
                wanted[3] = [9.0, 9.0]
            elif change == "index":
                c.build_index("Flat")
            elif change == "add":
                c.add([{"id": 8, "vector": [8, 1]}])
                wanted[8] = [8.0, 1.0]
            with store.locked() as latest:
                after = merge.apply(latest.manifest)
                merges = change == "none"
                assert (len(after.segments) == 1) == merges
                assert (after == latest.manifest) == (not merges)
                store.commit(staging, replace(after, version=after.version + 1))
        c.refresh()
        table = c.to_arrow()
        found = dict(zip(table["id"].to_pylist(), table["vector"].to_pylist(), strict=True))
        assert found == wanted
        assert c.count() == len(wanted)
