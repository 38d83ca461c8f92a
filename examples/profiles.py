"""Profiles: tumors with 30 measurements, classified by the most similar known profiles.

Data: scikit-learn's breast cancer table. Expression profiles of genes or proteins are handled in
the same steps: rows of a matrix are scaled, reduced and searched. pip install vecsearch;  python
examples/profiles.py
"""

import tempfile
from pathlib import Path

import numpy as np
from _data import QUICK, majority
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import vecsearch as vs

NEAREST = 5
SPLITS = 2 if QUICK else 20


def accuracy(train: np.ndarray, labels: list[str], test: np.ndarray, wanted: list[str]) -> float:
    """Share of held-out profiles whose label is the most common one among the nearest profiles."""
    with (
        tempfile.TemporaryDirectory() as folder,
        vs.create(Path(folder) / "p.vs", dim=train.shape[1], metric="l2") as known,
    ):
        known.add(
            [
                {"label": label, "vector": vector}
                for label, vector in zip(labels, train, strict=True)
            ]
        )
        votes = [[hit["label"] for hit in hits] for hits in known.search_batch(test, k=NEAREST)]
    return float(
        np.mean([majority(vote) == label for vote, label in zip(votes, wanted, strict=True)])
    )


def main() -> None:
    cells = load_breast_cancer()
    names = cells.target_names[cells.target]
    scores: dict[str, list[float]] = {}
    for split in range(SPLITS):
        order = np.random.default_rng(split).permutation(len(names))
        test, train = order[:114], order[114:]  # a fifth held out
        wanted, labels = names[test].tolist(), names[train].tolist()
        usual = majority(labels)
        scores.setdefault("the more common class always", []).append(
            float(np.mean([label == usual for label in wanted]))
        )
        scaler = StandardScaler().fit(cells.data[train])
        raw, queries = cells.data[train], cells.data[test]
        scores.setdefault("30 measures as they are", []).append(
            accuracy(raw, labels, queries, wanted)
        )
        raw, queries = scaler.transform(raw), scaler.transform(queries)
        scores.setdefault("30 measures, scaled", []).append(accuracy(raw, labels, queries, wanted))
        line = LogisticRegression(max_iter=1000).fit(raw, labels)
        scores.setdefault("logistic regression, scaled", []).append(line.score(queries, wanted))
        for dim in (10, 5, 2):
            pca = PCA(dim, random_state=0).fit(raw)
            reduced = accuracy(pca.transform(raw), labels, pca.transform(queries), wanted)
            scores.setdefault(f"{dim} principal components", []).append(reduced)
    print(
        f"{len(names)} profiles; label by the {NEAREST} nearest, mean of {SPLITS} splits, a fifth "
        "held out:"
    )
    for name, values in scores.items():
        print(f"{name}: accuracy {np.mean(values):.3f} ± {np.std(values):.3f}")


if __name__ == "__main__":
    main()
