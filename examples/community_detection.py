"""Communities: research fields found, without labels, in the neighbor graph of the Cora papers.

pip install "vecsearch[train]";  python examples/community_detection.py
"""

import tempfile
from pathlib import Path

import networkx as nx
import pyarrow.csv as csv
from _data import QUICK, data
from sklearn.metrics import normalized_mutual_info_score

import vecsearch as vs
from vecsearch.training.node2vec import train_node2vec

NEIGHBORS = 15


def main() -> None:
    edges = csv.read_csv(data("cora") / "edges.csv")
    labels = {
        str(row["node"]): row["label"]
        for row in csv.read_csv(data("cora") / "nodes.csv").to_pylist()
    }
    papers = train_node2vec(
        edges, **({"walks": 2, "length": 20} if QUICK else {"walks": 10, "length": 40})
    )
    with tempfile.TemporaryDirectory() as folder:
        collection = vs.create(Path(folder) / "papers.vs", dim=papers.dim)
        collection.add([{"id": key, "vector": papers.vector(key)} for key in papers.keys])
        near = nx.Graph()
        for paper, hits in zip(
            papers.keys, collection.search_batch(papers.vectors, k=NEIGHBORS + 1), strict=True
        ):
            near.add_weighted_edges_from(
                (paper, hit.id, max(hit.score, 0.0)) for hit in hits if hit.id != paper
            )
        collection.close()
    citations = nx.from_edgelist(
        (str(row["source"]), str(row["target"])) for row in edges.to_pylist()
    )
    print(
        f"cora: {len(near)} papers, {near.number_of_edges()} neighbor pairs; "
        f"{len(set(labels.values()))} fields"
    )
    for name, graph in (
        ("neighbor graph of the vectors", near),
        ("citations themselves", citations),
    ):
        found = nx.community.louvain_communities(graph, seed=0)
        field = {paper: number for number, papers_of in enumerate(found) for paper in papers_of}
        score = normalized_mutual_info_score(
            [labels[paper] for paper in field], list(field.values())
        )
        modularity = nx.community.modularity(citations, found)
        print(
            f"{name}: {len(found)} communities, NMI with the fields {score:.3f}, modularity over "
            f"citations {modularity:.3f}"
        )


if __name__ == "__main__":
    main()
