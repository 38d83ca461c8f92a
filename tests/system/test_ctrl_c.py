"""Ctrl-C at any line of a change: the lock is free at once, and the collection is whole."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from support import forge
from support.data import clustered

import vecsearch as vs
from vecsearch.maintenance.check import find_damage

SOAK = bool(os.environ.get("VECSEARCH_SOAK"))
PACKAGE = str(Path(vs.__file__).parent)
WATCHED = ("store.py", "locks.py") if not SOAK else ("",)  # the end of a file's name
SMALL = vs.Limits(smallest_index_rows=20)

Line = tuple[str, int]
CHANGES: dict[str, Callable[[vs.Collection], object]] = {
    "add": lambda c: c.add([{"id": 100, "vector": [1.0, 0, 0, 0]}]),
    "delete": lambda c: c.delete([1]),
    "build": lambda c: c.build_index(
        vs.IndexRecipe(name="g", kind="hnsw", code="sq8", M=4, ef_construction=20), threads=1
    ),
    "compact": lambda c: c.compact(purge=True),
}


class Tracer:
    """Raises KeyboardInterrupt when a line is first reached; remembers the lines it saw."""

    def __init__(self, at: Line | None = None) -> None:
        self.at = at
        self.seen: dict[Line, None] = {}
        self.raised = False

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        name = frame.f_code.co_filename
        if not name.startswith(PACKAGE) or not name.endswith(WATCHED):
            return None
        # Python ignores what a finalizer raises, as it does with a real Ctrl-C there.
        if event == "line" and frame.f_code.co_name != "__del__":
            line = (name, frame.f_lineno)
            self.seen[line] = None
            if line == self.at and not self.raised:
                self.raised = True
                raise KeyboardInterrupt
        return self


def run(c: vs.Collection, change: Callable[[vs.Collection], object], tracer: Tracer) -> bool:
    """Whether the change came to its end."""
    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        change(c)
    except KeyboardInterrupt:
        return False
    finally:
        sys.settrace(before)
    return True


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "build")) for name in CHANGES]
)
def test_ctrl_c_at_any_line_frees_the_lock(name: str, tmp_path: Path) -> None:
    whole, change = tmp_path / "whole.vs", CHANGES[name]
    with vs.create(whole, dim=4, limits=SMALL) as c:
        c.add([{"id": n, "vector": vector} for n, vector in enumerate(clustered(60, 4))])
        c.delete([0])
    before = set(range(1, 60))
    states = (before, before | {100}, before - {1})
    recorder = Tracer()
    with vs.open(forge.copy(whole, tmp_path / "seen.vs"), limits=SMALL) as c:
        assert run(c, change, recorder)
    assert len(recorder.seen) > 40
    interrupted = 0
    for number, line in enumerate(recorder.seen):
        root = forge.copy(whole, tmp_path / f"{number}.vs")
        with vs.open(root, limits=SMALL, lock_timeout=0) as c:
            tracer = Tracer(line)
            interrupted += not run(c, change, tracer)
            with vs.open(root, limits=SMALL, lock_timeout=0) as other:  # at once
                assert set(other.to_arrow(["id"])["id"].to_pylist()) in states, line
                assert other.add([{"id": 200, "vector": [0, 1.0, 0, 0]}]).added == 1, line
            assert c.add([{"id": 300, "vector": [0, 0, 1.0, 0]}]).added == 1, line
            assert len(c.get([200, 300])) == 2 and c.search([0, 0, 1.0, 0], k=1).ids == [300]
        assert find_damage(root) == [], line
    assert interrupted > 30
