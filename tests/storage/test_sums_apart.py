"""The checksums of large files lie beside them, not in each manifest."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import vecsearch as vs
from vecsearch.maintenance.check import find_damage
from vecsearch.maintenance.repair import repair
from vecsearch.storage import disk, log, manifest_json
from vecsearch.storage.disk import BLOCK, INLINE_BLOCKS, CheckedFile, FileRef

VECTORS = np.random.default_rng(0).standard_normal((400, 8)).astype(np.float32)


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of any size have their checksums beside them."""
    monkeypatch.setattr(disk, "INLINE_BLOCKS", 0)


@pytest.fixture
def full(root: Path, apart: None) -> Path:
    """A file of every kind."""
    with vs.create(root, dim=8, limits=vs.Limits(smallest_index_rows=20)) as c:
        c.add(VECTORS[:300])
        c.build_index("HNSW8")
        c.delete([3])
        c.compact()
        c.add(VECTORS[300:])
        c.delete([5])
    return root


def beside(root: Path) -> list[Path]:
    refs = [ref.checksum_file for _, ref in log.load(root)._described_files()]
    return [root / ref.name for ref in refs if ref is not None]


def test_only_large_files_have_them_apart(tmp_path: Path) -> None:
    for blocks in (INLINE_BLOCKS, INLINE_BLOCKS + 1):
        path = tmp_path / f"{blocks}"
        path.write_bytes(np.random.default_rng(1).bytes(blocks * BLOCK - 5))
        described = disk.describe(tmp_path, path, path.name)
        ref = disk.put_sums_apart(described, path)
        assert (ref == described) == (blocks == INLINE_BLOCKS)
        assert CheckedFile(tmp_path, ref).sums.hex() == described.crc32
        CheckedFile(tmp_path, ref).verify_all()
        assert len(ref.crc32) + len(ref.sums) <= 8 * INLINE_BLOCKS
    content = bytearray(path.read_bytes())
    content[30 * BLOCK] ^= 1
    path.write_bytes(content)
    with pytest.raises(vs.CorruptedError, match=f"in bytes {30 * BLOCK:,} to"):
        CheckedFile(tmp_path, ref).verify_all()


def test_a_manifest_without_them_is_as_it_was() -> None:
    plain = FileRef("segments/a", 1, "0" * 8)
    assert "sums" not in manifest_json._plain(plain)
    assert manifest_json._plain(FileRef("segments/a", 1, "", "0" * 8))["sums"] == "0" * 8


def test_every_operation_works_with_checksums_apart(full: Path, tmp_path: Path) -> None:
    manifest = log.load(full)
    refs = [ref for _, ref in manifest._described_files()]
    assert all(ref.sums and not ref.crc32 for ref in refs) and len(beside(full)) == len(refs)
    assert all(path.stat().st_size == 4 for path in beside(full))
    assert find_damage(full) == []
    with vs.open(full) as c:
        found = c.search(VECTORS[7], k=5).ids
        assert found[0] == 7 and c.plan(VECTORS[7]).method
        c.backup(tmp_path / "copy.vs")
        c.delete([8])
        c.compact(purge=True)
        needed = {ref.name for ref in log.load(full).files()}
        kept = [path for place in ("segments", "indexes") for path in (full / place).iterdir()]
        assert {path.relative_to(full).as_posix() for path in kept} == needed
    assert find_damage(full) == [] and find_damage(tmp_path / "copy.vs") == []
    vs.restore(tmp_path / "copy.vs", tmp_path / "again.vs")
    with vs.open(tmp_path / "again.vs") as c:
        assert c.search(VECTORS[7], k=5).ids == found
        assert c.count() == 398


@pytest.mark.parametrize("how", ["missing", "flipped", "short", "empty"])
def test_damaged_checksums_are_named_and_nothing_is_read(full: Path, how: str) -> None:
    with vs.open(full) as c:
        before = c.to_arrow()
    for path in beside(full):
        content = path.read_bytes()
        if how == "missing":
            path.unlink()
        else:
            flipped = bytes([content[0] ^ 1]) + content[1:]
            path.write_bytes({"flipped": flipped, "short": content[:3], "empty": b""}[how])
        name = path.relative_to(full).as_posix()
        assert name in {damage.file for damage in find_damage(full)}
        is_data = name.split(".")[1] in ("arrow", "dead")
        if is_data:
            with vs.open(full) as c, pytest.raises(vs.CorruptedError, match=path.name):
                c.to_arrow()
        else:
            repair(full)  # makes the file again
            latest = log.load(full)
            assert name not in {ref.name for ref in latest.files()}
        path.write_bytes(content)
        with vs.open(full) as c:
            assert c.to_arrow().equals(before)
            assert c.search(VECTORS[7], k=1).ids == [7]
    assert find_damage(full) == []


def test_checksums_twice_are_refused(full: Path) -> None:
    body = json.loads(manifest_json.to_json(log.load(full)))["body"]
    body["segments"][0]["file"]["crc32"] = "00000000"
    with pytest.raises(vs.CorruptedError, match="checksums twice"):
        manifest_json.from_json(manifest_json.sign(body), "m.json")
    body["segments"][0]["file"] |= {"crc32": "", "sums": "00"}
    with pytest.raises(vs.CorruptedError, match="digits of checksums"):
        manifest_json.from_json(manifest_json.sign(body), "m.json")


def test_a_failed_add_leaves_no_checksums(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = sorted(full.rglob("*"))

    def fail(*_: object) -> None:
        raise OSError(28, "no space left on device")

    with vs.open(full) as c:
        monkeypatch.setattr(disk, "publish", fail)
        with pytest.raises(OSError, match="no space"):
            c.add(VECTORS[:2])
    assert sorted(full.rglob("*")) == before
