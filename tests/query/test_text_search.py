"""Search by words equals BM25 computed naively, whatever was deleted, merged, lost or damaged."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.bm25 import bm25
from support.postings import place_of

import vecsearch as vs
from vecsearch.index.kernels import numpy_bm25
from vecsearch.index.kernels.loader import TEXT_LOADER
from vecsearch.index.kernels.numpy_bm25 import SHIFT, SKIPS, WIDTH
from vecsearch.query.text.skips import skips_of
from vecsearch.text.analyzer import Analyzer

WORDS = [f"w{number}" for number in range(60)]


def random_texts(count: int, seed: int, longest: int = 30) -> list[str]:
    chosen = random.Random(seed)
    weights = [1 / (1 + number) for number in range(len(WORDS))]
    return [
        " ".join(chosen.choices(WORDS, weights, k=chosen.randint(1, longest))) for _ in range(count)
    ]


def plain_terms(text: str) -> list[str]:
    return text.split()


def filled(root: Path, texts: Sequence[str], times: int = 5) -> vs.Collection:
    """A collection without stems, of several segments; the id of a text is its number."""
    c = vs.create(root, embedder="toy:16", full_text=Analyzer(language=None))
    rows = [{"id": number, "text": text, "n": number} for number, text in enumerate(texts)]
    for part in np.array_split(np.arange(len(rows)), times):
        c.add([rows[number] for number in part.tolist()], progress=False)
    return c


def assert_like_the_formula(
    c: vs.Collection, texts: Mapping[Any, str], queries: Sequence[str], **options: Any
) -> None:
    documents = {name: [[plain_terms(text)]] for name, text in texts.items()}
    for query in queries:
        wanted = bm25(documents, query.split())
        hits = c.search(query, k=len(texts) + 5, mode="text", **options)
        found = dict(zip(hits.ids, hits.scores.tolist(), strict=True))
        assert found.keys() == wanted.keys()
        for name, score in found.items():
            assert score == pytest.approx(wanted[name], rel=1e-6)
        assert list(hits.scores) == sorted(hits.scores, reverse=True)


QUERIES = ["w0 w3", "w40", "w1 w1 w20", "w59 w58 w57 w2", "nothing", "w5 nothing"]


def test_scores_are_those_of_the_formula(root: Path) -> None:
    texts = random_texts(300, 1)
    c = filled(root, texts)
    assert_like_the_formula(c, dict(enumerate(texts)), QUERIES)


def test_deleted_documents_leave_no_trace_in_scores(root: Path) -> None:
    texts = random_texts(300, 2)
    c = filled(root, texts)
    c.search("w0", mode="text")
    c.delete(where="n % 3 = 0")
    left = {number: text for number, text in enumerate(texts) if number % 3}
    assert_like_the_formula(c, left, QUERIES)
    c.add([{"id": 1, "text": "w3 w3 other", "n": 1}], on_conflict="replace")
    left[1] = "w3 w3 other"
    assert_like_the_formula(c, left, [*QUERIES, "other"])
    before = [c.search(query, k=400, mode="text") for query in QUERIES]
    c.compact()
    assert_like_the_formula(c, left, [*QUERIES, "other"])
    with vs.open(root) as again:
        for query, hits in zip(QUERIES, before, strict=True):
            found = again.search(query, k=400, mode="text")
            assert dict(zip(found.ids, found.scores.tolist(), strict=True)) == dict(
                zip(hits.ids, hits.scores.tolist(), strict=True)
            )


def test_older_versions_are_searched_as_they_were(root: Path) -> None:
    texts = random_texts(60, 3)
    c = filled(root, texts)
    version = c.info().version
    c.delete(where="n < 30")
    with vs.open(root, version=version) as old:
        assert_like_the_formula(old, dict(enumerate(texts)), QUERIES)
    c.rollback(version)
    assert_like_the_formula(c, dict(enumerate(texts)), QUERIES)


def long_texts(count: int) -> list[str]:
    return random_texts(count, 4, longest=400)


@pytest.mark.parametrize("damage", ["missing", "empty", "bytes"])
def test_without_its_file_a_segment_is_read_and_answers_are_equal(root: Path, damage: str) -> None:
    texts = long_texts(60)
    c = filled(root, texts, times=2)
    before = [c.search(query, k=100, mode="text") for query in QUERIES]
    c.close()
    files = sorted((root / "segments").glob("*.text.arrow"))
    assert len(files) == 2
    for file in files:
        if damage == "missing":
            file.unlink()
        elif damage == "empty":
            file.write_bytes(b"")
        else:
            content = bytearray(file.read_bytes())
            content[len(content) // 2] ^= 1
            file.write_bytes(content)
    with vs.open(root) as again:
        assert_like_the_formula(again, dict(enumerate(texts)), QUERIES)
        for query, hits in zip(QUERIES, before, strict=True):
            found = again.search(query, k=100, mode="text")
            assert (found.ids, found.scores.tolist()) == (hits.ids, hits.scores.tolist())
        assert {item.file for item in again.check()} == {f"segments/{file.name}" for file in files}
    assert len(vs.repair(root).done) == 2
    with vs.open(root) as again:
        assert again.check() == []
        assert_like_the_formula(again, dict(enumerate(texts)), QUERIES)


def test_a_file_that_disagrees_with_its_segment_is_found_by_check(root: Path) -> None:
    texts = long_texts(40)
    filled(root, texts, times=1).close()
    other = root.with_name("other.vs")
    filled(other, [text.replace("w1", "w2") for text in texts], times=1).close()
    (mine,), (theirs,) = (list((path / "segments").glob("*.text.arrow")) for path in (root, other))
    from vecsearch.storage import disk, log, manifest_json
    from vecsearch.storage.manifest import replace

    version = log.load(root)
    mine.write_bytes(theirs.read_bytes())
    ref = disk.describe(root, mine, f"segments/{mine.name}")
    segments = (replace(version.segments[0], text=ref),)
    text = manifest_json.to_json(replace(version, segments=segments))
    log.path_of(root, version.version).write_text(text)
    with vs.open(root) as c:
        (damage,) = c.check()
        assert damage.file == ref.name
        assert "does not agree" in damage.what
    vs.repair(root)
    with vs.open(root) as c:
        c.compact(purge=True)  # older versions still name the other file
        assert c.check() == []
        assert_like_the_formula(c, dict(enumerate(texts)), QUERIES)


def test_segments_of_little_text_have_no_file(root: Path) -> None:
    c = filled(root, ["w1 w2", "w2"], times=2)
    assert not list((root / "segments").glob("*.text.arrow"))
    assert_like_the_formula(c, {0: "w1 w2", 1: "w2"}, ["w1", "w2"])


def test_adds_in_a_loop_are_merged_with_their_words(root: Path) -> None:
    texts = random_texts(70, 5)
    c = filled(root, texts, times=70)
    assert c.info().segments < 30
    assert_like_the_formula(c, dict(enumerate(texts)), QUERIES)


def test_merged_postings_are_those_of_the_merged_texts(root: Path) -> None:
    from vecsearch.storage import segment_texts

    texts = random_texts(2400, 6, longest=60)
    c = filled(root, texts, times=3)
    assert sum(entry.rows for entry in c._snapshot.manifest.segments) > segment_texts.FEW_ROWS
    c.compact()
    assert c.info().segments == 1
    assert c.check() == []  # which compares postings with texts
    assert len(list((root / "segments").glob("*.text.arrow"))) == 4
    assert_like_the_formula(c, dict(enumerate(texts)), ["w0 w3", "w59"])


def test_filters_and_ids_hold_inside_the_scoring(root: Path) -> None:
    texts = random_texts(200, 7)
    c = filled(root, texts)
    for query in QUERIES:
        everything = c.search(query, k=300, mode="text")
        for options, keep in (
            ({"where": "n % 2 = 0"}, lambda n: n % 2 == 0),
            ({"where": "n < 4"}, lambda n: n < 4),
            ({"ids": list(range(50, 60))}, lambda n: 50 <= n < 60),
            ({"where": "n < 55", "ids": list(range(50, 60))}, lambda n: 50 <= n < 55),
            ({"where": "n < 0"}, lambda n: False),
        ):
            found = c.search(query, k=300, mode="text", **options)
            wanted = [
                (name, score)
                for name, score in zip(everything.ids, everything.scores.tolist(), strict=True)
                if keep(name)
            ]
            assert list(zip(found.ids, found.scores.tolist(), strict=True)) == wanted


@pytest.mark.parametrize("mode", ["text", "hybrid"])
def test_fifty_excluded_rows_that_outrank_fifty_kept_ones_hide_none(root: Path, mode: str) -> None:
    rows = [{"id": n, "text": "needle " * 5, "kept": False} for n in range(50)]
    rows += [{"id": n, "text": "needle " + "hay " * 20, "kept": True} for n in range(50, 100)]
    c = vs.create(root, embedder="toy:16")
    c.add(rows, progress=False)
    for options in ({"where": "kept"}, {"ids": list(range(50, 100))}):
        hits = c.search("needle", k=10, mode=mode, **options)
        assert len(hits) == 10
        assert min(hits.ids) >= 50


@pytest.mark.parametrize("mode", ["text", "hybrid"])
@pytest.mark.parametrize("chunker", [None, 60])
def test_the_first_k_hits_are_those_of_a_longer_list(
    root: Path, mode: str, chunker: int | None
) -> None:
    c = vs.create(root, embedder="toy:16", chunker=chunker)
    texts = random_texts(150, 8)
    c.add([{"id": n, "text": text} for n, text in enumerate(texts)], progress=False)
    for query in ("w0 w3", "w1 w20 w40"):
        longest = c.search(query, k=100, mode=mode)
        for k in range(1, len(longest)):
            hits = c.search(query, k=k, mode=mode)
            assert hits.ids == longest.ids[:k]
            assert hits.scores.tolist() == longest.scores[:k].tolist()


def test_a_document_of_passages_counts_once_and_scores_as_its_best(root: Path) -> None:
    texts = random_texts(60, 9, longest=120)
    c = vs.create(root, embedder="toy:16", chunker=100, full_text=Analyzer(language=None))
    c.add([{"id": n, "text": text, "n": n} for n, text in enumerate(texts)], progress=False)
    assert c.info().rows > 2 * len(texts)
    c.delete(where="n % 4 = 0")
    table = c.to_arrow(["id", "text"]).to_pylist()
    documents: dict[Any, list[list[list[str]]]] = {}
    for row in table:
        documents.setdefault(row["id"], []).append([plain_terms(row["text"])])
    for query in QUERIES:
        wanted = bm25(documents, query.split())
        hits = c.search(query, k=100, mode="text")
        assert dict(zip(hits.ids, hits.scores.tolist(), strict=True)) == pytest.approx(wanted)
        assert len(hits.ids) == len(set(hits.ids))
        for hit, span in zip(hits, hits.spans, strict=True):
            assert texts[hit.id][span.start : span.end] == hit["text"]
    passages = c.search("w0", k=1000, mode="text", passages=True)
    assert len(passages) > len(set(passages.ids))
    by_passage = {name: max(s) for name, s in _grouped(passages).items()}
    by_document = c.search("w0", k=1000, mode="text")
    assert by_passage == dict(zip(by_document.ids, by_document.scores.tolist(), strict=True))


def _grouped(hits: vs.Hits) -> dict[Any, list[float]]:
    grouped: dict[Any, list[float]] = {}
    for name, score in zip(hits.ids, hits.scores.tolist(), strict=True):
        grouped.setdefault(name, []).append(score)
    return grouped


def test_conditions_are_about_whole_documents_unless_passages_are_asked_for(root: Path) -> None:
    c = vs.create(root, embedder="toy:16", chunker=60)
    first = "alpha " * 9 + ". " + "filler " * 20 + ". " + "beta " * 9
    c.add([{"id": 1, "text": first}, {"id": 2, "text": "alpha only here"}], progress=False)
    assert c.search("alpha AND beta", mode="text").ids == [1]
    assert c.search("alpha AND beta", mode="text", passages=True).ids == []
    assert c.search("alpha -beta", mode="text").ids == [2]
    assert set(c.search("alpha -beta", mode="text", passages=True).ids) == {1, 2}


def test_several_columns_are_weighted_as_bm25f(root: Path) -> None:
    titles, bodies = random_texts(120, 10, longest=5), random_texts(120, 11)
    c = vs.create(root, dim=2)
    rows = [
        {"id": n, "vector": [1.0, n], "title": title if n % 7 else None, "body": body, "n": n}
        for n, (title, body) in enumerate(zip(titles, bodies, strict=True))
    ]
    c.add(rows[:70], progress=False)
    c.add(rows[70:], progress=False)
    with pytest.raises(vs.QueryError, match="cannot be searched by words"):
        c.search("w1", mode="text")
    c.build_text_index(["title", "body"], Analyzer(language=None))
    c.delete(where="n = 5")
    documents = {
        row["id"]: [[plain_terms(row["title"] or ""), plain_terms(row["body"])]]
        for row in rows
        if row["id"] != 5
    }
    for query in QUERIES:
        for using, weights in (
            (None, (1.0, 1.0)),
            (["title^3", "body"], (3.0, 1.0)),
            ("body", (0.0, 1.0)),
        ):
            wanted = bm25(documents, query.split(), weights)
            hits = c.search(query, k=200, mode="text", using=using)
            found = dict(zip(hits.ids, hits.scores.tolist(), strict=True))
            assert found == pytest.approx(wanted, rel=1e-6)
    inside = c.search("title^3 w3", k=200, mode="text")
    outside = c.search("w3", k=200, mode="text", using=["title^3", "body"])
    assert (inside.ids, inside.scores.tolist()) == (outside.ids, outside.scores.tolist())
    assert set(c.search("title:w3", k=200, mode="text").ids) == {
        name for name, ((title, _),) in documents.items() if "w3" in title
    }


def test_an_update_of_a_searched_column_is_found_at_once(root: Path) -> None:
    c = vs.create(root, dim=2)
    rows = [
        {"id": n, "vector": [1.0, n], "title": f"old number{n} " + "filler " * 80}
        for n in range(20)
    ]
    c.add(rows, progress=False)
    c.build_text_index("title")
    assert len(c.search("old", k=50, mode="text")) == 20
    c.update("id < 15", {"title": "fresh words"})  # a column file
    assert sorted(c.search("fresh", k=50, mode="text").ids) == list(range(15))
    assert sorted(c.search("old", k=50, mode="text").ids) == list(range(15, 20))
    c.update(ids=[19], values={"title": "one more"})  # a new segment
    assert c.search("more", mode="text").ids == [19]
    assert c.check() == []
    c.compact()
    assert sorted(c.search("fresh", k=50, mode="text").ids) == list(range(15))
    assert c.check() == []


def test_a_column_that_is_searched_cannot_be_dropped(root: Path) -> None:
    c = vs.create(root, dim=2)
    c.add([{"id": 1, "vector": [1, 0], "title": "a", "other": "b"}], progress=False)
    c.build_text_index("title")
    with pytest.raises(vs.InvalidInputError, match="searched by words"):
        c.drop_column("title")
    with pytest.raises(vs.InvalidInputError, match="searched by words"):
        c.alter_column("title", "json")
    c.build_text_index("other")
    c.drop_column("title")
    assert c.search("b", mode="text").ids == [1]


def test_another_analyzer_is_for_all_documents_and_those_to_come(root: Path) -> None:
    c = vs.create(root, embedder="toy:16")
    c.add([{"id": n, "text": f"running ships {'x' * n}"} for n in range(40)], progress=False)
    assert len(c.search("ran runs ship", k=50, mode="text")) == 40
    c.build_text_index(analyzer=Analyzer(language=None))
    c.add([{"id": 99, "text": "ships"}], progress=False)
    assert len(c.search("ship", mode="text")) == 0
    assert len(c.search("ships", k=50, mode="text")) == 41
    assert c.check() == []


def test_full_text_can_be_left_out(root: Path) -> None:
    c = vs.create(root, embedder="toy:16", full_text=False)
    c.add(["a ship " * 2000], progress=False)
    assert not list((root / "segments").glob("*.text.arrow"))
    for mode in ("text", "hybrid"):
        with pytest.raises(vs.QueryError, match="no text index"):
            c.search("ship", mode=mode)
    c.build_text_index()
    assert len(c.search("ship", mode="text")) == 1


def test_vectors_only_have_no_words(root: Path) -> None:
    with pytest.raises(vs.InvalidInputError, match="column of texts"):
        vs.create(root, dim=2, full_text=True)
    c = vs.create(root, dim=2)
    with pytest.raises(vs.InvalidInputError, match="no column that is embedded"):
        c.build_text_index()
    with pytest.raises(vs.InvalidInputError, match="no column 'nothing'"):
        c.build_text_index("nothing")


@pytest.mark.skipif(not TEXT_LOADER.available(), reason="numba is not installed")
def test_compiled_and_numpy_scores_are_equal_bit_by_bit() -> None:
    compiled = TEXT_LOADER.load()
    assert compiled is not None
    random_numbers = np.random.default_rng(0)
    for trial in range(60):
        sizes = random_numbers.integers(1, 100, int(random_numbers.integers(1, 4))).tolist()
        starts, rows = np.cumsum([0, *sizes]).tolist(), sum(sizes)
        fields = int(random_numbers.integers(1, 3))
        lists, weights, groups, kept = [], [], [0], []
        for _ in range(int(random_numbers.integers(1, 5))):
            for first, size in zip(starts, sizes, strict=False):
                most = 4 if trial % 4 else 2  # of two, no row is in both
                for _ in range(int(random_numbers.integers(most))):
                    count = int(random_numbers.integers(1, size + 1))
                    chosen = np.sort(random_numbers.choice(size, count, replace=False))
                    chosen = chosen.astype(np.uint32)
                    times = random_numbers.integers(1, 9, count).astype(np.uint16)
                    skips, shift = skips_of(chosen, size)
                    place = place_of(
                        *(chosen, times, int(random_numbers.integers(fields)), first, size)
                    )
                    if trial % 3:
                        place[SKIPS], place[SHIFT] = skips.ctypes.data, shift
                    kept.append((chosen, times, skips))
                    lists.append(place)
                    weights.append(float(random_numbers.choice([1.0, 0.5, 3.0])))
            groups.append(len(lists))
        mask = [np.empty(0, bool), random_numbers.random(rows) < 0.3][trial % 2]
        k = int(random_numbers.integers(1, rows + 5))
        factors = np.sort(np.random.default_rng(trial).uniform(0.1, 9, len(groups) - 1))[::-1]
        factors = np.ascontiguousarray(factors)
        answers = []
        for kernel, early in ((compiled, 0), (numpy_bm25, 0), (compiled, 1), (numpy_bm25, 1)):
            if early and not len(mask):
                continue
            scores, sums, touched = np.zeros(rows), np.zeros(rows), np.empty(rows + 1, np.int64)
            found, found_scores = np.empty(k, np.int64), np.empty(k)
            norms = 1 / np.random.default_rng(trial).uniform(0.3, 3, (fields, rows))
            count = kernel.best_rows(
                np.array(lists, np.int64).reshape(-1, WIDTH),
                np.array(weights, float),
                np.array(groups, np.int64),
                factors,
                factors,  # no row scores more
                norms,
                1.2,
                mask,
                early,
                scores,
                sums,
                touched,
                found,
                found_scores,
            )
            assert not scores.any()
            assert not sums.any()
            own = np.empty(count)
            kernel.scores_of(
                np.array(lists, np.int64).reshape(-1, WIDTH),
                np.array(weights, float),
                *(np.array(groups, np.int64), factors, norms, 1.2, found[:count].copy(), own),
            )
            assert own.tobytes() == found_scores[:count].tobytes()
            answers.append((found[:count].tolist(), found_scores[:count].tobytes()))
        assert all(answer == answers[0] for answer in answers)


def test_ten_best_are_those_of_tantivy(root: Path) -> None:
    tantivy = pytest.importorskip("tantivy")
    texts = list(dict.fromkeys(random_texts(400, 12)))  # tantivy rounds lengths beyond 40 words
    builder = tantivy.SchemaBuilder()
    builder.add_integer_field("id", stored=True, indexed=True)
    builder.add_text_field("text", tokenizer_name="whitespace", index_option="freq")
    index = tantivy.Index(builder.build())
    writer = index.writer(heap_size=15_000_000, num_threads=1)
    for number, text in enumerate(texts):
        writer.add_document(tantivy.Document(id=number, text=text))
    writer.commit()
    writer.wait_merging_threads()
    index.reload()
    searcher = index.searcher()
    c = filled(root, texts)
    chosen = random.Random(0)
    for _ in range(50):
        query = " ".join(chosen.sample(WORDS, 3))
        theirs = searcher.search(index.parse_query(query, ["text"]), 10).hits
        hits = c.search(query, k=10, mode="text")
        # tantivy multiplies each score by k1 + 1, as Lucene did before version 8
        scores = [score / 2.2 for score, _ in theirs]
        assert hits.scores.tolist() == pytest.approx(scores, rel=1e-5)
        wanted = {searcher.doc(address)["id"][0]: score / 2.2 for score, address in theirs}
        for name, score in zip(hits.ids, hits.scores.tolist(), strict=True):
            if score > hits.scores[-1] * 1.00001:  # equal scores may be in any order
                assert wanted[name] == pytest.approx(score, rel=1e-5)
