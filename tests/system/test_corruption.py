"""Damage: every file flipped, cut, swapped, gone. `check` names it, no answer is wrong, `repair`
mends what is derived.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pytest
from support.data import clustered
from support.forge import older_manifest

import vecsearch as vs
from vecsearch.maintenance.check import Damage, find_damage
from vecsearch.maintenance.repair import repair
from vecsearch.storage import disk, log, manifest_json, segment_texts
from vecsearch.storage.disk import BLOCK, FileRef
from vecsearch.storage.ids import write_ids
from vecsearch.storage.manifest import Manifest, replace
from vecsearch.storage.segment_file import write_batch
from vecsearch.storage.store import SLACK_VERSIONS

SOAK = bool(os.environ.get("VECSEARCH_SOAK"))
SEED = int(os.environ.get("VECSEARCH_SEED", random.SystemRandom().randrange(10**6) if SOAK else 1))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of every kind: segments, ids, tombstones, an index with labels, older versions."""
    root = tmp_path_factory.mktemp("damage") / "c.vs"
    small = vs.Limits(window_rows=32, segment_rows=32, smallest_index_rows=20)
    with (
        patch.object(segment_texts, "LITTLE_TEXT", 0),
        vs.create(root, embedder="toy:8", limits=small) as c,
    ):
        c.add(
            [
                {"id": f"文{n}", "text": f"text number {n}", "n": n, "tags": ["a"] * (n % 3)}
                for n in range(80)
            ]
        )
        c.build_index("HNSW8")
        c.delete([f"文{n}" for n in (3, 40)])
        c.compact()
        c.add_column("flag", "int64", 7)
        c.add_column("mark", "string", "标记")
        c.update("n >= 20", {"flag": 8})
        c.add([{"id": f"late{n}", "text": f"late text {n}", "n": n} for n in range(5)])
        c.delete(["late1", "文7"])
    assert {path.suffixes[0] for path in (root / "segments").iterdir()} == {
        ".arrow",
        ".ids",
        ".dead",
        ".columns",
        ".text",
    }
    assert {path.suffixes[0] for path in (root / "indexes").iterdir()} == {
        *(".faiss", ".labels", ".calibration")
    }
    assert find_damage(root) == []
    return root


@pytest.fixture
def copy(original: Path, tmp_path: Path) -> Path:
    shutil.copytree(original, tmp_path / "c.vs")
    return tmp_path / "c.vs"


def answers(root: Path, version: int | None = None) -> list[Callable[[], Any]]:
    """Questions whose answers together touch everything."""

    def ask(question: Callable[[vs.Collection], Any]) -> Callable[[], Any]:
        def answer() -> Any:
            with vs.open(root, version=version) as c:
                return question(c)

        return answer

    def hits(found: vs.Hits) -> list[tuple[Any, float]]:
        return [(hit.id, round(hit.score, 5)) for hit in found]

    return [
        ask(lambda c: c.to_arrow(["id", "text", "n", "tags", "flag", "mark", "vector"])),
        ask(lambda c: hits(c.search("text number 20", k=3))),
        ask(lambda c: hits(c.search("text number 20", k=3, exact=True))),
        ask(lambda c: hits(c.search("late", k=100, exact=True, where="n < 30"))),
        ask(lambda c: c.get(["文5", "late2", "文7", "late1"])),
        ask(lambda c: c.search("text number 60", k=1)[0]["text"]),
        ask(lambda c: hits(c.search("text OR late -number", k=100, mode="text"))),
        ask(lambda c: hits(c.search("number 20", k=7, mode="hybrid", where="n < 50"))),
        ask(lambda c: (c.count("flag = 8"), c.count("mark = '标记'"), c.get(["文30"], ["flag"]))),
        ask(lambda c: (len(c), c.count("array_contains(tags, 'a')"), c.info().bytes)),
    ]


