"""Quality: measures by hand and against our own nDCG; files; questions made from documents."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from math import log2
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.data import brute_force, clustered
from typer.testing import CliRunner

import vecsearch as vs
from vecsearch.cli import app
from vecsearch.embedders.toy import ToyEmbedder
from vecsearch.evaluation.known_items import make_question
from vecsearch.evaluation.metrics import mrr_at_k, ndcg_at_k
from vecsearch.evaluation.qrels import read_beir, read_qrels, read_queries

pytest.importorskip("ir_measures", reason="ir-measures comes with the extra 'evaluate'")

STORIES = [
    "The harbour was quiet at dawn. Fishing boats came back with silver herring. "
    "Gulls cried over the empty market.",
    "Our bakery opens before sunrise. Fresh rye bread cools on wooden shelves. "
    "Children buy sweet buns on their way to school.",
    "The old observatory stands on a hill. Its telescope follows the moons of Jupiter. "
    "Students count craters on clear nights.",
    "港口的清晨十分安静，渔船缓缓归来。海鸥在空荡的市场上空鸣叫。老人们坐在码头边修补渔网。",
    "面包店在日出之前开门营业。新鲜的黑麦面包摆在木架上冷却。孩子们上学路上都会买甜面包。",
]


@pytest.fixture
def letters(root: Path) -> vs.Collection:
    """Four documents, each an axis of its own."""
    collection = vs.create(root, dim=4, metric="ip")
    collection.add(
        [
            {"id": name, "vector": row}
            for name, row in zip("abcd", np.eye(4, dtype=np.float32), strict=True)
        ]
    )
    return collection


def test_measures_by_hand(letters: vs.Collection) -> None:
    """The ranking is a, b, c, d; relevant are b (grade 2), d, and z, which is not there."""
    report = letters.evaluate(
        {"q": [4.0, 3.0, 2.0, 1.0]}, {"q": {"b": 2, "d": 1, "z": 1, "a": 0}}, k=[2, 4]
    )
    values = report.per_query["q"]
    assert values["nDCG@4"] == pytest.approx(
        (2 / log2(3) + 1 / log2(5)) / (2 + 1 / log2(3) + 1 / 2)
    )
    assert values["nDCG@2"] == pytest.approx((2 / log2(3)) / (2 + 1 / log2(3)))
    assert (values["MRR@2"], values["MRR@4"]) == (0.5, 0.5)
    assert (values["recall@2"], values["recall@4"]) == pytest.approx((1 / 3, 2 / 3))
    assert (values["MAP@2"], values["MAP@4"]) == pytest.approx(((1 / 2) / 3, (1 / 2 + 2 / 4) / 3))
    assert report.missing_documents == ("z",)
    assert "documents that are not in the collection, counted as not found (1): z" in str(report)
    assert report.scores["MAP@4"].mean == pytest.approx(1 / 3)


def test_measures_equal_our_own_on_random_judgements(root: Path) -> None:
    vectors = clustered(60, 6)
    rng = np.random.default_rng(1)
    asked = {f"q{n}": query for n, query in enumerate(clustered(25, 6, seed=9))}
    grades = {
        q: {str(d): int(rng.integers(-1, 4)) for d in rng.choice(60, 8, replace=False)}
        for q in asked
    }
    relevant = {q: row for q, row in grades.items() if max(row.values()) > 0}
    with vs.create(root, dim=6, metric="cosine") as collection:
        collection.add(
            [{"id": n, "vector": vector} for n, vector in enumerate(vectors)]
        )  # ids are integers here
        report = collection.evaluate(asked, grades, k=(5, 20), exact=True)
    ranked = [
        [str(row) for row in np.argsort(-brute_force(vectors, asked[q], "cosine"))[:20]]
        for q in relevant
    ]
    judged = [
        dict.fromkeys(row, 0.0) | {d: float(g) for d, g in row.items()} for row in relevant.values()
    ]
    for k in (5, 20):
        np.testing.assert_allclose(
            [report.per_query[q][f"nDCG@{k}"] for q in relevant],
            ndcg_at_k(ranked, judged, k),
            atol=1e-6,
        )
        np.testing.assert_allclose(
            [report.per_query[q][f"MRR@{k}"] for q in relevant],
            mrr_at_k(ranked, judged, k),
            atol=1e-6,
        )
        score = report.scores[f"nDCG@{k}"]
        assert score.mean == pytest.approx(ndcg_at_k(ranked, judged, k).mean())
        assert score.low < score.mean < score.high


def test_the_report_names_what_was_left_out(letters: vs.Collection) -> None:
    queries = {"good": [1.0, 0, 0, 0], "unjudged": [0, 1.0, 0, 0], "nothing": [0, 0, 1.0, 0]}
    report = letters.evaluate(
        queries, {"good": {"a": 1}, "nothing": {"b": 0}, "ghost": {"c": 1}}, k=1
    )
    assert (report.queries, report.scores["nDCG@1"].mean) == (1, 1.0)
    assert report.queries_without_judgements == ("unjudged",)
    assert report.queries_without_relevant == ("nothing",)
    assert report.judged_queries_without_text == ("ghost",)
    assert "queries without judgements, left out (1): unjudged" in report.notes


def test_a_chunked_collection_is_judged_by_document(root: Path) -> None:
    """Both passages of "twice" beat "once", which would be third if passages were ranked."""
    pytest.importorskip("chonkie")
    twice = "zebra zebra zebra zebra zebra ok. zebra zebra zebra zebra zebra ok."
    with vs.create(root, embedder="toy:256", chunker=vs.Chunker(max_chars=40)) as collection:
        collection.add(
            [{"id": "twice", "text": twice}, {"id": "once", "text": "zebra ok zebra giraffe lion"}]
        )
        assert collection.info().rows == 3
        report = collection.evaluate(
            {"q": "zebra zebra zebra zebra zebra ok."}, {"q": {"once": 1}}, k=10
        )
    assert report.per_query["q"]["MRR@10"] == 0.5


# -- files -----------------------------------------------------------------------------------------
# ----------------------


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_beir_and_trec_files_say_the_same(tmp_path: Path) -> None:
    beir = write(
        tmp_path / "queries.jsonl",
        '{"_id": "1", "text": "光合作用"}\n\n{"_id": 2, "text": "two"}\n',
    )
    trec = write(tmp_path / "topics.tsv", "\ufeff1\t光合作用\n2\ttwo\n")
    assert read_queries(beir) == read_queries(trec) == {"1": "光合作用", "2": "two"}
    header = write(
        tmp_path / "qrels" / "test.tsv", "query-id\tcorpus-id\tscore\n1\ta b\t2\n2\tc\t0\n"
    )
    plain = write(tmp_path / "plain.tsv", "1\ta b\t2\r\n2\tc\t0\r\n")
    four = write(tmp_path / "qrels.txt", "1\t0\ta b\t2\n2 0 c 0\n")
    assert (
        read_qrels(header)
        == read_qrels(plain)
        == read_qrels(four)
        == {"1": {"a b": 2}, "2": {"c": 0}}
    )
    assert read_beir(tmp_path) == (beir, header)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("q.jsonl", '{"_id": 1, "text": "a"}\n[1]\n', "q.jsonl, line 2: not a JSON object"),
        ("q.jsonl", '{"_id": 1}\n', "line 1: not a JSON object"),
        ("q.tsv", "1\ta\n2 b\n", "q.tsv, line 2: no tab"),
        ("q.tsv", "1\ta\n1\tb\n", "line 2: duplicate query id '1'"),
        ("q.tsv", "1\t \n", "line 1: the query '1' has no text"),
        ("q.tsv", "\n", "contains no query"),
    ],
)
def test_a_wrong_queries_file_names_the_line(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    with pytest.raises(vs.InvalidInputError, match=message):
        read_queries(write(tmp_path / name, text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "query-id\tcorpus-id\tscore\n1\ta\tgood\n",
            "line 2: the grade 'good' is not a whole number",
        ),
        ("1 a 0.5\n", "line 1: the grade '0.5'"),
        ("1 a\n", "line 1: 2 columns"),
        (
            "1 a 1\n1 a 0\n",
            "line 2: query '1' and document 'a' are judged 0 here, but 1 in an earlier line",
        ),
        ("query-id\tcorpus-id\tscore\n", "contains no judgement"),
    ],
)
def test_a_wrong_qrels_file_names_the_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(vs.InvalidInputError, match=message):
        read_qrels(write(tmp_path / "qrels.tsv", text))


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.tsv").write_bytes("1\tcafé\n".encode("latin-1"))
    with pytest.raises(vs.InvalidInputError, match=r"latin.tsv: byte 5 is not UTF-8.*save"):
        read_queries(tmp_path / "latin.tsv")
    with pytest.raises(vs.InvalidInputError, match=r"absent.tsv cannot be read: No such file"):
        read_qrels(tmp_path / "absent.tsv")
    write(tmp_path / "queries.jsonl", "{}")
    write(tmp_path / "qrels" / "dev.tsv", "")
    with pytest.raises(
        vs.InvalidInputError, match=r"qrels/test.tsv is not there; it has the splits dev"
    ):
        read_beir(tmp_path)


def test_wrong_arguments_are_refused(letters: vs.Collection, tmp_path: Path) -> None:
    one = {"q": [1.0, 0, 0, 0]}
    for arguments, message in [
        ((one, None), "give qrels too"),
        ((None, {"q": {"a": 1}}), "no queries; give queries too"),
        ((tmp_path, None), "queries.jsonl is not there"),
        (({}, {}), "queries is empty"),
        ((one, {"p": {"a": 1}}), "a query id is 'q' in the queries and 'p' in the judgements"),
        (
            (one, {"q": {"A": 1, "B": 1}}),
            "none of the 2 relevant documents is in the collection.*'A'.*'a'",
        ),
        ((one, {"q": {"a": 0.5}}), "query 'q', document 'a': the grade 0.5 is not a whole number"),
        ((one, {"q": 1}), "judgements of query 'q' are not a dict"),
    ]:
        with pytest.raises(vs.InvalidInputError, match=message):
            letters.evaluate(*arguments)
    for k in (0, [], [5, 0], "10"):
        with pytest.raises(vs.InvalidInputError, match="k is"):
            letters.evaluate(one, {"q": {"a": 1}}, k=k)
    with pytest.raises(vs.EmbedderError, match="no embedder"):
        letters.evaluate()


# -- known items -----------------------------------------------------------------------------------
# ----------------------


@pytest.fixture
def stories(root: Path) -> vs.Collection:
    collection = vs.create(root, embedder="toy:128")
    collection.add([{"id": n, "text": text} for n, text in enumerate(STORIES)])
    return collection


def test_known_items_against_brute_force(stories: vs.Collection) -> None:
    report = stories.evaluate(seed=3)
    assert report.queries == len(STORIES) == report.documents
    toy = ToyEmbedder(128)
    documents = toy.embed_documents(STORIES)
    for number, text in enumerate(STORIES):
        question = report.texts[str(number)]
        assert question in text
        query = toy.embed_queries([question])[0]
        scores = brute_force(documents, query, "cosine")
        values = report.per_query[str(number)]
        assert values["known-item MRR@10"] == pytest.approx(
            1 / (1 + (scores > scores[number]).sum())
        )
        start = text.index(question)
        rest = f"{text[:start].rstrip()} {text[start + len(question) :].lstrip()}".strip()
        own = brute_force(toy.embed_documents([rest]), query, "cosine")[0]
        others = np.delete(scores, number)
        assert values["cloze MRR@10"] == pytest.approx(1 / (1 + (others > own).sum()))
        assert values["cloze success@1"] == float(values["cloze MRR@10"] == 1)
    assert report.scores["cloze MRR@10"].mean == pytest.approx(
        np.mean([v["cloze MRR@10"] for v in report.per_query.values()])
    )


def test_known_items_are_reproducible_and_take_a_filter(stories: vs.Collection) -> None:
    assert stories.evaluate(seed=3).texts == stories.evaluate(seed=3).texts
    assert (
        len({json.dumps(stories.evaluate(seed=seed, n_queries=2).texts) for seed in range(6)}) > 1
    )
    assert set(stories.evaluate(where="id < 2").texts) == {"0", "1"}


def test_documents_that_hold_the_same_sentence_do_not_count_against(root: Path) -> None:
    with vs.create(root, embedder="toy:128") as collection:
        collection.add([{"id": n, "text": STORIES[0]} for n in range(4)])
        report = collection.evaluate()
    assert (
        report.scores["known-item success@1"].mean == report.scores["cloze success@1"].mean == 1.0
    )


class Words(ToyEmbedder):
    """Counts of whole words, of the first `window` words of a text."""

    def __init__(self, window: int) -> None:
        super().__init__(4096)
        self.window = window

    def embed_documents(self, documents: Sequence[str]) -> npt.NDArray[np.float32]:
        out = np.zeros((len(documents), self.dim), np.float32)
        for row, text in enumerate(documents):
            for word in text.replace(".", " ").split()[: self.window]:
                out[row, crc32(word.encode()) % self.dim] += 1
        return out


def test_a_model_that_reads_too_little_scores_low(tmp_path: Path) -> None:
    """Documents of ten six-word sentences: a model that reads two finds a fifth of them."""
    words = [f"w{n:04}" for n in range(40 * 60)]
    sentences = [" ".join(words[at : at + 6]) for at in range(0, len(words), 6)]
    documents = [
        {"id": n, "text": ". ".join(sentences[10 * n : 10 * n + 10]) + "."} for n in range(40)
    ]
    found = {}
    for window in (60, 12):
        with vs.create(tmp_path / f"{window}.vs", embedder=Words(window)) as collection:
            collection.add(documents)
            found[window] = collection.evaluate().scores["known-item success@1"].mean
    assert found[60] > 0.9  # words share a bucket now and then
    assert 0.05 < found[12] < 0.4


def test_known_items_of_a_chunked_collection(root: Path) -> None:
    pytest.importorskip("chonkie")
    with vs.create(root, embedder="toy:256", chunker=vs.Chunker(max_chars=80)) as collection:
        collection.add([{"id": str(n), "text": text} for n, text in enumerate(STORIES)])
        assert collection.info().rows > len(STORIES)
        report = collection.evaluate()
    assert set(report.texts) == {str(n) for n in range(len(STORIES))}
    assert report.scores["known-item success@1"].mean == 1.0


def test_texts_too_short_for_a_question_are_refused(root: Path) -> None:
    with vs.create(root, embedder="toy:16") as collection:
        collection.add([{"id": 1, "text": "tiny"}, {"id": 2, "text": "短文"}])
        with pytest.raises(
            vs.InvalidInputError, match="no question can be made: 2 documents match"
        ):
            collection.evaluate()
        with pytest.raises(vs.InvalidInputError, match="n_queries is 0"):
            collection.evaluate(n_queries=0)


@settings(deadline=None)
@given(
    text=st.text(st.sampled_from("ab c.!?。！\n渔船面。 "), max_size=160), seed=st.integers(0, 99)
)
def test_question_and_rest_together_are_the_text(text: str, seed: int) -> None:
    made = make_question(text, np.random.default_rng(seed))
    if made is None:
        return
    question, rest, _ = made
    assert question in text
    assert question == question.strip() != ""
    assert len("".join((question + rest).split())) == len("".join(text.split()))


def test_sentences_of_both_languages_become_questions() -> None:
    for text in (STORIES[0], STORIES[3]):
        seen = {make_question(text, np.random.default_rng(seed)) for seed in range(40)}
        assert len(seen) == 3  # each of its three sentences
        assert all(made is not None and made[2] for made in seen)
    alone = make_question(
        "a table of solid oak with five chairs and a lamp", np.random.default_rng(0)
    )
    assert alone is not None and not alone[2]
    assert len(alone[0].split()) == 5


# -- the command -----------------------------------------------------------------------------------
# ----------------------


def run(*words: object) -> Any:
    return CliRunner().invoke(app.app, [str(word) for word in words], env={"COLUMNS": "160"})


@pytest.fixture
def folder(stories: vs.Collection, tmp_path: Path) -> Path:
    """A BEIR folder for the stories."""
    asked = {"boats": "fishing boats and herring", "面包": "面包店几点开门"}
    lines = [
        json.dumps({"_id": key, "text": text}, ensure_ascii=False) for key, text in asked.items()
    ]
    write(tmp_path / "beir" / "queries.jsonl", "\n".join(lines))
    write(
        tmp_path / "beir" / "qrels" / "test.tsv",
        "query-id\tcorpus-id\tscore\nboats\t0\t1\n面包\t4\t1\n",
    )
    return tmp_path / "beir"


def test_the_command_says_what_the_api_says(
    stories: vs.Collection, folder: Path, tmp_path: Path
) -> None:
    expected = stories.evaluate(folder, k=3)
    answer = run(
        "evaluate",
        stories.path,
        folder,
        "-k",
        "3",
        "--json",
        "--per-query",
        tmp_path / "each.jsonl",
    )
    assert answer.exit_code == 0, answer.stderr
    report = json.loads(answer.stdout)
    assert report["per_query"] == expected.per_query
    assert report["scores"]["nDCG@3"]["mean"] == pytest.approx(expected.scores["nDCG@3"].mean)
    rows = [
        json.loads(line)
        for line in (tmp_path / "each.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert rows[1] == {"query_id": "面包", "query": "面包店几点开门", **expected.per_query["面包"]}

    files = ("--queries", folder / "queries.jsonl", "--qrels", folder / "qrels" / "test.tsv")
    answer = run(
        "evaluate", stories.path, *files, "-k", "1,3", "--per-query", tmp_path / "each.csv"
    )
    assert f"{expected.scores['nDCG@3'].mean:.4f}" in answer.stdout
    with (tmp_path / "each.csv").open(encoding="utf-8", newline="") as file:
        assert [row["query_id"] for row in csv.DictReader(file)] == ["boats", "面包"]


def test_the_command_without_judgements(stories: vs.Collection) -> None:
    answer = run("evaluate", stories.path, "--n-queries", "3", "--seed", "1")
    assert answer.exit_code == 0, answer.stderr
    assert "3 queries" in answer.stdout
    assert "cloze success@1" in answer.stdout
    assert "neither is the quality that users will see" in answer.stdout


def test_wrong_commands_are_usage_errors(stories: vs.Collection, folder: Path) -> None:
    assert run("evaluate", stories.path, "--queries", folder / "queries.jsonl").exit_code == 2
    assert run("evaluate", stories.path, folder, "-k", "ten").exit_code == 2
    answer = run("evaluate", stories.path, folder / "qrels")
    assert answer.exit_code == 1
    assert answer.stderr.startswith("error: ")
    assert "not a folder in the BEIR layout" in answer.stderr
