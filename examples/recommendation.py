"""Items: item2vec on MovieLens; recommend each user's last film from those before.

Popularity and co-occurrence are the baselines.

pip install "vecsearch[train]";  python examples/recommendation.py
"""

import tempfile
from pathlib import Path

import numpy as np
from _data import QUICK, movielens

import vecsearch as vs
from vecsearch.training.item2vec import sessions_of, train_item2vec

# The number of last rated films that make the query. It and the training settings were chosen with
# the
# last film but one held out.
HISTORY = 3


def report(name: str, ranks: list[int], popular: float | None = None) -> float:
    """Print hit-rate@10 and nDCG@10 of the held-out items' ranks (from 0); returns the hit-rate.

    There is one relevant item, so nDCG is 1 / log2(rank + 2).
    """
    rank = np.array(ranks)
    hits, gains = rank < 10, np.where(rank < 10, 1 / np.log2(rank + 2), 0)
    ratio = f", {hits.mean() / popular:.2f} times popularity" if popular else ""
    print(f"{name}: hit-rate@10 {hits.mean():.4f}, nDCG@10 {gains.mean():.4f}{ratio}")
    return float(hits.mean())


def main() -> None:
    ratings = movielens()
    users = ratings["userId"].to_numpy()
    # The last row of each user, in the order of their ids as text.
    last = len(users) - 1 - np.unique(users[::-1], return_index=True)[1]
    train = ratings.take(np.delete(np.arange(len(users)), last))
    wanted = ratings["movieId"].take(last).to_pylist()
    histories = [
        films.tolist() for films in sessions_of(train, "userId", "movieId", "timestamp", seed=0)
    ]
    settings = {"epochs": 2, "window": 5} if QUICK else {"epochs": 10, "window": 20}
    items = train_item2vec(
        train, session="userId", item="movieId", order="timestamp", min_count=5, **settings
    )

    row = {item: n for n, item in enumerate(np.unique(train["movieId"].to_numpy()).tolist())}
    seen = np.zeros((len(histories), len(row)), dtype=np.float32)
    for user, history in enumerate(histories):
        seen[user, [row[item] for item in history]] = 1
    popularity = np.tile(seen.sum(axis=0), (len(histories), 1))
    recent = np.zeros_like(seen)
    for user, history in enumerate(histories):
        recent[user, [row[item] for item in history[-HISTORY:]]] = 1
    together = recent @ (seen.T @ seen)

    def ranks(scores: np.ndarray) -> list[int]:
        scores = np.where(seen > 0, -np.inf, scores)
        positions = [
            np.flatnonzero(np.argsort(-scores[user], kind="stable") == row[item])
            if item in row
            else []
            for user, item in enumerate(wanted)
        ]
        return [int(found[0]) if len(found) else len(row) for found in positions]

    base = report("popularity", ranks(popularity))
    report("co-occurrence", ranks(together), base)
    with tempfile.TemporaryDirectory() as folder:
        collection = vs.create(Path(folder) / "films.vs", dim=items.dim)
        collection.add([{"id": key, "vector": items.vector(key)} for key in items.keys])
        found = []
        for history, item in zip(histories, wanted, strict=True):
            query = items.embed_queries([[film for film in history if film in items][-HISTORY:]])[0]
            best = [
                hit
                for hit in collection.search(query, k=len(history) + 10).ids
                if hit not in set(history)
            ][:10]
            found.append(best.index(item) if item in best else len(row))
        collection.close()
    report("item2vec", found, base)


if __name__ == "__main__":
    main()
