"""Dates as people write them are dates where the whole column is so, and are compared as dates."""

from __future__ import annotations

import datetime as dt
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.sources import Write

import vecsearch as vs

DAYS = [dt.date(2024, 3, 5), dt.date(2024, 12, 1)]


@pytest.fixture
def c(tmp_path: Path) -> vs.Collection:
    return vs.create(tmp_path / "c.vs", embedder="toy:16")


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
@pytest.mark.parametrize(
    "written",
    [
        ("2024/3/5", "2024/12/1"),
        ("2024-3-5", "2024-12-1"),
        ("2024年3月5日", "2024年12月1日"),
        ("2024/03/05", "2024-12-01"),
        ("2024年3月5日", "2024-12-1"),
    ],
)
def test_written_dates_become_dates_and_compare_as_such(
    c: vs.Collection, write: Write, suffix: str, written: tuple[str, str]
) -> None:
    rows = [{"id": i, "text": written[0], "日期": day} for i, day in enumerate(written, 1)]
    if suffix == "csv":
        content = "id,text,日期\n" + "".join(f"{r['id']},{r['text']},{r['日期']}\n" for r in rows)
    else:
        content = "\n".join(map(json.dumps, rows))
    c.add(write(f"t.{suffix}", content))
    assert [row["日期"] for row in c.get([1, 2])] == DAYS
    assert c.get([1])[0]["text"] == written[0]
    for literal in ("2024年2月1日", "2024/2/1", "2024-2-1", "2024-02-01"):
        assert c.count(f"日期 > '{literal}'") == 2
    assert c.count("日期 = '2024年3月5日'") == 1
    assert c.count("日期 BETWEEN '2024年1月1日' AND '2024年12月31日'") == 2
    with pytest.raises(vs.FilterError, match="2024年2月30日"):
        c.count("日期 > '2024年2月30日'")


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2024/3/5 9:30", dt.datetime(2024, 3, 5, 9, 30)),
        ("2024年3月5日 19:30:05", dt.datetime(2024, 3, 5, 19, 30, 5)),
        ("2024年3月5日9:30", dt.datetime(2024, 3, 5, 9, 30)),
        ("2024-3-5T09:30:00.5", dt.datetime(2024, 3, 5, 9, 30, 0, 500_000)),
    ],
)
def test_written_times_become_times(
    c: vs.Collection, write: Write, written: str, moment: dt.datetime
) -> None:
    c.add(write("t.csv", f"id,text,at\n1,a,{written}\n"))
    assert c.get([1])[0]["at"] == moment
    assert c.count(f"at = '{written}'") == 1
    assert c.count("at < '2024/3/5 9:29'") == 0


