"""The commands that recommend, group, order, page and count."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from test_cli import fails, ok

import vecsearch as vs


@pytest.fixture
def place(tmp_path: Path) -> Path:
    c = vs.create(tmp_path / "c.vs", embedder="toy:64")
    words = ["boat", "ship", "bus", "tram", "car", "train", "bike", "plane"]
    c.add(
        [
            {
                "id": n,
                "text": f"a {word} and a {words[n - 1]} go by",
                "lang": ["en", "de", "zh"][n % 3],
                "year": None if n == 4 else 1990 + 5 * n,
            }
            for n, word in enumerate(words)
        ]
    )
    return tmp_path / "c.vs"


def hits_of(*words: Any) -> list[int]:
    return [hit["id"] for hit in json.loads(ok(*words, "--json").out)["hits"]]


def test_commands_give_what_the_methods_give(place: Path, tmp_path: Path) -> None:
    c = vs.open(place)
    history = tmp_path / "history.csv"
    history.write_text("0,1,60\n2,2\n\n5\n6,-1\n")
    calls: list[tuple[tuple[Any, ...], vs.Hits]] = [
        (("similar", place, "3"), c.similar(3)),
        (
            ("similar", place, "3", "-k", "2", "--exclude", "2", "--where", "year > 0"),
            c.similar(3, 2, exclude=2, where="year > 0"),
        ),
        (
            ("recommend", place, "--like", "1", "--like", "a fast car", "--unlike", "2"),
            c.recommend([1, "a fast car"], 2),
        ),
        (
            ("recommend", place, "--like", json.dumps(c.vector(1).tolist()), "--show-seen"),
            c.recommend(c.vector(1)),
        ),
        (
            ("recommend", place, "--history", history, "--strategy", "sum_scores"),
            c.recommend(history=[(0, 1, 60), (2, 2), 5, (6, -1)], strategy="sum_scores"),
        ),
        (
            ("discover", place, "car", "--like", "1", "--unlike", "2", "-k", "3"),
            c.discover("car", [(1, 2)], k=3),
        ),
        (
            ("search", place, "a car", "--diversity", "0.6", "--exclude", "4"),
            c.search("a car", diversity=0.6, exclude=4),
        ),
        (
            ("search", place, "a car", "--order-by", "lang", "--order-by", "year desc"),
            c.search("a car", order_by=["lang", "year desc"]),
        ),
        (("search", place, "a car", "--min-score", "0.3"), c.search("a car", min_score=0.3)),
        (("search", place, "a car", "-k", "3", "--page", "2"), list(c.pages("a car", 3))[1]),
    ]
    for words, hits in calls:
        assert hits_of(*words) == hits.ids, words
    answer = json.loads(
        ok("search", place, "a car", "--group-by", "lang", "--group-size", "2", "--json").out
    )
    groups = c.search("a car", group_by="lang", group_size=2).groups
    assert answer["groups"] == [{"value": g.value, "ids": g.hits.ids} for g in groups]
    shown = ok("search", place, "a car", "--group-by", "lang", "--columns", "year").out
    assert all(f"lang: {lang}" in shown for lang in ("en", "de", "zh"))


def test_facets(place: Path) -> None:
    c = vs.open(place)
    found = json.loads(ok("facets", place, "lang,year", "--json").out)
    expected = {name: table.to_pylist() for name, table in c.facets(["lang", "year"]).items()}
    assert found == expected
    binned = json.loads(ok("facets", place, "year", "--bins", "1990,2000,2100", "--json").out)
    assert [row["count"] for row in binned["year"]] == [2, 5, 1]
    assert len(json.loads(ok("facets", place, "year", "--bins", "4", "--json").out)["year"]) == 5
    near = ok("facets", place, "lang", "--query", "a car", "--min-score", "0.3", "--json").out
    assert sum(row["count"] for row in json.loads(near)["lang"]) == len(
        c.search("a car", k=8, min_score=0.3)
    )
    assert "lang" in ok("facets", place, "lang").out
    assert "and 6 more" in ok("facets", place, "year", "--most", "2").out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("similar", "99"), "no document has the id 99"),
        (("recommend",), "give --like, --unlike or --history"),
        (("recommend", "--like", "1", "--strategy", "x"), "--strategy is 'x'"),
        (("recommend", "--unlike", "1"), "--strategy best_score"),
        (("search", "car", "--group-size", "2"), "--group-by"),
        (("search", "car", "--diversity", "2"), "--diversity is 2"),
        (("search", "car", "--page", "9"), "there are 1 page"),
        (("search", "car", "--page", "1", "--order-by", "year"), "--min-score"),
        (("facets", "lang", "--query", "car"), "give --query and --min-score"),
        (("facets", "lang", "--bins", "3"), "no histogram"),
    ],
)
def test_errors_speak_of_options(place: Path, words: tuple[str, ...], message: str) -> None:
    assert message in fails(words[0], place, *words[1:])


@pytest.mark.parametrize(
    "words",
    [
        ("discover", "--like", "1"),
        ("search", "car", "--page", "0"),
        ("search", "car", "--page", "1", "--diversity", "0.5"),
        ("facets", "year", "--bins", "a,b"),
    ],
)
def test_usage_errors(place: Path, words: tuple[str, ...]) -> None:
    fails(words[0], place, *words[1:], code=2)


def test_answers_by_example_in_csv_and_tables(place: Path) -> None:
    for words in (
        ("similar", place, "3"),
        ("recommend", place, "--like", "1", "--like", "2"),
        ("discover", place, "car", "--like", "1", "--unlike", "2"),
    ):
        found = list(csv.DictReader(io.StringIO(ok(*words, "--csv").out)))
        assert [int(row["id"]) for row in found] == hits_of(*words)
        assert found[0]["rank"] == "1" and "year" in found[0]
        lines = ok(*words, "--table", "--columns", "lang").out.splitlines()
        assert lines[0].split() == ["rank", "score", "id", "lang"]
        assert [int(line.split()[2]) for line in lines[1:]] == hits_of(*words)
        assert "give one of" in fails(*words, "--table", "--csv", code=2)
    rows = list(csv.DictReader(io.StringIO(ok("facets", place, "lang,year", "--csv").out)))
    assert [row["value"] for row in rows if row["column"] == "lang"] == ["de", "en", "zh"]
    assert sum(int(row["count"]) for row in rows if row["column"] == "year") == 8
