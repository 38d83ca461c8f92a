"""File locks between processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vecsearch.errors import LockTimeoutError
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


def test_trying_a_lock_makes_no_file_unless_asked(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        locks.try_lock_exclusive(tmp_path / "LOCK")
    assert not (tmp_path / "LOCK").exists()
    made = locks.try_lock_exclusive(tmp_path / "LOCK", create=True)
    assert made is not None
    made.release()


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.mark.parametrize("timeout", [0.0, 0.5, 3.0])
def test_a_lock_is_waited_for_as_long_as_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, timeout: float
) -> None:
    """At first often, for a writer that is nearly done, later so that waiting costs little."""
    clock = Clock()
    monkeypatch.setattr(locks, "time", clock)
    with (
        locks.lock_exclusive(tmp_path / "LOCK", 1),
        pytest.raises(LockTimeoutError, match=f"for {timeout:g} s"),
    ):
        locks.lock_exclusive(tmp_path / "LOCK", timeout)
    waited = clock.now - 1000.0
    assert timeout <= waited < timeout + 0.1
    assert len(clock.pauses) <= 10 + 20 * timeout
    assert all(pause <= 0.05 for pause in clock.pauses)
    assert not clock.pauses or clock.pauses[0] <= 0.005
