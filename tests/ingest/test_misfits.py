"""Values that do not fit a column are named by file and line, or file and row, in each format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import vecsearch as vs

# For each format, what a message calls the row with this number in a file.
PLACES = {"jsonl": "line {1}", "csv": "line {2}", "parquet": "row {0}", "arrow": "row {0}"}


def written(folder: Path, ending: str, name: str, values: list[Any], first: int) -> Path:
    rows = [{"id": first + at, "vector": [1.0], "x": value} for at, value in enumerate(values)]
    path = folder / f"{name}.{ending}"
    table = pa.Table.from_pylist(rows)
    if ending == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif ending == "csv":
        lines = [f'{row["id"]},"[1]",{"" if row["x"] is None else row["x"]}\n' for row in rows]
        path.write_text("id,vector,x\n" + "".join(lines))
    elif ending == "parquet":
        pq.write_table(table, path, row_group_size=3)
    else:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=3)
    return path


def place(ending: str, number: int) -> str:
    return PLACES[ending].format(number, number + 1, number + 2)


@pytest.mark.parametrize("ending", PLACES)
@pytest.mark.parametrize(
    "first, second, bad",
    [
        ([1, 2], [None, None, None, None, "a", None], 4),
        ([True], [None, None, None, 3], 3),
        ([2**60 + 1], [None, None, None, None, 0.5], 4),
    ],
)
def test_a_later_misfit_is_named_by_file_and_line_or_row(
    tmp_path: Path, ending: str, first: list[Any], second: list[Any], bad: int
) -> None:
    with vs.create(tmp_path / "c.vs", dim=1) as c:
        c.add(written(tmp_path, ending, "a", first, 0))
        good = written(tmp_path, ending, "good", [None] * 5, 50)
        path = written(tmp_path, ending, "b", second, 100)
        for data in (path, [good, path]):
            with pytest.raises(vs.InvalidInputError) as found:
                c.add(data)
            assert f"b.{ending}, {place(ending, bad)}" in str(found.value)
            assert "column 'x'" in str(found.value)
        assert len(c) == len(first) and c.check() == []


@pytest.mark.parametrize("ending", ["jsonl", "parquet", "arrow"])
def test_a_value_that_other_files_of_the_add_rule_out_is_named(tmp_path: Path, ending: str) -> None:
    whole = written(tmp_path, ending, "a", [1, 2, None, None, 2**60 + 1], 0)
    halves = written(tmp_path, ending, "b", [0.5], 100)
    with vs.create(tmp_path / "c.vs", dim=1) as c:
        for data in ([whole, halves], [halves, whole]):
            with pytest.raises(vs.InvalidInputError) as found:
                c.add(data)
            assert f"a.{ending}, {place(ending, 4)}, column 'x': {2**60 + 1}" in str(found.value)
        assert len(c) == 0
