"""The examples' data, and the measure of the retrieval examples.

Data is read from ../shared/data beside the project, or from the folder that VECSEARCH_DATA names.
With VECSEARCH_QUICK=1 an example uses a small part of its data, to check that it runs; its numbers
then mean little.
"""

from __future__ import annotations

import csv
import json
import os
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

import vecsearch as vs
from vecsearch.embedders import Embedder
from vecsearch.evaluation.metrics import ndcg_at_k

QUICK = os.environ.get("VECSEARCH_QUICK") == "1"


def data(name: str) -> Path:
    """The folder of one data set; the example exits with a message if it is missing."""
    root = os.environ.get("VECSEARCH_DATA") or Path(__file__).parents[2] / "shared" / "data"
    path = Path(root) / name
    if not path.exists():
        sys.exit(
            f"this example needs the data set '{name}' in {root}; set VECSEARCH_DATA to use "
            "another folder"
        )
    return path


def beir(name: str) -> tuple[list[dict[str, str]], dict[str, str], dict[str, dict[str, float]]]:
    """Documents, query id -> text, and query id -> document id -> grade, of a BEIR folder."""
    folder = data(f"beir/{name}")
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


def movielens() -> pa.Table:
    """The 100,836 ratings of ml-latest-small, sorted by time.

    Columns: userId and movieId (strings), rating, timestamp. According to its README.txt the
        ratings end on 24 September 2018; some copies have later rows with ratings of 0, which an
        application appended.
    """
    ratings = pyarrow.csv.read_csv(data("movielens-small") / "ratings.csv")
    published = ratings.filter(pc.less(ratings["timestamp"], 1_537_833_600))  # 25 September 2018
    for index, name in enumerate(("userId", "movieId")):
        published = published.set_column(index, name, published[name].cast(pa.string()))
    return published.sort_by("timestamp")


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


def _lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]
