"""Does anything between the model and the ranking lose quality? nDCG@10 against plain
encode-and-multiply.

    python benchmarks/quality.py [cranfield xquad-en ...]

The reference is SentenceTransformer.encode of documents and questions, and numpy for exact cosine.
Against it stands a collection, searched through the API and through the command line, without an
index and with one. The same for pairs of texts that people scored for likeness (WordSim-353 and
SimLex-999; the shared data has no pairs of sentences such as STS-B's): Spearman's correlation of
their scores with the cosine of the model's vectors, and of those a collection gives back. The
promise is a difference of 0.002 at most. Then long documents, whole and split, which
`benchmarks/splitting.py` describes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

if not __package__:  # run as a file: the folder above holds the packages
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np

import vecsearch as vs
from benchmarks import datasets, measure, splitting
from benchmarks.splitting import read_qrels
from vecsearch.evaluation.metrics import ndcg_at_k
from vecsearch.evaluation.word_tests import read_similarities

K = 10
PROMISE = 0.002
MODEL = "all-MiniLM-L6-v2"
PAIRS = ("wordsim353.tsv", "simlex999.txt")
INDEX = "HNSW32"
"""Named because these sets are so small that `build_index()` would rightly make none."""

PACKAGES = ("vecsearch", "sentence-transformers", "torch", "faiss-cpu", "numpy")
Texts = Mapping[str, str]
Ranking = Sequence[Sequence[str]]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="benchmarks/quality.py", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "sets",
        nargs="*",
        default=["cranfield", "xquad-en"],
        help="folders of the shared data's beir/",
    )
    results = {name: measured(datasets.shared("beir", name)) for name in parser.parse_args().sets}
    split = {name: splitting.measured(datasets.shared("beir", name), MODEL) for name in results}
    pairs = {name: correlated(datasets.shared("words", name)) for name in PAIRS}
    worst = 0.0
    for name, scores in pairs.items():
        alone, stored = scores["encode and numpy"], scores["API"]
        print(
            f"{name:16} Spearman: encode and numpy {alone:.4f}, through a collection {stored:.4f}"
        )
        worst = max(worst, abs(stored - alone))
    for name, scores in results.items():
        reference = scores["encode and numpy"]
        for way, score in scores.items():
            print(f"{name:12} {way:28} nDCG@{K} {score:.4f} ({score - reference:+.4f})")
            worst = max(worst, abs(score - reference))
    for name, scores in split.items():
        print(f"{name:12} {splitting.shown(scores)}")
    print(f"largest difference {worst:.4f} (promise: {PROMISE} at most)")
    print(
        measure.save(
            "quality",
            {
                "k": K,
                "model": MODEL,
                "ndcg": results,
                "spearman": pairs,
                "splitting": split,
                "largest_difference": worst,
            },
            PACKAGES,
        )
    )
    sys.exit(worst > PROMISE or not all(map(splitting.holds, split.values())))


def measured(folder: Path) -> dict[str, float]:
    """Mean nDCG@10 of a BEIR folder by each way of searching, over the questions that have
    judgements.
    """
    documents = datasets.read_texts(folder / "corpus.jsonl")
    judged = read_qrels(folder / "qrels" / "test.tsv")
    questions = {
        key: text
        for key, text in datasets.read_texts(folder / "queries.jsonl").items()
        if key in judged
    }
    rankings = {"encode and numpy": plainly(documents, questions)}
    with tempfile.TemporaryDirectory(prefix="vecsearch-bench-") as work:
        rankings |= by_api(documents, questions, Path(work))
        rankings |= by_command_line(documents, questions, Path(work))
    relevance = [judged[key] for key in questions]
    return {
        way: float(ndcg_at_k(ranking, relevance, K).mean()) for way, ranking in rankings.items()
    }


def correlated(path: Path) -> dict[str, float]:
    """Spearman's correlation of people's scores of pairs with the cosines, by the model alone and
    through a collection.
    """
    pairs = read_similarities(path)
    texts = sorted({word for left, right, _ in pairs for word in (left, right)})
    row = {text: number for number, text in enumerate(texts)}
    left, right = ([row[pair[side]] for pair in pairs] for side in (0, 1))
    with (
        tempfile.TemporaryDirectory(prefix="vecsearch-bench-") as work,
        vs.create(Path(work) / "pairs.vs", embedder=MODEL) as collection,
    ):
        collection.add([{"id": text, "text": text} for text in texts])
        stored = collection.features(texts)
    out = {}
    for way, vectors in (
        ("encode and numpy", datasets.sentence_transformer(None).encode(texts)),
        ("API", stored),
    ):
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        out[way] = _spearman(
            np.array([score for _, _, score in pairs]), (unit[left] * unit[right]).sum(axis=1)
        )
    return out


def _spearman(one: np.ndarray, other: np.ndarray) -> float:
    """The correlation of ranks, equal values sharing theirs."""
    ranks = []
    for values in (one, other):
        _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
        ranks.append((np.cumsum(counts) - (counts - 1) / 2)[places])
    return float(np.corrcoef(*ranks)[0, 1])


def plainly(documents: Texts, questions: Texts) -> Ranking:
    model = datasets.sentence_transformer(None)
    ids = list(documents)
    vectors = [model.encode(list(texts.values())) for texts in (documents, questions)]
    base, asked = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in vectors)
    best = np.argsort(-(asked @ base.T), axis=1, kind="stable")[:, :K]
    return [[ids[row] for row in line] for line in best]


def by_api(documents: Texts, questions: Texts, work: Path) -> dict[str, Ranking]:
    with vs.create(work / "api.vs", embedder=MODEL, chunker=None) as collection:
        collection.add([{"id": key, "text": text} for key, text in documents.items()])
        found: dict[str, Ranking] = {}
        found["API, exact"] = [
            _names(collection.search(text, k=K).ids) for text in questions.values()
        ]
        collection.build_index(recipe=INDEX)
        found["API, index"] = [
            _names(collection.search(text, k=K).ids) for text in questions.values()
        ]
        found["API, index, batch"] = [
            _names(hits.ids) for hits in collection.search_batch(list(questions.values()), k=K)
        ]
    return found


def by_command_line(documents: Texts, questions: Texts, work: Path) -> dict[str, Ranking]:
    corpus, asked, collection = work / "corpus.jsonl", work / "questions.jsonl", work / "line.vs"
    for path, texts in ((corpus, documents), (asked, questions)):
        lines = (
            json.dumps({"id": key, "text": text}, ensure_ascii=False) for key, text in texts.items()
        )
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    _command("ingest", str(corpus), str(collection), "--embedder", MODEL, "--chunker", "none")
    search = (
        "search",
        str(collection),
        "--queries",
        str(asked),
        "-k",
        str(K),
        "--columns",
        "id",
        "--json",
    )
    found = {"command line, exact": _ranked(_command(*search), questions)}
    _command("build", str(collection), "--recipe", INDEX)
    return found | {"command line, index": _ranked(_command(*search), questions)}


def _command(*arguments: str) -> str:
    """What `vecsearch ARGUMENTS` writes to its standard output."""
    line = [sys.executable, "-c", "from vecsearch.cli import main; main()", *arguments]
    done = subprocess.run(
        line, capture_output=True, text=True, encoding="utf-8", check=False, cwd=measure.ROOT
    )
    if done.returncode:
        raise SystemExit(f"vecsearch {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout


def _ranked(output: str, questions: Texts) -> Ranking:
    answers = {answer["query_id"]: answer for answer in map(json.loads, output.splitlines())}
    return [_names([hit["id"] for hit in answers[key]["hits"]]) for key in questions]


def _names(ids: Sequence[object]) -> list[str]:
    return [str(name) for name in ids]


if __name__ == "__main__":
    main()
