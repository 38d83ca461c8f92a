"""File locks between processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vecsearch.storage import locks

TRY = """
import sys
from pathlib import Path
from vecsearch.storage.locks import try_lock_exclusive
print(try_lock_exclusive(Path(sys.argv[1]), create=True))
"""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # pytest itself may have threads
def test_a_forked_child_cannot_release_the_lock_of_its_parent(tmp_path: Path) -> None:
    path = tmp_path / "LOCK"
    with locks.lock_exclusive(path, 1) as lock:
        child = os.fork()
        if child == 0:
            lock.release()
            os._exit(0)
        os.waitpid(child, 0)
        rival = subprocess.run(
            [sys.executable, "-c", TRY, str(path)], capture_output=True, text=True, check=True
        )
        assert rival.stdout.strip() == "None"
    free = locks.try_lock_exclusive(path)
    assert free is not None
    free.release()
