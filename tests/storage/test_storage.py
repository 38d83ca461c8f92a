"""Files: segments, ids, manifests, locks and what damage does."""

from __future__ import annotations

import binascii
import errno
import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vecsearch as vs
from vecsearch.storage import disk, filesystem, locks, log, manifest_json
from vecsearch.storage.disk import BLOCK, FileRef
from vecsearch.storage.ids import IdIndex, id_keys, write_ids
from vecsearch.storage.manifest import EmbedderEntry, IndexEntry, Manifest, SegmentEntry, replace
from vecsearch.storage.own_files import Removal
from vecsearch.storage.schema import vector_array, vector_type, vector_view
from vecsearch.storage.segment import Segment
from vecsearch.storage.segment_file import write_batch
from vecsearch.storage.store import SLACK_VERSIONS
from vecsearch.types import Metric


def written(root: Path, batch: pa.RecordBatch, name: str = "segments/a.arrow") -> FileRef:
    (root / "segments").mkdir(exist_ok=True)
    disk.write_file(root / name, lambda path: write_batch(path, batch))
    return disk.describe(root, root / name, name)


def sample(rows: int = 3000) -> pa.RecordBatch:
    texts = [None if row % 97 == 0 else f"文 {row} " * (row % 50) for row in range(rows)]
    vectors = np.arange(rows * 4, dtype=np.float32).reshape(rows, 4)
    return pa.record_batch(
        {
            "id": pa.array(np.arange(rows)),
            "text": pa.array(texts, pa.large_string()),
            "flag": pa.array([row % 3 == 0 for row in range(rows)]),
            "tags": pa.array([["a"] * (row % 3) for row in range(rows)]),
            "vector": vector_array(vectors),
        }
    )


def test_a_segment_reads_as_it_was_written(tmp_path: Path) -> None:
    batch = sample()
    segment = Segment(tmp_path, written(tmp_path, batch), 3000)
    for name in batch.schema.names:
        assert segment.column(name).equals(batch.column(name))
    rows = np.array([2999, 0, 97, 5, 5])
    taken = Segment(
        tmp_path, disk.describe(tmp_path, tmp_path / "segments/a.arrow", "segments/a.arrow"), 3000
    ).take(batch.schema.names, rows)
    assert taken.equals(batch.take(pa.array(rows)))
    assert np.array_equal(segment.vectors, np.arange(12_000, dtype=np.float32).reshape(3000, 4))


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_no_flipped_byte_goes_unnoticed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    root = tmp_path_factory.mktemp("flip")
    ref = written(root, sample())
    path = root / ref.name
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with pytest.raises(vs.CorruptedError, match=r"a\.arrow is damaged"):
        Segment(root, ref, 3000).file.verify_all()


def test_damaged_rows_are_refused_before_they_are_used(tmp_path: Path) -> None:
    batch = sample(40_000)
    ref = written(tmp_path, batch)
    path = tmp_path / ref.name
    content = bytearray(path.read_bytes())
    text = content.index("文 39001 ".encode())
    assert BLOCK < text < len(content) - BLOCK  # not in the blocks that opening looks at
    content[text] ^= 1
    path.write_bytes(content)
    segment = Segment(tmp_path, ref, 40_000)
    assert segment.take(["text"], np.array([1])).column(0).to_pylist() == [
        "文 1 "
    ]  # other rows stay readable
    with pytest.raises(vs.CorruptedError, match="damaged in bytes"):
        segment.take(["text"], np.array([1, 39_001]))
    with pytest.raises(vs.CorruptedError):
        segment.column("text")


def test_truncated_missing_and_swapped_files_are_named(tmp_path: Path) -> None:
    ref = written(tmp_path, sample(100))
    path = tmp_path / ref.name
    content = path.read_bytes()
    path.write_bytes(content[:-8])
    with pytest.raises(vs.CorruptedError, match="bytes where"):
        Segment(tmp_path, ref, 100)
    path.write_bytes(content)
    with pytest.raises(vs.CorruptedError, match="rows where the manifest says 99"):
        Segment(tmp_path, ref, 99)
    path.unlink()
    with pytest.raises(vs.CorruptedError, match="missing"):
        Segment(tmp_path, ref, 100)


