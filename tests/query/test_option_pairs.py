"""Every pair of options of a search, in every mode, against a plain computation of its meaning."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.bm25 import bm25

import vecsearch as vs
from vecsearch.text.analyzer import Analyzer

WIDE_CALIBRATION = True
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "groups-and-facets.md"
MODES = ("vector", "text", "hybrid")
WORDS = [f"w{number}" for number in range(40)]
QUERY = "w1 w4 w9 w13"
K = 4
DEPTH, SHARE = 100, 0.6
OPTIONS: dict[str, dict[str, Any]] = {
    "where": {"where": "n % 3 = 0"},
    "ids": {"ids": list(range(0, 240, 2))},
    "exclude": {"exclude": [*range(0, 60), 10**6]},
    "min_score": {"min_score": {"vector": 0.1, "text": 1.5, "hybrid": 0.2}},
    "diversity": {"diversity": 0.4},
    "group_by": {"group_by": "lang", "group_size": 2},
    "order_by": {"order_by": "n desc"},
    "recall": {"recall": 0.5},
    "exact": {"exact": True},
    "passages": {"passages": True},
    "using": {"using": ["title^2", "body"]},
    "fusion": {"fusion": "rrf"},
    "search_batch": {},
    "pages": {},
}
WORD_OPTIONS = {"using": ("text", "hybrid"), "fusion": ("hybrid",)}


@dataclass(frozen=True)
class Unit:
    """What is found: a document, or a passage of it."""

    name: int
    row: dict[str, Any]
    vectors: np.ndarray
    passages: tuple[tuple[list[str], list[str]], ...]


def rows() -> list[dict[str, Any]]:
    rng = np.random.default_rng(11)
    odds = 1 / (1 + np.arange(len(WORDS)))
    found = []
    for n in range(240):
        title, body = (
            " ".join(rng.choice(WORDS, size=rng.integers(1, most), p=odds / odds.sum()))
            for most in (4, 40)
        )
        vector = rng.normal(size=6).astype(np.float32)
        lang = f"lang {rng.integers(9)}"
        found.append(
            {"id": n, "vector": vector, "title": title, "body": body, "n": n * 7 % 240}
            | {"lang": lang}
        )
    return found


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> vs.Collection:
    c = vs.create(tmp_path_factory.mktemp("pairs") / "c.vs", dim=6)
    listed = rows()
    for part in (listed[:100], listed[100:130], listed[130:]):
        c.add(part, progress=False)
    c.build_text_index(["title", "body"], Analyzer(language=None), progress=False)
    c.delete(where="n % 11 = 0")
    return c


@pytest.fixture(scope="module")
def units() -> list[Unit]:
    return [
        Unit(row["id"], row, row["vector"][None], ((row["title"].split(), row["body"].split()),))
        for row in rows()
        if row["n"] % 11
    ]


def query_vector() -> np.ndarray:
    return np.random.default_rng(5).normal(size=6).astype(np.float32)


# -- the plain computation -------------------------------------------------------------------------


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    one, other = one.astype(np.float64), other.astype(np.float64)
    return float(one @ other / math.sqrt((one @ one) * (other @ other)))


class Plain:
    """Scores, rankings and what is made of them, computed without vecsearch."""

    def __init__(self, units: Sequence[Unit], mode: str, options: dict[str, Any]) -> None:
        self.mode, self.options = mode, options
        self.units = {unit.name: unit for unit in units}
        query = query_vector()
        self.by_vector = {
            unit.name: max(cosine(vector, query) for vector in unit.vectors) for unit in units
        }
        weights = (2.0, 1.0) if "using" in options else (1.0, 1.0)
        documents = {unit.name: unit.passages for unit in units}
        self.by_text = bm25(documents, QUERY.split(), weights)
        allowed = [unit for unit in units if self._allowed(unit)]
        self.names = [unit.name for unit in allowed]

    def _allowed(self, unit: Unit) -> bool:
        options = self.options
        if "where" in options and unit.row["n"] % 3:
            return False
        if "ids" in options and unit.name not in options["ids"]:
            return False
        return unit.name not in options.get("exclude", ())

    def scores(self) -> dict[int, float]:
        """The score of everything that matches."""
        if self.mode == "vector":
            return {name: self.by_vector[name] for name in self.names}
        words = {name: self.by_text[name] for name in self.names if name in self.by_text}
        if self.mode == "text":
            return words
        lists = [sorted(words, key=lambda name: -words[name])[:DEPTH]]
        lists.append(sorted(self.names, key=lambda name: -self.by_vector[name])[:DEPTH])
        if self.options.get("fusion") == "rrf":
            return {
                name: sum(
                    share / (60 + listed.index(name) + 1)
                    for share, listed in zip((SHARE, 1 - SHARE), lists, strict=True)
                    if name in listed
                )
                for name in self.names
            }
        total = dict.fromkeys(self.names, 0.0)
        scored = ((SHARE, self.by_text), (1 - SHARE, self.by_vector))
        for (share, each), listed in zip(scored, lists, strict=True):
            values = np.array([each[name] for name in listed])
            if each is self.by_text:  # rows without any of the words count with their score, 0
                values = np.append(values, np.zeros(min(DEPTH, len(self.names)) - len(values)))
            mean, deviation = float(values.mean()), float(values.std())
            for name in self.names:
                total[name] += share * (each.get(name, 0.0) - mean) / deviation
        return total

    def ranking(self) -> list[tuple[int, float]]:
        scores = self.scores()
        lowest = self.options.get("min_score", -math.inf)
        found = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
        return [(name, score) for name, score in found if score >= lowest]

    def groups(self) -> list[tuple[int, float]]:
        ranking = self.ranking()
        keys = list(dict.fromkeys(self.units[name].row["lang"] for name, _ in ranking))[:K]
        kept: list[tuple[int, float]] = []
        for key in keys:
            own = [item for item in ranking if self.units[item[0]].row["lang"] == key]
            kept += own[: self.options["group_size"]]
        return sorted(kept, key=lambda item: (-item[1], item[0]))

    def diverse(self) -> list[tuple[int, float]]:
        pool, weight = self.ranking()[:100], self.options["diversity"]
        values = [score for _, score in pool]
        if self.mode != "vector":
            values = [(value - values[-1]) / (values[0] - values[-1]) for value in values]
        chosen: list[int] = []
        vectors = [self.units[name].vectors[0] for name, _ in pool]
        while len(chosen) < min(K, len(pool)):
            left = [at for at in range(len(pool)) if at not in chosen]

            def worth(at: int) -> float:
                near = max((cosine(vectors[at], vectors[other]) for other in chosen), default=0.0)
                return float((1 - weight) * values[at] - weight * near)

            chosen.append(max(left, key=worth))
        return [pool[at] for at in chosen]

    def answer(self) -> list[tuple[int, float]]:
        """The hits, in order."""
        if "group_by" in self.options:
            found = self.groups()
        elif "diversity" in self.options:
            found = self.diverse()
        else:
            found = self.ranking()[:K]
        if "order_by" in self.options:
            found.sort(key=lambda item: -self.units[item[0]].row["n"])
        return found


# -- the tests -------------------------------------------------------------------------------------


def options_of(names: Sequence[str], mode: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name in names:
        options |= OPTIONS[name]
    if "min_score" in options:
        options["min_score"] = options["min_score"][mode]
    return options


def asked(mode: str) -> dict[str, Any]:
    if mode == "vector":
        return {"vector": query_vector()}
    return {"text": QUERY} | ({"vector": query_vector()} if mode == "hybrid" else {})


def found(c: vs.Collection, names: Sequence[str], mode: str) -> list[vs.Hits]:
    """The hits of a search; for pages all of them."""
    options = options_of(names, mode)
    if "pages" in names:
        return list(c.pages(size=K, mode=mode, **asked(mode), **options))
    if "search_batch" in names:
        given = {name + "s": [value, value] for name, value in asked(mode).items()}
        first, second = c.search_batch(k=K, mode=mode, **given, **options)
        assert first.ids == second.ids and first.scores.tolist() == second.scores.tolist()
        return [first]
    return [c.search(k=K, mode=mode, **asked(mode), **options)]


def error_of(names: Sequence[str], mode: str) -> str | None:
    """What an error says of options that do not go together; None if they do."""
    both = set(names)
    if both >= {"diversity", "using"} and mode == "vector":
        return "diversity compares hits by"
    for name in names:
        if mode not in WORD_OPTIONS.get(name, MODES):
            return f"{name}= is for"
    if both >= {"diversity", "group_by"}:
        return "both spread the hits"
    if both >= {"pages", "diversity"}:
        return "no argument 'diversity'"
    if both >= {"pages", "order_by"} and "min_score" not in both:
        return "give min_score"
    return None


PAIRS = [*((name,) for name in OPTIONS), *itertools.combinations(OPTIONS, 2)]
TRIPLES = [
    ("where", "min_score", "group_by"),
    ("exclude", "ids", "diversity"),
    ("min_score", "order_by", "pages"),
    ("where", "group_by", "order_by"),
    ("fusion", "group_by", "exclude"),
    ("using", "where", "diversity"),
    ("search_batch", "group_by", "where"),
    ("search_batch", "diversity", "min_score"),
]


@pytest.mark.parametrize("mode", MODES)
def test_every_pair_of_options_gives_what_it_means(
    mode: str, collection: vs.Collection, units: list[Unit]
) -> None:
    wrong = []
    for names in [*PAIRS, *TRIPLES]:
        message = error_of(names, mode)
        if message is not None:
            with pytest.raises(vs.InvalidInputError) as caught:
                found(collection, names, mode)
            if message not in str(caught.value):
                wrong.append((names, str(caught.value)))
            continue
        plain = Plain(units, mode, options_of(names, mode))
        hits = found(collection, names, mode)
        ids = [name for each in hits for name in each.ids]
        scores = [score for each in hits for score in each.scores.tolist()]
        if {"pages", "fusion"} <= set(names) and mode == "hybrid":
            # Later pages are of deeper lists, where more rows have a rank. None is left out.
            assert len(set(ids)) == len(ids)
            if "group_by" not in names and "min_score" not in names:
                assert set(ids) == set(plain.names), names
            ids, scores, wanted = hits[0].ids, hits[0].scores.tolist(), plain.answer()
            if "order_by" in names:
                continue
        elif "pages" not in names:
            wanted = plain.answer()
        elif "group_by" in names:
            ids, scores, wanted = hits[0].ids, hits[0].scores.tolist(), plain.groups()
        else:
            wanted = plain.ranking()
            if "order_by" in names:
                wanted.sort(key=lambda item: -plain.units[item[0]].row["n"])
        close = np.allclose(scores, [score for _, score in wanted], rtol=1e-5, atol=1e-6)
        if ids != [name for name, _ in wanted] or not close:
            wrong.append((names, f"{ids} {scores} instead of {wanted}"))
    assert not wrong, wrong[:3]


@pytest.fixture(scope="module")
def passages(tmp_path_factory: pytest.TempPathFactory) -> vs.Collection:
    """Documents of several passages."""
    root = tmp_path_factory.mktemp("passages") / "c.vs"
    c = vs.create(root, embedder="toy:16", chunker=vs.Chunker(60), full_text=Analyzer(None))
    for part in np.array_split(np.arange(120), 2):
        c.add(
            [
                {"id": n, "text": row["body"], "n": row["n"], "lang": row["lang"]}
                for n, row in enumerate(rows()[:120])
                if n in part
            ],
            progress=False,
        )
    c.delete(where="n % 11 = 0")
    return c


@pytest.mark.parametrize("mode", MODES)
def test_documents_of_passages_with_every_pair(mode: str, passages: vs.Collection) -> None:
    """A document counts once; each hit has the score that it has in the plain ranking."""
    for names in PAIRS:
        if error_of(names, mode) is not None or {"using", "pages"} & set(names):
            continue
        options = options_of(names, mode)
        options.pop("min_score", None)
        search = passages.search
        if "search_batch" in names:

            def search(query: str, *args: Any, **more: Any) -> vs.Hits:
                return passages.search_batch([query], *args, **more)[0]

        hits = search(QUERY, K, mode=mode, **options)
        if "passages" not in names:
            assert len(set(hits.ids)) == len(hits.ids), names
        same = {
            name: options[name]
            for name in ("where", "ids", "exclude", "fusion", "passages")
            if name in options
        }
        whole = passages.search(QUERY, 100, mode=mode, **same)
        known = dict(zip(whole.positions.tolist(), whole.scores.tolist(), strict=True))
        for position, score in zip(hits.positions.tolist(), hits.scores.tolist(), strict=True):
            assert known.get(position, score) == pytest.approx(score, rel=1e-6), names
        assert sum(position in known for position in hits.positions.tolist()) >= K - 1, names
        for hit in hits if mode == "hybrid" else ():
            assert set(hit.parts) == {"vector", "text"}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("passage", [False, True])
def test_pages_of_a_text_hold_each_document_once(
    mode: str, passage: bool, passages: vs.Collection
) -> None:
    for names in [*((name,) for name in OPTIONS), ("where", "group_by"), ("exclude", "min_score")]:
        if {"using", "pages", "search_batch", "diversity"} & set(names):
            continue
        if error_of([*names, "pages"], mode) is not None:
            continue
        options = options_of(names, mode) | {"passages": passage}
        pages = list(passages.pages(QUERY, 7, mode=mode, **options))
        found = [position for page in pages for position in page.positions.tolist()]
        assert len(set(found)) == len(found), names
        if not passage and "group_by" not in names:
            ids = [name for page in pages for name in page.ids]
            assert len(set(ids)) == len(ids), names
            if "min_score" not in names and mode != "text":
                live = passages.search(
                    QUERY,
                    200,
                    **{
                        k: options[k]
                        for k in names
                        if k in options and k in ("where", "ids", "exclude")
                    },
                )
                assert sorted(ids) == sorted(live.ids), names
        first = passages.search(QUERY, 7, mode=mode, **options)
        assert pages[0].ids == first.ids, names
        for page in pages[:3] if mode == "hybrid" else ():
            assert all(set(hit.parts) == {"vector", "text"} for hit in page), names
        if mode == "text":
            assert all(hit.matches() for page in pages[:3] for hit in page), names


def test_the_first_k_are_those_of_a_longer_list(collection: vs.Collection) -> None:
    for mode in MODES:
        for names in ((), ("where",), ("diversity",), ("min_score",), ("fusion",)):
            if error_of(names, mode) is not None:
                continue
            options = options_of(names, mode)
            lists = [
                collection.search(k=k, mode=mode, **asked(mode), **options).ids
                for k in (1, 3, 4, 9, 10, 25)
            ]
            for shorter, longer in itertools.pairwise(lists):
                assert longer[: len(shorter)] == shorter, (mode, names)


def test_scores_of_a_hybrid_search_do_not_depend_on_how_many_are_wanted(
    collection: vs.Collection,
) -> None:
    few = collection.search(k=10, mode="hybrid", **asked("hybrid"))
    many = collection.search(k=200, mode="hybrid", **asked("hybrid"))
    known = dict(zip(many.ids, many.scores.tolist(), strict=True))
    assert [known[name] for name in few.ids] == few.scores.tolist()
    assert len(many) > 150


def test_the_recall_target_holds_with_groups_diversity_and_fusion(tmp_path: Path) -> None:
    """Mean recall against exact search, of an index that misses rows."""
    rng = np.random.default_rng(8)
    centers = rng.normal(size=(40, 24))
    vectors = (centers[rng.integers(40, size=4000)] + 0.5 * rng.normal(size=(4000, 24))).astype(
        "f4"
    )
    c = vs.create(tmp_path / "c.vs", dim=24, recall=0.9, auto_index=False)
    texts = [" ".join(rng.choice(WORDS, size=6)) for _ in range(4000)]
    c.add(
        [
            {"id": n, "vector": vectors[n], "text": texts[n], "kind": n % 50, "n": n}
            for n in range(4000)
        ],
        progress=False,
    )
    c.build_text_index(["text"], Analyzer(None), progress=False)
    c.build_index("HNSW8", progress=False)
    forms: dict[str, dict[str, Any]] = {
        "plain": {},
        "groups": {"group_by": "kind", "group_size": 2},
        "diversity": {"diversity": 0.3},
        "filter and groups": {"where": "n % 2 = 0", "group_by": "kind"},
        "hybrid": {"mode": "hybrid"},
        "hybrid groups": {"mode": "hybrid", "group_by": "kind", "group_size": 2},
    }
    queries = vectors[rng.integers(4000, size=40)] + 0.4 * rng.normal(size=(40, 24)).astype("f4")
    for name, options in forms.items():
        words = {"text": "w1 w2 w3"} if "mode" in options else {}
        found = [
            [c.search(k=10, vector=query, exact=exact, **words, **options).ids for query in queries]
            for exact in (False, True)
        ]
        shares = [len(set(a) & set(b)) / len(b) for a, b in zip(*found, strict=True)]
        assert np.mean(shares) >= 0.9, (name, np.mean(shares))


# -- the table of the docs -------------------------------------------------------------------------


def table_rows() -> Iterator[list[str]]:
    text = PAGE.read_text(encoding="utf-8").split("## What goes with which mode", 1)[1]
    for line in text.split("##", 1)[0].splitlines():
        if line.startswith("| `"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def test_the_table_of_the_docs_says_what_is_so(collection: vs.Collection) -> None:
    listed = {}
    for head, *cells in table_rows():
        for name in re.findall(r"`(\w+)`", head):
            listed[name] = dict(zip(MODES, cells, strict=True))
    assert listed.keys() | {"group_size"} == {
        *(name for name in OPTIONS if name not in ("search_batch", "pages")),
        *("group_size",),
    } | (listed.keys() & {"search_batch", "pages"})
    for name, cells in listed.items():
        for mode, cell in cells.items():
            if name not in OPTIONS or (name == "pages" and mode == "hybrid"):
                continue
            if cell.startswith("error"):
                with pytest.raises(vs.InvalidInputError):
                    found(collection, [name], mode)
            else:
                found(collection, [name], mode)
                assert error_of([name], mode) is None
