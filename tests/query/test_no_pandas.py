"""What asks for rows does not import pandas, which takes a third of a second of its first answer.

pyarrow imports it where it turns arrays into numpy's or the other way; `vecsearch.common.arrays`
has ways that do not.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecsearch as vs

pytest.importorskip("pandas")

ASKED = {
    "a search": "c.search([1, 2, 3, 4], k=3).ids",
    "an exact search": "c.search([1, 2, 3, 4], k=3, exact=True).ids",
    "another recall": "c.search([1, 2, 3, 4], k=30, recall=0.99).scores",
    "a batch": "c.search_batch([[1, 2, 3, 4], [4, 3, 2, 1]], k=3)",
    "a filter": "c.search([1, 2, 3, 4], k=3, where=\"n < 40 AND kind = 'a' OR n IN (7, 9)\").ids",
    "a few ids": "c.search([1, 2, 3, 4], k=3, ids=['8', '9', '72']).ids",
    "words": "c.search('red house', mode='text').ids",
    "words and a vector": "c.search(text='red house', vector=[1, 2, 3, 4], mode='hybrid').ids",
    "the row of a hit": "c.search([1, 2, 3, 4], k=3)[0]['kind']",
    "documents": "c.get(['8', '72'])",
    "no document": "c.get(['nobody'])",
    "a count": "c.count(\"kind = 'b'\")",
    "what it holds": "c.info()",
}
CHILD = """
import json, sys, vecsearch as vs
root, asked = sys.argv[1], json.loads(sys.argv[2])
with vs.open(root) as c:
    for name, question in asked.items():
        eval(question)
        assert "pandas" not in sys.modules, name
print("none")
"""


@pytest.fixture(params=["rows", "documents"])
def root(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A collection with an index, deleted rows, labels, and segments that no index covers."""
    path = tmp_path / "c.vs"
    rng = np.random.default_rng(0)
    words = ["red", "house", "green", "boat", "tree"]
    rows = [
        {
            "id": str(n),
            "text": " ".join(rng.choice(words, 3)),
            "n": n,
            "kind": "ab"[n % 2],
        }
        for n in range(600)
    ]
    made: dict[str, Any] = {"embedder": "toy:4", "limits": vs.Limits(smallest_index_rows=1)}
    if request.param == "documents":
        made["chunker"] = vs.Chunker(max_chars=64)
    with vs.create(path, **made) as c:
        c.add(rows[:400])
        c.delete([str(n) for n in range(0, 100, 7)])
        c.build_index("HNSW16")
        c.add(rows[400:], auto_index=False)
        c.delete([str(n) for n in range(1, 550, 3)])
    return path


def test_asking_imports_no_pandas(root: Path) -> None:
    command = [sys.executable, "-c", CHILD, str(root), json.dumps(ASKED)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "none\n", done.stderr[-2000:]
