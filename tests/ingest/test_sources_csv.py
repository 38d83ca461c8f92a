"""CSV and TSV files keep every cell, with types found from the whole file."""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.sources import Write, refused, rows, table, types

import vecsearch as vs
from vecsearch.ingest.sources import open_source


def test_csv_cells_get_the_types_they_are_written_as(write: Write) -> None:
    path = write(
        "t.csv",
        "id,text,year,price,yes,day,moment,zoned,empty,zip,phone,big,mixed,version\n"
        "12,2001,2001,1.5,true,2020-01-31,2020-01-02 03:04,2020-01-02T03:04:05Z,"
        ",007,+86,12345678901234567890,1,1.0\n"
        "-3,x,NA,2,FALSE,,2020-01-02T03:04:05.5,2020-01-02T03:04:05+08:00,,8,+44,1,x,1.0.1\n"
        "0,,-5,1e-3,,2020-02-29,,,,9,,,,\n",
    )
    assert types(path) == {
        "id": "int64",
        "text": "string",
        "year": "int64",
        "price": "double",
        "yes": "bool",
        "day": "date32[day]",
        "moment": "timestamp[us]",
        "zoned": "timestamp[us, tz=UTC]",
        "empty": "null",
        "zip": "string",
        "phone": "string",
        "big": "string",
        "mixed": "string",
        "version": "string",
    }
    first, second, third = rows(path, batch_rows=1)
    assert (first["text"], first["zip"], first["big"]) == ("2001", "007", "12345678901234567890")
    assert second["year"] is None
    assert second["moment"] == dt.datetime(2020, 1, 2, 3, 4, 5, 500_000)
    assert second["zoned"] == dt.datetime(2020, 1, 1, 19, 4, 5, tzinfo=dt.UTC)
    assert (third["id"], third["text"], third["price"], third["yes"], third["day"]) == (
        0,
        None,
        0.001,
        None,
        dt.date(2020, 2, 29),
    )


def test_csv_types_hold_for_the_whole_file(write: Write) -> None:
    """A value far below the first batch decides as much as one at the top."""
    head = "id,code,year,price,flag,day\n"
    body = "".join(
        f"{number},{number},{number},{number},true,2020-01-01\n" for number in range(3000)
    )
    path = write("t.csv", head + body + "007,0123,x,1.25,maybe,2020-02-30\n")
    found = table(path, batch_rows=100)
    assert [str(kind) for kind in found.schema.types] == [
        "string",
        "string",
        "string",
        "double",
        "string",
        "string",
    ]
    assert found["id"].to_pylist()[-2:] == ["2999", "007"]
    assert found["code"].to_pylist()[:2] == ["0", "1"]


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "2"], "int64"),
        (["1", "NA"], "string"),
        (["1", "1.5"], "string"),
        (["true", "false"], "string"),
        (["2020-01-01"], "string"),
        (["01"], "string"),
        (["9223372036854775807"], "int64"),
        (["9223372036854775808"], "string"),
    ],
)
def test_csv_ids_are_integers_only_if_all_are(write: Write, cells: list[str], kind: str) -> None:
    found = table(write("t.csv", "id,x\n" + "".join(f"{cell},y\n" for cell in cells)))
    assert str(found.schema.field("id").type) == kind
    assert [str(value) for value in found["id"].to_pylist()] == cells


@pytest.mark.parametrize("digits", [17, 18])
def test_csv_numbers_of_many_digits_beside_fractions_stay_text(write: Write, digits: int) -> None:
    """A double cannot hold them: as a number, 12345678901234567 would become ...568."""
    number = "1234567890123456789"[:digits]
    path = write("t.csv", f"id,code\n1,1.5\n2,{number}\n")
    assert rows(path) == [{"id": 1, "code": "1.5"}, {"id": 2, "code": number}]


def test_csv_integers_of_15_digits_beside_fractions_are_exact_numbers(write: Write) -> None:
    path = write("t.csv", "id,n\n1,1.5\n2,999999999999999\n")
    assert rows(path) == [{"id": 1, "n": 1.5}, {"id": 2, "n": 999999999999999.0}]


def test_csv_commas_win_over_other_separators(write: Write) -> None:
    path = write("t.csv", "id,text;note\n1,a;b\n")
    assert rows(path) == [{"id": 1, "text;note": "a;b"}]
    path = write("u.csv", "id;text\tnote\n1;a\tb\n")
    assert rows(path) == [{"id": 1, "text\tnote": "a\tb"}]


def test_csv_markers_of_missing_values_are_text_in_text(write: Write) -> None:
    path = write("t.csv", "country,n,only\nNA,NA,NA\nDE,1,\nNaN,null,NA\n")
    assert rows(path) == [
        {"country": "NA", "n": None, "only": None},
        {"country": "DE", "n": 1, "only": None},
        {"country": "NaN", "n": None, "only": None},
    ]


def test_csv_vectors_are_read_from_json(write: Write) -> None:
    path = write("t.csv", 'id,vector\n1,"[0.5, 2]"\n2,\n')
    assert rows(path) == [{"id": 1, "vector": [0.5, 2.0]}, {"id": 2, "vector": None}]
    refused(
        write("bad.csv", 'id,vector\n1,"[0.5, 2]"\n2,[0.5 2]\n'),
        "bad.csv, line 3",
        "'vector'",
        "JSON",
    )