@settings(deadline=None, max_examples=50)
@given(
    st.one_of(
        st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=60),
        st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=60),
    )
)
def test_every_row_of_an_id_is_found(
    tmp_path_factory: pytest.TempPathFactory, values: list[int] | list[str]
) -> None:
    root = tmp_path_factory.mktemp("ids")
    ids = pa.array(values, pa.int64() if isinstance(values[0], int) else pa.large_string())
    disk.write_file(root / "i", lambda path: write_ids(path, ids))
    index = IdIndex(root, disk.describe(root, root / "i", "i"), len(values))
    owners, rows = index.find(id_keys(ids))
    found = {
        (owner, row)
        for owner, row in zip(owners.tolist(), rows.tolist(), strict=True)
        if values[owner] == values[row]
    }
    assert found == {(a, b) for a, x in enumerate(values) for b, y in enumerate(values) if x == y}


def test_vector_view_honors_the_offset_of_a_slice() -> None:
    column = vector_array(np.arange(20, dtype=np.float32).reshape(5, 4)).slice(2, 2)
    assert vector_view(column, 4).tolist() == [[8, 9, 10, 11], [12, 13, 14, 15]]


FILES = st.builds(
    FileRef,
    st.sampled_from(["segments/a", "indexes/文.b"]),
    st.integers(90, disk.BLOCK),
    st.just("00ff00ff"),
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SEGMENTS = st.integers(0, 2).flatmap(
    lambda deleted: st.builds(
        SegmentEntry,
        FILES,
        FILES,
        st.integers(6, 9),
        st.integers(0, 4),
        st.just(deleted),
        FILES if deleted else st.none() | FILES,
    )
)
INDEXES = st.builds(
    IndexEntry,
    st.text("ab"),
    st.lists(FILES, min_size=1, max_size=2).map(tuple),
    st.just(("segments/a",)),
    st.integers(20, 30),
    st.just({"kind": "hnsw"}),
    st.none() | FILES,
)
CALIBRATED = st.one_of(
    st.builds(lambda index, file: replace(index, calibration=file), INDEXES, FILES),
    st.builds(
        replace,
        INDEXES,
        inline_calibration=st.just({"surface": [[8, 16, 10, 0.5, 0.4, 2.5]], "seed": 3}),
    ),
)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    """Any version of a collection that could be."""
    metric, dtype = (
        draw(st.sampled_from(list(Metric))),
        draw(st.sampled_from(["float32", "float16"])),
    )
    dim, text = draw(st.integers(1, 2)), draw(st.none() | st.just("文"))
    schema = pa.schema({"文": pa.large_string(), "年": pa.timestamp("us", "Asia/Shanghai")})
    schema = schema.insert(0, pa.field(draw(st.sampled_from(["id", "号"])), pa.int64(), False))
    schema = schema.append(pa.field("vector", vector_type(dim, dtype), nullable=False))
    if metric is Metric.COSINE:
        schema = schema.append(pa.field("_norm", pa.float32(), nullable=False))
    return Manifest(
        version=draw(st.integers(0, 10**9)),
        schema=schema,
        metric=metric,
        dim=dim,
        dtype=dtype,
        text_column=text,
        embedder=draw(st.builds(EmbedderEntry, TEXTS, st.text("0af"))) if text else None,
        segments=tuple(draw(st.lists(SEGMENTS, max_size=3))),
        indexes=tuple(draw(st.lists(CALIBRATED, max_size=2))),
    )


MANIFESTS = manifests()


@settings(deadline=None)
@given(MANIFESTS)
def test_a_manifest_survives_a_round_trip(version: Manifest) -> None:
    assert manifest_json.from_json(manifest_json.to_json(version), "x") == version


@settings(deadline=None, max_examples=200)
@given(MANIFESTS, st.data())
def test_a_damaged_manifest_is_refused(version: Manifest, data: st.DataObject) -> None:
    content = bytearray(manifest_json.to_json(version).encode())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return
    try:
        assert (
            manifest_json.from_json(text, "m.json") == version
        )  # only white space outside the body may differ
    except vs.CorruptedError as error:
        assert "m.json" in str(error)


@settings(deadline=None)
@given(st.text())
def test_any_text_as_a_manifest_is_refused(text: str) -> None:
    with pytest.raises(vs.CorruptedError):
        manifest_json.from_json(text, "m.json")


@pytest.mark.parametrize(
    "name",
    [
        "../outside",
        "/etc/passwd",
        "segments/../../x",
        "segments/a/b",
        "manifests/1",
        "segments/..",
        "",
    ],
)
def test_a_file_name_outside_the_collection_is_refused(name: str) -> None:
    good = SegmentEntry(FileRef("segments/a", 1, ""), FileRef("segments/b", 1, ""), 1, 1)
    version = Manifest(1, pa.schema([]), Metric.L2, 1, "float32", None, segments=(good,))
    body = json.loads(manifest_json.to_json(version))["body"]
    body["segments"][0]["file"]["name"] = name
    with pytest.raises(vs.CorruptedError, match="not the name of a file"):
        manifest_json.from_json(manifest_json.sign(body), "m.json")


def test_the_second_commit_of_a_version_is_refused(root: Path) -> None:
    vs.create(root, dim=2).close()
    version = log.load(root)
    log.commit(root, version.next("one"))
    with pytest.raises(vs.ConflictError, match="committed version 2"):
        log.commit(root, version.next("two"))
    assert log.load(root).operation == "one"
    assert sorted(path.name for path in (root / "manifests").iterdir()) == [
        "00000001.json",
        "00000002.json",
    ]


def test_a_second_writer_waits_and_then_gets_an_error(root: Path) -> None:
    vs.create(root, dim=2).close()
    with vs.open(root, lock_timeout=0.1) as c, locks.lock_exclusive(root / "LOCK", 1):
        with pytest.raises(vs.LockTimeoutError, match="another writer"):
            c.delete([1])
        assert len(c.search([1, 2])) == 0  # reading needs no lock


def test_operating_system_errors_say_what_to_do(tmp_path: Path) -> None:
    def full(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(vs.StorageError, match="the disk is full: free some space") as caught:
        disk.write_file(tmp_path / "f", full)
    assert caught.value.errno == errno.ENOSPC and not (tmp_path / "f").exists()


def test_network_file_systems_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesystem, "file_system_type", lambda path: "cifs")
    with pytest.raises(vs.StorageError, match="network file system \\(cifs\\)"):
        vs.create(tmp_path / "c.vs", dim=2)
    monkeypatch.undo()

    def no_links(source: object, target: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    with pytest.raises(vs.StorageError, match="no hard links"):
        vs.create(tmp_path / "d.vs", dim=2)


def test_leftovers_of_a_dead_writer_are_removed(root: Path) -> None:
    c = vs.create(root, dim=2, keep_versions=1)
    dead = root / "staging" / "work-dead"
    dead.mkdir()
    (dead / "LOCK").touch()
    (dead / "half.arrow").write_bytes(b"half")
    orphan = root / "segments" / f"{'0a' * 16}.arrow"
    orphan.write_bytes(b"moved, but never committed")
    alive = root / "staging" / "work-alive"
    alive.mkdir()
    with locks.lock_exclusive(alive / "LOCK", 1):
        for _ in range(12):
            c.add(np.ones((1, 2)))
        assert not dead.exists() and not orphan.exists() and alive.exists()


def test_damage_in_the_middle_block_of_a_column_is_found(tmp_path: Path) -> None:
    """A column over three blocks whose first and last block were read before."""
    rows = int(2.2 * BLOCK) // 8
    ref = written(tmp_path, pa.record_batch({"n": pa.array(np.arange(rows))}))
    path = tmp_path / ref.name
    content = bytearray(path.read_bytes())
    content[int(1.5 * BLOCK)] ^= 1
    path.write_bytes(bytes(content))
    segment = Segment(tmp_path, ref, rows)
    values = segment.batch.column("n").buffers()[1]
    first = values.address - segment.file.buffer.address
    assert (first // BLOCK, (first + values.size - 1) // BLOCK) == (0, 2)
    ends = segment.take(["n"], np.array([0, rows - 1])).column(0)
    assert ends.to_pylist() == [0, rows - 1]
    with pytest.raises(vs.CorruptedError, match="damaged in bytes"):
        segment.column("n")


def test_ids_of_rows_that_are_not_there_are_refused(tmp_path: Path) -> None:
    (tmp_path / "segments").mkdir()

    def index(rows: list[int], of: int) -> IdIndex:
        batch = pa.record_batch(
            {"key": pa.array(range(len(rows)), pa.int64()), "row": pa.array(rows, pa.uint32())}
        )
        return IdIndex(tmp_path, written(tmp_path, batch, "segments/a.ids"), of)

    owners, found = index([2, 0, 1], 3).find(np.array([5, 1, 0]))
    assert (owners.tolist(), found.tolist()) == ([1, 2], [0, 2])
    assert index([], 0).find(np.array([5]))[0].tolist() == []
    for rows in ([2, 0, 3], [3, 0, 1], [2**32 - 1, 0, 1]):
        with pytest.raises(vs.CorruptedError, match="rows that its segment of 3 does not have"):
            index(rows, 3)


def test_verify_reads_the_blocks_of_deleted_rows_too(root: Path) -> None:
    with vs.create(root, dim=64) as c:
        c.add(np.random.default_rng(0).standard_normal((8000, 64)).astype(np.float32))
        c.add(np.ones((3, 64)))
        c.delete(range(1000, 7000))
        c._snapshot.verify()
    path = root / log.load(root).segments[0].name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with vs.open(root) as c, pytest.raises(vs.CorruptedError, match=path.name):
        c._snapshot.verify()


def test_a_failed_commit_takes_its_files_back(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with vs.create(root, dim=2) as c:
        c.add(np.ones((1, 2)))
        there = sorted(root.rglob("*"))

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patch, pytest.raises(OSError, match="space"):
            patch.setattr(log, "commit", full)
            c.add(np.ones((2, 2)))
        assert sorted(root.rglob("*")) == there and len(c) == 1
        c.add(np.ones((2, 2)))
        assert len(c) == 3

        def committed_then_interrupted(*arguments: Any) -> None:
            commit(*arguments)
            raise KeyboardInterrupt

        commit = log.commit
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(log, "commit", committed_then_interrupted)
            c.add(np.ones((2, 2)))
    with vs.open(root) as c:  # the version is there, and so are its files
        assert len(c) == 5 and c.to_arrow().num_rows == 5


def test_garbage_that_cannot_be_removed_is_warned_of_once(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(removal: Removal, path: Path) -> None:
        removal.failures.append(f"{path}: busy")

    with vs.create(root, dim=2, keep_versions=1) as c:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for _ in range(SLACK_VERSIONS + 3):  # and removes old versions
                c.add(np.ones((1, 2)))
        assert len(c.versions()) <= SLACK_VERSIONS + 1
        with monkeypatch.context() as patch, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            patch.setattr(Removal, "remove", failing)
            for _ in range(2 * SLACK_VERSIONS + 4):
                c.add(np.ones((1, 2)))
        assert [str(item.message)[:44] for item in caught] == [
            "files that no version needs could not be rem"
        ]
        assert ": busy" in str(caught[0].message) and len(c) == 3 * SLACK_VERSIONS + 7
        c.add(np.ones((1, 2)))  # goes when it can be removed
        assert len(c.versions()) == 2  # what this collection read last, and the new one


@pytest.mark.parametrize("size", [1, disk.BLOCK - 1, disk.BLOCK, disk.BLOCK + 1, 2 * disk.BLOCK])
def test_a_file_of_any_length_has_a_checksum_for_each_block(tmp_path: Path, size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    (tmp_path / "a.arrow").write_bytes(content[:size])
    ref = disk.describe(tmp_path, tmp_path / "a.arrow", "a.arrow")
    blocks = [content[at : min(at + disk.BLOCK, size)] for at in range(0, size, disk.BLOCK)]
    assert ref.crc32 == "".join(f"{binascii.crc32(block):08x}" for block in blocks)
    file = disk.CheckedFile(tmp_path, ref)
    file.verify_all()
    assert bytes(file.buffer) == content[:size]
    with pytest.raises(vs.CorruptedError, match="checksums"):
        disk.CheckedFile(tmp_path, replace(ref, crc32=ref.crc32 + "0" * 8))