def test_zones_stay_what_they_are(c: vs.Collection, write: Write) -> None:
    c.add(write("t.csv", "id,text,at\n1,a,2024-3-5 9:30:00-0530\n"))
    assert c.get([1])[0]["at"] == dt.datetime(2024, 3, 5, 15, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_one_cell_that_is_no_date_keeps_a_column_text_and_ordering_warns(
    c: vs.Collection, write: Write, suffix: str
) -> None:
    name = f"day_{suffix}"
    cells = ["2024/3/5", "2024/12/1", "soon", "2024/2/30"]
    if suffix == "csv":
        content = f"id,text,{name}\n" + "".join(f"{i},a,{cell}\n" for i, cell in enumerate(cells))
    else:
        content = "\n".join(
            json.dumps({"id": i, "text": "a", name: cell}) for i, cell in enumerate(cells)
        )
    c.add(write(f"t.{suffix}", content))
    assert [row[f"day_{suffix}"] for row in c.get([0, 1, 2, 3])] == cells
    for where in (f"day_{suffix} > '2024/2/1'", f"day_{suffix} BETWEEN '2024/1/1' AND '2024/9/9'"):
        with pytest.warns(RuntimeWarning, match="holds texts that look like dates"):
            c.count(where)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert c.count(f"day_{suffix} = '2024/3/5'") == 1


@pytest.mark.parametrize(
    "written",
    [
        "2024/3/5",
        "2024年3月5日",
        "2024-3-5",
        "2024.3.5",
        "2024年 3月 5号",
        "2024年3月",
        "２０２４年３月５日",
        "２０２４／３／５",
        "3/5/2024",
        "05.03.2024 8:00",
        "24/3/5",
        "24-3-5 8:00",
        "24年3月5日",
        "民国113年3月5日",
        "令和元年5月1日",
        "3/25/24",
        "25-3-24",
        "05.03.24",
        "2024/3",
        "2024-3",
        "5 Mar 2024",
        "5-mar-24",
        "March 5, 2024",
        "Sept. 5, 2024",
        "二〇二四年三月五日",
        "二零二四年十二月",
    ],
)
def test_each_collection_of_dates_as_text_warns(tmp_path: Path, written: str) -> None:
    """Compiled filters are shared by collections, and their warnings are not used up."""
    for number in range(2):
        c = vs.create(tmp_path / f"{number}.vs", embedder="toy:16")
        c.add([{"id": 1, "text": "a", "day_of_text": written}])
        with pytest.warns(RuntimeWarning, match="day_of_text holds texts that look like dates"):
            c.count("day_of_text > '2024-02-01'")


@pytest.mark.parametrize(
    "text",
    [
        *("2024-03-05", "2024-03-05 08:00", "2024-03", "2024.3", "1.2.3", "24.3.5", "10.0.0.1"),
        *(
            "12/34",
            "1/2",
            "12/34/56",
            "45/13/45",
            "24/3/5/7",
            "3-16-148410-0",
            "12-34567",
            "20240305",
        ),
        *("x 2024/3/5", "5 Marbles 2", "May I", "Mar 5", "２０２４", "1/2/3", "三年", "一年级"),
    ],
)
def test_texts_that_sort_as_they_mean_do_not_warn(c: vs.Collection, text: str) -> None:
    c.add([{"id": 1, "text": "a", "value": text}])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        c.count("value > '2024-02-01'")
    if text.startswith("2024-03-05"):
        with pytest.warns(RuntimeWarning, match="letter by letter"):
            c.count("value > '2024/2/1'")


# -- Days and moments in one column: one rule, however they come ---------------------------------

DAY, MOMENT = dt.date(2024, 1, 1), dt.datetime(2024, 1, 1, 10)
MIDNIGHT = dt.datetime(2024, 1, 1)


def dated_row(number: int, value: Any) -> dict[str, Any]:
    return {"id": number, "vector": [1.0], "x": value}


def dated_files(folder: Path, ending: str, name: str, *texts: str, first: int) -> Path:
    rows = [dated_row(first + number, text) for number, text in enumerate(texts)]
    path = folder / f"{name}.{ending}"
    if ending == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        lines = [f'{row["id"]},"[1]",{row["x"]}\n' for row in rows]
        path.write_text("id,vector,x\n" + "".join(lines))
    return path


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
@pytest.mark.parametrize(
    "one, other", [("2024-01-01", "2024-01-01 10:00"), ("2024/1/1", "2024年1月1日 10:00:00")]
)
@pytest.mark.parametrize("turned", [False, True])
def test_days_and_moments_give_the_same_in_one_file_two_files_and_two_commands(
    tmp_path: Path, ending: str, one: str, other: str, turned: bool
) -> None:
    texts, expected = [one, other], [MIDNIGHT, MOMENT]
    if turned:
        texts, expected = texts[::-1], expected[::-1]
    together = dated_files(tmp_path, ending, "both", *texts, first=0)
    parts = [
        dated_files(tmp_path, ending, str(at), text, first=at) for at, text in enumerate(texts)
    ]
    for number, adds in enumerate([[together], [parts], parts]):
        with vs.create(tmp_path / f"{number}.vs", dim=1) as c:
            for data in adds:
                c.add(data)
            assert c.info().columns["x"] == "timestamp[us]"
            assert [row["x"] for row in c.get([0, 1])] == expected
            assert c.count("x >= '2024-01-01 09:00'") == 1 and c.check() == []


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: [x], lambda x: {"a": x, "d": DAY}])
@pytest.mark.parametrize("turned", [False, True])
def test_days_and_moments_of_dicts_give_the_same_in_one_add_and_two(
    tmp_path: Path, wrap: Callable[[Any], Any], turned: bool
) -> None:
    rows = [dated_row(0, wrap(DAY)), dated_row(1, wrap(MOMENT))]
    if turned:
        rows = rows[::-1]
    found = []
    for number, adds in enumerate([[rows], [[row] for row in rows]]):
        with vs.create(tmp_path / f"{number}.vs", dim=1) as c:
            for data in adds:
                c.add(data)
            found.append((c.info().columns["x"], c.get([0, 1])))
            assert [row["x"] for row in c.get([0, 1])] == [wrap(MIDNIGHT), wrap(MOMENT)]
    assert found[0] == found[1]


def test_a_day_has_no_place_among_moments_with_a_time_zone(tmp_path: Path) -> None:
    aware = MOMENT.replace(tzinfo=dt.UTC)
    with vs.create(tmp_path / "a.vs", dim=1) as c:
        with pytest.raises(vs.InvalidInputError, match="holds date in row 0 and datetime with a"):
            c.add([dated_row(0, DAY), dated_row(1, aware)])
        c.add(dated_files(tmp_path, "csv", "a", "2024-01-01", "2024-01-01 10:00Z", first=0))
        assert c.info().columns["x"] == "large_string"
