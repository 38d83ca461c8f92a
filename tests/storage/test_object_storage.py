"""Collections in object storage: the same answers as in a folder, on several machines."""

from __future__ import annotations

import itertools
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from support.objects import Faults, faulty, machine

import vecsearch as vs
from vecsearch.storage.objects import cache, leases, mirror
from vecsearch.storage.objects.bucket import Bucket, UnclearError
from vecsearch.storage.objects.mirror import Mirror
from vecsearch.storage.objects.places import mirror_of
from vecsearch.storage.origins import origin_of
from vecsearch.storage.store import SLACK_VERSIONS

pytest.importorskip("obstore", reason="obstore is not installed (extra object-storage)")

NUMBERS = itertools.count()


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VECSEARCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    return faulty(monkeypatch)


@pytest.fixture(params=["memory", "file"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "memory":
        yield f"memory://bucket/{next(NUMBERS)}/papers.vs"
    else:
        yield f"file://{tmp_path}/bucket/papers.vs"


@pytest.fixture
def place() -> str:
    return f"memory://bucket/{next(NUMBERS)}/papers.vs"


def rows(first: int, count: int) -> list[dict[str, Any]]:
    return [{"id": f"文-{n}", "text": f"document {n}", "n": n} for n in range(first, first + count)]


def origin(c: vs.Collection) -> Mirror:
    found = origin_of(c.path)
    assert isinstance(found, Mirror)
    return found


def names(c: vs.Collection) -> set[str]:
    return {item.name for item in origin(c).bucket.listed()}


def life(path: str) -> Iterator[Any]:
    """What a collection says while it changes."""
    c = vs.create(path, embedder="toy:32", keep_versions=3)
    yield c.add(rows(0, 60), progress=False)
    yield c.search("document 7", k=5).ids
    yield c.delete(["文-3", "文-4"])
    yield c.update("n = 5", {"n": 500})
    yield c.search("document 7", k=5, where="n >= 7").ids
    built = c.build_index("HNSW8", progress=False)
    yield built.version, built.rows
    yield c.search("document 9", k=5).ids
    yield c.add(rows(60, 5), progress=False)
    yield c.rollback(2)
    yield len(c), c.get("文-5")[0]["n"]
    yield c.upsert([{"id": "文-1", "text": "another", "n": -1}], progress=False)
    yield c.compact()
    yield [(item.version, item.operation) for item in c.versions()]
    yield c.compact(purge=True)
    yield [(item.version, item.operation) for item in c.versions()]
    yield c.check()
    info = c.info()
    yield info.documents, info.rows, info.deleted_rows, info.version
    table = c.to_arrow(["id", "text", "n"])
    yield table.sort_by("id").to_pylist()


def test_a_life_as_in_a_folder(url: str, root: Path) -> None:
    for number, (there, here) in enumerate(
        zip(life(url), life(str(root)), strict=True)  # the folder is the oracle
    ):
        assert there == here, number


class SlowBucket:
    """Keeps names, and removes them when it is told to."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.begun, self.go = threading.Event(), threading.Event()

    def put(self, name: str, content: bytes) -> None:
        self.names.add(name)

    def delete(self, names: list[str]) -> None:
        self.begun.set()
        assert self.go.wait(30)
        self.names -= set(names)


def test_whoever_looks_for_readers_waits_for_leases_that_are_being_removed() -> None:
    """Else a purge right after a search could take this process's own lease for a reader's."""
    bucket = SlowBucket()
    held = leases.Leases(cast(Bucket, bucket))
    held.release(held.hold(8))
    assert bucket.begun.wait(30)  # the thread that renews leases removes it
    left: list[set[str]] = []

    def look() -> None:
        held.remove_released()
        left.append(set(bucket.names))

    looking = threading.Thread(target=look)
    looking.start()
    looking.join(0.2)
    bucket.go.set()
    looking.join(30)
    assert left == [set()]


def test_another_machine_sees_all(url: str, tmp_path: Path) -> None:
    c = vs.create(url, embedder="toy:32")
    c.add(rows(0, 30), progress=False)
    c.build_index("HNSW8", progress=False)
    with machine(url, tmp_path / "b") as d:
        assert d.search("document 7", k=5).ids == c.search("document 7", k=5).ids
        d.add(rows(30, 5), progress=False)
        d.delete("文-0")
        assert len(c) == 30
        assert len(c.refresh()) == len(d) == 34
        assert d.check() == c.check() == []
    assert c.path != tmp_path / "b"


def test_a_version_is_read_while_others_remove_it(place: str, tmp_path: Path) -> None:
    c = vs.create(place, embedder="toy:32", keep_versions=1)
    c.add(rows(0, 30), progress=False)
    with machine(place, tmp_path / "b") as d:  # its files are not fetched yet
        before = d.versions()[-1].version
        c.compact()
        c.delete([f"文-{n}" for n in range(10)])
        for _ in range(2):  # asking again takes nothing from a reader
            with pytest.raises(
                vs.ConflictError, match=rf"readers still hold version {before} of {place}"
            ):
                c.compact(purge=True)
        assert len(d.to_arrow(["id", "text"])) == 30
    c.compact(purge=True)
    assert len(c.versions()) == 1
    needed = {ref.name for ref in c._snapshot.manifest.files()}
    assert {name for name in names(c) if name.startswith("segments/")} == {
        name for name in needed if name.startswith("segments/")
    }


def test_versions_that_are_kept_stay_in_the_storage(place: str, tmp_path: Path) -> None:
    """So many as `keep_versions` says, when older ones are removed; another machine reads each."""
    wanted: list[int] = []
    for target in (str(tmp_path / "c.vs"), place):  # the folder is the oracle
        c = vs.create(target, embedder="toy:32", keep_versions=3)
        c.add(rows(0, 100), progress=False)
        for number in range(SLACK_VERSIONS + 2):  # versions 3, 4, ...
            c.delete(f"文-{number}")
        wanted = wanted or [version.version for version in c.versions()]
    assert len(wanted) == 3 and wanted[-1] == SLACK_VERSIONS + 4
    manifests = sorted(name for name in names(c) if name.startswith("manifests/"))
    assert manifests == [f"manifests/{number:08}.json" for number in wanted]
    with machine(place, tmp_path / "b") as d:
        assert [version.version for version in d.versions()] == wanted
        for version in wanted:
            with vs.open(place, version=version) as older:
                assert len(older.to_arrow(["id", "text"])) == 102 - version


def test_a_reader_that_is_gone_keeps_nothing(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = vs.create(place, embedder="toy:32", keep_versions=1)
    c.add(rows(0, 5), progress=False)
    d = machine(place, tmp_path / "b")
    held = {name for name in names(c) if name.startswith("leases/")}
    monkeypatch.setattr(mirror, "READER_SECONDS", -1.0)  # all leases are old
    c.delete("文-0")
    c.compact(purge=True)
    assert held and not held & set(names(c))
    with pytest.raises(vs.CorruptedError, match="its version was removed"):
        d.to_arrow()
    assert len(d.refresh()) == 4


def test_rivals_lose_nothing_and_double_nothing(place: str, tmp_path: Path) -> None:
    with vs.create(place, embedder="toy:8") as c:
        c.add(rows(9000, 1), progress=False)
    errors: list[BaseException] = []

    def write(number: int) -> None:
        try:
            with machine(place, tmp_path / str(number)) as c:
                for turn in range(3):
                    c.add(rows(100 * number + 10 * turn, 2), progress=False)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    with vs.open(place) as c:
        wanted = [100 * n + 10 * turn + i for n in range(6) for turn in range(3) for i in (0, 1)]
        assert sorted(c.to_arrow(["n"])["n"].to_pylist()) == sorted([*wanted, 9000])
        assert c.info().version == 2 + 18
        assert c.check() == []


def test_rivals_without_the_lock(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock saves work, but only the conditional write decides."""
    monkeypatch.setattr(leases.Leases, "_take", lambda *_: None)
    with vs.create(place, embedder="toy:8") as c:
        c.add(rows(9000, 1), progress=False)
    added = ["文-9000"]
    conflicts: list[vs.ConflictError] = []
    barrier = threading.Barrier(4)

    def write(number: int) -> None:
        with machine(place, tmp_path / str(number)) as c:
            for turn in range(3):
                barrier.wait()
                new = rows(100 * number + 10 * turn, 2)
                try:
                    c.add(new, progress=False)
                    added.extend(row["id"] for row in new)
                except vs.ConflictError as error:
                    conflicts.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(added) + 2 * len(conflicts) == 1 + 4 * 3 * 2
    with vs.open(place) as c:
        assert sorted(c.to_arrow(["id"])["id"].to_pylist()) == sorted(added)
        assert c.check() == []


@pytest.mark.parametrize("what", ["lost", "refused", "cut"])
def test_faults_lose_nothing(place: str, tmp_path: Path, faults: Faults, what: str) -> None:
    """Answers that are lost, 500 and short downloads: each add is there once, or was refused."""
    vs.create(place, embedder="toy:8", keep_versions=2).close()
    setattr(faults, what, 0.2)
    added: list[str] = []
    unknown: list[str] = []
    for turn in range(12):
        new = rows(10 * turn, 2)
        try:
            with machine(place, tmp_path / str(turn % 3)) as c:
                c.add(new, progress=False)
                added += [row["id"] for row in new]
        except vs.StorageError as error:
            unknown += [row["id"] for row in new] if "not known" in str(error) else []
    setattr(faults, what, 0.0)
    assert faults.injected > 3, faults.injected
    with machine(place, tmp_path / "last") as c:
        found = c.to_arrow(["id"])["id"].to_pylist()
        assert len(found) == len(set(found))
        assert set(added) <= set(found) <= set(added) | set(unknown)
        assert c.check() == []


def test_a_lost_answer_to_the_commit_is_recognized(place: str, faults: Faults) -> None:
    c = vs.create(place, embedder="toy:8")
    lost: list[str] = []

    def after(kind: str, name: str) -> None:
        if kind == "create" and name.startswith("manifests/") and name not in lost:
            lost.append(name)
            raise UnclearError(5, "timed out")

    faults.after = after
    assert c.add(rows(0, 3), progress=False).version == 2
    assert lost == ["manifests/00000002.json"]
    assert len(c) == 3 and [item.version for item in c.versions()] == [1, 2]


def test_a_storage_that_is_gone_at_the_commit(place: str, faults: Faults) -> None:
    """The outcome is unknown, and the message says so; later changes work."""
    c = vs.create(place, embedder="toy:8")
    faults.kinds, faults.lost = ("create",), 0.0

    def after(kind: str, name: str) -> None:
        if kind == "create" and name.startswith("manifests/"):
            faults.kinds, faults.refused = (), 1.0
            raise UnclearError(5, "timed out")

    faults.after = after
    with pytest.raises(vs.StorageError, match="not known whether version 2 was committed"):
        c.add(rows(0, 3), progress=False)
    faults.refused, faults.after = 0.0, lambda kind, name: None
    assert len(c.refresh()) == 3  # it was carried out
    assert c.search("document 1", k=1).ids == ["文-1"]


def test_a_writer_that_dies_before_the_manifest(
    place: str, tmp_path: Path, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its uploads are no version; its lock ends by itself, and a later commit removes the rest."""
    c = vs.create(place, embedder="toy:8", keep_versions=1)
    c.add(rows(0, 3), progress=False)
    before = names(c)

    class Killed(BaseException):
        pass

    def die(kind: str, name: str) -> None:
        if (kind == "create" and name.startswith("manifests/")) or (kind, name) == (
            "delete",
            "LOCK",
        ):
            raise Killed

    faults.before = die
    dying = machine(place, tmp_path / "b")
    with pytest.raises(Killed):
        dying.add(rows(3, 3), progress=False)
    faults.before = lambda kind, name: None
    left = {name for name in names(c) - before if name.startswith("segments/")}
    assert left and "LOCK" in names(c)
    assert len(c.refresh()) == 3
    with pytest.raises(vs.LockTimeoutError, match=place):
        vs.open(place, lock_timeout=0).delete("文-0")
    monkeypatch.setattr(leases, "WRITER_SECONDS", 0.0)
    monkeypatch.setattr(mirror, "READER_SECONDS", -1.0)
    if not place.startswith("memory:"):
        time.sleep(1.1)  # services tell ages in whole seconds
    c.delete("文-0")
    c.compact(purge=True)
    assert not left & names(c)
    assert c.check() == [] and len(c) == 2


def test_a_collection_made_again_at_the_url(place: str, tmp_path: Path) -> None:
    """A stale copy gives no wrong answers, and nothing is written over the new one."""
    first = vs.create(place, embedder="toy:8")
    first.add(rows(0, 3), progress=False)
    with machine(place, tmp_path / "b") as d:
        d.to_arrow()
    origin(first).remove_all()
    second = vs.create(place, embedder="toy:8", cache_dir=tmp_path / "c")
    second.add(rows(10, 2), progress=False)
    with machine(place, tmp_path / "b") as d:  # its copy has the old versions 1 and 2
        assert d.to_arrow(["id"])["id"].to_pylist() == ["文-10", "文-11"]
        assert d.search("document 0", k=5).ids != []
    for change in (lambda: first.add(rows(5, 1), progress=False), first.refresh):
        with pytest.raises((vs.ConflictError, vs.CollectionNotFoundError)):
            change()
    assert len(second.refresh()) == 2


def test_damage_in_the_copy_is_noticed_and_healed(place: str) -> None:
    with vs.create(place, dim=64) as c:
        c.add(np.ones((3000, 64), np.float32), progress=False)
        c.to_arrow()
        path = c.path / c._snapshot.manifest.segments[0].file.name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with (
        vs.open(place) as c,
        pytest.raises(vs.CorruptedError, match=f"local copy of a file of {place}"),
    ):
        c._snapshot.verify()
    with vs.open(place) as c:
        c._snapshot.verify()
        assert len(c.to_arrow()) == 3000


def test_damage_in_the_storage_is_noticed(place: str, tmp_path: Path) -> None:
    c = vs.create(place, embedder="toy:8")
    c.add(rows(0, 3), progress=False)
    name = c._snapshot.manifest.segments[0].file.name
    content = origin(c).bucket.get(name)
    assert content is not None
    origin(c).bucket.put(name, content[:-1] + bytes([content[-1] ^ 1]))
    with (
        machine(place, tmp_path / "b") as d,
        pytest.raises(vs.CorruptedError, match=f"{place}/{name} is damaged"),
    ):
        d.to_arrow()


def test_the_cache_is_bounded(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files opened longest ago go, but not those of an open collection."""
    for number in range(3):
        with vs.create(f"{place}{number}", dim=64) as c:
            c.add(np.full((1000, 64), number + 1.0, np.float32), progress=False)
    folder = tmp_path / "b"
    with machine(f"{place}0", folder) as held:
        held.to_arrow()
        with machine(f"{place}1", folder) as d:
            d.to_arrow()
        monkeypatch.setenv("VECSEARCH_CACHE_SIZE", "400KB")
        with machine(f"{place}2", folder) as d:
            d.to_arrow()
            cache.make_room(folder)
            here = {path.parts[-3] for path in folder.glob("*/*/segments/*") if path.is_file()}
            assert here == {f"papers.vs{n}" for n in (0, 2)}
            assert len(d.to_arrow()) == len(held.to_arrow()) == 1000
    with machine(f"{place}1", folder) as d:  # and comes back
        assert len(d.to_arrow()) == 1000


def test_files_are_fetched_when_needed(place: str, tmp_path: Path) -> None:
    c = vs.create(place, embedder="toy:8")
    c.add(rows(0, 30), progress=False)
    with machine(place, tmp_path / "b") as d:
        requests = origin(d).bucket.requests
        assert len(d) == 30 and d.info().documents == 30
        assert requests["get"] == 2  # the manifests
        d.search("document 1", k=1)
        assert requests["get"] == 3
        before = sum(requests.values())
        d.search("document 2", k=1)
        assert sum(requests.values()) == before
    with machine(place, tmp_path / "b") as d:
        d.search("document 1", k=1)
        assert requests["get"] == 3


def test_nothing_is_left_of_a_create_that_failed(place: str, faults: Faults) -> None:
    def refuse(kind: str, name: str) -> None:
        if kind == "create" and name.startswith("manifests/"):
            raise vs.StorageError(13, "no right to write")

    faults.before = refuse
    with pytest.raises(vs.StorageError, match="no right"):
        vs.create(place, embedder="toy:8")
    faults.before = lambda kind, name: None
    with pytest.raises(vs.CollectionNotFoundError, match=f"there is no collection at {place}"):
        vs.open(place)
    vs.create(place, embedder="toy:8").close()


def test_wrong_urls_and_options(tmp_path: Path) -> None:
    with pytest.raises(vs.InvalidInputError, match="has a bucket and a name"):
        vs.create("s3://bucket", dim=2)
    with pytest.raises(vs.InvalidInputError, match="cannot be opened with these storage_options"):
        vs.open("s3://bucket/c.vs", storage_options={"nonsense": "1"})
    with pytest.raises(vs.InvalidInputError, match="storage_options is for collections at URLs"):
        vs.open(tmp_path / "c.vs", storage_options={"aws_region": "x"})
    with pytest.raises(vs.InvalidInputError, match="give names with texts"):
        vs.open("s3://bucket/c.vs", storage_options={"aws_region": object()})  # type: ignore[dict-item]
    with pytest.raises(vs.InvalidInputError, match="is a URL"):
        vs.open("http://host/c.vs")


def test_the_same_url_in_other_words(place: str) -> None:
    vs.create(place, embedder="toy:8").close()
    again = Path(place)  # as the command line has it: with one slash
    scheme, _, rest = place.partition("://")
    with vs.open(again) as c, vs.open(f"{scheme.upper()}://{rest}/") as d:
        assert c.path == d.path
        assert repr(c).startswith(f"Collection('{place}', version=1")
    assert os.fspath(again) != place


def test_backup_export_and_restore_by_url(place: str, tmp_path: Path) -> None:
    above = place.rpartition("/")[0]
    c = vs.create(place, embedder="toy:32")
    c.add(rows(0, 30), progress=False)
    c.build_index("HNSW8", progress=False)
    found = c.search("document 7", k=5).ids
    assert c.backup(tmp_path / "here.vs") == c.backup(f"{above}/monday.vs") == c.info().version
    assert vs.open(f"{above}/monday.vs").search("document 7", k=5).ids == found
    with pytest.raises(vs.CollectionExistsError, match=r"monday.vs exists already"):
        c.backup(f"{above}/monday.vs")
    assert vs.restore(tmp_path / "here.vs", f"{above}/again.vs") == 30
    assert vs.restore(f"{above}/again.vs", tmp_path / "back.vs") == 30
    with vs.open(tmp_path / "back.vs") as d:
        assert d.search("document 7", k=5).ids == found and d.check() == []
    assert c.export(f"{above}/all.parquet") == 30
    assert c.export(f"{above}/some.csv", where="n < 3", columns=["id", "n"]) == 3
    with pytest.raises(vs.CollectionExistsError, match=r"some.csv exists already"):
        c.export(f"{above}/some.csv")
    assert vs.restore(f"{above}/all.parquet", tmp_path / "parquet.vs") == 30
    with pytest.raises(vs.CollectionNotFoundError, match=r"no file at .*none.parquet"):
        vs.restore(f"{above}/none.parquet", tmp_path / "none.vs")
    with pytest.raises(vs.CollectionNotFoundError, match=r"no collection at .*none.vs"):
        vs.restore(f"{above}/none.vs", tmp_path / "none.vs")
    with pytest.raises(vs.InvalidInputError, match="where nothing is repaired"):
        vs.repair(place)


def test_check_reads_the_storage_and_not_the_copy(place: str) -> None:
    c = vs.create(place, embedder="toy:8")
    c.add(rows(0, 3), progress=False)
    c.to_arrow()
    name = c._snapshot.manifest.segments[0].file.name
    origin(c).bucket.delete([name])
    assert [damage.file for damage in c.check()] == [name]
    assert len(c.to_arrow()) == 3


def test_pickled_collections_and_hits_open_in_another_process(tmp_path: Path) -> None:
    """Their files come from the storage, with the credentials of that process."""
    where = f"file://{tmp_path}/bucket/papers.vs"
    c = vs.create(where, embedder="toy:8")
    c.add(rows(0, 3), progress=False)
    hits = c.search("document 1", k=2)
    (tmp_path / "both").write_bytes(pickle.dumps((c, hits)))
    shutil.rmtree(c.path / "segments")  # a copy has what was used, and no more
    code = """
import pickle, sys
c, hits = pickle.loads(open(sys.argv[1], "rb").read())
print(c, c.search("document 1", k=1).ids, hits.snapshot.take(["n"], hits.positions).to_pydict())
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "both")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    numbers = hits.to_arrow().column("n").to_pylist()
    assert done.stdout.strip() == (
        f"Collection('{where}', version=2, documents=3, dim=8) ['文-1'] {{'n': {numbers}}}"
    )


@pytest.mark.parametrize("when", ["segments", "manifests", "LOCK"])
def test_a_process_that_is_killed(tmp_path: Path, when: str) -> None:
    """Before an upload, before the manifest, and after it: all of the rows or none, once."""
    where = f"file://{tmp_path}/bucket/papers.vs"
    with vs.create(where, embedder="toy:8") as c:
        c.add(rows(0, 2), progress=False)
    code = """
import os, signal, sys
import vecsearch as vs
from vecsearch.storage.objects import bucket
real = bucket.Bucket._request
def request(self, kind, name, call):
    kinds = ("delete",) if sys.argv[2] == "LOCK" else ("put", "create")
    if name.startswith(sys.argv[2]) and kind in kinds:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, kind, name, call)
bucket.Bucket._request = request
c = vs.open(sys.argv[1], cache_dir=sys.argv[3])
c.add([{"id": "new", "text": "a new one", "n": 9}], progress=False)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, where, when, str(tmp_path / "b")], timeout=120
    )
    assert done.returncode == -signal.SIGKILL
    for cache_dir in (tmp_path / "b", tmp_path / "c"):  # on its machine, and on another
        with machine(where, cache_dir) as c:
            assert len(c) == (3 if when == "LOCK" else 2)
            assert c.check() == []


