"""Groups, facets, order, pages, diversity and exclusion against plain numpy and DuckDB."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

import vecsearch as vs
from tests.support.data import brute_force
from tests.support.packages import matrix, packages, packages_table

METRICS = ("cosine", "ip", "l2")


@pytest.fixture(scope="module")
def table(shared_data: Path) -> pa.Table:
    return packages_table(shared_data)


@pytest.fixture(scope="module")
def collection(table: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> vs.Collection:
    return packages(tmp_path_factory.mktemp("packages") / "c.vs", table)


@pytest.fixture(scope="module")
def chunked(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> vs.Collection:
    """Chinese documents in passages, with a column of their numbers of characters."""
    root = tmp_path_factory.mktemp("chunked") / "c.vs"
    collection = vs.create(root, embedder="toy:64", chunker=80)
    source = vs.create(root.with_name("plain.vs"), embedder="toy:64")
    source.add(shared_data / "beir" / "xquad-zh" / "corpus.jsonl")
    rows = source.to_arrow().to_pylist()[:120]
    collection.add(
        [{"id": row["id"], "text": row["text"], "size": len(row["text"]) // 100} for row in rows]
    )
    return collection


def ranked(collection: vs.Collection, query: Any) -> list[tuple[int, float]]:
    """All ids with their float32 scores, best first, equal ones by row."""
    hits = collection.search(query, k=collection.info().rows, exact=True)
    return list(zip(hits.ids, hits.scores.tolist(), strict=True))


def query_of(table: pa.Table, row: int) -> np.ndarray:
    noise = np.random.default_rng(row).standard_normal(matrix(table).shape[1]) * 0.02
    return (matrix(table)[row] + noise).astype(np.float32)


# -- exclude, min_score ----------------------------------------------------------------------------


@pytest.mark.parametrize("metric", METRICS)
def test_fifty_excluded_rows_that_outrank_the_others_leave_ten_hits(
    metric: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(3)
    query = rng.standard_normal(16).astype(np.float32)
    near = query + 0.01 * rng.standard_normal((50, 16))
    far = rng.standard_normal((50, 16)) - 2 * query
    c = vs.create(tmp_path / "c.vs", dim=16, metric=metric)
    lang = ["en"] * 50 + ["zh"] * 50
    vectors = np.concatenate([near, far]).astype(np.float32)
    c.add([{"id": n, "vector": v, "lang": lang[n]} for n, v in enumerate(vectors)])
    kept = (-brute_force(vectors[50:], query, metric)).argsort()[:10] + 50
    for options in (
        {"where": "lang = 'zh'"},
        {"exclude": range(50)},
        {"exclude": list(range(49)), "where": "id != 49"},
        {"ids": range(50, 100)},
        {"exclude": np.arange(50), "ids": range(100)},
    ):
        assert c.search(query, k=10, **options).ids == kept.tolist()
        assert c.search_batch([query], k=10, **options)[0].ids == kept.tolist()
        assert next(iter(c.pages(query, size=10, **options))).ids == kept.tolist()
        assert c.recommend([query], k=10, **options).ids == kept.tolist()
        assert len(c.search(query, k=10, diversity=0.4, **options)) == 10


@pytest.mark.parametrize("count", [1, 3, 64, 65, 400])
def test_excluded_documents_are_those_left_out_of_the_ranking(
    collection: vs.Collection, table: pa.Table, count: int
) -> None:
    query = query_of(table, 11)
    everything = ranked(collection, query)
    excluded = [which for which, _ in everything[:count]]
    wanted = [which for which, _ in everything if which not in excluded]
    for k in (1, 10, 70, 1900):
        assert collection.search(query, k=k, exclude=excluded).ids == wanted[:k]
    assert collection.search(query, exclude=[*excluded, 10**9]).ids == wanted[:10]
    assert len(collection.search(query, exclude=range(2000))) == 0


def test_hits_score_at_least_the_lowest_score(collection: vs.Collection, table: pa.Table) -> None:
    query = query_of(table, 12)
    everything = ranked(collection, query)
    for limit in (everything[4][1], 0.5, 0.3, 2.0, -1.0):
        wanted = [which for which, score in everything if score >= limit]
        assert collection.search(query, k=50, min_score=limit).ids == wanted[:50]
        assert collection.search_batch([query], k=50, min_score=limit)[0].ids == wanted[:50]
        assert collection.search_range(query, limit).ids == wanted


def test_many_searches_at_once_give_what_one_by_one_gives(
    collection: vs.Collection, table: pa.Table
) -> None:
    queries = np.stack([query_of(table, row) for row in range(20, 28)])
    options: list[dict[str, Any]] = [
        {"group_by": "initial", "group_size": 2},
        {"diversity": 0.5},
        {"order_by": "words desc", "min_score": 0.1},
        {"exclude": range(0, 2000, 3), "where": "words > 4"},
    ]
    for each in options:
        together = collection.search_batch(queries, 7, **each)
        for query, hits in zip(queries, together, strict=True):
            alone = collection.search(query, 7, **each)
            assert (alone.ids, alone.scores.tolist()) == (hits.ids, hits.scores.tolist())


# -- groups ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["initial", "words", "day", "python", "score"])
@pytest.mark.parametrize(("k", "size"), [(1, 1), (3, 2), (5, 4), (40, 3), (100, 30)])
def test_groups_are_those_of_a_window_function(
    collection: vs.Collection, table: pa.Table, column: str, k: int, size: int
) -> None:
    query = query_of(table, 31)
    everything = ranked(collection, query)
    data = pa.table(  # noqa: F841  read by DuckDB
        {
            "id": [which for which, _ in everything],
            "place": list(range(len(everything))),
            "value": table.take([which for which, _ in everything]).column(column),
        }
    )
    rows = duckdb.sql(f"""
        with placed as (
            select *, row_number() over (partition by value order by place) as n,
                   min(place) over (partition by value) as best from data)
        , groups as (select distinct best from placed order by best limit {k})
        select id, place, best from placed
        where n <= {size} and best in (select best from groups) order by place
    """).fetchall()
    hits = collection.search(query, k=k, group_by=column, group_size=size)
    assert hits.ids == [row[0] for row in rows]
    assert len(hits.groups) == len({row[2] for row in rows})
    firsts = [group.hits.ids for group in hits.groups]
    wanted: dict[int, list[int]] = {}
    for which, _, best in rows:
        wanted.setdefault(best, []).append(which)
    assert firsts == list(wanted.values())


def test_groups_with_filters_scores_and_passages(
    collection: vs.Collection, table: pa.Table, chunked: vs.Collection
) -> None:
    query = query_of(table, 32)
    allowed = [row["id"] for row in table.to_pylist() if (row["words"] or 0) > 5]
    plain = [
        (which, score) for which, score in ranked(collection, query) if which in set(allowed[:800])
    ]
    initials = table.column("initial").to_pylist()
    best: dict[Any, list[int]] = {}
    for which, score in plain:
        if score >= 0.05:
            best.setdefault(initials[which], []).append(which)
    hits = collection.search(
        query,
        k=4,
        group_by="initial",
        group_size=2,
        where="words > 5",
        ids=allowed[:800],
        min_score=0.05,
    )
    assert {g.value: g.hits.ids for g in hits.groups} == {
        value: ids[:2] for value, ids in list(best.items())[:4]
    }
    documents = chunked.search("中国", k=500)
    sizes = documents.column("size")
    by_size: dict[int, list[Any]] = {}
    for which, size in zip(documents.ids, sizes, strict=True):
        by_size.setdefault(size, []).append(which)
    groups = chunked.search("中国", k=3, group_by="size", group_size=5).groups
    assert [(g.value, g.hits.ids) for g in groups] == [
        (value, ids[:5]) for value, ids in list(by_size.items())[:3]
    ]
    passages = chunked.search("中国", k=2, group_by="id", group_size=3, passages=True)
    flat = chunked.search("中国", k=5000, passages=True)
    seen: dict[Any, int] = {}
    for which in flat.ids:
        seen[which] = seen.get(which, 0) + 1
    assert [len(g.hits) for g in passages.groups] == [
        min(count, 3) for count in list(seen.values())[:2]
    ]


# -- facets ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", [None, "words > 6", "initial = 'a' OR day IS NULL", "words < 0"])
def test_facets_are_those_of_group_by(
    collection: vs.Collection, table: pa.Table, where: str | None
) -> None:
    data = collection.to_arrow()  # noqa: F841  read by DuckDB
    condition = "" if where is None else f"where {where}"
    columns = ["initial", "words", "day", "python", "score"]
    facets = collection.facets(columns, where=where)
    for column in columns:
        rows = duckdb.sql(f"""
            select {column}, count(*) from data {condition} group by 1
            order by 2 desc, 1 asc nulls last
        """).fetchall()
        found = facets[column].to_pydict()
        assert list(zip(found["value"], found["count"], strict=True)) == rows
    rows = duckdb.sql(f"""
        select tag, count(distinct id) from (select id, unnest(tags) as tag from data {condition})
        group by 1 order by 2 desc, 1
    """).fetchall()
    found = collection.facets("tags", where=where)["tags"].to_pydict()
    assert list(zip(found["value"], found["count"], strict=True)) == rows


def test_facets_of_a_query_count_all_that_score_enough(
    collection: vs.Collection, table: pa.Table
) -> None:
    query = query_of(table, 40)
    scored = {which for which, score in ranked(collection, query) if score >= 0.25}
    assert 20 < len(scored) < 1500
    words = table.column("words").to_pylist()
    found = collection.facets(["words"], query=query, min_score=0.25, where="words > 3")["words"]
    counts: dict[int, int] = {}
    for which in scored:
        if (words[which] or 0) > 3:
            counts[words[which]] = counts.get(words[which], 0) + 1
    assert dict(zip(*found.to_pydict().values(), strict=True)) == counts


def test_facets_of_documents_count_each_once(chunked: vs.Collection) -> None:
    sizes = chunked.to_arrow(["id", "size"]).to_pydict()
    by_document = dict(zip(sizes["id"], sizes["size"], strict=True))
    facets = chunked.facets("size")["size"].to_pydict()
    expected = {size: list(by_document.values()).count(size) for size in by_document.values()}
    assert dict(zip(facets["value"], facets["count"], strict=True)) == expected
    passages = chunked.facets("size", passages=True)["size"]["count"].to_pylist()
    assert sum(passages) == chunked.info().rows > len(by_document)
    near = chunked.facets("size", query="中国", min_score=0.1)["size"]["count"].to_pylist()
    assert sum(near) == len(set(chunked.search_range("中国", 0.1).ids))


@pytest.mark.parametrize("bins", [1, 7, 50, [0, 3, 6, 9], [5.5, 6.25, 100]])
def test_histograms_of_numbers_are_numpys(
    collection: vs.Collection, table: pa.Table, bins: Any
) -> None:
    for column in ("words", "score"):
        found = collection.facets([column], bins={column: bins})[column].to_pydict()
        numbers = [n for n in table.column(column).to_pylist() if n is not None]
        counts, edges = np.histogram(numbers, bins=bins)
        missing = table.column(column).null_count
        lines = list(zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True))
        lines += [(None, None, missing)] if missing else []
        found_lines = list(zip(found["value"], found["end"], found["count"], strict=True))
        assert len(found_lines) == len(lines)
        for ours, theirs in zip(found_lines, lines, strict=True):
            assert ours[2] == theirs[2]
            assert ours[:2] == theirs[:2] or ours[:2] == pytest.approx(theirs[:2])


@pytest.mark.parametrize("period", ["year", "quarter", "month", "week"])
def test_histograms_of_dates_are_those_of_date_trunc(
    collection: vs.Collection, period: str
) -> None:
    data = collection.to_arrow()  # noqa: F841  read by DuckDB
    rows = duckdb.sql(f"""
        select date_trunc('{period}', day)::date, count(*) from data group by 1
        order by 1 nulls last
    """).fetchall()
    found = collection.facets(["day"], bins=period)["day"].to_pydict()
    assert list(zip(found["value"], found["count"], strict=True)) == rows
    edges = [datetime.date(2020, 1, 1), datetime.date(2020, 7, 1), datetime.date(2021, 6, 1)]
    counted = collection.facets("day", bins=edges)["day"]
    days = [day for day in collection.to_arrow(["day"])["day"].to_pylist() if day is not None]
    inside = [
        sum(edges[0] <= d < edges[1] for d in days),
        sum(edges[1] <= d <= edges[2] for d in days),
    ]
    assert counted["count"].to_pylist()[:2] == inside
    assert counted["value"].to_pylist()[:2] == edges[:2]
    assert sum(collection.facets("day", bins=9)["day"]["count"].to_pylist()) == 2000


# -- order, pages, diversity -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order_by", "sql"),
    [
        ("words", "words asc nulls last"),
        ("words desc", "words desc nulls last"),
        (("day", "desc"), "day desc nulls last"),
        (["python desc", ("words", "asc")], "python desc, words asc nulls last"),
        ("initial", "initial asc nulls last"),
    ],
)
def test_hits_in_the_order_of_columns(
    collection: vs.Collection, table: pa.Table, order_by: Any, sql: str
) -> None:
    query = query_of(table, 50)
    hits = collection.search(query, k=60)
    data = pa.table(  # noqa: F841  read by DuckDB
        {
            **{name: table.take(hits.ids)[name] for name in table.column_names[:-1]},
            "similarity": hits.scores,
            "place": hits.positions,
        }
    )
    wanted = duckdb.sql(f"select id from data order by {sql}, similarity desc, place").fetchall()
    assert collection.search(query, k=60, order_by=order_by).ids == [row[0] for row in wanted]
    limit = float(hits.scores[40])
    paged = [
        which
        for page in collection.pages(query, size=7, order_by=order_by, min_score=limit)
        for which in page.ids
    ]
    wanted = duckdb.sql(f"""
        select id from data where similarity >= {limit!r} order by {sql}, similarity desc, place
    """).fetchall()
    assert paged == [row[0] for row in wanted]


@pytest.mark.parametrize("size", [1, 7, 64, 3000])
def test_pages_repeat_and_skip_nothing(
    collection: vs.Collection, table: pa.Table, size: int
) -> None:
    query = query_of(table, 60)
    wanted = ranked(collection, query)
    pages = []
    for page in collection.pages(query, size=size):
        pages.append(page)
        if size == 1 and len(pages) == 300:
            break
    ids = [which for page in pages for which in page.ids]
    assert ids == [which for which, _ in wanted][: len(ids)]
    assert size == 1 or len(ids) == 2000
    assert [hit.rank for page in pages for hit in page] == list(range(1, len(ids) + 1))
    assert all(len(page) == size for page in pages[:-1])


def test_pages_are_of_one_version_whatever_is_committed(table: pa.Table, tmp_path: Path) -> None:
    c = packages(tmp_path / "c.vs", table.slice(0, 300))
    query = query_of(table, 70)
    wanted = [which for which, _ in ranked(c, query)]
    pages = c.pages(query, size=20)
    first = next(pages)
    c.delete(range(0, 300, 2))
    c.add(table.slice(300, 100))
    c.compact()
    assert first.ids + [which for page in pages for which in page.ids] == wanted


def test_pages_of_an_index_find_each_row_once(tmp_path: Path, table: pa.Table) -> None:
    c = packages(tmp_path / "c.vs", table)
    c.build_index(progress=False)
    query = query_of(table, 71)
    ids = [which for page in c.pages(query, size=15, recall=0.5) for which in page.ids]
    assert len(ids) == 2000
    assert set(ids) == set(range(2000))


def test_pages_of_groups(collection: vs.Collection, table: pa.Table) -> None:
    query = query_of(table, 72)
    whole = collection.search(query, k=1000, group_by="words", group_size=2).groups
    paged = [
        (group.value, group.hits.ids)
        for page in collection.pages(query, size=3, group_by="words", group_size=2)
        for group in page.groups
    ]
    assert paged == [(group.value, group.hits.ids) for group in whole]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("diversity", [0.1, 0.5, 0.9, 1.0])
def test_diverse_hits_are_those_of_the_formula(
    metric: str, diversity: float, table: pa.Table, tmp_path: Path
) -> None:
    part = table.slice(0, 400)
    vectors = matrix(part) * np.linspace(0.5, 2, 400)[:, None]
    c = vs.create(tmp_path / "c.vs", dim=vectors.shape[1], metric=metric)
    c.add(vectors.astype(np.float32))
    query = query_of(table, 5)
    plain = c.search(query, k=100)
    chosen: list[int] = []
    relevance = dict(zip(plain.ids, plain.scores.astype(float).tolist(), strict=True))
    similar = {
        which: brute_force(
            vectors.astype(np.float32)[plain.ids], vectors.astype(np.float32)[which], metric
        )
        for which in plain.ids
    }
    place = {which: n for n, which in enumerate(plain.ids)}
    while len(chosen) < 12:

        def value(which: int) -> float:
            nearest = max((similar[other][place[which]] for other in chosen), default=0.0)
            return (1 - diversity) * relevance[which] - diversity * nearest

        chosen.append(max((w for w in plain.ids if w not in chosen), key=value))
    assert c.search(query, k=12, diversity=diversity).ids == chosen


def test_no_diversity_is_the_plain_search(collection: vs.Collection, table: pa.Table) -> None:
    query = query_of(table, 73)
    plain = collection.search(query, k=20)
    assert collection.search(query, k=20, diversity=0).ids == plain.ids
    assert collection.search(query, k=20, diversity=1e-9).ids == plain.ids


# -- what does not go together ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"diversity": 1.5}, "diversity is 1.5"),
        ({"diversity": "much"}, "diversity is 'much'"),
        ({"diversity": 0.5, "group_by": "words"}, "both spread the hits"),
        ({"group_size": 2}, "there is no group_by"),
        ({"group_by": "nothing"}, "no column 'nothing'"),
        ({"group_by": "vector"}, "single values"),
        ({"group_by": "tags"}, "single values"),
        ({"group_by": "words", "group_size": 0}, "group_size is 0"),
        ({"order_by": "tags"}, "no order"),
        ({"order_by": "wordz"}, "did you mean 'words'"),
        ({"order_by": []}, "order_by is empty"),
        ({"order_by": 3}, "order_by is 3"),
        ({"min_score": "high"}, "min_score is 'high'"),
        ({"exclude": ["a"]}, "ids of this collection are int"),
    ],
)
def test_wrong_options_say_what_is_wrong(
    collection: vs.Collection, table: pa.Table, options: dict[str, Any], words: str
) -> None:
    query = query_of(table, 1)
    for call in (
        lambda: collection.search(query, **options),
        lambda: collection.search_batch([query], **options),
        lambda: collection.similar(3, **options),
        lambda: collection.recommend([1], **options),
        lambda: collection.discover(1, **options),
    ):
        with pytest.raises(vs.InvalidInputError, match=words):
            call()


def test_what_facets_and_pages_cannot_do(
    collection: vs.Collection, table: pa.Table, chunked: vs.Collection
) -> None:
    query = query_of(table, 1)
    wrong: list[tuple[Any, str]] = [
        (lambda: collection.facets("words", query=query), "need min_score"),
        (lambda: collection.facets("words", min_score=0.5), "need min_score"),
        (lambda: collection.facets(["wordz"]), "no column"),
        (lambda: collection.facets("vector"), "cannot be counted"),
        (lambda: chunked.facets("text"), "split into passages"),
        (lambda: chunked.search("a", group_by="text"), "split into passages"),
        (lambda: collection.facets("initial", bins=3), "no histogram"),
        (lambda: collection.facets("words", bins="month"), "no date"),
        (lambda: collection.facets("day", bins="fortnight"), "a period is one of"),
        (lambda: collection.facets("words", bins=[3, 2]), "ascending"),
        (lambda: collection.facets("words", bins=0), "from 1 to"),
        (lambda: collection.facets("words", bins={"day": 3}), "not among the columns"),
        (lambda: collection.pages(query, order_by="words"), "give min_score"),
        (lambda: collection.pages(query, size=0), "size is 0"),
        (
            lambda: collection.pages(query, order_by="words", group_by="words", min_score=0.1),
            "no other order",
        ),
    ]
    for call, words in wrong:
        with pytest.raises(vs.InvalidInputError, match=words):
            call()
