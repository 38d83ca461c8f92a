"""Collections of every format that was ever written, opened by this version."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecsearch as vs
from vecsearch.maintenance.check import find_damage
from vecsearch.storage.manifest import FORMAT

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from make import answers  # noqa: E402

FORMATS = sorted(HERE.glob("format*"))
CASES = [
    (folder, name)
    for folder in FORMATS
    for name in json.loads((folder / "expected.json").read_text("utf-8"))
]


def test_the_current_format_has_its_collections() -> None:
    assert FORMATS[-1].name == f"format{FORMAT}", (
        "the format changed: run tests/golden/make.py and commit what it makes"
    )
    assert len(CASES) >= 4 * len(FORMATS)


@pytest.mark.parametrize(("folder", "name"), CASES, ids=lambda item: getattr(item, "name", item))
def test_a_golden_collection_answers_as_ever(folder: Path, name: str) -> None:
    expected = json.loads((folder / "expected.json").read_text("utf-8"))[name]
    assert same(answers(folder / name), expected)
    assert find_damage(folder / name) == []


def same(found: Any, expected: Any) -> bool:
    """Equal, but for the last digits of a number."""
    if isinstance(expected, float):
        return bool(np.isclose(found, expected, rtol=1e-4, atol=1e-5))
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(
            same(found[name], expected[name]) for name in expected
        )
    if isinstance(expected, list):
        return len(found) == len(expected) and all(
            same(a, b) for a, b in zip(found, expected, strict=True)
        )
    return bool(found == expected)


@pytest.mark.parametrize(("folder", "name"), CASES, ids=lambda item: getattr(item, "name", item))
def test_a_golden_collection_can_be_changed(folder: Path, name: str, tmp_path: Path) -> None:
    root = tmp_path / "c.vs"
    shutil.copytree(folder / name, root)
    with vs.open(root) as c:
        before = c.to_arrow()
        info = c.info()
        dim, kind = info.dim, info.columns[info.id_column]
        key: Any = 10**6 if kind == "int64" else "new"
        c.add(
            [
                {
                    info.id_column: key,
                    "vector": np.ones(dim),
                    **dict.fromkeys(info.text_columns[-1:], "new"),
                }
            ]
        )
        c.compact(purge=True)
        assert c.to_arrow().slice(0, len(before)).equals(before) and c.search(
            np.ones(dim), k=1
        ).ids == [key]
    assert find_damage(root) == []
