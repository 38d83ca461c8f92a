"""A real small disk (a tmpfs in a namespace of its own): full, read-only, not ours. Nothing is
lost, reading goes on.
"""

from __future__ import annotations

import errno
import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import vecsearch as vs
from vecsearch.maintenance.check import find_damage

NAMESPACE = ["unshare", "--map-root-user", "--mount"]
NOBODY = 65534
SOAK = bool(os.environ.get("VECSEARCH_SOAK"))
FREE = (0, 12_288, 131_072)  # bytes left


@functools.cache
def why_not() -> str:
    """Why a tmpfs cannot be mounted here; "" when it can."""
    script = f"mount -t tmpfs -o size=1m tmpfs {Path(__file__).parent}"
    try:
        done = subprocess.run(
            [*NAMESPACE, "sh", "-c", script],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except OSError as error:
        return str(error)
    return "" if done.returncode == 0 else done.stderr.strip() or "unshare failed"


def in_namespace(name: str, folder: Path, megabytes: int) -> None:
    """Run a function of this module in a process whose `folder` is a small disk."""
    if why_not():
        pytest.skip(f"a small disk cannot be mounted: {why_not()}")
    folder.mkdir()
    folders = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    code = (
        f"import sys; sys.path[:0] = {folders!r}; import test_small_disk; test_small_disk.{name}()"
    )
    script = f'mount -t tmpfs -o size={megabytes}m tmpfs "$1" && cd "$1" && exec "$2" -c "$3"'
    command = [*NAMESPACE, "sh", "-c", script, "sh", str(folder), sys.executable, code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def rows(first: int, count: int, width: int = 300) -> list[dict[str, object]]:
    return [
        {"id": n, "text": f"文 number {n}", "note": "x" * width}
        for n in range(first, first + count)
    ]


SMALL = vs.Limits(smallest_index_rows=20)


def make(path: Path) -> None:
    with vs.create(path, embedder="toy:8", limits=SMALL) as c:
        c.add(rows(0, 200))
        c.delete([3, 4])
        c.build_index("HNSW8")
        c.add(rows(200, 20))


OPERATIONS: dict[str, Callable[[vs.Collection], object]] = {
    "add much": lambda c: c.add(rows(1000, 1500, 2000)),
    "add few": lambda c: c.add(rows(1000, 3)),
    "replace": lambda c: c.add(rows(0, 100, 500), on_conflict="replace"),
    "delete": lambda c: c.delete(where="id % 7 = 0"),
    "update": lambda c: c.update("id % 2 = 0", {"note": "y" * 400}),
    "add_column": lambda c: c.add_column("more", "string", "z" * 300),
    "build": lambda c: c.build_index("HNSW16"),
    "compact": lambda c: c.compact(),
    "purge": lambda c: c.compact(purge=True),
    "restore": lambda c: c.rollback(c.versions()[2].version),
    "backup": lambda c: c.backup("backup.vs"),
    "export": lambda c: c.export("out.parquet"),
    "create": lambda c: vs.create("new/collection.vs", dim=3),
}


def state(path: Path) -> tuple[object, ...]:
    with vs.open(path, limits=SMALL) as c:
        hits = c.search("文 number 17", k=5, exact=True)
        return (
            c.to_arrow([*c.info().columns]).to_pydict(),
            hits.ids,
            len(c),
            len(c.search("number", k=5, where="id > 100")),
        )


def run_full_disk() -> None:
    """Fill the disk up to so many free bytes; then everything that writes fails clearly or succeeds
    whole.
    """
    failed = succeeded = 0
    for number, (name, operation) in enumerate(OPERATIONS.items()):
        for free in FREE if SOAK else (FREE[number % 3],):
            for path in Path().iterdir():
                subprocess.run(["rm", "-rf", str(path)], check=True)
            path = Path("c.vs")
            make(path)
            before, files = state(path), {item for item in path.rglob("*") if item.is_file()}
            fill(Path("filler"), free)
            error = None
            with vs.open(path, limits=SMALL) as reader, vs.open(path, limits=SMALL) as writer:
                try:
                    operation(writer)
                except vs.StorageError as caught:
                    error = caught
                except vs.ConflictError:
                    assert name == "purge"  # done, but for what `reader` holds
                assert (
                    reader.get([17])[0]["text"] == "文 number 17"
                    and len(reader.search("文", k=3)) == 3
                )
            if error is None:
                succeeded += 1
            else:
                failed += 1
                said = str(error) + str(
                    error.__cause__
                )  # FAISS writes its file itself, and says it in its own words
                assert "disk is full" in said or "No space left" in said, f"{name}: {error}"
                assert state(path) == before, f"{name} with {free} free bytes lost something"
                new = {item for item in path.rglob("*") if item.is_file()} - files
                assert all("vectors-" in str(item) or item.name == "LOCK" for item in new), (
                    f"{name} left {new}"
                )
                assert not Path("backup.vs").exists() and not Path("out.parquet").exists()
            assert find_damage(path) == [], name
            Path("filler").unlink()
            with vs.open(path, limits=SMALL) as c:
                if error is not None or name == "purge":  # with room again it works
                    operation(c)
                c.add([{"id": 10**6, "text": "later", "note": ""}])
                assert c.search("later", k=1, exact=True).ids == [10**6]
    assert failed >= len(OPERATIONS) // 2 and succeeded, (failed, succeeded)


def fill(path: Path, free: int) -> None:
    room = os.statvfs(path.parent)
    with path.open("wb") as file:
        file.write(bytes(max(room.f_bavail * room.f_frsize - free, 0)))


def run_foreseen() -> None:
    """What plainly does not fit is refused before it is written."""
    path = Path("c.vs")
    with vs.create(path, dim=64) as c:
        c.add(np.ones((10, 64)))
        size = {item: item.stat().st_size for item in path.rglob("*")}
        try:
            c.add(np.random.default_rng(0).random((60_000, 64), np.float32))
            raise AssertionError("15 MB fitted into 8 MB")
        except vs.StorageError as error:
            assert "full" in str(error)
        assert {item: item.stat().st_size for item in path.rglob("*")} == size
        c.backup("copy.vs")
        fill(Path("filler"), 1000)
        try:
            c.backup("copy2.vs")
            raise AssertionError("no room, and yet a copy")
        except vs.StorageError as error:
            assert "full" in str(error)


def run_read_only() -> None:
    path = Path("c.vs")
    make(path)
    before = state(path)
    subprocess.run(["mount", "-o", "remount,ro", str(Path.cwd())], check=True)
    assert state(path) == before and find_damage(path) == []
    with vs.open(path, limits=SMALL) as c:
        assert c.versions() and c.count("id < 10") == 8
        for name, operation in OPERATIONS.items():
            try:
                operation(c)
            except vs.StorageError as error:
                assert error.errno == errno.EROFS and "read-only" in str(error), f"{name}: {error}"
            else:
                raise AssertionError(f"{name} worked on read-only media")
        assert c.search("文 number 17", k=1, exact=True).ids == [17]


@pytest.mark.parametrize(
    ("name", "megabytes"),
    [
        pytest.param("run_full_disk", 8, marks=pytest.mark.slow),
        ("run_foreseen", 8),
        ("run_read_only", 8),
    ],
)
def test_small_disk(name: str, megabytes: int, tmp_path: Path) -> None:
    in_namespace(name, tmp_path / "disk", megabytes)


def test_not_ours_to_write() -> None:
    """Files of another user: searching works, changing names the missing permission."""
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to others
        not_ours(Path(folder))


def not_ours(folder: Path) -> None:
    path = folder / "c.vs"
    make(path)
    before = state(path)
    for item in (path, *path.rglob("*")):
        item.chmod(0o555 if item.is_dir() else 0o444)
    folder.chmod(0o755)
    child = os.fork()
    if child == 0:
        try:
            os.chdir(folder)
            if os.geteuid() == 0:
                os.setuid(NOBODY)
            assert state(path) == before and find_damage(path) == []
            with vs.open(path, limits=SMALL) as c:
                for name, operation in OPERATIONS.items():
                    if name in ("backup", "export", "create"):
                        continue  # those do not write into the collection
                    try:
                        operation(c)
                    except vs.StorageError as error:
                        assert error.errno == errno.EACCES and "permission" in str(error), (
                            f"{name}: {error}"
                        )
                    else:
                        raise AssertionError(f"{name} worked without the right to write")
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    for item in (path, *path.rglob("*")):
        item.chmod(0o755 if item.is_dir() else 0o644)
    assert code == 0
