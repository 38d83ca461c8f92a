"""Questions in words: what each sign means, and that nothing but a QueryError comes of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vecsearch as vs
from vecsearch.query.text.syntax import parse

TEXTS = {
    1: "a large ship at sea",
    2: "a small boat on the lake",
    3: "large ships and small boats",
    4: "the sea is large, the ship is small",
    5: "shipping by bus",
    6: "怎么重置密码",
    7: "如何找回密碼",
    8: "XPS-9310 怎么换电池",
    9: "我们用AI写作，用户多",
    10: "使用 ai助手 的用户",
}


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> vs.Collection:
    c = vs.create(tmp_path_factory.mktemp("text") / "c.vs", embedder="toy:16")
    rows = [{"id": number, "text": text} for number, text in TEXTS.items()]
    c.add(rows[:4], progress=False)
    c.add(rows[4:], progress=False)
    return c


def has(*words: str) -> Callable[[str], bool]:
    return lambda text: all(word in text for word in words)


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("ship", {1, 3, 4, 5}),
        ("SHIPS", {1, 3, 4, 5}),
        ("ship lake", {1, 2, 3, 4, 5}),
        ("ship OR lake", {1, 2, 3, 4, 5}),
        ("ship AND lake", set()),
        ("ship AND sea", {1, 4}),
        ("+ship sea", {1, 3, 4, 5}),
        ("ship -sea", {3, 5}),
        ("ship NOT sea", {3, 5}),
        ("ship AND NOT sea", {3, 5}),
        ("ship NOT NOT sea", {1, 3, 4, 5}),
        ("large AND (sea OR boat)", {1, 3, 4}),
        ("large AND (sea OR boat) -small", {1}),
        ("(ship OR lake) AND small", {2, 3, 4}),
        ('"large ship"', {1, 3}),
        ('"ship at sea"', {1}),
        ('"sea ship"', set()),
        ("“large ship”", {1, 3}),
        ('small -"large ships"', {2, 4}),
        ("shi*", {1, 3, 4, 5}),
        ("shipp*", {1, 3, 4, 5}),  # "shipping", with its other forms
        ("boa*", {2, 3}),
        ("lakes*", set()),
        ("shpi~", {1, 3, 4, 5}),
        ("lage~", {1, 2, 3, 4}),  # large and lake
        ("lage~0", set()),
        ("la~", set()),
        ("text:ship", {1, 3, 4, 5}),
        ('text:"large ship"', {1, 3}),
        ("密码", {6, 7}),
        ("密碼", {6, 7}),
        ("重置 -怎么", set()),
        ("码", {6, 7}),
        ("怎", {6, 8}),
        ('"怎么重置"', {6}),
        ('"怎么换"', {8}),
        ('"用AI"', {9, 10}),  # what stands before and after may be part of a longer run
        ('"用 ai写作"', {9}),
        ('"我们用ＡＩ写"', {9}),
        ('"ai写 用户"', set()),  # 写 is not all that stands between
        ('"写作 用"', {9}),
        ('"用户多"', {9}),
        ('用户 -"ai助"', {9}),
        ("怎么 AND 密码", {6}),
        # One pair of characters, or one part of a word, suffices, as it does without signs.
        ("怎样找回密码", {6, 7}),
        ("怎样找回密码 -电池", {6, 7}),
        ("怎样找回密碼 NOT 重置", {7}),
        ("(怎样找回密码 OR bus) AND 怎么", {6}),
        ("+怎样找回密码", set()),  # but what must be there is there as a whole
        ("XPS-15 -bus", {8}),
        ("xps-9310", {8}),
        ("+XPS-9310", {8}),
        ("bus -xps-9310", {5}),
        ("（ship OR lake） AND small", {2, 3, 4}),
        ("???", set()),
        ("ship ???", {1, 3, 4, 5}),
        ("ship AND ???", {1, 3, 4, 5}),
        ("()", set()),
        ("sea and", {1, 3, 4}),  # a small "and" is a word
    ],
)
def test_what_a_question_finds(notes: vs.Collection, query: str, ids: set[int]) -> None:
    assert set(notes.search(query, k=20, mode="text").ids) == ids


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ('"large ship', "quotation mark at character 0 without a second one"),
        ("(ship", r"a \( at character 0 that is not closed"),
        ("ship)", r"a \) at character 4 that closes nothing"),
        ("AND", "AND at character 0 where a word is wanted"),
        ("ship AND", "ends after 'ship AND' where a word is wanted"),
        ("ship AND OR sea", "OR at character 9"),
        ("NOT", "ends after 'NOT'"),
        ("-ship", "only says what is not wanted"),
        ("NOT (ship OR sea)", "only says what is not wanted"),
        ("ship^0", r"\^0; a weight"),
        ("ship^1..2", "a weight"),
        ("ship^99999", "a weight"),
        ("ship~7", "up to 2 edits"),
        ("text: ship", "no word after 'text:'"),
        ("(" * 50 + "ship" + ")" * 50, "more than 40 parentheses"),
        ("a " * 5000 + "-b", "more than 4,096 words"),
    ],
)
def test_what_cannot_be_read_is_said(notes: vs.Collection, query: str, message: str) -> None:
    with pytest.raises(vs.QueryError, match=message):
        notes.search(query, mode="text")
    notes.search(query, mode="hybrid")  # where all is plain words


def test_weights_of_words_count(notes: vs.Collection) -> None:
    plain = dict(zip(*_ranked(notes, "lake sea"), strict=True))
    heavy = dict(zip(*_ranked(notes, "lake^3 sea"), strict=True))
    assert heavy[2] == pytest.approx(3 * plain[2])
    assert heavy[1] == pytest.approx(plain[1])
    grouped = dict(zip(*_ranked(notes, "(lake)^3 sea"), strict=True))
    assert grouped == heavy
    assert _ranked(notes, '"small boat"^2')[1] == pytest.approx(
        [2 * score for score in _ranked(notes, '"small boat"')[1]]
    )


def _ranked(c: vs.Collection, query: str) -> tuple[list[int], list[float]]:
    hits = c.search(query, k=20, mode="text")
    return list(hits.ids), hits.scores.tolist()


def test_arguments_that_do_not_go_together(notes: vs.Collection) -> None:
    vector = [1.0] * 16
    for arguments in (
        {},
        {"query": "a", "text": "b"},
        {"query": "a", "using": "text"},
        {"query": "a", "fusion": "rrf"},
        {"query": "a", "mode": "words"},
        {"query": vector, "mode": "text"},
        {"query": "a", "vector": vector, "mode": "text"},
        {"mode": "text"},
        {"mode": "hybrid"},
        {"vector": vector, "mode": "hybrid"},
        {"query": "a", "text": "b", "vector": vector, "mode": "hybrid"},
        {"query": "a", "mode": "text", "using": "nothing"},
        {"query": "a", "mode": "text", "using": ["text^0"]},
        {"query": "a", "mode": "text", "using": []},
        {"query": "a", "mode": "text", "using": 3},
        {"query": "a", "mode": "hybrid", "fusion": "sum"},
        {"query": "a", "mode": "hybrid", "fusion": {"weight": 1}},
        {"query": "a", "mode": "hybrid", "fusion": {"text": 2}},
        {"query": "", "mode": "text"},
    ):
        with pytest.raises(vs.InvalidInputError):
            notes.search(**arguments)
    for batch in (
        {},
        {"queries": ["a"], "texts": ["b"]},
        {"texts": ["a", "b"], "vectors": [vector], "mode": "hybrid"},
        {"queries": ["a"], "mode": "text", "where": ["id > 1", "id > 2"]},
    ):
        with pytest.raises(vs.InvalidInputError):
            notes.search_batch(**batch)


def test_batches_are_the_same_one_by_one(notes: vs.Collection) -> None:
    queries = ["large ship", "密码", "nothing", "boat -lake"]
    for mode in ("text", "hybrid"):
        together = notes.search_batch(queries, 3, mode=mode, where="id < 7")
        for query, hits in zip(queries, together, strict=True):
            alone = notes.search(query, 3, mode=mode, where="id < 7")
            assert hits.ids == alone.ids
            assert hits.scores == pytest.approx(alone.scores, abs=1e-6)
    assert notes.search_batch([], mode="text") == []


PIECES = st.sampled_from(
    [
        *'"“”()+-*~^:  （）',
        "AND",
        "OR",
        "NOT",
        "ship",
        "sea",
        "text",
        "密码",
        "码",
        "^2",
        "~1",
        "\ud800",
    ]
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.lists(PIECES, max_size=12).map("".join), st.text(max_size=30)))
def test_no_question_breaks_a_search(notes: vs.Collection, query: str) -> None:
    try:
        hits = notes.search(query, mode="text")
    except vs.InvalidInputError:
        return
    for hit in hits:
        for places in hit.matches().values():
            assert all(0 <= start < stop <= len(hit["text"]) for start, stop in places)


def test_a_question_without_signs_is_read_as_one_with_them() -> None:
    clauses, weights = parse("large ship", ("text",))
    assert len(clauses.should) == 1
    assert not weights
    assert len(parse("large +ship", ("text",))[0].must) == 1


def test_hits_can_be_shaped(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", embedder="toy:16")
    c.add(
        [
            {"id": n, "text": f"ship {'sea ' * n}", "kind": "ab"[n % 2], "year": 2000 - n}
            for n in range(8)
        ],
        progress=False,
    )
    for mode in ("text", "hybrid"):
        everything = c.search("ship", k=8, mode=mode)
        hits = c.search("ship", k=8, mode=mode, exclude=[everything.ids[0]])
        assert set(hits.ids) == set(everything.ids[1:])
        if mode == "text":
            assert hits.ids == everything.ids[1:]
        grouped = c.search("ship", k=2, mode=mode, group_by="kind", group_size=2)
        assert {group.value: len(group.hits) for group in grouped.groups} == {"a": 2, "b": 2}
        by_year = c.search("ship", k=3, mode=mode, order_by="year asc")
        assert sorted(by_year.ids, reverse=True) == by_year.ids
        assert set(by_year.ids) == set(everything.ids[:3])
        paged = [name for page in c.pages("ship", 3, mode=mode) for name in page.ids]
        assert paged == everything.ids
        lowest = float(everything.scores[3])
        assert len(c.search("ship", k=8, mode=mode, min_score=lowest)) == 4
        diverse = c.search("ship", k=3, mode=mode, diversity=0.5)
        assert len(diverse) == 3
        assert all(hit.matches() for hit in diverse)
        assert all(hit.parts for hit in diverse) == (mode == "hybrid")


def test_forms_of_words_do_not_depend_on_segments_or_deleted_rows(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", embedder="toy:16")
    c.add([{"id": 1, "text": "a ship"}, {"id": 2, "text": "shipping"}], progress=False)
    c.add([{"id": 3, "text": "ships"}, {"id": 4, "text": "a bus"}], progress=False)
    for _ in range(2):
        assert set(c.search("shipp*", mode="text").ids) == {1, 2, 3}
        assert set(c.search("shippnig~", mode="text").ids) == {1, 2, 3}
        c.compact()
    c.delete(2)
    for _ in range(2):
        assert c.search("shipp*", mode="text").ids == []
        assert c.search("shippnig~", mode="text").ids == []
        c.compact()


def test_facets_are_of_all_documents_with_the_words(tmp_path: Path) -> None:
    for chunker in (None, 40):
        c = vs.create(tmp_path / f"c{chunker}.vs", embedder="toy:16", chunker=chunker)
        c.add(
            [
                {"id": n, "text": f"{'ship ' * (n % 3)}sea and more words, then others", "n": n % 4}
                for n in range(40)
            ],
            progress=False,
        )
        counts = c.facets("n", query="ship -nothing", mode="text", where="n < 3")["n"]
        wanted = [sum(n % 3 > 0 and n % 4 == value for n in range(40)) for value in range(3)]
        found = dict(zip(counts["value"].to_pylist(), counts["count"].to_pylist(), strict=True))
        assert found == dict(enumerate(wanted))
        with pytest.raises(vs.InvalidInputError):
            c.facets("n", query="ship")
        with pytest.raises(vs.InvalidInputError):
            c.facets("n", query="ship", mode="hybrid")
