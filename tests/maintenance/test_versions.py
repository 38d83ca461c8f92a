"""Going back to an older version."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import vecsearch as vs


def test_a_rollback_does_not_free_generated_ids(root: Path) -> None:
    with vs.create(root, dim=2) as c:
        empty = c.info().version
        c.add(np.ones((3, 2)))
        c.rollback(empty)
        assert len(c) == 0
        c.add(np.ones((1, 2)))
        assert c.to_arrow(["id"])["id"].to_pylist() == [3]
