"""Items: recommend each user's last film from those before, by what other users watched.

`vs.train("items", ...)` tries the ordinary methods of recommendation and keeps the best. Each
user's last film is held out from training and choice, and looked for through a collection.
Popularity, co-occurrence, item-kNN, EASE and co-occurrence in the sequence stand beside it.

pip install "vecsearch[train]";  python examples/recommendation.py
"""

import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
from _data import QUICK, movielens

import vecsearch as vs
from vecsearch.training.report import method_score

HISTORY = 3  # films that count for plain co-occurrence


def report(name: str, ranks: list[int | None]) -> None:
    """Print hit-rate@10 and nDCG@10 of the held-out films' ranks, from 0; None for none.

    There is one relevant film, so nDCG is 1 / log2(rank + 2).
    """
    found = np.array([rank if rank is not None and rank < 10 else np.inf for rank in ranks])
    score = method_score(name, np.isfinite(found).astype(float))
    gain = float(np.mean(1 / np.log2(found + 2)))
    print(
        f"{name}: hit-rate@10 {score.value:.4f} (95 % interval {score.low:.3f} to "
        f"{score.high:.3f}), nDCG@10 {gain:.4f}"
    )


def rank(wanted: str, scores: dict[str, float], seen: set[str]) -> int | None:
    """The rank of a film by scores; those of equal score in the order of their ids."""
    best = sorted((film for film in scores if film not in seen), key=lambda it: (-scores[it], it))
    return best.index(wanted) if wanted in best else None


def main() -> None:
    ratings = movielens().select(["userId", "movieId"])  # sorted by time
    watched: dict[str, list[str]] = defaultdict(list)
    for row in ratings.to_pylist():
        watched[str(row["userId"])].append(str(row["movieId"]))
    users = sorted(watched)[: 100 if QUICK else None]
    histories = {user: watched[user][:-1] for user in users}
    wanted = {user: watched[user][-1] for user in users}

    # Baselines by counting: in how many histories a film is, and how many it shares with others.
    popular = Counter(film for history in histories.values() for film in set(history))
    with_film = defaultdict(set)
    for user, history in histories.items():
        for film in history:
            with_film[film].add(user)

    def together(history: list[str]) -> dict[str, float]:
        counts: Counter[str] = Counter()
        for film in history[-HISTORY:]:
            for other in sorted(with_film[film]):
                counts.update(set(histories[other]))
        return dict(counts)

    report("popularity", [rank(wanted[u], dict(popular), set(histories[u])) for u in users])
    report(
        "co-occurrence", [rank(wanted[u], together(histories[u]), set(histories[u])) for u in users]
    )

    sessions = pa.table(
        {
            "user": [user for user in users for _ in histories[user]],
            "film": [film for user in users for film in histories[user]],
            "time": [place for user in users for place in range(len(histories[user]))],
        }
    )
    for kind in ("item-knn", "ease", "sequence", "items"):
        model = vs.train(kind, sessions, session="user", item="film", order="time")
        with (
            tempfile.TemporaryDirectory() as folder,
            vs.create(Path(folder) / "films.vs", embedder=model) as collection,
        ):
            collection.add([{"id": film} for film in model.keys])
            ranks = []
            for user in users:
                ids = collection.recommend(history=histories[user], k=10, exclude_seen=True).ids
                ranks.append(ids.index(wanted[user]) if wanted[user] in ids else None)
            report(kind, ranks)
        if kind == "items":
            print(f"\nIts own report, on the last film of each history:\n\n{model.report}\n")


if __name__ == "__main__":
    main()
