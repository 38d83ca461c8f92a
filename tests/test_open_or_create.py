"""`create(exist_ok=True)` and `open_or_create`: a script that can be run twice."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import vecsearch as vs


def test_a_script_runs_twice(tmp_path: Path) -> None:
    for run in range(2):
        with vs.open_or_create(tmp_path / "c.vs", embedder="toy:16") as c:
            assert len(c) == 2 * run
            c.add(
                [{"id": 1, "text": "one"}, {"id": 2, "text": "two"}],
                on_conflict="replace",
            )
            assert c.search("two", k=1).ids == [2]


def test_what_is_there_is_opened_if_it_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "c.vs"
    vs.create(path, dim=3, metric="l2", id_column="key", exist_ok=True).close()
    with vs.create(path, dim=3, metric="l2", id_column="key", exist_ok=True) as c:
        c.add([{"key": "a", "vector": [1.0, 2.0, 3.0]}])
    assert len(vs.create(path, dim=3, exist_ok=True)) == 1
    with pytest.raises(vs.CollectionExistsError):
        vs.create(path, dim=3, metric="l2")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"dim": 4}, "dim 3, not 4"),
        ({"metric": "ip"}, "metric 'l2', not 'ip'"),
        ({"dtype": "float16"}, "dtype 'float32', not 'float16'"),
        ({"id_column": "name"}, "id_column 'key', not 'name'"),
        ({"embedder": "toy:3"}, "embedder None, not 'toy:3'"),
    ],
)
def test_another_collection_is_refused(tmp_path: Path, options: dict[str, Any], says: str) -> None:
    path = tmp_path / "c.vs"
    with vs.create(path, dim=3, metric="l2", id_column="key") as c:
        c.add([{"key": "a", "vector": [1.0, 2.0, 3.0]}])
    with pytest.raises(vs.InvalidInputError, match=says):
        vs.open_or_create(path, **options)
    assert len(vs.open(path)) == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"chunker": None}, "chunker {'kind': 'auto'}, not None"),
        ({"chunker": 800}, "not {'kind': 'sentences'"),
        ({"schema": {"year": "string"}}, "column 'year' of type 'int64', not 'large_string'"),
        ({"schema": pa.schema([("lang", pa.string())])}, "column 'lang' of type None, not"),
        (
            {"schema": None, "json_columns": ["year"]},
            "column 'year' of type 'int64', not 'json'",
        ),
    ],
)
def test_another_chunker_or_column_is_refused(
    tmp_path: Path, options: dict[str, Any], says: str
) -> None:
    path = tmp_path / "c.vs"
    made: dict[str, Any] = {"embedder": "toy:8", "schema": {"year": "int64"}}
    vs.create(path, **made).close()
    for same in ({}, {"chunker": "auto"}, {"schema": pa.schema([("year", pa.int64())])}):
        vs.open_or_create(path, **{**made, **same}).close()
    with pytest.raises(vs.InvalidInputError, match=re.escape(says)):
        vs.open_or_create(path, **{**made, **options})
    vs.create(tmp_path / "none.vs", embedder="toy:8", chunker=300).close()
    vs.open_or_create(tmp_path / "none.vs", embedder="toy:8", chunker=300).close()
    vs.open_or_create(tmp_path / "none.vs", embedder="toy:8").close()


def test_another_model_is_refused(tmp_path: Path) -> None:
    vs.create(tmp_path / "c.vs", embedder="toy:8").close()
    with pytest.raises(vs.EmbedderMismatchError):
        vs.open_or_create(tmp_path / "c.vs", embedder="toy:9")


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(vs.CollectionExistsError):
        vs.open_or_create(tmp_path, dim=2)
