"""A child that is forked while another thread imports a module."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import os, signal, sys, threading, time
import vecsearch
from vecsearch.common import fork

sys.path.insert(0, sys.argv[1])
fork.IMPORT_SECONDS = float(sys.argv[2])
begun = threading.Event()
sys.begun = begun
thread = threading.Thread(target=lambda: __import__("slow.inner"))
thread.start()
assert begun.wait(20)
start = time.monotonic()
pid = os.fork()
waited = time.monotonic() - start
if pid == 0:
    signal.alarm(20)  # ends a child that waits for ever
    import slow.inner
    complete = slow.inner.value == 7 and slow.value == 8 and not fork._module_locks
    os._exit(3 if complete else 4)
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
thread.join()
import slow.inner
print(code, slow.inner.value, slow.value, waited > 0.3)
"""


@pytest.mark.parametrize(
    ("seconds", "waits"), [(60.0, True), (0.0, False)], ids=["the fork waits", "the child undoes"]
)
def test_a_child_can_import_what_another_thread_was_importing(
    tmp_path: Path, seconds: float, waits: bool
) -> None:
    package = tmp_path / "slow"
    package.mkdir()
    (package / "__init__.py").write_text("from slow import inner\nvalue = inner.value + 1\n")
    (package / "inner.py").write_text(
        "import sys, time\nsys.begun.set()\ntime.sleep(0.8)\nvalue = 7\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(tmp_path), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["3", "7", "8", str(waits)], (done.stdout, done.stderr)