def damages(content: bytes, rng: random.Random) -> dict[str, bytes]:
    """Ways to spoil a file."""
    spoiled = {}
    step = max(1, len(content) // (400 if SOAK else 3))
    for start in range(0, len(content), step):
        at = rng.randrange(start, min(start + step, len(content)))
        flipped = bytearray(content)
        flipped[at] ^= rng.randrange(1, 256)
        spoiled[f"byte {at} flipped"] = bytes(flipped)
    at = rng.randrange(len(content))
    spoiled["cut"] = content[:at]
    spoiled["empty"] = b""
    spoiled["longer"] = content + b"\0" * 8
    spoiled["zeroed from the middle"] = content[: len(content) // 2] + bytes(
        len(content) - len(content) // 2
    )
    return {name: wrong for name, wrong in spoiled.items() if wrong != content}


def test_a_blank_of_a_manifest_that_changed_is_found(copy: Path) -> None:
    path = max((copy / "manifests").iterdir())
    signed = path.read_bytes()
    path.write_bytes(signed.replace(b',"', b', "', 1))
    (damage,) = find_damage(copy)
    assert damage.file == f"manifests/{path.name}" and "its checksum differs" in damage.what
    content = older_manifest(signed)
    path.write_bytes(content.replace(b"\n ", b"\t ", 1))
    (damage,) = find_damage(copy)
    assert (
        damage.file == f"manifests/{path.name}"
        and "white space" in damage.what
        and "whole" in damage.remedy
    )
    with vs.open(copy) as c:
        assert c.info().version == int(path.stem)
    path.write_bytes(content)
    assert find_damage(copy) == []


def kept_files(root: Path) -> list[Path]:
    return sorted(
        path for place in ("segments", "indexes", "manifests") for path in (root / place).iterdir()
    )


def never_wrong(root: Path, right: list[Any], how: str) -> None:
    for number, answer in enumerate(answers(root)):
        try:
            found = answer()
        except vs.CorruptedError:
            continue
        assert found == right[number], f"{how}: answer {number} is wrong"


def test_every_file_spoiled_in_every_way_is_named_and_never_answers_wrongly(
    original: Path, copy: Path
) -> None:
    rng = random.Random(SEED)
    right = [answer() for answer in answers(original)]
    tried, kinds = 0, set()
    for path in kept_files(copy):
        name, content = str(path.relative_to(copy)), path.read_bytes()
        kind = path.parent.name, *path.suffixes
        ways = damages(content, rng)
        if kind in kinds and not SOAK:  # another file of a kind that was spoiled in every way
            how = rng.choice(list(ways))
            ways = {how: ways[how]}
        kinds.add(kind)
        for how, wrong in ways.items():
            path.write_bytes(wrong)
            assert name in {damage.file for damage in find_damage(copy)}, (
                f"{name}, {how}, seed {SEED}: not found"
            )
            never_wrong(copy, right, f"{name}, {how}, seed {SEED}")
            tried += 1
        path.unlink()
        if path.parent.name != "manifests":
            assert [damage.file for damage in find_damage(copy)] == [name]
            never_wrong(copy, right, f"{name} gone")
        path.write_bytes(content)
    assert find_damage(copy) == []
    print(f"{tried} damages, all found, no wrong answer, seed {SEED}")


def test_files_in_each_others_place_are_named(copy: Path) -> None:
    segments = sorted((copy / "segments").glob("*.ids.arrow"))
    one, other = segments[0], segments[-1]
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    assert {one.name, other.name} == {Path(damage.file).name for damage in find_damage(copy)}
    manifests = sorted((copy / "manifests").iterdir())
    shutil.copy(manifests[0], manifests[-1])
    assert any("says it is version 1" in damage.what for damage in find_damage(copy))


def test_the_other_segments_stay_readable(copy: Path) -> None:
    entry = log.load(copy).segments[-1]
    spoil(copy / entry.name)
    with vs.open(copy) as c:
        assert len(c) == 81 and c.get(["文5"], ["n"]) == [{"n": 5}]
        with pytest.raises(vs.CorruptedError, match=entry.name):
            c.get(["late2"])


def spoil(path: Path, at: int | None = None) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if at is None else at] ^= 0xFF
    path.write_bytes(content)


# -- large files: damage in the middle, where opening does not look --------------------------------


