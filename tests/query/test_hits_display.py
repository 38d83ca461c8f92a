"""Hits show themselves in prompts and notebooks; slices, texts and frames of them."""

from __future__ import annotations

import pickle
from html.parser import HTMLParser
from pathlib import Path

import pytest

import vecsearch as vs
from vecsearch.display import text_fields, visible, width_of

HOSTILE = "<script>alert('x')</script><img src=x onerror=y> \x1b[2J \u202egpj.exe"


class Tags(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def is_safe(page: str) -> bool:
    tags = Tags(page)
    allowed = {"div", "table", "thead", "tbody", "tr", "th", "td", "mark", "b"}
    assert set(tags.tags) <= allowed, tags.tags
    assert set(tags.attributes) <= {"style"}
    assert not set("\x1b\u202e") & set(page)
    return True


@pytest.fixture
def c(tmp_path: Path) -> vs.Collection:
    collection = vs.create(tmp_path / "c.vs", embedder="toy:64")
    collection.add(
        [
            {"id": 1, "text": "Bees dance to show the way to flowers", "year": 1973, "digest": "x"},
            {"id": 0, "text": "Leaves turn light into sugar", "year": 2021, "digest": "y"},
        ]
    )
    return collection


def test_hits_are_a_table_of_rank_score_id_and_text(c: vs.Collection) -> None:
    hits = c.search("Bees dance to show the way to flowers")
    lines = repr(hits).splitlines()
    assert lines[0] == "2 hits, exact search over 2 rows"
    assert lines[1].split() == ["rank", "score", "id", "text", "year"]
    assert lines[2] == "   1  1.000   1  Bees dance to show the way to flowers  1973"
    assert lines[3].split(maxsplit=3)[3] == "Leaves turn light into sugar           2021"
    assert repr(hits[0]) == (
        "Hit(rank=1, score=1.0000, id=1, text='Bees dance to show the way to flowers', year=1973)"
    )
    assert repr(c.search("bees", where="year = 0")) == "0 hits, nothing to search"


def test_a_long_table_is_cut_and_fits_80_cells(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", embedder="toy:16")
    texts = ["红烧肉怎么烧" * 30, "long words " * 50, "a\n\tb"]
    c.add([{"id": f"名字{n}" * 9, "text": texts[n % 3], "空": "值" * 40} for n in range(30)])
    lines = repr(c.search("words", k=30)).splitlines()
    assert len(lines) == 23 and lines[-1] == "... 10 more"
    assert all(width_of(line) <= 80 for line in lines)
    assert any("…" in line for line in lines)
    assert "... 10 more" not in repr(c.search("words", k=20))


def test_columns_of_a_hits_own_names_and_empty_ones(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", dim=2)
    c.add([{"id": 1, "vector": [1, 0], "score": 7, "none": None}])
    assert repr(c.search([1, 0])).splitlines()[1].split() == ["rank", "score", "id", "score_"]
    assert c.search([1, 0]).texts == [None]


def test_html_shows_what_documents_hold_and_obeys_none_of_it(tmp_path: Path) -> None:
    c = vs.create(tmp_path / f"c{HOSTILE[:8]}.vs".replace("/", ""), embedder="toy:32")
    c.add([{"id": HOSTILE, "text": f"First. {HOSTILE}. Last.", HOSTILE: HOSTILE, "n": 3}])
    hits = c.search(HOSTILE)
    mark = hits[0].highlight()
    assert mark is not None
    shown = [c, hits, hits[0], hits.plan, c.info(), mark, *c.versions(), c.index_advice()]
    for each in shown:
        page = each._repr_html_()
        assert is_safe(page), type(each)
    assert "<script>alert('x')" in Tags(hits._repr_html_()).text
    assert is_safe(hits._repr_html_()) and "&lt;script" in hits._repr_html_()


def test_every_report_has_a_display(c: vs.Collection) -> None:
    reports = [
        c.add([{"id": 5, "text": "a"}, {"id": 6, "text": ""}], on_error="skip"),
        c.measure_recall(k=1),
        c.evaluate({"q": "Bees"}, {"q": {"1": 1}}, k=1),
        c.update("id = 1", {"year": 3}),
        c.delete(5),
        c.build_index(),
        c.reembed("toy:32"),
        c.plan("x"),
    ]
    for report in reports:
        page = report._repr_html_()
        assert is_safe(page)
        assert "<table>" in page
    text = Tags(reports[1]._repr_html_()).text
    assert "recall" in text and "1.0" in text
    assert "nDCG@1" in Tags(reports[2]._repr_html_()).text


def test_slices_are_hits_with_their_ranks(c: vs.Collection) -> None:
    hits = c.search("Bees dance")
    assert isinstance(hits[:1], vs.Hits) and hits[:1].ids == hits.ids[:1]
    assert [hit.rank for hit in hits[1:]] == [2] and [hit.rank for hit in hits[::-1]] == [2, 1]
    assert hits[1:].to_arrow()["rank"].to_pylist() == [2]
    assert hits[1:].scores.tolist() == hits.scores.tolist()[1:]
    assert len(hits[5:]) == 0 and hits[1:][0]["year"] == hits[1]["year"]
    again = pickle.loads(pickle.dumps(hits))
    assert again[1:].ids == hits.ids[1:] and again[1:][0].rank == 2
    assert repr(again) == repr(hits) and again[1:].texts == hits.texts[1:]


def test_texts_lists_and_frames(c: vs.Collection) -> None:
    hits = c.search("Bees dance to show the way to flowers")
    assert hits.texts == ["Bees dance to show the way to flowers", "Leaves turn light into sugar"]
    assert hits.to_list(["id", "year"]) == [hit.to_dict(["id", "year"]) for hit in hits]
    assert hits.to_dicts() == hits.to_list()
    polars = pytest.importorskip("polars")
    frame = hits.to_polars(["id", "year"])
    assert isinstance(frame, polars.DataFrame)
    assert frame.to_dict(as_series=False)["year"] == [1973, 2021]
    assert set(hits[0]._ipython_key_completions_()) == {"id", "text", "year", "digest"}


def test_several_text_columns_are_joined(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", embedder="toy:16", text_columns=["title", "body"])
    c.add([{"id": 1, "title": "Trams", "body": "A tram. A bus."}, {"id": 2, "title": "x"}])
    hits = c.search("tram", k=2)
    by_id = dict(zip(hits.ids, hits.texts, strict=True))
    assert by_id == {1: "Trams\n\nA tram. A bus.", 2: "x"}


def test_info_is_a_short_table(c: vs.Collection) -> None:
    lines = repr(c.info()).splitlines()
    assert len(lines) < 24 and all(width_of(line) <= 80 for line in lines)
    assert ["documents", "2"] in [line.split() for line in lines]
    assert "surface" not in repr(c.info())


def test_fields_wrap_at_words() -> None:
    shown = text_fields({"columns": ", ".join(f"column{n} (int64)" for n in range(20))}, 60)
    lines = shown.splitlines()
    assert len(lines) > 3 and all(width_of(line) <= 60 for line in lines)
    assert " ".join(line.strip() for line in lines).count("(int64)") == 20


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("\x9b", "\\x9b"),
        ("\u202e", "\\u202e"),
        ("\u2028", "\\u2028"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("عربي 中文 é 👩‍👩‍👧", "عربي 中文 é 👩‍👩‍👧"),
    ],
)
def test_controls_are_shown_and_letters_are_left_alone(text: str, shown: str) -> None:
    assert visible(text) == shown
