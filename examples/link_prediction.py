"""Graph nodes: predict held-out citations, also of papers without any, and a paper's field.

Beside the ordinary measures: shared neighbors (their number, Adamic-Adar), shared words, and
logistic regression of the words.

pip install "vecsearch[train]";  python examples/link_prediction.py
"""

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
from _data import QUICK, cora, need

import vecsearch as vs

SEEDS = 1 if QUICK else 3
WALKS = {"walks": 5, "length": 20} if QUICK else {}


def auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """The probability that a true link scores above a false one (Mann-Whitney statistic)."""
    negative = np.sort(negative)
    below = np.searchsorted(negative, positive, "left")
    below_or_equal = np.searchsorted(negative, positive, "right")
    return float((below + below_or_equal).mean() / 2 / len(negative))


def links(edges: pa.Table, papers: pa.Table, seed: int) -> vs.Embedder:
    """Hold a tenth of the citations out, train on the others, and print the AUC over all pairs."""
    from networkx import Graph, adamic_adar_index, common_neighbors

    random = np.random.default_rng(seed)
    order = random.permutation(edges.num_rows)
    held_out = edges.take(order[: edges.num_rows // 10])
    training = edges.take(order[edges.num_rows // 10 :])
    model = vs.train("node2vec", training, nodes=papers, text="words", seed=seed, **WALKS)

    linked = {frozenset(pair) for pair in zip(*edges.to_pydict().values(), strict=True)}
    true = list(zip(*held_out.to_pydict().values(), strict=True))
    drawn = random.choice(papers["node"].to_numpy(), (5 * len(true), 2)).tolist()
    false = [(a, b) for a, b in drawn if a != b and frozenset((a, b)) not in linked]

    graph = Graph(list(zip(*training.to_pydict().values(), strict=True)))
    graph.add_nodes_from(papers["node"].to_pylist())
    words = {row["node"]: set(row["words"].split()) for row in papers.to_pylist()}
    measures = {
        "link_scores": lambda pairs: model.link_scores(pairs),
        "cosine of the vectors": lambda pairs: [model.similarity(str(a), str(b)) for a, b in pairs],
        "common neighbors": lambda pairs: [len(list(common_neighbors(graph, *p))) for p in pairs],
        "Adamic-Adar": lambda pairs: [score for _, _, score in adamic_adar_index(graph, pairs)],
        "shared words (Jaccard)": lambda pairs: [
            len(words[a] & words[b]) / len(words[a] | words[b]) for a, b in pairs
        ],
    }
    alone = sum(not graph.degree(a) or not graph.degree(b) for a, b in true)
    print(f"seed {seed}: {len(true)} links held out, {alone} of them of a paper without any other")
    for name, scores in measures.items():
        print(f"  {name}: AUC {auc(np.array(scores(true)), np.array(scores(false))):.3f}")
    return model


def fields(model: vs.Embedder, papers: pa.Table) -> None:
    """Print how often the ten nearest papers tell a paper's field."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    rows = [{**row, "id": str(row["node"])} for row in papers.to_pylist()]
    np.random.default_rng(0).shuffle(rows)
    test, train = rows[: len(rows) // 5], rows[len(rows) // 5 :]
    with tempfile.TemporaryDirectory() as folder:
        collection = vs.create(Path(folder) / "papers.vs", dim=model.dim)
        collection.add(
            [{"id": r["id"], "label": r["label"], "vector": model.embed(r["id"])} for r in train]
        )
        right = 0
        for hits, paper in zip(
            collection.search_batch(model.embed([row["id"] for row in test]), k=10),
            test,
            strict=True,
        ):
            votes: Counter[int] = Counter()
            for hit in hits:
                votes[hit["label"]] += hit.score
            right += votes.most_common(1)[0][0] == paper["label"]
        collection.close()
    tf_idf = TfidfVectorizer(token_pattern=r"\S+")
    head = LogisticRegression(max_iter=1000, C=10)
    head.fit(tf_idf.fit_transform([r["words"] for r in train]), [r["label"] for r in train])
    words = head.score(tf_idf.transform([r["words"] for r in test]), [r["label"] for r in test])
    print(f"field of a paper by its 10 nearest: accuracy {right / len(test):.3f} of {len(test)}")
    print(f"  tf-idf of the words, logistic regression: {words:.3f}")


def main() -> None:
    for module in ("gensim", "networkx"):
        need(module, '"vecsearch[train]" networkx')
    edges, papers = cora()
    for seed in range(SEEDS):
        model = links(edges, papers, seed)
    print()
    print(model.report)
    print()
    fields(model, papers)


if __name__ == "__main__":
    main()