def test_damage_in_the_middle_of_a_large_file(root: Path) -> None:
    c = vs.create(root, dim=32, auto_index=False)
    c.add(
        pa.table(
            {
                "id": pa.array(range(20_000)),
                "vector": list(clustered(20_000, 32)),
                "note": ["备注 note"] * 20_000,
            }
        )
    )
    entry = c.info() and log.load(root).segments[0]
    right = c.get([10_000])
    path = root / entry.name
    content = path.read_bytes()
    rng = random.Random(SEED)
    for _ in range(200 if SOAK else 12):
        at = rng.randrange(BLOCK, len(content) - BLOCK)
        spoil(path, at)
        damage = find_damage(root)
        assert [item.file for item in damage] == [entry.name] and "damaged in bytes" in damage[
            0
        ].what
        with vs.open(root) as again:
            for read in (
                lambda c: c.get([10_000]),
                lambda c: c.count("note LIKE '%note'") and right,
            ):
                try:
                    assert read(again) == right
                except vs.CorruptedError as error:
                    assert entry.name in str(error)
            with pytest.raises(vs.CorruptedError):
                again.to_arrow()
            with pytest.raises(vs.CorruptedError, match="checksum differs"):
                again.build_index()  # never trains on what is damaged, nor calibrates with it
            again.delete([1])
            with pytest.raises(vs.CorruptedError):
                again.compact()  # never copies what is damaged
            again.rollback(2)
        path.write_bytes(content)


# -- whole files that do not belong together -------------------------------------------------------


def forge(root: Path, change: Callable[[Manifest], Manifest]) -> None:
    """Rewrite the latest manifest with a good checksum."""
    manifest = log.load(root)
    log.path_of(root, manifest.version).write_text(manifest_json.to_json(change(manifest)))


def rows_file(root: Path, name: str, rows: list[int]) -> FileRef:
    batch = pa.record_batch(
        {"row": pa.array(rows, pa.int64() if "indexes" in name else pa.uint32())}
    )
    write_batch(root / name, batch)
    return disk.describe(root, root / name, name)


def with_segment(manifest: Manifest, **changes: Any) -> Manifest:
    return replace(
        manifest, segments=(replace(manifest.segments[0], **changes), *manifest.segments[1:])
    )


def with_index(manifest: Manifest, **changes: Any) -> Manifest:
    return replace(manifest, indexes=(replace(manifest.indexes[0], **changes),))


@pytest.mark.parametrize(
    ("rows", "deleted", "message"),
    [
        ([5, 5], 2, "not ascending"),
        ([5, 90], 2, "does not have"),
        ([5], 2, "1 rows where the manifest says 2"),
        ([5, 6, 7], 3, "another number of documents"),
    ],
)
def test_tombstones_that_cannot_be(copy: Path, rows: list[int], deleted: int, message: str) -> None:
    ref = rows_file(copy, "segments/forged.dead.arrow", rows)
    documents = (
        log.load(copy).segments[0].rows - deleted - (message == "another number of documents")
    )
    forge(
        copy,
        lambda manifest: with_segment(
            manifest, tombstones=ref, deleted=deleted, documents=documents
        ),
    )
    (damage,) = find_damage(copy)
    assert damage.file == ref.name and message in damage.what and "restore" in damage.remedy


def test_ids_that_are_not_the_segments(copy: Path) -> None:
    name = "segments/forged.ids.arrow"
    write_ids(copy / name, pa.array([f"other{n}" for n in range(78)], pa.large_string()))
    ref = disk.describe(copy, copy / name, name)
    forge(copy, lambda manifest: with_segment(manifest, ids=ref))
    (damage,) = find_damage(copy)
    assert damage.file == name and "does not agree" in damage.what
    done = repair(copy)
    assert name in done.done[0] and all(done.version not in item.versions for item in done.left)
    with vs.open(copy) as c:
        assert c.get(["文5"], ["n"]) == [{"n": 5}]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([-2, *range(1, 80)], "do not exist"),
        ([500, *range(1, 80)], "do not exist"),
        ([1, *range(1, 78), -1, -1], "names the same row twice"),
        (list(range(5)), "5 labels"),
    ],
)
def test_labels_that_cannot_be(copy: Path, labels: list[int], message: str) -> None:
    ref = rows_file(copy, "indexes/forged.labels.arrow", labels)
    forge(copy, lambda manifest: with_index(manifest, labels=ref))
    (damage,) = find_damage(copy)
    assert (
        damage.file.startswith("indexes/") and message in damage.what and "repair" in damage.remedy
    )
    done = repair(copy)
    assert " dropped" in done.done[0] and all(
        done.version not in item.versions for item in done.left
    )