def test_a_change_lists_the_bucket_at_its_start_and_under_the_lease(
    url: str, tmp_path: Path
) -> None:
    with vs.create(url, dim=4, cache_dir=tmp_path / "a") as c:
        c.add(np.eye(4, dtype=np.float32), progress=False)
        requests = origin(c).bucket.requests
        for change, lists in (
            (lambda: c.add(np.eye(4, dtype=np.float32), progress=False), 2),
            (lambda: c.delete(0), 1),
            (lambda: c.compact(), 1),
        ):
            requests.clear()
            change()
            assert requests["list"] == lists
        with machine(url, tmp_path / "b") as other:
            other.add(np.eye(4, dtype=np.float32), progress=False)
            assert len(c) == 7
            c.delete(2)
            assert len(c) == 10  # of the other one, too


def test_slow_reads_change_nothing_but_time(place: str, tmp_path: Path, faults: Faults) -> None:
    """Readers wait for every byte while a writer commits and removes what it may."""
    vs.create(place, embedder="toy:8", keep_versions=1).close()
    with machine(place, tmp_path / "writer") as writer:
        writer.add(rows(0, 4), progress=False)
        faults.kinds, faults.slow = ("get", "head"), 0.05
        seen: list[int] = []

        def read(number: int) -> None:
            for turn in range(3):
                with machine(place, tmp_path / f"{number}-{turn}") as c:
                    ids = sorted(c.to_arrow(["id"])["id"].to_pylist())
                    assert ids == sorted(row["id"] for row in rows(0, len(ids)))
                    assert set(c.search("document 1", k=len(ids)).ids) == set(ids)
                    seen.append(len(ids))

        with ThreadPoolExecutor(3) as pool:
            reading = [pool.submit(read, number) for number in range(3)]
            for first in range(4, 28, 2):
                writer.add(rows(first, 2), progress=False)
            for one in reading:
                one.result()
        assert len(seen) == 9 and set(seen) <= set(range(4, 29, 2))
        assert writer.check() == [] and len(writer) == 28


def test_every_request_that_is_forbidden_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Forbidden(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(403)

        do_PUT = do_HEAD = do_POST = do_DELETE = do_GET  # noqa: N815, names of http.server

        def log_message(self, *args: object) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Forbidden)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{running.server_port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    bucket = mirror_of("s3://bucket/papers.vs", cache_dir=tmp_path).bucket
    requests = {
        "listing": bucket.listed,
        "reading": lambda: bucket.get("a"),
        "writing": lambda: bucket.put("a", b"x"),
        "removing": lambda: bucket.delete(["a", "b"]),
    }
    for doing, request in requests.items():
        with pytest.raises(vs.StorageError, match=f"{doing} s3://.*permission denied.*credentials"):
            request()
    running.shutdown()