def test_csv_cells_are_read_as_known_types(write: Write) -> None:
    known = pa.schema(
        [
            ("id", pa.large_string()),
            ("n", pa.float64()),
            ("tags", pa.list_(pa.string())),
            ("unused", pa.int8()),
        ]
    )
    path = write("t.csv", 'id,n,tags\n12,1,"[""a""]"\n13,,\n')
    assert rows(path, schema=known) == [
        {"id": "12", "n": 1.0, "tags": ["a"]},
        {"id": "13", "n": None, "tags": None},
    ]
    numbers = pa.schema([("id", pa.int64())])
    refused(
        write("u.csv", "id\n1\n\n007\n"),
        "u.csv, line 4",
        "'id'",
        "'007' is not an int64",
        schema=numbers,
    )
    refused(write("v.csv", "id\n1\nx\n"), "v.csv, line 3", "'x' is not an int64", schema=numbers)


def test_csv_keeps_quotes_and_line_ends_in_cells(write: Write) -> None:
    path = write(
        "t.csv", '编号, text ,\r\n1,"line one\r\nline ""two"", and\n三",x\r\n\r\n2,\'a,y\r\n'
    )
    assert rows(path) == [
        {"编号": 1, "text": 'line one\r\nline "two", and\n三', "column_3": "x"},
        {"编号": 2, "text": "'a", "column_3": "y"},
    ]
    assert rows(write("old.csv", "id,text\r1,a\r2,b\r")) == [
        {"id": 1, "text": "a"},
        {"id": 2, "text": "b"},
    ]


@pytest.mark.parametrize(
    ("separator", "name"), [(";", "t.csv"), ("\t", "t.csv"), ("\t", "t.tsv"), ("\t", "T.TSV.gz")]
)
def test_csv_separators_are_found_in_the_header(write: Write, separator: str, name: str) -> None:
    path = write(name, f'id{separator}text\n1{separator}"a{separator}b, c"\n')
    assert rows(path) == [{"id": 1, "text": f"a{separator}b, c"}]


def test_tsv_with_unpaired_quotes_is_read_without_quoting(write: Write) -> None:
    """Quotes that do not pair up are ordinary characters, as the format's registration says."""
    path = write("t.tsv", 'id\ttext\n1\t"so" he said\n2\t5" disk\n3\t"open\n')
    assert [row["text"] for row in rows(path)] == ['"so" he said', '5" disk', '"open']
    refused(
        write("bad.tsv", "id\ttext\n1\ta\tb\n"), "bad.tsv, line 2", "3 cells", "the header has 2"
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("id,text\n1,a\n2,b,c\n", ("line 3", "3 cells where the header has 2")),
        ('id,text\n1,"a\nb"\n2\n', ("line 4", "1 cell ")),
        ("id,id\n1,2\n", ("t.csv", "duplicate column name 'id'")),
        ("id,text\n1,a\x00b\n", ("line 2", "NUL")),
        ('id,text\n1,a\n2,"b"c\n', ("starts in line 3", "quote")),
        ('id,text\n1,a\n2,"b\n3,c\n', ("starts in line 3", "quote")),
    ],
)
def test_csv_damage_is_named_with_its_line(
    write: Write, content: str, says: tuple[str, ...]
) -> None:
    refused(write("t.csv", content), "t.csv", *says)
    refused(write("t.csv.gz", content), "t.csv.gz", *says)


def test_csv_without_rows_has_no_batches(write: Write) -> None:
    for content in ("", "\n\n", "id,text\n", "\ufeff"):
        source = open_source(write("t.csv", content))
        assert (source.total, list(source.batches)) == (0, [])


def test_csv_cells_of_ten_megabytes_are_read(write: Write) -> None:
    long = "word 字" * 1_500_000
    found = table(write("t.csv", f'id,text\n1,"{long}\n{long}"\n2,short\n'))
    assert found["text"].to_pylist() == [f"{long}\n{long}", "short"]
    assert csv.field_size_limit() >= len(long)


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.tuples(CELLS, CELLS), max_size=8),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.integers(1, 4),
)
def test_csv_text_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory,
    pairs: list[tuple[str, str]],
    encoding: str,
    batch_rows: int,
) -> None:
    """What Python's csv writes is read back, whatever the cells are, also empty ones in quotes."""
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("text", "也"), *pairs])
    found = rows(path, batch_rows, schema=pa.schema([("也", pa.string())]))
    assert found == [{"text": text, "也": also} for text, also in pairs]


@pytest.mark.parametrize("code", ["007", "+5", "05.5", "+1.5"])
@pytest.mark.parametrize("number", ["1", "1.5"])
def test_csv_codes_never_become_numbers_of_a_known_column(
    write: Write, tmp_path: Path, number: str, code: str
) -> None:
    """A number with leading zeros or a plus is a code: together text, apart refused."""
    one = write("one.csv", f"id,text,x\n1,a,{number}\n")
    two = write("two.csv", f"id,text,x\n2,b,{code}\n")
    apart = vs.create(tmp_path / "apart.vs", embedder="toy:8")
    apart.add(one)
    before = apart.info().columns["x"]
    with pytest.raises(vs.InvalidInputError, match=r"two\.csv, line 2, column 'x': '.*' is not"):
        apart.add(two)
    assert (len(apart), apart.info().columns["x"]) == (1, before)
    assert [row["x"] for row in rows([one, two])] == [number, code]


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    ("cell", "value"),
    [("1", 1), ("2.5", 2.5), ("true", True), ("2024/3/5", dt.date(2024, 3, 5)), ("abc", "abc")],
)
def test_csv_markers_mean_the_same_in_one_file_and_in_several(
    write: Write, cell: str, value: object, order: int
) -> None:
    header = "id,x\n"
    halves = [f"1,{cell}\n", "2,NA\n"][::order]
    whole = rows(write("whole.csv", header + "".join(halves)))
    parts = [write(f"part{n}.csv", header + half) for n, half in enumerate(halves)]
    assert rows(parts) == whole
    assert sorted(whole, key=lambda row: row["id"]) == [
        {"id": 1, "x": value},
        {"id": 2, "x": "NA" if cell == "abc" else None},
    ]