def test_an_id_that_stands_twice(copy: Path) -> None:
    forge(
        copy,
        lambda manifest: replace(
            manifest,
            segments=(
                *manifest.segments,
                replace(manifest.segments[0], tombstones=None, deleted=0, documents=78),
            ),
        ),
    )
    assert any("duplicate id" in damage.what for damage in find_damage(copy))


def test_numbers_that_do_not_agree(copy: Path) -> None:
    forge(copy, lambda manifest: with_segment(manifest, tombstones=None, deleted=0, documents=77))
    assert "another number of documents" in find_damage(copy)[0].what
    forge(copy, lambda manifest: with_index(with_segment(manifest, documents=78), rows=79))
    assert "has 80 rows where the manifest says 79" in find_damage(copy)[0].what
    forge(copy, lambda manifest: with_index(manifest, rows=80, covers=("segments/unknown.arrow",)))
    assert "does not have" in find_damage(copy)[0].what


# -- repair ----------------------------------------------------------------------------------------


def content_of(root: Path) -> pa.Table:
    with vs.open(root) as c:
        return c.to_arrow(["id", "text", "n", "tags", "vector"])


def test_nothing_to_repair(copy: Path) -> None:
    before = log.load(copy)
    done = repair(copy)
    assert (done.done, done.left, done.version) == ((), (), before.version)
    assert log.load(copy) == before and not (copy / "damaged").exists()


def test_id_files_are_written_again(copy: Path) -> None:
    before, manifest = content_of(copy), log.load(copy)
    for number, path in enumerate(sorted((copy / "segments").glob("*.ids.arrow"))):
        if number % 2:
            path.unlink()
        else:
            spoil(path)
    with vs.open(copy) as c, pytest.raises(vs.CorruptedError, match="ids"):
        c.get(["文5"])
    done = repair(copy)
    assert done.left == () == tuple(find_damage(copy)) and "written again" in done.done[0]
    assert (
        log.load(copy) == manifest
    )  # the same bytes in the same place: older versions are whole again too
    assert content_of(copy).equals(before)


@pytest.mark.parametrize("suffix", [".faiss", ".labels.arrow", ".calibration.json"])
def test_damaged_indexes_are_built_again(copy: Path, suffix: str) -> None:
    before = content_of(copy)
    with vs.open(copy) as c:
        exact = c.search("text number 20", k=5, exact=True)
    (name,) = {
        ref.name
        for index in log.load(copy).indexes
        for ref in (*index.files, index.labels, index.calibration)
        if ref and ref.name.endswith(suffix)
    }
    spoil(copy / name)
    damage = next(item for item in find_damage(copy) if item.file == name)
    assert "builds it again" in damage.remedy
    done = repair(copy)
    assert any("built again" in line for line in done.done)
    assert all(
        item.file == name and done.version not in item.versions for item in done.left
    )  # older versions still name it
    assert content_of(copy).equals(before)
    with vs.open(copy) as c:
        assert c.info().indexes and c.info().indexes[0].rows == 81
        hits = c.search("text number 20", k=5, exact=True)
        assert hits.ids == exact.ids and np.array_equal(hits.scores, exact.scores)


@pytest.mark.filterwarnings("ignore:.*damaged:RuntimeWarning")
@pytest.mark.parametrize("suffix", [".faiss", ".labels.arrow", ".calibration.json"])
def test_a_damaged_index_is_not_carried_on_by_a_compaction(copy: Path, suffix: str) -> None:
    """Its labels cannot be mapped without knowing them."""
    before = content_of(copy)
    (index,) = log.load(copy).indexes
    refs = (*index.files, index.labels, index.calibration)
    spoil(next(copy / ref.name for ref in refs if ref and ref.name.endswith(suffix)))
    with vs.open(copy) as c:
        version = c.compact()
        assert c.info().indexes == () and content_of(copy).equals(before)
    assert all(version not in damage.versions for damage in find_damage(copy))


