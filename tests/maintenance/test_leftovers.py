"""What killed backups and exports leave goes with the next one to the same place; faulty writers
publish nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import vecsearch as vs
from vecsearch.storage import locks, staging

KILLED = """
import os, signal, sys
import vecsearch as vs
from vecsearch.storage import disk
disk.move = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # just before the name is given
with vs.open(sys.argv[1]) as c:
    getattr(c, sys.argv[2])(sys.argv[3])
"""


@pytest.mark.parametrize(
    ("verb", "name"),
    [("backup", "b.vs"), ("export", "e.parquet"), ("export", "e.csv"), ("export", "e.arrow")],
)
def test_leftovers_of_a_killed_backup_go_with_the_next(
    verb: str, name: str, tmp_path: Path
) -> None:
    root, target = tmp_path / "c.vs", tmp_path / "out" / name
    target.parent.mkdir()
    with vs.create(root, dim=2) as c:
        c.add(np.ones((3, 2)))
    command = [sys.executable, "-c", KILLED, str(root), verb, str(target)]
    done = subprocess.run(command, timeout=300, capture_output=True, check=False)
    assert done.returncode == -9, done.stderr[-500:]
    (left,) = target.parent.iterdir()
    assert left.name.startswith(f".{name}-") and left.suffix == ".part"
    others = [target.parent / ".mine.part", target.parent / f".other-{'a' * 32}.part"]
    for path in others:
        path.write_text("mine")
    alive = target.parent / f".{name}-{'a' * 32}.part"
    alive.mkdir()
    lock = locks.try_lock_exclusive(alive)
    assert lock is not None
    with lock, vs.open(root) as c:
        getattr(c, verb)(target)
    assert sorted(target.parent.iterdir()) == sorted([*others, alive, target])
    if verb == "backup":
        with vs.open(target, lock_timeout=0) as copy:
            assert len(copy) == 3 and copy.add(np.ones((1, 2))).added == 1


def test_a_segment_that_cannot_be_read_again_is_not_published(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with vs.create(root, dim=2) as c:
        c.add(np.ones((3, 2)))
        right = staging.write_batch

        def faulty(path: Path, *rest: object) -> None:
            right(path, *rest)
            os.truncate(path, path.stat().st_size - 100)

        monkeypatch.setattr(staging, "write_batch", faulty)
        with pytest.raises(vs.CorruptedError):
            c.add(np.ones((2, 2)))
        monkeypatch.undo()
        assert len(c.refresh()) == 3 and c.check() == []
        assert list((root / "staging").iterdir()) == []
