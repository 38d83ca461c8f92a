"""Search inside frames of pandas and polars."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from support.doctests import run_examples

import vecsearch as vs
from vecsearch.integrations import frames
from vecsearch.integrations.frames import FrameSearch

COLUMNS: dict[str, list[Any]] = {
    "id": ["x", "x", "y"],  # not unique: an id of the frame is a column like others
    "text": ["a small boat", "a large ship", "a red bus"],
    "rank": [7, 8, 9],
    "row": [1.5, 2.5, None],
    "vector": [[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]],
}


def both() -> list[Any]:
    table = {name: COLUMNS[name] for name in ("id", "text", "rank", "row")}
    return [pd.DataFrame(table, index=pd.Index([10, 20, 30])), pl.DataFrame(table)]


@pytest.mark.parametrize("frame", both(), ids=["pandas", "polars"])
def test_rows_of_the_frame_come_back(frame: Any) -> None:
    with FrameSearch(frame, embedder="toy:64") as notes:
        found = notes.search("a red bus", k=2)
        assert type(found) is type(frame)
        assert list(found.columns) == ["rank_", "score", "id", "text", "rank", "row"]
        assert next(iter(found["text"])) == "a red bus" and list(found["rank_"]) == [1, 2]
        assert list(found["score"]) == sorted(found["score"], reverse=True)
        assert list(notes.search("bus", where="id = 'x'", k=9)["rank"]) in ([7, 8], [8, 7])
        assert list(notes.search("ship", mode="text")["text"]) == ["a large ship"]
        assert len(notes.search("bus", where="rank > 100")) == 0
        expected = notes.collection.similar(0, 2).ids
        assert list(notes.similar(0, 2)["text"]) == [COLUMNS["text"][int(n)] for n in expected]
        if isinstance(frame, pd.DataFrame):
            assert found.index[0] == 30
        folder = Path(notes.collection.path)
    assert not folder.exists()
    assert list(frame.columns) == ["id", "text", "rank", "row"]


def test_vectors_and_a_folder(tmp_path: Path) -> None:
    for number, frame in enumerate((pd.DataFrame(COLUMNS), pl.DataFrame(COLUMNS))):
        path = tmp_path / f"{number}.vs"
        with FrameSearch(frame, vector_column="vector", path=path, metric="ip") as notes:
            assert list(notes.search(np.array([0.0, 1.0]), k=2)["rank"]) == [8, 9]
        assert len(vs.open(path)) == 3


def test_the_accessor() -> None:
    for frame in both():
        with frame.vs.searchable(embedder="toy:64") as notes:
            assert len(notes) == 3 and list(notes.search("a boat", k=1)["rank"]) == [7]


def test_errors() -> None:
    for frame in both():
        with pytest.raises(vs.InvalidInputError, match="its columns are id, text, rank, row"):
            FrameSearch(frame, text_column="body", embedder="toy:8")
        with pytest.raises(vs.InvalidInputError):
            FrameSearch(frame, embedder="toy:8", metric="x")
    for wrong in ([{"text": "a"}], None, pd.Series(["a"])):
        with pytest.raises(vs.InvalidInputError, match="DataFrame"):
            FrameSearch(wrong, embedder="toy:8")


def test_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_examples(frames)
