"""Communities: research fields found without labels, in citations and words together.

Beside the ordinary methods: Louvain and Leiden on the citations alone, and k-means of the words.

pip install "vecsearch[train,graphs]";  python examples/community_detection.py
"""

import numpy as np
from _data import QUICK, cora, need

import vecsearch as vs

SEEDS = range(2 if QUICK else 10)


def main() -> None:
    for module, extra in (("gensim", "train"), ("graspologic_native", "graphs")):
        need(module, f'"vecsearch[{extra}]"')
    need("networkx", "networkx")
    import networkx as nx
    from sklearn.cluster import KMeans
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.metrics import normalized_mutual_info_score

    edges, papers = cora()
    names = [str(node) for node in papers["node"].to_pylist()]
    labels = papers["label"].to_pylist()
    graph = nx.Graph()
    graph.add_nodes_from(names)
    graph.add_edges_from((str(row["source"]), str(row["target"])) for row in edges.to_pylist())
    walks = {"walks": 5, "length": 20} if QUICK else {}
    model = vs.train("node2vec", edges, nodes=papers, text="words", held_out=0.0, **walks)
    words = TfidfVectorizer(token_pattern=r"\S+").fit_transform(papers["words"].to_pylist())

    def ours(seed: int, **options: object) -> list[int]:
        table = model.communities(seed=seed, **options)
        found = dict(zip(*(table[name].to_pylist() for name in table.column_names), strict=True))
        return [found[name] for name in names]

    def louvain(seed: int) -> list[int]:
        found = nx.community.louvain_communities(graph, seed=seed)
        return [{n: i for i, group in enumerate(found) for n in group}[name] for name in names]

    count = len(set(labels))
    methods = {
        "links and vectors (Leiden)": ours,
        "links alone (Leiden)": lambda seed: ours(seed, vectors=False),
        "links alone (networkx, Louvain)": louvain,
        f"words alone ({count}-means of tf-idf)": lambda seed: KMeans(
            count, n_init=1, random_state=seed
        ).fit_predict(words),
    }
    print(f"{len(names)} papers, {graph.number_of_edges()} citations, {count} fields")
    for name, method in methods.items():
        found = [method(seed) for seed in SEEDS]
        scores = [normalized_mutual_info_score(labels, each) for each in found]
        print(
            f"{name}: NMI with the fields {np.mean(scores):.3f} "
            f"({min(scores):.3f} to {max(scores):.3f} of {len(SEEDS)} seeds), "
            f"{len(set(found[0]))} communities"
        )


if __name__ == "__main__":
    main()
