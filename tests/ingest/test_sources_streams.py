"""What holds for every source: bounded memory, closed files, plain types."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.sources import Write, ipc_bytes, rows, table

from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources import Source, open_source
from vecsearch.ingest.sources import encoding as encoding_module
from vecsearch.ingest.sources.plain import plain_array, plain_type


def test_real_files_are_read_whole(shared_data: Path) -> None:
    summaries = shared_data / "ann" / "package-summaries-50k.tsv"
    lines = summaries.read_text(encoding="utf-8").split("\n")
    found = table(summaries)
    assert found.column_names == lines[0].split("\t")
    assert [
        f"{name}\t{summary}" for name, summary in zip(*found.to_pydict().values(), strict=True)
    ] == lines[1:-1]
    corpus = shared_data / "beir" / "cmrc2018-dev" / "corpus.jsonl"
    with corpus.open(encoding="utf-8") as file:
        assert rows(corpus) == [json.loads(line) for line in file]


def test_memory_stays_bounded_over_a_long_file(write: Write) -> None:
    path = write(
        "t.csv.gz", "id,text\n" + "".join(f"{number},{'word ' * 40}\n" for number in range(60_000))
    )
    tracemalloc.start()
    total = sum(batch.num_rows for batch in open_source(path, batch_rows=500).batches)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 60_000
    assert peak < 6_000_000  # the file's text is 12 MB


@pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="no list of open files on this system"
)
def test_files_are_closed_when_reading_stops_early(write: Write) -> None:
    for name, content in (
        ("t.csv", "id\n1\n2\n"),
        ("t.jsonl", '{"id": 1}\n{"id": 2}\n'),
        ("t.arrow", ipc_bytes(True)),
    ):
        source: Source = open_source(write(name, content), batch_rows=1)
        next(source.batches)
        del source
    held = [link.readlink().suffix for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert not {".csv", ".jsonl", ".arrow"} & set(held)


def test_types_are_made_plain_at_any_depth() -> None:
    encoded = pa.struct(
        [
            ("a", pa.large_list(pa.dictionary(pa.int8(), pa.binary_view()))),
            ("b", pa.list_(pa.string_view(), 2)),
        ]
    )
    assert (
        str(plain_type(encoded))
        == "struct<a: large_list<item: large_binary>, b: fixed_size_list<item: large_string>[2]>"
    )
    assert plain_array(pa.array([1, 2], pa.int8()), pa.int64()).to_pylist() == [1, 2]


def test_the_limit_on_a_text_leaves_room_for_ten_megabytes() -> None:
    assert encoding_module.MAX_TEXT >= 10_000_000


VIEWS = st.lists(st.none() | st.lists(st.none() | st.integers(0, 9), max_size=3), max_size=6)


@settings(deadline=None)
@given(VIEWS, st.booleans(), st.integers(0, 3), st.data())
def test_lists_that_are_views_keep_every_value(
    lists: list[list[int] | None], large: bool, start: int, data: st.DataObject
) -> None:
    """In any order, overlapping, sliced, inside structs and each other: no last list is lost."""
    make = pa.large_list_view if large else pa.list_view
    views = pa.array(lists, make(pa.int64()))
    if lists:  # out of order, and the same values seen twice
        views = views.take(
            pa.array(data.draw(st.lists(st.integers(0, len(lists) - 1), max_size=6)), pa.int64())
        )
    views = views.slice(start)
    expected = views.to_pylist()
    for array in (
        views,
        pa.StructArray.from_arrays([views], ["a"]),
        make_nested(views, large),
    ):
        plain = plain_array(array, plain_type(array.type))
        plain.validate(full=True)
        assert plain.type == plain_type(array.type) and plain.to_pylist() == array.to_pylist()
    assert views.to_pylist() == expected
    batch = pa.table({"id": range(len(views)), "tags": views})
    assert [
        value for each in open_source(batch).batches for value in each["tags"].to_pylist()
    ] == expected


def make_nested(views: pa.Array, large: bool) -> pa.Array:
    kind = pa.large_list_view(views.type) if large else pa.list_view(views.type)
    return pa.array([views.to_pylist(), None, [], views.to_pylist()[:1]], kind)


def test_views_that_swell_or_lead_outside_are_refused() -> None:
    values = pa.array(np.zeros(1_000_000, np.int64))
    size, zeros = pa.array([1_000_000] * 1000, pa.int32()), pa.array([0] * 1000, pa.int32())
    swelling = pa.ListViewArray.from_arrays(zeros, size, values)  # 8 GB of numbers in 8 MB
    outside = pa.ListViewArray.from_arrays(
        pa.array([999_999], pa.int32()), pa.array([5], pa.int32()), values
    )
    for array, message in ((swelling, "1,000,000,000 values"), (outside, "'a'")):
        with pytest.raises(InvalidInputError, match=message):
            list(open_source(pa.table({"a": array})).batches)
