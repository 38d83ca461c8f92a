"""A plain table: scikit-learn's 178 wines, each classified by the most similar rows.

pip install vecsearch;  python examples/table_rows.py
"""

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
from _data import majority
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import vecsearch as vs
from vecsearch.training.table import fit_table


def main() -> None:
    wines = load_wine()
    table = pa.table({name: wines.data[:, n] for n, name in enumerate(wines.feature_names)})
    order = np.random.default_rng(0).permutation(table.num_rows)
    test, train = order[:50], order[50:]
    embedder = fit_table(table.take(train))
    with tempfile.TemporaryDirectory() as folder:
        collection = vs.create(Path(folder) / "wines.vs", embedder=embedder)
        collection.add(
            table.take(train)
            .append_column("id", pa.array(train))
            .append_column("label", pa.array(wines.target[train]))
        )
        found = collection.search_batch(table.take(test).to_pylist(), k=5)
        labels = [[hit["label"] for hit in hits] for hits in found]
        collection.close()
    right = [
        majority(votes) == wines.target[wine] for votes, wine in zip(labels, test, strict=True)
    ]
    print(f"wine: {table.num_columns} columns in {embedder.dim} dimensions")
    print(f"label by the 5 nearest: {np.mean(right):.3f} of {len(test)} right")
    line = make_pipeline(StandardScaler(), LogisticRegression())
    line.fit(wines.data[train], wines.target[train])
    print(f"label by logistic regression: {line.score(wines.data[test], wines.target[test]):.3f}")
    usual = np.bincount(wines.target[train]).argmax()
    print(f"the most common label always: {np.mean(wines.target[test] == usual):.3f}")


if __name__ == "__main__":
    main()
