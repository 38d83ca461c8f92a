"""Graph nodes: node2vec on Cora; predict held-out links, and a paper's field by its neighbors.

pip install "vecsearch[train]";  python examples/link_prediction.py
"""

import tempfile
from pathlib import Path

import numpy as np
import pyarrow.csv as csv
from _data import QUICK, data

import vecsearch as vs
from vecsearch.training.node2vec import train_node2vec


def auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """The probability that a true link scores above a false one (Mann-Whitney statistic)."""
    negative = np.sort(negative)
    below = np.searchsorted(negative, positive, "left")
    below_or_equal = np.searchsorted(negative, positive, "right")
    return float((below + below_or_equal).mean() / 2 / len(negative))


def main() -> None:
    edges = csv.read_csv(data("cora") / "edges.csv")
    source, target = edges.column_names[:2]
    random = np.random.default_rng(0)
    order = random.permutation(edges.num_rows)
    held_out, training = (
        edges.take(order[: edges.num_rows // 10]),
        edges.take(order[edges.num_rows // 10 :]),
    )
    walks = {"walks": 1, "length": 10} if QUICK else {"walks": 20, "length": 40}
    nodes = train_node2vec(training, source=source, target=target, **walks)

    def scores(pairs: list[tuple[str, str]]) -> np.ndarray:
        known = [(a, b) for a, b in pairs if a in nodes and b in nodes]
        return np.array([nodes.similarity(a, b) for a, b in known])

    linked = {
        (str(a), str(b))
        for a, b in zip(edges[source].to_pylist(), edges[target].to_pylist(), strict=True)
    }
    true = [
        (str(a), str(b))
        for a, b in zip(held_out[source].to_pylist(), held_out[target].to_pylist(), strict=True)
    ]
    pairs = random.choice(nodes.keys, (4 * len(true), 2)).tolist()
    false = [(a, b) for a, b in pairs if a != b and (a, b) not in linked and (b, a) not in linked]
    print(
        f"cora: {len(true)} links held out of {edges.num_rows}; AUC "
        f"{auc(scores(true), scores(false)):.3f}"
    )

    labels = csv.read_csv(data("cora") / "nodes.csv")
    id_column, label_column = labels.column_names[:2]
    papers = [
        {
            "id": str(row[id_column]),
            "label": str(row[label_column]),
            "vector": nodes.vector(str(row[id_column])),
        }
        for row in labels.select([id_column, label_column]).to_pylist()
        if str(row[id_column]) in nodes
    ]
    random.shuffle(papers)
    test, train = papers[: len(papers) // 5], papers[len(papers) // 5 :]
    with tempfile.TemporaryDirectory() as folder:
        collection = vs.create(Path(folder) / "papers.vs", dim=nodes.dim)
        collection.add(train)
        right = 0
        for hits, paper in zip(
            collection.search_batch(np.stack([row["vector"] for row in test]), k=10),
            test,
            strict=True,
        ):
            votes = [hit["label"] for hit in hits]
            right += max(set(votes), key=votes.count) == paper["label"]
        collection.close()
    print(
        f"cora: field of a paper by its 10 nearest: accuracy {right / len(test):.3f} of "
        f"{len(test)} held out"
    )


if __name__ == "__main__":
    main()
