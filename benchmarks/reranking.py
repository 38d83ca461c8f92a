"""What late interaction with an embedding model's own tokens changes, by questions with judgments.

    python benchmarks/reranking.py [cranfield xquad-en] [--model NAME] [--top 50]

For searches by vectors, by words and by both: nDCG@10 before, after, and the mean difference with
its 95% interval. Documents are embedded once and compared by the scores of `rerank="maxsim"`.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

if not __package__:  # run as a file: the folder above holds the packages
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import vecsearch as vs
from benchmarks import datasets, measure
from vecsearch.embedders.token_vectors import load_token_model
from vecsearch.evaluation.metrics import bootstrap_interval, ndcg_at_k
from vecsearch.evaluation.qrels import read_beir, read_qrels, read_queries
from vecsearch.index.maxsim import maxsim

PACKAGES = ("vecsearch", "sentence-transformers", "ir-measures")
MODES: tuple[Any, ...] = ("vector", "text", "hybrid")
K = 10
SIGNS = re.compile(r"[^\w\s]|\b(AND|OR|NOT)\b")  # they mean something in searches by words


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="benchmarks/reranking.py", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("sets", nargs="*", default=["cranfield", "xquad-en"])
    parser.add_argument("--model", default="all-MiniLM-L6-v2")
    parser.add_argument("--top", type=int, default=50)
    parser.add_argument(
        "--queries", type=int, help="try it: only so many queries and their documents; not saved"
    )
    options = parser.parse_args()
    results = {}
    for name in options.sets:
        folder = datasets.shared("beir", name)
        results[name] = measured(options.model, folder, options.top, options.queries)
        for mode, (before, after, low, high) in results[name].items():
            print(
                f"{name:10} {mode:8} before {before:.3f} after {after:.3f} "
                f"[{low:+.3f}, {high:+.3f}]",
                flush=True,
            )
    if options.queries is None:
        print(measure.save("reranking", {"ndcg": results, "model": options.model}, PACKAGES))


def measured(
    model: str, folder: Path, top: int, most: int | None
) -> dict[str, tuple[float, float, float, float]]:
    """For each mode: nDCG@10 before and after, and the interval of the difference."""
    texts = {
        key: text for key, text in datasets.read_texts(folder / "corpus.jsonl").items() if text
    }
    files = read_beir(folder)
    grades = read_qrels(files[1])
    questions = {key: SIGNS.sub(" ", text) for key, text in read_queries(files[0]).items()}
    asked = [each for each in questions if max(grades.get(each, {}).values(), default=0) > 0][:most]
    if most is not None:
        judged = {id for each in asked for id in grades[each]}
        texts = {key: text for key, text in texts.items() if key in judged}
    tokens = load_token_model(model)
    vectors = dict(zip(texts, tokens.embed_documents(list(texts.values())), strict=True))
    relevant = [{id: float(max(grade, 0)) for id, grade in grades[each].items()} for each in asked]
    wanted = [questions[each] for each in asked]
    queries = dict(zip(wanted, tokens.embed_queries(wanted), strict=True))

    def rerank(query: str, hits: vs.Hits) -> Any:
        return maxsim(queries[query], [vectors[str(id)] for id in hits.ids])

    found = {}
    with tempfile.TemporaryDirectory() as place:
        collection = vs.create(Path(place) / "c.vs", embedder=model)
        collection.add([{"id": key, "text": text} for key, text in texts.items()])
        for mode in MODES:
            values = []
            for options in ({}, {"rerank": rerank, "rerank_top": top}):
                hits = collection.search_batch(wanted, K, mode=mode, exact=True, **options)
                ids = [[str(id) for id in each.ids] for each in hits]
                values.append(ndcg_at_k(ids, relevant, K))
            low, high = bootstrap_interval(values[1] - values[0], 0.95)
            means = [float(np.mean(each)) for each in values]
            found[mode] = (means[0], means[1], low, high)
    return found


if __name__ == "__main__":
    main()
