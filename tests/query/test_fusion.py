"""Hybrid searches: the formulas of fusion, what both lists say, and tuning with a proof."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

import vecsearch as vs
from vecsearch.index.kernels import numpy_fusion
from vecsearch.index.kernels.loader import TEXT_LOADER
from vecsearch.query.fusion import depth_for

TOPICS = ["ship", "boat", "lake", "train", "tree", "night", "river", "stone"]


def rows(count: int = 200) -> list[dict[str, object]]:
    chosen = np.random.default_rng(5)
    return [
        {"id": n, "text": " ".join(chosen.choice(TOPICS, int(chosen.integers(2, 12))))}
        for n in range(count)
    ]


@pytest.fixture
def c(root: Path) -> vs.Collection:
    c = vs.create(root, embedder="toy:32")
    c.add(rows()[:120], progress=False)
    c.add(rows()[120:], progress=False)
    return c


@pytest.mark.parametrize("method", ["weighted", "rrf", "dbsf"])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("query", ["ship river", "plank", "oar river plank", "sail"])
def test_scores_are_those_of_the_formula(
    c: vs.Collection, method: str, share: float, query: str
) -> None:
    """Also of words that are in one document, in a few and in none."""
    c.add(
        [
            {"id": 1000, "text": "the plank of a boat"},
            *({"id": 1001 + n, "text": f"oar {'stone ' * n}"} for n in range(7)),
        ]
    )
    k = 10.0
    text = c.search(query, k=100, mode="text")
    vector = c.search(query, k=100)
    by_text = dict(zip(text.ids, text.scores.astype(float).tolist(), strict=True))
    by_vector = dict(zip(vector.ids, vector.scores.astype(float).tolist(), strict=True))
    all_text = c.search(query, k=300, mode="text")
    whole_text = dict(zip(all_text.ids, all_text.scores.astype(float).tolist(), strict=True))
    all_vector = c.search(query, k=300, exact=True)
    whole_vector = dict(zip(all_vector.ids, all_vector.scores.astype(float).tolist(), strict=True))

    def part(name: object, ids: list[object], listed: dict, whole: dict) -> float:
        if method == "rrf":
            return 1 / (k + ids.index(name) + 1) if name in listed else 0.0
        if not listed:
            return 0.0
        values = list(listed.values())
        if (
            listed is by_text and method == "weighted"
        ):  # rows without any of the words have the score 0
            values += [0.0] * (100 - len(values))
        if np.std(values) == 0:
            standard = 0.0 if name in listed else -1.0
        else:
            standard = (whole.get(name, 0.0) - np.mean(values)) / np.std(values)
        if method == "weighted":
            return float(standard)
        return float(np.clip((standard + 3) / 6, 0, 1)) if name in listed else 0.0

    wanted = {
        name: share * part(name, text.ids, by_text, whole_text)
        + (1 - share) * part(name, vector.ids, by_vector, whole_vector)
        for name in by_text.keys() | by_vector.keys()
    }
    hits = c.search(query, k=100, mode="hybrid", fusion=vs.Fusion(method, share, k))
    found = dict(zip(hits.ids, hits.scores.tolist(), strict=True))
    best = sorted(wanted.values(), reverse=True)[:100]
    assert hits.scores.tolist() == pytest.approx(best, rel=1e-4, abs=1e-5)
    for name, score in found.items():
        assert score == pytest.approx(wanted[name], rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("rows_more", [0, 30, 500])
def test_a_word_that_one_document_alone_has_comes_first(root: Path, rows_more: int) -> None:
    """A part number or a name, in few documents or in many; the words decide, not the vectors."""
    c = vs.create(root, embedder="toy:32")
    c.add([row | {"id": str(row["id"])} for row in rows(40 + rows_more)], progress=False)
    c.add([{"id": "XK", "text": f"tree night stone XK-4711 {'lake ' * 10}"}])
    for text in ("XK-4711", "where is XK-4711"):
        assert c.search(text, k=3, mode="hybrid").ids[0] == "XK"
    few = c.search("XK-4711", k=3, mode="hybrid", where="id IN ('XK', '3', '7')")
    assert few.ids[0] == "XK"


def test_parts_are_the_ranks_and_scores_in_both_lists(c: vs.Collection) -> None:
    query = "ship river"
    text, vector = c.search(query, k=100, mode="text"), c.search(query, k=100)
    hits = c.search(query, k=50, mode="hybrid")
    assert not c.search(query, k=1)[0].parts
    for hits_now in (hits, pickle.loads(pickle.dumps(hits))):
        for hit in hits_now:
            for name, listed in (("text", text), ("vector", vector)):
                rank, score = hit.parts[name]
                if rank is None:
                    assert hit.id not in listed.ids
                else:
                    assert listed.ids[rank - 1] == hit.id
                    assert score == pytest.approx(float(listed.scores[rank - 1]), rel=1e-6)


def test_a_text_and_a_vector_may_differ(c: vs.Collection) -> None:
    vector = c.vector(7)
    hits = c.search(text="ship", vector=vector, mode="hybrid", fusion=vs.Fusion(text=0.0))
    assert hits.ids == c.search(vector, mode="vector").ids
    words = c.search(text="ship", vector=vector, mode="hybrid", fusion=vs.Fusion(text=1.0))
    assert words.ids == c.search("ship", mode="text").ids
    assert (
        c.search("ship", vector=vector, mode="hybrid").ids
        == c.search(text="ship", vector=vector, mode="hybrid").ids
    )
    assert c.search("ship", mode="hybrid").ids == c.search(text="ship", mode="hybrid").ids


def test_chunked_documents_are_fused_by_their_best_passages(root: Path) -> None:
    c = vs.create(root, embedder="toy:32", chunker=60)
    texts = [" ".join(str(row["text"]) for row in rows()[n : n + 6]) for n in range(0, 180, 6)]
    c.add([{"id": n, "text": text, "n": n} for n, text in enumerate(texts)], progress=False)
    hits = c.search("ship river", k=30, mode="hybrid", where="n < 25")
    assert sorted(hits.ids) == list(range(25))
    by_vector = c.search("ship river", k=30, where="n < 25", exact=True)
    by_text = c.search("ship river", k=30, mode="text", where="n < 25")
    for name, listed in (("vector", by_vector), ("text", by_text)):
        scores = dict(zip(listed.ids, listed.scores.tolist(), strict=True))
        for hit in hits:
            assert hit.parts[name].score == pytest.approx(scores.get(hit.id, 0.0), rel=1e-5)
    passages = c.search("ship river", k=40, mode="hybrid", passages=True)
    assert len(passages.ids) > len(set(passages.ids))


def test_one_depth_serves_all_k_up_to_100() -> None:
    assert [depth_for(k) for k in (1, 10, 100, 101, 200, 201)] == [100, 100, 100, 200, 200, 400]


def test_questions_without_known_words_are_those_of_vectors(c: vs.Collection) -> None:
    hits = c.search(text="zebra", vector=c.vector(3), mode="hybrid", k=5)
    assert hits.ids == c.search(c.vector(3), k=5).ids
    assert len(c.search("zebra", mode="text")) == 0


def judged(count: int) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
    return (
        {f"q{n}": f"code{n} ship" for n in range(count)},
        {f"q{n}": {str(n): 1} for n in range(count)},
    )


def test_a_fusion_that_is_proved_better_is_kept(root: Path) -> None:
    embedded = vs.create(root, embedder="toy:2")
    embedded.add([{"id": n, "text": f"code{n} ship"} for n in range(80)], progress=False)
    queries, qrels = judged(60)
    bad = vs.Fusion(text=0.0)
    from vecsearch.storage.manifest import replace

    store = embedded._store
    with store.locked() as latest:
        full_text = replace(latest.manifest.full_text, fusion=bad.to_dict())
        store.commit(None, latest.manifest.next("test", full_text=full_text))
    embedded.refresh()
    before = embedded.search("code5 ship", k=3, mode="hybrid")
    assert before.ids == embedded.search("code5 ship", k=3).ids
    report = embedded.tune_fusion(queries, qrels)
    assert report.kept
    assert report.low > 0
    assert report.after > report.before
    assert report.fusion == report.best != bad
    assert report.version == embedded.info().version
    assert "kept" in str(report)
    with vs.open(embedded.path) as again:
        assert again.search("code5 ship", k=1, mode="hybrid").ids == [5]
        more = again.tune_fusion(queries, qrels)
        assert not more.kept
        assert more.fusion == report.fusion
        assert again.info().version == report.version
        again.build_text_index(analyzer="german")
        assert again.search("code5 ship", k=1, mode="hybrid").ids == [5]
        assert again.check() == []


def test_tuning_without_judgments_takes_questions_from_the_documents(c: vs.Collection) -> None:
    report = c.tune_fusion(n_queries=60)
    assert report.queries >= 10
    assert 0 <= report.before <= 1


def test_too_few_queries_are_refused(c: vs.Collection) -> None:
    queries, qrels = judged(5)
    with pytest.raises(vs.InvalidInputError, match="at least 20"):
        c.tune_fusion(queries, qrels)
    with pytest.raises(vs.InvalidInputError, match="no queries"):
        c.tune_fusion(None, qrels)
    vectors = {name: [0.0] * 32 for name in judged(30)[0]}
    with pytest.raises(vs.InvalidInputError, match="no text"):
        c.tune_fusion(vectors, judged(30)[1])


def test_the_commands(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from typer.testing import CliRunner

    from vecsearch.cli.app import app

    def run(*words: object) -> str:
        result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    c = vs.create(root, embedder="toy:16", full_text=False)
    c.add([{"id": n, "text": f"code{n} ship"} for n in range(40)], progress=False)
    run("build-text", root, "--column", "text", "--language", "none")
    found = json.loads(run("search", root, "+code7 -code8", "--mode", "text", "--json"))
    assert [hit["id"] for hit in found["hits"]] == [7]
    found = json.loads(run("search", root, "code9", "-k", 1, "--mode", "hybrid", "--json"))
    assert [hit["id"] for hit in found["hits"]] == [9]
    queries, qrels = judged(30)
    folder = root.with_name("beir")
    (folder / "qrels").mkdir(parents=True)
    (folder / "queries.jsonl").write_text(
        "".join(json.dumps({"_id": name, "text": text}) + "\n" for name, text in queries.items())
    )
    lines = ["query-id\tcorpus-id\tscore"]
    lines += [f"{name}\t{next(iter(each))}\t1" for name, each in qrels.items()]
    (folder / "qrels" / "test.tsv").write_text("\n".join(lines) + "\n")
    assert json.loads(run("tune-fusion", root, folder, "--json"))["kept"] in (True, False)


@pytest.mark.parametrize("method", [0, 1, 2])
def test_compiled_and_numpy_fusion_are_equal_bit_by_bit(method: int) -> None:
    compiled = TEXT_LOADER.load()
    if compiled is None:
        pytest.skip("numba is not installed")
    rng = np.random.default_rng(method)
    for trial in range(60):
        sizes = rng.integers(0, [4, 130][trial % 2], size=2)
        text, vector = (rng.choice(300, size, replace=False).astype(np.int64) for size in sizes)
        listed = [np.sort(rng.normal(size=size))[::-1].copy() for size in sizes]
        if trial % 5 == 0:
            listed[0][:] = 0.1 * trial  # all equal
        if trial % 7 == 0 and sizes[1]:
            listed[1][0], listed[1][-1] = np.inf, -1e35
        answers = []
        for kernels in (compiled, numpy_fusion):
            room = len(text) + len(vector)
            numbers, scores = np.zeros((5, room), np.int64), np.zeros((2, room))
            keys = np.sort(np.concatenate([text, vector]) * 512 + np.arange(room))
            count = kernels.merge(keys, 9, *listed, numbers[0], numbers[1:3], scores, numbers[3:])
            rows, ranks = numbers[0, :count], numbers[1:3, :count]
            assert rows.tolist() == sorted({*text.tolist(), *vector.tolist()})
            for which, positions in enumerate((text, vector)):
                places = {row: at + 1 for at, row in enumerate(positions.tolist())}
                assert ranks[which].tolist() == [places.get(row, 0) for row in rows.tolist()]
                lacking = numbers[3 + which, : count - len(positions)]
                assert lacking.tolist() == np.flatnonzero(ranks[which] == 0).tolist()
                scores[which, lacking] = np.random.default_rng(trial).normal(size=len(lacking))
            total = np.empty(count)
            zeros = (trial % 3 * 40, 0)
            parts = [
                (ranks[which], scores[which, :count], listed[which], zeros[which])
                for which in range(2)
            ]
            kernels.fuse(*parts[0], *parts[1], method, 0.3, 2.0, total)
            answers.append(total.tobytes())
            assert not np.isnan(total).any()
        assert answers[0] == answers[1]