def test_a_damaged_latest_manifest(copy: Path) -> None:
    latest = log.load(copy)
    previous = log.load(copy, latest.version - 1)
    with vs.open(copy, version=previous.version) as c:
        before = c.to_arrow()
    spoil(log.path_of(copy, latest.version))
    with pytest.raises(vs.CorruptedError, match="open an older version"):
        vs.open(copy)
    (damage,) = find_damage(copy)
    assert (
        damage.versions == (latest.version,)
        and f"back to version {previous.version}" in damage.remedy
    )
    done = repair(copy)
    assert done.left == () == tuple(find_damage(copy)) and done.version == latest.version + 1
    with vs.open(copy) as c:
        assert c.to_arrow().equals(before) and c.info().version == latest.version + 1
        c.add([{"id": "new", "text": "goes on"}])
    only = {Path(ref.name).name for ref in latest.files()} - {
        Path(ref.name).name for ref in previous.files()
    }
    assert {path.name for path in (copy / "damaged").iterdir()} == {
        f"{latest.version:08d}.json",
        *only,
    }
    with vs.open(copy) as c:
        c.compact(purge=True)
    assert not (copy / "damaged").exists()


def test_a_damaged_older_manifest_stops_nobody(copy: Path) -> None:
    latest = log.load(copy)
    spoil(log.path_of(copy, latest.version - 1))
    with vs.open(copy) as c:
        for n in range(SLACK_VERSIONS + 20):
            c.add(
                [{"id": f"more{n}", "text": "more"}]
            )  # commits collect garbage, and must not fail for it
        assert len(c) == 81 + SLACK_VERSIONS + 20
    spoil(log.path_of(copy, log.load(copy).version - 2))
    done = repair(copy)
    assert done.left == () and "moved to damaged" in done.done[0]
    assert len(content_of(copy)) == 81 + SLACK_VERSIONS + 20


@pytest.mark.parametrize("kind", ["file", "tombstones"])
def test_damaged_content_is_reported_and_left_alone(copy: Path, kind: str) -> None:
    latest = log.load(copy)
    ref = getattr(latest.segments[-1], kind)
    spoil(copy / ref.name)
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    done = repair(copy)
    (left,) = done.left
    assert left.file == ref.name and latest.version in left.versions and done.done == ()
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before
    advised = int(left.remedy.rpartition("version ")[2])
    with vs.open(copy) as c:
        c.rollback(advised)
        assert len(c.to_arrow()) == c.info().documents
    assert str(left).startswith(ref.name)


def test_no_version_left(copy: Path) -> None:
    for path in (copy / "manifests").iterdir():
        spoil(path)
    assert {damage.remedy for damage in find_damage(copy)} == {"restore a backup"}
    with pytest.raises(vs.CorruptedError, match="restore a backup"):
        repair(copy)


def test_no_collection(tmp_path: Path) -> None:
    with pytest.raises(vs.CollectionNotFoundError):
        find_damage(tmp_path)
    with pytest.raises(vs.CollectionNotFoundError):
        repair(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_check_holds_versions_while_others_commit(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another writer collects in the middle of a check: what is being looked at stays."""
    original_verify = disk.CheckedFile.verify_all
    with vs.open(copy) as c:
        calls = []

        def verify(self: disk.CheckedFile) -> None:
            if not calls:
                calls.append(1)
                for n in range(30):
                    c.add([{"id": f"during{n}", "text": "during"}])
            original_verify(self)

        monkeypatch.setattr(disk.CheckedFile, "verify_all", verify)
        assert find_damage(copy) == []
        assert [item.version for item in c.versions()][:7] == [
            1,
            2,
            3,
            4,
            5,
            6,
            7,
        ]  # those that the check held
    damage: list[Damage] = find_damage(copy)
    assert damage == []
